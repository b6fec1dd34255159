"""Chapter 3's figures and numbers about planning with a model that is known or has been learned."""

from __future__ import annotations

import functools
import itertools

import numpy as np
from IPython.display import HTML, Markdown
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from book.figures.svg import drawing, inline
from labkit.envs import DynaMaze
from labkit.plots import ARROWS, COLOURS, INK, style
from solutions.lab03_planning_mcts import reference

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

BLUE, ORANGE, GREEN, PURPLE = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3]
ROWS, COLUMNS = DynaMaze.SHAPE
START, GOAL, WALLS = DynaMaze.START, DynaMaze.GOAL, DynaMaze.WALLS
GAMMA, SLIP = 0.95, 0.2
TOL = 0.01
SHOWN_SWEEPS = (1, 5, 10)
DISCOUNTS = (0.9, 0.95, 0.99, 0.999)
RESTLESS = 300  # rounds after which the policy iteration of the trap was stopped
PER_PAIR = (1, 2, 4, 8, 16, 32, 64)
MODEL_SEEDS = 200


def neighbour(cell: int, action: int, walls: tuple[int, ...] = WALLS) -> int:
    """Return the cell that an action (up, right, down, left) leads to; a wall stops it."""
    row, column = divmod(cell, COLUMNS)
    right, down = ARROWS[action]
    row, column = row + int(down), column + int(right)
    inside = 0 <= row < ROWS and 0 <= column < COLUMNS
    there = row * COLUMNS + column
    return there if inside and there not in walls else cell


@functools.cache
def maze(slip: float = 0.0) -> tuple[Float, Float, Bool]:
    """Return transitions, rewards and terminal cells of the Dyna maze of Sutton & Barto (2018).

    Args:
        slip: probability that a step goes to one of the two sides instead, each as likely.
    """
    P, R = np.zeros((ROWS * COLUMNS, 4, ROWS * COLUMNS)), np.zeros((ROWS * COLUMNS, 4))
    terminal = np.zeros(ROWS * COLUMNS, dtype=bool)
    terminal[GOAL] = True
    for cell in range(ROWS * COLUMNS):
        for action in range(4):
            for turn, share in ((0, 1 - slip), (1, slip / 2), (3, slip / 2)):
                P[cell, action, neighbour(cell, (action + turn) % 4)] += share
            R[cell, action] = P[cell, action, GOAL]
    P[GOAL], R[GOAL] = 0.0, 0.0
    P[GOAL, :, GOAL] = 1.0
    return P, R, terminal


def rooms() -> Int:
    """Return the cells that are no walls."""
    return np.setdiff1d(np.arange(ROWS * COLUMNS), WALLS)


def policy_value(P: Float, R: Float, pi: Int, gamma: float) -> Float:
    """Return the exact value of a deterministic policy."""
    cells = np.arange(len(P))
    found: Float = np.linalg.solve(np.eye(len(P)) - gamma * P[cells, pi], R[cells, pi])
    return found


def sweeps(P: Float, R: Float, terminal: Bool, gamma: float, count: int) -> list[Float]:
    """Return the values before the first sweep of value iteration and after each of ``count``."""
    V = [np.zeros(len(P))]
    for _ in range(count):
        V.append(np.where(terminal, 0.0, (R + gamma * P @ V[-1]).max(axis=1)))
    return V


def num_sweeps(gamma: float, tol: float, slip: float = SLIP) -> int:
    """Return after how many sweeps the stop rule of `reference.value_iteration` stops."""
    P, R, terminal = maze(slip)
    final, _ = reference.value_iteration(P, R, terminal, gamma=gamma, tol=tol)
    V, count = np.zeros(len(P)), 0
    while not np.array_equal(V, final):
        V, count = np.where(terminal, 0.0, (R + gamma * P @ V).max(axis=1)), count + 1
    return count


def settles(rounds: int) -> bool:
    """Return whether policy iteration settles in the maze if it draws among equal actions."""
    P, R, _ = maze()
    rng = np.random.default_rng(0)
    pi = np.zeros(len(P), dtype=np.int64)
    for _ in range(rounds):
        Q = R + GAMMA * P @ policy_value(P, R, pi, GAMMA)
        best = Q.max(axis=1, keepdims=True) - 1e-9 <= Q
        better = np.array([rng.choice(np.flatnonzero(row)) for row in best])
        if np.array_equal(better, pi):
            return True
        pi = better
    return False


@functools.cache
def stopping() -> dict[str, Float]:
    """Return, after each sweep on the slippery maze, what value iteration sees and what is true."""
    P, R, terminal = maze(SLIP)
    V = sweeps(P, R, terminal, GAMMA, 60)
    optimal = policy_value(P, R, reference.policy_iteration(P, R, gamma=GAMMA)[0], GAMMA)
    rows = []
    for before, after in itertools.pairwise(V):
        change = np.abs(after - before).max()
        greedy = (R + GAMMA * P @ after).argmax(axis=1)
        loss = (optimal - policy_value(P, R, greedy, GAMMA)).max()
        bound = 2 * GAMMA / (1 - GAMMA) * change
        rows.append((change, np.abs(optimal - after).max(), bound, loss))
    names = "change", "error", "bound", "loss"
    return dict(zip(names, np.array(rows).T, strict=True))


