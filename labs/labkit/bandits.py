"""Very many k-armed bandits at once, in torch: one step pulls an arm of each.

What a rule knows of its arms stands in tensors of shape ``(num_arms, num_bandits)``, float32; an
action per bandit is int64 of shape ``(num_bandits,)``. All of them live on one device.

Source: the 10-armed testbed, its rules and their equations are from chapter 2 of Sutton and Barto,
Reinforcement Learning: An Introduction, second edition, 2018.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

Float = NDArray[np.float64]
Baseline = Literal["earlier", "so far", "none"]


class Rule(Protocol):
    """What `run_bandits` asks of a way to play; yours may be any class with these three methods."""

    def reset(self, num_arms: int, num_bandits: int, device: torch.device | str) -> None:
        """Forget everything, and get ready for that many bandits."""

    def choose(self, generator: torch.Generator) -> torch.Tensor:
        """Return an action for each bandit, without learning anything."""

    def learn(self, action: torch.Tensor, reward: torch.Tensor) -> None:
        """Take in what the actions earned, shape ``(num_bandits,)``."""


@dataclasses.dataclass
class EpsilonGreedy:
    """Pulls the arm with the highest estimate; with probability epsilon any arm. Ties are shared.

    Args:
        epsilon: probability of exploring; the best arm may be drawn then, too.
        step_size: weight of a new reward (equation 2.5); None averages all rewards of an arm
            (equation 2.3).
        initial: estimate that every arm starts with. An optimistic one makes even ``epsilon=0``
            explore, but with ``step_size=None`` an arm's first reward replaces it.

    Attributes:
        values: estimate of each arm.
        visits: how often each arm was pulled.

    Raises:
        ValueError: if epsilon is not in [0, 1] or the step size not in (0, 1].
    """

    epsilon: float = 0.0
    step_size: float | None = None
    initial: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1:
            raise ValueError(f"epsilon is a probability, not {self.epsilon}")
        if self.step_size is not None and not 0 < self.step_size <= 1:
            raise ValueError(f"the step size must lie in (0, 1], but is {self.step_size}")

    def reset(self, num_arms: int, num_bandits: int, device: torch.device | str) -> None:
        self.values = torch.full((num_arms, num_bandits), float(self.initial), device=device)
        self.visits = torch.zeros_like(self.values)

    def choose(self, generator: torch.Generator) -> torch.Tensor:
        candidates = self.values == self.values.amax(dim=0)
        explores = torch.rand(len(candidates.T), generator=generator, device=candidates.device)
        return _any_of(candidates | (explores < self.epsilon), generator)

    def learn(self, action: torch.Tensor, reward: torch.Tensor) -> None:
        arm = action[None]
        visits = self.visits.gather(0, arm) + 1
        self.visits.scatter_(0, arm, visits)
        step = visits.reciprocal() if self.step_size is None else self.step_size
        value = self.values.gather(0, arm)
        self.values.scatter_(0, arm, value + step * (reward - value))


@dataclasses.dataclass
class UCB:
    """Pulls the arm with the highest ``value + c * sqrt(log(t) / visits)``; ties are shared.

    An arm that was never pulled comes before all others; t counts the steps from 1. Estimates are
    sample averages.

    Args:
        c: weight of what is uncertain.

    Attributes:
        values: estimate of each arm.
        visits: how often each arm was pulled.

    Raises:
        ValueError: if c is negative.

    Source: equation 2.10.
    """

    c: float = 2.0

    def __post_init__(self) -> None:
        if not self.c >= 0:
            raise ValueError(f"c must not be negative, but is {self.c}")

    def reset(self, num_arms: int, num_bandits: int, device: torch.device | str) -> None:
        self._averages = EpsilonGreedy()
        self._averages.reset(num_arms, num_bandits, device)
        self.values, self.visits = self._averages.values, self._averages.visits
        self._step = 1

    def choose(self, generator: torch.Generator) -> torch.Tensor:
        bonus = self.c * torch.sqrt(math.log(self._step) / self.visits)
        scores = torch.where(self.visits > 0, self.values + bonus, torch.inf)
        return _any_of(scores == scores.amax(dim=0), generator)

    def learn(self, action: torch.Tensor, reward: torch.Tensor) -> None:
        self._averages.learn(action, reward)
        self._step += 1


@dataclasses.dataclass
class GradientBandit:
    """Draws an arm from ``softmax(preferences)`` and climbs the gradient of the expected reward.

    ``preferences += step_size * (reward - baseline) * (one_hot(action) - softmax(preferences))``

    Args:
        step_size: of the ascent.
        baseline: the average reward that each reward is compared with. "earlier" leaves the new
            reward out, as the text has it (the first reward is its own baseline); "so far" takes it
            in, as a footnote says that the book's figures do; "none" is 0.

    Attributes:
        preferences: of each arm; they start at 0.

    Raises:
        ValueError: if the step size is not positive or there is no such baseline.

    Source: equation 2.12.
    """

    step_size: float = 0.1
    baseline: Baseline = "earlier"

    def __post_init__(self) -> None:
        if not self.step_size > 0:
            raise ValueError(f"the step size must be positive, but is {self.step_size}")
        if self.baseline not in ("earlier", "so far", "none"):
            raise ValueError(f'a baseline is "earlier", "so far" or "none", not "{self.baseline}"')

    def reset(self, num_arms: int, num_bandits: int, device: torch.device | str) -> None:
        self.preferences = torch.zeros(num_arms, num_bandits, device=device)
        self._average = torch.zeros(num_bandits, device=device)
        self._step = 1

    def choose(self, generator: torch.Generator) -> torch.Tensor:
        chances = self.preferences.softmax(dim=0).cumsum(dim=0)
        draw = torch.rand(len(chances.T), generator=generator, device=chances.device)
        below = (chances <= draw * chances[-1]).sum(dim=0)
        return below.clamp_(max=len(chances) - 1)  # a product may be rounded up

    def learn(self, action: torch.Tensor, reward: torch.Tensor) -> None:
        average = self._average + (reward - self._average) / self._step
        compared = average if self.baseline == "so far" or self._step == 1 else self._average
        ahead = reward if self.baseline == "none" else reward - compared
        change = self.preferences.softmax(dim=0).neg_()
        change.scatter_add_(0, action[None], torch.ones_like(reward)[None])
        self.preferences += self.step_size * ahead * change
        self._average = average
        self._step += 1


@dataclasses.dataclass(frozen=True)
class Played:
    """What `run_bandits` measured.

    An optimal action is one that pulls the arm with the highest true value. Divide a standard
    deviation over the bandits by ``sqrt(num_bandits)`` to get the standard error of ``late_...``.

    Attributes:
        reward: mean reward of each step, shape ``(num_steps,)``.
        reward_stderr: its standard error.
        optimal: share of optimal actions in each step, shape ``(num_steps,)``.
        optimal_stderr: its standard error.
        late_reward: mean reward of each bandit in the last ``late`` steps, shape
            ``(num_bandits,)``.
        late_optimal: share of optimal actions of each bandit in those steps.
    """

    reward: Float
    reward_stderr: Float
    optimal: Float
    optimal_stderr: Float
    late_reward: Float
    late_optimal: Float


@torch.inference_mode()
def run_bandits(
    rule: Rule,
    *,
    num_bandits: int,
    num_steps: int = 1_000,
    num_arms: int = 10,
    mean: float = 0.0,
    late: int = 100,
    chunk: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    desc: str | None = None,
) -> Played:
    """Play many bandits in lockstep by one rule, and return how well it does on average.

    Each bandit's true values are drawn from a normal distribution with variance 1, and a reward
    from one around the pulled arm's true value, also with variance 1. With ten arms and mean 0 this
    is the 10-armed testbed.

    Args:
        rule: how to play, for instance ``EpsilonGreedy(0.1)``.
        num_bandits: number of bandits, each with its own arms.
        num_steps: how often each is played.
        num_arms: arms of each.
        mean: of the true values.
        late: number of last steps that ``late_reward`` and ``late_optimal`` average.
        chunk: bandits that are in memory at once (a few hundred bytes each); None fits the device.
        seed: seed of all randomness; the numbers differ between devices and chunk sizes, their
            statistics do not.
        device: where to compute.
        desc: what the progress bar says; None hides it.

    Raises:
        ValueError: if a count is less than 1, or ``late`` more than ``num_steps``.
    """
    if chunk is None:
        chunk = 2**13 if torch.device(device).type == "cpu" else 2**18  # what caches hold
    counts = {"num_bandits": num_bandits, "num_steps": num_steps, "num_arms": num_arms}
    for name, count in {**counts, "late": late, "chunk": chunk}.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, but is {count}")
    if late > num_steps:
        raise ValueError(f"the last {late} of {num_steps} steps cannot be averaged")
    generator = torch.Generator(device).manual_seed(seed)
    sums = np.zeros((3, num_steps))
    late_sums = []
    total, hidden = num_bandits * num_steps, desc is None
    with tqdm(total=total, desc=desc, disable=hidden, unit=" pulls", unit_scale=True) as bar:
        for begin in range(0, num_bandits, chunk):
            size = min(chunk, num_bandits - begin)
            shape = num_arms, size
            q_star = mean + torch.randn(shape, generator=generator, device=device)
            best = q_star.max(dim=0).indices
            found = torch.zeros(3, num_steps, device=device)
            late_found = torch.zeros(2, size, device=device)
            rule.reset(num_arms, size, device)
            for step in range(num_steps):
                action = rule.choose(generator)
                noise = torch.randn(size, generator=generator, device=device)
                reward = q_star.gather(0, action[None])[0] + noise
                rule.learn(action, reward)
                optimal = (action == best).float()
                found[:, step] = torch.stack((reward, reward * reward, optimal)).sum(dim=1)
                if step >= num_steps - late:
                    late_found[0] += reward
                    late_found[1] += optimal
                bar.update(size)
            sums += found.cpu().numpy()  # across chunks in float64
            late_sums.append(late_found.cpu().numpy().astype(np.float64))
    reward_mean, square_mean, share = sums / num_bandits
    late_reward, late_optimal = np.concatenate(late_sums, axis=1) / late
    return Played(
        reward=reward_mean,
        reward_stderr=np.sqrt(np.maximum(square_mean - reward_mean**2, 0) / num_bandits),
        optimal=share,
        optimal_stderr=np.sqrt(share * (1 - share) / num_bandits),
        late_reward=late_reward,
        late_optimal=late_optimal,
    )


def _any_of(candidates: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return, for each column, one of its true rows, all equally likely."""
    order = torch.rand(candidates.shape, generator=generator, device=candidates.device)
    # max, since argmax along this dimension takes several times as long
    return (order + candidates).max(dim=0).indices
