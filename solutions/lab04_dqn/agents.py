"""Lab 4, the trained networks: how submitted ones are measured; right and wrong ones."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from autograder.spec import Parameters
from solutions.lab04_dqn import reference
from solutions.lab04_dqn.reference import QNetwork

TEACHER, STUDENT = 128, 32  # width of the hidden layers
EVALUATION_SEED = 20_000  # far from those that training uses
NUM_EPISODES = 100
NAMES = (
    "ReplayBuffer",
    "store_transition",
    "gather_q",
    "double_dqn_target",
    "huber",
    "sync",
    "linear_schedule",
)


def shapes(hidden: int) -> dict[str, tuple[int, ...]]:
    """Return name and shape of each of a network's tensors."""
    return {n: tuple(v.shape) for n, v in QNetwork(4, 2, hidden).state_dict().items()}


def answers(**others: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Return what `reference.train_dqn` takes, some of it replaced."""
    return {name: getattr(reference, name) for name in NAMES} | others


def parameters(network: torch.nn.Module) -> Parameters:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def network_of(found: Parameters) -> QNetwork:
    """Return a network with these parameters, of whatever width they have."""
    network = QNetwork(4, 2, len(found["0.bias"]))
    network.load_state_dict({n: torch.as_tensor(np.asarray(v)) for n, v in found.items()})
    return network


@cache
def teacher(seed: int = 1) -> Parameters:
    """Train what the lab's first train cell trains."""
    return parameters(reference.train_cartpole(answers(), seed=seed)[0])


@cache
def student(seed: int = 1) -> Parameters:
    """Teach what the lab's second train cell teaches."""
    network = reference.distil(network_of(teacher(seed)), reference.kd_loss, seed=seed)
    return parameters(network)


def untrained() -> Parameters:
    torch.manual_seed(0)
    return parameters(QNetwork(4, 2, TEACHER))


def untaught() -> Parameters:
    torch.manual_seed(0)
    return parameters(QNetwork(4, 2, STUDENT))


@cache
def bootstraps_from_the_end() -> Parameters:
    """What a target without a mask leads to, in a tenth of the training."""

    def wrong(*args: Any, gamma: float) -> torch.Tensor:
        online, target, reward, terminated, truncated = args
        goes_on = torch.zeros_like(terminated)
        return reference.double_dqn_target(online, target, reward, goes_on, truncated, gamma=gamma)

    found, _ = reference.train_cartpole(
        answers(double_dqn_target=wrong), seed=0, total_timesteps=5_000
    )
    return parameters(found)


@cache
def taught_the_opposite() -> Parameters:
    """What going uphill leads to."""

    def wrong(*args: torch.Tensor, temperature: float) -> torch.Tensor:
        return -reference.kd_loss(*args, temperature=temperature)

    return parameters(reference.distil(network_of(teacher()), wrong, seed=0, num_updates=100))


def greedy_mean(found: Parameters) -> float:
    """Mean return of the greedy policy over episodes that the grader plays."""
    returns = reference.greedy_returns(
        network_of(found), num_episodes=NUM_EPISODES, seed=EVALUATION_SEED
    )
    return float(np.mean(returns))