# A model from samples


@functools.cache
def learned() -> dict[str, Float]:
    """Return what a plan promises and what it earns, by samples per pair of the slippery maze."""
    P, R, terminal = maze(SLIP)
    best = policy_value(P, R, reference.policy_iteration(P, R, gamma=GAMMA)[0], GAMMA)
    live = [cell for cell in rooms() if not terminal[cell]]
    believed, true = np.zeros((2, len(PER_PAIR), MODEL_SEEDS))
    for seed in range(MODEL_SEEDS):
        rng = np.random.default_rng(seed)
        drawn = {
            (cell, action): rng.choice(len(P), size=max(PER_PAIR), p=P[cell, action])
            for cell in live
            for action in range(4)
        }
        for column, count in enumerate(PER_PAIR):
            transitions = [
                (cell, action, float(there == GOAL), int(there), bool(there == GOAL))
                for (cell, action), found in drawn.items()
                for there in found[:count]
            ]
            P_hat, R_hat, _ = reference.fit_model(len(P), 4, transitions)
            # Walls have no samples and can't be entered: what they hold doesn't matter.
            V, pi = reference.value_iteration(P_hat, R_hat, terminal, gamma=GAMMA, tol=1e-6)
            believed[column, seed] = V[START]
            true[column, seed] = policy_value(P, R, pi, GAMMA)[START]
    return {"believed": believed, "true": true, "best": best[START]}


# Numbers for the text


def spaced(count: int) -> str:
    """Write a whole number with narrow spaces: `glue` takes commas for a tuple's."""
    return f"{count:,}".replace(",", "\u202f")


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    P, R, terminal = maze()
    plain = sweeps(P, R, terminal, GAMMA, 60)
    settled = next(k for k in range(60) if np.array_equal(plain[k], plain[k + 1]))
    seen = stopping()
    stops = num_sweeps(GAMMA, TOL)
    perfect = int(np.flatnonzero(seen["loss"] > 1e-12)[-1]) + 2
    close = int(np.flatnonzero(seen["loss"] >= TOL)[-1]) + 2
    few, poor = (learned()[name].mean(axis=1)[0] for name in ("believed", "true"))
    Q = R + GAMMA * P @ plain[-1]
    ties = (Q.max(axis=1, keepdims=True) - 1e-9 <= Q).sum(axis=1) > 1
    return {
        "pi_restless": str(RESTLESS),
        "pi_tied": str(sum(bool(ties[cell]) for cell in rooms() if not terminal[cell])),
        "vi_settled": str(settled),
        "vi_start": f"{plain[-1][START]:.3f}",
        "vi_tol": f"{TOL:g}",
        "vi_threshold": f"{TOL * (1 - GAMMA) / (2 * GAMMA):.5f}",
        "vi_stops": str(stops),
        "vi_close": str(close),
        "vi_perfect": str(perfect),
        "model_seeds": str(MODEL_SEEDS),
        "model_few": f"{few:.3f}",
        "model_poor": f"{poor:.3f}",
    }


def iterations() -> Markdown:
    """Return how long value iteration and policy iteration take, by discount."""
    P, R, _ = maze(SLIP)
    lines = [
        "| γ | 1/(1 − γ) | sweeps of value iteration | iterations of policy iteration |",
        "|---|---|---|---|",
    ]
    for gamma in DISCOUNTS:
        rounds = reference.policy_iteration(P, R, gamma=gamma)[2]
        count = num_sweeps(gamma, TOL)
        lines.append(f"| {gamma:g} | {1 / (1 - gamma):,.0f} | {count:,} | {rounds} |")
    return Markdown("\n".join(lines))


# Figures


