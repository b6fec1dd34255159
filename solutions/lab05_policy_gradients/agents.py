"""Lab 5, the trained agent: how submitted networks are measured; right and wrong ones."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from autograder.spec import Parameters
from solutions.lab05_policy_gradients import reference
from solutions.lab05_policy_gradients.reference import ActorCritic

SHAPES = {
    "0.weight": (64, 4),
    "0.bias": (64,),
    "2.weight": (64, 64),
    "2.bias": (64,),
    "4.weight": (2, 64),
    "4.bias": (2,),
}
EVALUATION_SEED = 20_000  # far from those that training uses
NUM_EPISODES = 20


def answers(**others: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Return what `reference.train_a2c` takes, some of it replaced."""
    names = ("categorical_logp", "categorical_entropy", "gae", "normalise")
    right = {n: getattr(reference, n) for n in (*names, "reinforce_loss", "value_loss")}
    return right | others


def parameters(model: ActorCritic) -> Parameters:
    return {name: value.numpy() for name, value in model.actor.state_dict().items()}


@cache
def trained(seed: int = 0) -> Parameters:
    """Train what the lab's train cell trains."""
    return parameters(reference.train_a2c(answers(), seed=seed)[0])


@cache
def uphill() -> Parameters:
    """What minimising the negative loss leads to."""

    def wrong(logp: torch.Tensor, advantage: torch.Tensor) -> torch.Tensor:
        return -reference.reinforce_loss(logp, advantage)

    return parameters(reference.train_a2c(answers(reinforce_loss=wrong), seed=0)[0])


def greedy_mean(found: Parameters) -> float:
    """Mean return of the greedy policy over episodes that the grader plays."""
    actor = ActorCritic._network(4, 64, 2)
    state = {name: torch.as_tensor(np.asarray(value)) for name, value in found.items()}
    actor.load_state_dict(state)
    actor = actor.to(torch.float32)
    returns = reference.greedy_returns(actor, num_episodes=NUM_EPISODES, seed=EVALUATION_SEED)
    return float(np.mean(returns))
