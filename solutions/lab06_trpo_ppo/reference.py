"""Lab 6, reference: surrogate objectives, trust regions, TRPO and PPO.

Tensors are floating point unless stated. A batch holds steps of many episodes, in any order; what
belongs to the policy that collected it is called ``old`` and carries no gradient.
"""

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labkit.runtime import progress

VectorEnv = gym.vector.VectorEnv
Indices = NDArray[np.int64]
Rollout = dict[str, Tensor]


def ppo_clip_loss(
    logp: Tensor, logp_old: Tensor, advantage: Tensor, *, clip_coef: float
) -> tuple[Tensor, Tensor]:
    """Return ``-mean(min(r A, clip(r, 1 - eps, 1 + eps) A))`` and the share of clipped ratios.

    ``r = exp(logp - logp_old)``. The share counts ratios outside of ``[1 - eps, 1 + eps]``,
    whatever the sign of their advantage.

    Args:
        logp: log-probability of each action under the policy that learns, shape ``(batch,)``.
        logp_old: under the policy that acted, shape ``(batch,)``.
        advantage: shape ``(batch,)``.
        clip_coef: ``eps``, positive.

    Returns:
        The loss and the clip fraction, both of shape ``()``; the fraction carries no gradient.

    Source: Schulman et al. (2017), eq. 7.
    """
    ratio = (logp - logp_old).exp()
    clipped = ratio.clamp(1.0 - clip_coef, 1.0 + clip_coef)
    loss = -torch.min(ratio * advantage, clipped * advantage).mean()
    clip_fraction = ((ratio - 1.0).abs() > clip_coef).to(loss.dtype).mean()
    return loss, clip_fraction


def ppo_value_loss(
    value: Tensor, value_old: Tensor, returns: Tensor, *, clip_coef: float | None
) -> Tensor:
    """Return ``mean((value - returns)^2) / 2``, pessimistic about large changes of the value.

    With a ``clip_coef``, the value may also be moved back to within ``clip_coef`` of what the
    critic said when the data was collected, and of both squared errors the larger one counts.

    Args:
        value: what the critic says now, shape ``(batch,)``.
        value_old: what it said when the data was collected, shape ``(batch,)``.
        returns: what it should say, shape ``(batch,)``.
        clip_coef: how far the value may move, positive; None doesn't clip.

    Returns:
        Shape ``()``.

    Source: Engstrom et al. (2020), section 3, after OpenAI's baselines; its use is contested.
    """
    error = (value - returns) ** 2
    if clip_coef is not None:
        near = value_old + (value - value_old).clamp(-clip_coef, clip_coef)
        error = torch.max(error, (near - returns) ** 2)
    return 0.5 * error.mean()


