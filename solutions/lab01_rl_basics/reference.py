"""Lab 1, reference: returns, values, Bellman's equations in numpy, and a bandit.

A known world is ``P`` of shape ``(num_obs, num_actions, num_obs)``, the probability of each next
observation, and ``R`` of shape ``(num_obs, num_actions)``, the expected reward. A policy ``pi`` has
the shape of ``R`` and rows that sum to 1; values ``V`` have shape ``(num_obs,)`` and ``Q`` that of
``R``. A terminal observation leads to itself with reward 0. Time is in environment steps.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from labkit import plots

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]


def discounted_returns(rewards: Float, gamma: float, bootstrap: float = 0.0) -> Float:
    """Return ``G_t = r_t + gamma * r_{t+1} + gamma^2 * r_{t+2} + ...`` for every step ``t``.

    Where the rewards stop because somebody stopped looking (a time limit, the end of a recording),
    ``bootstrap`` stands for all that would have followed: it counts like a return one step after
    the last reward.

    Args:
        rewards: what each step gave, shape ``(num_steps,)``, floats or whole numbers; not changed.
        gamma: discount per step, in ``[0, 1]``.
        bootstrap: value of the observation after the last step; 0 if the episode terminated.

    Returns:
        The return from each step on, floats, shape ``(num_steps,)``.

    Source: Sutton & Barto (2018), eq. 3.8 and 3.9. Their ``R_{t+1}`` is ``rewards[t]`` here.
    """
    returns = np.zeros(len(rewards))
    return_ = bootstrap
    for t in reversed(range(len(rewards))):
        return_ = rewards[t] + gamma * return_
        returns[t] = return_
    return returns


def td_target(
    reward: Float, next_value: Float, terminated: Bool, truncated: Bool, *, gamma: float
) -> Float:
    """Return ``reward + gamma * next_value``, without the second term where the step terminated.

    A terminal observation has no future, whatever ``next_value`` says about it. A time limit is not
    terminal: it ends the episode, but the value of where the agent stood still counts. A step can
    be both; then it is terminal.

    Args:
        reward: what each step gave, shape ``(batch,)``.
        next_value: estimated value of where each step led, shape ``(batch,)``.
        terminated: true where that is terminal, shape ``(batch,)``.
        truncated: true where a time limit ended the episode there, shape ``(batch,)``.
        gamma: discount per step, in ``[0, 1]``.

    Returns:
        One target per step, shape ``(batch,)``.

    Source: Sutton & Barto (2018), eq. 6.2; for time limits Pardo et al. (2018), "Time Limits in
    Reinforcement Learning".
    """
    future = np.where(terminated, 0.0, next_value)
    target: Float = reward + gamma * future
    return target


def split_episodes(terminated: Bool, truncated: Bool) -> list[slice]:
    """Return one slice per episode of a recording that runs through several of them.

    An episode ends with the step that is terminated, truncated or both; that step belongs to it.
    What follows the last end is an episode that is still going on, and has its slice too.

    Args:
        terminated: true where a step led to a terminal observation, shape ``(num_steps,)``.
        truncated: true where a time limit ended the episode, shape ``(num_steps,)``.

    Returns:
        ``slice(start, stop)`` for each episode in order, with whole numbers, so that
        ``rewards[start:stop]`` are its rewards. Every step is in exactly one of them.
    """
    episodes = []
    start = 0
    for step in range(len(terminated)):
        if terminated[step] or truncated[step]:
            episodes.append(slice(start, step + 1))
            start = step + 1
    if start < len(terminated):
        episodes.append(slice(start, len(terminated)))
    return episodes


def record(
    env: gym.Env[Any, Any], *, num_steps: int, rng: np.random.Generator
) -> tuple[Float, Bool, Bool]:
    """Act at random for ``num_steps`` steps, start anew after each end, and return what came.

    Args:
        env: environment with actions numbered from 0; is reset first.
        num_steps: steps to take, over as many episodes as that takes.
        rng: source of the actions and of the environment's seed.

    Returns:
        Rewards, where a step terminated, and where a time limit ended the episode, each of shape
        ``(num_steps,)``.
    """
    rewards = np.zeros(num_steps)
    terminated, truncated = np.zeros((2, num_steps), dtype=bool)
    env.reset(seed=int(rng.integers(1 << 31)))
    for step in range(num_steps):
        action = int(rng.integers(env.action_space.n))  # type: ignore[attr-defined]
        _, reward, terminated[step], truncated[step], _ = env.step(action)
        rewards[step] = float(reward)
        if terminated[step] or truncated[step]:
            env.reset()
    return rewards, terminated, truncated


def grid_world(
    rows: int,
    columns: int,
    *,
    step_reward: float = 0.0,
    wall_reward: float | None = None,
    terminal: Sequence[int] = (),
    jumps: Mapping[int, tuple[int, float]] | None = None,
) -> tuple[Float, Float]:
    """Return transitions and rewards of a grid with the actions up, right, down and left.

    Cells are numbered row by row. A step against the wall leaves the agent where it is.

    Args:
        rows: number of rows.
        columns: number of columns.
        step_reward: what a step gives.
        wall_reward: what a step against the wall gives; None for ``step_reward``.
        terminal: cells that end the episode.
        jumps: by cell, where every action leads from there and what it gives.

    Returns:
        ``P`` of shape ``(rows * columns, 4, rows * columns)`` and ``R`` of shape
        ``(rows * columns, 4)``.
    """
    bump = step_reward if wall_reward is None else wall_reward
    P, R = np.zeros((rows * columns, 4, rows * columns)), np.zeros((rows * columns, 4))
    for obs in range(rows * columns):
        row, column = divmod(obs, columns)
        for action, (down, right) in enumerate(((-1, 0), (0, 1), (1, 0), (0, -1))):
            inside = 0 <= row + down < rows and 0 <= column + right < columns
            next_obs = obs + down * columns + right if inside else obs
            reward = step_reward if inside else bump
            if obs in terminal:
                next_obs, reward = obs, 0.0
            elif jumps is not None and obs in jumps:
                next_obs, reward = jumps[obs]
            P[obs, action, next_obs], R[obs, action] = 1.0, reward
    return P, R


def draw_values(
    values: Float,
    *,
    rows: int,
    columns: int,
    Q: Float | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw a grid with a number in each cell, and the best actions of ``Q`` as arrows.

    Args:
        values: one number per cell, shape ``(rows * columns,)``.
        rows: number of rows.
        columns: number of columns.
        Q: action values, shape ``(rows * columns, 4)``; None draws no arrows.
        title: stands above the grid.
        ax: where to draw; None makes a new figure.
    """
    with plots.style():
        if ax is None:
            ax = plt.subplots(figsize=(0.9 * columns, 0.9 * rows), layout="constrained")[1]
        image = ax.imshow(values.reshape(rows, columns), cmap="cividis")
        for obs, value in enumerate(values):
            row, column = divmod(obs, columns)
            best: Any = [] if Q is None else np.flatnonzero(np.isclose(Q[obs], Q[obs].max()))
            text = f"{value:.1f}\n" + "".join("↑→↓←"[action] for action in best)
            dark = float(np.asarray(image.norm(value))) < 0.55
            ax.text(column, row, text.strip(), ha="center", va="center",
                    color="white" if dark else "black")  # fmt: skip
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(visible=False)
    return ax


