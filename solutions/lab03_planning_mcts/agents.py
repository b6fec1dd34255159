"""Lab 3, trained tables: how they are measured; right and wrong ones to try the measures on."""

from collections.abc import Callable
from functools import cache

import gymnasium as gym
import numpy as np

from autograder.spec import Parameters
from solutions.lab03_planning_mcts import reference
from solutions.lab03_planning_mcts.reference import Float

START, GOAL = 18, 8
NUM_AGENTS = 20
SHAPE = (NUM_AGENTS, 54, 4)
NUM_PLANNING = {"n0": 0, "n5": 5, "n50": 50}


@cache
def transitions() -> Float:
    return reference.env_model(gym.make("labkit.envs:labkit/DynaMaze-v0"))[0]


@cache
def trained(num_episodes: int = 50) -> dict[str, Float]:
    """Train what the lab's train cell trains; a short training makes a wrong variant."""
    return {
        name: reference.dyna_runs(
            reference.dyna_q_step,
            num_planning=num_planning,
            num_runs=NUM_AGENTS,
            num_episodes=num_episodes,
        )[0]
        for name, num_planning in NUM_PLANNING.items()
    }


def belief(Q: Float) -> float:
    """What the table says the start is worth; exactly it is 0.95 ** 13 = 0.5133."""
    return float(Q[START].max())


def num_known(Q: Float) -> float:
    """How many pairs have a value other than 0."""
    return float(np.count_nonzero(Q))


def greedy_steps(Q: Float) -> float:
    """Length of the greedy path from the start, 100 where it never arrives."""
    here = START
    for step in range(100):
        if here == GOAL:
            return float(step)
        here = int(transitions()[here, Q[here].argmax()].argmax())
    return 100.0


def median(measure: Callable[[Float], float], method: str) -> Callable[[Parameters], float]:
    """Of twenty agents the median: one unlucky agent decides nothing."""

    def measured(parameters: Parameters) -> float:
        tables = np.asarray(parameters[method], dtype=np.float64)
        return float(np.median([measure(Q) for Q in tables]))

    return measured


def mixed(n0: str, n5: str, n50: str) -> Callable[[], Parameters]:
    """Right tables under wrong names."""
    return lambda: {"n0": trained()[n0], "n5": trained()[n5], "n50": trained()[n50]}
