"""Right answers in another style: loops for vectors, torch for numpy, another order of the same.

Each function is self-contained, since it is pasted into a notebook under its exercise's name.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]


def returns_by_powers(rewards: Float, gamma: float, bootstrap: float = 0.0) -> Float:
    """The definition itself: a matrix of powers of gamma, 0 below its diagonal."""
    everything = np.append(rewards, bootstrap)
    steps = np.arange(len(everything))
    ahead = steps[None, :] - steps[:, None]
    weights = np.where(ahead >= 0, gamma ** np.maximum(ahead, 0), 0.0)
    return np.asarray(weights @ everything)[:-1]


def returns_in_torch(rewards: Float, gamma: float, bootstrap: float = 0.0) -> Any:
    import torch

    found = [torch.tensor(bootstrap, dtype=torch.float32)]
    for reward in torch.tensor(rewards, dtype=torch.float32).flip(0):
        found.append(reward + gamma * found[-1])
    return torch.stack(found[:0:-1])


def targets_by_loop(
    reward: Float, next_value: Float, terminated: Bool, truncated: Bool, *, gamma: float
) -> Float:
    targets = []
    for r, v, is_terminal, _ in zip(reward, next_value, terminated, truncated, strict=True):
        targets.append(float(r) if is_terminal else r + gamma * v)
    return np.array(targets)


def targets_in_torch(
    reward: Float, next_value: Float, terminated: Bool, truncated: Bool, *, gamma: float
) -> Any:
    import torch

    goes_on = 1.0 - torch.tensor(terminated).float()
    return torch.tensor(reward).float() + gamma * goes_on * torch.tensor(next_value).float()


def episodes_by_cuts(terminated: Bool, truncated: Bool) -> list[slice]:
    """numpy's own whole numbers, and a cut after the last step."""
    cuts = np.flatnonzero(np.logical_or(terminated, truncated)) + 1
    if terminated.size and (not cuts.size or cuts[-1] != terminated.size):
        cuts = np.append(cuts, terminated.size)
    return [slice(a, b) for a, b in zip(np.append(0, cuts)[:-1], cuts, strict=True)]


def episodes_by_lengths(terminated: Bool, truncated: Bool) -> list[slice]:
    """Collect the steps of each episode; their first and last give the slice."""
    episodes: list[list[int]] = []
    is_new = True
    for t, (ends, stops) in enumerate(zip(terminated, truncated, strict=True)):
        if is_new:
            episodes.append([])
        episodes[-1].append(t)
        is_new = bool(ends or stops)
    return [slice(steps[0], steps[-1] + 1, 1) for steps in episodes]


def value_by_sums(P: Float, R: Float, pi: Float, *, gamma: float) -> Float:
    """The inverse of ``I - gamma P_pi``, everything before it in loops."""
    num_obs, num_actions = R.shape
    rows, rewards = [], []
    for s in range(num_obs):
        rows.append(sum(pi[s, a] * P[s, a] for a in range(num_actions)))
        rewards.append(sum(pi[s, a] * R[s, a] for a in range(num_actions)))
    return np.asarray(np.linalg.inv(np.identity(num_obs) - gamma * np.array(rows)) @ rewards)


def value_in_float32(P: Float, R: Float, pi: Float, *, gamma: float) -> Any:
    import torch

    model, reward, policy = (torch.tensor(x, dtype=torch.float32) for x in (P, R, pi))
    step = (policy[:, :, None] * model).sum(dim=1)
    right = torch.linalg.vecdot(policy, reward)
    return torch.linalg.solve(torch.eye(len(right)) - gamma * step, right)


def q_by_loops(P: Float, R: Float, V: Float, *, gamma: float) -> Float:
    Q = np.zeros_like(R)
    for s, row in enumerate(P):
        for a, chances in enumerate(row):
            Q[s, a] = R[s, a] + gamma * sum(p * v for p, v in zip(chances, V, strict=True))
    return Q


def q_in_torch(P: Float, R: Float, V: Float, *, gamma: float) -> Any:
    import torch

    future = torch.einsum("sax,x->sa", torch.from_numpy(P), torch.from_numpy(V))
    return torch.from_numpy(R) + gamma * future


def advantage_by_loop(Q: Float, pi: Float) -> Float:
    rows = []
    for q, chances in zip(Q, pi, strict=True):
        value = sum(p * x for p, x in zip(chances, q, strict=True))
        rows.append([x - value for x in q])
    return np.array(rows)


