"""Lab 6, reference: surrogate objectives, trust regions, TRPO and PPO.

Tensors are floating point unless stated. A batch holds steps of many episodes, in any order; what
belongs to the policy that collected it is called ``old`` and carries no gradient.
"""

from collections.abc import Callable, Iterator

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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
    ``k2 = (log r)^2 / 2`` and ``k3 = (r - 1) - log r``.

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
    below ``tolerance``.

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
