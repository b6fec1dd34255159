"""Lab 1, cases: what each exercise is tried on.

Numbers are drawn apart from each other, worlds are lopsided, and what lies behind an end is never
worth 0, so that a wrong order, axis, weight or mask shows.
"""

from collections.abc import Iterator

import numpy as np

from autograder.spec import Case, apart, seed
from solutions.lab01_rl_basics.reference import Bool, Float

Rng = np.random.Generator
Cases = Iterator[Case]


# ---- 1. discounted_returns --------------------------------------------------------------------


def returns_by_hand(rng: Rng) -> Cases:
    """From the end: 8 + 16/2 = 16, 4 + 16/2 = 12, 2 + 12/2 = 8, 1 + 8/2 = 5."""
    yield {"rewards": np.array([1.0, 2.0, 4.0, 8.0]), "gamma": 0.5, "bootstrap": 16.0}


def recording(rng: Rng) -> Case:
    num_steps = int(rng.integers(5, 9))
    return {"rewards": apart(rng, (num_steps,)), "gamma": float(rng.uniform(0.6, 0.9))}


def finished(rng: Rng) -> Cases:
    """The episode terminated: nothing follows, and nobody mentions it."""
    for _ in range(2):
        yield recording(rng)


def cut_off(rng: Rng) -> Cases:
    for _ in range(2):
        yield recording(rng) | {"bootstrap": float(rng.uniform(3, 5))}


def single_step(rng: Rng) -> Cases:
    case = recording(rng)
    yield case | {"rewards": case["rewards"][:1], "bootstrap": float(rng.uniform(3, 5))}


def whole_numbers(rng: Rng) -> Cases:
    """Rewards of -1 per step and a prize at the end, stored as whole numbers."""
    rewards = np.array([-1] * int(rng.integers(4, 7)) + [int(rng.integers(5, 9))])
    yield {"rewards": rewards, "gamma": float(rng.uniform(0.6, 0.9)), "bootstrap": 2.5}


# ---- 2. td_target -----------------------------------------------------------------------------


def targets_by_hand(rng: Rng) -> Cases:
    """Neither, terminated, truncated, both: 1 + 0.9 * 10 = 10 where the future counts, else 1."""
    yield {
        "reward": np.ones(4),
        "next_value": np.full(4, 10.0),
        "terminated": np.array([False, True, False, True]),
        "truncated": np.array([False, False, True, True]),
        "gamma": 0.9,
    }


def batch(rng: Rng, terminated: list[bool], truncated: list[bool]) -> Case:
    """Steps with those ends in random order; no value of a next observation is near 0."""
    order = rng.permutation(len(terminated))
    return {
        "reward": rng.uniform(2, 4, size=len(order)),
        "next_value": rng.choice([-1.0, 1.0], size=len(order)) * rng.uniform(5, 9, len(order)),
        "terminated": np.array(terminated)[order],
        "truncated": np.array(truncated)[order],
        "gamma": float(rng.uniform(0.6, 0.9)),
    }


def targets_go_on(rng: Rng) -> Cases:
    yield batch(rng, [False] * 3, [False] * 3)


def targets_terminate(rng: Rng) -> Cases:
    yield batch(rng, [True, True, False], [False] * 3)


def targets_truncated(rng: Rng) -> Cases:
    yield batch(rng, [False] * 3, [True, True, False])


def targets_both(rng: Rng) -> Cases:
    """The last allowed step also reached the end."""
    yield batch(rng, [True, True, False], [True, True, False])


def targets_mixed(rng: Rng) -> Cases:
    yield batch(rng, [False, True, False, True] * 2, [False, False, True, True] * 2)


# ---- 3. split_episodes ------------------------------------------------------------------------


def ends(kinds: str) -> Case:
    """A recording from a text: ``.`` goes on, ``T`` terminates, ``C`` is cut off, ``B`` both."""
    terminated: Bool = np.array([kind in "TB" for kind in kinds], dtype=bool)
    truncated: Bool = np.array([kind in "CB" for kind in kinds], dtype=bool)
    return {"terminated": terminated, "truncated": truncated}


def some(rng: Rng, low: int, high: int) -> str:
    return "." * int(rng.integers(low, high))


