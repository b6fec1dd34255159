"""Right answers in another style: loops for vectors, torch for numpy, another order of the same.

Each function is self-contained, since it is pasted into a notebook under its exercise's name.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def choose_by_probabilities(Q: Float, obs: int, epsilon: float, rng: np.random.Generator) -> int:
    best = [action for action in range(Q.shape[1]) if Q[obs, action] == max(Q[obs])]
    probs = [epsilon / Q.shape[1]] * Q.shape[1]
    for action in best:
        probs[action] += (1 - epsilon) / len(best)
    return int(rng.choice(Q.shape[1], p=probs))


def choose_by_noise(Q: Float, obs: int, epsilon: float, rng: np.random.Generator) -> np.intp:
    """Break ties by a random order of the actions; a numpy integer is an integer too."""
    order = rng.permutation(Q.shape[1])
    explores = rng.uniform() < epsilon
    choice: np.intp = order[0] if explores else order[Q[obs][order].argmax()]
    return choice


def q_update_in_python(
    Q: Float,
    obs: int,
    action: int,
    reward: float,
    next_obs: int,
    terminated: bool,
    *,
    alpha: float,
    gamma: float,
) -> None:
    target = reward
    if not terminated:
        best = -float("inf")
        for value in Q[next_obs]:
            best = max(best, value)
        target += gamma * best
    Q[obs][action] = (1 - alpha) * Q[obs][action] + alpha * target


def q_update_in_torch(
    Q: Float,
    obs: int,
    action: int,
    reward: float,
    next_obs: int,
    terminated: bool,
    *,
    alpha: float,
    gamma: float,
) -> None:
    """The tensor shares its memory with the array, so the array learns."""
    import torch

    table = torch.from_numpy(Q)
    future = 0.0 if terminated else table[next_obs].max()
    table[obs, action].lerp_(torch.as_tensor(reward + gamma * future, dtype=table.dtype), alpha)


def sarsa_update_as_average(
    Q: Float,
    obs: int,
    action: int,
    reward: float,
    next_obs: int,
    next_action: int,
    terminated: bool,
    truncated: bool,
    *,
    alpha: float,
    gamma: float,
) -> None:
    goes_on = 1.0 - float(terminated)
    target = reward + gamma * goes_on * Q[next_obs][next_action]
    Q[obs, action] = np.average([Q[obs, action], target], weights=[1 - alpha, alpha])


def sarsa_update_in_torch(
    Q: Float,
    obs: int,
    action: int,
    reward: float,
    next_obs: int,
    next_action: int,
    terminated: bool,
    truncated: bool,
    *,
    alpha: float,
    gamma: float,
) -> None:
    import torch

    table = torch.from_numpy(Q)
    error = reward - table[obs, action]
    if not terminated:
        error = error + gamma * table[next_obs, next_action]
    table[obs, action] += alpha * error


def expected_by_loop(
    Q: Float, next_obs: int, reward: float, terminated: bool, *, epsilon: float, gamma: float
) -> float:
    num_actions = Q.shape[1]
    best = [a for a in range(num_actions) if Q[next_obs, a] == Q[next_obs].max()]
    value = 0.0
    for a in range(num_actions):
        prob = epsilon / num_actions + ((1 - epsilon) / len(best) if a in best else 0.0)
        value += prob * Q[next_obs, a]
    return reward + gamma * value * (not terminated)


def expected_in_float32(
    Q: Float, next_obs: int, reward: float, terminated: bool, *, epsilon: float, gamma: float
) -> Any:
    import torch

    q = torch.tensor(Q[next_obs], dtype=torch.float32)
    probs = torch.full_like(q, epsilon / len(q))
    probs[q.argmax()] += 1 - epsilon
    return torch.tensor(reward) + (0.0 if terminated else gamma) * (probs @ q)


def double_by_swapping(
    QA: Float,
    QB: Float,
    obs: int,
    action: int,
    reward: float,
    next_obs: int,
    terminated: bool,
    *,
    alpha: float,
    gamma: float,
    rng: np.random.Generator,
) -> None:
    if rng.integers(2):
        QA, QB = QB, QA
    target = reward
    if not terminated:
        target += gamma * QB[next_obs, np.argmax(QA[next_obs])]
    QA[obs, action] = (1 - alpha) * QA[obs, action] + alpha * target


def double_by_cases(
    QA: Float,
    QB: Float,
    obs: int,
    action: int,
    reward: float,
    next_obs: int,
    terminated: bool,
    *,
    alpha: float,
    gamma: float,
    rng: np.random.Generator,
) -> None:
    future_a = future_b = 0.0
    if not terminated:
        future_a = QB[next_obs][QA[next_obs].argmax()]
        future_b = QA[next_obs][QB[next_obs].argmax()]
    if rng.choice(["heads", "tails"]) == "heads":
        QA[obs, action] += alpha * (reward + gamma * future_a - QA[obs, action])
    else:
        QB[obs, action] += alpha * (reward + gamma * future_b - QB[obs, action])


def sarsa_with_while(
    env: Any,
    Q: Float,
    *,
    epsilon: float,
    alpha: float,
    gamma: float,
    rng: np.random.Generator,
    max_steps: int,
) -> float:
    def choose(obs: int) -> int:
        if rng.random() < epsilon:
            return int(rng.integers(Q.shape[1]))
        return int(rng.choice(np.flatnonzero(Q[obs] == Q[obs].max())))

    obs, _ = env.reset()
    action, t, total, over = choose(obs), 0, 0.0, False
    while not over and t < max_steps:
        next_obs, reward, terminated, truncated, _ = env.step(action)
        total += gamma**t * reward
        if terminated:
            target = reward
        else:
            next_action = choose(next_obs)
            target = reward + gamma * Q[next_obs, next_action]
        Q[obs, action] = (1 - alpha) * Q[obs, action] + alpha * target
        over = terminated or truncated
        if not over:
            obs, action = next_obs, next_action
        t += 1
    return total


def sarsa_with_list(
    env: Any,
    Q: Float,
    *,
    epsilon: float,
    alpha: float,
    gamma: float,
    rng: np.random.Generator,
    max_steps: int,
) -> np.floating[Any]:
    """Collect the rewards and discount them at the end."""

    def probs(obs: int) -> Float:
        best = Q[obs] == Q[obs].max()
        return np.asarray(epsilon / best.size + (1 - epsilon) * best / best.sum())

    rewards: list[float] = []
    obs = env.reset()[0]
    action = rng.choice(Q.shape[1], p=probs(obs))
    while len(rewards) < max_steps:
        next_obs, reward, terminated, truncated, _ = env.step(action)
        rewards.append(reward)
        next_action = rng.choice(Q.shape[1], p=probs(next_obs))
        goes_on = not terminated
        error = reward + gamma * goes_on * Q[next_obs, next_action] - Q[obs, action]
        Q[obs, action] += alpha * error
        obs, action = next_obs, next_action
        if terminated or truncated:
            break
    discounts = gamma ** np.arange(len(rewards))
    return np.float64(discounts @ np.array(rewards, dtype=float))


def evaluate_as_list(
    env: Any,
    Q: Float,
    *,
    epsilon: float,
    num_episodes: int,
    rng: np.random.Generator,
    max_steps: int,
) -> Float:
    def play() -> float:
        obs, _ = env.reset()
        total, t, over = 0.0, 0, False
        while t < max_steps and not over:
            best = np.flatnonzero(Q[obs] == Q[obs].max())
            action = rng.integers(Q.shape[1]) if rng.random() < epsilon else rng.choice(best)
            obs, reward, terminated, truncated, _ = env.step(action)
            total, t, over = total + reward, t + 1, terminated or truncated
        return total

    return np.array([play() for _ in range(num_episodes)])


def evaluate_in_float32(
    env: Any,
    Q: Float,
    *,
    epsilon: float,
    num_episodes: int,
    rng: np.random.Generator,
    max_steps: int,
) -> NDArray[np.float32]:
    returns = np.zeros(num_episodes, dtype=np.float32)
    best = Q.max(axis=1, keepdims=True) == Q
    policy = epsilon / Q.shape[1] + (1 - epsilon) * best / best.sum(axis=1, keepdims=True)
    for i in range(num_episodes):
        obs = env.reset()[0]
        for _ in range(max_steps):
            obs, reward, terminated, truncated, _ = env.step(rng.choice(Q.shape[1], p=policy[obs]))
            returns[i] += reward
            if terminated or truncated:
                break
    return returns


def value_by_sweeps(P: Float, R: Float, Q: Float, *, epsilon: float, gamma: float) -> Float:
    """Repeat Bellman's equation until nothing moves; terminal observations stay at 0."""
    num_obs, num_actions = R.shape
    V = np.zeros(num_obs)
    for _ in range(100_000):
        old = V.copy()
        for s in range(num_obs):
            best = Q[s] == Q[s].max()
            pi = epsilon / num_actions + (1 - epsilon) * best / best.sum()
            V[s] = pi @ (R[s] + gamma * P[s] @ V)
        if abs(V - old).max() < 1e-13:
            break
    return V


