"""Chapter 2's figures and numbers about the cliff."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
from IPython.display import HTML, Markdown
from matplotlib.axes import Axes
from numpy.typing import NDArray

from benchmarks import recording
from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK, grid, smoothed
from solutions.lab02_q_learning_sarsa import reference

Float = NDArray[np.float64]

BLUE, ORANGE, GREEN, PURPLE = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3]
METHODS = {"SARSA": BLUE, "Expected SARSA": GREEN, "Q-learning": ORANGE}
ROWS = {2: ("the edge, 13 steps", ORANGE), 1: ("the middle, 15", GREEN), 0: ("the top, 17", BLUE)}
START, GOAL, COLUMNS = 36, 47, 12
EPSILON = 0.1
PATHS_DRAWN, MASK_SEEDS = 12, 5
SETTING = {"epsilon": EPSILON, "alpha": 0.5, "gamma": 1.0, "max_steps": 10_000}


@functools.cache
def model() -> tuple[Float, Float]:
    """Return the cliff's transitions and rewards."""
    return reference.cliff_model(gym.make("CliffWalking-v1"))


@functools.cache
def results() -> dict:
    """Return what the benchmark measured."""
    return recording.read("lab02_cliff")


@functools.cache
def crowd() -> dict:
    """Return what the benchmark measured on many agents at once, on a GPU if it ran on one."""
    names = [f"lab02_batched_{device}" for device in ("cuda", "cpu")]
    return recording.read(next(n for n in names if (recording.RESULTS / f"{n}.json").is_file()))


@functools.cache
def step_sizes() -> dict:
    """Return what `measure_step_size` measured."""
    text = Path(__file__).with_name("step_size.json").read_text(encoding="utf-8")
    return json.loads(text)


def signed(value: float, digits: int = 1) -> str:
    """Write a number with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


# Exact values


def best_along(row: int, epsilon: float) -> float:
    """Return the value of the start under the best ε-soft policy whose greedy path takes a row."""
    P, R = model()
    up = [START, *(r * COLUMNS for r in range(row + 1, 3))]
    right = [row * COLUMNS + column for column in range(COLUMNS - 1)]
    down = [r * COLUMNS + COLUMNS - 1 for r in range(row, 3)]
    cells = np.array(up + right + down)
    actions = np.repeat([0, 1, 2], [len(up), len(right), len(down)])
    Q = np.zeros(R.shape)
    Q[cells, actions] = 1.0
    for _ in range(100):
        V = reference.eps_soft_value(P, R, Q, epsilon=epsilon, gamma=1.0)
        better = np.round(R + P @ V, 9)
        better[cells, actions] = better[cells].max(axis=1) + 1.0
        if np.array_equal(better, Q):
            return float(V[START])
        Q = better
    raise RuntimeError(f"row {row}, epsilon {epsilon}: the policy did not settle")


def crossing(row: int, other: int, low: float, high: float) -> float:
    """Return the epsilon at which ``other`` becomes the better row."""
    while high - low > 1e-4:
        middle = (low + high) / 2
        if best_along(row, middle) > best_along(other, middle):
            low = middle
        else:
            high = middle
    return high


@functools.cache
def crossings() -> tuple[float, float]:
    """Return where the middle row overtakes the edge, and the top row the middle one."""
    return crossing(2, 1, 0.001, 0.1), crossing(1, 0, 0.1, 0.3)


def optimal_table() -> Float:
    P, R = model()
    return reference.best_eps_soft(P, R, epsilon=0.0, gamma=1.0, value=reference.eps_soft_value)


# Numbers for the text


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    exact, methods = results()["exact"], results()["methods"]
    sarsa_paths = methods["SARSA"]["greedy steps"]
    at_tenth = next(row for row in exact["epsilon-soft optimum"] if row["epsilon"] == EPSILON)
    edge, top = crossings()
    expected = step_sizes()["methods"]["Expected SARSA"]
    middle = [row["greedy steps"].get("15", 0) for row in expected if row["episodes"] == 5000]
    agents = step_sizes()["settings"]["agents"]
    return {
        "num_seeds": str(results()["settings"]["num_seeds"]),
        "paths_drawn": str(PATHS_DRAWN),
        "q_mean": signed(methods["Q-learning"]["online"]["mean"]),
        "sarsa_mean": signed(methods["SARSA"]["online"]["mean"]),
        "expected_mean": signed(methods["Expected SARSA"]["online"]["mean"]),
        "sarsa_top": str(sarsa_paths["17"]),
        "sarsa_none": str(sarsa_paths["none"]),
        "crowd": f"{crowd()['settings']['agents']:,}".replace(",", "\u202f"),
        "crowd_q": signed(crowd()["methods"]["Q-learning"]["online"]["mean"], 2),
        "crowd_q_error": f"{crowd()['methods']['Q-learning']['online']['stderr']:.2f}",
        "frozen_median": signed(crowd()["methods"]["SARSA"]["exact online value"]["0.5"]),
        "frozen_worst": signed(crowd()["methods"]["SARSA"]["exact online value"]["0.01"], 0),
        "exact_share": signed(exact["optimal policy, online, ties shared"], 2),
        "exact_first": signed(exact["optimal policy, online, first action takes ties"], 2),
        "exact_last": signed(exact["optimal policy, online, last action takes ties"], 2),
        "exact_soft": signed(at_tenth["value"], 2),
        "cross_edge": f"{edge:.4f}",
        "cross_top": f"{top:.3f}",
        "alpha_agents": str(agents),
        "alpha_expected": f"{sum(middle)} of {agents * len(middle)}",
    }


def table() -> Markdown:
    """Return what the agents earn while learning, and where they walk afterwards."""
    few, many = results()["settings"]["num_seeds"], crowd()["settings"]["agents"]
    lines = [
        f"| method | {few} agents: mean (sd) | {many:,} agents: mean ± error | greedy path"
        f" of the {few} |",
        "|---|---|---|---|",
    ]
    for name in METHODS:
        found, online = results()["methods"][name], crowd()["methods"][name]["online"]
        mean = f"{signed(found['online']['mean'])} ({found['online']['sd']:.1f})"
        sharp = f"{signed(online['mean'], 2)} ± {online['stderr']:.2f}"
        paths = [
            f"never arrives: {count}" if steps == "none" else f"{steps} steps: {count}"
            for steps, count in found["greedy steps"].items()
        ]
        lines.append(f"| {name} | {mean} | {sharp} | {', '.join(paths)} |")
    return Markdown("\n".join(lines))


def mask_table() -> Markdown:
    """Return what Q-learning believes the start is worth, with the mask and without."""
    lines = ["| Q-learning | table starts at 0 | table starts at 1 |", "|---|---|---|"]
    for masked in (True, False):
        worth = [believed(start, masked=masked) for start in (0.0, 1.0)]
        name = "with the mask" if masked else "without"
        lines.append(f"| {name} | " + " | ".join(signed(value) for value in worth) + " |")
    return Markdown("\n".join(lines))


def believed(initial: float, *, masked: bool) -> float:
    """Return the mean over seeds of the start's value after Q-learning from a constant table."""
    env = gym.make("CliffWalking-v1", disable_env_checker=True)
    worth = []
    for seed in range(MASK_SEEDS):
        rng = np.random.default_rng(seed)
        Q = np.full((48, 4), initial)
        for _ in range(500):
            obs, _ = env.reset()
            terminated = False
            while not terminated:
                action = reference.choose_action(Q, obs, EPSILON, rng)
                next_obs, reward, terminated, _, _ = env.step(action)
                reference.q_update(
                    Q, obs, action, float(reward), next_obs, terminated and masked,
                    alpha=0.5, gamma=1.0,
                )  # fmt: skip
                obs = next_obs
        worth.append(Q[START].max())
    return float(np.mean(worth))