def episodes_by_hand(rng: Rng) -> Cases:
    """Three steps to the end, two until the clock stops them, three of an episode that goes on."""
    yield ends("..T.C...")


def episodes_whole(rng: Rng) -> Cases:
    """Every episode terminates, and the recording ends with the last of them."""
    yield ends(some(rng, 2, 5) + "T" + some(rng, 1, 4) + "T" + some(rng, 2, 5) + "T")


def episodes_cut_off(rng: Rng) -> Cases:
    yield ends(some(rng, 2, 5) + "C" + some(rng, 1, 4) + "T" + some(rng, 2, 5) + "C")


def episodes_unfinished(rng: Rng) -> Cases:
    yield ends(some(rng, 2, 5) + "T" + some(rng, 2, 5))
    yield ends(some(rng, 3, 6))


def episodes_both(rng: Rng) -> Cases:
    yield ends(some(rng, 2, 5) + "B" + some(rng, 1, 4) + "B")


def episodes_short(rng: Rng) -> Cases:
    """Episodes of one step, one after the other."""
    yield ends("TC" + some(rng, 1, 4) + "TT" + some(rng, 1, 3))


def episodes_none(rng: Rng) -> Cases:
    """No step, no episode."""
    yield ends("")


def episodes_mixed(rng: Rng) -> Cases:
    for tail in ("", some(rng, 2, 5)):
        kinds = rng.permutation(list("TTCCB" + "." * 12))
        yield ends("".join(kinds) + "." + str(rng.choice(list("TC"))) + tail)


# ---- 4. policy_value --------------------------------------------------------------------------


def two_rooms(rng: Rng) -> Cases:
    """Stay (action 0) or change rooms. V = 3.5 and 1.5: see lab.md.

    Halves and quarters are exact in floating point, so the system without a discount is exactly
    singular.
    """
    P = np.zeros((2, 2, 2))
    P[0, 0, 0] = P[0, 1, 1] = P[1, 0, 1] = P[1, 1, 0] = 1.0
    R = np.array([[1.0, 5.0], [0.5, 0.0]])
    yield {"P": P, "R": R, "pi": np.array([[0.75, 0.25], [0.5, 0.5]]), "gamma": 0.5}


def world(rng: Rng, num_obs: int, num_actions: int) -> Case:
    """A random world in which every step may lead anywhere, the last observation is terminal."""
    P = rng.dirichlet(np.ones(num_obs), size=(num_obs, num_actions))
    R = apart(rng, (num_obs, num_actions), scale=0.3)
    P[-1], R[-1] = np.eye(num_obs)[-1], 0.0
    return {"P": P, "R": R}


def policy(rng: Rng, num_obs: int, num_actions: int) -> Float:
    """A policy that likes some actions much better; in the terminal observation all are alike."""
    pi = rng.dirichlet(np.full(num_actions, 0.7), size=num_obs)
    pi[-1] = 1.0 / num_actions
    return np.asarray(pi)


def valued(rng: Rng, num_obs: int) -> Case:
    """Four actions: their quarters add up to exactly 1 where the episode has ended."""
    return world(rng, num_obs, 4) | {
        "pi": policy(rng, num_obs, 4),
        "gamma": float(rng.uniform(0.6, 0.9)),
    }


def values_random(rng: Rng) -> Cases:
    for num_obs in (4, 6):
        yield valued(rng, num_obs)


def values_settled(rng: Rng) -> Cases:
    """The policy always takes the same action, not the first."""
    case = valued(rng, 5)
    case["pi"][:-1] = np.eye(4)[rng.integers(1, 4, size=4)]
    yield case


# ---- 5. q_from_v and advantage ----------------------------------------------------------------


def q_by_hand(rng: Rng) -> Cases:
    """1 + 5 = 6, 2 + 7.5 = 9.5, 3 + 10 = 13, 4 + 8.75 = 12.75."""
    P = np.array([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.25, 0.75]]])
    R = np.array([[1.0, 2.0], [3.0, 4.0]])
    yield {"P": P, "R": R, "V": np.array([10.0, 20.0]), "gamma": 0.5}


def q_case(rng: Rng, num_obs: int, num_actions: int) -> Case:
    """The terminal observation keeps a value that is not 0: the equation holds for any V."""
    V = apart(rng, (num_obs,), scale=2.0) + rng.uniform(2, 3)
    gamma = float(rng.uniform(0.6, 0.9))
    return world(rng, num_obs, num_actions) | {"V": V, "gamma": gamma}


