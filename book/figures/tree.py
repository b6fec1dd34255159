"""Chapter 3's figures and numbers about Monte-Carlo tree search, on tic-tac-toe."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from IPython.display import HTML, Markdown
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from book.figures.cliff import signed
from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK
from solutions.lab03_planning_mcts import reference
from solutions.lab03_planning_mcts.reference import SearchTree, State

Float = NDArray[np.float64]

BLUE, ORANGE, GREEN, PURPLE = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3]
CELLS = (
    "top left", "top", "top right", "left", "centre", "right",
    "bottom left", "bottom", "bottom right",
)  # fmt: skip

WORKED: State = (-1, 0, 1, 1, 0, 0, -1, 1, -1)  # X must block, and thereby wins
WORKED_SIMULATIONS, WORKED_C, WORKED_SEED = 12, 1.0, 2


# The worked example


@dataclasses.dataclass(frozen=True)
class Simulation:
    """One simulation: the moves in the tree, whether a node was added, and what came out for X."""

    path: tuple[int, ...]
    new: bool
    over: bool
    result: float


@functools.cache
def worked() -> tuple[SearchTree, list[Simulation]]:
    """Return the tree after the worked example's simulations, and the simulations."""
    tree, rng, lines = SearchTree(WORKED), np.random.default_rng(WORKED_SEED), []
    for _ in range(WORKED_SIMULATIONS):
        size = len(tree.state)
        node = tree.expand(tree.select(WORKED_C))
        result = reference.rollout(tree.state[node], 1, rng)
        tree.backup(node, result)
        lines.append(
            Simulation(
                path=moves_to(tree, node),
                new=len(tree.state) > size,
                over=reference.is_terminal(tree.state[node]),
                result=result,
            )
        )
    return tree, lines


def moves_to(tree: SearchTree, node: int) -> tuple[int, ...]:
    """Return the moves that lead from the root to a node."""
    moves: list[int] = []
    while tree.parent[node] >= 0:
        moves.insert(0, tree.move[node])
        node = tree.parent[node]
    return tuple(moves)


def outcome(result: float) -> str:
    """Write a result with its sign."""
    return f"{result:+.0f}".replace("-", "−").replace("+0", "0")


def simulations() -> Markdown:
    """Return the worked example's simulations, line by line."""
    lines = [
        "| | the walk: X, O, X | how it goes on | result for X |",
        "|---|---|---|---|",
    ]
    for number, line in enumerate(worked()[1], start=1):
        walk = ", ".join(CELLS[move] for move in line.path)
        if line.over:
            ends = "new, and the game is over" if line.new else "seen before; the game is over"
        else:
            ends = "new; random moves to the end"
        lines.append(f"| {number} | {walk} | {ends} | {outcome(line.result)} |")
    return Markdown("\n".join(lines))


def scores() -> Markdown:
    """Return the arithmetic of the walk's first choice in the next simulation."""
    tree, _ = worked()
    lines = ["| X plays | *W* | *N* | mean | bonus | score |", "|---|---|---|---|---|---|"]
    for child in tree.children[0]:
        total, visits = tree.totals[child], tree.visits[child]
        score = reference.ucb(tree.visits[0], total, visits, WORKED_C)
        mean = total / visits
        lines.append(
            f"| {CELLS[tree.move[child]]} | {outcome(total)} | {visits} | {signed(mean, 2)} |"
            f" {score - mean:.2f} | {signed(score, 2)} |"
        )
    return Markdown("\n".join(lines))


# Numbers for the text


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    tree, _ = worked()
    visits = {tree.move[child]: tree.visits[child] for child in tree.children[0]}
    return {
        "worked_count": str(WORKED_SIMULATIONS),
        "worked_centre": str(visits[4]),
    }


# Figures


def board(ax: Axes, state: State, x: float, y: float, size: float, fontsize: float) -> None:
    """Draw a board of tic-tac-toe around a point.

    Args:
        ax: where to draw; x and y have the same scale.
        state: the board.
        x, y: the board's middle; y grows upwards.
        size: of one cell.
        fontsize: of the marks.
    """
    for cell, mark in enumerate(state):
        row, column = divmod(cell, 3)
        left, bottom = x + (column - 1.5) * size, y + (0.5 - row) * size
        ax.add_patch(Rectangle((left, bottom), size, size, fill=False, edgecolor=INK, lw=0.8))
        if mark:
            ax.text(
                left + size / 2, bottom + 0.47 * size, "X" if mark == 1 else "O", ha="center",
                va="center", fontsize=fontsize, weight="bold",
                color=BLUE if mark == 1 else ORANGE,
            )  # fmt: skip


