"""MinAtar Breakout by Double DQN on a GPU, two million frames: the return while it learns.

``python -m benchmarks.lab04_minatar`` writes ``results/lab04_minatar_cuda.json``. Without a GPU it
says so and measures nothing, unless ``--frames`` says how long to train; then it writes
``results/lab04_minatar_cpu.json``. Losses, targets and what may be stored are lab 4's; the network
is that of Young & Tian (2019), the replay buffer lies on the device. Keys of the results, for each
seed a row: ``return``, the mean of the last hundred episodes, exploration included; ``episodes``,
``gradient steps`` and ``seconds``. ``curve`` has the mean return of all episodes that ended in each
hundredth of the training, for the first seed.

Source: Young & Tian (2019), MinAtar.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks import on_device, recording
from labkit.runtime import device as best_device
from solutions.lab04_dqn import reference

NEEDS_GPU = True
FRAMES, NUM_SEEDS, POINTS = 2_000_000, 3, 100
NUM_ENVS, BATCH, CAPACITY = 64, 128, 100_000
STARTS, UPDATES_PER_STEP, SYNC_EVERY = 5_000, 8, 1_000
GAMMA, LEARNING_RATE, END_EPSILON, EXPLORING = 0.99, 2.5e-4, 0.05, 0.1


class Replay:
    """Transitions on a device; the oldest row is overwritten when it is full."""

    def __init__(self, capacity: int, obs_shape: tuple[int, ...], device: str) -> None:
        def rows(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(capacity, *shape, dtype=dtype, device=device)

        self.columns = {
            "obs": rows(*obs_shape, dtype=torch.bool),
            "action": rows(dtype=torch.int64),
            "reward": rows(dtype=torch.float32),
            "next_obs": rows(*obs_shape, dtype=torch.bool),
            "terminated": rows(dtype=torch.bool),
        }
        self.capacity, self.next, self.filled = capacity, 0, 0

    def add(self, rows: Mapping[str, np.ndarray]) -> None:
        """Store rows, as many as there are."""
        count = len(rows["action"])
        at = torch.arange(self.next, self.next + count) % self.capacity
        for name, column in self.columns.items():
            found = torch.from_numpy(np.ascontiguousarray(rows[name]))
            column[at.to(column.device)] = found.to(column.device, column.dtype)
        self.next = (self.next + count) % self.capacity
        self.filled = min(self.filled + count, self.capacity)

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return rows drawn uniformly, with replacement."""
        device = generator.device
        at = torch.randint(self.filled, (count,), generator=generator, device=device)
        return {name: column[at] for name, column in self.columns.items()}


class Planes(nn.Module):
    """Observations ``(batch, 10, 10, planes)`` of bools to ``(batch, planes, 10, 10)`` floats."""

    def forward(self, obs: Tensor) -> Tensor:
        return obs.permute(0, 3, 1, 2).float()


