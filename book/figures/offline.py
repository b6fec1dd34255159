"""Chapter 3's figures and numbers about learning from a fixed data set."""

from __future__ import annotations

import functools

import gymnasium as gym
import numpy as np
from IPython.display import HTML
from matplotlib.axes import Axes
from numpy.typing import NDArray

from benchmarks import recording
from book.figures.cliff import COLUMNS, START, signed
from book.figures.planning import spaced
from book.figures.svg import drawing, inline
from book.figures.trap import results as measured
from labkit.plots import ARROWS, COLOURS, INK, grid
from solutions.lab02_q_learning_sarsa.reference import greedy_path
from solutions.lab03_planning_mcts import reference

Float = NDArray[np.float64]

BLUE, ORANGE = COLOURS[0], COLOURS[1]
EPISODES, SEED, PENALTY = 10, 1, 1.0
NAIVE, CAREFUL = "fitted, penalty 0", "fitted, penalty 1"


@functools.cache
def results() -> dict:
    """Return what the benchmark measured."""
    return recording.read("lab03_offline")


@functools.cache
def log() -> list[reference.Transition]:
    """Return the log that the figure shows."""
    return reference.log_cliff(EPISODES, np.random.default_rng(SEED))


@functools.cache
def fitted(penalty: float) -> Float:
    """Return what fitted Q-iteration makes of the log."""
    settings = results()["settings"]
    found: Float = reference.fitted_q_iteration(
        log(),
        num_obs=48,
        num_actions=4,
        gamma=settings["gamma"],
        num_iterations=settings["num_iterations"],
        penalty=penalty,
    )
    return found


def percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    sizes, settings = results()["sizes"], results()["settings"]
    few, many = next(iter(sizes)), list(sizes)[-1]
    shown = sizes[str(EPISODES)]
    naive, careful = (shown["methods"][name] for name in (NAIVE, CAREFUL))
    last = sizes[many]["methods"]
    noise = measured()["logged"]
    best = int(np.argmax(noise["true"]["mean"]))
    return {
        "log_episodes": str(EPISODES),
        "log_steps": str(len(log())),
        "log_tried": percent(shown["share of pairs tried, where anything was"]["mean"]),
        "log_driver": signed(shown["the driver's return"]["mean"], 0),
        "off_seeds": str(settings["num_seeds"]),
        "off_gamma": f"{settings['gamma']:g}",
        "off_optimum": signed(results()["optimal value at the start"], 1),
        "off_naive_believed": signed(naive["believed"]["median"], 1),
        "off_naive_worth": signed(naive["worth"]["median"], 0).replace("000", "\u202f000"),
        "off_naive_reach": percent(naive["reaches the goal"]),
        "off_careful_believed": signed(careful["believed"]["median"], 1),
        "off_careful_worth": signed(careful["worth"]["median"], 1),
        "off_careful_reach": percent(careful["reaches the goal"]),
        "off_few": few,
        "off_few_reach": percent(sizes[few]["methods"][CAREFUL]["reaches the goal"]),
        "off_many": spaced(int(many)),
        "off_many_steps": spaced(round(sizes[many]["transitions"]["mean"])),
        "off_many_reach": percent(last[NAIVE]["reaches the goal"]),
        "noise_runs": str(measured()["settings"]["logged"]["runs"]),
        "noise_episodes": str(measured()["settings"]["logged"]["episodes"]),
        "noise_best": f"{noise['best']:.3f}",
        "noise_believed": f"{noise['believed']['mean'][0]:.3f}",
        "noise_true": f"{noise['true']['mean'][0]:.3f}",
        "noise_penalty": f"{noise['penalties'][best]:g}",
        "noise_penalty_true": f"{noise['true']['mean'][best]:.3f}",
        "noise_penalty_believed": signed(noise["believed"]["mean"][best], 3),
        "noise_most": f"{noise['penalties'][-1]:g}",
        "noise_most_true": f"{noise['true']['mean'][-1]:.3f}",
    }


# Figures


def _tried(ax: Axes) -> None:
    """Mark the pairs that the log contains by a stroke from the cell's middle."""
    for obs, action in {(obs, action) for obs, action, *_ in log()}:
        row, column = divmod(obs, COLUMNS)
        right, down = ARROWS[action]
        ax.plot(
            [column, column + 0.4 * right], [row, row + 0.4 * down], color=INK, lw=2.2, alpha=0.5,
            solid_capstyle="round",
        )  # fmt: skip