def kl_estimators(logp_old: Tensor, logp: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return three estimates of ``KL(old || new)`` from actions that the old policy sampled.

    With ``r = p_new / p_old`` of each action they are the means of ``k1 = -log r``,
    ``k2 = (log r)^2 / 2`` and ``k3 = (r - 1) - log r``. They keep their digits also where the
    policy has barely moved, and ``r`` is nearly 1.

    Args:
        logp_old: log-probability of each sampled action under the old policy, shape ``(batch,)``.
        logp: under the new policy, shape ``(batch,)``.

    Returns:
        ``k1``, ``k2`` and ``k3``, each of shape ``()``.

    Source: Schulman (2020), "Approximating KL divergence".
    """
    log_ratio = logp - logp_old
    k1 = -log_ratio
    k2 = 0.5 * log_ratio**2
    k3 = torch.expm1(log_ratio) - log_ratio
    return k1.mean(), k2.mean(), k3.mean()


def categorical_kl(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """Return ``KL(p || q) = sum_a p_a (log p_a - log q_a)`` in nats, for each row.

    Args:
        p_logits: logits of ``p``, shape ``(batch, num_actions)``.
        q_logits: logits of ``q``, shape ``(batch, num_actions)``.

    Returns:
        Shape ``(batch,)``.
    """
    logp = torch.log_softmax(p_logits, dim=-1)
    logq = torch.log_softmax(q_logits, dim=-1)
    return (logp.exp() * (logp - logq)).sum(dim=-1)


def adaptive_beta(beta: float, kl: float, target: float) -> float:
    """Return the weight of the KL penalty for the next update.

    Twice as large if the policy moved more than ``1.5 * target``, half as large if it moved less
    than ``target / 1.5``, else the same.

    Args:
        beta: the weight so far, positive.
        kl: how far the last update moved the policy.
        target: how far it should, positive.

    Source: Schulman et al. (2017), section 4.
    """
    if kl > 1.5 * target:
        return 2.0 * beta
    if kl < target / 1.5:
        return beta / 2.0
    return beta


def conjugate_gradient(
    hvp: Callable[[Tensor], Tensor], b: Tensor, *, num_iterations: int, tolerance: float
) -> Tensor:
    """Return ``x`` with ``A x`` close to ``b``, from products ``hvp(v) = A v`` alone.

    ``A`` is symmetric and positive definite. Starts from ``x = 0``; stops after
    ``num_iterations`` products, or as soon as the residual's squared length ``|b - A x|^2`` is
    below ``tolerance``, which may be so from the start.

    Args:
        hvp: returns ``A v`` for a vector ``v``.
        b: shape ``(n,)``.
        num_iterations: the most products to ask for.
        tolerance: of the squared residual.

    Returns:
        Shape ``(n,)``.

    Source: Hestenes & Stiefel (1952); Schulman et al. (2015), appendix C.
    """
    x = torch.zeros_like(b)
    residual, direction = b.clone(), b.clone()
    squared = residual @ residual
    for _ in range(num_iterations):
        if squared < tolerance:
            break
        product = hvp(direction)
        step = squared / (direction @ product)
        x = x + step * direction
        residual = residual - step * product
        new_squared = residual @ residual
        direction = residual + (new_squared / squared) * direction
        squared = new_squared
    return x


def fisher_vector_product(policy: nn.Module, obs: Tensor, v: Tensor, *, damping: float) -> Tensor:
    """Return ``F v + damping * v``, with ``F`` the Hessian of the mean KL at the present policy.

    ``F`` is the second derivative of ``mean_s KL(pi_old(. | s) || pi_theta(. | s))`` with respect
    to ``theta``, where ``pi_old`` is the policy as it is, held fixed. It is never written down.

    Args:
        policy: maps observations, shape ``(batch, obs_size)``, to logits, shape
            ``(batch, num_actions)``; is not changed.
        obs: shape ``(batch, obs_size)``.
        v: a vector, one number per parameter, in the order of ``policy.parameters()``.
        damping: added to the diagonal of ``F``.

    Returns:
        Shape of ``v``, without gradient.

    Source: Schulman et al. (2015), appendix C.1; Pearlmutter (1994).
    """
    parameters = list(policy.parameters())
    logp = torch.log_softmax(policy(obs), dim=-1)
    old = logp.detach()
    kl = (old.exp() * (old - logp)).sum(dim=-1).mean()
    gradient = torch.autograd.grad(kl, parameters, create_graph=True)
    slope = torch.cat([part.reshape(-1) for part in gradient]) @ v
    product = torch.autograd.grad(slope, parameters)
    return torch.cat([part.reshape(-1) for part in product]) + damping * v


def trpo_step(
    policy: nn.Module,
    obs: Tensor,
    action: Tensor,
    advantage: Tensor,
    direction: Tensor,
    *,
    curvature: float,
    max_kl: float,
    num_backtracks: int = 10,
) -> tuple[bool, float]:
    """Move the policy along ``direction`` as far as the trust region allows, or not at all.

    The first try is the step to the edge of the region, ``sqrt(2 max_kl / curvature)`` times the
    direction; each further try is half as long. The first one counts that improves the surrogate
    ``mean(r A)`` and keeps ``mean KL(old || new)`` at or below ``max_kl``. If none of
    ``num_backtracks`` tries does, the policy stays exactly what it was.

    Args:
        policy: maps observations to logits; changes in place.
        obs: shape ``(batch, obs_size)``.
        action: actions taken, whole numbers, shape ``(batch,)``.
        advantage: shape ``(batch,)``.
        direction: ``x``, about ``F^-1 g``, one number per parameter, in the order of
            ``policy.parameters()``; uphill.
        curvature: ``x^T F x``, positive.
        max_kl: size of the trust region, positive.
        num_backtracks: the most tries.

    Returns:
        Whether a step was taken, and the mean KL of it (0 if none was).

    Source: Schulman et al. (2015), section 6 and appendix C.
    """

    def log_probs() -> Tensor:
        return torch.log_softmax(policy(obs), dim=-1)

    def taken(logp: Tensor) -> Tensor:
        return logp.gather(-1, action.unsqueeze(-1)).squeeze(-1)

    parameters = list(policy.parameters())
    with torch.no_grad():
        start = nn.utils.parameters_to_vector(parameters)
        old = log_probs()
        length = (2.0 * max_kl / curvature) ** 0.5
        for _ in range(num_backtracks):
            nn.utils.vector_to_parameters(start + length * direction, parameters)
            new = log_probs()
            gain = ((taken(new - old).exp() - 1.0) * advantage).mean()
            kl = float((old.exp() * (old - new)).sum(dim=-1).mean())
            if gain > 0.0 and kl <= max_kl:
                return True, kl
            length = 0.5 * length
        nn.utils.vector_to_parameters(start, parameters)
        return False, 0.0


def minibatches(
    num_samples: int, *, batch_size: int, num_epochs: int, rng: np.random.Generator
) -> Iterator[Indices]:
    """Yield ``num_epochs`` passes over ``0 .. num_samples - 1``, each in a new random order.

    Each pass has every index once. Its last batch is smaller where ``batch_size`` doesn't divide
    ``num_samples``.

    Args:
        num_samples: how many samples there are.
        batch_size: indices in a batch.
        num_epochs: number of passes.
        rng: source of the orders.
    """
    for _ in range(num_epochs):
        order = rng.permutation(num_samples)
        for start in range(0, num_samples, batch_size):
            yield order[start : start + batch_size]


class ActorCritic(nn.Module):
    """A policy and a value function, each a network of its own with two hidden layers.

    Weights are orthogonal, scaled by ``sqrt(2)`` inside, by 0.01 where logits come out, so that
    every action is about as likely at first, and by 1 where the value comes out.

    Args:
        obs_size: numbers in an observation.
        num_actions: number of actions.
        hidden: width of the hidden layers.

    Source: Andrychowicz et al. (2021), choices C56 and C57.
    """

    def __init__(self, obs_size: int, num_actions: int, hidden: int = 64) -> None:
        super().__init__()
        self.actor = self.network(obs_size, hidden, num_actions, last=0.01)
        self.critic = self.network(obs_size, hidden, 1, last=1.0)

    @staticmethod
    def network(inputs: int, hidden: int, outputs: int, *, last: float) -> nn.Sequential:
        """Return a network whose last layer's weights are scaled by ``last``."""
        sizes = ((inputs, hidden, 2.0**0.5), (hidden, hidden, 2.0**0.5), (hidden, outputs, last))
        layers: list[nn.Module] = []
        for size_in, size_out, gain in sizes:
            layer = nn.Linear(size_in, size_out)
            nn.init.orthogonal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)
            layers += [layer, nn.Tanh()]
        return nn.Sequential(*layers[:-1])


