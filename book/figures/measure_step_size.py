"""How SARSA's greedy path on the cliff depends on its step size; writes ``step_size.json``.

Too slow for a build: run ``python book/figures/measure_step_size.py``, some ten minutes.
"""

import json
from collections import Counter
from pathlib import Path

import gymnasium as gym
import torch

from labkit.batched import Target, train_tables
from solutions.lab02_q_learning_sarsa import reference

RESULTS = Path(__file__).with_name("step_size.json")
START, GOAL, EPSILON = 36, 47, 0.1
AGENTS, SEED = 400, 2
ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
EPISODES = (500, 5000)


def next_value(q: torch.Tensor, next_action: torch.Tensor) -> torch.Tensor:
    """SARSA's value of the next observation: that of the action drawn there."""
    return q.gather(1, next_action[:, None])[:, 0]


def mean_value(q: torch.Tensor, next_action: torch.Tensor) -> torch.Tensor:
    """Expected SARSA's value of the next observation: the policy's average."""
    return (1 - EPSILON) * q.amax(dim=1) + EPSILON * q.mean(dim=1)


def path_lengths(Q: torch.Tensor) -> dict[str, int]:
    """Count the agents by the steps of their greedy path; ``none`` never arrives.

    Args:
        Q: shape ``(num_agents, num_obs, num_actions)``.
    """
    P, _ = reference.cliff_model(gym.make("CliffWalking-v1"))
    paths = [reference.greedy_path(P, table, START) for table in Q.numpy()]
    lengths = [str(len(path) - 1) if path[-1] == GOAL else "none" for path in paths]
    return dict(sorted(Counter(lengths).items()))


def measure(value: Target, *, alpha: float, num_episodes: int, plays: bool) -> dict[str, object]:
    trained = train_tables(
        value,
        num_agents=AGENTS,
        num_episodes=num_episodes,
        alpha=alpha,
        epsilon=EPSILON,
        plays_next_action=plays,
        seed=SEED,
        desc=f"{value.__name__}, alpha {alpha}, {num_episodes} episodes",
    )
    online = trained.late_return
    return {
        "alpha": alpha,
        "episodes": num_episodes,
        "greedy steps": path_lengths(trained.Q),
        "online": {"mean": round(float(online.mean()), 3), "sd": round(float(online.std()), 3)},
    }


def main() -> None:
    methods = {"SARSA": (next_value, True), "Expected SARSA": (mean_value, False)}
    results = {
        name: [
            measure(value, alpha=alpha, num_episodes=episodes, plays=plays)
            for episodes in EPISODES
            for alpha in ALPHAS
        ]
        for name, (value, plays) in methods.items()
    }
    settings = {"agents": AGENTS, "epsilon": EPSILON, "gamma": 1.0, "seed": SEED}
    text = json.dumps({"settings": settings, "methods": results}, indent=1)
    RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
