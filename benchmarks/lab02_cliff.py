"""Cliff walking: Q-learning, SARSA and Expected SARSA over 60 seeds, and its exact numbers.

``python -m benchmarks.lab02_cliff`` writes ``results/lab02_cliff.json``.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks import recording
from solutions.lab02_q_learning_sarsa import reference

START = 36
SETTINGS: dict[str, Any] = {"epsilon": 0.1, "alpha": 0.5, "gamma": 1.0, "max_steps": 10_000}
NUM_EPISODES, LATE = 500, 100


def q_learning(env: reference.TabularEnv, Q: reference.Float, rng: np.random.Generator) -> float:
    return reference.q_learning_episode(env, Q, rng=rng, **SETTINGS)


def sarsa(env: reference.TabularEnv, Q: reference.Float, rng: np.random.Generator) -> float:
    return reference.run_episode_sarsa(env, Q, rng=rng, **SETTINGS)


def expected_sarsa(
    env: reference.TabularEnv, Q: reference.Float, rng: np.random.Generator
) -> float:
    target, choose = reference.expected_sarsa_target, reference.choose_action
    return reference.expected_sarsa_episode(env, Q, target, choose, rng=rng, **SETTINGS)


METHODS = {"Q-learning": q_learning, "SARSA": sarsa, "Expected SARSA": expected_sarsa}


def trained(method: str, seed: int) -> dict[str, np.ndarray]:
    """Train one agent; return its table and its returns."""

    def make() -> dict[str, np.ndarray]:
        episode = METHODS[method]
        tables, returns = reference.train(
            episode, num_seeds=1, num_episodes=NUM_EPISODES, desc=method, first_seed=seed
        )
        return {"Q": tables[0], "returns": returns[0]}

    return recording.part(f"lab02_cliff/{method.replace(' ', '_')}_{seed}", make)


def path_lengths(P: reference.Float, tables: list[np.ndarray]) -> dict[str, int]:
    """Count the lengths of the greedy paths from the start; ``none`` never arrives."""
    paths = [reference.greedy_path(P, Q, START) for Q in tables]
    lengths = [str(len(path) - 1) if path[-1] == 47 else "none" for path in paths]
    return dict(sorted(Counter(lengths).items()))


def exact(P: reference.Float, R: reference.Float) -> dict[str, Any]:
    """Return what needs no training: values from the start, and greedy paths, by epsilon."""

    def online(Q: np.ndarray, epsilon: float) -> float:
        V = reference.eps_soft_value(P, R, Q, epsilon=epsilon, gamma=1.0)
        return round(float(V[START]), 4)

    def best(epsilon: float) -> np.ndarray:
        value = reference.eps_soft_value
        return reference.best_eps_soft(P, R, epsilon=epsilon, gamma=1.0, value=value)

    optimal = best(0.0)
    first, last = np.eye(4)[optimal.argmax(1)], np.eye(4)[3 - optimal[:, ::-1].argmax(1)]
    return {
        "optimal policy, online, ties shared": online(optimal, 0.1),
        "optimal policy, online, first action takes ties": online(first, 0.1),
        "optimal policy, online, last action takes ties": online(last, 0.1),
        "epsilon-soft optimum": [
            {
                "epsilon": epsilon,
                "value": online(best(epsilon), epsilon),
                "optimal policy's value": online(optimal, epsilon),
                "greedy steps": len(reference.greedy_path(P, best(epsilon), START)) - 1,
            }
            for epsilon in (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
        ],
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=60)
    num_seeds = parser.parse_args(arguments).seeds
    P, R = reference.cliff_model(gym.make("CliffWalking-v1"))
    methods: dict[str, Any] = {}
    for method in METHODS:
        agents = [trained(method, seed) for seed in range(num_seeds)]
        tables, returns = [a["Q"] for a in agents], np.array([a["returns"] for a in agents])
        late = returns[:, -LATE:].mean(axis=1)
        values = [reference.eps_soft_value(P, R, Q, epsilon=0.1, gamma=1.0)[START] for Q in tables]
        methods[method] = {
            "online": recording.spread(late),
            "online per seed": late.round(2),
            "greedy steps": path_lengths(P, tables),
            "exact online value per seed": np.round(values, 2),
            "curve mean": returns.mean(axis=0).round(2),
            "curve 10%": np.percentile(returns, 10, axis=0).round(1),
            "curve 90%": np.percentile(returns, 90, axis=0).round(1),
        }
    settings = {**SETTINGS, "num_episodes": NUM_EPISODES, "late": LATE, "num_seeds": num_seeds}
    recording.write("lab02_cliff", {"settings": settings, "exact": exact(P, R), "methods": methods})


if __name__ == "__main__":
    main()
