"""From the old parameters to the new ones in a straight line: what each objective says on the way.

``python -m benchmarks.lab06_interpolation`` writes ``results/lab06_interpolation.json``, after
Figure 2 of Schulman et al. (2017): CartPole, five updates behind it, twenty agents. To the paper's
curves it adds the true return of the policies on the line, from fresh episodes.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor

from benchmarks import recording
from benchmarks.control import CartPole
from benchmarks.populations import Population, Settings, evaluate, normalised

NUM_AGENTS, NUM_EPISODES, NUM_BEFORE = 20, 100, 5
SETTINGS = Settings(anneal=False)
POINTS = np.linspace(-0.5, 4.0, 19)


@torch.no_grad()
def objectives(population: Population, data: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the surrogate, its two halves under the min, and the KL, one number per agent."""
    policy = population.policy(data["obs"])
    ratio = (population.logp(policy, data["action"]) - data["logp"]).exp()
    advantage = normalised(data["advantage"])
    clipped = ratio.clamp(0.8, 1.2)
    return {
        "surrogate": (ratio * advantage).mean(-1),
        "clipped": (clipped * advantage).mean(-1),
        "min": torch.min(ratio * advantage, clipped * advantage).mean(-1),
        "kl": population.kl(data["policy"], population.log_std, policy),
        "outside": ((ratio - 1.0).abs() > 0.2).float().mean(-1),
    }


def measured() -> dict[str, np.ndarray]:
    """Return every curve, shape ``(points, agents)``."""

    def make() -> dict[str, np.ndarray]:
        population = Population(CartPole, NUM_AGENTS, SETTINGS, seed=1)
        for _ in range(NUM_BEFORE):
            population.improve(population.collect()[0])
        data, _ = population.collect()
        actor = [tensor for layer in population.actor for tensor in layer]
        old = [tensor.detach().clone() for tensor in actor]
        population.improve(data)
        new = [tensor.detach().clone() for tensor in actor]
        rows = []
        for point in POINTS:
            with torch.no_grad():
                for tensor, start, end in zip(actor, old, new, strict=True):
                    tensor.copy_(start + float(point) * (end - start))
            row = objectives(population, data)
            rows.append(row | {"return": evaluate(population, NUM_EPISODES, seed=10_000)})
        return {name: torch.stack([row[name] for row in rows]).numpy() for name in rows[0]}

    return recording.part("lab06_interpolation/all", make)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    torch.set_num_threads(1)
    run = measured()
    curves = {
        name: {
            "mean": values.mean(1).round(5),
            "stderr": (values.std(1, ddof=1) / NUM_AGENTS**0.5).round(5),
        }
        for name, values in run.items()
    }
    settings = {"agents": NUM_AGENTS, "updates before": NUM_BEFORE, "episodes": NUM_EPISODES}
    largest = {name: round(float(POINTS[c["mean"].argmax()]), 3) for name, c in curves.items()}
    recording.write(
        "lab06_interpolation",
        {
            "settings": settings,
            "points": POINTS.round(3),
            "curves": curves,
            "largest mean at this share of the update": largest,
        },
    )


if __name__ == "__main__":
    main()
