"""DQN on CartPole-v1 beside Stable-Baselines3's, and its student: seconds, steps and scores.

The measure is the time until the greedy mean of 20 episodes is at least 475 at three consecutive
evaluations, one every 2,000 environment steps; both are evaluated by the same function, whose time
counts. Seconds are processor seconds of one thread, so that other work does not change them.

``python -m benchmarks.lab04_dqn`` writes ``results/lab04_dqn.json``; ``--sb3-seeds 10`` also
trains theirs, which takes a minute each.

Source of their settings: rl-baselines3-zoo, hyperparams/dqn.yml, CartPole-v1, at commit
ce95481b041fe5314c1b2f1a53940d169b9253fc, where they are called "almost tuned".
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback

from benchmarks import recording
from solutions.lab04_dqn import agents, reference

NUM_SEEDS = 10
THRESHOLD, IN_A_ROW, EVERY = 475.0, 3, 2_000
ZOO: dict[str, Any] = {
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1_000,
    "gamma": 0.99,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
    "policy_kwargs": {"net_arch": [256, 256]},
}
ZOO_TIMESTEPS = 50_000


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


class Until(BaseCallback):
    """Evaluates as `train_dqn` does, and stops as it does."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.history: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        if self.num_timesteps % EVERY:
            return True
        assert isinstance(self.model, DQN)
        score = scores(self.model.q_net, episodes=20, seed=1_000 + self.seed)[0]
        self.history.append((self.num_timesteps, float(score)))
        return not reached(np.array(self.history))


def reached(history: np.ndarray) -> bool:
    """Whether the last evaluations were all at the threshold."""
    return len(history) >= IN_A_ROW and bool((history[-IN_A_ROW:, 1] >= THRESHOLD).all())


def theirs(seed: int) -> dict[str, np.ndarray]:
    """Train one agent of Stable-Baselines3 at the zoo's settings."""

    def make() -> dict[str, np.ndarray]:
        until = Until(seed)
        started = time.process_time()
        model = DQN("MlpPolicy", gym.make("CartPole-v1"), seed=seed, device="cpu", **ZOO)
        model.learn(ZOO_TIMESTEPS, callback=until)
        seconds = time.process_time() - started
        return {"history": np.array(until.history), "seconds": np.array([seconds])}

    return recording.part(f"lab04_dqn/sb3_seed_{seed}", make)


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
    parser.add_argument("--sb3-seeds", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    runs = [ours(seed) for seed in range(options.seeds)]
    measured: dict[str, Any] = {"ours": summary(runs)}
    for at, name in enumerate(("teacher", "student")):
        measured[name] = {
            "greedy mean of 100 episodes": [round(float(run["greedy"][at]), 1) for run in runs]
        }
    measured["student"]["cpu seconds"] = [round(float(run["seconds"][1]), 2) for run in runs]
    if options.sb3_seeds:
        measured["stable_baselines3"] = summary([theirs(s) for s in range(options.sb3_seeds)])
    recording.write("lab04_dqn", measured)


if __name__ == "__main__":
    main()
