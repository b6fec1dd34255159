"""Right answers in another style: loops for vectors, numpy for torch, another order of the same.

Each function is self-contained, since it is pasted into a notebook under its exercise's name.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def clip_loss_by_cases(
    logp: Tensor, logp_old: Tensor, advantage: Tensor, *, clip_coef: float
) -> tuple[Tensor, Tensor]:
    """With a positive advantage only the upper bound acts, with a negative one the lower."""
    ratio = torch.exp(logp - logp_old)
    upper, lower = ratio.clamp(max=1 + clip_coef), ratio.clamp(min=1 - clip_coef)
    gain = torch.where(advantage > 0, upper, lower) * advantage
    outside = (ratio > 1 + clip_coef) | (ratio < 1 - clip_coef)
    return -gain.mean(), outside.double().mean()


def clip_loss_as_maximum(
    logp: Tensor, logp_old: Tensor, advantage: Tensor, *, clip_coef: float
) -> tuple[Tensor, float]:
    ratio = torch.exp(logp - logp_old)
    plain = -advantage * ratio
    clipped = -advantage * torch.clamp(ratio, 1 - clip_coef, 1 + clip_coef)
    share = sum(abs(r - 1) > clip_coef for r in ratio.tolist()) / len(ratio)
    return torch.maximum(plain, clipped).mean(), share


def value_loss_by_loop(
    value: Tensor, value_old: Tensor, returns: Tensor, *, clip_coef: float | None
) -> Tensor:
    total = torch.zeros((), dtype=value.dtype)
    for now, before, target in zip(value, value_old, returns, strict=True):
        error = (now - target).square()
        if clip_coef is not None:
            near = torch.maximum(torch.minimum(now, before + clip_coef), before - clip_coef)
            error = torch.maximum(error, (near - target).square())
        total = total + error
    return total / (2 * len(value))


def value_loss_in_torch(
    value: Tensor, value_old: Tensor, returns: Tensor, *, clip_coef: float | None
) -> Tensor:
    if clip_coef is None:
        return torch.nn.functional.mse_loss(value, returns) / 2
    near = torch.clamp(value, value_old - clip_coef, value_old + clip_coef)
    both = torch.stack([(value - returns).pow(2), (near - returns).pow(2)])
    return both.amax(dim=0).mean() / 2


def kl_estimators_in_numpy(logp_old: Tensor, logp: Tensor) -> tuple[Any, ...]:
    log_ratio = (logp - logp_old).detach().numpy()
    k3 = np.expm1(log_ratio) - log_ratio
    return -log_ratio.mean(), (log_ratio**2 / 2).mean(), k3.mean()


def kl_estimators_backwards(logp_old: Tensor, logp: Tensor) -> tuple[Tensor, ...]:
    """With the inverse ratio: exp(-d) - 1 + d."""
    difference = logp_old - logp
    k3 = torch.expm1(-difference) + difference
    return difference.mean(), difference.square().mean() / 2, k3.mean()


def kl_by_distribution(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    p = torch.distributions.Categorical(logits=p_logits)
    q = torch.distributions.Categorical(logits=q_logits)
    found: Tensor = torch.distributions.kl_divergence(p, q)
    return found


def kl_by_cross_entropy(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    logp, logq = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    return torch.nn.functional.kl_div(logq, logp, reduction="none", log_target=True).sum(-1)


def beta_by_factor(beta: float, kl: float, target: float) -> float:
    ratio = kl / target
    return beta * (2.0 if ratio > 1.5 else 0.5 if ratio < 1 / 1.5 else 1.0)


def beta_in_sequence(beta: float, kl: float, target: float) -> float:
    if kl < target / 1.5:
        beta = beta / 2
    elif kl > target * 1.5:
        beta = beta * 2
    return beta


def conjugate_gradient_from_the_book(
    hvp: Callable[[Tensor], Tensor], b: Tensor, *, num_iterations: int, tolerance: float
) -> Tensor:
    """Nocedal and Wright's signs: the residual is A x - b."""
    x = torch.zeros(len(b), dtype=b.dtype)
    residual = -b
    direction = -residual
    for _ in range(num_iterations):
        if residual.dot(residual) < tolerance:
            break
        product = hvp(direction)
        step = residual.dot(residual) / direction.dot(product)
        x = x + step * direction
        new = residual + step * product
        direction = -new + new.dot(new) / residual.dot(residual) * direction
        residual = new
    return x


