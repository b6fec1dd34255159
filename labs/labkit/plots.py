"""Figures that labs and book share: learning curves over seeds, grids of values, films.

Backgrounds are transparent, text is a grey that reads on white and on black, and colours (after
Okabe and Ito) stay apart for colour-blind readers. Every function returns the axes it drew on, or
the film.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

INK = "#767676"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
CLIFF_SHAPE = (4, 12)
ARROWS = ((0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0))
"""Direction of Gymnasium's grid actions (up, right, down, left) with rows counted downwards."""

STYLE: dict[str, object] = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=list(COLOURS)),
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "figure.dpi": 110,
    "svg.fonttype": "none",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw in the course's style inside the block."""
    settings: Any = plt.rcParams
    before = {name: settings[name] for name in STYLE}
    settings.update(STYLE)
    try:
        yield
    finally:  # rc_context would also undo what Jupyter sets when it meets its first figure
        settings.update(before)


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    return plt.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax


def smoothed(curves: ArrayLike, window: int) -> NDArray[np.float64]:
    """Return the mean of the last ``window`` values (fewer at the start) along the last axis.

    Args:
        curves: shape ``(..., num_steps)``.
        window: number of values, at least 1.
    """
    values = np.asarray(curves, dtype=float)
    sums = np.cumsum(values, axis=-1)
    sums[..., window:] = sums[..., window:] - sums[..., :-window]
    return np.asarray(sums / np.minimum(np.arange(1, values.shape[-1] + 1), window))


