"""PPO for many agents at once: each tensor has a first axis with one agent per row.

Small networks keep a processor waiting, so twenty agents cost little more than one. They share
nothing: every agent has its own environments, weights, minibatches, gradient norm and penalty.
The losses are lab 6's, mapped over the agents.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from labkit.torch_envs import BatchedEnv
from solutions.lab06_trpo_ppo import reference

Weights = list[tuple[Tensor, Tensor]]
NO_CLIP = 1e9  # a range that no ratio leaves


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that a run of PPO can be told."""

    num_envs: int = 8
    num_steps: int = 128
    num_updates: int = 25
    num_epochs: int = 10
    batch_size: int = 256
    hidden: int = 32
    gamma: float = 0.98
    gae_lambda: float = 0.8
    learning_rate: float = 2e-3
    anneal: bool = True  # learning rate and clipping range fall to 0 in a straight line
    adam_eps: float = 1e-5
    orthogonal: bool = True  # with gains sqrt(2), 0.01, 1; else torch's own initialisation
    last_gain: float = 0.01  # of the policy's last layer
    normalise: str = "minibatch"  # or "rollout", or "never"
    max_grad_norm: float = 0.5
    clip_value: bool = False
    bootstrap: bool = True  # at time limits; else they count as terminal
    vf_coef: float = 0.5
    reward_scale: float = 1.0  # rewards are multiplied by it before anything learns from them


