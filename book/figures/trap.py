"""Chapter 3's figures and numbers about a position in which random games mislead."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
from IPython.display import HTML

from book.figures.cliff import signed
from book.figures.planning import spaced
from book.figures.svg import drawing, inline
from book.figures.tree import BLUE, GREEN, ORANGE, PURPLE, board
from labkit.plots import INK
from solutions.lab03_planning_mcts import reference
from solutions.lab03_planning_mcts.reference import State

TRAP: State = (0, 0, 0, 1, 0, 0, 0, 0, -1)
WINS, TEMPTS = 6, 4
PUCT_EARLY = 100
RESULTS = {1: "win", 0: "draw", -1: "loss"}


@functools.cache
def results() -> dict:
    """Return what `measure_planning` measured."""
    text = Path(__file__).with_name("planning.json").read_text(encoding="utf-8")
    return json.loads(text)


@functools.cache
def minimax(state: State) -> int:
    """Return the result for X if both play perfectly."""
    if reference.is_terminal(state):
        return reference.winner(state)
    results = [minimax(reference.play(state, move)) for move in reference.legal_moves(state)]
    return max(results) if reference.to_move(state) == 1 else min(results)


@functools.cache
def random_result(state: State) -> float:
    """Return the expected result for X if both play at random from here on."""
    if reference.is_terminal(state):
        return float(reference.winner(state))
    moves = reference.legal_moves(state)
    return sum(random_result(reference.play(state, move)) for move in moves) / len(moves)


# Numbers for the text


def percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    wins, tempts = (reference.play(TRAP, move) for move in (WINS, TEMPTS))
    found, settings = results()["trap"], results()["settings"]
    puct = results()["puct"]
    steps = np.array(puct["simulations"])
    at = int(np.abs(steps - PUCT_EARLY).argmin())
    return {
        "trap_wins_random": signed(random_result(wins), 2),
        "trap_tempts_random": signed(random_result(tempts), 2),
        "trap_runs": str(settings["trap"]["runs"]),
        "trap_most": spaced(settings["trap"]["budgets"][-1]),
        "trap_tree": percent(found["tree"][-1]),
        "trap_flat": percent(found["flat"][-1]),
        "trap_unflipped": percent(found["unflipped"][-1]),
        "trap_mean_wins": signed(found["mean wins"][-1], 2),
        "trap_mean_tempts": signed(found["mean tempts"][-1], 2),
        "puct_runs": str(settings["puct"]["runs"]),
        "puct_early": str(steps[at]),
        "puct_good": percent(puct["good"]["mean"][at]),
        "puct_none": percent(puct["none"]["mean"][at]),
        "puct_bad": percent(puct["bad"]["mean"][at]),
        "puct_end": spaced(steps[-1]),
        "puct_bad_end": percent(puct["bad"]["mean"][-1]),
        "puct_none_end": percent(puct["none"]["mean"][-1]),
    }


# Figures


def draw_boards() -> HTML:
    """Draw the trap twice: what moves are worth under random play, and under perfect play."""
    with drawing(5.1, 2.6, ncols=2) as (figure, axes):
        for ax, title, value in zip(
            axes, ("both at random", "both perfectly"), (random_result, minimax), strict=True
        ):
            board(ax, TRAP, 0.0, 0.0, 1.0, 20)
            for move in reference.legal_moves(TRAP):
                row, column = divmod(move, 3)
                worth = value(reference.play(TRAP, move))
                text = signed(worth, 2) if value is random_result else RESULTS[int(worth)]
                colour = {WINS: BLUE, TEMPTS: ORANGE}.get(move, INK)
                ax.text(
                    column - 1, 1 - row, text, ha="center", va="center", color=colour,
                    weight="bold" if move in (WINS, TEMPTS) else "normal",
                )  # fmt: skip
            ax.set(xlim=(-1.55, 1.55), ylim=(-1.55, 1.55), aspect="equal", title=title)
            ax.axis("off")
        return inline(
            figure,
            "trap-board",
            "Two boards with X at the left and O at the bottom right. Under random play the best"
            f" move is the centre, {signed(random_result(reference.play(TRAP, TEMPTS)), 2)}; the"
            f" corner below left is worth {signed(random_result(reference.play(TRAP, WINS)), 2)}."
            " Under perfect play that corner wins, the centre draws, and four other moves lose.",
        )


def draw_trap() -> HTML:
    """Draw the trap, what UCT believes about its two moves, and who finds the winning one."""
    found, budgets = results()["trap"], results()["settings"]["trap"]["budgets"]
    with drawing(5.1, 5.6, nrows=2, sharex=True) as (figure, (upper, lower)):
        for name, colour, state in (
            ("wins", BLUE, reference.play(TRAP, WINS)),
            ("tempts", ORANGE, reference.play(TRAP, TEMPTS)),
        ):
            label = "the corner" if name == "wins" else "the centre"
            upper.plot(budgets, found[f"mean {name}"], "o-", ms=4, color=colour, label=label)
            upper.axhline(random_result(state), color=colour, ls=":", lw=1.4)
        upper.set(ylabel="mean result for X", ylim=(-0.3, 1.0), title="what the tree believes")
        upper.legend(loc="upper left")
        lines = {
            "tree": ("UCT", BLUE),
            "unflipped": ("UCT without the flip", PURPLE),
            "flat": ("random games alone", INK),
        }
        for name, (label, colour) in lines.items():
            lower.plot(budgets, 100 * np.array(found[name]), "o-", ms=4, color=colour, label=label)
        lower.set(
            xlabel="simulations", ylabel="runs, %", xscale="log", ylim=(-3, 103),
            title="who plays the corner",
        )  # fmt: skip
        lower.set_xticks([10, 100, 1000], ["10", "100", "1,000"])
        lower.legend(loc="upper left")
        return inline(
            figure,
            "trap",
            "Two panels against the number of simulations. Above: the mean result of the corner"
            " starts below that of the centre, overtakes it at a few hundred simulations and rises"
            " towards one. Below: the share of runs that play the corner reaches all of them for"
            " UCT, and stays below a third without the flip and for random games alone.",
        )


def draw_puct() -> HTML:
    """Draw the winning move's share of visits under three priors."""
    labels = {
        "good": ("a good prior", BLUE),
        "none": ("all moves alike", GREEN),
        "bad": ("a bad prior", ORANGE),
    }
    found = results()["puct"]
    steps = found["simulations"]
    with drawing(5.1, 3.4) as (figure, ax):
        for name, (label, colour) in labels.items():
            low, mean, high = (100 * np.array(found[name][key]) for key in ("10%", "mean", "90%"))
            ax.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
            ax.plot(steps, mean, color=colour, label=label)
        ax.set(xlabel="simulations", ylabel="visits of the corner, %", xscale="log")
        ax.set(xlim=(steps[0], steps[-1]), ylim=(-3, 103))
        ax.set_xticks([10, 100, 1000], ["10", "100", "1,000"])
        ax.legend(loc="upper left")
        return inline(
            figure,
            "puct-prior",
            "Share of the visits that go to the winning move, against simulations, for three"
            " priors. With the good prior it is high from the start, with none it rises after a few"
            " hundred simulations, with the bad one it stays near zero longest and rises last.",
        )
