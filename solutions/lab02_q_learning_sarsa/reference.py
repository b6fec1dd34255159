"""Lab 2, reference: Q-learning, SARSA, Expected SARSA and Double Q-learning in tables.

``Q`` has shape ``(num_obs, num_actions)`` and holds values in reward units; observations and
actions are whole numbers; time is in environment steps. Functions that learn change ``Q`` in place.
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from labkit.runtime import progress

Float = NDArray[np.float64]
TabularEnv = gym.Env[Any, Any]
Episode = Callable[[TabularEnv, Float, np.random.Generator], float]


def choose_action(Q: Float, obs: int, epsilon: float, rng: np.random.Generator) -> int:
    """Return a random action with probability ``epsilon``, otherwise one of the best.

    The random action is any action, the best included. Where several actions share the highest
    value, each of them is as likely as the others.

    Args:
        Q: action values, shape ``(num_obs, num_actions)``.
        obs: the observation to act on.
        epsilon: probability of exploring, in ``[0, 1]``.
        rng: source of all randomness.

    Returns:
        The action, an ``int`` from 0 to ``num_actions - 1``.

    Source: Sutton & Barto (2018), section 2.2.
    """
    q = Q[obs]
    if rng.random() < epsilon:
        return int(rng.integers(q.size))
    best = np.flatnonzero(q == q.max())
    return int(best[rng.integers(best.size)])


def q_update(
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
    """Move ``Q[obs, action]`` towards ``reward + gamma * max_a Q[next_obs, a]``, in place.

    A terminal observation has no future, whatever its row of ``Q`` holds.

    Args:
        Q: action values, shape ``(num_obs, num_actions)``; one entry changes.
        obs: where the agent was.
        action: what it did there.
        reward: what it got for it.
        next_obs: where that led.
        terminated: true if ``next_obs`` is terminal.
        alpha: step size, in ``(0, 1]``.
        gamma: discount per step, in ``[0, 1]``.

    Source: Watkins (1989); Sutton & Barto (2018), eq. 6.8.
    """
    future = 0.0 if terminated else Q[next_obs].max()
    target = reward + gamma * future
    Q[obs, action] += alpha * (target - Q[obs, action])


def sarsa_update(
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
    """Move ``Q[obs, action]`` towards ``reward + gamma * Q[next_obs, next_action]``, in place.

    A terminal observation has no future. A time limit is not terminal: it ends the episode, but
    the value of where the agent stood still counts.

    Args:
        Q: action values, shape ``(num_obs, num_actions)``; one entry changes.
        obs: where the agent was.
        action: what it did there.
        reward: what it got for it.
        next_obs: where that led.
        next_action: what the agent chose to do there; means nothing if ``next_obs`` is terminal.
        terminated: true if ``next_obs`` is terminal.
        truncated: true if a time limit ended the episode at ``next_obs``.
        alpha: step size, in ``(0, 1]``.
        gamma: discount per step, in ``[0, 1]``.

    Source: Rummery & Niranjan (1994); Sutton & Barto (2018), eq. 6.7.
    """
    future = 0.0 if terminated else Q[next_obs, next_action]
    target = reward + gamma * future
    Q[obs, action] += alpha * (target - Q[obs, action])


def expected_sarsa_target(
    Q: Float,
    next_obs: int,
    reward: float,
    terminated: bool,
    *,
    epsilon: float,
    gamma: float,
) -> float:
    """Return ``reward + gamma * sum_a pi(a | next_obs) Q[next_obs, a]``, ``pi`` epsilon-greedy.

    Args:
        Q: action values, shape ``(num_obs, num_actions)``; not changed.
        next_obs: where the step led.
        reward: what the step gave.
        terminated: true if ``next_obs`` is terminal, and so has no future.
        epsilon: probability that ``pi`` explores, over all actions, in ``[0, 1]``.
        gamma: discount per step, in ``[0, 1]``.

    Source: van Seijen et al. (2009); Sutton & Barto (2018), eq. 6.9.
    """
    if terminated:
        return float(reward)
    q = Q[next_obs]
    expected = (1 - epsilon) * q.max() + epsilon * q.mean()
    return float(reward + gamma * expected)


def double_q_update(
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
    """Update ``QA`` or ``QB``, by the toss of a fair coin: one table chooses, the other values.

    When ``QA`` learns, its target is ``reward + gamma * QB[next_obs, argmax_a QA[next_obs, a]]``;
    when ``QB`` learns, the tables change roles.

    Args:
        QA: first table of action values, shape ``(num_obs, num_actions)``.
        QB: second table, of the same shape; one entry of one table changes.
        obs: where the agent was.
        action: what it did there.
        reward: what it got for it.
        next_obs: where that led.
        terminated: true if ``next_obs`` is terminal, and so has no future.
        alpha: step size, in ``(0, 1]``.
        gamma: discount per step, in ``[0, 1]``.
        rng: source of the coin.

    Source: van Hasselt (2010); Sutton & Barto (2018), eq. 6.10.
    """
    learner, judge = (QA, QB) if rng.random() < 0.5 else (QB, QA)
    choice = learner[next_obs].argmax()
    future = 0.0 if terminated else judge[next_obs, choice]
    learner[obs, action] += alpha * (reward + gamma * future - learner[obs, action])


def epsilon_greedy_probs(q: Float, epsilon: float) -> Float:
    """Return the probability of each action: ``epsilon / k``, and the rest shared by the best.

    Args:
        q: values of the ``k`` actions, shape ``(k,)``.
        epsilon: probability of exploring, in ``[0, 1]``.

    Source: Sutton & Barto (2018), section 2.2. You wrote this in lab 1.
    """
    best = q == q.max()
    probs: Float = epsilon / q.size + (1.0 - epsilon) * best / best.sum()
    return probs


def run_episode_sarsa(
    env: TabularEnv,
    Q: Float,
    *,
    epsilon: float,
    alpha: float,
    gamma: float,
    rng: np.random.Generator,
    max_steps: int,
) -> float:
    """Play one episode, learn by SARSA after every step, and return the discounted return.

    The action whose value is in the target is the action that is taken next. The episode ends
    where the environment terminates or truncates it, and after ``max_steps`` steps at the latest;
    only a terminal observation is without a future.

    Args:
        env: environment with whole numbers for observations and actions; is reset first.
        Q: action values, shape ``(num_obs, num_actions)``; learns in place.
        epsilon: probability of exploring, in ``[0, 1]``.
        alpha: step size, in ``(0, 1]``.
        gamma: discount per step, in ``[0, 1]``.
        rng: source of the actions; the environment has its own.
        max_steps: most steps to take.

    Returns:
        ``r_1 + gamma * r_2 + gamma^2 * r_3 + ...`` of this episode.

    Source: Sutton & Barto (2018), section 6.4, "Sarsa (on-policy TD control)".
    """
    return_, discount = 0.0, 1.0
    obs, _ = env.reset()
    action = rng.choice(Q.shape[1], p=epsilon_greedy_probs(Q[obs], epsilon))
    for _ in range(max_steps):
        next_obs, reward, terminated, truncated, _ = env.step(action)
        reward = float(reward)
        next_action = rng.choice(Q.shape[1], p=epsilon_greedy_probs(Q[next_obs], epsilon))
        future = 0.0 if terminated else Q[next_obs, next_action]
        Q[obs, action] += alpha * (reward + gamma * future - Q[obs, action])
        return_ += discount * reward
        discount *= gamma
        if terminated or truncated:
            break
        obs, action = next_obs, next_action
    return return_


def evaluate(
    env: TabularEnv,
    Q: Float,
    *,
    epsilon: float,
    num_episodes: int,
    rng: np.random.Generator,
    max_steps: int,
) -> Float:
    """Return the sum of rewards of each of ``num_episodes`` epsilon-greedy episodes; ``Q`` rests.

    Args:
        env: environment with whole numbers for observations and actions; is reset for each episode.
        Q: action values, shape ``(num_obs, num_actions)``; not changed.
        epsilon: probability of exploring, in ``[0, 1]``; 0 follows the greedy policy.
        num_episodes: how many episodes to play.
        rng: source of the actions; the environment has its own.
        max_steps: most steps to take in an episode.

    Returns:
        Undiscounted returns, shape ``(num_episodes,)``.
    """
    returns = np.zeros(num_episodes)
    for episode in range(num_episodes):
        obs, _ = env.reset()
        for _ in range(max_steps):
            action = rng.choice(Q.shape[1], p=epsilon_greedy_probs(Q[obs], epsilon))
            obs, reward, terminated, truncated, _ = env.step(action)
            returns[episode] += reward
            if terminated or truncated:
                break
    return returns


def cliff_model(env: TabularEnv) -> tuple[Float, Float]:
    """Return the transitions and rewards of a Gymnasium table, with absorbing terminal states.

    Gymnasium's own table lets the agent walk out of the goal again and marks the step *into* it as
    terminated. Here an observation that such a step leads to keeps the agent, for a reward of 0.

    Args:
        env: environment whose ``unwrapped.P[obs][action]`` lists
            ``(probability, next_obs, reward, terminated)``.

    Returns:
        ``P`` of shape ``(num_obs, num_actions, num_obs)``, the probability of each next
        observation, and ``R`` of shape ``(num_obs, num_actions)``, the expected reward.
    """
    table = env.unwrapped.P  # type: ignore[attr-defined]
    P = np.zeros((len(table), len(table[0]), len(table)))
    R = np.zeros(P.shape[:2])
    terminal = set()
    for obs, actions in table.items():
        for action, outcomes in actions.items():
            for probability, next_obs, reward, terminated in outcomes:
                P[obs, action, next_obs] += probability
                R[obs, action] += probability * reward
                terminal |= {next_obs} if terminated else set()
    for obs in terminal:
        P[obs], R[obs] = 0.0, 0.0
        P[obs, :, obs] = 1.0
    return P, R


def eps_soft_value(P: Float, R: Float, Q: Float, *, epsilon: float, gamma: float) -> Float:
    """Return the exact value of the epsilon-greedy policy of ``Q`` in every observation.

    Solves ``V = R_pi + gamma * P_pi V``. A terminal observation is one that every action leads
    back to with reward 0; its value is 0. With ``gamma`` 1, the policy must reach one from
    everywhere sooner or later.

    Args:
        P: probability of each next observation, shape ``(num_obs, num_actions, num_obs)``.
        R: expected reward, shape ``(num_obs, num_actions)``.
        Q: action values that the policy is epsilon-greedy to; ties share their probability.
        epsilon: probability of exploring, in ``[0, 1]``.
        gamma: discount per step, in ``[0, 1]``.

    Returns:
        ``V``, shape ``(num_obs,)``.

    Source: Sutton & Barto (2018), eq. 4.4; for epsilon-soft policies section 5.4.
    """
    pi = np.array([epsilon_greedy_probs(q, epsilon) for q in Q])
    P_pi = np.einsum("sa,sax->sx", pi, P)
    R_pi = (pi * R).sum(axis=1)
    stays = P.diagonal(axis1=0, axis2=2).T == 1.0
    live = ~(stays & (R == 0.0)).all(axis=1)
    V = np.zeros(len(P))
    system = np.eye(live.sum()) - gamma * P_pi[np.ix_(live, live)]
    V[live] = np.linalg.solve(system, R_pi[live])
    return V


def best_eps_soft(
    P: Float, R: Float, *, epsilon: float, gamma: float, value: Callable[..., Float]
) -> Float:
    """Return the action values of the best policy that explores with ``epsilon``.

    Improves a policy until it no longer changes: value it exactly, be greedy to that, repeat.
    Values are rounded to nine digits, so that equal actions stay equal and share their probability.

    Args:
        P: probability of each next observation, shape ``(num_obs, num_actions, num_obs)``.
        R: expected reward, shape ``(num_obs, num_actions)``.
        epsilon: probability of exploring, in ``[0, 1]``; 0 leaves the optimal policy's ``Q*``.
        gamma: discount per step, in ``[0, 1]``.
        value: your ``eps_soft_value``.

    Returns:
        ``Q``, shape ``(num_obs, num_actions)``.
    """
    Q = np.zeros(R.shape)
    for _ in range(1_000):
        V = value(P, R, Q, epsilon=epsilon, gamma=gamma)
        better = np.round(R + gamma * P @ V, 9)
        if np.array_equal(better, Q):
            return Q
        Q = better
    raise RuntimeError("the policy did not settle: is the value exact?")


def greedy_path(P: Float, Q: Float, start: int, max_steps: int = 100) -> list[int]:
    """Return the observations that the greedy policy visits, from ``start`` to a terminal one.

    Stops after ``max_steps`` steps where the policy runs in circles. The first of equal actions is
    taken; steps lead to the likeliest next observation.

    Args:
        P: probability of each next observation, shape ``(num_obs, num_actions, num_obs)``.
        Q: action values, shape ``(num_obs, num_actions)``.
        start: the first observation.
        max_steps: most steps to take.
    """
    path = [start]
    while len(path) <= max_steps and not (P[path[-1], :, path[-1]] == 1.0).all():
        path.append(int(P[path[-1], Q[path[-1]].argmax()].argmax()))
    return path


def q_learning_episode(
    env: TabularEnv,
    Q: Float,
    *,
    epsilon: float,
    alpha: float,
    gamma: float,
    rng: np.random.Generator,
    max_steps: int,
) -> float:
    """Play one epsilon-greedy episode, learn by Q-learning after every step, return its rewards.

    Args:
        env: environment with whole numbers for observations and actions; is reset first.
        Q: action values, shape ``(num_obs, num_actions)``; learns in place.
        epsilon: probability of exploring, in ``[0, 1]``.
        alpha: step size, in ``(0, 1]``.
        gamma: discount per step, in ``[0, 1]``.
        rng: source of the actions; the environment has its own.
        max_steps: most steps to take.

    Returns:
        The undiscounted sum of the episode's rewards.

    Source: Sutton & Barto (2018), section 6.5, "Q-learning (off-policy TD control)".
    """
    total_reward = 0.0
    obs, _ = env.reset()
    for _ in range(max_steps):
        probs = epsilon_greedy_probs(Q[obs], epsilon)
        action = int(rng.choice(probs.size, p=probs))
        next_obs, reward, terminated, truncated, _ = env.step(action)
        total_reward += float(reward)
        best_next = (not terminated) * Q[next_obs].max()
        Q[obs, action] += alpha * (reward + gamma * best_next - Q[obs, action])
        obs = next_obs
        if terminated or truncated:
            break
    return total_reward


def expected_sarsa_episode(
    env: TabularEnv,
    Q: Float,
    target: Callable[..., float],
    choose: Callable[..., int],
    *,
    epsilon: float,
    alpha: float,
    gamma: float,
    rng: np.random.Generator,
    max_steps: int,
) -> float:
    """Play one episode, learn by Expected SARSA after every step, and return the sum of rewards.

    Args:
        env: environment with whole numbers for observations and actions; is reset first.
        Q: action values, shape ``(num_obs, num_actions)``; learns in place.
        target: your ``expected_sarsa_target``.
        choose: your ``choose_action``.
        epsilon: probability of exploring, in ``[0, 1]``.
        alpha: step size, in ``(0, 1]``.
        gamma: discount per step, in ``[0, 1]``.
        rng: source of the actions; the environment has its own.
        max_steps: most steps to take.
    """
    total, here = 0.0, env.reset()[0]
    for _ in range(max_steps):
        action = choose(Q, here, epsilon, rng)
        there, reward, terminated, truncated, _info = env.step(action)
        y = target(Q, there, float(reward), terminated, epsilon=epsilon, gamma=gamma)
        Q[here, action] = (1 - alpha) * Q[here, action] + alpha * y
        total, here = total + float(reward), there
        if terminated or truncated:
            return total
    return total


def train(
    episode: Episode, *, num_seeds: int, num_episodes: int, desc: str, first_seed: int = 0
) -> tuple[Float, Float]:
    """Train one agent per seed on the cliff, from zeros, and show progress.

    Args:
        episode: ``episode(env, Q, rng)`` plays and learns one episode and returns its reward.
        num_seeds: number of agents.
        num_episodes: episodes per agent.
        desc: what the progress bar says.
        first_seed: seed of the first agent; the others follow.

    Returns:
        Tables, shape ``(num_seeds, 48, 4)``, and returns, shape ``(num_seeds, num_episodes)``.
    """
    tables, returns = np.zeros((num_seeds, 48, 4)), np.zeros((num_seeds, num_episodes))
    env = gym.make("CliffWalking-v1", disable_env_checker=True)
    for seed in progress(range(num_seeds), desc=desc):
        rng = np.random.default_rng(first_seed + seed)
        for index in range(num_episodes):
            returns[seed, index] = episode(env, tables[seed], rng)
    return tables, returns


def left_choices(
    update: Callable[..., None],
    choose: Callable[..., int],
    *,
    num_tables: int,
    num_runs: int,
    num_episodes: int,
    alpha: float,
    epsilon: float,
    seed: int = 0,
) -> NDArray[np.bool_]:
    """Play the maximisation-bias example and report where the first action was *left*.

    In A (observation 0) the actions are right (0) and left (1); left leads to B (observation 1),
    whose ten actions all end the episode with a reward from a normal distribution around -0.1.

    Args:
        update: your ``q_update`` (one table) or ``double_q_update`` (two tables).
        choose: your ``choose_action``; with two tables it sees their sum.
        num_tables: tables that ``update`` takes, 1 or 2; with 2 it also gets ``rng``.
        num_runs: agents, each with new tables.
        num_episodes: episodes per agent.
        alpha: step size.
        epsilon: probability of exploring.
        seed: seed of the first agent; the others follow.

    Returns:
        True where *left* was chosen in A, shape ``(num_runs, num_episodes)``.

    Source: Sutton & Barto (2018), example 6.7.
    """
    env = gym.make("labkit.envs:labkit/MaximizationBias-v0", disable_env_checker=True)
    left = np.zeros((num_runs, num_episodes), dtype=bool)
    for run in progress(range(num_runs), desc=f"{update.__name__}"):
        rng = np.random.default_rng(seed + run)
        env.reset(seed=seed + run)
        tables = np.zeros((num_tables, 3, 10))
        tables[:, 0, 2:] = -np.inf  # A has two actions only
        extra = {} if num_tables == 1 else {"rng": rng}
        for episode in range(num_episodes):
            here, terminated = env.reset()[0], False
            while not terminated:
                total = tables.sum(axis=0)
                action = choose(total[:, :2] if here == 0 else total, here, epsilon, rng)
                left[run, episode] |= here == 0 and action == 1
                there, reward, terminated, _, _ = env.step(action)
                update(*tables, here, action, float(reward), there, terminated,
                       alpha=alpha, gamma=1.0, **extra)  # fmt: skip
                here = there
    return left
