"""Chapter 5's figures and numbers: baselines, GAE's error against lambda, A2C's learning curve."""

from __future__ import annotations

import functools

import numpy as np
from IPython.display import HTML, Markdown

from benchmarks import lab05_gae_curve as chain
from benchmarks import recording
from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK

REWARDS, PREFERENCES = np.array([1.0, 2.0, 4.0]), np.array([0.3, -1.0, 0.5])
SAMPLES = np.array([10, 30, 100, 300, 1_000, 3_000])
RUNS = 2_000
BASELINES = {"none": 0.0, "far off": -96.0, "the mean reward": float("nan")}
CRITICS = {"0.0": COLOURS[2], "0.3": COLOURS[0], "1.0": COLOURS[1]}
BATCHES = (1, 30, 1_000)
LABELS = {"lambda 0": "λ = 0", "lambda 0.5": "λ = 0.5", "lambda 1": "λ = 1"}
NAMES = {"0.0": "a right critic", "0.3": "off by 0.3", "1.0": "off by 1"}


def policy() -> np.ndarray:
    weights = np.exp(PREFERENCES)
    return weights / weights.sum()


def baselines() -> dict[str, float]:
    """Return the baselines by name; the best of the three is the mean reward."""
    return BASELINES | {"the mean reward": float(policy() @ REWARDS)}


def spread(baseline: float) -> float:
    """Return the standard deviation of one sample's gradient, over all its elements."""
    p = policy()
    scores = np.eye(3) - p
    samples = (REWARDS - baseline)[:, None] * scores
    mean = p @ samples
    return float(np.sqrt(p @ ((samples - mean) ** 2).sum(axis=1)))


def measured(baseline: float, size: int) -> float:
    """Return the root mean squared error of gradients estimated from ``size`` samples each."""
    rng = np.random.default_rng(size)
    p = policy()
    counts = rng.multinomial(size, p, size=RUNS)
    samples = (REWARDS - baseline)[:, None] * (np.eye(3) - p)
    errors = counts @ samples / size - p @ samples
    return float(np.sqrt((errors**2).sum(axis=1).mean()))


@functools.cache
def curve() -> dict:
    """Return what the benchmark of GAE measured."""
    return recording.read("lab05_gae_curve")


@functools.cache
def a2c() -> dict:
    """Return what the benchmark of A2C measured."""
    return recording.read("lab05_a2c")


@functools.cache
def ablation() -> dict:
    """Return what the benchmark of A2C with one change each measured."""
    return recording.read("lab05_ablation")


def best_lambda(error: str) -> float:
    means = curve()["errors"][error]["error"]["mean"]
    return float(curve()["lambdas"][int(np.argmin(means))])


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    far, good = spread(-96.0), spread(baselines()["the mean reward"])
    greedy = np.array(a2c()["greedy mean of 100 episodes"])
    return {
        "baseline_runs": f"{RUNS:,}".replace(",", "\u202f"),
        "baseline_factor": f"{(far / good) ** 2:,.0f}".replace(",", "\u202f"),
        "chain_cells": "21",
        "error_small": "0.3",
        "error_large": "1",
        "curve_seeds": str(curve()["settings"]["num_seeds"]),
        "best_small": f"{best_lambda('0.3'):g}",
        "best_large": f"{best_lambda('1.0'):g}",
        "batch_best": ", ".join(
            f"{curve()['lambdas'][int(np.argmin(batch_error(size)))]:g} for N = {size}"
            for size in BATCHES
        ),
        "changes_seeds": str(ablation()["settings"]["num_seeds"]),
        "a2c_seeds": str(a2c()["num_seeds"]),
        "a2c_steps": f"{a2c()['num_steps']:,}".replace(",", "\u202f"),
        "a2c_seconds": f"{np.median(a2c()['cpu seconds']):.0f}",
        "a2c_median": f"{np.median(greedy):.0f}",
        "a2c_worst": f"{greedy.min():.0f}",
    }


def draw_baselines() -> HTML:
    """Draw the error of an estimated gradient against the number of samples."""
    with drawing(5.1, 3.3) as (figure, ax):
        for (name, baseline), colour in zip(
            baselines().items(), (COLOURS[0], COLOURS[1], COLOURS[2]), strict=True
        ):
            ax.plot(SAMPLES, spread(baseline) / np.sqrt(SAMPLES), color=colour, lw=1.2)
            dots = [measured(baseline, int(size)) for size in SAMPLES]
            ax.plot(SAMPLES, dots, "o", ms=4, color=colour)
            label = {"none": "no baseline", "far off": "a baseline of −96"}.get(name, name)
            ax.text(
                SAMPLES[0] * 1.1, 1.35 * spread(baseline) / np.sqrt(SAMPLES[0]), label, color=colour
            )
        ax.set(xscale="log", yscale="log", xlabel="samples", ylabel="error of the gradient")
        ax.set_ylim(None, 60)
        return inline(
            figure,
            "baselines",
            "Error of the estimated gradient against the number of samples, three parallel falling"
            " lines: a baseline of -96 far above, none in the middle, the mean reward below.",
        )


