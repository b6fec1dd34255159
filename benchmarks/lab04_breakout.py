"""Replay and target network, with and without: DQN on MinAtar's Breakout, several seeds of each.

The ablation of Mnih et al. (2015), Extended Data Table 3, on the small game that is nearest to one
of its own: one game at a time, a batch of 32 every fourth frame, Huber's loss bent at 1. Where
there is no replay, the batch is the latest 32 transitions.

``python -m benchmarks.lab04_breakout`` writes ``results/lab04_breakout.json``; it trains on every
core, and goes on where an earlier call stopped. Keys, of each agent: ``late``, bricks per
episode in the last tenth of the training, exploration included, over the seeds, and ``late, each
run``; ``curves``, the same of each hundredth; ``believed`` and ``collected`` after each tenth, see
`benchmarks.lab04_minatar.overestimation`. A fifth agent has both, and Double DQN's target.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace

import numpy as np
import torch
from tqdm import tqdm

from benchmarks import recording
from benchmarks.lab04_minatar import POINTS, Settings, trained

NUM_SEEDS = 5
BASE = Settings(
    frames=200_000, num_envs=1, batch_size=32, learning_starts=5_000, frames_per_update=4,
    sync_every=250, double=False,
)  # fmt: skip
SETTINGS = {
    "replay and target": BASE,
    "replay only": replace(BASE, sync_every=1),
    "target only": replace(BASE, replay=BASE.batch_size),
    "neither": replace(BASE, replay=BASE.batch_size, sync_every=1),
    "Double DQN": replace(BASE, double=True),
}


def run(name: str, seed: int) -> dict[str, np.ndarray]:
    """Train one setting with one seed, or read it from disk if it was trained before."""
    torch.set_num_threads(1)
    part = f"lab04_breakout/{name.replace(' ', '_')}_{seed}"
    return recording.part(part, lambda: trained(SETTINGS[name], seed, "cpu", progress=False))


def binned(found: dict[str, np.ndarray], parts: int) -> np.ndarray:
    """Return the mean return of the episodes that ended in each part; NaN where none did."""
    part = found["ends"] * parts // BASE.frames
    count = np.bincount(part, minlength=parts)
    with np.errstate(invalid="ignore"):
        return np.bincount(part, weights=found["returns"], minlength=parts) / count


def summary(runs: list[dict[str, np.ndarray]]) -> dict[str, object]:
    """Return the end and the course of a setting's runs."""
    late = np.array([binned(each, 10)[-1] for each in runs])
    return {
        "late": recording.spread(late),
        "late, each run": late.round(2),
        "curves": np.array([binned(each, POINTS) for each in runs]).round(2),
        "believed": np.array([each["believed"] for each in runs]).round(3),
        "collected": np.array([each["collected"] for each in runs]).round(3),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS)
    seeds = range(parser.parse_args(arguments).seeds)
    jobs = [(name, seed) for seed in seeds for name in SETTINGS]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        waiting = pool.map(run, *zip(*jobs, strict=True))
        found = dict(zip(jobs, tqdm(waiting, total=len(jobs), desc="runs"), strict=True))
    methods = {name: summary([found[name, seed] for seed in seeds]) for name in SETTINGS}
    settings = asdict(BASE) | {"seeds": len(seeds)}
    recording.write("lab04_breakout", {"settings": settings, "methods": methods})


if __name__ == "__main__":
    main()