def learning_curves(
    curves: Mapping[str, ArrayLike],
    *,
    window: int = 10,
    band: tuple[float, float] | None = (10, 90),
    truth: Mapping[str, float] | None = None,
    xlabel: str = "episode",
    ylabel: str = "sum of rewards",
    ylim: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean over seeds as a line and a range of the seeds as a band.

    Args:
        curves: name to array of shape ``(num_seeds, num_steps)``.
        window: running mean over that many steps, taken per seed before the band.
        band: the two percentiles of the seeds between which the band lies; None for no band.
        truth: name to a height; drawn as a dashed line of the curve of that name (grey if none).
        xlabel, ylabel, ylim: as in matplotlib.
        ax: where to draw; None makes a new figure.
    """
    with style():
        ax = _axes(ax, 6.4, 3.6)
        colours = dict(zip(curves, COLOURS * len(curves), strict=False))
        for name, curve in curves.items():
            values = smoothed(np.atleast_2d(np.asarray(curve, dtype=float)), window)
            steps = np.arange(1, values.shape[1] + 1)
            if band is not None:
                low, high = np.percentile(values, band, axis=0)
                ax.fill_between(steps, low, high, color=colours[name], alpha=0.2, linewidth=0)
            ax.plot(steps, values.mean(axis=0), color=colours[name], label=name)
        for name, height in (truth or {}).items():
            label = None if name in curves else name
            ax.axhline(height, color=colours.get(name, INK), linestyle="--", lw=1, label=label)
        ax.set(xlabel=xlabel, ylabel=ylabel)
        if ylim is not None:
            ax.set_ylim(*ylim)
        ax.legend()
    return ax


def _cliff(ax: Axes, shape: tuple[int, int]) -> None:
    rows, columns = shape
    cell = Rectangle((0.5, rows - 1.5), columns - 2, 1, facecolor=INK, alpha=0.45, linewidth=0)
    ax.add_patch(cell)
    middle = columns / 2 - 0.5
    ax.text(middle, rows - 1, "the cliff", ha="center", va="center", color=INK)
    for column, letter in ((0, "S"), (columns - 1, "G")):
        corner = (column - 0.42, rows - 1.42)
        ax.text(*corner, letter, ha="left", va="top", weight="bold", color=INK)


def grid(
    *,
    values: ArrayLike | None = None,
    Q: ArrayLike | None = None,
    path: Sequence[int] | None = None,
    shape: tuple[int, int] = CLIFF_SHAPE,
    title: str = "",
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the cliff with values as colour, a greedy policy as arrows and a path as a line.

    Args:
        values: one number per cell, shape ``(rows * columns,)``; printed and coloured.
        Q: action values, shape ``(rows * columns, 4)``; an arrow for every best action.
        path: cells that the agent visits, in order.
        shape: rows and columns; the cliff is the bottom row without its ends.
        title: stands above the grid.
        limits: values of the darkest and the lightest colour.
        ax: where to draw; None makes a new figure.
    """
    rows, columns = shape
    hidden = np.zeros(shape, dtype=bool)
    hidden[-1, 1:] = True
    with style():
        ax = _axes(ax, 0.62 * columns, 0.62 * rows + 0.35)
        if values is not None:
            cells = np.asarray(values, dtype=float).reshape(shape)
            shown = np.ma.array(cells, mask=hidden)
            low, high = limits if limits is not None else (None, None)
            ax.imshow(shown, cmap="cividis", vmin=low, vmax=high, aspect="equal", alpha=0.9)
            scale = ax.images[-1].norm
            for row, column in np.argwhere(~hidden):
                dark = float(np.asarray(scale(cells[row, column]))) < 0.55
                height = row + (0.3 if Q is not None else 0.0)
                ax.text(column, height, f"{cells[row, column]:.1f}", ha="center", va="center",
                        fontsize=7, color="white" if dark else "black")  # fmt: skip
        if Q is not None:
            table = np.asarray(Q, dtype=float)
            for row, column in np.argwhere(~hidden):
                q = table[row * columns + column]
                for action in np.flatnonzero(q == q.max()):
                    dx, dy = ARROWS[action]
                    ax.annotate("", (column + 0.34 * dx, row - 0.1 + 0.34 * dy),
                                (column, row - 0.1),
                                arrowprops={"arrowstyle": "->", "color": COLOURS[1], "lw": 1.4},
                                annotation_clip=False)  # fmt: skip
        if path is not None:
            y, x = np.divmod(np.asarray(path), columns)
            ax.plot(x, y, color=COLOURS[0], lw=3, alpha=0.8, solid_capstyle="round")
            ax.plot(x[-1], y[-1], "o", color=COLOURS[0], ms=9)
        _cliff(ax, shape)
        ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal", title=title)
        ax.set_xticks(np.arange(-0.5, columns), labels=[])
        ax.set_yticks(np.arange(-0.5, rows), labels=[])
        ax.tick_params(length=0)
    return ax


def film(
    paths: Mapping[str, Sequence[int]],
    *,
    shape: tuple[int, int] = CLIFF_SHAPE,
    interval: int = 200,
    pause: int = 5,
) -> FuncAnimation:
    """Return a film of agents on the cliff, one row of the picture each, in step.

    In a notebook show it with ``IPython.display.HTML(film(...).to_jshtml())``; a book page saves it
    with ``film(...).save(...)``.

    Args:
        paths: name to the cells that the agent visits; who arrives first waits.
        shape: rows and columns.
        interval: milliseconds per step.
        pause: steps that the last picture stays.
    """
    rows, columns = shape
    with style():
        size = (0.5 * columns, (0.5 * rows + 0.35) * len(paths))
        figure, grids = plt.subplots(len(paths), figsize=size, layout="constrained", squeeze=False)
        artists = []
        for ax, (name, path), colour in zip(grids[:, 0], paths.items(), COLOURS, strict=False):
            grid(shape=shape, title=name, ax=ax)
            (trail,) = ax.plot([], [], color=colour, lw=3, alpha=0.5, solid_capstyle="round")
            (agent,) = ax.plot([], [], "o", color=colour, ms=10)
            artists.append((np.divmod(np.asarray(path), columns), trail, agent))

    def show(frame: int) -> list[object]:
        drawn: list[object] = []
        for (y, x), trail, agent in artists:
            last = min(frame, len(x) - 1)
            trail.set_data(x[: last + 1], y[: last + 1])
            agent.set_data(x[last : last + 1], y[last : last + 1])
            drawn += [trail, agent]
        return drawn

    frames = max(map(len, paths.values())) + pause
    made = FuncAnimation(figure, show, frames=frames, interval=interval)  # type: ignore[arg-type]
    plt.close(figure)
    return made
