"""Chapter 3's figures and numbers about playing strength: tic-tac-toe and Connect Four."""

from __future__ import annotations

import functools
import math

import numpy as np
from IPython.display import HTML, Markdown

from benchmarks import recording
from book.figures.planning import spaced
from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK

BLUE, ORANGE, GREEN = COLOURS[0], COLOURS[1], COLOURS[2]
Z = 1.96


@functools.cache
def tictactoe() -> dict:
    """Return what the benchmark of tic-tac-toe measured."""
    return recording.read("lab03_tictactoe")


@functools.cache
def connect_four() -> dict:
    """Return what the benchmark of Connect Four measured at its largest size that was run."""
    names = [f"lab03_connect_four_{size}" for size in ("cuda", "showcase", "cpu")]
    return recording.read(next(n for n in names if (recording.RESULTS / f"{n}.json").is_file()))


def interval(successes: float, count: int) -> tuple[float, float]:
    """Return the 95% interval of a share after Wilson (1927), which is sane at 0 and at 1 too."""
    share = successes / count
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    spread = share * (1 - share) / count + Z**2 / (4 * count**2)
    half = Z * math.sqrt(spread) / (1 + Z**2 / count)
    return middle - half, middle + half


def percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f}%"


def matches() -> Markdown:
    """Return the results of tic-tac-toe, a line per opponent and number of simulations."""
    lines = [
        "| opponent | simulations | won, drawn, lost | lost, 95% interval |",
        "|---|---|---|---|",
    ]
    seeds = tictactoe()["settings"]["num_seeds"]
    for match in tictactoe()["matches"]:
        games = seeds * match["games per seed"]
        won, drawn, lost = (
            round(seeds * match[result]["mean"]) for result in ("won", "drawn", "lost")
        )
        low, high = interval(lost, games)
        lines.append(
            f"| {match['opponent']} | {match['simulations']:,} | {won:,}, {drawn:,}, {lost:,} |"
            f" {percent(max(low, 0), 2)} to {percent(high, 2)} |"
        )
    return Markdown("\n".join(lines))


def by(player: str, opponent: str) -> dict:
    """Return the first row of Connect Four's strength whose names begin like these."""
    return next(
        row
        for row in connect_four()["strength"]
        if row["player"].startswith(player) and row["opponent"].startswith(opponent)
    )


def score(row: dict) -> str:
    """Write a score with its interval."""
    return f"{percent(row['score'])} ({percent(row['low'])} to {percent(row['high'])})"


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    settings, curve = connect_four()["settings"], connect_four()["learning curve"]
    games = settings["num_generations"] * settings["num_games"]
    equal, alone = by("network, ", "UCT, 64 "), by("network alone", "UCT")
    hardest = connect_four()["strength"][len(connect_four()["strength"]) - 3]
    perfect = tictactoe()["matches"][-1]
    seeds = "one training"
    if settings["seeds"] > 1:
        seeds = f"{settings['seeds']} trainings with different seeds, counted together"
    return {
        "ttt_seeds": str(tictactoe()["settings"]["num_seeds"]),
        "ttt_most": spaced(perfect["simulations"]),
        "ttt_share": percent(perfect["share not lost"], 2),
        "c4_games": spaced(games),
        "c4_simulations": str(settings["num_simulations"]),
        "c4_seeds": seeds,
        "c4_where": {"cpu": "CPU", "cuda": "GPU"}[connect_four()["device"]],
        "c4_match": spaced(equal["games"]),
        "c4_equal": score(equal),
        "c4_hardest": score(hardest),
        "c4_hardest_opponent": hardest["opponent"].replace(" simulations", ""),
        "c4_alone": score(alone),
        "c4_before": percent(curve[0]["score"]),
    }


# Figures


def draw_strength() -> HTML:
    """Draw the scores of matches on Connect Four, with their intervals."""
    rows = connect_four()["strength"]
    with drawing(5.1, 0.62 * len(rows) + 0.7) as (figure, ax):
        for height, row in enumerate(reversed(rows)):
            colour = BLUE if row["player"].startswith("network") else INK
            ax.plot([100 * row["low"], 100 * row["high"]], [height] * 2, color=colour, lw=2.4)
            ax.plot(100 * row["score"], height, "o", color=colour, ms=6)
            # Above its line, so that a phone need not show a wide margin of names.
            words = f"{row['player']}  against  {row['opponent']}"
            ax.text(0, height + 0.24, words.replace(" simulations", ""), fontsize=10, va="bottom")
        ax.axvline(50, color=INK, ls=":", lw=1.4)
        ax.set(xlim=(0, 100), ylim=(-0.5, len(rows) - 0.3), xlabel="points, % of what there was")
        ax.set_yticks([])
        ax.grid(axis="y", visible=False)
        ax.spines["left"].set_visible(False)
        return inline(
            figure,
            "c4-strength",
            "Scores with 95 percent intervals, a line per match: "
            + "; ".join(f"{row['player']} against {row['opponent']} {score(row)}" for row in rows)
            + ".",
        )


def draw_learning() -> HTML:
    """Draw the score against UCT during the training."""
    curve = connect_four()["learning curve"]
    games = np.array([row["training games"] for row in curve])
    low, mean, high = (100 * np.array([row[k] for row in curve]) for k in ("low", "score", "high"))
    with drawing(5.1, 3.2) as (figure, ax):
        ax.fill_between(games, low, high, color=BLUE, alpha=0.18, linewidth=0)
        ax.plot(games, mean, "o-", color=BLUE, ms=4)
        ax.axhline(50, color=INK, ls=":", lw=1.4)
        ax.set(xlabel="games of self-play", ylabel="points, %", ylim=(0, 100))
        ax.set(xlim=(0, None))
        return inline(
            figure,
            "c4-learning",
            "Share of points against UCT at equal simulations, against games of self-play: from"
            f" {mean[0]:.0f} percent before the training to {mean[-1]:.0f} percent at its end.",
        )
