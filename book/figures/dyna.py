"""Chapter 3's figures and numbers about Dyna: the maze, planning in it, and mazes that change."""

from __future__ import annotations

import functools

import gymnasium as gym
import numpy as np
from IPython.display import HTML
from numpy.typing import NDArray

from benchmarks import recording
from book.figures.planning import COLUMNS, grid, spaced
from book.figures.svg import drawing, inline
from book.figures.trap import results as measured
from labkit.plots import COLOURS, INK
from solutions.lab02_q_learning_sarsa.reference import choose_action
from solutions.lab03_planning_mcts import reference

Float = NDArray[np.float64]

BLUE, ORANGE, GREEN = COLOURS[0], COLOURS[1], COLOURS[2]
METHODS = {"0": ("n = 0", ORANGE), "5": ("n = 5", GREEN), "50": ("n = 50", BLUE)}
LONG_WAY = 16  # steps of the way that the shortcut shortens
SOON = 20  # steps per episode that count as having learned the way
SPREAD_SEED, SPREAD_STEPS = 0, (10, 30)
CHANGING = {"Dyna-Q": ORANGE, "Dyna-Q+": BLUE}


@functools.cache
def results() -> dict:
    """Return what the benchmark measured."""
    return recording.read("lab03_dyna")


@functools.cache
def tables(num_planning: int) -> list[Float]:
    """Return an agent's action values from its first arrival on, after every step of episode two.

    The last one is the table after the second arrival.
    """
    env = gym.make("labkit.envs:labkit/DynaMaze-v0", disable_env_checker=True)
    setting = results()["settings"]
    learning = {"alpha": setting["alpha"], "gamma": setting["gamma"]}
    rng = np.random.default_rng(SPREAD_SEED)
    Q, model = np.zeros((54, 4)), reference.empty_model(54, 4)
    seen: list[Float] = []
    for _ in range(2):
        obs, terminated = env.reset()[0], False
        while not terminated:
            action = choose_action(Q, obs, setting["epsilon"], rng)
            next_obs, reward, terminated, _, _ = env.step(action)
            reference.dyna_q_step(
                Q, model, obs, action, float(reward), next_obs, terminated,
                num_planning=num_planning, rng=rng, **learning,
            )  # fmt: skip
            obs = next_obs
            if seen or terminated:
                seen.append(Q.copy())
    return seen


def known(Q: Float) -> int:
    """Return how many pairs have a value other than 0."""
    return int((Q != 0).sum())


# Numbers for the text


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    methods, settings = results()["methods"], results()["settings"]
    curves = {n: np.array(methods[n]["steps, mean of all agents"]) for n in METHODS}
    until = {n: int(np.flatnonzero(curve <= SOON)[0]) + 1 for n, curve in curves.items()}
    first = [methods[n]["first episode"]["mean"] for n in METHODS]
    mazes, setting = measured()["mazes"], measured()["settings"]["mazes"]
    late = {
        (maze, name): 100 / np.mean(mazes[maze][name]["late arrivals per 100 steps"])
        for maze in mazes
        for name in CHANGING
    }
    lost = np.array(mazes["blocking"]["Dyna-Q"]["late arrivals per 100 steps"])
    found = np.array(mazes["shortcut"]["Dyna-Q+"]["late arrivals per 100 steps"])
    return {
        "dyna_agents": spaced(settings["agents"]),
        "dyna_first_low": f"{min(first):.0f}",
        "dyna_first_high": f"{max(first):.0f}",
        "dyna_walk": f"{results()['steps of a random walk, exactly']:.0f}",
        "dyna_second_0": f"{curves['0'][1]:.0f}",
        "dyna_second_5": f"{curves['5'][1]:.0f}",
        "dyna_second_50": f"{curves['50'][1]:.0f}",
        "dyna_soon": str(SOON),
        "dyna_until_0": str(until["0"]),
        "dyna_until_5": str(until["5"]),
        "dyna_until_50": str(until["50"]),
        "dyna_never": f"{methods['50']['episodes until the greedy path is shortest']['never']}",
        "dyna_belief_0": f"{methods['0']['belief about the start']['mean']:.4f}",
        "dyna_belief_5": f"{methods['5']['belief about the start']['mean']:.2f}",
        "dyna_belief_50": f"{methods['50']['belief about the start']['mean']:.2f}",
        "dyna_worth": f"{results()['exact value of the start']:.2f}",
        "spread_n0": str(known(tables(0)[-1])),
        "spread_n50": str(known(tables(50)[SPREAD_STEPS[1]])),
        "spread_steps": str(SPREAD_STEPS[1]),
        "maze_runs": str(setting["runs"]),
        "maze_planning": str(setting["planning steps"]),
        "maze_lost": str(int((lost == 0).sum())),
        "maze_found": str(int((found > 100 / LONG_WAY).sum())),
        "maze_short_q": f"{late['shortcut', 'Dyna-Q']:.0f}",
        "maze_short_plus": f"{late['shortcut', 'Dyna-Q+']:.0f}",
    }


