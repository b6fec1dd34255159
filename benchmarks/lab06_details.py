"""PPO's implementation details, each taken away from an agent that has all of them.

``python -m benchmarks.lab06_details`` writes ``results/lab06_details.json``: sixteen agents for
each detail and task. What an ending by the clock is worth is also measured where the clock ends
nearly every episode: agents that train for 50 steps at a time, and are judged over 500.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import Any

import numpy as np
import torch

from benchmarks import recording
from benchmarks.control import Acrobot, BatchedEnv, CartPole
from benchmarks.populations import Population, Settings, evaluate

NUM_AGENTS, NUM_EPISODES = 16, 50
NONE: dict[str, Any] = {
    "normalise": "never",
    "adam_eps": 1e-8,
    "orthogonal": False,
    "max_grad_norm": 1e9,
    "anneal": False,
    "bootstrap": False,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "all details": {},
    "advantages: normalised once per rollout": {"normalise": "rollout"},
    "advantages: never normalised": {"normalise": "never"},
    "Adam's eps 1e-8": {"adam_eps": 1e-8},
    "torch's own initialisation": {"orthogonal": False},
    "last layer of the policy with gain 1": {"last_gain": 1.0},
    "no gradient clipping": {"max_grad_norm": 1e9},
    "value clipping": {"clip_value": True},
    "no annealing": {"anneal": False},
    "a time limit counts as an end": {"bootstrap": False},
    "none of them": NONE,
}


class ShortCartPole(CartPole):
    """CartPole whose clock stops after 50 steps, so that it ends nearly every episode."""

    time_limit = 50


# what is learned, how, and what the policy is then judged on
TASKS: dict[str, tuple[type[BatchedEnv], Settings, type[BatchedEnv]]] = {
    "CartPole": (CartPole, Settings(num_epochs=5), CartPole),
    "Acrobot": (
        Acrobot,
        Settings(num_epochs=5, gamma=0.99, gae_lambda=0.95, reward_scale=0.1),
        Acrobot,
    ),
    "CartPole, 50 steps": (ShortCartPole, Settings(num_epochs=5, gamma=0.99), CartPole),
}
CLOCK = ("all details", "a time limit counts as an end")  # the variants of the last task


def trained(name: str, variant: str) -> dict[str, np.ndarray]:
    """Train the agents of one variant; return how they did, one number per agent."""
    task, settings, judged_on = TASKS[name]

    def make() -> dict[str, np.ndarray]:
        started = time.process_time()
        changed = dataclasses.replace(settings, **VARIANTS[variant])
        population = Population(task, NUM_AGENTS, changed)
        found = population.train()
        population.task = judged_on
        seconds = time.process_time() - started
        return {
            "during": found["returns"].nanmean(0).numpy(),
            "after": evaluate(population, NUM_EPISODES, seed=10_000).numpy(),
            "kl": found["kl"].mean(0).numpy(),
            "cpu_seconds": np.array(seconds),
        }

    return recording.part(f"lab06_details/{name}_{list(VARIANTS).index(variant)}", make)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    torch.set_num_threads(1)
    tasks = {}
    for name, (_, settings, _) in TASKS.items():
        chosen = CLOCK if name == "CartPole, 50 steps" else VARIANTS
        runs = {variant: trained(name, variant) for variant in chosen}
        size = settings.num_updates * settings.num_steps * settings.num_envs
        tasks[name] = {
            "steps": size,
            "variants": {
                variant: {
                    key: [round(float(value), 4) for value in run[key]]
                    for key in ("during", "after", "kl")
                }
                for variant, run in runs.items()
            },
            "cpu seconds": round(sum(float(run["cpu_seconds"]) for run in runs.values()), 1),
        }
    settings = {"agents": NUM_AGENTS, "episodes": NUM_EPISODES}
    recording.write("lab06_details", {"settings": settings, "tasks": tasks})


if __name__ == "__main__":
    main()