class Population:
    """Agents that learn one task.

    Actions of tasks without ``num_actions`` are single numbers, and -1 to 1 is their full range.

    Args:
        task: what they learn.
        num_agents: how many.
        settings: of all of them.
        seed: of everything.
        clip_coef: of each agent; `NO_CLIP` doesn't clip.
        beta: weight of each agent's KL penalty.
        target: the KL that each agent's penalty aims at; NaN leaves its weight as it is.
    """

    def __init__(
        self,
        task: type[BatchedEnv],
        num_agents: int,
        settings: Settings,
        *,
        seed: int = 0,
        clip_coef: Tensor | None = None,
        beta: Tensor | None = None,
        target: Tensor | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.task, self.settings, self.num_agents = task, settings, num_agents
        self.clip_coef = torch.full((num_agents,), 0.2) if clip_coef is None else clip_coef
        self.beta = torch.zeros(num_agents) if beta is None else beta.clone()
        self.target = torch.full((num_agents,), torch.nan) if target is None else target
        self.num_actions = getattr(task, "num_actions", 0)
        outputs = self.num_actions or 1
        self.actor = self.network(outputs, settings.last_gain)
        self.critic = self.network(1, 1.0)
        self.log_std = torch.zeros(num_agents, 1, requires_grad=not self.num_actions)
        self.optimizer = torch.optim.Adam(
            self.parameters(), lr=settings.learning_rate, eps=settings.adam_eps
        )
        self.envs = Played(task, num_agents, settings.num_envs, seed + 1)
        self.done_updates = 0

    def network(self, outputs: int, last: float) -> Weights:
        """Return the weights of one network per agent."""
        hidden = self.settings.hidden
        sizes = [(self.task.obs_size, hidden), (hidden, hidden), (hidden, outputs)]
        layers = []
        for (size_in, size_out), gain in zip(sizes, (2**0.5, 2**0.5, last), strict=True):
            made = [nn.Linear(size_in, size_out) for _ in range(self.num_agents)]
            if self.settings.orthogonal:
                for layer in made:
                    nn.init.orthogonal_(layer.weight, gain)
                    nn.init.zeros_(layer.bias)
            weight = torch.stack([layer.weight.detach().T for layer in made])
            bias = torch.stack([layer.bias.detach()[None] for layer in made])
            layers.append((weight.requires_grad_(), bias.requires_grad_()))
        return layers

    def parameters(self) -> list[Tensor]:
        """Return every tensor that learns."""
        tensors = [tensor for layer in (*self.actor, *self.critic) for tensor in layer]
        return tensors if self.num_actions else [*tensors, self.log_std]

    def policy(self, obs: Tensor) -> Tensor:
        """Return log-probabilities of all actions, or the mean of a normal distribution."""
        out = forward(self.actor, obs)
        return torch.log_softmax(out, -1) if self.num_actions else out.squeeze(-1)

    def logp(self, policy: Tensor, action: Tensor) -> Tensor:
        """Return the log-probability of actions, shape ``(agents, batch)``."""
        if self.num_actions:
            return policy.gather(-1, action.unsqueeze(-1)).squeeze(-1)
        return -0.5 * ((action - policy) / self.log_std.exp()) ** 2 - self.log_std - LOG_ROOT

    def kl(self, old: Tensor, old_log_std: Tensor, new: Tensor) -> Tensor:
        """Return each agent's mean KL(old || new), exactly."""
        if self.num_actions:
            return reference.categorical_kl(old, new).mean(-1)
        ratio = (2.0 * (old_log_std - self.log_std)).exp()
        shift = ((old - new) / self.log_std.exp()) ** 2
        return (0.5 * (ratio + shift - 1.0) + self.log_std - old_log_std).mean(-1)

    @torch.no_grad()
    def act(self, obs: Tensor) -> Tensor:
        """Return an action for each observation, drawn from the policy."""
        policy = self.policy(obs)
        if self.num_actions:
            noise = -torch.empty_like(policy).exponential_().log()
            return (policy + noise).argmax(-1)
        return policy + self.log_std.exp() * torch.randn_like(policy)

    @torch.no_grad()
    def collect(self) -> tuple[dict[str, Tensor], Tensor]:
        """Step all environments; return flat data, shape ``(agents, batch, ...)``, and returns.

        The returns are those of the episodes that ended, one row per step, NaN elsewhere.
        """
        settings = self.settings
        names = ("obs", "action", "reward", "terminated", "truncated", "final_obs")
        rows: dict[str, list[Tensor]] = {name: [] for name in names}
        finished = []
        for _ in range(settings.num_steps):
            obs = self.envs.obs
            action = self.act(obs)
            reward, terminated, truncated, final_obs, sums = self.envs.step(action)
            step = (obs, action, settings.reward_scale * reward, terminated, truncated, final_obs)
            for name, value in zip(names, step, strict=True):
                rows[name].append(value)
            finished.append(sums)
        table = {name: torch.stack(values) for name, values in rows.items()}  # (steps, agents, ...)
        obs, final_obs = (self.flat(table[name]) for name in ("obs", "final_obs"))
        value = self.unflat(forward(self.critic, obs).squeeze(-1))
        table["value"] = value
        table["next_value"] = self.unflat(forward(self.critic, final_obs).squeeze(-1))
        if not settings.bootstrap:
            table["terminated"] = table["terminated"] | table["truncated"]
        advantage, returns = reference.gae(
            table, gamma=settings.gamma, gae_lambda=settings.gae_lambda
        )
        data = {"obs": obs, "action": self.flat(table["action"]), "value": self.flat(value)}
        data |= {"advantage": self.flat(advantage), "returns": self.flat(returns)}
        data["policy"] = self.policy(obs)
        data["logp"] = self.logp(data["policy"], data["action"])
        return data, torch.stack(finished)

    def flat(self, table: Tensor) -> Tensor:
        """Return ``(steps, agents, envs, ...)`` as ``(agents, steps * envs, ...)``."""
        return table.transpose(0, 1).flatten(1, 2)

    def unflat(self, flat: Tensor) -> Tensor:
        """Return ``(agents, steps * envs)`` as ``(steps, agents, envs)``."""
        settings = self.settings
        return flat.unflatten(1, (settings.num_steps, settings.num_envs)).transpose(0, 1)

    def improve(
        self,
        data: dict[str, Tensor],
        after_epoch: Callable[[Tensor, Tensor], None] | None = None,
    ) -> Tensor:
        """Go over the data ``num_epochs`` times; return each agent's mean KL(old || new).

        Args:
            data: what `collect` returned.
            after_epoch: called with the KL and the share of ratios that left the range.
        """
        settings = self.settings
        left = 1.0 - self.done_updates / settings.num_updates if settings.anneal else 1.0
        self.optimizer.param_groups[0]["lr"] = settings.learning_rate * left
        clip_coef = torch.where(self.clip_coef < NO_CLIP, self.clip_coef * left, self.clip_coef)
        old_log_std = self.log_std.detach().clone()
        advantage = data["advantage"]
        if settings.normalise == "rollout":
            advantage = normalised(advantage)
        agents = torch.arange(self.num_agents)[:, None]
        size = advantage.shape[1]
        for _ in range(settings.num_epochs):
            order = torch.rand(self.num_agents, size).argsort(-1)
            outside = []
            for rows in order.split(settings.batch_size, dim=-1):
                batch = {name: value[agents, rows] for name, value in data.items()}
                scaled = advantage[agents, rows]
                if settings.normalise == "minibatch":
                    scaled = normalised(scaled)
                policy = self.policy(batch["obs"])
                logp = self.logp(policy, batch["action"])
                loss, clipped = CLIP_LOSS(logp, batch["logp"], scaled, clip_coef)
                if (self.beta > 0.0).any():
                    loss = loss + self.beta * self.kl(batch["policy"], old_log_std, policy)
                value = forward(self.critic, batch["obs"]).squeeze(-1)
                if settings.clip_value:
                    critic = CLIPPED_VALUE(value, batch["value"], batch["returns"], clip_coef)
                else:
                    critic = PLAIN_VALUE(value, batch["value"], batch["returns"])
                self.optimizer.zero_grad()
                (loss + settings.vf_coef * critic).sum().backward()
                self.clip_gradients()
                self.optimizer.step()
                outside.append(clipped)
            if after_epoch is not None:
                after_epoch(self.kl_of(data, old_log_std), torch.stack(outside).mean(0))
        kl = self.kl_of(data, old_log_std)
        for agent in torch.nonzero(~self.target.isnan()).flatten().tolist():
            now = (float(x[agent]) for x in (self.beta, kl, self.target))
            self.beta[agent] = reference.adaptive_beta(*now)
        self.done_updates += 1
        return kl

    @torch.no_grad()
    def kl_of(self, data: dict[str, Tensor], old_log_std: Tensor) -> Tensor:
        """Return how far each policy is from the one that collected the data."""
        return self.kl(data["policy"], old_log_std, self.policy(data["obs"]))

    @torch.no_grad()
    def clip_gradients(self) -> None:
        """Scale each agent's gradient down to ``max_grad_norm``, as `clip_grad_norm_` does."""
        gradients = [tensor.grad for tensor in self.parameters() if tensor.grad is not None]
        norm = torch.stack([(g**2).flatten(1).sum(-1) for g in gradients]).sum(0).sqrt()
        factor = (self.settings.max_grad_norm / (norm + 1e-6)).clamp(max=1.0)
        for g in gradients:
            g *= factor.view(-1, *[1] * (g.dim() - 1))

    def train(self) -> dict[str, Tensor]:
        """Run all updates.

        Returns:
            ``returns`` (mean return of the episodes that ended in each update) and ``kl`` of each
            update, shape ``(updates, agents)``; ``last_100``, the mean return of each agent's last
            hundred episodes.
        """
        seen, kls = [], []
        for _ in range(self.settings.num_updates):
            data, finished = self.collect()
            seen.append(finished)
            kls.append(self.improve(data))
        everything = torch.cat(seen).transpose(0, 1).flatten(1)
        last = torch.stack([sums[~sums.isnan()][-100:].mean() for sums in everything])
        means = torch.stack([finished.nanmean((0, 2)) for finished in seen])
        return {"returns": means, "kl": torch.stack(kls), "last_100": last}


class Played:
    """Environments with the shape ``(agents, envs)`` that also add up rewards."""

    def __init__(self, task: type[BatchedEnv], num_agents: int, num_envs: int, seed: int) -> None:
        self.env = task(num_agents * num_envs, seed=seed)
        self.shape = (num_agents, num_envs)
        self.obs = self.env.reset().unflatten(0, self.shape)
        self.total = torch.zeros(self.shape)
        self.scale = getattr(task, "max_action", 1.0)

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Take a step.

        Returns:
            Reward, terminated, truncated, the observation that the step led to (never one of the
            next episode), and the sum of rewards of the episodes that ended, NaN for the others.
        """
        flat = action.flatten()
        if flat.is_floating_point():
            flat = self.scale * flat[:, None]
        found = [each.unflatten(0, self.shape) for each in self.env.step(flat)]
        self.obs, reward, terminated, truncated, final_obs = found
        self.total = self.total + reward
        ended = terminated | truncated
        finished = torch.where(ended, self.total, torch.nan)
        self.total = self.total.masked_fill(ended, 0.0)
        return reward, terminated, truncated, final_obs, finished


@torch.no_grad()
def evaluate(population: Population, num_episodes: int, seed: int) -> Tensor:
    """Return the mean return of each agent's policy as it is, over fresh episodes."""
    envs = Played(population.task, population.num_agents, num_episodes, seed)
    first = torch.full(envs.shape, torch.nan)
    for _ in range(envs.env.max_episode_steps):
        sums = envs.step(population.act(envs.obs))[-1]
        first = torch.where(first.isnan(), sums, first)
        if not first.isnan().any():
            break
    return first.mean(-1)


def forward(weights: Weights, obs: Tensor) -> Tensor:
    """Return what each agent's network says of its own observations."""
    hidden = obs
    for weight, bias in weights[:-1]:
        hidden = torch.baddbmm(bias, hidden, weight).tanh()
    return torch.baddbmm(weights[-1][1], hidden, weights[-1][0])


def normalised(advantage: Tensor) -> Tensor:
    """Return each agent's advantages with mean 0 and deviation 1."""
    centred = advantage - advantage.mean(-1, keepdim=True)
    return centred / (advantage.std(-1, keepdim=True) + 1e-8)


LOG_ROOT = 0.5 * math.log(2.0 * math.pi)
CLIP_LOSS = torch.vmap(
    lambda logp, old, advantage, clip: reference.ppo_clip_loss(logp, old, advantage, clip_coef=clip)
)
PLAIN_VALUE = torch.vmap(
    lambda value, old, returns: reference.ppo_value_loss(value, old, returns, clip_coef=None)
)
CLIPPED_VALUE = torch.vmap(
    lambda value, old, returns, clip: reference.ppo_value_loss(value, old, returns, clip_coef=clip)
)