class Collector:
    """Steps a vector environment with a policy and cuts what happens into rollouts.

    In Gymnasium's default mode, ``NEXT_STEP``, the step after the end of an episode ignores the
    action and returns the next episode's first observation: ``valid`` is false there.

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
            ``obs``, ``action``, ``logp``, ``reward``, ``value``, ``next_value``, ``terminated``,
            ``truncated`` and ``valid``, each with the shape ``(num_steps, num_envs, ...)``.
        """
        names = ("obs", "action", "logp", "reward", "terminated", "truncated", "valid")
        rows: dict[str, list[Tensor]] = {name: [] for name in names}
        seen = [self.obs]
        for _ in range(num_steps):
            logp = torch.log_softmax(model.actor(self.obs), dim=-1)
            action = torch.multinomial(logp.exp(), 1, generator=self.generator)
            found = self.env.step(action.squeeze(-1).numpy())[:4]
            next_obs, reward, terminated, truncated = (torch.as_tensor(each) for each in found)
            taken = logp.gather(-1, action).squeeze(-1)
            step = (self.obs, action.squeeze(-1), taken, reward.float(), terminated, truncated)
            for name, value in zip(names, (*step, ~self.ended), strict=True):
                rows[name].append(value)
            self.obs, self.ended = next_obs, terminated | truncated
            self.running += reward
            self.finished += self.running[self.ended].tolist()
            self.running[self.ended] = 0.0
            seen.append(self.obs)
        values = model.critic(torch.stack(seen)).squeeze(-1)
        rollout = {name: torch.stack(each) for name, each in rows.items()}
        return rollout | {"value": values[:-1], "next_value": values[1:]}


