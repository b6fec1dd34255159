"""MinAtar Breakout by Double DQN on a GPU, two million frames: the return while it learns.

``python -m benchmarks.lab04_minatar`` writes ``results/lab04_minatar_cuda.json``. Without a GPU it
says so and measures nothing, unless ``--frames`` says how long to train; then it writes
``results/lab04_minatar_cpu.json``. Losses, targets and what may be stored are lab 4's; the network
is that of Young & Tian (2019), the replay buffer lies on the device. Keys of the results, for each
seed a row: ``return``, the mean of the last hundred episodes, exploration included; ``believed``
and ``collected``, at the end, see `overestimation`; ``episodes``, ``gradient steps`` and
``seconds``, comparisons included. ``curve`` has the mean return of all episodes that ended in each
hundredth of the training, for the first seed. `benchmarks.lab04_breakout` trains by `trained` too.

Source: Young & Tian (2019), MinAtar.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
NUM_SEEDS, POINTS, COMPARISONS = 3, 100, 10


@dataclass(frozen=True)
class Settings:
    """Of DQN; a frame is one step of one environment."""

    frames: int = 2_000_000
    num_envs: int = 64
    replay: int = 100_000  # transitions that are kept; batch_size keeps the latest batch alone
    batch_size: int = 128
    learning_starts: int = 5_000
    frames_per_update: int = 8
    sync_every: int = 1_000  # gradient steps between copies; 1 is no target network
    double: bool = True
    gamma: float = 0.99
    learning_rate: float = 2.5e-4
    end_epsilon: float = 0.05
    exploration_fraction: float = 0.1


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
        """Return rows drawn uniformly with replacement; each once if it keeps no more than that."""
        device = generator.device
        at = torch.randint(self.filled, (count,), generator=generator, device=device)
        if count == self.filled == self.capacity:
            at = torch.arange(count, device=device)
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
    online: nn.Module,
    target: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: dict[str, Tensor],
    settings: Settings,
) -> None:
    """Take one gradient step towards the targets of DQN or of Double DQN."""
    rest = batch["reward"], batch["terminated"], torch.zeros_like(batch["terminated"])
    with torch.no_grad():
        following = target(batch["next_obs"])
        if settings.double:
            chosen = online(batch["next_obs"])
            wanted = reference.double_dqn_target(chosen, following, *rest, gamma=settings.gamma)
        else:
            wanted = reference.dqn_target(following, *rest, gamma=settings.gamma)
    q = reference.gather_q(online(batch["obs"]), batch["action"])
    optimizer.zero_grad()
    reference.huber(q, wanted).backward()
    optimizer.step()


def breakout(num_envs: int) -> gym.vector.VectorEnv:
    """Return games in which who ends starts anew in the same step."""
    import minatar.gym

    if "MinAtar/Breakout-v1" not in gym.registry:
        minatar.gym.register_envs()
    return gym.make_vec(
        "MinAtar/Breakout-v1", num_envs, vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP},
    )  # fmt: skip


@torch.no_grad()
def overestimation(
    network: nn.Module, gamma: float, *, seed: int, num_envs: int = 32, steps: int = 200
) -> tuple[float, float]:
    """Return what a greedy player's states are said to be worth, and what it collects from there.

    Both are means over the first ``steps`` steps of ``num_envs`` players. They play on until what
    is left counts less than a hundredth.
    """
    horizon = steps + math.ceil(math.log(0.01) / math.log(gamma))
    device = next(network.parameters()).device
    env = breakout(num_envs)
    obs, _ = env.reset(seed=seed)
    believed, rewards, ended = (np.zeros((horizon, num_envs)) for _ in range(3))
    for step in range(horizon):
        best = network(torch.from_numpy(obs).to(device)).max(dim=1)
        believed[step] = best.values.cpu().numpy()
        obs, rewards[step], terminated, truncated, _ = env.step(best.indices.cpu().numpy())
        ended[step] = terminated | truncated
    collected = np.zeros((horizon + 1, num_envs))
    for step in reversed(range(horizon)):
        collected[step] = rewards[step] + gamma * (1.0 - ended[step]) * collected[step + 1]
    return float(believed[:steps].mean()), float(collected[:steps].mean())


def trained(
    settings: Settings, seed: int, device: str, *, progress: bool = True
) -> dict[str, np.ndarray]:
    """Train once, with a progress bar unless that is not wanted.

    Returns:
        Of each episode ``returns``, what it paid, and ``ends``, the frame in which it ended; after
        each tenth of the training ``believed`` and ``collected``, see `overestimation`; ``updates``
        and ``seconds``.
    """
    env = breakout(settings.num_envs)
    shape, num_actions = env.single_observation_space.shape, int(env.single_action_space.n)
    rng, generator = np.random.default_rng(seed), torch.Generator(device).manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        online = network(shape[-1], num_actions).to(device)
    target = copy.deepcopy(online)
    optimizer = torch.optim.Adam(online.parameters(), lr=settings.learning_rate, fused=True)
    replay = Replay(settings.replay, shape, device)
    running, ended_before = np.zeros(settings.num_envs), np.zeros(settings.num_envs, dtype=bool)
    returns: list[float] = []
    ends: list[int] = []
    compared: list[tuple[float, float]] = []
    num_updates, begin = 0, on_device.finished(device)
    obs, _ = env.reset(seed=seed)
    frames = range(0, settings.frames, settings.num_envs)
    for frame in tqdm(frames, desc=f"Breakout, seed {seed}", disable=not progress):
        epsilon = reference.linear_schedule(
            frame, start=1.0, end=settings.end_epsilon, fraction=settings.exploration_fraction,
            total=settings.frames,
        )  # fmt: skip
        with torch.no_grad():
            best = online(torch.from_numpy(obs).to(device)).argmax(dim=1).cpu().numpy()
        explores = rng.random(settings.num_envs) < epsilon
        action = np.where(explores, rng.integers(num_actions, size=settings.num_envs), best)
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
        following = frame + settings.num_envs
        due = following // settings.frames_per_update - frame // settings.frames_per_update
        for _ in range(due if following >= settings.learning_starts else 0):
            batch = replay.sample(settings.batch_size, generator)
            update(online, target, optimizer, batch, settings)
            num_updates += 1
            if num_updates % settings.sync_every == 0:
                reference.sync(online, target)
        tenth = following * COMPARISONS // settings.frames
        if tenth > frame * COMPARISONS // settings.frames:
            compared.append(overestimation(online, settings.gamma, seed=10_000 + tenth))
    believed, collected = np.array(compared).T
    return {
        "returns": np.array(returns),
        "ends": np.array(ends),
        "believed": believed,
        "collected": collected,
        "updates": np.array(num_updates),
        "seconds": np.array(on_device.finished(device) - begin),
    }


def part(settings: Settings, seed: int, device: str) -> dict[str, np.ndarray]:
    """Return what `trained` does, from disk if an earlier call made it."""
    name = f"lab04_minatar/{device}_{settings.frames}_{seed}"
    return recording.part(name, lambda: trained(settings, seed, device))


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
    settings = Settings() if options.frames is None else Settings(frames=options.frames)
    runs = [part(settings, seed, device) for seed in range(options.seeds)]
    rows: list[dict[str, Any]] = [
        {
            "seed": seed,
            "return": round(float(run["returns"][-100:].mean()), 2),
            "believed": round(float(run["believed"][-1]), 2),
            "collected": round(float(run["collected"][-1]), 2),
            "episodes": len(run["returns"]),
            "gradient steps": int(run["updates"]),
            "seconds": round(float(run["seconds"]), 1),
        }
        for seed, run in enumerate(runs)
    ]
    recording.write(
        f"lab04_minatar_{device}",
        {"settings": asdict(settings), "seeds": rows, "curve": curve(runs[0], settings.frames)},
        device=device,
    )


if __name__ == "__main__":
    main()