# Figures


def draw_curves() -> HTML:
    """Draw the steps per episode of each method, as the benchmark measured them."""
    with drawing(5.1, 3.6) as (figure, ax):
        for name, (label, colour) in METHODS.items():
            found = results()["methods"][name]
            mean = found["steps, mean of all agents"]
            episode = np.arange(1, len(mean) + 1)
            ax.fill_between(
                episode, found["steps, 10%"], found["steps, 90%"],
                color=colour, alpha=0.15, linewidth=0,
            )  # fmt: skip
            ax.plot(episode, mean, color=colour, label=label)
        ax.axhline(14, color=INK, ls=":", lw=1.4)
        ax.text(50, 13.2, "shortest path: 14", ha="right", va="top")
        ax.set(xlabel="episode", ylabel="steps to the goal", yscale="log", xlim=(1, 50))
        ax.set(ylim=(9, 4000))
        ax.set_xticks([1, 10, 20, 30, 40, 50])
        ax.set_yticks([10, 100, 1000], ["10", "100", "1,000"])
        ax.legend(loc="upper right")
        return inline(
            figure,
            "dyna-curves",
            "Steps per episode over 50 episodes on a logarithmic axis. All three methods start"
            " near nine hundred. With 50 imagined steps the curve drops to about fifteen within"
            " three episodes, with 5 within six, with none it takes almost thirty.",
        )


def draw_spread() -> HTML:
    """Draw what an agent knows in its second episode, with and without planning."""
    few, many = SPREAD_STEPS
    panels = {
        "n = 0, after two episodes": tables(0)[-1],
        "n = 50, after one episode": tables(50)[0],
        f"n = 50, {few} steps later": tables(50)[few],
        f"n = 50, {many} steps later": tables(50)[many],
    }
    with drawing(5.1, 4.1, nrows=2, ncols=2) as (figure, axes):
        for ax, (title, Q) in zip(axes.flat, panels.items(), strict=True):
            # With a step size of 0.1 values stay small: the root makes them visible.
            shade = np.where(Q.max(axis=1) > 0, 0.4 + 0.6 * np.sqrt(Q.max(axis=1)), 0.0)
            grid(ax, values=shade, Q=Q, title=title)
        return inline(
            figure,
            "dyna-spread",
            "Four mazes with arrows where the agent knows something. Without planning two cells"
            " below the goal after two episodes. With 50 imagined steps per real one, a single cell"
            f" after the first episode, the cells near the goal {few} steps later, and most of the"
            f" maze {many} steps later.",
        )


def draw_mazes() -> HTML:
    """Draw the mazes that change, and how often each method reaches the goal."""
    walls = {
        "blocking": (range(8), range(1, 9)),
        "shortcut": (range(1, 9), range(1, 8)),
    }
    with drawing(5.1, 6.4, nrows=3, ncols=2, gridspec_kw={"height_ratios": [1, 1, 1.5]}) as (
        figure,
        axes,
    ):
        for column, (maze, pair) in enumerate(walls.items()):
            for ax, columns, when in zip(axes[:2, column], pair, ("before", "after"), strict=True):
                blocked = tuple(3 * COLUMNS + c for c in columns)
                grid(ax, walls=blocked, start=48, title=f"{maze}: {when}")
            ax = axes[2, column]
            found = measured()["mazes"][maze]
            for name, colour in CHANGING.items():
                curve = found[name]
                ax.fill_between(
                    found["step"], curve["10%"], curve["90%"], color=colour, alpha=0.15, linewidth=0
                )
                ax.plot(found["step"], curve["mean"], color=colour, label=name)
            ax.axvline(found["changes"], color=INK, ls=":", lw=1.4)
            ax.set(xlabel="step", ylabel="arrivals" if column == 0 else "")
            ax.set(xlim=(0, found["step"][-1]), ylim=(0, None))
            ax.set_xticks(np.arange(0, found["step"][-1] + 1, found["step"][-1] // 3))
        axes[2, 0].legend(loc="upper left")
        return inline(
            figure,
            "dyna-changes",
            "Two mazes before and after a change, and below each the number of arrivals against"
            " steps. When the way is blocked, the curve of Dyna-Q stays flat for long and that of"
            " Dyna-Q+ rises again soon. When a shortcut opens, the curve of Dyna-Q goes on as"
            " before and that of Dyna-Q+ becomes steeper.",
        )
