"""Right answers in another style: loops for vectors, numpy for torch, another order of the same.

Each function is self-contained, since it is pasted into a notebook under its exercise's name.
"""

import numpy as np
import torch
from torch import Tensor


def logp_by_logsumexp(logits: Tensor, action: Tensor) -> Tensor:
    rows = torch.arange(len(logits))
    return logits[rows, action] - logits.logsumexp(dim=1)


def logp_by_distribution(logits: Tensor, action: Tensor) -> Tensor:
    found: Tensor = torch.distributions.Categorical(logits=logits).log_prob(action)  # type: ignore[no-untyped-call]
    return found


def entropy_by_logsumexp(logits: Tensor) -> Tensor:
    """log Z minus the mean logit: the same sum, taken apart."""
    mean = (torch.softmax(logits, dim=-1) * logits).sum(dim=-1)
    return logits.logsumexp(dim=-1) - mean


def entropy_by_distribution(logits: Tensor) -> Tensor:
    found: Tensor = torch.distributions.Categorical(logits=logits).entropy()  # type: ignore[no-untyped-call]
    return found


def score_grad_by_autograd(theta: Tensor, reward: Tensor) -> Tensor:
    theta = theta.detach().clone().requires_grad_()
    (found,) = torch.autograd.grad(torch.softmax(theta, dim=0) @ reward, theta)
    return found


def score_grad_with_baseline(theta: Tensor, reward: Tensor) -> Tensor:
    """Any constant may be subtracted: the mean score is 0."""
    p = torch.softmax(theta, dim=0)
    gradient = torch.zeros_like(theta)
    for action in range(len(theta)):
        score = -p.clone()
        score[action] += 1.0
        gradient += p[action] * (reward[action] - 17.0) * score
    return gradient


def returns_by_episode(
    reward: Tensor, next_value: Tensor, terminated: Tensor, truncated: Tensor, *, gamma: float
) -> Tensor:
    """Each step looks ahead for itself."""
    returns = []
    for start in range(len(reward)):
        total, discount = 0.0, 1.0
        for t in range(start, len(reward)):
            total += discount * float(reward[t])
            discount *= gamma
            if terminated[t]:
                break
            if truncated[t] or t == len(reward) - 1:
                total += discount * float(next_value[t])
                break
        returns.append(total)
    return torch.tensor(returns, dtype=reward.dtype)


def returns_by_matrix(
    reward: Tensor, next_value: Tensor, terminated: Tensor, truncated: Tensor, *, gamma: float
) -> Tensor:
    """(I - gamma N) G = r + gamma b, where N links each step with the next of its episode."""
    size = len(reward)
    ended = terminated | truncated
    links = torch.diag((~ended[:-1]).to(reward.dtype), diagonal=1)
    cut = (truncated | (torch.arange(size) == size - 1)) & ~terminated
    system = torch.eye(size, dtype=reward.dtype) - gamma * links
    found: Tensor = torch.linalg.solve(system, reward + gamma * next_value * cut)
    return found


def returns_with_float_masks(
    reward: Tensor, next_value: Tensor, terminated: Tensor, truncated: Tensor, *, gamma: float
) -> Tensor:
    """Masks and result in float32, as much code has them."""
    returns = torch.zeros(len(reward))
    following = next_value[-1]
    for t in reversed(range(len(reward))):
        cut, goes_on = truncated[t].float(), 1.0 - terminated[t].float()
        following = goes_on * (cut * next_value[t] + (1.0 - cut) * following)
        following = reward[t] + gamma * following
        returns[t] = following
    return returns


def loss_by_dot_product(logp: Tensor, advantage: Tensor) -> Tensor:
    return -torch.dot(logp, advantage.detach()) / len(logp)


def loss_without_grad(logp: Tensor, advantage: Tensor) -> Tensor:
    with torch.no_grad():
        weight = advantage / -len(advantage)
    return (weight * logp).sum()