def policy_value(P: Float, R: Float, pi: Float, *, gamma: float) -> Float:
    """Return the exact value of a policy in every observation: solve ``V = R_pi + gamma P_pi V``.

    ``R_pi`` is the expected reward and ``P_pi`` the probability of each next observation when the
    action is drawn from ``pi``.

    Args:
        P: probability of each next observation, shape ``(num_obs, num_actions, num_obs)``.
        R: expected reward, shape ``(num_obs, num_actions)``.
        pi: probability of each action, shape ``(num_obs, num_actions)``.
        gamma: discount per step, in ``[0, 1)``.

    Returns:
        ``V``, shape ``(num_obs,)``.

    Source: Sutton & Barto (2018), eq. 3.14 and section 4.1.
    """
    P_pi = np.einsum("sa,sax->sx", pi, P)
    R_pi = (pi * R).sum(axis=1)
    return np.linalg.solve(np.eye(len(P)) - gamma * P_pi, R_pi)


def q_from_v(P: Float, R: Float, V: Float, *, gamma: float) -> Float:
    """Return ``Q(s, a) = R(s, a) + gamma * sum_x P(x | s, a) V(x)`` for every pair.

    What an action is worth in ``s`` if everything after it is worth what ``V`` says.

    Args:
        P: probability of each next observation, shape ``(num_obs, num_actions, num_obs)``.
        R: expected reward, shape ``(num_obs, num_actions)``.
        V: value of each observation, shape ``(num_obs,)``.
        gamma: discount per step, in ``[0, 1]``.

    Returns:
        ``Q``, shape ``(num_obs, num_actions)``.

    Source: Sutton & Barto (2018), eq. 4.6.
    """
    Q: Float = R + gamma * P @ V
    return Q