# Figures


def episodes() -> dict[str, Callable]:
    """Return, per method, what plays and learns one episode."""

    def expected(env, Q, *, rng, **setting):
        functions = reference.expected_sarsa_target, reference.choose_action
        return reference.expected_sarsa_episode(env, Q, *functions, rng=rng, **setting)

    players = reference.run_episode_sarsa, expected, reference.q_learning_episode
    return {
        name: lambda env, Q, rng, play=play: play(env, Q, rng=rng, **SETTING)
        for name, play in zip(METHODS, players, strict=True)
    }


def trained(episode: Callable, *, seed: int) -> Float:
    """Return the table that the benchmark's agent of this seed has learned."""
    env = gym.make("CliffWalking-v1", disable_env_checker=True)
    rng, Q = np.random.default_rng(seed), np.zeros((48, 4))
    for _ in range(results()["settings"]["num_episodes"]):
        episode(env, Q, rng)
    return Q


def draw_paths() -> HTML:
    """Draw the greedy paths of the first agents of every method."""
    P, _ = model()
    with drawing(5.1, 6.0, nrows=3) as (figure, axes):
        for ax, (name, episode) in zip(axes, episodes().items(), strict=True):
            grid(title=name, ax=ax)
            for number in range(PATHS_DRAWN):
                Q = trained(episode, seed=number)
                shift = 0.56 * (number / (PATHS_DRAWN - 1) - 0.5)
                _draw_path(ax, reference.greedy_path(P, Q, START), shift, METHODS[name])
        return inline(
            figure,
            "cliff-paths",
            f"Three grids. On each, the greedy paths of {PATHS_DRAWN} agents: Q-learning's all run"
            " along the edge of the cliff, Expected SARSA's one row above, most of SARSA's along"
            " the top, some of them stopping at a cross.",
        )


def _draw_path(ax: Axes, path: list[int], shift: float, colour: str) -> None:
    arrives = path[-1] == GOAL
    if not arrives:
        path = path[: next(i for i, cell in enumerate(path) if cell in path[:i])]
    y, x = (axis.astype(float) for axis in np.divmod(np.array(path), COLUMNS))
    between = slice(1, -1) if arrives else slice(1, None)
    x[between] += shift
    y[between] += shift
    ax.plot(x, y, color=colour, lw=1.1, alpha=0.75, solid_joinstyle="round")
    if not arrives:
        ax.plot(x[-1], y[-1], "x", color=colour, ms=6, mew=1.6)


