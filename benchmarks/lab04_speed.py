"""DQN on CartPole-v1, ours beside Stable-Baselines3: time until solved, over ten seeds.

``python -m benchmarks.lab04_speed`` writes ``results/lab04_speed.json``; see `solving` for what is
measured and how. Ours trains with lab 4's `train_dqn` (Double DQN) and the lab's own settings.
"""

from __future__ import annotations

import gymnasium as gym
from torch import nn

from benchmarks import solving
from solutions.lab04_dqn import agents, reference

NUM_ENVS, STEPS = 16, 50_000  # as in the lab


def dqn(seed: int, referee: solving.Referee) -> None:
    """Train as the lab does, until solved."""

    def evaluate(q_network: nn.Module) -> float:
        steps = (len(referee.means) + 1) * solving.EVERY
        referee.evaluate(steps, solving.greedy(q_network))
        return referee.means[-1]

    reference.train_dqn(
        gym.make_vec("CartPole-v1", NUM_ENVS, vectorization_mode="vector_entry_point"),
        agents.answers(),
        seed=seed,
        total_timesteps=STEPS,
        mode="next_step",
        evaluate=evaluate,
        evaluate_every=solving.EVERY,
        stop_at=solving.THRESHOLD,
    )


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    solving.compare("lab04_speed", {"DQN": dqn}, {"DQN, ours": "as in the lab"}, arguments)


if __name__ == "__main__":
    main()