def advantage(Q: Float, pi: Float) -> Float:
    """Return ``A(s, a) = Q(s, a) - V(s)``, with ``V(s) = sum_a pi(a | s) Q(s, a)``.

    How much better an action is than what the policy does on average; averaged over the policy it
    is 0 in every observation.

    Args:
        Q: action values of the policy, shape ``(num_obs, num_actions)``.
        pi: probability of each action, shape ``(num_obs, num_actions)``.

    Returns:
        ``A``, shape ``(num_obs, num_actions)``.

    Source: Schulman et al. (2016), "High-Dimensional Continuous Control Using Generalized Advantage
    Estimation", section 2.
    """
    V = (pi * Q).sum(axis=1, keepdims=True)
    A: Float = Q - V
    return A


def iterative_policy_eval(
    P: Float, R: Float, pi: Float, *, gamma: float, tol: float
) -> tuple[Float, int]:
    """Return the value of a policy by sweeps, and how many sweeps that took.

    Starts with ``V = 0``. A sweep replaces every ``V(s)`` by ``R_pi(s) + gamma * (P_pi V)(s)``; it
    may use the old values throughout or the new ones as soon as they are there. The sweep whose
    largest absolute change is below ``tol`` is the last one, and it counts.

    Args:
        P: probability of each next observation, shape ``(num_obs, num_actions, num_obs)``.
        R: expected reward, shape ``(num_obs, num_actions)``.
        pi: probability of each action, shape ``(num_obs, num_actions)``.
        gamma: discount per step, in ``[0, 1]``; with 1, the policy must reach a terminal
            observation from everywhere sooner or later.
        tol: largest change that still counts as none, above 0.

    Returns:
        ``V`` after the last sweep, shape ``(num_obs,)``, and the number of sweeps, an ``int``.

    Source: Sutton & Barto (2018), section 4.1, "Iterative Policy Evaluation".
    """
    P_pi = np.einsum("sa,sax->sx", pi, P)
    R_pi = (pi * R).sum(axis=1)
    V, num_sweeps, change = np.zeros(len(P)), 0, np.inf
    while change >= tol:
        new_V = R_pi + gamma * P_pi @ V
        change = abs(new_V - V).max()
        V = new_V
        num_sweeps += 1
    return V, num_sweeps


def epsilon_greedy_probs(q: Float, epsilon: float) -> Float:
    """Return the probability of each action: ``epsilon / k``, and the rest shared by the best.

    Exploring means any of the ``k`` actions, the best included. Where several actions share the
    highest value, they share the rest equally.

    Args:
        q: values of the ``k`` actions, shape ``(k,)``.
        epsilon: probability of exploring, in ``[0, 1]``.

    Returns:
        Probabilities that sum to 1, shape ``(k,)``.

    Source: Sutton & Barto (2018), section 2.2.
    """
    best = q == q.max()
    probs: Float = epsilon / q.size + (1.0 - epsilon) * best / best.sum()
    return probs


