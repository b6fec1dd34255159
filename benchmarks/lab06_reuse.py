"""Twenty passes over each rollout, with and without clipping: what happens to the KL.

``python -m benchmarks.lab06_reuse`` writes ``results/lab06_reuse.json``: CartPole, twenty agents
each, the mean KL(old || new) after each pass and the returns of the training episodes.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from benchmarks import recording
from benchmarks.control import CartPole
from benchmarks.populations import NO_CLIP, Population, Settings, evaluate, normalised

NUM_AGENTS, NUM_EPISODES = 20, 50
SETTINGS = Settings(num_epochs=20, anneal=False)
VARIANTS = {"clip 0.2": 0.2, "no clip": NO_CLIP}


def trained() -> dict[str, np.ndarray]:
    """Train both variants as one population."""

    def make() -> dict[str, np.ndarray]:
        started = time.process_time()
        clip_coef = torch.tensor(list(VARIANTS.values())).repeat_interleave(NUM_AGENTS)
        population = Population(CartPole, len(clip_coef), SETTINGS, clip_coef=clip_coef)
        kls: list[list[torch.Tensor]] = []
        outside: list[list[torch.Tensor]] = []
        returns, gains = [], []
        for _ in range(SETTINGS.num_updates):
            data, finished = population.collect()
            kls.append([])
            outside.append([])

            def after(kl: torch.Tensor, share: torch.Tensor) -> None:
                kls[-1].append(kl)
                outside[-1].append(share)

            population.improve(data, after)
            returns.append(finished.nanmean((0, 2)))
            gains.append(surrogate(population, data))
        return {
            "kl": torch.stack([torch.stack(rows) for rows in kls]).numpy(),
            "outside": torch.stack([torch.stack(rows) for rows in outside]).numpy(),
            "returns": torch.stack(returns).numpy(),
            "surrogate": torch.stack(gains).numpy(),
            "after": evaluate(population, NUM_EPISODES, seed=10_000).numpy(),
            "cpu_seconds": np.array(time.process_time() - started),
        }

    return recording.part("lab06_reuse/all", make)


@torch.no_grad()
def surrogate(population: Population, data: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return by how much each agent's surrogate says that the new policy is better."""
    logp = population.logp(population.policy(data["obs"]), data["action"])
    return (((logp - data["logp"]).exp() - 1.0) * normalised(data["advantage"])).mean(-1)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    torch.set_num_threads(1)
    run = trained()
    variants = {}
    for number, name in enumerate(VARIANTS):
        agents = slice(number * NUM_AGENTS, (number + 1) * NUM_AGENTS)
        kl = run["kl"][..., agents]  # (updates, passes, agents)
        variants[name] = {
            "kl after each pass": {
                f"{share}%": np.percentile(kl, share, axis=(0, 2)).round(6)
                for share in (10, 50, 90)
            },
            "largest kl of each agent": kl[:, -1].max(0).round(4),
            "returns": {
                f"{share}%": np.nanpercentile(run["returns"][:, agents], share, axis=1).round(1)
                for share in (10, 50, 90)
            },
            "surrogate gain": run["surrogate"][:, agents].mean(1).round(4),
            "after": run["after"][agents].round(1),
        }
    variants["clip 0.2"]["clip fraction in each pass"] = (
        run["outside"][..., :NUM_AGENTS].mean((0, 2)).round(4)
    )
    settings = {
        "agents": NUM_AGENTS,
        "epochs": SETTINGS.num_epochs,
        "updates": SETTINGS.num_updates,
        "steps": SETTINGS.num_updates * SETTINGS.num_steps * SETTINGS.num_envs,
    }
    seconds = round(float(run["cpu_seconds"]), 1)
    recording.write(
        "lab06_reuse", {"settings": settings, "variants": variants, "cpu seconds": seconds}
    )


if __name__ == "__main__":
    main()
