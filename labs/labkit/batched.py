"""Many tabular agents at once, in torch: one tensor holds every table, one step moves them all.

Tensors have shape ``(num_agents,)`` unless it is stated: observations and actions int64, rewards
float32, ends bool. All of them live on one device.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from tqdm import tqdm

Target = Callable[..., torch.Tensor]


class BatchedTabular:
    """A copy of a deterministic Gymnasium table (``env.unwrapped.P``) that many agents walk in.

    Attributes:
        obs: where every agent stands.
        start: the observation that every episode starts from.
        num_obs, num_actions: sizes of the table.
    """

    def __init__(
        self,
        num_agents: int,
        *,
        env_id: str = "CliffWalking-v1",
        device: torch.device | str = "cpu",
        **kwargs: Any,
    ) -> None:
        """Copy the table of ``gymnasium.make(env_id, **kwargs)`` and put every agent at the start.

        Raises:
            ValueError: if a step of that environment can lead to more than one observation.
        """
        env = gym.make(env_id, disable_env_checker=True, **kwargs)
        self.start = int(env.reset()[0])
        table = env.unwrapped.P  # type: ignore[attr-defined]
        if any(len(outcomes) != 1 for row in table.values() for outcomes in row.values()):
            raise ValueError(f"{env_id} is random; only deterministic tables can be copied")
        self.num_obs, self.num_actions = len(table), len(table[0])
        steps = np.array([[row[a][0][1:] for a in sorted(row)] for row in table.values()], float)
        flat = steps.reshape(-1, 3).T
        self._next = torch.tensor(flat[0], dtype=torch.int64, device=device)
        self._reward = torch.tensor(flat[1], dtype=torch.float32, device=device)
        self._terminated = torch.tensor(flat[2] > 0, device=device)
        self.obs = torch.full((num_agents,), self.start, device=device)

    def step(self, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take one step each and return the next observations, the rewards and who terminated.

        Nobody is reset: send who terminated back with `reset`.
        """
        at = self.obs * self.num_actions + action
        self.obs = self._next[at]
        return self.obs, self._reward[at], self._terminated[at]

    def reset(self, where: torch.Tensor) -> torch.Tensor:
        """Send the agents in the mask ``where`` to the start and return all observations."""
        self.obs = self.obs.masked_fill(where, self.start)
        return self.obs


@dataclasses.dataclass(frozen=True)
class Trained:
    """What `train_tables` made.

    Attributes:
        Q: action values, shape ``(num_agents, num_obs, num_actions)``.
        late_return: mean return of each agent's last ``late`` episodes.
        curve: return of each episode, averaged over the agents, shape ``(num_episodes,)``.
        steps: steps that the slowest agent took.
    """

    Q: torch.Tensor
    late_return: torch.Tensor
    curve: torch.Tensor
    steps: int


def epsilon_greedy(q: torch.Tensor, epsilon: float, generator: torch.Generator) -> torch.Tensor:
    """Return one action per row of ``q``, shape ``(num_agents, num_actions)``; ties are shared."""
    num_agents, num_actions = q.shape
    chance = torch.rand(num_agents, num_actions + 1, generator=generator, device=q.device)
    order = chance[:, :num_actions] + 1.0  # a random order of the actions, all above 0
    candidates = q == q.amax(dim=1, keepdim=True)
    candidates |= chance[:, num_actions:] < epsilon  # who explores may take any
    return (candidates * order).argmax(dim=1)


@torch.inference_mode()
def train_tables(
    target: Target,
    *,
    num_agents: int,
    num_episodes: int,
    alpha: float,
    epsilon: float,
    gamma: float = 1.0,
    plays_next_action: bool = False,
    late: int = 100,
    max_steps: int = 10_000,
    seed: int = 0,
    device: torch.device | str = "cpu",
    desc: str | None = None,
    **env: Any,
) -> Trained:
    """Train one table per agent, all in lockstep; who has played its episodes waits for the rest.

    Args:
        target: what the next observation is worth, shape ``(num_agents,)``. This is where methods
            differ. ``target(q)`` gets its row of action values, shape
            ``(num_agents, num_actions)``; with ``plays_next_action`` it is
            ``target(q, next_action)``.
        num_agents: number of agents, each with its own table of zeros.
        num_episodes: episodes that each agent plays.
        alpha: step size.
        epsilon: probability of exploring.
        gamma: discount per step.
        plays_next_action: draw the next action before learning, show it to ``target`` and then take
            it (SARSA); otherwise actions are chosen after learning.
        late: number of last episodes that ``late_return`` averages.
        max_steps: most steps in an episode.
        seed: seed of all randomness; the numbers differ between devices, their statistics do not.
        device: where to compute.
        desc: what the progress bar says; None hides it.
        env: ``env_id`` and keyword arguments of the environment.
    """
    generator = torch.Generator(device).manual_seed(seed)
    world = BatchedTabular(num_agents, device=device, **env)
    rows = torch.arange(num_agents, device=device) * world.num_obs
    q_rows = torch.zeros(num_agents * world.num_obs, world.num_actions, device=device)
    q_flat = q_rows.view(-1)
    total, late_sum = torch.zeros(2, num_agents, device=device)
    episode, in_episode = torch.zeros(2, num_agents, dtype=torch.int64, device=device)
    curve = torch.zeros(num_episodes + 1, device=device)  # the last entry is for who waits
    learning = torch.ones(num_agents, dtype=torch.bool, device=device)
    at, steps = rows + world.obs, 0
    action = epsilon_greedy(q_rows[at], epsilon, generator)
    with tqdm(total=num_agents * num_episodes, desc=desc, disable=desc is None) as bar:
        while steps % 256 or learning.any():  # asking the device costs more than a few idle steps
            next_obs, reward, terminated = world.step(action)
            q = q_rows[rows + next_obs]
            if plays_next_action:
                next_action = epsilon_greedy(q, epsilon, generator)
                future = target(q, next_action)
            else:
                future = target(q)
            learned = at * world.num_actions + action
            error = reward + gamma * future * ~terminated - q_flat[learned]
            q_flat.index_add_(0, learned, alpha * error * learning)
            total += reward
            in_episode += 1
            ended = terminated | (in_episode >= max_steps)
            counted = total * (ended & learning)
            curve.index_add_(0, episode, counted)
            late_sum += counted * (episode >= num_episodes - late)
            episode += ended & learning
            learning = episode < num_episodes
            total.masked_fill_(ended, 0)
            in_episode.masked_fill_(ended, 0)
            at = rows + world.reset(ended)
            fresh = epsilon_greedy(q_rows[at], epsilon, generator)
            action = torch.where(ended, fresh, next_action) if plays_next_action else fresh
            steps += 1
            if steps % 256 == 0:
                bar.update(int(episode.sum()) - bar.n)
    Q = q_rows.view(num_agents, world.num_obs, world.num_actions)
    return Trained(Q, late_sum / min(late, num_episodes), curve[:-1] / num_agents, steps)