def network(planes: int, num_actions: int) -> nn.Module:
    """Return MinAtar's own network: 16 filters of 3 by 3, and 128 units."""
    return nn.Sequential(
        Planes(), nn.Conv2d(planes, 16, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(16 * 8 * 8, 128), nn.ReLU(), nn.Linear(128, num_actions),
    )  # fmt: skip


def update(
    online: nn.Module, target: nn.Module, optimizer: torch.optim.Optimizer, batch: dict[str, Tensor]
) -> None:
    """Take one gradient step towards Double DQN's targets."""
    with torch.no_grad():
        following = online(batch["next_obs"]), target(batch["next_obs"])
    wanted = reference.double_dqn_target(
        *following, batch["reward"], batch["terminated"], torch.zeros_like(batch["terminated"]),
        gamma=GAMMA,
    )  # fmt: skip
    q = reference.gather_q(online(batch["obs"]), batch["action"])
    optimizer.zero_grad()
    reference.huber(q, wanted).backward()
    optimizer.step()


def trained(frames: int, seed: int, device: str) -> dict[str, np.ndarray]:
    """Train once; return each episode's return and the frame in which it ended."""

    def make() -> Mapping[str, np.ndarray]:
        import minatar.gym

        if "MinAtar/Breakout-v1" not in gym.registry:
            minatar.gym.register_envs()
        env = gym.make_vec(
            "MinAtar/Breakout-v1", NUM_ENVS, vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP},
        )  # fmt: skip
        shape, num_actions = env.single_observation_space.shape, int(env.single_action_space.n)
        rng, generator = np.random.default_rng(seed), torch.Generator(device).manual_seed(seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            online = network(shape[-1], num_actions).to(device)
        target = copy.deepcopy(online)
        optimizer = torch.optim.Adam(online.parameters(), lr=LEARNING_RATE, fused=True)
        replay = Replay(CAPACITY, shape, device)
        running, ended_before = np.zeros(NUM_ENVS), np.zeros(NUM_ENVS, dtype=bool)
        returns: list[float] = []
        ends: list[int] = []
        num_updates, begin = 0, on_device.finished(device)
        obs, _ = env.reset(seed=seed)
        for frame in tqdm(range(0, frames, NUM_ENVS), desc=f"Breakout, seed {seed}"):
            epsilon = reference.linear_schedule(
                frame, start=1.0, end=END_EPSILON, fraction=EXPLORING, total=frames
            )
            with torch.no_grad():
                action = online(torch.from_numpy(obs).to(device)).argmax(dim=1).cpu().numpy()
            explores = rng.random(NUM_ENVS) < epsilon
            action = np.where(explores, rng.integers(num_actions, size=NUM_ENVS), action)
            next_obs, reward, terminated, truncated, infos = env.step(action)
            replay.add(
                reference.store_transition(
                    obs, action, reward, next_obs, terminated, truncated, infos,
                    mode="same_step", ended_before=ended_before,
                )
            )  # fmt: skip
            obs, ended_before = next_obs, terminated | truncated
            running += reward
            returns += running[ended_before].tolist()
            ends += [frame] * int(ended_before.sum())
            running[ended_before] = 0.0
            for _ in range(UPDATES_PER_STEP if replay.filled >= STARTS else 0):
                update(online, target, optimizer, replay.sample(BATCH, generator))
                num_updates += 1
                if num_updates % SYNC_EVERY == 0:
                    reference.sync(online, target)
        return {
            "returns": np.array(returns),
            "ends": np.array(ends),
            "updates": np.array(num_updates),
            "seconds": np.array(on_device.finished(device) - begin),
        }

    return recording.part(f"lab04_minatar/{device}_{frames}_{seed}", make)


def curve(run: Mapping[str, np.ndarray], frames: int) -> list[float | None]:
    """Return the mean return of the episodes of each hundredth of a training; None has none."""
    part = run["ends"] * POINTS // frames
    found = [run["returns"][part == point] for point in range(POINTS)]
    return [round(float(each.mean()), 2) if len(each) else None for each in found]


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    device = "cuda" if best_device() == "cuda" else "cpu"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=None)
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS)
    options = parser.parse_args(arguments)
    if device == "cpu" and options.frames is None:
        sys.stderr.write("MinAtar takes a processor hours: nothing measured; see --frames\n")
        return
    frames = options.frames or FRAMES
    runs = [trained(frames, seed, device) for seed in range(options.seeds)]
    rows: list[dict[str, Any]] = [
        {
            "seed": seed,
            "return": round(float(run["returns"][-100:].mean()), 2),
            "episodes": len(run["returns"]),
            "gradient steps": int(run["updates"]),
            "seconds": round(float(run["seconds"]), 1),
        }
        for seed, run in enumerate(runs)
    ]
    settings = {
        "frames": frames,
        "environments": NUM_ENVS,
        "batch_size": BATCH,
        "capacity": CAPACITY,
        "gradient steps per step of all": UPDATES_PER_STEP,
        "learning_rate": LEARNING_RATE,
        "sync_every": SYNC_EVERY,
    }
    recording.write(
        f"lab04_minatar_{device}",
        {"settings": settings, "seeds": rows, "curve": curve(runs[0], frames)},
        device=device,
    )


if __name__ == "__main__":
    main()
