"""Replay and target network, with and without: DQN on CartPole, ten seeds of each of the four.

All four with Huber's loss bent at 10; in shorter runs with it bent at 1, as in the paper and in
the lab, and with the squared error.

``python -m benchmarks.lab04_ablation`` writes ``results/lab04_ablation.json``.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace

import numpy as np
import torch

from benchmarks import recording
from benchmarks.stacked_dqn import Setting, train

SEEDS = 10
BASE = Setting()
SHORT = 8_000
LOSSES = {"delta 1": (" clipped", 1.0), "squared": (" squared", 1e9)}
LAST = 5  # evaluations that count as the end of training
SETTINGS = {
    "replay and target": BASE,
    "replay only": replace(BASE, sync_every=1),
    "target only": replace(BASE, replay=BASE.batch_size),
    "neither": replace(BASE, replay=BASE.batch_size, sync_every=1),
}


def trained(name: str, setting: Setting) -> dict[str, np.ndarray]:
    """Return what ``SEEDS`` runs of a setting measured, from disk if they were made before."""
    torch.set_num_threads(1)
    part = f"lab04/{name.replace(' ', '_')}"
    return recording.part(part, lambda: train(setting, runs=SEEDS, seed=0))


def summary(found: dict[str, np.ndarray]) -> dict[str, object]:
    """Return the scores of the end, each run's, and the curves of all runs."""
    late = found["score"][-LAST:].mean(axis=0)
    return {
        "late": recording.spread(late),
        "late, each run": late.round(1),
        "best evaluation, each run": found["score"].max(axis=0).round(1),
        "curves": found["score"].T.round(0).astype(int),
        "believed": found["believed"].T.round(1),
        "collected": found["collected"].T.round(1),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    methods = {name: summary(trained(name, setting)) for name, setting in SETTINGS.items()}
    shorter = {
        key: {
            name: summary(
                trained(f"{name}{part}", replace(setting, delta=delta, total_steps=SHORT))
            )
            for name, setting in SETTINGS.items()
        }
        for key, (part, delta) in LOSSES.items()
    }
    settings = asdict(BASE) | {
        "seeds": SEEDS, "evaluated every": 1_000, "compared every": 4_000,
        "greedy episodes per evaluation": 10, "evaluations that count as late": LAST,
    }  # fmt: skip
    settings["steps of the shorter runs"] = SHORT
    recording.write("lab04_ablation", {"settings": settings, "methods": methods} | shorter)


if __name__ == "__main__":
    main()
