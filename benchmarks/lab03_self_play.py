"""The twenty seconds of self-play that lab 3 closes with, over seeds of the training.

``python -m benchmarks.lab03_self_play`` writes ``results/lab03_self_play.json``: the score of the
trained network's search against plain UCT at equal simulations, and that of an untrained network.
The full size is measured by `benchmarks.lab03_connect_four`.
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np
import torch

from benchmarks import recording
from labkit.arena import match, network_player, uct_player
from labkit.self_play import SMALL, train_connect_four

FEW = dataclasses.replace(SMALL, num_generations=8, num_games=48, num_simulations=24)
NOTHING = dataclasses.replace(FEW, num_generations=1, num_games=2, num_updates=1, learning_rate=0.0)
NUM_SIMULATIONS, NUM_GAMES = 32, 200


def scores(name: str, seed: int) -> np.ndarray:
    """Return the share of points against UCT, and the training's last losses."""
    config = dataclasses.replace(FEW if name == "trained" else NOTHING, seed=seed)

    def make() -> dict[str, np.ndarray]:
        torch.manual_seed(seed)
        trained = train_connect_four(config)
        player = network_player(trained.net, num_simulations=NUM_SIMULATIONS)
        opponent = uct_player(num_simulations=NUM_SIMULATIONS, seed=seed)
        result = match(player, opponent, num_games=NUM_GAMES, seed=seed)
        last = trained.history[-1]
        return {"row": np.array([result.score, last["policy loss"], last["value loss"]])}

    return recording.part(f"lab03_self_play/{name}_{seed}", make)["row"]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    num_seeds = parser.parse_args(arguments).seeds
    measured = {}
    for name in ("trained", "untrained"):
        rows = np.array([scores(name, seed) for seed in range(num_seeds)])
        measured[name] = {
            "score": recording.spread(rows[:, 0]),
            "score per seed": rows[:, 0].round(4),
            "smallest and largest": [float(rows[:, 0].min()), float(rows[:, 0].max())],
        }
    recording.write(
        "lab03_self_play",
        {
            "settings": {
                **dataclasses.asdict(FEW),
                "games of a match": NUM_GAMES,
                "simulations a move, both": NUM_SIMULATIONS,
                "num_seeds": num_seeds,
            },
            **measured,
        },
    )


if __name__ == "__main__":
    main()
