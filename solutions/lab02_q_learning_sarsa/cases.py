"""Lab 2, cases: what each exercise is tried on.

Tables are drawn so that no two values are equal and terminal rows are not zero: a mask, a maximum
or an index that is wrong then shows. At ``epsilon=0`` an episode is a fact, not a sample.
"""

from collections.abc import Iterator

import numpy as np

from autograder.spec import Case, Env, apart, seed
from solutions.lab02_q_learning_sarsa.reference import Float

START, GOAL = 36, 47
UP, RIGHT, DOWN, LEFT = range(4)
Rng = np.random.Generator
Cases = Iterator[Case]


# ---- 1. choose_action -------------------------------------------------------------------------


def one_best(rng: Rng) -> Cases:
    """The best of the table stands in another row, under another action."""
    Q = apart(rng, (5, 4))
    obs = int(rng.integers(4))
    other = (int(Q[obs].argmax()) + 1) % 4
    Q[(obs + 1) % 5, other] = Q.max() + 1
    yield {"Q": Q, "obs": obs, "epsilon": float(rng.uniform(0.7, 0.8)), "rng": seed(rng)}


def ties(rng: Rng) -> Cases:
    """Two of four actions are best, not the first two."""
    Q = apart(rng, (5, 4))
    obs = int(rng.integers(4))
    first = int(rng.integers(3))
    Q[obs, [first, 3]] = Q[obs].max() + 1
    yield {"Q": Q, "obs": obs, "epsilon": float(rng.uniform(0.1, 0.3)), "rng": seed(rng)}


# ---- 2. and 3. one step of learning -----------------------------------------------------------


def q_by_hand(rng: Rng) -> Cases:
    """2 + 0.5 (1 + 0.9 * 8 - 2) = 5.1."""
    Q = np.array([[1.0, 4.0, 2.0], [8.0, 5.0, 7.0], [0.5, 0.25, 3.0]])
    step = {"obs": 0, "action": 2, "reward": 1.0, "next_obs": 1, "terminated": False}
    yield {"Q": Q, **step, "alpha": 0.5, "gamma": 0.9}


def step_of(rng: Rng) -> Case:
    """A step between two of six rows; the best of its column and of the table are elsewhere."""
    Q = apart(rng, (6, 4))
    obs, next_obs, third, fourth = (int(i) for i in rng.choice(6, size=4, replace=False))
    others = [a for a in range(4) if a not in (Q[obs].argmax(), Q[next_obs].argmax())]
    action = int(rng.choice(others))
    Q[third, action] = Q.max() + 1
    Q[fourth, (action + 1) % 4] = Q.max() + 1
    return {
        "Q": Q,
        "obs": obs,
        "action": action,
        "reward": float(rng.uniform(2, 4)),
        "next_obs": next_obs,
        "alpha": float(rng.uniform(0.1, 0.4)),
        "gamma": float(rng.uniform(0.6, 0.9)),
    }


def q_goes_on(rng: Rng) -> Cases:
    for _ in range(3):
        yield step_of(rng) | {"terminated": False}


def q_ends(rng: Rng) -> Cases:
    """The terminal row of the table is not zero: a missing mask shows."""
    for _ in range(2):
        yield step_of(rng) | {"terminated": True}


def sarsa_case(rng: Rng, *, terminated: bool, truncated: bool) -> Case:
    """The next action is neither the action before it nor the best one."""
    case = step_of(rng)
    best = int(case["Q"][case["next_obs"]].argmax())
    others = [a for a in range(4) if a not in (case["action"], best)]
    next_action = int(rng.choice(others))
    return case | {"next_action": next_action, "terminated": terminated, "truncated": truncated}


def sarsa_by_hand(rng: Rng) -> Cases:
    """2 + 0.5 (1 + 0.9 * 5 - 2) = 3.75."""
    (case,) = q_by_hand(rng)
    yield case | {"next_action": 1, "truncated": False}


def sarsa_goes_on(rng: Rng) -> Cases:
    for _ in range(3):
        yield sarsa_case(rng, terminated=False, truncated=False)


def sarsa_terminates(rng: Rng) -> Cases:
    for _ in range(2):
        yield sarsa_case(rng, terminated=True, truncated=False)


def sarsa_truncated(rng: Rng) -> Cases:
    """The time is up, alone and together with the end."""
    yield sarsa_case(rng, terminated=False, truncated=True)
    yield sarsa_case(rng, terminated=True, truncated=True)


# ---- 4. expected_sarsa_target -----------------------------------------------------------------


def expected_by_hand(rng: Rng) -> Cases:
    """Of the values 8, 5, 7, 4 the mean is 6: 1 + 0.9 (0.8 * 8 + 0.2 * 6) = 7.84."""
    Q = np.array([[1.0, 4.0, 2.0, 3.0], [8.0, 5.0, 7.0, 4.0]])
    yield {"Q": Q, "next_obs": 1, "reward": 1.0, "terminated": False, "epsilon": 0.2, "gamma": 0.9}


