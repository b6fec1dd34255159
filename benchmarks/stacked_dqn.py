"""Many independent DQN runs on CartPole at once: a stack of networks, one environment for each.

Run ``i`` has its own network, episodes, transitions and samples; nothing passes between runs. What
they share is the clock, so that forty runs take hardly longer than one. Shapes: ``(runs, ...)``,
after sampling ``(runs, batch, ...)``.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from labkit.torch_envs import CartPole
from solutions.lab04_dqn import reference


@dataclass(frozen=True)
class Setting:
    """What a stack of runs has in common."""

    replay: int = 10_000  # transitions that are kept; batch_size keeps the latest batch alone
    sync_every: int = 50  # gradient steps between copies; 1 is no target network
    double: bool = False
    n_step: int = 1
    dueling: bool = False
    batch_size: int = 32
    hidden: int = 64
    total_steps: int = 20_000  # of each run; one gradient step after each
    learning_starts: int = 1_000
    learning_rate: float = 1e-3
    gamma: float = 0.99
    delta: float = 10.0
    end_epsilon: float = 0.05
    exploration_fraction: float = 0.25
    reward_noise: float = 0.0  # standard deviation of what is added to each reward


class StackedLinear(nn.Module):
    """A linear map for each run, begun as ``nn.Linear`` begins."""

    def __init__(self, runs: int, size_in: int, size_out: int) -> None:
        super().__init__()
        layers = [nn.Linear(size_in, size_out) for _ in range(runs)]
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().T for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach()[None] for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class StackedQNetwork(nn.Module):
    """The lab's `QNetwork`, once for each run; with ``dueling``, a value and centred advantages."""

    def __init__(self, runs: int, hidden: int, *, dueling: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            StackedLinear(runs, CartPole.obs_size, hidden),
            nn.ReLU(),
            StackedLinear(runs, hidden, hidden),
            nn.ReLU(),
        )
        self.dueling = dueling
        self.head = StackedLinear(runs, hidden, CartPole.num_actions + dueling)

    def forward(self, obs: Tensor) -> Tensor:
        out = self.head(self.body(obs))
        if not self.dueling:
            return out
        value, advantage = out[..., :1], out[..., 1:]
        return value + advantage - advantage.mean(dim=-1, keepdim=True)


class Memory:
    """The last ``capacity`` transitions of every run."""

    def __init__(self, capacity: int, runs: int) -> None:
        self.capacity, self.num_added = capacity, 0
        self.rows = {
            "obs": torch.zeros(capacity, runs, CartPole.obs_size),
            "action": torch.zeros(capacity, runs, dtype=torch.int64),
            "reward": torch.zeros(capacity, runs),
            "next_obs": torch.zeros(capacity, runs, CartPole.obs_size),
            "discount": torch.zeros(capacity, runs),  # of what follows next_obs
            "terminated": torch.zeros(capacity, runs, dtype=torch.bool),
        }

    def add(self, **transition: Tensor) -> None:
        for name, value in transition.items():
            self.rows[name][self.num_added % self.capacity] = value
        self.num_added += 1

    def sample(self, batch_size: int, generator: torch.Generator) -> dict[str, Tensor]:
        held = min(self.num_added, self.capacity)
        runs = torch.arange(self.rows["action"].shape[1])[:, None]
        row = torch.randint(held, (len(runs), batch_size), generator=generator)
        if self.capacity == batch_size == held:  # no replay: the latest transitions, each once
            row = torch.arange(held).expand(len(runs), -1)
        return {name: value[row, runs] for name, value in self.rows.items()}


def loss(
    q_network: nn.Module, target_network: nn.Module, batch: dict[str, Tensor], setting: Setting
) -> Tensor:
    """Return the sum over runs of each one's loss, from the lab's functions."""
    runs = len(batch["action"])
    with torch.no_grad():
        following = target_network(batch["next_obs"]).flatten(0, 1)
        ends = batch["terminated"].flatten(), torch.zeros(batch["terminated"].numel()).bool()
        reward = batch["reward"].flatten()
        if setting.n_step > 1:  # the discount differs from row to row: scale what follows by it
            following = following * batch["discount"].flatten()[:, None]
        gamma = setting.gamma if setting.n_step == 1 else 1.0
        if setting.double:
            online = q_network(batch["next_obs"]).flatten(0, 1)
            target = reference.double_dqn_target(online, following, reward, *ends, gamma=gamma)
        else:
            target = reference.dqn_target(following, reward, *ends, gamma=gamma)
    q = q_network(batch["obs"]).flatten(0, 1)
    pred = reference.gather_q(q, batch["action"].flatten())
    return runs * reference.huber(pred, target, delta=setting.delta)


