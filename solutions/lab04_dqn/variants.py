"""Right answers in another style: loops for vectors, numpy for torch, another order of the same.

Each of them is self-contained, since it is pasted into a notebook under its exercise's name.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Batch = dict[str, NDArray[Any]]
Rng = np.random.Generator


class ReplayInADeque:
    """A deque of tuples drops its oldest by itself; whatever it holds is drawn by index."""

    def __init__(self, capacity: int, obs_shape: tuple[int, ...]) -> None:
        from collections import deque

        self.rows: deque[tuple[Any, ...]] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self.rows)

    def add(
        self,
        obs: NDArray[Any],
        action: int,
        reward: float,
        next_obs: NDArray[Any],
        terminated: bool,
    ) -> None:
        row = np.array(obs), action, np.float32(reward), np.array(next_obs), terminated
        self.rows.append(row)

    def sample(self, batch_size: int, rng: Rng) -> Batch:
        drawn = [self.rows[i] for i in rng.choice(len(self.rows), size=batch_size)]
        obs, action, reward, next_obs, terminated = map(np.array, zip(*drawn, strict=True))
        return {
            "terminated": terminated,
            "obs": obs,
            "next_obs": next_obs,
            "reward": reward,
            "action": action,
        }


class ReplayInTensors:
    """A cursor that goes round, and a flag for having been round."""

    def __init__(self, capacity: int, obs_shape: tuple[int, ...]) -> None:
        self.store = {
            "obs": torch.empty(capacity, *obs_shape),
            "action": torch.empty(capacity, dtype=torch.int64),
            "reward": torch.empty(capacity),
            "next_obs": torch.empty(capacity, *obs_shape),
            "terminated": torch.empty(capacity, dtype=torch.bool),
        }
        self.capacity, self.cursor, self.full = capacity, 0, False

    def __len__(self) -> int:
        return self.capacity if self.full else self.cursor

    def add(
        self,
        obs: NDArray[Any],
        action: int,
        reward: float,
        next_obs: NDArray[Any],
        terminated: bool,
    ) -> None:
        given = (obs, action, reward, next_obs, terminated)
        for column, value in zip(self.store.values(), given, strict=True):
            column[self.cursor] = torch.as_tensor(value)
        self.cursor += 1
        if self.cursor == self.capacity:
            self.cursor, self.full = 0, True

    def sample(self, batch_size: int, rng: Rng) -> Batch:
        row = (rng.random(batch_size) * len(self)).astype(int)
        return {name: column[row].numpy() for name, column in self.store.items()}


def gather_by_index(q: Tensor, action: Tensor) -> Tensor:
    return q[torch.arange(len(q)), action]


def gather_one_hot(q: Tensor, action: Tensor) -> Tensor:
    return (q * torch.nn.functional.one_hot(action, q.shape[1])).sum(dim=1)


def target_without_grad(
    next_q_target: Tensor,
    reward: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
) -> Tensor:
    with torch.no_grad():
        best, _ = torch.max(next_q_target, dim=-1)
        return reward + gamma * (1.0 - terminated.to(best.dtype)) * best


def target_by_loop(
    next_q_target: Tensor,
    reward: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
) -> Tensor:
    target = []
    for values, paid, is_terminal in zip(next_q_target, reward, terminated, strict=True):
        following = 0.0 if is_terminal else max(values.tolist())
        target.append(float(paid) + gamma * following)
    return torch.tensor(target, dtype=reward.dtype)


def double_by_index(
    next_q_online: Tensor,
    next_q_target: Tensor,
    reward: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
) -> Tensor:
    with torch.no_grad():
        value = next_q_target[torch.arange(len(reward)), next_q_online.max(dim=1).indices]
        value = value.masked_fill(terminated, 0.0)
        return gamma * value + reward


def double_in_numpy(
    next_q_online: Tensor,
    next_q_target: Tensor,
    reward: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
) -> Tensor:
    online, target = next_q_online.detach().numpy(), next_q_target.detach().numpy()
    value = np.take_along_axis(target, online.argmax(axis=1)[:, None], axis=1)[:, 0]
    found = reward.numpy() + gamma * np.where(terminated.numpy(), 0.0, value)
    return torch.from_numpy(found)


def huber_in_torch(pred: Tensor, target: Tensor, *, delta: float = 1.0) -> Tensor:
    return torch.nn.functional.huber_loss(pred, target, delta=delta)


def huber_by_clamping(pred: Tensor, target: Tensor, *, delta: float = 1.0) -> Tensor:
    """The part of the error within delta, squared, and what is beyond it, times delta."""
    size = torch.abs(target - pred)
    within = torch.clamp(size, max=delta)
    return (0.5 * within * within + delta * (size - within)).sum() / len(size)


def sync_by_state(online: nn.Module, target: nn.Module, *, tau: float = 1.0) -> None:
    """A new state, whose parameters are mixed and whose buffers are not, loaded as a whole."""
    mixed, learned = target.state_dict(), dict(online.named_parameters())
    for name, new in online.state_dict().items():
        weight = tau if name in learned else 1.0
        mixed[name] = new if weight == 1.0 else weight * new + (1.0 - weight) * mixed[name]
    target.load_state_dict(mixed)


def sync_by_lerp(online: nn.Module, target: nn.Module, *, tau: float = 1.0) -> None:
    for new, old in zip(online.parameters(), target.parameters(), strict=True):
        old.data.lerp_(new.data, tau)
    for name, buffer in online.named_buffers():
        target.get_buffer(name).data.copy_(buffer)


def schedule_by_cases(step: int, *, start: float, end: float, fraction: float, total: int) -> float:
    duration = fraction * total
    if step >= duration:
        return end
    return start * (1.0 - step / duration) + end * step / duration


def schedule_by_interpolation(
    step: int, *, start: float, end: float, fraction: float, total: int
) -> float:
    return float(np.interp(step, [0.0, fraction * total], [start, end]))


def kd_in_torch(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float) -> Tensor:
    student = torch.log_softmax(student_logits / temperature, dim=-1)
    teacher = torch.log_softmax(teacher_logits / temperature, dim=-1).detach()
    divergence = torch.nn.functional.kl_div(
        student, teacher, reduction="batchmean", log_target=True
    )
    return divergence * temperature * temperature


def kd_by_cross_entropy(
    student_logits: Tensor, teacher_logits: Tensor, *, temperature: float
) -> Tensor:
    """KL is cross-entropy less entropy, and the second has no gradient."""
    with torch.no_grad():
        scaled = teacher_logits / temperature
        p = torch.softmax(scaled, dim=1)
        entropy = torch.logsumexp(scaled, dim=1) - (p * scaled).sum(dim=1)
    scaled = student_logits / temperature
    cross = torch.logsumexp(scaled, dim=1) - (p * scaled).sum(dim=1)
    return temperature**2 * torch.mean(cross - entropy)


def store_by_loop(
    obs: NDArray[Any],
    action: NDArray[Any],
    reward: NDArray[Any],
    next_obs: NDArray[Any],
    terminated: NDArray[np.bool_],
    truncated: NDArray[np.bool_],
    infos: dict[str, Any],
    *,
    mode: str,
    ended_before: NDArray[np.bool_],
) -> Batch:
    rows = []
    for env in range(len(obs)):
        if mode == "next_step" and ended_before[env]:
            continue
        last = next_obs[env]
        if mode == "same_step" and (terminated[env] or truncated[env]):
            last = infos["final_obs"][env]
        rows.append((obs[env], action[env], reward[env], last, terminated[env]))
    names = ("obs", "action", "reward", "next_obs", "terminated")
    return {name: np.array([row[at] for row in rows]) for at, name in enumerate(names)}


def store_by_where(
    obs: NDArray[Any],
    action: NDArray[Any],
    reward: NDArray[Any],
    next_obs: NDArray[Any],
    terminated: NDArray[np.bool_],
    truncated: NDArray[np.bool_],
    infos: dict[str, Any],
    *,
    mode: str,
    ended_before: NDArray[np.bool_],
) -> Batch:
    """Believes ``infos`` about which environments ended."""
    final = next_obs.copy()
    if mode == "same_step" and "final_obs" in infos:
        which = infos["_final_obs"]
        final[which] = np.stack(infos["final_obs"][which])
    keep = np.flatnonzero(~ended_before) if mode == "next_step" else np.arange(len(obs))
    return {
        "obs": obs[keep],
        "action": action[keep],
        "reward": reward[keep],
        "next_obs": final[keep],
        "terminated": terminated[keep],
    }
