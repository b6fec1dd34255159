"""Chapter 1's figures and numbers about bandits, as the benchmark of lab 1 measured them."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
from IPython.display import HTML, Markdown

from benchmarks import recording
from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK, smoothed

BLUE, ORANGE, GREEN, PURPLE = COLOURS[:4]
EPSILONS = {"epsilon 0": ("ε = 0 (greedy)", GREEN), "epsilon 0.01": ("ε = 0.01", ORANGE),
            "epsilon 0.1": ("ε = 0.1", BLUE)}  # fmt: skip
STUDY = {
    "epsilon-greedy, epsilon": ("ε-greedy: ε", BLUE),
    "gradient, step size": ("gradient bandit: α", GREEN),
    "UCB, c": ("UCB: c", ORANGE),
    "greedy at step size 0.1, start value": ("greedy, optimistic:\nstart value", PURPLE),
}
REGRET = {"greedy": GREEN, "ε = 0.1": BLUE, "ε = 0.01": PURPLE, "UCB": ORANGE}


@functools.cache
def results() -> dict:
    """Return what the benchmark measured, on a GPU if it ran on one."""
    names = [f"lab01_bandits_{device}" for device in ("cuda", "cpu")]
    return recording.read(next(n for n in names if (recording.RESULTS / f"{n}.json").is_file()))


@functools.cache
def sweeps() -> dict:
    """Return what value iteration took on big grids, on a GPU if it was measured on one."""
    names = [f"lab01_value_iteration_{device}" for device in ("cuda", "cpu")]
    return recording.read(next(n for n in names if (recording.RESULTS / f"{n}.json").is_file()))


@functools.cache
def regrets() -> dict:
    """Return what `measure_regret` measured."""
    text = Path(__file__).with_name("regret.json").read_text(encoding="utf-8")
    return json.loads(text)


def rules(figure: str) -> dict[str, dict]:
    """Return the rows of a figure of the book by the name of their rule."""
    return {row["rule"]: row for row in results()[figure]}


def thousands(count: int) -> str:
    return f"{count:,}".replace(",", "\u202f")


def percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f}%"


def slope() -> float:
    """Return Lai and Robbins' bound on the regret per log-step: sum of gap / divergence.

    The divergence of two normal distributions with variance 1 is half the squared gap.
    """
    values = np.array(regrets()["settings"]["q_star"])
    gaps = values.max() - values
    return float((2 / gaps[gaps > 0]).sum())


def measured_slope(rule: str) -> float:
    """Return the growth of a rule's regret per log-step over the last factor of ten."""
    steps = np.array(regrets()["steps"])
    mean = np.array(regrets()["rules"][rule]["mean"])
    first = int(np.searchsorted(steps, steps[-1] / 10))
    return float((mean[-1] - mean[first]) / np.log(steps[-1] / steps[first]))


@functools.cache
def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    exact, shown = results()["exact"], rules("figure 2.2")
    pull = {name: row["late optimal"]["mean"] for name, row in shown.items()}
    optimistic = rules("figure 2.3")["greedy from 5, step size 0.1"]
    gradient = rules("figure 2.5")
    first_spike = int(np.argmax(optimistic["optimal"][:20])) + 1
    study = best_of_study()
    final = {name: found["mean"][-1] for name, found in regrets()["rules"].items()}
    few = {row["epsilon"]: row for row in results()["numpy runs"]}
    big = max(sweeps()["by size"], key=lambda row: row["cells"] <= 1_000_000 and row["cells"])
    return {
        "run_sd": f"{100 * few[0.0]['late optimal']['sd']:.1f}",
        "grid_cells": thousands(big["cells"]),
        "grid_numpy": f"{big['numpy, ms per sweep']:.0f}",
        "grid_torch": f"{big['torch, ms per sweep']:.2g}",
        "grid_device": {"cuda": "a GPU", "cpu": "the same processor"}[sweeps()["device"]],
        "num_bandits": thousands(results()["settings"]["bandits"]),
        "best_mean": f"{exact['mean of the largest true value']:.4f}",
        "greedy_optimal": percent(pull["epsilon 0"]),
        "most_tenth": percent(exact["most optimal actions at epsilon 0.1"]),
        "most_hundredth": percent(exact["most optimal actions at epsilon 0.01"], 1),
        "optimism_spike": str(first_spike),
        "optimism_late": percent(optimistic["late optimal"]["mean"]),
        "realism_late": percent(
            rules("figure 2.3")["epsilon 0.1 from 0, step size 0.1"]["late optimal"]["mean"]
        ),
        "gradient_with": percent(
            gradient["step size 0.1, baseline earlier"]["late optimal"]["mean"]
        ),
        "gradient_without": percent(
            gradient["step size 0.1, baseline none"]["late optimal"]["mean"]
        ),
        "study_bandits": thousands(results()["settings"]["bandits in figure 2.6"]),
        "study_ucb": f"{study['UCB, c'][1]:.2f}",
        "study_epsilon": f"{study['epsilon-greedy, epsilon'][1]:.2f}",
        "regret_runs": thousands(regrets()["settings"]["runs"]),
        "regret_steps": thousands(regrets()["settings"]["num_steps"]),
        "regret_tenth": thousands(round(final["ε = 0.1"])),
        "regret_ucb": thousands(round(final["UCB"])),
        "regret_greedy": thousands(round(final["greedy"])),
        "slope_bound": f"{slope():.1f}",
        "slope_ucb": f"{measured_slope('UCB'):.1f}",
    }


