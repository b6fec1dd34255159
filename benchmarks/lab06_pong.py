"""Atari Pong by PPO on a GPU: seconds until the last hundred games average 18, and the way there.

``python -m benchmarks.lab06_pong`` writes ``results/lab06_pong_cuda.json``. Without a GPU it says
so and measures nothing, unless ``--updates`` says how long to train; then it writes
``results/lab06_pong_cpu.json``. Games run in ale-py on the processor's cores, everything else on
the GPU. Settings follow Schulman et al. (2017), table 5, with more games at once. Keys of the
results:

- ``reached``: whether 18 was reached; ``seconds`` and ``environment steps`` (of four frames each)
  until then, or until the training ended.
- ``curve``: ``steps``, ``seconds`` and ``score``, the mean of the last hundred games, after each
  tenth update; a list each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

import numpy as np
import torch
from tqdm import tqdm

from benchmarks import on_device, recording
from labkit.runtime import device as best_device

NEEDS_GPU = True
GOAL, GAMES = 18.0, 100
NUM_ENVS = 128
SETTINGS = on_device.Settings(
    num_updates=1_200, num_steps=64, num_epochs=3, num_minibatches=8, clip_coef=0.1
)


def trained(
    settings: on_device.Settings, num_envs: int, device: str, seed: int = 0
) -> dict[str, np.ndarray]:
    """Train until the goal is reached; return the curve: steps, seconds, scores."""

    def make() -> Mapping[str, np.ndarray]:
        games = on_device.AtariGames("pong", num_envs, seed=seed, device=device)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            policy = on_device.convolutional(4, games.num_actions).to(device)
        begin, curve = on_device.finished(device), []
        with tqdm(total=settings.num_updates, desc=f"Pong, seed {seed}") as bar:

            def each(update: int) -> bool:
                late = games.scores[-GAMES:]
                score = float(np.mean(late)) if late else float("nan")
                bar.set_postfix({"score": round(score, 1)})
                bar.update()
                reached = len(late) == GAMES and score >= GOAL
                if reached or update % 10 == 0 or update == settings.num_updates:
                    steps = update * settings.num_steps * num_envs
                    curve.append((steps, on_device.finished(device) - begin, score))
                return reached

            on_device.train(games, policy, settings, seed=seed, each=each)
        return {"curve": np.array(curve)}

    return recording.part(f"lab06_pong/{device}_{num_envs}_{settings.num_updates}_{seed}", make)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    device = "cuda" if best_device() == "cuda" else "cpu"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=None)
    parser.add_argument("--games", type=int, default=NUM_ENVS, help="at once")
    options = parser.parse_args(arguments)
    if device == "cpu" and options.updates is None:
        sys.stderr.write("Pong takes a processor days: nothing measured; see --updates\n")
        return
    fields = vars(SETTINGS) | ({"num_updates": options.updates} if options.updates else {})
    curve = trained(on_device.Settings(**fields), options.games, device)["curve"]
    steps, seconds, scores = curve.T
    recording.write(
        f"lab06_pong_{device}",
        {
            "settings": {"games at once": options.games, **fields},
            "reached": bool(scores[-1] >= GOAL),
            "seconds": round(float(seconds[-1]), 1),
            "environment steps": int(steps[-1]),
            "curve": {
                "steps": steps.astype(int),
                "seconds": seconds.round(1),
                "score": [None if np.isnan(score) else round(score, 2) for score in scores],
            },
        },
        device=device,
    )


if __name__ == "__main__":
    main()