def value_loss_in_torch(value: Tensor, returns: Tensor) -> Tensor:
    return torch.nn.functional.mse_loss(value.flatten(), returns.detach())


def value_loss_by_column(value: Tensor, returns: Tensor) -> Tensor:
    return torch.mean((value - returns.detach()[:, None]) ** 2)


def gae_by_sums(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
    gae_lambda: float,
) -> tuple[Tensor, Tensor]:
    """Each step adds up its own errors, with weights (gamma lambda)^k."""
    advantage = torch.zeros_like(reward)
    num_steps, num_envs = reward.shape
    for env in range(num_envs):
        for start in range(num_steps):
            weight = 1.0
            for t in range(start, num_steps):
                future = 0.0 if terminated[t, env] else next_value[t, env]
                error = reward[t, env] + gamma * future - value[t, env]
                advantage[start, env] += weight * error
                weight *= gamma * gae_lambda
                if terminated[t, env] or truncated[t, env]:
                    break
    return advantage, value + advantage


def gae_with_float_masks(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
    gae_lambda: float,
) -> tuple[Tensor, Tensor]:
    """Masks and result in float32, as much code has them."""
    goes_on = 1.0 - (terminated | truncated).float()
    advantage = torch.zeros(reward.shape)
    later = torch.zeros(reward.shape[1])
    for t in reversed(range(len(reward))):
        delta = reward[t] + gamma * (1.0 - terminated[t].float()) * next_value[t] - value[t]
        later = delta + gamma * gae_lambda * goes_on[t] * later
        advantage[t] = later
    return advantage, advantage + value


def gae_in_numpy(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
    gae_lambda: float,
) -> tuple[Tensor, Tensor]:
    ends = np.asarray(terminated), np.asarray(truncated)
    future = np.where(ends[0], 0.0, np.asarray(next_value))
    keep = np.where(ends[0] | ends[1], 0.0, gamma * gae_lambda)
    advantage = np.asarray(reward) + gamma * future - np.asarray(value)
    for t in reversed(range(len(advantage) - 1)):
        advantage[t] += keep[t] * advantage[t + 1]
    found = torch.from_numpy(advantage)
    return found, found + value


def normalise_in_numpy(advantage: Tensor, mask: Tensor | None = None) -> Tensor:
    values = advantage.numpy().copy()
    counts = np.ones(values.shape, dtype=bool) if mask is None else np.asarray(mask)
    scaled = (values - values[counts].mean()) / (values[counts].std(ddof=1) + 1e-8)
    return torch.from_numpy(np.where(counts, scaled, 0.0))


def normalise_with_nan(advantage: Tensor, mask: Tensor | None = None) -> Tensor:
    mask = torch.ones_like(advantage, dtype=torch.bool) if mask is None else mask
    n = mask.sum()
    centred = torch.where(mask, advantage - (advantage * mask).sum() / n, 0.0)
    return centred / ((centred**2).sum() / (n - 1)).sqrt().add(1e-8)


def n_step_by_recursion(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
    n: int,
) -> Tensor:
    def ahead(t: int, left: int) -> float:
        future = 0.0
        if not terminated[t]:
            last = left == 1 or bool(truncated[t]) or t == len(reward) - 1
            future = float(next_value[t]) if last else ahead(t + 1, left - 1)
        return float(reward[t]) + gamma * future

    found = [ahead(t, n) - float(value[t]) for t in range(len(reward))]
    return torch.tensor(found, dtype=reward.dtype)


def n_step_from_the_back(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
    n: int,
) -> Tensor:
    """One step more in each round: what n - 1 steps say about the next row."""
    end = terminated | truncated
    one_step = reward + gamma * next_value * ~terminated
    target = one_step
    for _ in range(n - 1):
        later = torch.cat([target[1:], next_value[-1:]])
        target = torch.where(end, one_step, reward + gamma * later)
    return target - value