def best_of_study() -> dict[str, tuple[float, float]]:
    """Return, per rule, its best parameter of figure 2.6 and the reward that it earns there."""
    found: dict[str, tuple[float, float]] = {}
    for row in results()["figure 2.6"]:
        reward = row["reward"]["mean"]
        if reward > found.get(row["rule"], (0.0, -np.inf))[1]:
            found[row["rule"]] = row["parameter"], reward
    return found


def table() -> Markdown:
    """Return the last hundred steps of the testbed, beside what the book says of its figure 2.2."""
    published = {
        "epsilon 0": "reward about 1; best arm in about a third of the bandits",
        "epsilon 0.01": "slower than 0.1, better in the end",
        "epsilon 0.1": "best arm never more than 91%",
    }
    lines = ["| | reward | best arm | the book says |", "|---|---|---|---|"]
    for name, (label, _) in EPSILONS.items():
        reward, optimal = (
            rules("figure 2.2")[name][key] for key in ("late reward", "late optimal")
        )
        lines.append(
            f"| {label} | {reward['mean']:.4f} ± {reward['stderr']:.4f}"
            f" | {100 * optimal['mean']:.2f} ± {100 * optimal['stderr']:.2f}% | {published[name]} |"
        )
    best = results()["exact"]["mean of the largest true value"]
    lines.append(f"| best arm known | {best:.4f}, exact | 100% | reward about 1.55 |")
    return Markdown("\n".join(lines))


# Figures


def draw_testbed() -> HTML:
    """Draw the reward and the share of optimal actions by step, for three values of epsilon."""
    step = np.arange(1, results()["settings"]["steps"] + 1)
    with drawing(5.1, 5.4, nrows=2, sharex=True) as (figure, axes):
        for name, (label, colour) in EPSILONS.items():
            row = rules("figure 2.2")[name]
            axes[0].plot(step, smoothed(row["reward"], 5), color=colour, label=label, lw=1.5)
            axes[1].plot(step, 100 * smoothed(row["optimal"], 5), color=colour, lw=1.5)
        best = results()["exact"]["mean of the largest true value"]
        axes[0].axhline(best, color=INK, ls=":", lw=1.4)
        axes[0].text(990, best - 0.02, "best arm known", ha="right", va="top", fontsize=9)
        most = 100 * results()["exact"]["most optimal actions at epsilon 0.1"]
        axes[1].axhline(most, color=BLUE, ls=":", lw=1.4)
        axes[1].text(990, most - 1, "the most that ε = 0.1 allows", color=BLUE, ha="right",
                     va="top", fontsize=9)  # fmt: skip
        axes[0].set(ylabel="mean reward", ylim=(0, 1.65))
        axes[1].set(ylabel="optimal actions, %", xlabel="step", xlim=(0, 1000), ylim=(0, 100))
        axes[0].legend(loc="lower right")
        return inline(
            figure,
            "testbed",
            "Two panels over 1,000 steps. Mean reward: greedy levels off near 1.0, epsilon 0.01"
            " climbs slowly past it, epsilon 0.1 climbs fastest to about 1.35; the best possible is"
            " 1.54. Share of optimal actions: greedy stays near 35 percent, epsilon 0.01 reaches"
            " about 60, epsilon 0.1 about 80.",
        )


def draw_study() -> HTML:
    """Draw the mean reward of four rules against their parameter."""
    places = {
        "epsilon-greedy, epsilon": (1 / 110, 1.13, "left"),
        "gradient, step size": (1.2, 0.97, "right"),
        "UCB, c": (1.5, 1.505, "left"),
        "greedy at step size 0.1, start value": (0.22, 1.06, "right"),
    }
    with drawing(5.1, 3.6) as (figure, ax):
        for rule, (label, colour) in STUDY.items():
            rows = [row for row in results()["figure 2.6"] if row["rule"] == rule]
            x = [row["parameter"] for row in rows]
            y = [row["reward"]["mean"] for row in rows]
            ax.plot(x, y, "o-", color=colour, ms=3.5, lw=1.6)
            px, py, side = places[rule]
            ax.text(px, py, label, color=colour, ha=side, va="center", fontsize=9.5)
        ticks = {1 / 128: "1/128", 1 / 32: "1/32", 1 / 8: "1/8", 1 / 2: "1/2", 2: "2"}
        ax.set_xscale("log", base=2)
        ax.set_xticks(list(ticks), list(ticks.values()))
        ax.set(xlabel="ε, α, c or start value", ylabel="mean reward, first 1,000 steps")
        ax.set(ylim=(0.9, 1.55))
        return inline(
            figure,
            "bandit-study",
            "Mean reward over 1,000 steps against the parameter of each rule, on a logarithmic"
            " axis: four hills. UCB reaches the highest point, near c = 1; optimistic greedy and"
            " the gradient bandit come next, epsilon-greedy is lowest.",
        )


def draw_regret() -> HTML:
    """Draw regret against the number of steps on a logarithmic axis."""
    steps = np.array(regrets()["steps"])
    with drawing(5.1, 3.6) as (figure, ax):
        for name, colour in REGRET.items():
            found = regrets()["rules"][name]
            ax.plot(steps, found["mean"], color=colour, label=name)
        ax.plot(steps, slope() * np.log(steps), color=INK, ls=":", lw=1.5, label="Lai and Robbins")
        ax.set(xscale="log", xlim=(1, steps[-1]), ylim=(0, 1000))
        ax.set(xlabel="steps", ylabel="regret, reward units")
        ax.legend(loc="upper left")
        return inline(
            figure,
            "regret",
            "Regret against steps on a logarithmic axis. Greedy and both epsilon-greedy rules bend"
            " upwards out of the picture, the one with epsilon 0.1 within some thousand steps; XX",
        )
