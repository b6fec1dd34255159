"""Lab 6, the trained agent: how submitted networks are measured; right and wrong ones."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from autograder.spec import Parameters
from solutions.lab06_trpo_ppo import reference
from solutions.lab06_trpo_ppo.reference import ActorCritic

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
    """Return what `reference.train_ppo` takes, some of it replaced."""
    names = ("ppo_clip_loss", "ppo_value_loss", "kl_estimators", "minibatches")
    return {name: getattr(reference, name) for name in names} | others


def parameters(model: ActorCritic) -> Parameters:
    return {name: value.numpy() for name, value in model.actor.state_dict().items()}


@cache
def trained(seed: int = 0) -> Parameters:
    """Train what the lab's train cell trains."""
    return parameters(reference.train_ppo(answers(), seed=seed)[0])


@cache
def uphill() -> Parameters:
    """What minimising the surrogate, instead of its negative, leads to."""

    def wrong(*args: Any, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
        loss, fraction = reference.ppo_clip_loss(*args, **options)
        return -loss, fraction

    model, _ = reference.train_ppo(answers(ppo_clip_loss=wrong), seed=0, num_updates=10)
    return parameters(model)


def greedy_mean(found: Parameters) -> float:
    """Mean return of the greedy policy over episodes that the grader plays."""
    actor = ActorCritic.network(4, 64, 2, last=1.0)
    actor.load_state_dict({name: torch.as_tensor(np.asarray(v)) for name, v in found.items()})
    returns = reference.greedy_returns(actor, num_episodes=NUM_EPISODES, seed=EVALUATION_SEED)
    return float(np.mean(returns))
