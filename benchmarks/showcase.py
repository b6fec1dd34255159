"""Trains the agents that the book's films show: ``python -m benchmarks.showcase [NAME ...]``.

Weights go to ``book/showcase/NAME.safetensors``, all of them without a name. CartPole's agents are
those of the labs: `lab04`'s Double DQN, `lab05`'s A2C, `lab06`'s PPO, seed 0, and the films play
them when the site is built. The lander is trained by PPO, and one landing of it is written to
``lunar_lander.json``, since Box2D need not step alike everywhere. Connect Four has its own
`lab03_connect_four`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks import lab03_connect_four, lab06_speed, on_device
from labkit.artifacts import write_whole
from solutions.lab04_dqn import agents as agents04
from solutions.lab04_dqn import reference as lab04
from solutions.lab05_policy_gradients import agents as agents05
from solutions.lab05_policy_gradients import reference as lab05
from solutions.lab06_trpo_ppo import agents as agents06
from solutions.lab06_trpo_ppo import reference as lab06

FOLDER = Path(__file__).parent.parent / "book" / "showcase"
LANDER = "LunarLander-v3"
LANDING = on_device.Settings(
    num_updates=60,
    num_steps=256,
    num_epochs=6,
    num_minibatches=32,
    gamma=0.999,
    gae_lambda=0.98,
    learning_rate=1e-3,
)
LANDERS = 32  # that train at once
FRAME = 4  # steps between two recorded positions


class Vectorized:
    """Gymnasium's environments with the interface of `on_device.Env`, on a processor."""

    def __init__(self, env_id: str, num_envs: int, *, seed: int) -> None:
        self.env = gym.make_vec(
            env_id, num_envs, vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP},
        )  # fmt: skip
        self.num_envs, self.seed = num_envs, seed

    def reset(self) -> Tensor:
        """Start all episodes anew, from this environment's seed."""
        return torch.from_numpy(self.env.reset(seed=self.seed)[0])

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Take one step each."""
        obs, reward, terminated, truncated, infos = self.env.step(action.numpy())
        final_obs = obs.copy()
        for i in np.flatnonzero(terminated | truncated):
            final_obs[i] = infos["final_obs"][i]
        ends = torch.from_numpy(terminated), torch.from_numpy(truncated)
        reward = torch.from_numpy(reward).float()
        return torch.from_numpy(obs), reward, *ends, torch.from_numpy(final_obs)


def save(name: str, network: nn.Module) -> None:
    """Write a network's weights."""
    from safetensors.torch import save as packed

    FOLDER.mkdir(exist_ok=True)
    write_whole(FOLDER / f"{name}.safetensors", packed(network.state_dict()))


def cartpole_dqn(seed: int = 0) -> None:
    """Lab 4's train cell."""
    save("cartpole_dqn", lab04.train_cartpole(agents04.answers(), seed=seed)[0])


def cartpole_a2c(seed: int = 0) -> None:
    """Lab 5's train cell."""
    save("cartpole_a2c", lab05.train_a2c(agents05.answers(), seed=seed)[0].actor)


def cartpole_ppo(seed: int = 0) -> None:
    """Lab 6's loop with the settings of the speed benchmark."""
    model, _ = lab06.train_ppo(agents06.answers(), seed=seed, **lab06_speed.PPO)
    save("cartpole_ppo", model.actor)


def lunar_lander(seed: int = 0, settings: on_device.Settings = LANDING) -> None:
    """PPO with 32 landers; writes a landing beside the weights."""
    torch.manual_seed(seed)
    networks = lab06.ActorCritic(8, 4)
    policy = on_device.Policy(networks.actor, networks.critic)
    with tqdm(total=settings.num_updates, desc=f"{LANDER}, seed {seed}") as bar:

        def each(_: int) -> bool:
            bar.update()
            return False

        world = Vectorized(LANDER, LANDERS, seed=seed)
        on_device.train(world, policy, settings, seed=seed, each=each)
    save("lunar_lander", networks.actor)
    record = landing(networks.actor, seed=20_000)
    FOLDER.joinpath("lunar_lander.json").write_text(json.dumps(record) + "\n", "utf-8")


@torch.no_grad()
def landing(actor: nn.Module, *, seed: int, others: int = 100) -> dict[str, Any]:
    """Fly one greedy episode and tell it, and the returns of others after it.

    Returns:
        ``path``: x, y and angle in the units of the observation (the pad at 0, 0) and the engine
        that fires (0 none, 1 left, 2 main, 3 right), every fourth step and at the end; ``ground``:
        corners of the terrain in the same units; ``return`` and ``steps`` of this episode, the
        first one flown; ``returns`` of ``others`` episodes with the seeds that follow.
    """
    env = gym.make(LANDER)

    def act(obs: np.ndarray) -> int:
        return int(actor(torch.from_numpy(obs)).argmax())

    def fly(start: int) -> tuple[list[tuple[float, ...]], float]:
        obs, _ = env.reset(seed=start)
        path, total, ended = [], 0.0, False
        while not ended:
            action = act(obs)
            path.append((*(round(float(each), 3) for each in obs[[0, 1, 4]]), action))
            obs, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            ended = terminated or truncated
        return [*path, (*(round(float(each), 3) for each in obs[[0, 1, 4]]), 0)], round(total, 1)

    path, total = fly(seed)
    world: Any = env.unwrapped
    width, height = 600 / 30 / 2, 400 / 30 / 2  # half a screen, in the metres of Box2D
    rest = world.helipad_y + 18 / 30  # the height of a lander that stands on the pad
    corners = [world.sky_polys[0][0], *(poly[1] for poly in world.sky_polys)]
    ground = [(round(x / width - 1, 3), round((y - rest) / height, 3)) for x, y in corners]
    returns = [fly(seed + k)[1] for k in tqdm(range(1, others + 1), desc="landings")]
    frames = path[::FRAME] + ([] if (len(path) - 1) % FRAME == 0 else [path[-1]])
    return {
        "path": frames, "ground": ground, "return": total, "steps": len(path) - 1,
        "returns": returns,
    }  # fmt: skip


AGENTS = {
    "cartpole_dqn": cartpole_dqn,
    "cartpole_a2c": cartpole_a2c,
    "cartpole_ppo": cartpole_ppo,
    "lunar_lander": lunar_lander,
    "connect_four": lab03_connect_four.showcase,
}


def main(arguments: list[str] | None = None) -> None:
    """Train those that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(AGENTS)}")
    names = parser.parse_args(arguments).names or list(AGENTS)
    if unknown := set(names) - AGENTS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    for name in names:
        AGENTS[name]()


if __name__ == "__main__":
    main()
