"""Logged cliff walking: plain and pessimistic fitted Q-iteration, and planning in a learned model.

``python -m benchmarks.lab03_offline`` writes ``results/lab03_offline.json``: for each size of the
data set and each method, over the data sets of many seeds, what the greedy policy earns, what it is
worth exactly, and what the method believed it to be worth.
"""

from __future__ import annotations

import argparse
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks import recording
from solutions.lab03_planning_mcts import reference

START = 36
SETTINGS: dict[str, Any] = {"gamma": 0.99, "num_iterations": 200}
SIZES = (3, 10, 30, 100, 300, 1_000)
PENALTIES = (0.0, 0.3, 1.0, 3.0)


def value_of(pi: reference.Int) -> float:
    """Return the exact discounted value of a policy at the start."""
    P, R, terminal = reference.env_model(gym.make("CliffWalking-v1"))
    everywhere = np.arange(len(P))
    P_pi = np.where(terminal[:, None], 0.0, P[everywhere, pi])
    V = np.linalg.solve(np.eye(len(P)) - SETTINGS["gamma"] * P_pi, R[everywhere, pi])
    return float(V[START])


def measured(Q: np.ndarray, believed: float) -> list[float]:
    return [reference.greedy_return(Q), value_of(Q.argmax(axis=1)), believed]


def one_data_set(num_episodes: int, seed: int) -> dict[str, np.ndarray]:
    """Return three numbers per method (earned, worth, believed) and facts about the data."""

    def make() -> dict[str, np.ndarray]:
        data = reference.log_cliff(num_episodes, np.random.default_rng([seed, num_episodes]))
        found: dict[str, np.ndarray] = {}
        for penalty in PENALTIES:
            Q = reference.fitted_q_iteration(
                data, num_obs=48, num_actions=4, penalty=penalty, **SETTINGS
            )
            found[f"fitted, penalty {penalty:g}"] = np.array(measured(Q, Q[START].max()))
        P, R, N = reference.fit_model(48, 4, data)
        terminal = np.arange(48) == 47
        V, _ = reference.value_iteration(P, R, terminal, gamma=SETTINGS["gamma"], tol=1e-6)
        Q = R + SETTINGS["gamma"] * P @ V
        found["planning in the fitted model"] = np.array(measured(Q, V[START]))
        rewards = sum(reward for _, _, reward, _, _ in data)
        asked = np.arange(48)[(N.sum(axis=1) > 0)]
        found["data"] = np.array([len(data), (N[asked] > 0).mean(), rewards / num_episodes])
        return found

    return recording.part(f"lab03_offline/{num_episodes}_{seed}", make)


def summary(numbers: np.ndarray) -> dict[str, Any]:
    """Return how often the goal is reached and the spread of what is earned, worth and believed."""
    earned, worth, believed = numbers.T
    return {
        "reaches the goal": float((earned > -100).mean()),
        "earned": recording.spread(earned) | {"median": float(np.median(earned))},
        "worth": recording.spread(worth) | {"median": round(float(np.median(worth)), 4)},
        "believed": recording.spread(believed) | {"median": round(float(np.median(believed)), 4)},
        "earned per data set": earned.astype(int),
        "believed per data set": believed.round(2),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    num_seeds = parser.parse_args(arguments).seeds
    P, R, terminal = reference.env_model(gym.make("CliffWalking-v1"))
    V, _ = reference.value_iteration(P, R, terminal, gamma=SETTINGS["gamma"], tol=1e-9)
    sizes: dict[str, Any] = {}
    for num_episodes in SIZES:
        sets = [one_data_set(num_episodes, seed) for seed in range(num_seeds)]
        methods = {name: np.array([s[name] for s in sets]) for name in sets[0] if name != "data"}
        steps, seen, behaviour = np.array([s["data"] for s in sets]).T
        sizes[str(num_episodes)] = {
            "transitions": recording.spread(steps),
            "share of pairs tried, where anything was": recording.spread(seen),
            "the driver's return": recording.spread(behaviour),
            "methods": {name: summary(numbers) for name, numbers in methods.items()},
        }
    recording.write(
        "lab03_offline",
        {
            "settings": {**SETTINGS, "num_seeds": num_seeds, "step limit of a greedy walk": 200},
            "optimal value at the start": round(float(V[START]), 4),
            "sizes": sizes,
        },
    )


if __name__ == "__main__":
    main()
