"""The 10-armed testbed: Sutton and Barto's figures 2.2 to 2.6 on a device, and table runs in numpy.

``python -m benchmarks.lab01_bandits`` writes ``results/lab01_bandits_cuda.json`` on a GPU, with a
million bandits a rule, and ``results/lab01_bandits_cpu.json``, with fewer, on a processor:

- ``exact``: what no run can change, by quadrature: the mean of the best arm's true value, and for
  each epsilon the most reward and the most optimal actions that it can come to;
- ``figure 2.2`` to ``figure 2.5``: a row per rule with ``late reward`` and ``late optimal`` (over
  the last 100 steps; a spread over bandits), ``reward`` and ``optimal`` (curves over the steps). In
  figure 2.5 the true values have mean 4;
- ``figure 2.6``: a row per rule and parameter with ``reward``, over all 1,000 steps;
- ``numpy runs``: a row per epsilon, for runs of 2,000 bandits as in the book: ``late reward`` and
  ``late optimal`` are spreads over such runs, each with its own seed;
- ``speed``: a row for numpy, for torch on a processor and, if there is one, on a GPU, with
  ``million pulls per second`` at epsilon 0.1. On a processor both have one core, and what counts
  are the seconds that it worked for them; on a GPU it is the seconds until the answer is there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import integrate, stats

from benchmarks import recording
from labkit.bandits import UCB, EpsilonGreedy, GradientBandit, Rule, run_bandits
from labkit.runtime import device as best_device

NEEDS_GPU = True  # for its full size
NUM_STEPS, NUM_ARMS, LATE = 1_000, 10, 100
EPSILONS = (0.0, 0.01, 0.1)
RUN = 2_000
"""Bandits of a run in the book."""

FIGURES: dict[str, dict[str, tuple[Rule, float]]] = {
    "figure 2.2": {f"epsilon {epsilon:g}": (EpsilonGreedy(epsilon), 0.0) for epsilon in EPSILONS},
    "figure 2.3": {
        "greedy from 5, step size 0.1": (EpsilonGreedy(0.0, 0.1, 5.0), 0.0),
        "epsilon 0.1 from 0, step size 0.1": (EpsilonGreedy(0.1, 0.1, 0.0), 0.0),
    },
    "figure 2.4": {
        "UCB, c = 2": (UCB(2.0), 0.0),
        "UCB, c = 1": (UCB(1.0), 0.0),
        "epsilon 0.1": (EpsilonGreedy(0.1), 0.0),
    },
    "figure 2.5": {
        f"step size {step_size}, baseline {baseline}": (GradientBandit(step_size, baseline), 4.0)
        for step_size in (0.1, 0.4)
        for baseline in ("earlier", "so far", "none")
    },
}
"""Rules of each figure, with the mean of the true values."""

STUDY: dict[str, tuple[Any, range]] = {
    "epsilon-greedy, epsilon": (EpsilonGreedy, range(-7, -1)),
    "gradient, step size": (GradientBandit, range(-5, 3)),
    "UCB, c": (UCB, range(-4, 3)),
    "greedy at step size 0.1, start value": (lambda x: EpsilonGreedy(0.0, 0.1, x), range(-2, 3)),
}
"""What takes a parameter, and the powers of 2 that it is given."""


def exact() -> dict[str, float]:
    """Return the limits: the largest of k standard normals has density k phi(x) Phi(x)**(k-1)."""

    def integrand(x: float) -> float:
        return float(x * NUM_ARMS * stats.norm.pdf(x) * stats.norm.cdf(x) ** (NUM_ARMS - 1))

    best = integrate.quad(integrand, -np.inf, np.inf, epsabs=1e-12)[0]
    limits = {"mean of the largest true value": round(best, 6)}
    for epsilon in EPSILONS:
        limits[f"most reward at epsilon {epsilon:g}"] = round((1 - epsilon) * best, 6)
        share = 1 - epsilon + epsilon / NUM_ARMS
        limits[f"most optimal actions at epsilon {epsilon:g}"] = round(share, 6)
    return limits


def played(rule: Rule, *, bandits: int, mean: float, late: int, device: str) -> dict[str, Any]:
    """Return the arrays of a run of ``bandits`` bandits."""

    def make() -> dict[str, np.ndarray]:
        run = run_bandits(
            rule,
            num_bandits=bandits,
            num_steps=NUM_STEPS,
            num_arms=NUM_ARMS,
            mean=mean,
            late=late,
            device=device,
            desc=str(rule),
        )
        return vars(run)

    return recording.part(f"lab01_bandits/{device}_{rule}_{mean}_{late}_{bandits}", make)


def row(name: str, rule: Rule, **how: Any) -> dict[str, Any]:
    """Return what a figure's table and curves say of one rule."""
    run = played(rule, late=LATE, **how)
    return {
        "rule": name,
        "late reward": recording.spread(run["late_reward"]),
        "late optimal": recording.spread(run["late_optimal"]),
        "reward": run["reward"].round(4),
        "optimal": run["optimal"].round(4),
    }