def value_in_torch(P: Float, R: Float, Q: Float, *, epsilon: float, gamma: float) -> Any:
    import torch

    model, reward, table = (torch.tensor(x, dtype=torch.float64) for x in (P, R, Q))
    best = (table == table.max(dim=1, keepdim=True).values).double()
    pi = epsilon / table.shape[1] + (1 - epsilon) * best / best.sum(dim=1, keepdim=True)
    P_pi = torch.einsum("sa,sax->sx", pi, model)
    ends = (model.diagonal(dim1=0, dim2=2) == 1).all(dim=0) & (reward == 0).all(dim=1)
    P_pi[ends] = 0.0
    return torch.linalg.solve(torch.eye(len(P)).double() - gamma * P_pi, (pi * reward).sum(dim=1))


def q_learning_with_while(
    env: Any,
    Q: Float,
    *,
    epsilon: float,
    alpha: float,
    gamma: float,
    rng: np.random.Generator,
    max_steps: int,
) -> float:
    obs, _ = env.reset()
    total, t, over = 0.0, 0, False
    while t < max_steps and not over:
        best = np.flatnonzero(Q[obs] == Q[obs].max())
        action = rng.integers(Q.shape[1]) if rng.random() < epsilon else rng.choice(best)
        next_obs, reward, terminated, truncated, _ = env.step(action)
        target = reward if terminated else reward + gamma * Q[next_obs].max()
        Q[obs, action] = (1 - alpha) * Q[obs, action] + alpha * target
        obs, total, t, over = next_obs, total + reward, t + 1, terminated or truncated
    return total


def q_learning_with_zeroed_future(
    env: Any,
    Q: Float,
    *,
    epsilon: float,
    alpha: float,
    gamma: float,
    rng: np.random.Generator,
    max_steps: int,
) -> float:
    total_reward, over, obs = 0.0, False, env.reset()[0]
    for _ in range(max_steps):
        if over:
            break
        probs = np.full(Q.shape[1], epsilon / Q.shape[1])
        best = Q[obs] == max(Q[obs])
        probs[best] += (1 - epsilon) / best.sum()
        action = rng.choice(Q.shape[1], p=probs)
        before, (obs, reward, terminated, truncated, _) = obs, env.step(action)
        future = np.where(terminated, 0.0, Q[obs]).max()
        Q[before, action] += alpha * (reward + gamma * future - Q[before, action])
        total_reward += reward
        over = terminated or truncated
    return total_reward