def bandit_run(
    q_star: Float,
    *,
    epsilon: float,
    num_steps: int,
    step_size: float | None,
    rng: np.random.Generator,
) -> tuple[Float, Bool]:
    """Play one bandit epsilon-greedily and learn what its arms are worth.

    All estimates start at 0. In each step the agent takes any arm with probability ``epsilon``,
    otherwise one with the highest estimate (each of several equal ones is as likely as the others);
    it gets a reward from a normal distribution with mean ``q_star[action]`` and standard deviation
    1, and moves that arm's estimate towards it: by the fraction ``step_size`` of the error, or by
    ``1 / n`` when the arm is taken for the ``n``-th time.

    Args:
        q_star: what each arm is really worth, shape ``(num_arms,)``, without ties; the agent sees
            rewards alone.
        epsilon: probability of exploring, in ``[0, 1]``.
        num_steps: how often to play.
        step_size: fraction of the error to learn, in ``(0, 1]``; None for ``1 / n``, which keeps
            every estimate the average of that arm's rewards.
        rng: source of all randomness.

    Returns:
        The reward of each step, floats, and whether its action was the one with the highest
        ``q_star``, bools; both of shape ``(num_steps,)``.

    Source: Sutton & Barto (2018), sections 2.2 to 2.5.
    """
    estimates, counts = np.zeros(q_star.size), np.zeros(q_star.size)
    rewards, optimal = np.zeros(num_steps), np.zeros(num_steps, dtype=bool)
    best_arm = q_star.argmax()
    for t in range(num_steps):
        if rng.random() < epsilon:
            action = rng.integers(q_star.size)
        else:
            greedy = np.flatnonzero(estimates == estimates.max())
            action = greedy[rng.integers(greedy.size)]
        reward = rng.normal(q_star[action])
        counts[action] += 1
        fraction = 1 / counts[action] if step_size is None else step_size
        estimates[action] += fraction * (reward - estimates[action])
        rewards[t], optimal[t] = reward, action == best_arm
    return rewards, optimal


def bandit_testbed(
    q_star: Float, *, epsilon: float, num_steps: int, rng: np.random.Generator
) -> tuple[Float, Bool]:
    """Play many bandits side by side, with sample averages: row ``i`` is a run on ``q_star[i]``.

    Args:
        q_star: what each arm is really worth, shape ``(num_bandits, num_arms)``.
        epsilon: probability of exploring, in ``[0, 1]``.
        num_steps: how often to play each bandit.
        rng: source of all randomness.

    Returns:
        Rewards, floats, and whether the best arm was taken, bools; both of shape
        ``(num_bandits, num_steps)``.

    Source: Sutton & Barto (2018), section 2.3, "The 10-armed Testbed".
    """
    num_bandits, num_arms = q_star.shape
    rows, best = np.arange(num_bandits), q_star.argmax(axis=1)
    totals, visits = np.zeros((2, num_bandits, num_arms))
    rewards = np.zeros((num_steps, num_bandits))
    optimal = np.zeros((num_steps, num_bandits), dtype=bool)
    for step in range(num_steps):
        means = totals / np.maximum(visits, 1) + 1e-9 * rng.random(totals.shape)  # ties are shared
        arm = np.where(rng.random(num_bandits) < epsilon,
                       rng.integers(num_arms, size=num_bandits), means.argmax(axis=1))  # fmt: skip
        rewards[step] = q_star[rows, arm] + rng.standard_normal(num_bandits)
        optimal[step] = arm == best
        totals[rows, arm] += rewards[step]
        visits[rows, arm] += 1
    return rewards.T, optimal.T
