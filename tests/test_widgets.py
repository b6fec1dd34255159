"""The interactive figures compute what the lab's reference computes: both get the same inputs."""

from __future__ import annotations

import gzip
import json
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest

from solutions.lab02_q_learning_sarsa import reference
from tests.node import BOOK, WIDGETS, run_js

sys.path.insert(0, str(BOOK / "_ext"))
from course_site import widget

START, GOAL = 36, 47
KNOBS = {"alpha": 0.3, "gamma": 0.9, "epsilon": 0.2}


def random_table(rng: np.random.Generator, shape: tuple[int, int] = (48, 4)) -> np.ndarray:
    """Values with ties among them, and none that are zero."""
    return -1.0 - rng.integers(0, 4, shape).astype(float)


def random_transitions(rng: np.random.Generator, count: int) -> list[dict[str, Any]]:
    return [
        {
            "obs": int(rng.integers(48)),
            "action": int(rng.integers(4)),
            "reward": float(rng.normal()),
            "nextObs": int(rng.integers(48)),
            "nextAction": int(rng.integers(4)),
            "terminated": bool(rng.random() < 0.3),
        }
        for _ in range(count)
    ]


def test_the_worlds_step_is_gymnasiums() -> None:
    model = gymnasium.make("CliffWalking-v1").unwrapped.P  # type: ignore[attr-defined]
    states = [obs for obs in range(48) if not START < obs <= GOAL]
    pairs = [(obs, action) for obs in states for action in range(4)]
    got = run_js("cliff-core.js", "data.map(([s, a]) => core.step(s, a))", pairs)
    for (obs, action), step in zip(pairs, got, strict=True):
        ((_, next_obs, reward, terminated),) = model[obs][action]
        assert (step["obs"], step["reward"], step["terminated"]) == (next_obs, reward, terminated)


