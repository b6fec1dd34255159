"""Lab 5, reference: policy gradients, baselines, generalised advantage estimation, A2C.

Tensors are floating point unless stated. A rollout has shape ``(num_steps, num_envs)``: row ``t``
holds what happened in step ``t``, column ``i`` what happened in environment ``i``. Rewards and
values are in reward units, time is in environment steps.
"""

import copy
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from labkit.runtime import progress

VectorEnv = gym.vector.VectorEnv
Rollout = dict[str, Tensor]


def categorical_logp(logits: Tensor, action: Tensor) -> Tensor:
    """Return ``log softmax(logits)[action]``, the log-probability of each row's action.

    Finite for every finite logit: an action with logit -1000 beside one with 1000 has a
    log-probability of -2000, not of minus infinity.

    Args:
        logits: unnormalised log-probabilities, shape ``(batch, num_actions)``.
        action: the action that was taken in each row, whole numbers, shape ``(batch,)``.

    Returns:
        Shape ``(batch,)``.

    Source: Sutton & Barto (2018), eq. 13.2.
    """
    logp = torch.log_softmax(logits, dim=-1)
    return logp.gather(-1, action.unsqueeze(-1)).squeeze(-1)


def categorical_entropy(logits: Tensor) -> Tensor:
    """Return ``-sum_a p_a log p_a`` in nats, with ``p = softmax(logits)``, for each row.

    Args:
        logits: unnormalised log-probabilities, shape ``(batch, num_actions)``.

    Returns:
        Shape ``(batch,)``; between 0, where one action is certain, and ``log(num_actions)``.

    Source: Mnih et al. (2016), section 4, the bonus of A3C.
    """
    logp = torch.log_softmax(logits, dim=-1)
    return -(logp.exp() * logp).sum(dim=-1)


def score_grad_exact(theta: Tensor, reward: Tensor) -> Tensor:
    """Return ``sum_a p_a r_a grad log p_a`` with ``p = softmax(theta)``: no sample, all actions.

    This is the gradient of a softmax bandit's expected reward ``sum_a p_a r_a`` with respect to
    its preferences ``theta``.

    Args:
        theta: preference of each action, shape ``(num_actions,)``.
        reward: mean reward of each action, shape ``(num_actions,)``.

    Returns:
        Shape ``(num_actions,)``.

    Source: Williams (1992); Sutton & Barto (2018), section 2.8.
    """
    p = torch.softmax(theta, dim=0)
    grad_logp = torch.eye(len(p), dtype=p.dtype) - p  # row a: the gradient of log p_a
    return (p * reward) @ grad_logp


def reward_to_go(
    reward: Tensor, next_value: Tensor, terminated: Tensor, truncated: Tensor, *, gamma: float
) -> Tensor:
    """Return ``G_t = r_t + gamma G_{t+1}`` within each episode of one environment's rollout.

    Where an episode terminated nothing follows, also if the time limit struck in the same step.
    Where it was truncated only, and where the rollout ends, what would have followed is worth
    ``next_value``. No episode hears of the next one.

    Args:
        reward: reward of step ``t``, shape ``(num_steps,)``.
        next_value: value of the observation that step ``t`` led to, shape ``(num_steps,)``.
        terminated: whether that observation is terminal, bool, shape ``(num_steps,)``.
        truncated: whether a time limit ended the episode there, bool, shape ``(num_steps,)``.
        gamma: discount per step, in ``[0, 1]``.

    Returns:
        Shape ``(num_steps,)``.

    Source: Sutton & Barto (2018), eq. 3.9; for time limits Pardo et al. (2018).
    """
    returns = torch.zeros_like(reward)
    following = next_value[-1]
    for t in range(len(reward) - 1, -1, -1):
        if truncated[t]:
            following = next_value[t]
        if terminated[t]:
            following = torch.zeros_like(following)
        following = reward[t] + gamma * following
        returns[t] = following
    return returns