def places(tree: SearchTree) -> dict[int, tuple[float, float]]:
    """Return where each node is drawn: leaves side by side, parents above their middle."""
    spots: dict[int, tuple[float, float]] = {}
    leaves = 0

    def visit(node: int, depth: int) -> float:
        nonlocal leaves
        children = tree.children[node]
        if children:
            x = float(np.mean([visit(child, depth + 1) for child in children]))
        else:
            x, leaves = float(leaves), leaves + 1
        spots[node] = (x, -depth)
        return x

    visit(0, 0)
    return spots


def draw_worked() -> HTML:
    """Draw the worked example's tree."""
    tree, _ = worked()
    spots = places(tree)
    wide, tall = 1.15, 1.5
    with drawing(5.1, 4.7) as (figure, ax):
        for node, (x, y) in spots.items():
            x, y = wide * x, tall * y
            if node:
                above = spots[tree.parent[node]]
                below = 0.24 if tree.parent[node] == 0 else 0.3  # the board's edge, a box's edge
                ax.plot(
                    [wide * above[0], x], [tall * above[1] - below, y + 0.3], color=INK, alpha=0.5,
                    lw=0.6 + 0.35 * tree.visits[node], solid_capstyle="round",
                )  # fmt: skip
        for node, (x, y) in spots.items():
            x, y = wide * x, tall * y
            if node == 0:
                continue
            moved = -reference.to_move(tree.state[node])
            colour = BLUE if moved == 1 else ORANGE
            text = f"{outcome(tree.totals[node])} / {tree.visits[node]}"
            ax.text(
                x, y, f"{CELLS[tree.move[node]]}\n{text}", ha="center", va="center", fontsize=9,
                color=colour, linespacing=1.25, zorder=2,
                bbox={"boxstyle": "round,pad=0.3", "facecolor": "none", "edgecolor": colour,
                      "lw": 2.2 if reference.is_terminal(tree.state[node]) else 0.9},
            )  # fmt: skip
        x, y = wide * spots[0][0], 0.0
        board(ax, WORKED, x, y + 0.32, 0.34, 10)
        ax.text(x - 0.72, y + 0.32, f"{tree.visits[0]} visits", ha="right", va="center", fontsize=9)
        ax.text(x + 0.72, y + 0.32, "X to move", ha="left", va="center", fontsize=9, color=BLUE)
        ax.set_aspect("equal")
        ax.set(xlim=(-0.65, wide * max(x for x, _ in spots.values()) + 0.65))
        ax.axis("off")
        listed = [
            f"{CELLS[tree.move[child]]} {outcome(tree.totals[child])}, {tree.visits[child]} visits"
            for child in tree.children[0]
        ]
        return inline(
            figure,
            "uct-tree",
            "A tree. At the top a board of tic-tac-toe with X to move; below it X's three moves:"
            f" {', '.join(listed)}; below those O's replies and X's last moves.",
        )


def draw_bonus() -> HTML:
    """Draw the bonus of UCB and of PUCT against a child's visits."""
    visits = np.arange(1, 201)
    with drawing(5.1, 3.3) as (figure, ax):
        for total, colour in ((200, BLUE), (20_000, GREEN)):
            bonus = [reference.ucb(total, 0.0, int(n), 1.0) for n in visits]
            ax.plot(visits, bonus, color=colour, label=f"UCB, parent {total:,} visits")
            others = np.maximum(total - visits, 0)
            prior = np.array([0.1, 0.9])
            scores = [
                reference.puct(prior, np.array([n, rest]), np.zeros(2), 1.0)[0]
                for n, rest in zip(visits, others, strict=True)
            ]
            ax.plot(visits, scores, "--", color=colour, label=f"PUCT, prior 0.1, {total:,}")
        ax.set(xlabel="visits of the child", ylabel="bonus", xscale="log", yscale="log")
        ax.set(xlim=(1, 200), ylim=(0.004, 12))
        ax.set_xticks([1, 10, 100], ["1", "10", "100"])
        ax.set_yticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
        ax.legend(loc="lower left", fontsize=9)
        return inline(
            figure,
            "ucb-bonus",
            "Four falling lines on two logarithmic axes. The two of UCB are parallel, close"
            " together, and fall with the root of the visits; the two of PUCT fall twice as"
            " steeply, and lie a factor of ten apart.",
        )
