"""Chapter 5's figures: exact spreads against samples, GAE's error against its formula."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import lab05_gae_curve as chain
from book.figures import advantage, gradients

CHAPTER = Path(__file__).parent.parent / "book" / "chapters" / "05_policy_gradients.md"


@pytest.mark.parametrize("baseline", advantage.baselines().values())
def test_the_exact_spread_is_that_of_samples(baseline: float) -> None:
    """Mean squared errors of 2,000 estimates scatter by about 1 / sqrt(2,000) of themselves."""
    for size in (10, 1_000):
        exact = advantage.spread(baseline) / np.sqrt(size)
        assert advantage.measured(baseline, size) == pytest.approx(exact, rel=0.1)


def test_the_mean_reward_is_nearly_the_best_baseline() -> None:
    """The best one weighs rewards by the squared length of their scores: a parabola's minimum."""
    p = advantage.policy()
    lengths = ((np.eye(3) - p) ** 2).sum(axis=1)
    best = float(p * lengths @ advantage.REWARDS / (p @ lengths))
    spreads = {name: advantage.spread(b) for name, b in advantage.baselines().items()}
    assert min(spreads, key=spreads.__getitem__) == "the mean reward"
    for other in (best - 0.01, best + 0.01, *advantage.baselines().values()):
        assert advantage.spread(best) < advantage.spread(other)
    assert spreads["the mean reward"] < 1.15 * advantage.spread(best)


def test_the_bias_is_what_the_chapter_derives() -> None:
    """Equation eq-gae-bias, by a linear system, against a walk of 120,000 steps."""
    rng = np.random.default_rng(0)
    policy = np.tile([0.4, 0.6], (chain.NUM_OBS, 1))
    P, _, terminal = chain.chain()
    error = rng.normal(size=chain.NUM_OBS)
    error[terminal] = 0.0
    onward = np.einsum("sa,sax->sx", policy, P)
    for gae_lambda, found in zip(chain.LAMBDAS, chain.measured(0, 1.0)["felt"], strict=True):
        # sum over k >= 1 of (gamma lambda)^(k - 1) E[e(s_{t+k})] obeys a Bellman equation
        shrink = chain.GAMMA * gae_lambda
        later = np.linalg.solve(np.eye(chain.NUM_OBS) - shrink * onward, error)
        bias = chain.GAMMA * (1.0 - gae_lambda) * (P @ later)
        bias -= (policy * bias).sum(axis=1, keepdims=True)
        data = chain.walk(policy, np.random.default_rng(1))
        expected = (bias[data["obs"], data["action"]] ** 2).mean()
        assert found == pytest.approx(expected, rel=0.3, abs=0.004)


def test_the_best_lambda_grows_with_the_batch() -> None:
    lambdas = np.array(advantage.curve()["lambdas"])
    best = [float(lambdas[np.argmin(advantage.batch_error(n))]) for n in advantage.BATCHES]
    assert best == sorted(set(best))
    assert best[0] > 0.0
    assert best[-1] < 1.0


def test_the_bias_of_the_figure_is_the_measured_one_without_its_noise() -> None:
    """A mean over some thousand estimates errs by their variance over their number."""
    found = advantage.curve()["errors"]["1.0"]
    samples = chain.NUM_ENVS * chain.NUM_STEPS // 2
    pairs = 2 * (chain.NUM_OBS - 2)
    noise = np.array(found["variance"]["mean"]) * pairs / samples
    measured = np.array(found["felt"]["mean"])
    assert (abs(measured - advantage.felt()) < 0.02 * measured + noise).all()
    assert advantage.felt()[-1] == 0.0


def test_every_weight_of_the_scores_has_the_exact_gradient_as_its_mean() -> None:
    """Five standard errors, cell by cell; the exact one against a difference of values."""
    values, exact = gradients.exact()
    for estimate in gradients.estimates().values():
        errors = estimate.std(axis=0) / np.sqrt(len(estimate))
        assert (abs(estimate.mean(axis=0) - exact) <= 5 * errors).all()
    spreads = list(gradients.spreads().values())
    assert spreads == sorted(spreads, reverse=True)

    P, R, terminal = gradients.chain.chain()

    def worth(policy: np.ndarray) -> float:
        onward = np.einsum("sa,sax->sx", policy, P)
        onward[terminal] = 0.0
        return float(np.linalg.solve(np.eye(len(R)) - onward, onward @ R)[gradients.chain.START])

    right = np.full(len(R), gradients.RIGHT)
    assert worth(np.stack([1 - right, right], axis=1)) == pytest.approx(
        values[gradients.chain.START]
    )
    for cell in (3, 10, 17):
        logit, sides = np.log(right[cell] / (1 - right[cell])), []
        for step in (-1e-4, 1e-4):
            moved = right.copy()
            moved[cell] = 1 / (1 + np.exp(-(logit + step)))
            sides.append(worth(np.stack([1 - moved, moved], axis=1)))
        assert (sides[1] - sides[0]) / 2e-4 == pytest.approx(exact[cell], rel=1e-5)


def test_a_baseline_decides_whether_a_bandit_is_learned() -> None:
    with_it, without = gradients.learned(True), gradients.learned(False)
    assert with_it[1] < 0.02 < 0.4 < without[1]
    for expected, _ in (with_it, without):  # both begin with equal probabilities
        assert expected[0] == pytest.approx(advantage.REWARDS.mean())


def test_gymnasium_resets_as_the_chapter_says() -> None:
    """Where an episode ends, which call is a step that nobody took, and where the last obs is."""
    following, same, disabled = (gradients.calls(mode) for mode in gradients.MODES)
    assert [told["obs"] for told in following] == [0, 1, 2, 3, 0, 1, 2]
    assert [told["reward"] for told in following] == [None, 1, 1, 1, 0, 1, 1]
    assert [told["obs"] for told in same] == [0, 1, 2, 0, 1, 2, 0]
    assert [told["final"] for told in same] == [None, None, None, 3, None, None, 3]
    assert [told["reward"] for told in same][1:] == [1] * 6
    assert [told["obs"] for told in disabled] == [0, 1, 2, 3, 0, 1, 2]
    assert [told["call"] for told in disabled].index("reset", 1) == 4


def test_an_episode_divided_by_its_own_length_prefers_to_stop() -> None:
    """The chapter's example: stop for 1, or go on for 1.5 in two steps."""
    theta = np.zeros(2)
    p = np.exp(theta) / np.exp(theta).sum()
    scores = np.eye(2) - p
    right, wrong = (p * np.array(weights) @ scores for weights in ((1.0, 1.5), (1.0, 0.75)))
    assert right[1] > 0 > wrong[1]


def test_every_number_of_the_prose_exists_and_is_used() -> None:
    used = set(re.findall(r"\{glue:text\}`(\w+)`", CHAPTER.read_text(encoding="utf-8")))
    assert used == advantage.numbers().keys() | gradients.numbers().keys()