def numpy_run(epsilon: float, seed: int) -> tuple[float, float]:
    """Return reward and share of optimal actions, over the last steps, of one run in numpy."""
    rng = np.random.default_rng(seed)
    every = np.arange(RUN)
    q_star = rng.normal(size=(RUN, NUM_ARMS))
    best = q_star.argmax(axis=1)
    estimates, visits = np.zeros_like(q_star), np.zeros_like(q_star)
    late_reward = late_optimal = 0.0
    for step in range(NUM_STEPS):
        ties = estimates == estimates.max(axis=1, keepdims=True)
        action = (ties * (1 + rng.random(ties.shape))).argmax(axis=1)
        explores = rng.random(RUN) < epsilon
        action[explores] = rng.integers(NUM_ARMS, size=explores.sum())
        reward = rng.normal(q_star[every, action])
        visits[every, action] += 1
        estimates[every, action] += (reward - estimates[every, action]) / visits[every, action]
        if step >= NUM_STEPS - LATE:
            late_reward += reward.mean() / LATE
            late_optimal += (action == best).mean() / LATE
    return late_reward, late_optimal


def numpy_row(epsilon: float, runs: int) -> dict[str, Any]:
    """Return the spread of many runs of 2,000 bandits."""

    def make() -> dict[str, np.ndarray]:
        return {"late": np.array([numpy_run(epsilon, seed) for seed in range(runs)])}

    part = recording.part(f"lab01_bandits/numpy_{epsilon}_{runs}", make)
    return {
        "epsilon": epsilon,
        "late reward": recording.spread(part["late"][:, 0]),
        "late optimal": recording.spread(part["late"][:, 1]),
    }


def speed(device: str) -> list[dict[str, Any]]:
    """Return how fast each plays, the best of five attempts."""

    def torch_run(where: str, bandits: int) -> None:
        run_bandits(EpsilonGreedy(0.1), num_bandits=bandits, num_steps=NUM_STEPS, device=where)

    players: list[tuple[str, str, int, Callable[[], object]]] = [
        ("numpy", "cpu", RUN, lambda: numpy_run(0.1, seed=0)),
        ("torch on cpu", "cpu", 8_192, lambda: torch_run("cpu", 8_192)),
    ]
    if device != "cpu":
        players.append((f"torch on {device}", device, 1_000_000, lambda: torch_run(device, 10**6)))
    rows, numpys = [], 0.0
    for name, where, bandits, play in players:
        clock = time.process_time if where == "cpu" else time.perf_counter
        seconds = []
        for _ in range(5):
            begin = clock()
            play()
            seconds.append(clock() - begin)
        rate = bandits * NUM_STEPS / min(seconds) / 1e6
        numpys = numpys or rate  # numpy's, which comes first
        rows.append(
            {
                "player": name,
                "bandits": bandits,
                "million pulls per second": round(rate, 2),
                "speed-up": round(rate / numpys, 2),
            }
        )
    return rows


def main(arguments: list[str] | None = None) -> None:
    device = best_device()
    parser = argparse.ArgumentParser(description=__doc__)
    on_gpu = device == "cuda"
    parser.add_argument("--bandits", type=int, default=1_000_000 if on_gpu else 100_000)
    parser.add_argument("--study-bandits", type=int, default=1_000_000 if on_gpu else 20_000)
    parser.add_argument("--runs", type=int, default=40, help="in numpy")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    how = {"bandits": options.bandits, "device": device}
    figures = {
        figure: [row(name, rule, mean=mean, **how) for name, (rule, mean) in rules.items()]
        for figure, rules in FIGURES.items()
    }
    study = []
    for name, (make, powers) in STUDY.items():
        for power in powers:
            run = played(
                make(2.0**power),
                bandits=options.study_bandits,
                mean=0.0,
                late=NUM_STEPS,
                device=device,
            )
            reward = recording.spread(run["late_reward"])
            study.append({"rule": name, "parameter": 2.0**power, "reward": reward})
    settings = {
        "bandits": options.bandits,
        "bandits in figure 2.6": options.study_bandits,
        "numpy runs": options.runs,
        "bandits of a numpy run": RUN,
        "steps": NUM_STEPS,
        "arms": NUM_ARMS,
        "late steps": LATE,
    }
    measured = {
        "settings": settings,
        "exact": exact(),
        **figures,
        "figure 2.6": study,
        "numpy runs": [numpy_row(epsilon, options.runs) for epsilon in EPSILONS],
        "speed": speed(device),
    }
    recording.write(f"lab01_bandits_{device}", measured, device=device)


if __name__ == "__main__":
    main()