def expected_case(rng: Rng, *, terminated: bool) -> Case:
    return {
        "Q": apart(rng, (5, 4)) + rng.uniform(1, 2),
        "next_obs": int(rng.integers(5)),
        "reward": float(rng.uniform(2, 4)),
        "terminated": terminated,
        "epsilon": float(rng.uniform(0.15, 0.4)),
        "gamma": float(rng.uniform(0.6, 0.9)),
    }


def expected_goes_on(rng: Rng) -> Cases:
    for _ in range(3):
        yield expected_case(rng, terminated=False)


def expected_ends(rng: Rng) -> Cases:
    for _ in range(2):
        yield expected_case(rng, terminated=True)


def expected_ties(rng: Rng) -> Cases:
    """Two best actions share the probability; the expectation does not care how."""
    case = expected_case(rng, terminated=False)
    row = case["Q"][case["next_obs"]]
    row[rng.choice(4, size=2, replace=False)] = row.max() + 1
    yield case


# ---- 5. double_q_update -----------------------------------------------------------------------


def two_tables(rng: Rng, *, terminated: bool) -> Case:
    """Two tables that disagree so much that every wrong future is far from the right one."""
    QA, QB = apart(rng, (3, 3)), apart(rng, (3, 3))
    obs, next_obs = (int(i) for i in rng.choice(3, size=2, replace=False))
    action = int(rng.integers(3))
    best_a, best_b, third = (int(i) for i in rng.permutation(3))
    QA[next_obs, [best_a, best_b, third]] = np.array([12, -12, 6]) + rng.uniform(-1, 1, size=3)
    QB[next_obs, [best_a, best_b, third]] = np.array([3, 60, -6]) + rng.uniform(-1, 1, size=3)
    QA[obs, action], QB[obs, action] = rng.uniform(0, 1), rng.uniform(-13, -12)
    return {
        "QA": QA,
        "QB": QB,
        "obs": obs,
        "action": action,
        "reward": float(rng.uniform(4, 5)),
        "next_obs": next_obs,
        "terminated": terminated,
        "alpha": float(rng.uniform(0.3, 0.4)),
        "gamma": float(rng.uniform(0.5, 0.6)),
        "rng": seed(rng),
    }


def double_goes_on(rng: Rng) -> Cases:
    yield two_tables(rng, terminated=False)


def double_ends(rng: Rng) -> Cases:
    yield two_tables(rng, terminated=True)


# ---- 6. run_episode_sarsa ---------------------------------------------------------------------


def cliff_env(time_limit: int | None = None) -> Env:
    return Env("CliffWalking-v1", {} if time_limit is None else {"max_episode_steps": time_limit})


def routed(rng: Rng, row: int, *, lead: float = 10.0) -> Float:
    """A table without ties whose greedy path runs along ``row`` to the goal."""
    Q = rng.normal(size=(48, 4))
    for column in range(12):
        Q[12 * row + column, RIGHT if column < 11 else DOWN] += lead
    for below in range(row + 1, 4):
        Q[12 * below, UP] += lead
        Q[12 * below + 11, DOWN] += lead
    Q[GOAL] += rng.uniform(3, 5)
    return Q


def learning(rng: Rng, Q: Float, *, epsilon: float = 0.0, max_steps: int, env: Env) -> Case:
    return {
        "env": env,
        "Q": Q,
        "epsilon": epsilon,
        "alpha": float(rng.uniform(0.1, 0.2)),
        "gamma": float(rng.uniform(0.8, 0.9)),
        "rng": seed(rng),
        "max_steps": max_steps,
    }


def to_the_goal(rng: Rng) -> Cases:
    """A greedy walk along the edge or the row above it; the goal's row of ``Q`` is not zero."""
    row = int(rng.integers(1, 3))
    yield learning(rng, routed(rng, row), max_steps=60, env=cliff_env())


def into_a_wall(rng: Rng) -> Cases:
    """Left from the start leads nowhere, and one update makes "up" look better than "left".

    SARSA has chosen by then: it bumps once more, learns from that, and only then goes up.
    """
    Q = routed(rng, int(rng.integers(0, 3)))
    Q[START] = [9.5, -5.0, -6.0, 9.6]
    yield learning(rng, Q, max_steps=4, env=cliff_env())


def time_is_up(rng: Rng) -> Cases:
    """The environment truncates after a few steps; more would be allowed."""
    limit = int(rng.integers(3, 6))
    Q = routed(rng, int(rng.integers(0, 3)))
    yield learning(rng, Q, max_steps=limit + 3, env=cliff_env(limit))


def steps_run_out(rng: Rng) -> Cases:
    """Over the edge, again and again, until ``max_steps``."""
    Q = rng.normal(size=(48, 4))
    Q[START, RIGHT] += 1e4
    yield learning(rng, Q, max_steps=int(rng.integers(4, 7)), env=cliff_env())


