"""GAE's figure computes what lab 5's reference computes, and errors as many draws show them."""

from __future__ import annotations

import gzip
import sys
from typing import Any

import numpy as np
import pytest
import torch

from solutions.lab05_policy_gradients import reference
from tests.node import BOOK, WIDGETS, run_js

sys.path.insert(0, str(BOOK / "_ext"))
from course_site import widget

STEPS, END = 20, 11
KNOBS = {"gamma": 0.93, "lambda": 0.7}


def lab(rows: dict[str, Any], stops: dict[str, Any], knobs: dict[str, float]) -> Any:
    """Return the reference's advantages of a rollout, or of many side by side."""

    def column(values: Any) -> torch.Tensor:
        tensor = torch.as_tensor(np.asarray(values))
        return tensor if tensor.ndim == 2 else tensor[:, None]

    advantage, _ = reference.gae(
        *(column(rows[name]) for name in ("reward", "value", "nextValue")),
        column(stops["terminated"]),
        column(stops["truncated"]),
        gamma=knobs["gamma"],
        gae_lambda=knobs["lambda"],
    )
    return advantage.numpy()


def test_the_advantages_are_the_references() -> None:
    rng = np.random.default_rng(0)
    rows = {name: rng.normal(size=STEPS).tolist() for name in ("reward", "value", "nextValue")}
    stops = {
        "terminated": [t in (3, 9) for t in range(STEPS)],
        "truncated": [t in (6, 15) for t in range(STEPS)],
    }
    got = run_js("gae-core.js", "core.gae(data, data.knobs)", rows | stops | {"knobs": KNOBS})
    np.testing.assert_allclose(got["advantage"], lab(rows, stops, KNOBS)[:, 0], rtol=1e-12)


# A time limit whose code masks delta looks like a terminal state to the right code; one whose sum
# goes on looks like no ending.
SEEN_AS = {
    ("none", "right"): (False, False),
    ("limit", "right"): (False, True),
    ("terminal", "right"): (True, False),
    ("limit", "done"): (True, False),
    ("terminal", "done"): (True, False),
    ("limit", "leak"): (False, False),
}


@pytest.mark.parametrize(("ending", "mistake"), SEEN_AS)
def test_bias_and_variance_are_those_of_many_draws(ending: str, mistake: str) -> None:
    """50,000 draws of luck and critics, judged by the lab's reference."""
    sigma, c, draws = 0.7, 1.3, 50_000
    data = {"ending": ending, "mistake": mistake, "knobs": KNOBS, "size": {"sigma": sigma, "c": c}}
    still = "{luck: Array(20).fill(0), error: Array(22).fill(0)}"
    found, rows = run_js(
        "gae-core.js",
        "[core.errors(data.ending, data.mistake, data.knobs, data.size),"
        f" core.rollout(data.ending, data.knobs, {still})]",
        data,
    )
    rng = np.random.default_rng(1)
    error = c * rng.normal(size=(STEPS + 2, draws))
    error[0] = 0.0
    after = error[1 : STEPS + 1].copy()
    if ending != "none":
        after[END] = error[STEPS + 1]
    column = {name: np.array(values)[:, None] for name, values in rows.items()}
    noisy = {"value": column["value"] + error[:STEPS], "nextValue": column["nextValue"] + after}
    terminated, truncated = SEEN_AS[ending, mistake]
    stops = {
        name: np.repeat((np.arange(STEPS) == END)[:, None] & here, draws, axis=1)
        for name, here in (("terminated", terminated), ("truncated", truncated))
    }
    reward = np.repeat(column["reward"], draws, axis=1)
    of_critics = lab(noisy | {"reward": reward}, stops, KNOBS)[0]
    squares = of_critics**2
    assert abs(squares.mean() - found["bias"]) < 5 * squares.std() / np.sqrt(draws)

    lucky = reward + sigma * rng.normal(size=(STEPS, draws))
    plain = {name: np.repeat(column[name], draws, axis=1) for name in ("value", "nextValue")}
    of_luck = lab(plain | {"reward": lucky}, stops, KNOBS)[0]
    assert found["variance"] == pytest.approx(of_luck.var(), rel=5 * np.sqrt(2 / draws))


def test_the_sum_is_least_in_between() -> None:
    """A critic that errs and rewards that scatter: neither end of the scale is best."""
    data = {"knobs": [{"gamma": 0.95, "lambda": i / 20} for i in range(21)]}
    got = run_js(
        "gae-core.js",
        "data.knobs.map((knobs) => core.errors('terminal', 'right', knobs, { sigma: 0.5, c: 1 }))",
        data,
    )
    total = [each["bias"] + each["variance"] for each in got]
    assert 0 < int(np.argmin(total)) < 20
    assert got[-1]["bias"] == pytest.approx(0.0, abs=1e-12)


def test_the_figure_is_small_and_says_how_tall_it_is() -> None:
    names = ("gae.js", "gae-core.js", "bias-core.js", "cliff-core.js", "parts.js")
    assert sum(len(gzip.compress((WIDGETS / name).read_bytes())) for name in names) < 15_000
    wide, narrow = widget.reserved_height((WIDGETS / "gae.js").read_text("utf-8"))
    assert 300 < wide <= narrow < 1500
