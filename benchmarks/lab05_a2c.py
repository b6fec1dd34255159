"""A2C with GAE on CartPole-v1 over twenty seeds: what the lab's train cell trains, and its spread.

``python -m benchmarks.lab05_a2c`` writes ``results/lab05_a2c.json``.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks import recording
from labkit.plots import smoothed
from solutions.lab05_policy_gradients import agents, reference

NUM_SEEDS = 20
NUM_UPDATES, STEPS = 1_500, 256  # as in the lab: 16 environments, rollouts of 16 steps
WINDOW = 20  # episodes


def trained(seed: int) -> dict[str, np.ndarray]:
    """Train one agent; return its training episodes, 100 greedy ones and processor seconds."""

    def make() -> dict[str, np.ndarray]:
        started = time.process_time()
        model, finished = reference.train_a2c(agents.answers(), seed=seed, num_updates=NUM_UPDATES)
        seconds = time.process_time() - started
        greedy = reference.greedy_returns(model.actor, num_episodes=100, seed=10_000 + seed)
        return {
            "finished": np.array(finished),
            "greedy": np.array(greedy),
            "graded": np.array(agents.greedy_mean(agents.parameters(model))),
            "cpu_seconds": np.array(seconds),
        }

    return recording.part(f"lab05_a2c/seed_{seed}", make)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    runs = [trained(seed) for seed in range(NUM_SEEDS)]
    greedy = np.array([run["greedy"].mean() for run in runs])
    shortest = min(len(run["finished"]) for run in runs)
    curves = np.array([smoothed(run["finished"][None, :shortest], WINDOW)[0] for run in runs])
    recording.write(
        "lab05_a2c",
        {
            "num_seeds": NUM_SEEDS,
            "num_steps": NUM_UPDATES * STEPS,
            "greedy mean of 100 episodes": [round(float(mean), 1) for mean in greedy],
            "what the grader measures": [round(float(run["graded"]), 1) for run in runs],
            "seeds at 475 and above": int((greedy >= 475.0).sum()),
            "curve": {
                f"{share}%": np.percentile(curves, share, axis=0).round(1) for share in (10, 50, 90)
            },
            "cpu seconds": [round(float(run["cpu_seconds"]), 2) for run in runs],
        },
    )


if __name__ == "__main__":
    main()