def reinforce_loss(logp: Tensor, advantage: Tensor) -> Tensor:
    """Return ``-mean_t(logp_t * advantage_t)``: its gradient is minus the policy gradient.

    The advantage is a number here, whatever it was computed from: no gradient goes into it.

    Args:
        logp: log-probability of the action taken in each step, shape ``(batch,)``.
        advantage: how much better than expected it turned out, shape ``(batch,)``.

    Returns:
        Shape ``()``.

    Source: Williams (1992); Sutton & Barto (2018), eq. 13.11.
    """
    return -(logp * advantage.detach()).mean()


def value_loss(value: Tensor, returns: Tensor) -> Tensor:
    """Return ``mean((value - returns)^2)``, with no gradient into the returns.

    Args:
        value: what the critic's last layer says, shape ``(batch, 1)``.
        returns: what it should have said, shape ``(batch,)``.

    Returns:
        Shape ``()``.
    """
    error = value.squeeze(-1) - returns.detach()
    return (error * error).mean()


def gae(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
    gae_lambda: float,
) -> tuple[Tensor, Tensor]:
    """Return advantages ``A_t = delta_t + gamma lambda A_{t+1}`` and the critic's targets.

    ``delta_t = r_t + gamma V(s_{t+1}) - V(s_t)``; a terminal observation is worth 0, one where only
    a time limit struck is worth what the critic says. The sum over later steps stops at the end of
    an episode, whichever way it ended, and at the end of the rollout.

    Args:
        reward: reward of step ``t``, shape ``(num_steps, num_envs)``.
        value: ``V(s_t)``, of the observation that step ``t`` started from, same shape.
        next_value: ``V(s_{t+1})``, of the observation that step ``t`` led to, same shape; where an
            episode ended that is its last observation, never the first of the next episode.
        terminated: whether that observation is terminal, bool, same shape.
        truncated: whether a time limit ended the episode there, bool, same shape.
        gamma: discount per step, in ``[0, 1]``.
        gae_lambda: how much later errors count, in ``[0, 1]``; 0 leaves ``delta_t``.

    Returns:
        Advantages, and the targets ``A_t + V(s_t)``, both of shape ``(num_steps, num_envs)``.

    Source: Schulman et al. (2016), eqs. 11 to 16; for time limits Pardo et al. (2018).
    """
    delta = reward + gamma * next_value * ~terminated - value
    goes_on = ~(terminated | truncated)
    advantage = torch.zeros_like(delta)
    later = torch.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        later = delta[t] + gamma * gae_lambda * later * goes_on[t]
        advantage[t] = later
    return advantage, advantage + value