class NStep:
    """Turns steps into n-step transitions; an episode's end closes all that are open."""

    def __init__(self, n: int, gamma: float) -> None:
        self.n, self.gamma = n, gamma
        self.open: list[dict[str, Tensor]] = []

    def push(
        self, obs: Tensor, action: Tensor, reward: Tensor, next_obs: Tensor,
        terminated: Tensor, ended: Tensor,
    ) -> dict[str, Tensor] | None:  # fmt: skip
        """Return the transition that began ``n`` steps ago, where it led and what it paid."""
        begun = {
            "obs": obs, "action": action, "reward": torch.zeros_like(reward),
            "discount": torch.ones_like(reward), "next_obs": next_obs,
            "terminated": torch.zeros_like(terminated), "closed": torch.zeros_like(ended),
        }  # fmt: skip
        self.open.append(begun)
        for row in self.open:
            runs = ~row["closed"]
            row["reward"] = row["reward"] + row["discount"] * reward * runs
            row["discount"] = torch.where(runs, row["discount"] * self.gamma, row["discount"])
            row["next_obs"] = torch.where(runs[:, None], next_obs, row["next_obs"])
            row["terminated"] = torch.where(runs, terminated, row["terminated"])
            row["closed"] = row["closed"] | ended
        if len(self.open) < self.n:
            return None
        done = self.open.pop(0)
        del done["closed"]
        return done


@torch.no_grad()
def greedy(network: StackedQNetwork, runs: int, episodes: int, seed: int) -> np.ndarray:
    """Return the mean return of ``episodes`` greedy episodes of every run, shape ``(runs,)``."""
    env = CartPole(runs * episodes, seed=seed)
    obs = env.reset()
    total, playing = torch.zeros(len(obs)), torch.ones(len(obs), dtype=torch.bool)
    while playing.any():
        action = network(obs.view(runs, episodes, -1)).argmax(dim=-1).flatten()
        obs, reward, terminated, truncated, _ = env.step(action)
        total += reward * playing
        playing &= ~(terminated | truncated)
    return total.view(runs, episodes).mean(dim=1).numpy()


@torch.no_grad()
def overestimation(
    network: StackedQNetwork, runs: int, gamma: float, *, seed: int, starts: int = 20,
    horizon: int = 1_000,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return what a greedy episode's start is said to be worth and what is then collected.

    Both as means over ``starts`` episodes, shape ``(runs,)``. No time limit cuts the episodes:
    after ``horizon`` steps what is left counts less than 0.01 in all.
    """
    env = CartPole(runs * starts, seed=seed, max_episode_steps=2 * horizon)
    obs = env.reset()
    believed = network(obs.view(runs, starts, -1)).amax(dim=-1).mean(dim=1)
    total, weight = torch.zeros(len(obs)), torch.ones(len(obs))
    for _ in range(horizon):
        action = network(obs.view(runs, starts, -1)).argmax(dim=-1).flatten()
        obs, reward, terminated, _, _ = env.step(action)
        total += weight * reward
        weight = weight * gamma * ~terminated
        if not weight.any():
            break
    return believed.numpy(), total.view(runs, starts).mean(dim=1).numpy()


def train(
    setting: Setting,
    *,
    runs: int,
    seed: int,
    evaluate_every: int = 1_000,
    compare_every: int = 4_000,
    episodes: int = 10,
) -> dict[str, np.ndarray]:
    """Train ``runs`` agents.

    Returns:
        For each run, shape ``(evaluations, runs)``: ``score``, the mean return of greedy episodes,
        every ``evaluate_every`` steps; ``believed`` and ``collected``, see `overestimation`, every
        ``compare_every``.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    env = CartPole(runs, seed=seed)
    q_network = StackedQNetwork(runs, setting.hidden, dueling=setting.dueling)
    target_network = copy.deepcopy(q_network)
    optimizer = torch.optim.Adam(q_network.parameters(), lr=setting.learning_rate, fused=True)
    memory, steps = Memory(setting.replay, runs), NStep(setting.n_step, setting.gamma)
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("score", "believed", "collected")}
    obs = env.reset()
    for step in range(1, setting.total_steps + 1):
        epsilon = reference.linear_schedule(
            step, start=1.0, end=setting.end_epsilon, fraction=setting.exploration_fraction,
            total=setting.total_steps,
        )  # fmt: skip
        with torch.no_grad():
            best = q_network(obs[:, None]).argmax(dim=-1).squeeze(1)
        explores = torch.rand(runs, generator=generator) < epsilon
        action = torch.where(explores, torch.randint(2, (runs,), generator=generator), best)
        next_obs, reward, terminated, truncated, final_obs = env.step(action)
        if setting.reward_noise:
            reward = reward + setting.reward_noise * torch.randn(runs, generator=generator)
        row = steps.push(obs, action, reward, final_obs, terminated, terminated | truncated)
        if row is not None:
            memory.add(**row)
        obs = next_obs
        if step >= setting.learning_starts:
            batch = memory.sample(setting.batch_size, generator)
            optimizer.zero_grad()
            loss(q_network, target_network, batch, setting).backward()
            optimizer.step()
            if step % setting.sync_every == 0:
                reference.sync(q_network, target_network)
        if step % evaluate_every == 0:
            found["score"].append(greedy(q_network, runs, episodes, seed + 20_000 + step))
        if step % compare_every == 0:
            pair = overestimation(q_network, runs, setting.gamma, seed=seed + 10_000 + step)
            for name, value in zip(("believed", "collected"), pair, strict=True):
                found[name].append(value)
    return {name: np.array(values) for name, values in found.items()}