def _walk(ax: Axes, Q: Float, colour: str) -> None:
    """Draw the greedy walk; an arrow out of the last cell where it never arrives."""
    P, _, _ = reference.env_model(_cliff())
    path = greedy_path(P, Q, START)
    arrives = path[-1] == 47
    if not arrives:
        path = path[: next(i for i, cell in enumerate(path) if cell in path[:i])]
    y, x = np.divmod(np.array(path), COLUMNS)
    ax.plot(x, y, color=colour, lw=2.2, solid_joinstyle="round")
    if not arrives:
        right, down = ARROWS[int(Q[path[-1]].argmax())]
        ax.annotate(
            "", (x[-1] + 0.75 * right, y[-1] + 0.75 * down), (x[-1], y[-1]),
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.2}, annotation_clip=False,
        )  # fmt: skip
        ax.plot(x[-1], y[-1], "o", color=colour, ms=6)


def _cliff() -> reference.TabularEnv:
    return gym.make("CliffWalking-v1", disable_env_checker=True)


def draw_paths() -> HTML:
    """Draw what the log contains, and the walks that two methods make of it."""
    with drawing(5.1, 4.0, nrows=2) as (figure, axes):
        for ax, penalty, colour, title in zip(
            axes,
            (0.0, PENALTY),
            (ORANGE, BLUE),
            ("fitted Q-iteration", f"with a penalty, κ = {PENALTY:g}"),
            strict=True,
        ):
            grid(title=title, ax=ax)
            _tried(ax)
            _walk(ax, fitted(penalty), colour)
        return inline(
            figure,
            "offline-paths",
            "Two pictures of the cliff with strokes for the actions in the log: most lie along the"
            " driver's three rows. Above, plain fitted Q-iteration leaves at once by an action that"
            " is not in the log. Below, with the penalty, a path of logged actions leads to the"
            " goal.",
        )


def draw_sizes() -> HTML:
    """Draw how often the goal is reached and what is believed, by the size of the log."""
    sizes = results()["sizes"]
    episodes = np.array([int(size) for size in sizes])
    labels = {NAIVE: ("no penalty", ORANGE), CAREFUL: (f"penalty, κ = {PENALTY:g}", BLUE)}
    with drawing(5.1, 5.2, nrows=2, sharex=True) as (figure, (upper, lower)):
        for name, (label, colour) in labels.items():
            found = [sizes[size]["methods"][name] for size in sizes]
            reached = 100 * np.array([row["reaches the goal"] for row in found])
            upper.plot(episodes, reached, "o-", color=colour, ms=4, label=label)
            beliefs = np.array([row["believed per data set"] for row in found])
            low, mean, high = np.percentile(beliefs, (10, 50, 90), axis=1)
            lower.fill_between(episodes, low, high, color=colour, alpha=0.18, linewidth=0)
            lower.plot(episodes, mean, "o-", color=colour, ms=4)
        lower.axhline(results()["optimal value at the start"], color=INK, ls=":", lw=1.4)
        lower.text(episodes[0], -11.9, "the best there is", ha="left", va="bottom")
        upper.set(ylabel="reach the goal, %", ylim=(-4, 104))
        lower.set(xlabel="episodes in the log", ylabel="believed value of the start", xscale="log")
        lower.set(ylim=(-26, 1))
        lower.set_xticks(episodes, [f"{size:,}" for size in episodes])
        lower.minorticks_off()
        upper.legend(loc="center left", bbox_to_anchor=(0.0, 0.62))
        return inline(
            figure,
            "offline-sizes",
            "Two panels against the number of logged episodes. Above: with the penalty the goal is"
            " always reached; without, hardly ever until the log is very large. Below: without the"
            " penalty the belief starts at zero, far above the best possible value, and sinks"
            " slowly; with the penalty it starts below and rises to it.",
        )


def draw_penalty() -> HTML:
    """Draw belief and truth against the penalty, on a log of the slippery maze."""
    found = measured()["logged"]
    penalties = found["penalties"]
    with drawing(5.1, 3.5) as (figure, ax):
        for name, colour, label in (
            ("believed", BLUE, "what it promises"),
            ("true", ORANGE, "what it earns"),
        ):
            curve = found[name]
            ax.fill_between(
                penalties, curve["10%"], curve["90%"], color=colour, alpha=0.18, linewidth=0
            )
            ax.plot(penalties, curve["mean"], "o-", color=colour, ms=4, label=label)
        ax.axhline(found["best"], color=INK, ls=":", lw=1.4, label="the best there is")
        ax.set(xlabel="κ, weight of the penalty", ylabel="value of the start", xlim=(0, 0.2))
        ax.legend(loc="lower left")
        return inline(
            figure,
            "offline-penalty",
            "Two curves against the weight of the penalty. What is promised starts above the best"
            " possible value and falls steadily, below zero in the end. What is earned starts far"
            " below, rises to near the best possible value at a penalty of about 0.1, and falls"
            " again.",
        )