def normalise(advantage: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return ``(advantage - mean) / (std + 1e-8)``, over all entries together.

    The standard deviation is the sample's, with ``n - 1`` in the denominator, as ``torch.std`` has
    it.

    Args:
        advantage: any shape.
        mask: true where an entry counts, bool, same shape; the others become 0 and have no say in
            mean and deviation. None counts all.

    Returns:
        Same shape as ``advantage``.

    Source: Andrychowicz et al. (2021), choice C67.
    """
    counted = advantage if mask is None else advantage[mask]
    scaled = (advantage - counted.mean()) / (counted.std() + 1e-8)
    return scaled if mask is None else scaled * mask


def n_step_advantage(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
    n: int,
) -> Tensor:
    """Return ``r_t + ... + gamma^(m-1) r_{t+m-1} + gamma^m V(s_{t+m}) - V(s_t)``.

    ``m`` is ``n``, or fewer where the episode or the rollout ends before. A terminal observation
    is worth 0.

    Args:
        reward: reward of step ``t`` of one environment, shape ``(num_steps,)``.
        value: ``V(s_t)``, shape ``(num_steps,)``.
        next_value: ``V(s_{t+1})``, of the observation that step ``t`` led to, same shape.
        terminated: whether that observation is terminal, bool, shape ``(num_steps,)``.
        truncated: whether a time limit ended the episode there, bool, shape ``(num_steps,)``.
        gamma: discount per step, in ``[0, 1]``.
        n: rewards to look at, 1 or more.

    Returns:
        Shape ``(num_steps,)``.

    Source: Sutton & Barto (2018), eq. 7.1; Mnih et al. (2016), section 4.
    """
    advantage = -value.clone()
    for start in range(len(reward)):
        discount = 1.0
        for t in range(start, min(start + n, len(reward))):
            advantage[start] += discount * reward[t]
            discount *= gamma
            if terminated[t] or truncated[t]:
                break
        if not terminated[t]:
            advantage[start] += discount * next_value[t]
    return advantage


class ActorCritic(nn.Module):
    """A policy and a value function, each a network of its own with two hidden layers.

    Args:
        obs_size: numbers in an observation.
        num_actions: number of actions.
        hidden: width of the hidden layers.
    """

    def __init__(self, obs_size: int, num_actions: int, hidden: int = 64) -> None:
        super().__init__()
        self.actor = self._network(obs_size, hidden, num_actions)
        self.critic = self._network(obs_size, hidden, 1)

    @staticmethod
    def _network(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
        last = nn.Linear(hidden, outputs)
        nn.init.zeros_(last.weight)  # at first every action is as likely, every value 0
        nn.init.zeros_(last.bias)
        return nn.Sequential(
            nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), last
        )

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, shape ``(..., num_actions)``, and values, shape ``(..., 1)``."""
        return self.actor(obs), self.critic(obs)


class Collector:
    """Steps a vector environment with a policy and cuts what happens into rollouts.

    Gymnasium's vector environments reset themselves: in their default mode, ``NEXT_STEP``, the step
    that ends an episode returns its last observation, and the step after it ignores the action
    and returns the first observation of the next episode. Such a step is no experience:
    ``valid`` is false there.

    Args:
        env: a vector environment in ``NEXT_STEP`` mode.
        seed: of the environment and of the actions.
    """

    def __init__(self, env: VectorEnv, seed: int) -> None:
        self.env = env
        self.generator = torch.Generator().manual_seed(seed)
        self.obs = torch.as_tensor(env.reset(seed=seed)[0])
        self.ended = torch.zeros(env.num_envs, dtype=torch.bool)
        self.running = torch.zeros(env.num_envs)  # rewards of the episodes that go on
        self.finished: list[float] = []  # sums of rewards of those that ended

    @torch.no_grad()
    def collect(self, model: ActorCritic, num_steps: int) -> Rollout:
        """Take ``num_steps`` steps in each environment, with actions sampled from the policy.

        Returns:
            ``obs``, ``action``, ``reward``, ``value``, ``next_value``, ``terminated``,
            ``truncated`` and ``valid``, each with the shape ``(num_steps, num_envs, ...)``.
        """
        rows: dict[str, list[Tensor]] = {
            name: [] for name in ("obs", "action", "reward", "terminated", "truncated", "valid")
        }
        seen = [self.obs]
        for _ in range(num_steps):
            probs = torch.softmax(model.actor(self.obs), dim=-1)
            action = torch.multinomial(probs, 1, generator=self.generator).squeeze(-1)
            found = self.env.step(action.numpy())[:4]
            next_obs, reward, terminated, truncated = (torch.as_tensor(each) for each in found)
            step = (self.obs, action, reward.float(), terminated, truncated, ~self.ended)
            for name, value in zip(rows, step, strict=True):
                rows[name].append(value)
            self.obs, self.ended = next_obs, terminated | truncated
            self.running += reward
            self.finished += self.running[self.ended].tolist()
            self.running[self.ended] = 0.0
            seen.append(self.obs)
        values = model.critic(torch.stack(seen)).squeeze(-1)
        rollout = {name: torch.stack(each) for name, each in rows.items()}
        return rollout | {"value": values[:-1], "next_value": values[1:]}


def train_a2c(
    answers: dict[str, Callable[..., Any]],
    *,
    seed: int,
    num_updates: int = 1_500,
    num_envs: int = 16,
    num_steps: int = 16,
    gamma: float = 0.99,
    gae_lambda: float = 0.95,
    learning_rate: float = 2e-3,
    ent_coef: float = 0.01,
    vf_coef: float = 0.5,
    max_grad_norm: float = 0.5,
    normalised: bool = False,
    on_update: Callable[[int, ActorCritic], bool] | None = None,
) -> tuple[ActorCritic, list[float]]:
    """Train an actor and a critic on CartPole-v1 by synchronous advantage actor-critic (A2C).

    Policy gradients forget: the networks that are returned are those after the update up to which
    the last twenty finished episodes had been best.

    Args:
        answers: your functions ``categorical_logp``, ``categorical_entropy``, ``gae``,
            ``normalise``, ``reinforce_loss`` and ``value_loss``, by name.
        seed: of the networks, the environments and the actions.
        num_updates: gradient steps; each sees ``num_steps * num_envs`` environment steps.
        num_envs: environments that step together.
        num_steps: length of a rollout.
        gamma: discount per step.
        gae_lambda: how much later errors count.
        learning_rate: Adam's; it falls to 0 in a straight line.
        ent_coef: weight of the entropy bonus.
        vf_coef: weight of the critic's loss.
        max_grad_norm: the gradient is scaled down to this length.
        normalised: whether each rollout's advantages are brought to mean 0 and deviation 1.
        on_update: called with the number of updates so far and the model; true ends training.

    Returns:
        The networks, and the sum of rewards of each episode in the order in which they ended.

    Source: Mnih et al. (2016); Schulman et al. (2016).
    """
    torch.manual_seed(seed)
    model = ActorCritic(obs_size=4, num_actions=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    env = gym.make_vec("CartPole-v1", num_envs, vectorization_mode="vector_entry_point")
    collector = Collector(env, seed)
    best, kept = 0.0, copy.deepcopy(model.state_dict())
    for update in progress(range(num_updates), desc=f"A2C, seed {seed}"):
        optimizer.param_groups[0]["lr"] = learning_rate * (1.0 - update / num_updates)
        rollout = collector.collect(model, num_steps)
        names = ("reward", "value", "next_value", "terminated", "truncated")
        advantage, returns = answers["gae"](
            *(rollout[name] for name in names), gamma=gamma, gae_lambda=gae_lambda
        )
        valid = rollout["valid"]
        if normalised:
            advantage = answers["normalise"](advantage, valid)
        advantage = advantage[valid]
        logits, value = model(rollout["obs"][valid])
        logp = answers["categorical_logp"](logits, rollout["action"][valid])
        loss = (
            answers["reinforce_loss"](logp, advantage)
            + vf_coef * answers["value_loss"](value, returns[valid])
            - ent_coef * answers["categorical_entropy"](logits).mean()
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
        optimizer.step()
        late = float(np.mean(collector.finished[-20:] or [0.0]))
        if late >= best:
            best, kept = late, copy.deepcopy(model.state_dict())
        if on_update is not None and on_update(update + 1, model):
            break
    model.load_state_dict(kept)
    return model, collector.finished


@torch.no_grad()
def greedy_returns(actor: nn.Module, *, num_episodes: int, seed: int) -> list[float]:
    """Return the sum of rewards of each of ``num_episodes`` CartPole episodes, likeliest actions.

    Args:
        actor: maps observations, shape ``(batch, 4)``, to logits, shape ``(batch, 2)``.
        num_episodes: they are played side by side.
        seed: of the environments.
    """
    env = gym.make_vec("CartPole-v1", num_episodes, vectorization_mode="vector_entry_point")
    obs, _ = env.reset(seed=seed)
    total, playing = np.zeros(num_episodes), np.ones(num_episodes, dtype=bool)
    while playing.any():
        action = actor(torch.as_tensor(obs)).argmax(dim=-1).numpy()
        obs, reward, terminated, truncated, _ = env.step(action)
        total += reward * playing
        playing &= ~(terminated | truncated)
    return total.tolist()
