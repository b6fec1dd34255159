"""Tic-tac-toe by UCT: against random play and against perfect play, over seeds.

``python -m benchmarks.lab03_tictactoe`` writes ``results/lab03_tictactoe.json``.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks import recording
from solutions.lab03_planning_mcts import reference
from solutions.lab03_planning_mcts.reference import State

C = 1.4
RESULTS = ("won", "drawn", "lost")
# opponent, simulations a move, games a seed; UCT moves first in every other game
MATCHES = (
    ("random", 50, 200),
    ("random", 200, 200),
    ("perfect", 50, 100),
    ("perfect", 200, 100),
    ("perfect", 1_000, 100),
)
OPPONENTS = {"random": reference.random_player, "perfect": reference.perfect_player}


def match(opponent: str, num_simulations: int, num_games: int, seed: int) -> np.ndarray:
    """Return the games won, drawn and lost with one seed."""

    def player(state: State, rng: np.random.Generator) -> int:
        return reference.mcts_move(state, num_simulations=num_simulations, c=C, rng=rng)

    def make() -> dict[str, np.ndarray]:
        counts = reference.play_games(player, OPPONENTS[opponent], num_games=num_games, seed=seed)
        return {"counts": np.array([counts[name] for name in RESULTS])}

    return recording.part(f"lab03_tictactoe/{opponent}_{num_simulations}_{seed}", make)["counts"]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    num_seeds = parser.parse_args(arguments).seeds
    matches: list[dict[str, Any]] = []
    for opponent, num_simulations, num_games in MATCHES:
        counts = [match(opponent, num_simulations, num_games, seed) for seed in range(num_seeds)]
        games = np.array(counts)
        matches.append(
            {
                "opponent": opponent,
                "simulations": num_simulations,
                "games per seed": num_games,
                **{name: recording.spread(games[:, i]) for i, name in enumerate(RESULTS)},
                "lost per seed": games[:, 2],
                "seeds without a loss": int((games[:, 2] == 0).sum()),
                "share not lost": round(1 - float(games[:, 2].sum() / games.sum()), 5),
                "smallest share not lost of a seed": round(
                    1 - float(games[:, 2].max()) / num_games, 4
                ),
            }
        )
    recording.write(
        "lab03_tictactoe",
        {
            "settings": {"c": C, "num_seeds": num_seeds, "first move": "every other game"},
            "matches": matches,
        },
    )


if __name__ == "__main__":
    main()
