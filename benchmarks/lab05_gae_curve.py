"""GAE's error against lambda, on a chain whose advantages are known exactly.

``python -m benchmarks.lab05_gae_curve`` writes ``results/lab05_gae_curve.json``. The critic is the
true value function plus an error of a given size; how far an estimated advantage is from the true
one is split into what its mean is off (bias) and how it scatters (variance), both averaged over the
state-action pairs that the policy visits. "felt" is the part of the bias that differs between the
actions of a state; the rest is a baseline, which no gradient feels.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import recording
from solutions.lab05_policy_gradients.reference import gae

Float = NDArray[np.float64]
NUM_OBS, START = 21, 10
GAMMA = 0.98
SLIP = 0.2  # probability that a step goes the other way
NOISE = 0.5  # standard deviation of a reward
PRIZE, COST = 5.0, -0.1  # at the right end; of every step
NUM_STEPS, NUM_ENVS, NUM_SEEDS = 300, 400, 20
LAMBDAS = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 1.0)
ERRORS = (0.0, 0.3, 1.0)  # of the critic, standard deviation over the states


def chain() -> tuple[Float, Float, NDArray[np.bool_]]:
    """Return ``P[obs, action, next_obs]``, the mean reward of reaching each cell, and the ends."""
    P = np.zeros((NUM_OBS, 2, NUM_OBS))
    terminal = np.zeros(NUM_OBS, dtype=bool)
    terminal[[0, NUM_OBS - 1]] = True
    for obs in range(1, NUM_OBS - 1):
        for action, step in ((0, -1), (1, 1)):
            P[obs, action, obs + step] += 1.0 - SLIP
            P[obs, action, obs - step] += SLIP
    R = np.full(NUM_OBS, COST)
    R[NUM_OBS - 1] += PRIZE
    return P, R, terminal


def exact(policy: Float) -> tuple[Float, Float]:
    """Return ``V`` and the advantages ``A[obs, action]`` of a policy, by a linear system."""
    P, R, terminal = chain()
    live = ~terminal
    P_pi = np.einsum("sa,sax->sx", policy, P)
    V = np.zeros(NUM_OBS)
    system = np.eye(live.sum()) - GAMMA * P_pi[np.ix_(live, live)]
    V[live] = np.linalg.solve(system, (P_pi @ R)[live])
    Q = P @ (R + GAMMA * V)
    return V, Q - V[:, None]


def walk(policy: Float, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Walk ``NUM_ENVS`` agents for ``NUM_STEPS`` steps; who arrives begins anew at the start."""
    _, R, terminal = chain()
    here = np.full(NUM_ENVS, START)
    rows: dict[str, list[NDArray[Any]]] = {
        name: [] for name in ("obs", "action", "next_obs", "reward", "terminated")
    }
    for _ in range(NUM_STEPS):
        action = (rng.random(NUM_ENVS) < policy[here, 1]).astype(int)
        goes_right = (action == 1) ^ (rng.random(NUM_ENVS) < SLIP)
        there = here + np.where(goes_right, 1, -1)
        reward = R[there] + NOISE * rng.normal(size=NUM_ENVS)
        for name, value in zip(rows, (here, action, there, reward, terminal[there]), strict=True):
            rows[name].append(value)
        here = np.where(terminal[there], START, there)
    return {name: np.array(values) for name, values in rows.items()}


def measured(seed: int, error: float) -> dict[str, list[float]]:
    """Return squared bias, variance and mean squared error for each lambda."""
    rng = np.random.default_rng(seed)
    policy = np.tile([0.4, 0.6], (NUM_OBS, 1))
    V, A = exact(policy)
    critic = V + error * rng.normal(size=NUM_OBS)
    critic[chain()[2]] = 0.0
    data = walk(policy, rng)
    early = slice(0, NUM_STEPS // 2)  # the end of a rollout would cut what these look at
    pair = (2 * data["obs"] + data["action"])[early].ravel()
    truth = A[data["obs"], data["action"]][early].ravel()
    found: dict[str, list[float]] = {"bias": [], "felt": [], "variance": [], "error": []}
    for gae_lambda in LAMBDAS:
        names = ("reward", "terminated")
        reward, terminated = (torch.as_tensor(data[name]) for name in names)
        advantage, _ = gae(
            reward,
            torch.as_tensor(critic[data["obs"]]),
            torch.as_tensor(critic[data["next_obs"]]),
            terminated,
            torch.zeros_like(terminated),
            gamma=GAMMA,
            gae_lambda=gae_lambda,
        )
        estimate = advantage.numpy()[early].ravel()
        counts = np.bincount(pair, minlength=2 * NUM_OBS)
        means = np.bincount(pair, estimate, minlength=2 * NUM_OBS) / np.maximum(counts, 1)
        scatter = float(((estimate - means[pair]) ** 2).mean())
        bias = float(((means[pair] - truth) ** 2).mean())
        off = means.reshape(NUM_OBS, 2) - A
        felt = float((((off - (policy * off).sum(1, keepdims=True)).ravel()[pair]) ** 2).mean())
        for name, value in zip(found, (bias, felt, scatter, bias + scatter), strict=True):
            found[name].append(value)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    curves = {}
    for error in ERRORS:
        runs = [measured(seed, error) for seed in range(NUM_SEEDS)]
        curves[str(error)] = {
            name: {
                "mean": np.mean([run[name] for run in runs], axis=0).round(5),
                "sd": np.std([run[name] for run in runs], axis=0, ddof=1).round(5),
            }
            for name in ("bias", "felt", "variance", "error")
        }
    settings = {"gamma": GAMMA, "num_seeds": NUM_SEEDS, "steps": NUM_STEPS * NUM_ENVS}
    best = {name: LAMBDAS[int(found["error"]["mean"].argmin())] for name, found in curves.items()}
    recording.write(
        "lab05_gae_curve",
        {
            "settings": settings,
            "lambdas": LAMBDAS,
            "errors": curves,
            "lambda of the smallest error, by the critic's error": best,
        },
    )


if __name__ == "__main__":
    main()
