"""Lab 5, cases: what each exercise is tried on.

Rollouts hold an episode that terminated, one that a time limit cut, one that did both in the same
step, and one that goes on when the rollout ends; values are far from 0 everywhere, so that a mask,
a shift or a leak across a boundary shows. Their numbers are short in binary: whoever makes float32
of a mask (``1 - terminated.float()``) or of a result gets no digit less, also where terms cancel.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from autograder.spec import Case

Rng = np.random.Generator
Cases = Iterator[Case]


def tensor(values: object) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float64))


def away_from_zero(rng: Rng, *shape: int) -> Tensor:
    """Values of either sign, at least 0.5 from 0."""
    return tensor(rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.5, 2.5, size=shape))


def quarters(rng: Rng, *shape: int) -> Tensor:
    """Multiples of 1/4 of either sign, at least 0.5 and at most 2.5 from 0."""
    return tensor(rng.choice([-1.0, 1.0], size=shape) * rng.integers(2, 11, size=shape) / 4)


# ---- 1. a policy's numbers --------------------------------------------------------------------


def logp_by_hand(rng: Rng) -> Cases:
    """exp gives 1, 2, 1: probabilities 1/4, 1/2, 1/4."""
    logits = tensor([[0.0, np.log(2.0), 0.0], [np.log(3.0), 0.0, 0.0]])
    yield {"logits": logits, "action": torch.tensor([1, 2])}


def logp_batch(rng: Rng) -> Cases:
    """As many rows as columns in the second case, so that a wrong axis has the right shape."""
    for batch, num_actions in ((5, 3), (4, 4)):
        logits = tensor(rng.normal(scale=1.5, size=(batch, num_actions)))
        least = logits.argmin(dim=-1)  # not the likeliest action
        yield {"logits": logits, "action": torch.roll(least, 1)}


def logp_large(rng: Rng) -> Cases:
    """exp would be infinite, or 0 and its logarithm infinite."""
    logits = tensor(rng.normal(size=(3, 3))) + tensor([[900.0], [-900.0], [0.0]])
    logits[2, 0] -= 2_000.0
    yield {"logits": logits, "action": torch.tensor([0, 1, 0])}


def entropy_by_hand(rng: Rng) -> Cases:
    """Four equal actions: log 4. Probabilities 1/2, 1/4, 1/4 and 0, almost: 1.5 log 2."""
    logits = tensor([[3.0, 3.0, 3.0, 3.0], [np.log(2.0), 0.0, 0.0, -50.0]])
    yield {"logits": logits}


def entropy_batch(rng: Rng) -> Cases:
    for batch, num_actions in ((3, 5), (4, 4)):
        yield {"logits": tensor(rng.normal(scale=1.5, size=(batch, num_actions)))}


def entropy_large(rng: Rng) -> Cases:
    logits = tensor(rng.normal(size=(2, 3))) + tensor([[900.0], [-900.0]])
    logits[1, 2] -= 2_000.0
    yield {"logits": logits}


# ---- 2. the exact gradient --------------------------------------------------------------------


def bandit_by_hand(rng: Rng) -> Cases:
    """p = 1/2, 1/2 and rewards 1, 3: the mean is 2, the gradient p (r - 2) = -1/2, 1/2."""
    yield {"theta": tensor([0.7, 0.7]), "reward": tensor([1.0, 3.0])}


def bandits(rng: Rng) -> Cases:
    for num_actions in (3, 5):
        theta = tensor(rng.normal(scale=1.2, size=num_actions))
        yield {"theta": theta, "reward": away_from_zero(rng, num_actions) + 3.0}


# ---- 3. and 8. along one environment's rollout ------------------------------------------------


def returns_by_hand(rng: Rng) -> Cases:
    """Terminated after two steps, truncated after two more, then cut: 2, 2, 3.5, 5, 5."""
    yield {
        "reward": tensor([1.0, 2.0, 1.0, 1.0, 3.0]),
        "next_value": tensor([9.0, 9.0, 9.0, 8.0, 4.0]),
        "terminated": torch.tensor([False, True, False, False, False]),
        "truncated": torch.tensor([False, False, False, True, False]),
        "gamma": 0.5,
    }


def stretch(
    rng: Rng, num_steps: int, *, terminated: tuple[int, ...], truncated: tuple[int, ...]
) -> Case:
    """A rollout of one environment with endings at the given steps."""
    steps = torch.arange(num_steps)
    return {
        "reward": quarters(rng, num_steps),
        "next_value": quarters(rng, num_steps) * 3.0,
        "terminated": torch.isin(steps, torch.tensor(terminated, dtype=torch.long)),
        "truncated": torch.isin(steps, torch.tensor(truncated, dtype=torch.long)),
        "gamma": float(rng.choice([0.5, 0.75])),
    }


def never_ends(rng: Rng) -> Cases:
    yield stretch(rng, 5, terminated=(), truncated=())


def terminates(rng: Rng) -> Cases:
    yield stretch(rng, 7, terminated=(3,), truncated=())
    yield stretch(rng, 5, terminated=(1, 4), truncated=())


def time_is_up(rng: Rng) -> Cases:
    yield stretch(rng, 7, terminated=(), truncated=(2,))
    yield stretch(rng, 6, terminated=(), truncated=(1, 5))


def both_endings(rng: Rng) -> Cases:
    yield stretch(rng, 8, terminated=(1, 4), truncated=(4, 6))


def with_value(case: Case, rng: Rng) -> Case:
    return case | {"value": quarters(rng, len(case["reward"])) * 3.0}


def n_steps_by_hand(rng: Rng) -> Cases:
    """n = 2, gamma 1/2, the last step terminal: 1 + 2/2 + 8/4 - 1 = 3, 2 + 4/2 - 2 and 4 - 3."""
    yield {
        "reward": tensor([1.0, 2.0, 4.0]),
        "value": tensor([1.0, 2.0, 3.0]),
        "next_value": tensor([6.0, 8.0, 16.0]),
        "terminated": torch.tensor([False, False, True]),
        "truncated": torch.tensor([False, False, False]),
        "gamma": 0.5,
        "n": 2,
    }


def n_steps_go_on(rng: Rng) -> Cases:
    for n in (1, 3):
        yield with_value(stretch(rng, 6, terminated=(), truncated=()), rng) | {"n": n}


def n_steps_terminate(rng: Rng) -> Cases:
    yield with_value(stretch(rng, 7, terminated=(3,), truncated=()), rng) | {"n": 3}


def n_steps_time_is_up(rng: Rng) -> Cases:
    yield with_value(stretch(rng, 7, terminated=(), truncated=(3,)), rng) | {"n": 3}


def more_steps_than_there_are(rng: Rng) -> Cases:
    yield with_value(stretch(rng, 5, terminated=(2,), truncated=(2,)), rng) | {"n": 9}


# ---- 4. and 5. losses -------------------------------------------------------------------------


def loss_by_hand(rng: Rng) -> Cases:
    """-(-1 * 2 + -0.5 * -3) / 2 = 0.25."""
    yield {"logp": tensor([-1.0, -0.5]), "advantage": tensor([2.0, -3.0])}


def losses(rng: Rng) -> Cases:
    for batch in (4, 7):
        yield {"logp": -away_from_zero(rng, batch).abs(), "advantage": away_from_zero(rng, batch)}


def critic_by_hand(rng: Rng) -> Cases:
    """Errors 1 and -3: (1 + 9) / 2 = 5."""
    yield {"value": tensor([[2.0], [1.0]]), "returns": tensor([1.0, 4.0])}


def critics(rng: Rng) -> Cases:
    for batch in (3, 6):
        value = away_from_zero(rng, batch).unsqueeze(-1)
        yield {"value": value, "returns": away_from_zero(rng, batch) * 2.0}


# ---- 6. generalised advantage estimation ------------------------------------------------------


def gae_by_hand(rng: Rng) -> Cases:
    """gamma 1/2, lambda 1/2; deltas 1 + 4/2 - 1 = 2 and 3 - 2 = 1: 2 + 1/4 and 1."""
    yield {
        "reward": tensor([[1.0], [3.0]]),
        "value": tensor([[1.0], [2.0]]),
        "next_value": tensor([[4.0], [8.0]]),
        "terminated": torch.tensor([[False], [True]]),
        "truncated": torch.tensor([[False], [False]]),
        "gamma": 0.5,
        "gae_lambda": 0.5,
    }


def rollout(
    rng: Rng, *, terminated: tuple[tuple[int, int], ...], truncated: tuple[tuple[int, int], ...]
) -> Case:
    """Six steps of three environments; endings at the given (step, environment)."""
    shape = (6, 3)
    gamma, gae_lambda = rng.permutation([0.5, 0.75])
    ends = {name: torch.zeros(shape, dtype=torch.bool) for name in ("terminated", "truncated")}
    for name, places in (("terminated", terminated), ("truncated", truncated)):
        for place in places:
            ends[name][place] = True
    return {
        "reward": quarters(rng, *shape),
        "value": quarters(rng, *shape) * 3.0,
        "next_value": quarters(rng, *shape) * 3.0,
        **ends,
        "gamma": float(gamma),
        "gae_lambda": float(gae_lambda),
    }


def gae_goes_on(rng: Rng) -> Cases:
    yield rollout(rng, terminated=(), truncated=())


def gae_terminates(rng: Rng) -> Cases:
    yield rollout(rng, terminated=((2, 0), (4, 1), (5, 2)), truncated=())


def gae_time_is_up(rng: Rng) -> Cases:
    yield rollout(rng, terminated=(), truncated=((1, 0), (3, 2), (5, 1)))


def gae_both(rng: Rng) -> Cases:
    yield rollout(rng, terminated=((3, 0), (2, 1)), truncated=((3, 0), (5, 1), (0, 2)))


def gae_extremes(rng: Rng) -> Cases:
    """Lambda 0 leaves the errors of one step, lambda 1 sums all of them."""
    ends = {"terminated": ((3, 0),), "truncated": ((4, 1),)}
    for gae_lambda in (0.0, 1.0):
        yield rollout(rng, **ends) | {"gae_lambda": gae_lambda}


# ---- 7. normalisation -------------------------------------------------------------------------


def normalise_by_hand(rng: Rng) -> Cases:
    """Mean 3, deviation sqrt((4 + 0 + 4) / 2) = 2: -1, 0, 1."""
    yield {"advantage": tensor([1.0, 3.0, 5.0])}


def normalise_all(rng: Rng) -> Cases:
    for shape in ((6,), (4, 3)):
        yield {"advantage": tensor(2.0 + 3.0 * rng.normal(size=shape))}


def normalise_masked(rng: Rng) -> Cases:
    """What does not count is far away."""
    advantage = tensor(2.0 + 3.0 * rng.normal(size=(5, 3)))
    mask = torch.ones((5, 3), dtype=torch.bool)
    for place in ((0, 1), (3, 0), (4, 2)):
        mask[place] = False
        advantage[place] = 40.0
    yield {"advantage": advantage, "mask": mask}


def normalise_equal(rng: Rng) -> Cases:
    yield {"advantage": tensor(np.full(4, float(rng.uniform(1.0, 2.0))))}
