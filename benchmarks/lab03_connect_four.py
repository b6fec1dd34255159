"""Connect Four by self-play: what a network learns, measured against plain UCT.

``python -m benchmarks.lab03_connect_four`` writes ``results/lab03_connect_four_cuda.json`` on a GPU
and ``results/lab03_connect_four_cpu.json``, at the size of a minute, on a processor. What an
interrupted run has done lies in ``build/bench`` and is not done again.

With ``--showcase`` it trains longer, and writes weights and one game of theirs to
``book/showcase/connect_four.safetensors`` and ``connect_four.json``, and their strength to
``results/lab03_connect_four_showcase.json``.

Every opening of four random moves is played twice, with sides exchanged. ``score`` is the share of
points, a win 1 and a draw a half; ``low`` and ``high`` are its 95% interval after Wilson, in which
a draw counts as half a win, so that it is somewhat too wide. Keys of the results:

- ``settings``: sizes of the training, and the first seed's ``training seconds`` (elapsed) and
  ``training CPU seconds`` (of all cores; what counts where other work ran beside it).
- ``strength``: a row per opponent: ``player`` and ``opponent`` in words, ``wins``, ``draws``,
  ``losses``, ``wins moving first`` (of half the games), ``games``, ``score``, ``low``, ``high``.
  With several seeds the games of all are counted together.
- ``strength by seed``: ``seed``, ``games``, ``score``, ``low``, ``high``: the first row of
  ``strength``, per seed of the training.
- ``learning curve``: a row per snapshot of the first seed: ``training games``, then ``games``,
  ``score``, ``low``, ``high`` against UCT at equal simulations.
- ``games per second``: a row per batch: ``games at once``, ``games per second``,
  ``simulations per second``, of self-play with a network that has learned nothing.
- ``history``: a list per name in the history of the first seed's training, an entry for each
  generation, as `labkit.self_play.Trained` tells.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import recording
from labkit.arena import Match, Player, match, network_player, uct_player
from labkit.connect_four import Games, new_games
from labkit.policy_value import PolicyValueNet, evaluator, load_net, save_net
from labkit.runtime import device as best_device
from labkit.self_play import LARGE, SMALL, Config, play_games, train_connect_four
from labkit.tree_search import puct_search

NEEDS_GPU = True  # for its full size
SHOWCASE = Path(__file__).parent.parent / "book" / "showcase"
LONG = Config(
    num_generations=30,
    num_games=128,
    num_simulations=48,
    window=10,
    num_updates=120,
    learning_rate=2e-3,
    num_layers=3,
)
"""Five minutes of one core: what the showcase is trained with."""
SEARCH = 64
"""Simulations per move in matches."""


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is measured."""

    config: Config
    num_seeds: int
    num_games: int
    opponents: tuple[int, ...]
    snapshots: tuple[int, ...]
    batches: tuple[int, ...]


SIZES = {
    "cpu": Size(SMALL, 2, 100, (64, 256), (2, 5, 10), (1, 8, 64, 512)),
    "cuda": Size(LARGE, 1, 1000, (64, 256, 1024), (1, 2, 5, 10, 20), (1, 8, 64, 512, 4096, 16384)),
}


def trained(
    config: Config, folder: str, snapshots: tuple[int, ...], device: str
) -> tuple[list[PolicyValueNet], dict[str, np.ndarray]]:
    """Train a network; return its snapshots, the last of them finished, and what was recorded.

    Snapshots lie beside the parts of `recording`, one file for each.
    """
    place = recording.PARTS / folder
    place.mkdir(parents=True, exist_ok=True)
    wanted = (*snapshots, config.num_generations)

    def path(generation: int) -> Path:
        return place / f"{generation}.safetensors"

    def make() -> Mapping[str, np.ndarray]:
        def keep(net: PolicyValueNet, row: dict[str, float]) -> None:
            generation = round(row["games"] / config.num_games)
            if generation in wanted:
                save_net(net, path(generation))

        begin, busy = time.perf_counter(), time.process_time()
        result = train_connect_four(
            config, device=device, checkpoint=place / "checkpoint", each=keep, desc=folder
        )
        rows = [list(row.values()) for row in result.history]
        return {
            "seconds": np.array(time.perf_counter() - begin),
            "busy": np.array(time.process_time() - busy),
            "names": np.array(list(result.history[0])),
            "rows": np.array(rows),
        }

    record = recording.part(f"{folder}/training", make)
    return [load_net(path(generation), device=device) for generation in wanted], record


