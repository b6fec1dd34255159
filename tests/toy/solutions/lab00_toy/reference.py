"""Toy lab, reference: one short answer for every kind of exercise.

Arrays are float64 and one-dimensional; times count steps.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

Float = NDArray[np.float64]
STEPS = 200


def discounted_return(rewards: Float, gamma: float) -> float:
    """Return ``sum_t gamma^t * r_t``.

    Args:
        rewards: ``r_t``, shape ``(num_steps,)``.
        gamma: discount per step, in ``[0, 1]``.
    """
    return_ = 0.0
    for reward in rewards[::-1]:
        return_ = float(reward) + gamma * return_
    return return_


def value_loss(value: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return ``mean((value - target)^2)``, with no gradient into the target.

    Args:
        value: predictions, shape ``(batch,)``.
        target: what they should be, shape ``(batch,)``.
    """
    error = value - target.detach()
    return (error * error).mean()


def decay_traces(traces: Float, obs: int, *, decay: float) -> None:
    """Multiply all traces by ``decay``, then add one to that of ``obs``, in place.

    Args:
        traces: one trace per observation, shape ``(num_obs,)``.
        obs: the observation that was just met.
        decay: factor per step, in ``[0, 1]``.
    """
    traces *= decay
    traces[obs] += 1.0


class RunningMean:
    """Mean and count of the numbers seen so far.

    Args:
        start: what the mean is before the first number.
    """

    def __init__(self, start: float = 0.0) -> None:
        """Start with no numbers."""
        self.mean, self.count = start, 0

    def update(self, number: float) -> float:
        """Take in one more number and return the mean.

        Args:
            number: the new one.
        """
        self.count += 1
        self.mean += (number - self.mean) / self.count
        return self.mean

    def seen(self) -> int:
        """Return how many numbers there were."""
        return int(self.count)


def softmax(logits: Float, temperature: float) -> Float:
    """Return ``exp(logits / temperature)``, normalized to sum to 1.

    Args:
        logits: shape ``(num_actions,)``.
        temperature: positive; a small one approaches the maximum.

    Raises:
        ValueError: if ``temperature`` is not positive.
    """
    if temperature <= 0.0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    scaled = np.exp((logits - logits.max()) / temperature)
    weights: Float = scaled / scaled.sum()
    return weights


def sample_action(probs: Float, rng: np.random.Generator) -> int:
    """Return an action, drawn with the probability that it has.

    Args:
        probs: probability of each action, shape ``(num_actions,)``.
        rng: source of randomness.
    """
    return int(np.searchsorted(np.cumsum(probs), rng.random(), side="right"))


def fit_line(x: Float, y: Float) -> dict[str, Float]:
    """Return ``slope`` and ``intercept`` of the line through ``(x, y)`` with the least squares.

    Args:
        x: shape ``(num_points,)``.
        y: shape ``(num_points,)``.

    Returns:
        Arrays of shape ``()``.
    """
    centred = x - x.mean()
    slope = (centred * y).sum() / (centred * centred).sum()
    return {"slope": np.array(slope), "intercept": np.array(y.mean() - slope * x.mean())}


def clip_norm(gradient: Float, max_norm: float) -> Float:
    """Return the gradient, scaled down to length ``max_norm`` if it is longer.

    Args:
        gradient: shape ``(num_parameters,)``.
        max_norm: the greatest length allowed, positive.
    """
    norm = float(np.sqrt((gradient * gradient).sum()))
    scale = min(1.0, max_norm / (norm + 1e-12))
    return gradient * scale


def arm_means(num_arms: int, seed: int) -> Float:
    """Return the hidden mean reward of each arm of a bandit.

    Args:
        num_arms: how many arms there are.
        seed: which bandit.
    """
    return np.random.default_rng(seed).normal(size=num_arms)


def train_bandit(learner: type, steps: int = STEPS) -> Mapping[str, Float]:
    """Return what a learner believes of each of five arms after pulling them in turn.

    Args:
        learner: a class like ``RunningMean``.
        steps: pulls per arm.
    """
    means, rng = arm_means(5, seed=0), np.random.default_rng(1)
    learners = [learner() for _ in means]
    for _ in range(steps):
        for arm, each in enumerate(learners):
            each.update(rng.normal(means[arm], 0.1))
    return {"values": np.array([each.mean for each in learners])}