def advantage_in_torch(Q: Float, pi: Float) -> Any:
    import torch

    q, policy = torch.tensor(Q, dtype=torch.float32), torch.tensor(pi, dtype=torch.float32)
    return q - torch.einsum("sa,sa->s", q, policy).unsqueeze(1)


def sweeps_in_place(
    P: Float, R: Float, pi: Float, *, gamma: float, tol: float
) -> tuple[Float, int]:
    """One array: a value that is new is used at once."""
    V = np.zeros(len(R))
    count = 0
    while True:
        largest = 0.0
        count += 1
        for s in range(len(V)):
            before = V[s]
            V[s] = sum(pi[s, a] * (R[s, a] + gamma * P[s, a] @ V) for a in range(R.shape[1]))
            largest = max(largest, abs(V[s] - before))
        if largest < tol:
            return V, count


def sweeps_backwards(
    P: Float, R: Float, pi: Float, *, gamma: float, tol: float
) -> tuple[Float, np.intp]:
    """In place, from the last observation to the first; a numpy integer is an integer too."""
    V, num_sweeps = np.zeros(len(R)), np.intp(0)
    while True:
        old = V.copy()
        for s in reversed(range(len(V))):
            V[s] = pi[s] @ (R[s] + gamma * P[s] @ V)
        num_sweeps += 1
        if abs(V - old).max() < tol:
            return V, num_sweeps


def sweeps_in_torch(P: Float, R: Float, pi: Float, *, gamma: float, tol: float) -> Any:
    import torch

    model, reward, policy = (torch.from_numpy(x) for x in (P, R, pi))
    V = torch.zeros(len(R), dtype=torch.float64)
    for num_sweeps in range(1, 100_000):
        Q = reward + gamma * model @ V
        V, old = (policy * Q).sum(dim=1), V
        if torch.linalg.vector_norm(V - old, ord=torch.inf) < tol:
            return V, num_sweeps
    raise RuntimeError("no end")


def probs_by_loop(q: Float, epsilon: float) -> Float:
    best = [arm for arm in range(len(q)) if q[arm] == max(q)]
    probs = [epsilon / len(q)] * len(q)
    for arm in best:
        probs[arm] += (1 - epsilon) / len(best)
    return np.array(probs)


def probs_in_float32(q: Float, epsilon: float) -> Any:
    import torch

    values = torch.tensor(q, dtype=torch.float32)
    greedy = (values == values.amax()).float()
    uniform = torch.full_like(values, 1 / values.numel())
    return torch.lerp(greedy / greedy.sum(), uniform, epsilon)


def bandit_with_lists(
    q_star: Float,
    *,
    epsilon: float,
    num_steps: int,
    step_size: float | None,
    rng: np.random.Generator,
) -> tuple[Float, Bool]:
    """Plain Python; ties are broken by a random order, chance is drawn ahead of time."""
    num_arms = len(q_star)
    estimates, visits = [0.0] * num_arms, [0] * num_arms
    noise, explores = rng.standard_normal(num_steps), rng.random(num_steps) < epsilon
    rewards, chosen = [], []
    for t in range(num_steps):
        order = rng.permutation(num_arms).tolist()
        arm = order[0] if explores[t] else max(order, key=estimates.__getitem__)
        reward = float(q_star[arm] + noise[t])
        visits[arm] += 1
        weight = step_size if step_size is not None else 1.0 / visits[arm]
        estimates[arm] = (1.0 - weight) * estimates[arm] + weight * reward
        rewards.append(reward)
        chosen.append(arm)
    return np.array(rewards), np.array(chosen) == np.argmax(q_star)


def bandit_with_totals(
    q_star: Float,
    *,
    epsilon: float,
    num_steps: int,
    step_size: float | None,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], Bool]:
    """Averages from sums and counts; probabilities for the choice; float32 for the rewards."""
    k = q_star.size
    sums, counts, moving = np.zeros(k), np.zeros(k, dtype=int), np.zeros(k)
    rewards, optimal = np.zeros(num_steps, dtype=np.float32), np.full(num_steps, False)
    for t in range(num_steps):
        q = sums / np.maximum(counts, 1) if step_size is None else moving
        best = q == q.max()
        probs = np.cumsum(epsilon / k + (1 - epsilon) * best / best.sum())
        arm = min(int(np.searchsorted(probs, rng.random())), k - 1)
        rewards[t] = reward = rng.normal(q_star[arm], 1.0)
        optimal[t] = q_star[arm] == max(q_star)
        sums[arm] += reward
        counts[arm] += 1
        if step_size is not None:
            moving[arm] += step_size * (reward - moving[arm])
    return rewards, optimal
