"""DQN on CartPole-v1 as lab 4 trains it, and its student: seconds, steps and scores over 20 seeds.

The measure is the time until the greedy mean of 20 episodes is at least 475 at three consecutive
evaluations, one every 2,000 environment steps, whose time counts. Seconds are processor seconds of
one thread. `lab04_speed` has Stable-Baselines3's beside them.

``python -m benchmarks.lab04_dqn`` writes ``results/lab04_dqn.json``.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch

from benchmarks import recording
from solutions.lab04_dqn import agents, reference

NUM_SEEDS = 20
THRESHOLD, IN_A_ROW = 475.0, 3


def ours(seed: int) -> dict[str, np.ndarray]:
    """Train one agent and its student."""

    def make() -> dict[str, np.ndarray]:
        started = time.process_time()
        network, history = reference.train_cartpole(agents.answers(), seed=seed)
        trained = time.process_time()
        student = reference.distil(network, reference.kd_loss, seed=seed)
        distilled = time.process_time()
        return {
            "history": np.array(history),
            "seconds": np.array([trained - started, distilled - trained]),
            "greedy": scores(network, student, episodes=100, seed=10_000 + seed),
        }

    return recording.part(f"lab04_dqn/seed_{seed}", make)


def scores(*networks: torch.nn.Module, episodes: int, seed: int) -> np.ndarray:
    """Return the mean greedy return of each network."""
    return np.array(
        [
            np.mean(reference.greedy_returns(each, num_episodes=episodes, seed=seed))
            for each in networks
        ]
    )


def reached(history: np.ndarray) -> bool:
    """Whether the last evaluations were all at the threshold."""
    return len(history) >= IN_A_ROW and bool((history[-IN_A_ROW:, 1] >= THRESHOLD).all())


def summary(runs: list[dict[str, np.ndarray]]) -> dict[str, Any]:
    """Return what a row of the table needs of several trainings."""
    arrived = [reached(run["history"]) for run in runs]
    return {
        "num_seeds": len(runs),
        "reached 475 three times in a row": sum(arrived),
        "best greedy mean of 20 episodes": [float(run["history"][:, 1].max()) for run in runs],
        "environment steps": [int(run["history"][-1, 0]) for run in runs],
        "cpu seconds": [round(float(run["seconds"][0]), 2) for run in runs],
        "median cpu seconds": round(float(np.median([run["seconds"][0] for run in runs])), 2),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    runs = [ours(seed) for seed in range(options.seeds)]
    measured: dict[str, Any] = {"ours": summary(runs)}
    for at, name in enumerate(("teacher", "student")):
        measured[name] = {
            "greedy mean of 100 episodes": [round(float(run["greedy"][at]), 1) for run in runs]
        }
    measured["student"]["cpu seconds"] = [round(float(run["seconds"][1]), 2) for run in runs]
    recording.write("lab04_dqn", measured)


if __name__ == "__main__":
    main()
