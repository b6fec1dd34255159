"""PPO whose environments, networks and rollouts live on one device: the loop of the GPU's sizes.

An environment here is what `labkit.torch_envs` makes, or what steps like it: ``reset() -> obs`` and
``step(action) -> obs, reward, terminated, truncated, final_obs``, tensors with ``num_envs`` rows.
Losses and advantages are those of labs 5 and 6.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from solutions.lab05_policy_gradients import reference as lab05
from solutions.lab06_trpo_ppo import reference as lab06

CHUNK = 8_192  # observations in one pass of the critic


class Env(Protocol):
    """What `train` steps."""

    num_envs: int

    def reset(self) -> Tensor: ...
    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]: ...


class Policy(nn.Module):
    """A body, and on it heads for the policy and the value; or two networks that share nothing.

    Args:
        actor: maps observations to logits.
        critic: maps observations to values, shape ``(batch, 1)``.
        body: what both see in place of the observations; None shows them the observations.
    """

    def __init__(self, actor: nn.Module, critic: nn.Module, body: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.actor, self.critic = body or nn.Identity(), actor, critic

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and values, shapes ``(batch, num_actions)`` and ``(batch,)``."""
        seen = self.body(obs)
        return self.actor(seen), self.critic(seen).squeeze(-1)


def convolutional(planes: int, num_actions: int) -> Policy:
    """Return the network that Mnih et al. (2015) gave DQN, with two heads, for 84 by 84 bytes."""

    def layer(made: nn.Conv2d | nn.Linear, gain: float) -> nn.Module:
        nn.init.orthogonal_(made.weight, gain)
        nn.init.zeros_(made.bias)  # type: ignore[arg-type]
        return made

    loud = 2.0**0.5
    body = nn.Sequential(
        Scaled(),
        layer(nn.Conv2d(planes, 32, 8, stride=4), loud),
        nn.ReLU(),
        layer(nn.Conv2d(32, 64, 4, stride=2), loud),
        nn.ReLU(),
        layer(nn.Conv2d(64, 64, 3), loud),
        nn.ReLU(),
        nn.Flatten(),
        layer(nn.Linear(64 * 7 * 7, 512), loud),
        nn.ReLU(),
    )
    return Policy(layer(nn.Linear(512, num_actions), 0.01), layer(nn.Linear(512, 1), 1.0), body)


class Scaled(nn.Module):
    """Bytes to numbers from 0 to 1."""

    def forward(self, obs: Tensor) -> Tensor:
        return obs.float() / 255.0


class AtariGames:
    """ale-py's vector environment with the interface of `Env`, and the scores of finished games.

    Frames are skipped, stacked and shrunk as in Mnih et al. (2015); rewards are what the game says.
    Who ends starts anew in the same step. A game is cut off after 27,000 steps, half an hour.

    Attributes:
        scores: of each game in the order in which they ended.
        num_actions: how many buttons there are.
    """

    def __init__(self, game: str, num_envs: int, *, seed: int, device: str) -> None:
        from ale_py.vector_env import AtariVectorEnv

        mode = gym.vector.AutoresetMode.SAME_STEP
        self.games = AtariVectorEnv(game, num_envs, autoreset_mode=mode, reward_clipping=False)
        self.num_envs, self.seed, self.device = num_envs, seed, device
        self.num_actions = int(self.games.single_action_space.n)
        self.scores: list[float] = []
        self._running = np.zeros(num_envs)

    def reset(self) -> Tensor:
        """Start all games anew, from this environment's seed."""
        self._running[:] = 0.0
        return self._sent(self.games.reset(seed=self.seed)[0])

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Press a button in each game."""
        obs, reward, terminated, truncated, infos = self.games.step(action.cpu().numpy())
        ended = terminated | truncated
        final_obs = obs
        if ended.any():
            final_obs = np.where(ended[:, None, None, None], infos["final_obs"], obs)
        self._running += reward
        self.scores += self._running[ended].tolist()
        self._running[ended] = 0.0
        obs, terminated, truncated, final_obs = (
            self._sent(each) for each in (obs, terminated, truncated, final_obs)
        )
        return obs, self._sent(reward).float(), terminated, truncated, final_obs

    def _sent(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Of PPO; the names are those of lab 6's `train_ppo`."""

    num_updates: int
    num_steps: int
    num_epochs: int = 4
    num_minibatches: int = 4
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_coef: float = 0.2
    learning_rate: float = 2.5e-4
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5