def played(name: str, one: Player, other: Player, *, num_games: int, device: str) -> Match:
    """Play a match, or return what an earlier run played."""

    def make() -> Mapping[str, np.ndarray]:
        result = match(one, other, num_games=num_games, device=device)
        return {key: np.array(value) for key, value in dataclasses.asdict(result).items()}

    found = recording.part(f"{name}_{num_games}", make)
    return Match(**{key: int(value) for key, value in found.items()})


def score(result: Match) -> dict[str, Any]:
    """Return the score of a match, with its interval."""
    low, high = (round(bound, 4) for bound in result.interval)
    points = round(result.score, 4)
    return {"games": result.num_games, "score": points, "low": low, "high": high}


def row(result: Match) -> dict[str, Any]:
    """Return a match as a row of a table."""
    counts = {"wins": result.wins, "draws": result.draws, "losses": result.losses}
    return {**counts, "wins moving first": result.wins_moving_first, **score(result)}


def together(results: list[Match]) -> Match:
    """Return several matches as one."""
    counts = [dataclasses.astuple(result) for result in results]
    return Match(*(sum(column) for column in zip(*counts, strict=True)))


def strength(
    nets: list[PolicyValueNet], folder: str, size: Size, device: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return rows against every opponent, all seeds together, and rows by seed."""
    rows, by_seed = [], []
    pairs = [(SEARCH, opponent) for opponent in size.opponents] + [(0, SEARCH)]
    for simulations, opponent in pairs:
        results = []
        for seed, net in enumerate(nets):
            result = played(
                f"{folder}/{seed}_{simulations}_against_{opponent}",
                network_player(net, num_simulations=simulations),
                uct_player(num_simulations=opponent),
                num_games=size.num_games,
                device=device,
            )
            results.append(result)
            if simulations == opponent:
                by_seed.append({"seed": seed, **score(result)})
        rows.append(
            {
                "player": f"network, {simulations} simulations" if simulations else "network alone",
                "opponent": f"UCT, {opponent} simulations",
                **row(together(results)),
            }
        )
    reference = played(
        f"{folder}/uct_{size.opponents[-1]}_against_{SEARCH}",
        uct_player(num_simulations=size.opponents[-1]),
        uct_player(num_simulations=SEARCH, seed=1),
        num_games=size.num_games,
        device=device,
    )
    rows.append(
        {
            "player": f"UCT, {size.opponents[-1]} simulations",
            "opponent": f"UCT, {SEARCH} simulations",
            **row(reference),
        }
    )
    return rows, by_seed


def learning_curve(
    snapshots: dict[int, PolicyValueNet], folder: str, size: Size, device: str
) -> list[dict[str, Any]]:
    """Return the score of the first seed's snapshots against UCT at equal simulations."""
    rows = []
    for generation, net in snapshots.items():
        result = played(
            f"{folder}/curve_{generation}",
            network_player(net, num_simulations=SEARCH),
            uct_player(num_simulations=SEARCH),
            num_games=size.num_games,
            device=device,
        )
        rows.append({"training games": generation * size.config.num_games, **score(result)})
    return rows


def speed(folder: str, size: Size, device: str) -> list[dict[str, Any]]:
    """Return how many games of self-play a second brings, by the number of games at once."""
    config, rows = size.config, []
    net = untrained(config, device)
    for batch in size.batches:

        def make(batch: int = batch) -> Mapping[str, np.ndarray]:
            generator = torch.Generator(device).manual_seed(0)
            for warm in (True, False):
                begin = time.perf_counter()
                examples = play_games(
                    evaluator(net),
                    batch,
                    num_simulations=2 if warm else config.num_simulations,
                    generator=generator,
                )
                positions = int((examples.value != 2).sum())  # waits for the device
            return {
                "seconds": np.array(time.perf_counter() - begin),
                "positions": np.array(positions),
            }

        found = recording.part(f"{folder}/speed_{batch}", make)
        seconds, positions = float(found["seconds"]), int(found["positions"])
        rows.append(
            {
                "games at once": batch,
                "games per second": round(batch / seconds, 2),
                "simulations per second": round(positions * config.num_simulations / seconds),
            }
        )
    return rows


def untrained(config: Config, device: str) -> PolicyValueNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = PolicyValueNet(channels=config.channels, num_layers=config.num_layers)
    return net.to(device)


def history(record: dict[str, np.ndarray]) -> dict[str, list[float]]:
    return dict(zip(record["names"].tolist(), record["rows"].T.tolist(), strict=True))


def film(net: PolicyValueNet, *, num_simulations: int, opponent: int) -> dict[str, Any]:
    """Play one game, the network first, and tell it with the network's value after each move.

    ``values`` are means of the network's own search of the position that the move led to, in the
    view of the first player, from -1 to 1; after the last move it is the result.
    """
    players = {
        "network": network_player(net, num_simulations=num_simulations),
        "uct": uct_player(num_simulations=opponent),
    }
    names = list(players)
    games, moves, values = new_games(1), [], []
    while not games.over():
        column = players[names[len(moves) % 2]](games)
        moves.append(int(column))
        games = games.play(column)
        values.append(round(value_for_first(games, len(moves), net, num_simulations), 3))
    loser = names[len(moves) % 2]
    return {
        "moves": moves,
        "players": names,
        "values": values,
        "winner": next(name for name in names if name != loser) if games.lost() else None,
        "how": (
            f"One game from the empty board, the first one played: nothing was selected. The"
            f" network moves first and searches with {num_simulations} simulations a move; UCT has"
            f" {opponent} simulations a move, with random rollouts (seed 0)."
        ),
    }


def value_for_first(
    games: Games, num_moves: int, net: PolicyValueNet, num_simulations: int
) -> float:
    sign = 1 if num_moves % 2 == 0 else -1
    if games.over():
        return -sign * float(games.lost())
    found = puct_search(games, evaluator(net), num_simulations=num_simulations)
    return sign * float(found.value)


def showcase() -> None:
    """Train for longer, and write weights, a game and the strength; always on a processor."""
    folder = "lab03_connect_four/showcase"
    size = Size(LONG, 1, 200, (64, 256), (2, 5, 10, 20), ())
    (*early, net), record = trained(LONG, folder, size.snapshots, "cpu")
    SHOWCASE.mkdir(exist_ok=True)
    save_net(net, SHOWCASE / "connect_four.safetensors")
    game = film(net, num_simulations=SEARCH, opponent=4 * SEARCH)
    (SHOWCASE / "connect_four.json").write_text(json.dumps(game, indent=1) + "\n", "utf-8")
    write("lab03_connect_four_showcase", size, [net], [early], [record], folder, "cpu")


def write(
    name: str,
    size: Size,
    nets: list[PolicyValueNet],
    early: list[list[PolicyValueNet]],
    records: list[dict[str, np.ndarray]],
    folder: str,
    device: str,
) -> None:
    rows, by_seed = strength(nets, folder, size, device)
    snapshots = {0: untrained(size.config, device)}
    snapshots |= dict(zip(size.snapshots, early[0], strict=True))
    snapshots[size.config.num_generations] = nets[0]
    measured: dict[str, Any] = {
        "settings": {
            **{k: v for k, v in dataclasses.asdict(size.config).items() if k != "seed"},
            "seeds": size.num_seeds,
            "training seconds": round(float(records[0]["seconds"]), 1),
            "training CPU seconds": round(float(records[0]["busy"]), 1),
        },
        "strength": rows,
        "strength by seed": by_seed,
        "learning curve": learning_curve(snapshots, folder, size, device),
        "games per second": speed(folder, size, device),
        "history": history(records[0]),
    }
    recording.write(name, measured, device=device)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--showcase", action="store_true", help="train what the book shows")
    options = parser.parse_args(arguments)
    if options.showcase:
        showcase()
        return
    device = best_device()
    size = SIZES["cuda" if device == "cuda" else "cpu"]
    folder = f"lab03_connect_four/{device}"
    nets, early, records = [], [], []
    for seed in range(size.num_seeds):
        config = dataclasses.replace(size.config, seed=seed)
        (*before, net), record = trained(config, f"{folder}_{seed}", size.snapshots, device)
        nets.append(net)
        early.append(before)
        records.append(record)
    write(f"lab03_connect_four_{device}", size, nets, early, records, folder, device)


if __name__ == "__main__":
    main()