def stuck_on_the_start(rng: Rng) -> Cases:
    """A table that leads even an agent that reads and writes the start's row only to the goal.

    What it finds next to the cliff makes it turn: up, eleven times right, down.
    """
    Q = rng.normal(size=(48, 4))
    Q[START] += [80, 50, 40, -90]
    Q[[24, 35]] -= 200
    Q[25:35] += 60
    Q[GOAL] += 30
    yield learning(rng, Q, max_steps=13, env=cliff_env()) | {"alpha": 0.9, "gamma": 0.9}


def exploring(rng: Rng) -> Cases:
    """Three steps from the start, half of them random, in a table of large differences."""
    Q = routed(rng, 0, lead=0.0)
    Q[START], Q[24], Q[12] = [20, -20, -10, -30], [20, -20, 0, -10], [-10, 0, 20, -20]
    Q[25], Q[13], Q[0] = [-20, 10, 0, 20], [20, 0, -10, 10], [0, -20, 10, 20]
    Q += rng.normal(size=Q.shape)
    yield learning(rng, Q, epsilon=0.6, max_steps=3, env=cliff_env()) | {"alpha": 0.5}


# ---- 7. evaluate ------------------------------------------------------------------------------


def playing(
    rng: Rng, Q: Float, *, epsilon: float = 0.0, num_episodes: int, max_steps: int, env: Env
) -> Case:
    return {
        "env": env,
        "Q": Q,
        "epsilon": epsilon,
        "num_episodes": num_episodes,
        "rng": seed(rng),
        "max_steps": max_steps,
    }


def plays_to_the_goal(rng: Rng) -> Cases:
    Q = routed(rng, int(rng.integers(0, 3)), lead=1e4)
    yield playing(rng, Q, num_episodes=3, max_steps=60, env=cliff_env())


def plays_until_time_is_up(rng: Rng) -> Cases:
    limit = int(rng.integers(3, 6))
    Q = routed(rng, int(rng.integers(0, 3)), lead=1e4)
    yield playing(rng, Q, num_episodes=3, max_steps=limit + 3, env=cliff_env(limit))


def plays_until_steps_run_out(rng: Rng) -> Cases:
    """Up, right, and then down the cliff: a fall costs 100 and does not end anything."""
    Q = rng.normal(size=(48, 4))
    Q[START, UP] += 1e4
    Q[24, RIGHT] += 1e4
    Q[25, DOWN] += 1e4
    max_steps = 3 * int(rng.integers(1, 3)) + 1
    yield playing(rng, Q, num_episodes=4, max_steps=max_steps, env=cliff_env())


def plays_exploring(rng: Rng) -> Cases:
    """Greedy falls in every step; exploring now and then does not."""
    Q = rng.normal(size=(48, 4))
    Q[START, RIGHT] += 1e4
    yield playing(rng, Q, epsilon=0.5, num_episodes=2, max_steps=3, env=cliff_env())


# ---- 8. eps_soft_value ------------------------------------------------------------------------


def stay_or_leave(rng: Rng) -> Cases:
    """Two actions in one place: stay for -1, leave for -2. V = -1.75 / (1 - gamma / 4)."""
    P = np.zeros((2, 2, 2))
    P[0, 0, 0] = P[0, 1, 1] = P[1, :, 1] = 1.0
    R = np.array([[-1.0, -2.0], [0.0, 0.0]])
    Q = np.array([[0.0, 1.0], [0.3, 0.1]])
    yield {"P": P, "R": R, "Q": Q, "epsilon": 0.5, "gamma": 0.8}


def process(rng: Rng, *, gamma: float, epsilon: float) -> Case:
    """A random process that can end from everywhere, in one of two terminal observations."""
    P = rng.dirichlet(np.ones(7), size=(7, 4))
    R = apart(rng, (7, 4), scale=0.3)
    for obs in rng.choice(7, size=2, replace=False):
        P[obs], R[obs] = np.eye(7)[obs], 0.0
    return {"P": P, "R": R, "Q": apart(rng, (7, 4)), "epsilon": epsilon, "gamma": gamma}


def discounted(rng: Rng) -> Cases:
    for _ in range(2):
        epsilon, gamma = float(rng.uniform(0.2, 0.5)), float(rng.uniform(0.6, 0.9))
        yield process(rng, gamma=gamma, epsilon=epsilon)


def undiscounted(rng: Rng) -> Cases:
    """Quarters are exact in floating point: who forgets the end gets an exactly singular system."""
    yield process(rng, gamma=1.0, epsilon=float(rng.choice([0.25, 0.5])))


def value_ties(rng: Rng) -> Cases:
    """All actions but the first are best, everywhere."""
    case = process(rng, gamma=0.9, epsilon=float(rng.uniform(0.2, 0.5)))
    case["Q"][:, 1:] = case["Q"].max(axis=1, keepdims=True) + 1
    yield case