def draw_curves() -> HTML:
    """Draw the reward per episode of every method, as the benchmark measured it."""
    heights = {"SARSA": -34.0, "Expected SARSA": -13.5, "Q-learning": -60.0}
    with drawing(5.1, 3.6) as (figure, ax):
        for name in reversed(METHODS):
            found, colour = results()["methods"][name], METHODS[name]
            low, mean, high = (
                smoothed(found[key], 10)[::2] for key in ("curve 10%", "curve mean", "curve 90%")
            )
            episode = np.arange(1, 2 * len(mean), 2)
            ax.fill_between(episode, low, high, color=colour, alpha=0.15, linewidth=0)
            ax.plot(episode, mean, color=colour, lw=1.5)
            ax.text(495, heights[name], name, color=colour, ha="right", va="center")
        ax.set(xlabel="episode", ylabel="sum of rewards", xlim=(0, 500), ylim=(-160, 0))
        return inline(
            figure,
            "cliff-curves",
            "Reward per episode over 500 episodes. After a steep start Expected SARSA levels off"
            " near -21, SARSA near -26, Q-learning near -51 with the widest band.",
        )


def draw_epsilon() -> HTML:
    """Draw the exact online value of each way across against epsilon."""
    P, R = model()
    optimal = optimal_table()
    epsilons = np.linspace(0.0, 0.3, 61)
    with drawing(5.1, 3.8) as (figure, ax):
        for row, (label, colour) in ROWS.items():
            values = [best_along(row, epsilon) for epsilon in epsilons]
            ax.plot(epsilons, values, color=colour, label=label)
        greedy = [
            reference.eps_soft_value(P, R, optimal, epsilon=epsilon, gamma=1.0)[START]
            for epsilon in epsilons
        ]
        ax.plot(epsilons, greedy, ":", color=ORANGE, label="ε-greedy policy of Q*")
        for epsilon, row in zip(crossings(), (1, 0), strict=True):
            value = best_along(row, epsilon)
            ax.plot(epsilon, value, "o", color=INK, ms=4.5)
            ax.annotate(f"{epsilon:.3f}", (epsilon, value), (5, 6), textcoords="offset points")
        places = {"SARSA": (-8, -4), "Expected SARSA": (2, 9), "Q-learning": (-8, -4)}
        for name, place in places.items():
            mean, colour = results()["methods"][name]["online"]["mean"], METHODS[name]
            ax.plot(EPSILON, mean, "D", color=colour, ms=6, mec="none")
            ax.annotate(
                name, (EPSILON, mean), place, textcoords="offset points", color=colour,
                ha="right" if place[0] < 0 else "left",
            )  # fmt: skip
        ax.set(xlabel="ε, probability of a random action", ylabel="expected reward per episode")
        ax.set(xlim=(0, 0.3), ylim=(-62, -10))
        ax.legend(loc="lower right")
        return inline(
            figure,
            "cliff-epsilon",
            "Three falling curves of expected reward against epsilon: the way along the edge falls"
            " steeply, the middle row is best from about 0.008 to 0.157, the top row beyond.",
        )


def draw_step_size() -> HTML:
    """Draw where SARSA's greedy policy walks, by step size and training."""
    kinds = {
        "13": ("edge, 13 steps", ORANGE),
        "15": ("middle, 15", GREEN),
        "17": ("top, 17", BLUE),
        "longer": ("longer", PURPLE),
        "none": ("never arrives", INK),
    }
    rows = step_sizes()["methods"]["SARSA"]
    agents = step_sizes()["settings"]["agents"]
    budgets = sorted({row["episodes"] for row in rows})
    with drawing(5.1, 4.6, nrows=len(budgets), sharex=True) as (figure, axes):
        for ax, budget in zip(axes, budgets, strict=True):
            found = [row for row in rows if row["episodes"] == budget]
            bottom = np.zeros(len(found))
            for kind, (label, colour) in kinds.items():
                count = [_count(row["greedy steps"], kind, kinds) for row in found]
                share = 100 * np.array(count) / agents
                alpha = 0.45 if kind == "none" else 0.9
                ax.bar(
                    range(len(found)), share, bottom=bottom, width=0.72, color=colour,
                    alpha=alpha, label=label, linewidth=0,
                )  # fmt: skip
                bottom += share
            ax.set(title=f"after {budget:,} episodes", ylabel="agents, %", ylim=(0, 100))
            ax.set_xticks(range(len(found)), [f"{row['alpha']:g}" for row in found])
            ax.grid(axis="x", visible=False)
        axes[-1].set_xlabel("α, step size")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=3, columnspacing=1.2, fontsize=9
        )
        return inline(
            figure,
            "cliff-step-size",
            "Stacked bars per step size. After 5,000 episodes almost all agents with a step size"
            " up to 0.05 take the middle row; at 0.2 and above almost none does: they take the top"
            " row or never arrive.",
        )


def _count(counts: dict[str, int], kind: str, kinds: dict) -> int:
    if kind != "longer":
        return counts.get(kind, 0)
    return sum(count for steps, count in counts.items() if steps not in kinds)