def conjugate_gradient_by_krylov(
    hvp: Callable[[Tensor], Tensor], b: Tensor, *, num_iterations: int, tolerance: float
) -> Tensor:
    """The minimum of x A x / 2 - b x over the span of b, A b, A A b, ..."""
    basis = [b / b.norm()]
    products: list[Tensor] = []
    x = torch.zeros_like(b)
    for _ in range(num_iterations):
        residual = b - sum((hvp(x),), torch.zeros_like(b)) if len(products) else b
        if residual @ residual < tolerance or len(products) == len(b):
            break
        products.append(hvp(basis[-1]))
        V, AV = torch.stack(basis[: len(products)], 1), torch.stack(products, 1)
        x = V @ torch.linalg.solve(V.T @ AV, V.T @ b)
        new = products[-1]
        for _twice in range(2):
            for old in basis:
                new = new - (new @ old) * old
        basis.append(new / new.norm())
    return x


def fisher_by_jacobian(policy: nn.Module, obs: Tensor, v: Tensor, *, damping: float) -> Tensor:
    """F = mean_s J^T (diag p - p p^T) J, with J the derivative of the logits."""
    named = dict(policy.named_parameters())

    def logits(values: dict[str, Tensor]) -> Tensor:
        found: Tensor = torch.func.functional_call(policy, values, (obs,))
        return found

    jacobian = torch.func.jacrev(logits)({name: p.detach() for name, p in named.items()})
    J = torch.cat([part.flatten(2) for part in jacobian.values()], dim=2)
    p = torch.softmax(policy(obs), dim=-1).detach()
    moved = J @ v
    weighed = p * (moved - (p * moved).sum(dim=-1, keepdim=True))
    return torch.einsum("san,sa->n", J, weighed) / len(obs) + damping * v


def fisher_by_gradient_of_q(policy: nn.Module, obs: Tensor, v: Tensor, *, damping: float) -> Tensor:
    parameters = tuple(policy.parameters())
    policy_now = torch.distributions.Categorical(logits=policy(obs))
    fixed = torch.distributions.Categorical(logits=policy_now.logits.detach())
    kl = torch.distributions.kl_divergence(fixed, policy_now).mean()
    gradient = torch.autograd.grad(kl, parameters, create_graph=True)
    flat = torch.nn.utils.parameters_to_vector(gradient)
    product = torch.autograd.grad(flat.dot(v), parameters)
    return torch.nn.utils.parameters_to_vector(product).add(v, alpha=damping).detach()


def trpo_step_by_powers(
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
    with torch.no_grad():
        before = [parameter.clone() for parameter in policy.parameters()]
        old = torch.distributions.Categorical(logits=policy(obs))
        surrogate_old = advantage.mean()
        full = float(np.sqrt(2 * max_kl / curvature)) * direction
        for attempt in range(num_backtracks):
            offset = 0
            for parameter, start in zip(policy.parameters(), before, strict=True):
                part = full[offset : offset + start.numel()].view_as(start)
                parameter.copy_(start + 0.5**attempt * part)
                offset += start.numel()
            new = torch.distributions.Categorical(logits=policy(obs))
            ratio = (new.log_prob(action) - old.log_prob(action)).exp()  # type: ignore[no-untyped-call]
            kl = float(torch.distributions.kl_divergence(old, new).mean())
            if (ratio * advantage).mean() > surrogate_old and kl <= max_kl:
                return True, kl
        for parameter, start in zip(policy.parameters(), before, strict=True):
            parameter.copy_(start)
    return False, 0.0


def trpo_step_on_a_copy(
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
    import copy

    rows = torch.arange(len(obs))
    old = torch.log_softmax(policy(obs), dim=-1).detach()
    step = direction * (2 * max_kl / curvature) ** 0.5
    vector = torch.nn.utils.parameters_to_vector(policy.parameters()).detach()
    trial = copy.deepcopy(policy)
    for _ in range(num_backtracks):
        torch.nn.utils.vector_to_parameters(vector + step, trial.parameters())
        new = torch.log_softmax(trial(obs), dim=-1).detach()
        change = (new - old)[rows, action].exp() - 1
        kl = (old.exp() * (old - new)).sum(-1).mean().item()
        if (change * advantage).sum() > 0 and kl <= max_kl:
            policy.load_state_dict(trial.state_dict())
            return True, kl
        step = step / 2
    return False, 0.0


def minibatches_by_shuffle(
    num_samples: int, *, batch_size: int, num_epochs: int, rng: np.random.Generator
) -> list[Any]:
    found = []
    order = np.arange(num_samples)
    for _ in range(num_epochs):
        rng.shuffle(order)
        found += [order[i : i + batch_size].copy() for i in range(0, num_samples, batch_size)]
    return found


def minibatches_by_split(
    num_samples: int, *, batch_size: int, num_epochs: int, rng: np.random.Generator
) -> Any:
    cuts = np.arange(batch_size, num_samples, batch_size)
    for _ in range(num_epochs):
        yield from np.split(rng.random(num_samples).argsort(), cuts)