@torch.no_grad()
def collect(
    env: Env, policy: Policy, obs: Tensor, num_steps: int, generator: torch.Generator
) -> tuple[dict[str, Tensor], Tensor]:
    """Return a rollout, shape ``(num_steps, num_envs, ...)``, and the observation after it."""
    rows: list[tuple[Tensor, ...]] = []
    for _ in range(num_steps):
        logp = torch.log_softmax(policy(obs)[0], dim=-1)
        action = torch.multinomial(logp.exp(), 1, generator=generator)
        taken = logp.gather(-1, action).squeeze(-1)
        next_obs, reward, terminated, truncated, final_obs = env.step(action.squeeze(-1))
        step = (obs, action.squeeze(-1), taken, reward, terminated, truncated, final_obs)
        rows.append(step)
        obs = next_obs
    names = ("obs", "action", "logp", "reward", "terminated", "truncated", "final_obs")
    stacked = [torch.stack(each) for each in zip(*rows, strict=True)]
    return dict(zip(names, stacked, strict=True)), obs


@torch.no_grad()
def values(policy: Policy, obs: Tensor) -> Tensor:
    """Return the critic's values of a rollout's observations, in chunks that fit the memory."""
    shape, flat = obs.shape[:2], obs.flatten(0, 1)
    return torch.cat([policy(chunk)[1] for chunk in flat.split(CHUNK)]).view(shape)


def train(
    env: Env,
    policy: Policy,
    settings: Settings,
    *,
    seed: int,
    each: Callable[[int], bool] | None = None,
) -> None:
    """Train a policy by PPO-clip, in place.

    Args:
        env: what to act in.
        policy: on the device of the environment.
        settings: sizes and rates.
        seed: of the actions and the minibatches.
        each: called with the number of updates so far; true ends the training.
    """
    obs = env.reset()
    generator = torch.Generator(obs.device).manual_seed(seed)
    optimizer = torch.optim.Adam(
        policy.parameters(), lr=settings.learning_rate, eps=1e-5, fused=True
    )
    for update in range(settings.num_updates):
        left = 1.0 - update / settings.num_updates
        optimizer.param_groups[0]["lr"] = settings.learning_rate * left
        rollout, obs = collect(env, policy, obs, settings.num_steps, generator)
        learn(policy, optimizer, rollout, settings, generator)
        if each is not None and each(update + 1):
            break


def learn(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    rollout: dict[str, Tensor],
    settings: Settings,
    generator: torch.Generator,
) -> None:
    """Take the gradient steps that a rollout is good for."""
    value = values(policy, rollout["obs"])
    advantage, returns = lab05.gae(
        rollout["reward"], value, values(policy, rollout["final_obs"]),
        rollout["terminated"], rollout["truncated"],
        gamma=settings.gamma, gae_lambda=settings.gae_lambda,
    )  # fmt: skip
    data = {name: rollout[name].flatten(0, 1) for name in ("obs", "action", "logp")}
    data |= {
        "advantage": advantage.flatten(),
        "returns": returns.flatten(),
        "value": value.view(-1),
    }
    size = len(data["action"])
    for _ in range(settings.num_epochs):
        order = torch.randperm(size, generator=generator, device=generator.device)
        for rows in order.chunk(settings.num_minibatches):
            batch = {name: column[rows] for name, column in data.items()}
            logits, value = policy(batch["obs"])
            logp = torch.log_softmax(logits, dim=-1)
            taken = logp.gather(-1, batch["action"].unsqueeze(-1)).squeeze(-1)
            actor, _ = lab06.ppo_clip_loss(
                taken, batch["logp"], lab05.normalise(batch["advantage"]),
                clip_coef=settings.clip_coef,
            )  # fmt: skip
            critic = lab06.ppo_value_loss(value, batch["value"], batch["returns"], clip_coef=None)
            entropy = -(logp.exp() * logp).sum(dim=-1).mean()
            optimizer.zero_grad()
            (actor + settings.vf_coef * critic - settings.ent_coef * entropy).backward()
            nn.utils.clip_grad_norm_(policy.parameters(), settings.max_grad_norm)
            optimizer.step()


def finished(device: Any) -> float:
    """Return the time once the device has done all that it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