def q_random(rng: Rng) -> Cases:
    yield q_case(rng, 5, 3)
    yield q_case(rng, 3, 4)


def q_square(rng: Rng) -> Cases:
    """As many actions as observations: a wrong axis is no error here."""
    yield q_case(rng, 4, 4)


def advantage_by_hand(rng: Rng) -> Cases:
    """V = 0.5 * 1 + 0.25 * 2 + 0.25 * 6 = 2.5, and 0.5 * 0 + 0.5 * 2 = 1."""
    Q = np.array([[1.0, 2.0, 6.0], [4.0, 0.0, 2.0]])
    yield {"Q": Q, "pi": np.array([[0.5, 0.25, 0.25], [0.0, 0.5, 0.5]])}


def advantage_random(rng: Rng) -> Cases:
    yield {"Q": apart(rng, (5, 3)) + rng.uniform(1, 2), "pi": policy(rng, 5, 3)}


def advantage_square(rng: Rng) -> Cases:
    yield {"Q": apart(rng, (4, 4)) + rng.uniform(1, 2), "pi": policy(rng, 4, 4)}


# ---- 6. epsilon_greedy_probs ------------------------------------------------------------------


def probs_by_hand(rng: Rng) -> Cases:
    """0.4 / 4 = 0.1 for each arm, and 0.6 more for the best one."""
    yield {"q": np.array([1.0, 5.0, 2.0, 3.0]), "epsilon": 0.4}


def probs_one_best(rng: Rng) -> Cases:
    """The best arm is neither the first nor the last; in the second case all are below 0."""
    for shift in (0.0, -20.0):
        q = apart(rng, (int(rng.integers(4, 7)),))
        best, inside = int(q.argmax()), int(rng.integers(1, q.size - 1))
        q[[best, inside]] = q[[inside, best]]
        yield {"q": q + shift, "epsilon": float(rng.uniform(0.1, 0.4))}


def probs_ties(rng: Rng) -> Cases:
    """Two or three of six arms are best, among them neither the first nor the last."""
    for num_best in (2, 3):
        q = apart(rng, (6,))
        q[rng.choice(np.arange(1, 5), size=num_best, replace=False)] = q.max() + 1
        yield {"q": q, "epsilon": float(rng.uniform(0.1, 0.4))}


def probs_all_equal(rng: Rng) -> Cases:
    """As at the start, when nothing is known."""
    yield {"q": np.zeros(int(rng.integers(3, 7))), "epsilon": float(rng.uniform(0.1, 0.4))}


def probs_limits(rng: Rng) -> Cases:
    """Never and always exploring, and a single arm."""
    for epsilon in (0.0, 1.0):
        yield {"q": apart(rng, (5,)), "epsilon": epsilon}
    yield {"q": np.array([0.5]), "epsilon": 0.3}


# ---- 7. iterative_policy_eval -----------------------------------------------------------------


def stay_or_end(rng: Rng) -> Cases:
    """Stay (action 0) or end: V is 1, 1.5, 1.75, 1.875, and the fourth change is below 0.2."""
    P = np.zeros((2, 2, 2))
    P[0, 0, 0] = P[0, 1, 1] = P[1, :, 1] = 1.0
    R = np.array([[1.0, 1.0], [0.0, 0.0]])
    yield {"P": P, "R": R, "pi": np.full((2, 2), 0.5), "gamma": 1.0, "tol": 0.2}


def to_itself(rng: Rng, gamma: float, R: Float) -> Case:
    """From every observation a step leads back to it or to the end, and nowhere else.

    Here a sweep with old values and one with new values do the same, in any order, so that the
    number of sweeps is a fact. ``tol`` lies in the middle between two changes.
    """
    num_obs, num_actions = R.shape
    stays = rng.uniform(0.3, 0.9, size=R.shape)
    P = np.zeros((num_obs, num_actions, num_obs))
    P[np.arange(num_obs), :, np.arange(num_obs)] = stays
    P[:, :, -1] += 1.0 - stays
    P[-1], R[-1] = np.eye(num_obs)[-1], 0.0
    pi = policy(rng, num_obs, num_actions)
    changes = abs((pi * R).sum(axis=1)[:, None] * (gamma * (pi * stays).sum(axis=1))[:, None]
                  ** np.arange(20)).max(axis=0)  # fmt: skip
    last = int(rng.integers(6, 10))
    tol = float(np.sqrt(changes[last - 1] * changes[last]))
    return {"P": P, "R": R, "pi": pi, "gamma": gamma, "tol": tol}