def gae(rollout: Rollout, *, gamma: float, gae_lambda: float) -> tuple[Tensor, Tensor]:
    """Return advantages and the critic's targets, shape ``(num_steps, num_envs)``.

    You wrote this in lab 5.
    """
    delta = rollout["reward"] - rollout["value"]
    delta += gamma * rollout["next_value"] * ~rollout["terminated"]
    goes_on = ~(rollout["terminated"] | rollout["truncated"])
    advantage = torch.zeros_like(delta)
    later = torch.zeros_like(delta[0])
    for t in reversed(range(len(delta))):
        advantage[t] = later = delta[t] + gamma * gae_lambda * later * goes_on[t]
    return advantage, advantage + rollout["value"]


def train_ppo(
    answers: dict[str, Callable[..., Any]],
    *,
    seed: int,
    num_updates: int = 40,
    num_envs: int = 8,
    num_steps: int = 128,
    num_epochs: int = 10,
    batch_size: int = 256,
    gamma: float = 0.98,
    gae_lambda: float = 0.8,
    clip_coef: float = 0.2,
    learning_rate: float = 2e-3,
    ent_coef: float = 0.0,
    vf_coef: float = 0.5,
    max_grad_norm: float = 0.5,
    on_update: Callable[[int, ActorCritic], bool] | None = None,
) -> tuple[ActorCritic, dict[str, list[float]]]:
    """Train an actor and a critic on CartPole-v1 by PPO-clip.

    Args:
        answers: your functions ``ppo_clip_loss``, ``ppo_value_loss``, ``kl_estimators`` and
            ``minibatches``, by name.
        seed: of the networks, the environments, the actions and the minibatches.
        num_updates: rollouts collected.
        num_envs: environments that step together.
        num_steps: length of a rollout.
        num_epochs: passes over each rollout.
        batch_size: of a minibatch.
        gamma: discount per step.
        gae_lambda: how much later errors count.
        clip_coef: of the policy's ratio; falls to 0 with the learning rate.
        learning_rate: Adam's; it falls to 0 in a straight line.
        ent_coef: weight of the entropy bonus.
        vf_coef: weight of the critic's loss.
        max_grad_norm: the gradient is scaled down to this length.
        on_update: called with the number of rollouts so far and the model; true ends training.

    Returns:
        The networks, and what happened: ``finished`` (sum of rewards of each episode in the order
        in which they ended) and, for each gradient step, ``clip_fraction`` and ``approx_kl``.

    Source: Schulman et al. (2017); Engstrom et al. (2020); Huang et al. (2022).
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = ActorCritic(obs_size=4, num_actions=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, eps=1e-5, fused=True)
    env = gym.make_vec("CartPole-v1", num_envs, vectorization_mode="vector_entry_point")
    collector = Collector(env, seed)
    history: dict[str, list[float]] = {"clip_fraction": [], "approx_kl": []}
    for update in progress(range(num_updates), desc=f"PPO, seed {seed}"):
        left = 1.0 - update / num_updates
        optimizer.param_groups[0]["lr"] = learning_rate * left
        rollout = collector.collect(model, num_steps)
        advantage, returns = gae(rollout, gamma=gamma, gae_lambda=gae_lambda)
        valid = rollout["valid"]
        data = {name: rollout[name][valid] for name in ("obs", "action", "logp", "value")}
        data |= {"advantage": advantage[valid], "returns": returns[valid]}
        size = len(data["obs"])
        for indices in answers["minibatches"](
            size, batch_size=batch_size, num_epochs=num_epochs, rng=rng
        ):
            batch = {name: value[torch.as_tensor(indices)] for name, value in data.items()}
            scaled = batch["advantage"] - batch["advantage"].mean()
            scaled = scaled / (batch["advantage"].std() + 1e-8)
            logp = torch.log_softmax(model.actor(batch["obs"]), dim=-1)
            taken = logp.gather(-1, batch["action"].unsqueeze(-1)).squeeze(-1)
            loss, clip_fraction = answers["ppo_clip_loss"](
                taken, batch["logp"], scaled, clip_coef=clip_coef * left
            )
            value = model.critic(batch["obs"]).squeeze(-1)
            critic = answers["ppo_value_loss"](
                value, batch["value"], batch["returns"], clip_coef=None
            )
            objective = loss + vf_coef * critic
            if ent_coef > 0.0:
                objective = objective + ent_coef * (logp.exp() * logp).sum(dim=-1).mean()
            optimizer.zero_grad()
            objective.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
            optimizer.step()
            with torch.no_grad():
                k3 = answers["kl_estimators"](batch["logp"], taken)[2]
            history["clip_fraction"].append(float(clip_fraction))
            history["approx_kl"].append(float(k3))
        if on_update is not None and on_update(update + 1, model):
            break
    return model, history | {"finished": collector.finished}


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
    returns: list[float] = total.tolist()
    return returns


def train_trpo(
    answers: dict[str, Callable[..., Any]],
    *,
    seed: int,
    num_updates: int = 40,
    num_envs: int = 8,
    num_steps: int = 128,
    gamma: float = 0.98,
    gae_lambda: float = 0.9,
    max_kl: float = 0.02,
    damping: float = 0.1,
    learning_rate: float = 3e-3,
    num_critic_epochs: int = 10,
    on_update: Callable[[int, ActorCritic], bool] | None = None,
) -> tuple[ActorCritic, dict[str, list[float]]]:
    """Train an actor and a critic on CartPole-v1 by TRPO.

    Args:
        answers: your functions ``conjugate_gradient``, ``fisher_vector_product``, ``trpo_step``
            and ``minibatches``, by name.
        seed: of the networks, the environments, the actions and the minibatches.
        num_updates: rollouts collected, and steps of the policy.
        num_envs: environments that step together.
        num_steps: length of a rollout.
        gamma: discount per step.
        gae_lambda: how much later errors count.
        max_kl: size of the trust region.
        damping: of the Fisher matrix.
        learning_rate: of the critic's Adam.
        num_critic_epochs: passes of the critic over each rollout.
        on_update: called with the number of rollouts so far and the model; true ends training.

    Returns:
        The networks, and what happened: ``finished`` (sum of rewards of each episode in the order
        in which they ended) and, for each update, ``kl`` (0 where no step was taken).

    Source: Schulman et al. (2015).
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = ActorCritic(obs_size=4, num_actions=2)
    optimizer = torch.optim.Adam(model.critic.parameters(), lr=learning_rate)
    env = gym.make_vec("CartPole-v1", num_envs, vectorization_mode="vector_entry_point")
    collector = Collector(env, seed)
    kls = []
    for update in progress(range(num_updates), desc=f"TRPO, seed {seed}"):
        rollout = collector.collect(model, num_steps)
        advantage, returns = gae(rollout, gamma=gamma, gae_lambda=gae_lambda)
        valid = rollout["valid"]
        obs, action = rollout["obs"][valid], rollout["action"][valid]
        scaled = advantage[valid] - advantage[valid].mean()
        scaled = scaled / (advantage[valid].std() + 1e-8)

        logp = torch.log_softmax(model.actor(obs), dim=-1).gather(-1, action.unsqueeze(-1))
        gain = (logp.squeeze(-1) * scaled).mean()
        gradient = torch.cat(
            [part.reshape(-1) for part in torch.autograd.grad(gain, list(model.actor.parameters()))]
        )

        def hvp(v: Tensor, obs: Tensor = obs) -> Tensor:
            product: Tensor = answers["fisher_vector_product"](model.actor, obs, v, damping=damping)
            return product

        direction = answers["conjugate_gradient"](hvp, gradient, num_iterations=10, tolerance=1e-10)
        _, kl = answers["trpo_step"](
            model.actor, obs, action, scaled, direction,
            curvature=float(direction @ hvp(direction)), max_kl=max_kl,
        )  # fmt: skip
        kls.append(kl)
        for indices in answers["minibatches"](
            len(obs), batch_size=128, num_epochs=num_critic_epochs, rng=rng
        ):
            rows = torch.as_tensor(indices)
            error = model.critic(obs[rows]).squeeze(-1) - returns[valid][rows]
            optimizer.zero_grad()
            (error**2).mean().backward()
            optimizer.step()
        if on_update is not None and on_update(update + 1, model):
            break
    return model, {"kl": kls, "finished": collector.finished}