def draw_gae_curve() -> HTML:
    """Draw the mean squared error of advantages against lambda, for three critics."""
    lambdas = np.array(curve()["lambdas"])
    with drawing(5.1, 3.3) as (figure, ax):
        for error, colour in CRITICS.items():
            found = curve()["errors"][error]["error"]
            mean, sd = np.array(found["mean"]), np.array(found["sd"])
            ax.fill_between(lambdas, mean - sd, mean + sd, color=colour, alpha=0.2, linewidth=0)
            ax.plot(lambdas, mean, color=colour)
            best = int(np.argmin(mean))
            ax.plot(lambdas[best], mean[best], "o", color=colour)
            ax.text(0.02, mean[0] + 0.12, NAMES[error], color=colour)
        ax.set(xlabel="λ", ylabel="mean squared error", xlim=(0, 1), ylim=(0, None))
        return inline(
            figure,
            "gae-curve",
            "Mean squared error against lambda from 0 to 1. For a right critic it rises from its"
            " minimum at 0; for critics that are off it falls first, has a minimum inside, and"
            " rises towards 1.",
        )


@functools.cache
def felt() -> np.ndarray:
    """Return the squared bias that a gradient feels, for each lambda: eq-gae-bias, exactly.

    Mean of the benchmark's critics, over the state-action pairs that its rollouts visit.
    """
    P, _, terminal = chain.chain()
    policy = np.tile([0.4, 0.6], (chain.NUM_OBS, 1))
    onward = np.einsum("sa,sax->sx", policy, P)
    here, visits = np.eye(chain.NUM_OBS)[chain.START], np.zeros(chain.NUM_OBS)
    for _ in range(chain.NUM_STEPS // 2):
        visits += here / (chain.NUM_STEPS // 2)
        there = here @ onward
        here = np.where(terminal, 0.0, there)
        here[chain.START] += there[terminal].sum()
    squares = np.zeros(len(chain.LAMBDAS))
    for seed in range(chain.NUM_SEEDS):
        error = np.random.default_rng(seed).normal(size=chain.NUM_OBS)
        error[terminal] = 0.0
        for number, gae_lambda in enumerate(chain.LAMBDAS):
            inside = np.eye(chain.NUM_OBS) - chain.GAMMA * gae_lambda * onward
            bias = chain.GAMMA * (1.0 - gae_lambda) * (P @ np.linalg.solve(inside, error))
            bias -= (policy * bias).sum(axis=1, keepdims=True)
            squares[number] += visits @ (policy * bias**2).sum(axis=1) / chain.NUM_SEEDS
    return squares


def batch_error(size: int) -> np.ndarray:
    """Return the squared error of an average of ``size`` advantages, for each lambda."""
    return felt() + np.array(curve()["errors"]["1.0"]["variance"]["mean"]) / size


def draw_gae_batch() -> HTML:
    """Draw the error that a gradient feels against lambda, for three sizes of a batch."""
    lambdas = np.array(curve()["lambdas"])
    with drawing(5.1, 3.3) as (figure, ax):
        for size, colour in zip(BATCHES, (COLOURS[1], COLOURS[0], COLOURS[2]), strict=True):
            error = batch_error(size)
            best = int(np.argmin(error))
            ax.plot(lambdas, error, color=colour)
            ax.plot(lambdas[best], error[best], "o", color=colour)
            name = f"N = {size:,}".replace(",", "\u202f")
            ax.text(1.02, error[-1], name, color=colour, va="center")
        ax.set(xlabel="λ", ylabel="mean squared error", xlim=(0, 1), yscale="log")
        return inline(
            figure,
            "gae-batch",
            "Error of an average of advantages against lambda, on a log scale, for 1, 30 and"
            " 1,000 samples: the more samples, the lower the curve and the further right its"
            " minimum.",
        )


def changes() -> Markdown:
    """Tabulate what one change to A2C does."""
    lines = [
        "| agent | training episode | greedy, median | greedy, worst | 475 or more |",
        "|---|---|---|---|---|",
    ]
    for name, found in ablation()["agents"].items():
        train = np.array(found["mean training episode"])
        greedy = np.array(found["greedy mean of 100 episodes"])
        cells = (
            LABELS.get(name, name),
            f"{train.mean():.0f} ± {train.std(ddof=1):.0f}",
            f"{np.median(greedy):.0f}",
            f"{greedy.min():.0f}",
            f"{found['seeds at 475 and above']} of {len(greedy)}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return Markdown("\n".join(lines))


def draw_a2c() -> HTML:
    """Draw the training episodes of all agents: median and the middle 80%."""
    middle, low, high = (np.array(a2c()["curve"][name]) for name in ("50%", "10%", "90%"))
    episode = np.arange(1, len(middle) + 1)
    with drawing(5.1, 3.1) as (figure, ax):
        ax.fill_between(episode, low, high, color=COLOURS[0], alpha=0.22, linewidth=0)
        ax.plot(episode, middle, color=COLOURS[0])
        ax.axhline(500, color=INK, ls=":", lw=1.2)
        ax.set(xlabel="episode", ylabel="sum of rewards", ylim=(0, 530))
        return inline(
            figure,
            "a2c",
            "Sum of rewards against the training episode: the median rises from 20 to near 500"
            " within some hundred episodes; the band of the middle 80 percent stays wide.",
        )
