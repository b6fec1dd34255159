"""PPO's Table 1 on three small continuous tasks: no penalty, a clip, a KL fixed and adaptive.

``python -m benchmarks.lab06_surrogates`` writes ``results/lab06_surrogates.json``. As in the paper
a run's score is the mean return of its last hundred training episodes, scaled so that the untrained
policy has 0 and the best run of a task 1, and averaged over tasks and seeds. Tasks, training
time and step size are ours: Pendulum-v1, and cart and acrobot with continuous actions.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from benchmarks import recording
from benchmarks.control import BatchedEnv, Pendulum, SmoothAcrobot, SmoothCartPole
from benchmarks.populations import NO_CLIP, Population, Settings, evaluate

NUM_SEEDS = 5
# name: (clip_coef, beta, target of the KL, the paper's score)
VARIANTS: dict[str, tuple[float, float, float, float]] = {
    "no clipping or penalty": (NO_CLIP, 0.0, np.nan, -0.39),
    "clipping, 0.1": (0.1, 0.0, np.nan, 0.76),
    "clipping, 0.2": (0.2, 0.0, np.nan, 0.82),
    "clipping, 0.3": (0.3, 0.0, np.nan, 0.70),
    "adaptive KL, target 0.003": (NO_CLIP, 1.0, 0.003, 0.68),
    "adaptive KL, target 0.01": (NO_CLIP, 1.0, 0.01, 0.74),
    "adaptive KL, target 0.03": (NO_CLIP, 1.0, 0.03, 0.71),
    "fixed KL, weight 0.3": (NO_CLIP, 0.3, np.nan, 0.62),
    "fixed KL, weight 1": (NO_CLIP, 1.0, np.nan, 0.71),
    "fixed KL, weight 3": (NO_CLIP, 3.0, np.nan, 0.72),
    "fixed KL, weight 10": (NO_CLIP, 10.0, np.nan, 0.69),
}
BASE = Settings(
    num_steps=256, num_updates=30, batch_size=128, gamma=0.99, gae_lambda=0.95,
    learning_rate=1e-3, anneal=False, reward_scale=0.1,
)  # fmt: skip
TASKS: dict[str, type[BatchedEnv]] = {
    "Pendulum": Pendulum,
    "cart, any force": SmoothCartPole,
    "acrobot, any torque": SmoothAcrobot,
}


def trained(name: str) -> dict[str, np.ndarray]:
    """Train all variants on a task, each with all seeds, as one population."""

    def make() -> dict[str, np.ndarray]:
        started = time.process_time()
        columns = torch.tensor(list(VARIANTS.values())).repeat_interleave(NUM_SEEDS, 0).float()
        population = Population(
            TASKS[name], len(columns), BASE,
            clip_coef=columns[:, 0], beta=columns[:, 1], target=columns[:, 2],
        )  # fmt: skip
        random = evaluate(population, 20, seed=10_000).mean()
        found = population.train()
        seconds = time.process_time() - started
        return {
            "last": found["last_100"].numpy(),
            "kl": found["kl"].mean(0).numpy(),
            "random": random.numpy(),
            "cpu_seconds": np.array(seconds),
        }

    return recording.part(f"lab06_surrogates/{name.replace(' ', '_')}", make)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    torch.set_num_threads(1)
    scores, tasks = [], {}
    for name in TASKS:
        run = trained(name)
        random, best = float(run["random"]), float(np.nanmax(run["last"]))
        score = ((run["last"] - random) / (best - random)).reshape(-1, NUM_SEEDS)
        kl = run["kl"].reshape(-1, NUM_SEEDS)
        scores.append(score)
        tasks[name] = {
            "random": round(random, 1),
            "best": round(best, 1),
            "scores": dict(zip(VARIANTS, score.round(4).tolist(), strict=True)),
            "kl": dict(zip(VARIANTS, kl.round(5).tolist(), strict=True)),
            "cpu seconds": round(float(run["cpu_seconds"]), 1),
        }
    table = np.concatenate(scores, axis=1)
    rows = {
        variant: recording.spread(row) | {"paper": VARIANTS[variant][3]}
        for variant, row in zip(VARIANTS, table, strict=True)
    }
    settings = {
        "seeds": NUM_SEEDS,
        "steps": BASE.num_updates * BASE.num_steps * BASE.num_envs,
        "learning_rate": BASE.learning_rate,
    }
    recording.write("lab06_surrogates", {"settings": settings, "table": rows, "tasks": tasks})


if __name__ == "__main__":
    main()
