"""Lab 2, trained agents: how submitted tables are measured; right and wrong ones to try it on."""

from collections.abc import Callable
from functools import cache

import gymnasium as gym
import numpy as np

from autograder.spec import Parameters
from solutions.lab02_q_learning_sarsa import reference
from solutions.lab02_q_learning_sarsa.reference import Float

START, GOAL = 36, 47
SHAPE = (10, 48, 4)
SETTINGS = {"epsilon": 0.1, "alpha": 0.5, "gamma": 1.0, "max_steps": 10_000}


@cache
def model() -> tuple[Float, Float]:
    return reference.cliff_model(gym.make("CliffWalking-v1"))


@cache
def trained(num_episodes: int = 500) -> dict[str, Float]:
    """Train what the lab's train cell trains; a short training makes a wrong variant."""

    def q_learning(env: reference.TabularEnv, Q: Float, rng: np.random.Generator) -> float:
        return reference.q_learning_episode(env, Q, rng=rng, **SETTINGS)  # type: ignore[arg-type]

    def sarsa(env: reference.TabularEnv, Q: Float, rng: np.random.Generator) -> float:
        return reference.run_episode_sarsa(env, Q, rng=rng, **SETTINGS)  # type: ignore[arg-type]

    def expected_sarsa(env: reference.TabularEnv, Q: Float, rng: np.random.Generator) -> float:
        target, choose = reference.expected_sarsa_target, reference.choose_action
        return reference.expected_sarsa_episode(env, Q, target, choose, rng=rng, **SETTINGS)  # type: ignore[arg-type]

    return {
        episode.__name__: reference.train(
            episode, num_seeds=SHAPE[0], num_episodes=num_episodes, desc=episode.__name__
        )[0]
        for episode in (q_learning, sarsa, expected_sarsa)
    }


def per_agent(measure: Callable[[Float], float], method: str) -> Callable[[Parameters], Float]:
    """Measure each table of a method."""

    def measured(parameters: Parameters) -> Float:
        return np.array([measure(Q) for Q in np.asarray(parameters[method], dtype=np.float64)])

    return measured


def greedy_return(Q: Float) -> float:
    """Sum of rewards of the greedy path from the start, -100 where it never arrives."""
    path = reference.greedy_path(model()[0], Q, START)
    return float(1 - len(path)) if path[-1] == GOAL else -100.0


def online_value(Q: Float) -> float:
    """What the epsilon-greedy policy of ``Q`` earns from the start, exactly."""
    return float(reference.eps_soft_value(*model(), Q, epsilon=0.1, gamma=1.0)[START])


def belief(Q: Float) -> float:
    """What the table itself says the start is worth."""
    return float(Q[START].max())


def median(measure: Callable[[Float], float], method: str) -> Callable[[Parameters], float]:
    """Of ten agents the median: one unlucky agent decides nothing."""
    measured = per_agent(measure, method)
    return lambda parameters: float(np.median(measured(parameters)))


def best(measure: Callable[[Float], float], method: str) -> Callable[[Parameters], float]:
    measured = per_agent(measure, method)
    return lambda parameters: float(np.max(measured(parameters)))


def mixed(q_learning: str, sarsa: str, expected_sarsa: str) -> Callable[[], Parameters]:
    """Right agents under wrong names."""
    return lambda: {
        "q_learning": trained()[q_learning],
        "sarsa": trained()[sarsa],
        "expected_sarsa": trained()[expected_sarsa],
    }
