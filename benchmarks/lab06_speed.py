"""PPO and TRPO on CartPole-v1, ours beside Stable-Baselines3: time until solved, over ten seeds.

``python -m benchmarks.lab06_speed`` writes ``results/lab06_speed.json``; see `solving` for what is
measured and how. Ours trains with lab 6's `train_ppo` and `train_trpo`: PPO with the settings
`PPO`, found by trying some forty on seeds 0 to 39 (sizes of rollouts and minibatches, epochs,
learning rates, lambda), TRPO as the lab does.
"""

from __future__ import annotations

from typing import Any

from benchmarks import solving
from solutions.lab06_trpo_ppo import agents, reference

PPO: dict[str, Any] = {
    "num_updates": 48,
    "num_envs": 32,
    "num_steps": 32,
    "num_epochs": 7,
    "batch_size": 512,
    "gae_lambda": 0.9,
    "learning_rate": 7e-3,
}
TRPO: dict[str, Any] = {"num_updates": 40, "num_envs": 8, "num_steps": 128}


def ppo(seed: int, referee: solving.Referee) -> None:
    """Train with `PPO` until solved."""
    size = PPO["num_envs"] * PPO["num_steps"]

    def look(update: int, model: reference.ActorCritic) -> bool:
        return referee.look(update * size, solving.greedy(model.actor))

    reference.train_ppo(agents.answers(), seed=seed, on_update=look, **PPO)


def trpo(seed: int, referee: solving.Referee) -> None:
    """Train with `TRPO` until solved."""
    names = ("conjugate_gradient", "fisher_vector_product", "trpo_step", "minibatches")
    parts = {name: getattr(reference, name) for name in names}
    size = TRPO["num_envs"] * TRPO["num_steps"]

    def look(update: int, model: reference.ActorCritic) -> bool:
        return referee.look(update * size, solving.greedy(model.actor))

    reference.train_trpo(parts, seed=seed, on_update=look, **TRPO)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    settings = {
        f"{method}, ours": ", ".join(f"{key} {value}" for key, value in chosen.items())
        for method, chosen in (("PPO", PPO), ("TRPO", TRPO))
    }
    solving.compare("lab06_speed", {"PPO": ppo, "TRPO": trpo}, settings, arguments)


if __name__ == "__main__":
    main()
