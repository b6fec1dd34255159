"""The cliff at GPU size: 100,000 agents a method, and SARSA's greedy path against its step size.

``python -m benchmarks.lab02_batched`` writes ``results/lab02_batched_cuda.json`` on a GPU and
``results/lab02_batched_cpu.json``, with fewer agents, on a processor. The quantiles over these
tables say where the gates of the lab's outcome exercise may stand.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from benchmarks import recording
from labkit.batched import Target, train_tables
from labkit.runtime import device as best_device
from solutions.lab02_q_learning_sarsa import reference

NEEDS_GPU = True  # for its full size
START, GOAL, EPSILON = 36, 47, 0.1
Model = tuple[torch.Tensor, torch.Tensor]
METHODS: dict[str, tuple[Target, bool]] = {
    "Q-learning": (lambda q: q.amax(dim=1), False),
    "SARSA": (lambda q, next_action: q.gather(1, next_action[:, None])[:, 0], True),
    "Expected SARSA": (
        lambda q: (1 - EPSILON) * q.amax(dim=1) + EPSILON * q.mean(dim=1),
        False,
    ),
}
STEP_SIZES = ((0.5, 500), (0.2, 2_000), (0.1, 4_000), (0.05, 8_000), (0.02, 20_000))
"""Step sizes and the episodes that each is given."""


def trained(
    method: str, *, agents: int, episodes: int, alpha: float, device: str, model: Model
) -> dict[str, np.ndarray]:
    """Train agents and return what is measured of each: arrays of shape ``(agents,)``."""
    P, R = model
    target, plays = METHODS[method]

    def make() -> dict[str, np.ndarray]:
        begin = time.perf_counter()
        result = train_tables(
            target,
            num_agents=agents,
            num_episodes=episodes,
            alpha=alpha,
            epsilon=EPSILON,
            plays_next_action=plays,
            device=device,
            desc=f"{method}, alpha {alpha}",
        )
        return {
            "late": result.late_return.cpu().numpy(),
            "seconds": np.array(time.perf_counter() - begin),
            "steps": greedy_steps(result.Q, P.argmax(dim=2)),
            "value": online_values(result.Q, P, R),
            "belief": result.Q[:, START].amax(dim=1).cpu().numpy(),
            "curve": result.curve.cpu().numpy(),
            "lockstep": np.array(result.steps),
        }

    name = f"{device}_{method.replace(' ', '_')}_{alpha}_{agents}"
    return recording.part(f"lab02_batched/{name}", make)


def greedy_steps(Q: torch.Tensor, next_obs: torch.Tensor) -> np.ndarray:
    """Return the length of each agent's greedy path, 0 where it never arrives."""
    agents = torch.arange(len(Q), device=Q.device)
    best = Q.argmax(dim=2)
    obs = torch.full_like(agents, START)
    steps = torch.zeros_like(agents)
    for step in range(1, 60):
        obs = torch.where(obs == GOAL, obs, next_obs[obs, best[agents, obs]])
        steps = torch.where((obs == GOAL) & (steps == 0), step, steps)
    return steps.cpu().numpy()


def online_values(Q: torch.Tensor, P: torch.Tensor, R: torch.Tensor) -> np.ndarray:
    """Return the exact value, from the start, of each agent's epsilon-greedy policy."""
    values = []
    for tables in torch.split(Q.double(), 2_000):
        best = tables == tables.amax(dim=2, keepdim=True)
        pi = EPSILON / 4 + (1 - EPSILON) * best.double() / best.sum(dim=2, keepdim=True)
        P_pi = torch.einsum("nsa,sax->nsx", pi, P)[:, :GOAL, :GOAL]
        R_pi = (pi * R).sum(dim=2)[:, :GOAL, None]
        eye = torch.eye(GOAL, dtype=P.dtype, device=P.device)
        values.append(torch.linalg.solve(eye - P_pi, R_pi)[:, START, 0])
    return torch.cat(values).cpu().numpy()


def quantiles(values: np.ndarray) -> dict[str, float]:
    marks = (0.0, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1.0)
    return {f"{q:g}": round(float(np.quantile(values, q)), 3) for q in marks}


def measured(agents: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the statistics of one trained crowd."""
    counts = Counter("none" if s == 0 else str(s) for s in agents["steps"].tolist())
    return {
        "online": recording.spread(agents["late"]),
        "greedy steps": dict(sorted(counts.items())),
        "exact online value": quantiles(agents["value"]),
        "believed value of the start": quantiles(agents["belief"]),
        "lockstep steps": int(agents["lockstep"]),
        "seconds": round(float(agents["seconds"]), 2),
    }


def main(arguments: list[str] | None = None) -> None:
    device = best_device()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=100_000 if device == "cuda" else 10_000)
    parser.add_argument("--sweep-agents", type=int, default=10_000 if device == "cuda" else 200)
    options = parser.parse_args(arguments)
    P, R = reference.cliff_model(gym.make("CliffWalking-v1"))
    model = torch.tensor(P, device=device), torch.tensor(R, device=device)
    methods: dict[str, Any] = {}
    for method in METHODS:
        size = {"agents": options.agents, "episodes": 500, "alpha": 0.5}
        crowd = trained(method, **size, device=device, model=model)
        methods[method] = {**measured(crowd), "curve mean": crowd["curve"].round(3)}
    sweep = []
    for alpha, episodes in STEP_SIZES:
        size = {"agents": options.sweep_agents, "episodes": episodes, "alpha": alpha}
        crowd = trained("SARSA", **size, device=device, model=model)
        sweep.append({**size, **measured(crowd)})
    settings = {"agents": options.agents, "episodes": 500, "alpha": 0.5, "epsilon": EPSILON}
    recording.write(
        f"lab02_batched_{device}",
        {"settings": settings, "methods": methods, "SARSA by step size": sweep},
        device=device,
    )


if __name__ == "__main__":
    main()