@pytest.mark.parametrize("seed", range(5))
def test_the_policys_probabilities_are_the_references(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = random_table(rng, (30, 4))
    got = run_js("cliff-core.js", "data.map((q) => core.policy(q, 0.2))", rows.tolist())
    expected = [reference.epsilon_greedy_probs(row, 0.2) for row in rows]
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def reference_updates(
    method: str, q: np.ndarray, transitions: list[dict[str, Any]], knobs: dict[str, float]
) -> np.ndarray:
    """Apply the lab's functions, one transition after another."""
    alpha, gamma, epsilon = knobs["alpha"], knobs["gamma"], knobs["epsilon"]
    q = q.copy()
    for t in transitions:
        obs, action = t["obs"], t["action"]
        where = (obs, action, t["reward"], t["nextObs"])
        if method == "qlearning":
            reference.q_update(q, *where, t["terminated"], alpha=alpha, gamma=gamma)
        elif method == "sarsa":
            reference.sarsa_update(
                q, *where, t["nextAction"], t["terminated"], False, alpha=alpha, gamma=gamma
            )
        else:
            target = reference.expected_sarsa_target(
                q, t["nextObs"], t["reward"], t["terminated"], epsilon=epsilon, gamma=gamma
            )
            q[obs, action] += alpha * (target - q[obs, action])
    return q


@pytest.mark.parametrize("method", ["sarsa", "expected", "qlearning"])
@pytest.mark.parametrize("seed", range(3))
def test_an_update_on_the_cliff_is_the_references(method: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    q, transitions = random_table(rng), random_transitions(rng, 400)
    expression = (
        "(() => { const Q = Float64Array.from(data.Q);"
        " for (const t of data.transitions) core.update(data.method, Q, t, data.knobs);"
        " return Array.from(Q); })()"
    )
    data = {"Q": q.ravel().tolist(), "transitions": transitions, "method": method, "knobs": KNOBS}
    got = np.array(run_js("cliff-core.js", expression, data)).reshape(q.shape)
    np.testing.assert_allclose(got, reference_updates(method, q, transitions, KNOBS), rtol=1e-9)
    others = {"sarsa", "expected", "qlearning"} - {method}
    for other in others:  # the inputs tell the methods apart
        assert not np.allclose(got, reference_updates(other, q, transitions, KNOBS))


def test_500_episodes_end_where_the_measured_agents_end() -> None:
    knobs = {"alpha": 0.5, "gamma": 1.0, "epsilon": 0.1}
    expression = (
        "data.seeds.map((seed) => core.METHODS.map((m) => { const agent = new core.Agent(m, seed);"
        " for (let i = 0; i < 500; i++) agent.episode(data.knobs);"
        " return [agent.recent(100), agent.greedyPath().length - 1]; }))"
    )
    got = np.array(run_js("cliff-core.js", expression, {"seeds": list(range(30)), "knobs": knobs}))
    online, steps = got[:, :, 0].mean(axis=0), got[:, :, 1]
    # Gates on means of 30 seeds, five standard errors wide, from `make bench`.
    for mean, (low, high) in zip(online, [(-35.5, -20.5), (-23, -18.7), (-58, -44)], strict=True):
        assert low < mean < high
    assert (steps[:, 1] == 15).all()
    assert (steps[:, 2] == 13).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_two_updates_of_the_bias_figure_are_the_references(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, 3, 5))
    transitions = [
        t | {"obs": t["obs"] % 3, "nextObs": t["nextObs"] % 3} for t in random_transitions(rng, 200)
    ]
    expression = (
        "(() => { const { first, second, transitions, knobs } = data;"
        " const plain = structuredClone(first);"
        " for (const t of transitions) { core.doubleUpdate(first, second, t, knobs);"
        " core.qUpdate(plain, t, knobs); } return { first, second, plain }; })()"
    )
    data = {
        "first": first.tolist(),
        "second": second.tolist(),
        "transitions": transitions,
        "knobs": KNOBS,
    }
    got = run_js("bias-core.js", expression, data)

    class Heads(np.random.Generator):
        """The coin always gives the first table the turn."""

        def random(self, *args: Any, **kwargs: Any) -> Any:
            return 0.0

    plain, untouched = first.copy(), second.copy()
    for t in transitions:
        where = (t["obs"], t["action"], t["reward"], t["nextObs"], t["terminated"])
        reference.q_update(plain, *where, alpha=0.3, gamma=0.9)
        coin = Heads(np.random.PCG64(0))
        reference.double_q_update(first, second, *where, alpha=0.3, gamma=0.9, rng=coin)
    np.testing.assert_allclose(got["plain"], plain, rtol=1e-9)
    np.testing.assert_allclose(got["first"], first, rtol=1e-9)
    np.testing.assert_array_equal(got["second"], untouched)


def test_the_bias_is_as_large_as_measured() -> None:
    path = BOOK.parent / "benchmarks" / "results" / "lab02_max_bias.json"
    measured = json.loads(path.read_text("utf-8"))["methods"]
    settings = {"actions": 10, "mean": -0.1, "alpha": 0.1, "epsilon": 0.1}
    data = settings | {"episodes": 300, "runs": 1000, "seed": 1}
    expression = "[false, true].map((d) => Array.from(core.leftByEpisode(d, data)))"
    got = np.array(run_js("bias-core.js", expression, data))
    for share, name in zip(got, ["Q-learning", "Double Q-learning"], strict=True):
        expected = np.array(measured[name]["left by episode"])
        error = np.sqrt(2 * expected * (1 - expected) / 1000)
        worst = (np.abs(share - expected) / error).max()
        assert worst < 5, f"{name} is {worst:.1f} standard errors off"


@pytest.mark.parametrize("name", ["cliff", "bias"])
def test_a_figure_is_small_and_says_how_tall_it_is(name: str) -> None:
    sources = [WIDGETS / f"{name}.js", WIDGETS / f"{name}-core.js", WIDGETS / "parts.js"]
    assert sum(len(gzip.compress(path.read_bytes())) for path in sources) < 15_000
    wide, narrow = widget.reserved_height(sources[0].read_text("utf-8"))
    assert 200 < wide < narrow