def sweeps_of_both_signs(rng: Rng) -> Cases:
    """Rewards of both signs: values change by much while the mean of the changes is small."""
    for _ in range(2):
        R = rng.permuted(np.array([[9.0, 8.0, 7.0], [-5.0, -6.0, -7.0], [4.0, 3.0, 5.0],
                                   [-2.0, -3.0, -1.0], [0.0, 0.0, 0.0]]), axis=1)  # fmt: skip
        R += rng.uniform(-0.4, 0.4, size=R.shape)
        R[:-1] = rng.permutation(R[:-1])
        yield to_itself(rng, float(rng.uniform(0.8, 0.95)), R)


def sweeps_of_costs(rng: Rng) -> Cases:
    """Every step costs something: all changes are negative."""
    yield to_itself(rng, float(rng.uniform(0.8, 0.95)), -rng.uniform(1, 3, size=(4, 3)))


def sweeps_in_a_world(rng: Rng) -> Cases:
    """A step may lead anywhere; with so small a ``tol`` the order of the sweep leaves no trace."""
    case = world(rng, 5, 3)
    yield case | {"pi": policy(rng, 5, 3), "gamma": float(rng.uniform(0.7, 0.9)), "tol": 1e-10}


def sweeps_undiscounted(rng: Rng) -> Cases:
    """The policy reaches the terminal observation from everywhere, so that gamma may be 1."""
    for case in sweeps_in_a_world(rng):
        yield case | {"gamma": 1.0}


# ---- 8. bandit_run ----------------------------------------------------------------------------


def one_arm(rng: Rng) -> Cases:
    """The only arm is the best one, whatever it pays."""
    yield playing(rng, np.array([float(rng.uniform(-2, 2))]), epsilon=0.5, num_steps=5)


def playing(
    rng: Rng, q_star: Float, *, epsilon: float, num_steps: int, step_size: float | None = None
) -> Case:
    return {
        "q_star": q_star,
        "epsilon": epsilon,
        "num_steps": num_steps,
        "step_size": step_size,
        "rng": seed(rng),
    }


def poor_arms(rng: Rng, num_arms: int) -> Float:
    """Arms that pay less than the 0 expected of them, so that a greedy agent tries each.

    The last is the best, by three standard deviations.
    """
    q_star = np.arange(-7.0 - 3 * num_arms, -7.0, 3.0)
    return np.asarray(q_star + rng.uniform(-0.2, 0.2, size=num_arms))


def greedy(rng: Rng) -> Cases:
    """Each arm is tried once, then the best for ever: an average is what it is from the start."""
    yield playing(rng, poor_arms(rng, 3), epsilon=0.0, num_steps=8)


def constant_step(rng: Rng) -> Cases:
    """Estimates sink slowly: an arm that is repeated soon looks worse than one tried once."""
    step_size = float(rng.uniform(0.2, 0.3))
    yield playing(rng, poor_arms(rng, 3), epsilon=0.0, num_steps=8, step_size=step_size)


def exploring(rng: Rng) -> Cases:
    epsilon = float(rng.uniform(0.38, 0.42))
    yield playing(rng, poor_arms(rng, 2), epsilon=epsilon, num_steps=7)


def exploring_much(rng: Rng) -> Cases:
    epsilon = float(rng.uniform(0.58, 0.62))
    yield playing(rng, poor_arms(rng, 4), epsilon=epsilon, num_steps=10)


def close_arms(rng: Rng) -> Cases:
    """Two good arms: greedy stays with the one that came first, unless its noise speaks against it.

    An average speaks up less and less; who remembers the last reward alone leaves both again and
    again.
    """
    q_star = np.array([0.7, 2.0]) + rng.uniform(-0.05, 0.05, size=2)
    yield playing(rng, q_star, epsilon=0.0, num_steps=12)
