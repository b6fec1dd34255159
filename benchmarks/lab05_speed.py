"""A2C on CartPole-v1, ours beside Stable-Baselines3: time until solved, over ten seeds.

``python -m benchmarks.lab05_speed`` writes ``results/lab05_speed.json``; see `solving` for what is
measured and how. Ours trains as lab 5's train cell does, for as many steps at most as theirs.
"""

from __future__ import annotations

from benchmarks import solving
from solutions.lab05_policy_gradients import agents, reference

STEPS_PER_UPDATE = 256  # 16 environments, rollouts of 16 steps
NUM_UPDATES = solving.ZOO["A2C"]["n_timesteps"] // STEPS_PER_UPDATE


def a2c(seed: int, referee: solving.Referee) -> None:
    """Train as the lab does, until solved."""

    def look(update: int, model: reference.ActorCritic) -> bool:
        return referee.look(update * STEPS_PER_UPDATE, solving.greedy(model.actor))

    reference.train_a2c(agents.answers(), seed=seed, num_updates=NUM_UPDATES, on_update=look)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    solving.compare(
        "lab05_speed",
        {"A2C": a2c},
        {"A2C, ours": f"as in the lab, updates {NUM_UPDATES}"},
        arguments,
    )


if __name__ == "__main__":
    main()