def grid(
    ax: Axes,
    *,
    values: Float | None = None,
    Q: Float | None = None,
    walls: tuple[int, ...] = WALLS,
    start: int = START,
    title: str = "",
) -> None:
    """Draw the maze: values as the strength of a colour, best actions as arrows.

    Args:
        ax: where to draw.
        values: one number from 0 to 1 per cell.
        Q: action values; an arrow for every best action of a cell that has one above 0.
        walls: cells that can't be entered.
        start: the start's cell.
        title: stands above the maze.
    """
    for cell in range(ROWS * COLUMNS):
        row, column = divmod(cell, COLUMNS)
        corner = (column - 0.5, row - 0.5)
        if cell in walls:
            ax.add_patch(Rectangle(corner, 1, 1, facecolor=INK, alpha=0.75, linewidth=0))
        elif values is not None and values[cell] > 0:
            shade = 0.1 + 0.8 * max(0.0, float(values[cell]) - 0.4) / 0.6
            ax.add_patch(Rectangle(corner, 1, 1, facecolor=BLUE, alpha=shade, linewidth=0))
        if Q is not None and cell not in (*walls, GOAL) and Q[cell].max() > 0:
            for action in np.flatnonzero(Q[cell] >= Q[cell].max() - 1e-12):
                right, down = ARROWS[action]
                ax.annotate(
                    "", (column + 0.42 * right, row + 0.42 * down), (column, row),
                    arrowprops={"arrowstyle": "->", "color": ORANGE, "lw": 1.3, "shrinkA": 0,
                                "shrinkB": 0},
                )  # fmt: skip
    for cell, letter in ((start, "S"), (GOAL, "G")):
        row, column = divmod(cell, COLUMNS)
        shift = 0.0 if Q is None else 0.3
        ax.text(
            column - shift, row - shift, letter, ha="center", va="center", weight="bold",
            color=INK, fontsize=11 if Q is None else 8,
        )  # fmt: skip
    with style():
        ax.set(xlim=(-0.5, COLUMNS - 0.5), ylim=(ROWS - 0.5, -0.5), aspect="equal", title=title)
        ax.set_xticks(np.arange(-0.5, COLUMNS), labels=[])
        ax.set_yticks(np.arange(-0.5, ROWS), labels=[])
        ax.tick_params(length=0)


def draw_sweeps() -> HTML:
    """Draw the values of the maze after some sweeps of value iteration, and the plan."""
    P, R, terminal = maze()
    V = sweeps(P, R, terminal, GAMMA, 60)
    with drawing(5.1, 4.1, nrows=2, ncols=2) as (figure, axes):
        for ax, count in zip(axes.flat, SHOWN_SWEEPS, strict=False):
            grid(ax, values=V[count], title=f"after {count} sweep{'s' if count > 1 else ''}")
        Q = R + GAMMA * P @ V[-1]
        grid(axes[1, 1], values=V[-1], Q=Q, title="at the end, and what is greedy")
        return inline(
            figure,
            "vi-sweeps",
            "Four pictures of a maze. After one sweep only the cell below the goal has a value,"
            " after five the cells up to five steps away, after ten most of the right half; at the"
            " end every cell has a value, and arrows lead from everywhere to the goal.",
        )


def draw_stopping() -> HTML:
    """Draw the stop rule's promise against what is true, sweep by sweep."""
    seen = stopping()
    sweep = np.arange(1, len(seen["change"]) + 1)
    lines = {
        "bound": ("what the rule promises", INK, "--"),
        "error": ("error of the values", BLUE, "-"),
        "change": ("largest change of the sweep", GREEN, "-"),
        "loss": ("what the greedy policy loses", ORANGE, "-"),
    }
    with drawing(5.1, 3.7) as (figure, ax):
        for name, (label, colour, dash) in lines.items():
            known = seen[name] > 1e-12
            ax.plot(sweep[known], seen[name][known], dash, color=colour, label=label)
        last = int(np.flatnonzero(seen["loss"] > 1e-12)[-1])
        ax.plot(sweep[last], seen["loss"][last], "v", color=ORANGE, ms=6)
        stops = num_sweeps(GAMMA, TOL)
        ax.axhline(TOL, color=INK, ls=":", lw=1.2)
        ax.plot(stops, seen["bound"][stops - 1], "o", color=INK, ms=5)
        ax.annotate(
            f"stops at {stops}", (stops, seen["bound"][stops - 1]), (4, 7),
            textcoords="offset points",
        )  # fmt: skip
        ax.set(xlabel="sweep", ylabel="reward units", yscale="log", xlim=(0, 60), ylim=(1e-6, 60))
        ax.legend(loc="lower left")
        return inline(
            figure,
            "vi-stop",
            "Four falling lines on a logarithmic axis. The promise lies highest and reaches the"
            f" tolerance after {stops} sweeps; the values' error and the largest change lie below"
            " it; the loss of the greedy policy drops to zero long before.",
        )


def draw_learned() -> HTML:
    """Draw what plans in learned models promise and what they earn, by samples per pair."""
    found = learned()
    with drawing(5.1, 3.4) as (figure, ax):
        places = {"believed": (BLUE, "what the plan promises"), "true": (ORANGE, "what it earns")}
        for name, (colour, label) in places.items():
            low, high = np.percentile(found[name], (10, 90), axis=1)
            ax.fill_between(PER_PAIR, low, high, color=colour, alpha=0.18, linewidth=0)
            ax.plot(PER_PAIR, found[name].mean(axis=1), "o-", color=colour, ms=4, label=label)
        ax.axhline(found["best"], color=INK, ls=":", lw=1.4, label="the best there is")
        ax.set(xlabel="samples of every pair", ylabel="value of the start", xscale="log")
        ax.set_xticks(PER_PAIR, [str(count) for count in PER_PAIR])
        ax.minorticks_off()
        ax.legend(loc="lower right")
        return inline(
            figure,
            "model-samples",
            "Two curves against the number of samples per pair, from 1 to 64. What the plan"
            " promises starts far above the best possible value and falls towards it; what the"
            " plan earns starts below and rises towards it.",
        )
