"""The Dyna maze with 0, 5 and 50 imagined steps per real one, and the walk before any reward.

``python -m benchmarks.lab03_dyna`` writes ``results/lab03_dyna.json``: steps per episode with their
spread over agents, when the greedy path first is a shortest one, and what the final tables hold.
"""

from __future__ import annotations

import argparse
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks import recording
from solutions.lab03_planning_mcts import reference

START, GOAL, SHORTEST, NUM_EPISODES = 18, 8, 14, 50
NUM_PLANNING = (0, 5, 50)


def steps_to_goal(Q: np.ndarray, P: np.ndarray) -> int:
    """Return the length of the greedy path from the start; 100 where it never arrives."""
    here = START
    for step in range(100):
        if here == GOAL:
            return step
        here = int(P[here, Q[here].argmax()].argmax())
    return 100


def agent(num_planning: int, seed: int, P: np.ndarray) -> dict[str, np.ndarray]:
    """Return one agent's table, its episodes' lengths, and its greedy path after each episode."""

    def make() -> dict[str, np.ndarray]:
        greedy: list[int] = []

        def step(Q: np.ndarray, model: Any, obs: int, action: int, reward: float,
                 next_obs: int, terminated: bool, **settings: Any) -> None:  # fmt: skip
            reference.dyna_q_step(Q, model, obs, action, reward, next_obs, terminated, **settings)
            if terminated:
                greedy.append(steps_to_goal(Q, P))

        tables, lengths = reference.dyna_runs(
            step,
            num_planning=num_planning,
            num_runs=1,
            num_episodes=NUM_EPISODES,
            first_seed=seed,
        )
        return {"Q": tables[0], "lengths": lengths[0], "greedy": np.array(greedy)}

    return recording.part(f"lab03_dyna/{num_planning}_{seed}", make)


def random_walk(P: np.ndarray, terminal: np.ndarray) -> float:
    """Return the mean number of steps that uniformly random actions take, exactly."""
    walls = gym.make("labkit.envs:labkit/DynaMaze-v0").unwrapped.WALLS  # type: ignore[attr-defined]
    live = ~terminal & ~np.isin(np.arange(len(P)), walls)
    system = np.eye(live.sum()) - P.mean(axis=1)[np.ix_(live, live)]
    steps = np.zeros(len(P))
    steps[live] = np.linalg.solve(system, np.ones(live.sum()))
    return float(steps[START])


def first_shortest(greedy: np.ndarray) -> int:
    """Return after how many episodes the greedy path is a shortest one; 51 if it never is."""
    found = np.flatnonzero(greedy == SHORTEST)
    return int(found[0]) + 1 if found.size else NUM_EPISODES + 1


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="agents of the published figure")
    parser.add_argument("--agents", type=int, default=400, help="agents for the distributions")
    options = parser.parse_args(arguments)
    P, _, terminal = reference.env_model(gym.make("labkit.envs:labkit/DynaMaze-v0"))
    methods: dict[str, Any] = {}
    for n in NUM_PLANNING:
        agents = [agent(n, seed, P) for seed in range(options.agents)]
        lengths = np.array([a["lengths"] for a in agents])
        greedy = np.array([a["greedy"] for a in agents])
        tables = np.array([a["Q"] for a in agents])
        thirty = lengths[: options.runs]
        firsts = np.array([first_shortest(g) for g in greedy])
        methods[str(n)] = {
            "first episode": recording.spread(lengths[:, 0]),
            "steps, mean of the runs": thirty.mean(axis=0).round(2),
            "steps, sd of the runs": thirty.std(axis=0, ddof=1).round(2),
            "steps, mean of all agents": lengths.mean(axis=0).round(2),
            "steps, 10%": np.percentile(lengths, 10, axis=0).round(1),
            "steps, 90%": np.percentile(lengths, 90, axis=0).round(1),
            "last 10 episodes": recording.spread(lengths[:, -10:].mean(axis=1)),
            "episodes until the greedy path is shortest": {
                **recording.spread(firsts),
                "median": float(np.median(firsts)),
                "never": int((firsts > NUM_EPISODES).sum()),
            },
            "greedy path is shortest at the end": float((greedy[:, -1] == SHORTEST).mean()),
            "belief about the start": recording.spread(tables[:, START].max(axis=1)),
            "belief, smallest and largest": [
                round(float(f(tables[:, START].max(axis=1))), 4) for f in (np.min, np.max)
            ],
            "pairs whose value is not 0": recording.spread((tables != 0).sum(axis=(1, 2))),
        }
    recording.write(
        "lab03_dyna",
        {
            "settings": {
                "alpha": 0.1,
                "gamma": 0.95,
                "epsilon": 0.1,
                "num_episodes": NUM_EPISODES,
                "runs": options.runs,
                "agents": options.agents,
            },
            "steps of a random walk, exactly": round(random_walk(P, terminal), 2),
            "exact value of the start": round(0.95**13, 4),
            "methods": methods,
        },
    )


if __name__ == "__main__":
    main()
