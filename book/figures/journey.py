"""The handbook's drawing of how a submission travels, and of what stands on which side."""

from __future__ import annotations

from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK

OURS, THEIRS = COLOURS[0], COLOURS[1]  # what is trusted, what is not


def draw_journey() -> HTML:
    """Draw the stations of a submission, from the upload to the gradebook."""
    with drawing(5.1, 5.5) as (figure, ax):
        _box(ax, (0.2, 9.3), 4.5, 1.2, "what was handed in", "zips, folders, an exchange", THEIRS)
        _arrow(ax, (2.4, 9.2), (2.4, 8.55), THEIRS)
        _box(ax, (0.2, 7.2), 4.5, 1.25, "preflight", "refuses links, puts locked\ncells back", OURS)
        _arrow(ax, (2.4, 7.1), (2.4, 6.15), OURS)
        ax.text(2.6, 6.6, "cells, one notebook", fontsize=8.5, va="center")
        _box(
            ax, (0.2, 3.4), 4.5, 2.65, "referee",
            "references\nhidden cases, expected values\nlimits, verdicts", OURS,
        )  # fmt: skip
        _arrow(ax, (2.4, 3.3), (2.4, 2.35), OURS)
        ax.text(2.6, 2.8, "points, outputs", fontsize=8.5, va="center")
        _box(ax, (0.2, 0.9), 4.5, 1.35, "writer", "nbgrader's gradebook,\nfeedback, journal", OURS)
        ax.add_patch(_frame((6.5, 2.9), 4.4, 7.6, INK, dashed=True))
        ax.text(8.7, 10.1, "sandbox", ha="center", va="center", fontsize=10)
        _box(
            ax,
            (6.8, 7.6),
            3.8,
            1.9,
            "zygote",
            "one process, one thread:\nall libraries loaded",
            OURS,
        )
        _arrow(ax, (8.7, 7.5), (8.7, 6.2), INK)
        ax.text(8.85, 6.85, "fork,\nlock down", fontsize=8.5, va="center")
        _box(
            ax, (6.8, 3.4), 3.8, 2.65, "student's process",
            "the notebook's cells,\nthe student's functions;\nends with the notebook", THEIRS,
        )  # fmt: skip
        _arrow(ax, (4.8, 5.3), (6.7, 5.3), OURS)
        ax.text(
            5.72, 5.5, "cell, call,\ninputs", ha="center", va="bottom", fontsize=8.5, color=OURS
        )
        _arrow(ax, (6.7, 4.2), (4.8, 4.2), THEIRS)
        ax.text(5.72, 4.0, "plain\ndata", ha="center", va="top", fontsize=8.5, color=THEIRS)
        for x, colour, words in ((5.2, OURS, "trusted"), (8.0, THEIRS, "not trusted")):
            ax.add_patch(_frame((x, 1.35), 0.45, 0.35, colour))
            ax.text(x + 0.6, 1.52, words, fontsize=9, va="center")
        ax.set(xlim=(0, 11), ylim=(0.7, 10.6))
        ax.set_axis_off()
        return inline(
            figure,
            "grading-journey",
            "Boxes and arrows. What was handed in goes to preflight, which refuses links and puts"
            " locked cells back; from there to the referee, which holds references, hidden cases,"
            " expected values and verdicts; from there to the writer of gradebook, feedback and"
            " journal. Beside it the sandbox: a zygote with all libraries loaded forks the"
            " student's process, which runs the notebook's cells. The referee sends it cells,"
            " calls and inputs; plain data comes back. Only what was handed in and the student's"
            " process are not trusted.",
        )


def _box(
    ax: Axes,
    corner: tuple[float, float],
    width: float,
    height: float,
    name: str,
    note: str,
    colour: str,
) -> None:
    ax.add_patch(_frame(corner, width, height, colour))
    x, top = corner[0] + width / 2, corner[1] + height
    ax.text(x, top - 0.36, name, ha="center", va="center", weight="bold", color=colour)
    middle = (corner[1] + top - 0.6) / 2
    ax.text(x, middle, note, ha="center", va="center", fontsize=8.5, linespacing=1.15)


def _frame(
    corner: tuple[float, float], width: float, height: float, colour: str, *, dashed: bool = False
) -> FancyBboxPatch:
    return FancyBboxPatch(
        corner, width, height, boxstyle="round,pad=0,rounding_size=0.15", facecolor="none",
        edgecolor=colour, lw=1.4, ls=(0, (4, 3)) if dashed else "-",
    )  # fmt: skip


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.6})
