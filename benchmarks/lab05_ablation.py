"""What lambda and what each mistake of chapter 5 does to A2C on CartPole-v1, over six seeds.

``python -m benchmarks.lab05_ablation`` writes ``results/lab05_ablation.json``. Each agent is lab
5's, with one of its functions replaced or one of its settings changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import recording
from solutions.lab05_policy_gradients import agents, reference

NUM_SEEDS, NUM_UPDATES = 6, 1_500


def done_in_delta(*rows: Tensor, **knobs: float) -> tuple[Tensor, Tensor]:
    """Take what a time limit cut off for worthless."""
    reward, value, next_value, terminated, truncated = rows
    done = terminated | truncated
    return reference.gae(reward, value, next_value, done, torch.zeros_like(done), **knobs)


def sum_goes_on(*rows: Tensor, **knobs: float) -> tuple[Tensor, Tensor]:
    """Stop the sum at terminal states only: after a time limit the next episode leaks back."""
    reward, value, next_value, terminated, truncated = rows
    never = torch.zeros_like(truncated)
    return reference.gae(reward, value, next_value, terminated, never, **knobs)


class EveryRow(reference.Collector):
    """Keeps the rows in which the environment reset itself."""

    def collect(self, model: reference.ActorCritic, num_steps: int) -> reference.Rollout:
        rollout = super().collect(model, num_steps)
        return rollout | {"valid": torch.ones_like(rollout["valid"])}


CHANGES: dict[str, dict[str, Any]] = {
    "as in the lab": {},
    "lambda 0": {"gae_lambda": 0.0},
    "lambda 0.5": {"gae_lambda": 0.5},
    "lambda 1": {"gae_lambda": 1.0},
    "a time limit counts as an end in delta": {"gae": done_in_delta},
    "the sum goes on after a time limit": {"gae": sum_goes_on},
    "rows of the reset are kept": {"collector": EveryRow},
    "advantages are normalised": {"normalised": True},
    "no entropy bonus": {"ent_coef": 0.0},
}


def trained(name: str, seed: int) -> dict[str, np.ndarray]:
    """Train one agent; return its training episodes and 100 greedy ones."""

    def make() -> dict[str, np.ndarray]:
        changes = dict(CHANGES[name])
        others: dict[str, Callable[..., Any]] = {
            key: changes.pop(key) for key in ("gae",) if key in changes
        }
        collector = changes.pop("collector", reference.Collector)
        kept, reference.Collector = reference.Collector, collector  # type: ignore[misc]
        try:
            model, finished = reference.train_a2c(
                agents.answers(**others), seed=seed, num_updates=NUM_UPDATES, **changes
            )
        finally:
            reference.Collector = kept  # type: ignore[misc]
        greedy = reference.greedy_returns(model.actor, num_episodes=100, seed=10_000 + seed)
        return {"finished": np.array(finished), "greedy": np.array(greedy)}

    return recording.part(f"lab05_ablation/{name.replace(' ', '_')}_{seed}", make)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    found = {}
    for name in CHANGES:
        runs = [trained(name, seed) for seed in range(NUM_SEEDS)]
        greedy = np.array([run["greedy"].mean() for run in runs])
        steps = np.array([run["finished"].sum() for run in runs])  # a step pays 1
        episodes = np.array([len(run["finished"]) for run in runs])
        found[name] = {
            "greedy mean of 100 episodes": greedy.round(1),
            "mean training episode": (steps / episodes).round(1),
            "seeds at 475 and above": int((greedy >= 475.0).sum()),
        }
    settings = {"num_seeds": NUM_SEEDS, "num_updates": NUM_UPDATES}
    recording.write("lab05_ablation", {"settings": settings, "agents": found})


if __name__ == "__main__":
    main()
