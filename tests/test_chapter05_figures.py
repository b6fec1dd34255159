"""Chapter 5's figures: exact spreads against samples, GAE's error against its formula."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import lab05_gae_curve as chain
from book.figures import advantage

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


def test_every_number_of_the_prose_exists_and_is_used() -> None:
    used = set(re.findall(r"\{glue:text\}`(\w+)`", CHAPTER.read_text(encoding="utf-8")))
    assert used == set(advantage.numbers())
