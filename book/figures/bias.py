"""Chapter 2's figure and numbers about maximisation bias."""

from __future__ import annotations

import functools

import numpy as np
from IPython.display import HTML

from benchmarks import recording
from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK

METHODS = {"Q-learning": COLOURS[1], "Double Q-learning": COLOURS[3]}
OPTIMUM = 0.05


@functools.cache
def results() -> dict:
    """Return what the benchmark measured."""
    return recording.read("lab02_max_bias")


def percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    single, double = (results()["methods"][name] for name in METHODS)
    late = next(key for key in single if key.startswith("last"))
    return {
        "bias_runs": f"{results()['settings']['num_runs']:,}".replace(",", "\u202f"),
        "q_peak": percent(single["peak"]),
        "q_peak_at": str(single["peak episode"]),
        "q_late": percent(single[late]["mean"]),
        "d_peak": percent(double["peak"]),
        "d_late": percent(double[late]["mean"]),
    }


def draw() -> HTML:
    """Draw how often the agents go left in A, with twice the standard error."""
    with drawing(5.1, 3.3) as (figure, ax):
        for name, colour in METHODS.items():
            share = np.array(results()["methods"][name]["left by episode"])
            error = 2 * np.sqrt(share * (1 - share) / results()["settings"]["num_runs"])
            episode = np.arange(1, len(share) + 1)
            ax.fill_between(
                episode, 100 * (share - error), 100 * (share + error),
                color=colour, alpha=0.22, linewidth=0,
            )  # fmt: skip
            ax.plot(episode, 100 * share, color=colour, lw=1.4)
        ax.text(105, 62, "Q-learning", color=METHODS["Q-learning"])
        ax.text(30, 30, "Double\nQ-learning", color=METHODS["Double Q-learning"])
        ax.axhline(100 * OPTIMUM, color=INK, ls=":", lw=1.4)
        ax.text(300, 100 * OPTIMUM - 1.5, "best possible", ha="right", va="top")
        ax.set(xlabel="episode", ylabel="went left, %", xlim=(0, 300), ylim=(-6, 100))
        return inline(
            figure,
            "max-bias",
            "Share of left choices over 300 episodes: Q-learning rises to about 95 percent and"
            " falls to 12; Double Q-learning starts at 50 and falls to 8; the optimum is 5.",
        )
