"""Lab 1's answers against numbers worked by hand, limits, and oracles that share no code."""

import itertools
import math

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.integrate
import scipy.signal
import scipy.sparse
import scipy.sparse.linalg
import scipy.stats

from autograder.spec import Group, Seed
from labkit.compare import STANDARD_ERRORS, Summary, summarize
from labkit.probes import Samples, observe
from solutions.lab01_rl_basics import cases, checks, reference, variants
from solutions.lab01_rl_basics.reference import (
    advantage,
    bandit_run,
    bandit_testbed,
    discounted_returns,
    draw_values,
    epsilon_greedy_probs,
    grid_world,
    iterative_policy_eval,
    policy_value,
    q_from_v,
    record,
    split_episodes,
    td_target,
)

Float = reference.Float
World = tuple[Float, Float]

JUMPS = {1: (21, 10.0), 3: (13, 5.0)}
# Sutton & Barto (2018), figure 3.2: the 5 by 5 grid under the uniform policy, gamma 0.9
PUBLISHED_VALUES = """
 3.3  8.8  4.4  5.3  1.5
 1.5  3.0  2.3  1.9  0.5
 0.1  0.7  0.7  0.4 -0.4
-1.0 -0.4 -0.4 -0.6 -1.2
-1.9 -1.3 -1.2 -1.4 -2.0
"""


@pytest.fixture(scope="module")
def grid() -> World:
    return grid_world(5, 5, wall_reward=-1.0, jumps=JUMPS)


def random_world(seed: int, num_obs: int, num_actions: int) -> tuple[Float, Float, Float]:
    """A world without an end, and a policy."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.full(num_obs, 0.5), size=(num_obs, num_actions))
    return (
        P,
        rng.normal(size=(num_obs, num_actions)),
        rng.dirichlet(np.ones(num_actions), size=num_obs),
    )


# ---- returns, targets, episodes -----------------------------------------------------------------


def test_returns_by_hand() -> None:
    """8 + 16/2 = 16, 4 + 16/2 = 12, 2 + 12/2 = 8, 1 + 8/2 = 5."""
    returns = discounted_returns(np.array([1.0, 2.0, 4.0, 8.0]), 0.5, 16.0)
    np.testing.assert_array_equal(returns, [5.0, 8.0, 12.0, 16.0])
    np.testing.assert_array_equal(discounted_returns(np.array([1, 2, 3]), 0.5), [2.75, 3.5, 3.0])
    assert discounted_returns(np.zeros(0), 0.9, 1.0).shape == (0,)


def test_returns_agree_with_a_filter() -> None:
    """Backwards in time a return is a recursive filter of first order."""
    rewards = np.random.default_rng(0).normal(size=50)
    kept = rewards.copy()
    for gamma in (0.0, 0.3, 0.97, 1.0):
        wanted = scipy.signal.lfilter([1.0], [1.0, -gamma], rewards[::-1])[::-1]
        np.testing.assert_allclose(discounted_returns(rewards, gamma), wanted, atol=1e-12)
    np.testing.assert_array_equal(rewards, kept)


def test_a_cut_with_the_right_bootstrap_is_no_cut() -> None:
    rewards = np.random.default_rng(1).normal(size=9)
    whole = discounted_returns(rewards, 0.8, 2.5)
    for cut in range(1, 9):
        first = discounted_returns(rewards[:cut], 0.8, whole[cut])
        np.testing.assert_allclose(first, whole[:cut])
    forever = discounted_returns(np.ones(2_000), 0.9)
    assert forever[0] == pytest.approx(1 / (1 - 0.9))


def test_targets_of_all_four_ends() -> None:
    """1 + 0.9 * 10 = 10 unless the step terminated; a time limit changes nothing."""
    terminated, truncated = (np.array(x) for x in zip(*itertools.product([0, 1], repeat=2)))  # noqa: B905
    next_value = np.full(4, 10.0)
    targets = td_target(
        np.ones(4), next_value, terminated.astype(bool), truncated.astype(bool), gamma=0.9
    )
    np.testing.assert_array_equal(targets, [10.0, 10.0, 1.0, 1.0])
    np.testing.assert_array_equal(next_value, np.full(4, 10.0))


def test_the_naive_mask_would_give_another_target() -> None:
    """Folding both flags into one loses the future of the third step."""
    flags = np.array([False, True, False]), np.array([False, False, True])
    right = td_target(np.zeros(3), np.ones(3), *flags, gamma=0.5)
    naive = td_target(np.zeros(3), np.ones(3), flags[0] | flags[1], flags[1], gamma=0.5)
    assert right.tolist() == [0.5, 0.0, 0.5]
    assert naive.tolist() == [0.5, 0.0, 0.0]


def test_episodes_by_hand() -> None:
    terminated = np.array([0, 0, 1, 0, 0, 0, 0, 0], dtype=bool)
    truncated = np.array([0, 0, 0, 0, 1, 0, 0, 0], dtype=bool)
    assert split_episodes(terminated, truncated) == [slice(0, 3), slice(3, 5), slice(5, 8)]
    assert split_episodes(terminated[:3], truncated[:3]) == [slice(0, 3)]
    assert split_episodes(terminated[:0], truncated[:0]) == []


def test_episodes_are_the_groups_between_ends() -> None:
    """Number each step by the ends before it; episodes are the runs of equal numbers."""
    rng = np.random.default_rng(2)
    for num_steps in range(1, 40):
        terminated, truncated = rng.random((2, num_steps)) < 0.15
        over = terminated | truncated
        numbers = np.concatenate([[0], np.cumsum(over)[:-1]])
        lengths = [len(list(run)) for _, run in itertools.groupby(numbers)]
        episodes = split_episodes(terminated, truncated)
        assert [s.stop - s.start for s in episodes] == lengths
        steps = np.arange(num_steps)
        np.testing.assert_array_equal(np.concatenate([steps[s] for s in episodes]), steps)


def test_a_recording_of_the_cart() -> None:
    """A new episode begins after each end; 12 steps are the limit, and a fall takes 8 or more."""
    env = gym.make("CartPole-v1", max_episode_steps=12)
    rewards, terminated, truncated = record(env, num_steps=300, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(rewards, np.ones(300))
    assert terminated.any() and truncated.any()
    lengths = [s.stop - s.start for s in split_episodes(terminated, truncated)]
    assert min(lengths[:-1]) >= 8 and max(lengths) == 12


# ---- worlds -------------------------------------------------------------------------------------


def test_the_grid_moves_as_on_paper(grid: World) -> None:
    P, R = grid
    np.testing.assert_array_equal(P.sum(axis=2), np.ones((25, 4)))
    assert (P[12].argmax(axis=1).tolist(), R[12].tolist()) == ([7, 13, 17, 11], [0.0] * 4)
    assert (P[0].argmax(axis=1).tolist(), R[0].tolist()) == ([0, 1, 5, 0], [-1.0, 0.0, 0.0, -1.0])
    assert (P[24].argmax(axis=1).tolist(), R[24].tolist()) == (
        [19, 24, 24, 23],
        [0.0, -1.0, -1.0, 0.0],
    )
    assert (P[1].argmax(axis=1).tolist(), R[1].tolist()) == ([21] * 4, [10.0] * 4)
    P, R = grid_world(2, 3, step_reward=-2.0, terminal=(5,))
    assert (P[5].argmax(axis=1).tolist(), R[5].tolist()) == ([5] * 4, [0.0] * 4)
    assert (P[2].argmax(axis=1).tolist(), R[2].tolist()) == ([2, 2, 5, 1], [-2.0] * 4)


def test_the_published_values_of_the_grid(grid: World) -> None:
    V = policy_value(*grid, np.full((25, 4), 0.25), gamma=0.9)
    wanted = np.array(PUBLISHED_VALUES.split(), dtype=float)
    assert abs(V - wanted).max() <= 0.05 + 1e-9


def test_two_rooms_by_hand() -> None:
    """3.5 = 2 + (0.75 * 3.5 + 0.25 * 1.5) / 2 and 1.5 = 0.25 + (3.5 + 1.5) / 4."""
    (case,) = cases.two_rooms(np.random.default_rng(0))
    np.testing.assert_allclose(policy_value(**case), [3.5, 1.5])
    case["gamma"] = 0.0
    np.testing.assert_allclose(policy_value(**case), [2.0, 0.25])


def test_values_agree_with_a_sparse_solver() -> None:
    """The system written entry by entry, from Bellman's equation."""
    P, R, pi = random_world(3, 6, 3)
    system, right = scipy.sparse.lil_matrix((6, 6)), np.zeros(6)
    for s in range(6):
        system[s, s] = 1.0
        for a in range(3):
            right[s] += pi[s, a] * R[s, a]
            for x in range(6):
                system[s, x] -= 0.95 * pi[s, a] * P[s, a, x]
    wanted = scipy.sparse.linalg.spsolve(system.tocsr(), right)
    np.testing.assert_allclose(policy_value(P, R, pi, gamma=0.95), wanted)


def test_values_agree_with_played_returns(grid: World) -> None:
    """4,000 walks of 120 steps from A; what comes after step 120 is worth less than 1e-4."""
    P, R = grid
    rng = np.random.default_rng(4)
    where, returns = np.full(4_000, 1), np.zeros(4_000)
    for t in range(120):
        action = rng.integers(4, size=4_000)
        returns += 0.9**t * R[where, action]
        where = P[where, action].argmax(axis=1)
    exact = policy_value(P, R, np.full((25, 4), 0.25), gamma=0.9)[1]
    assert abs(returns.mean() - exact) < 5 * returns.std() / math.sqrt(4_000) + 1e-4


def test_action_values_by_hand_and_by_sums() -> None:
    (case,) = cases.q_by_hand(np.random.default_rng(0))
    np.testing.assert_allclose(q_from_v(**case), [[6.0, 9.5], [13.0, 12.75]])
    P, R, pi = random_world(5, 5, 3)
    V = policy_value(P, R, pi, gamma=0.9)
    Q = q_from_v(P, R, V, gamma=0.9)
    for s, a in np.ndindex(5, 3):
        wanted = R[s, a] + 0.9 * math.fsum(P[s, a, x] * V[x] for x in range(5))
        assert Q[s, a] == pytest.approx(wanted)
    np.testing.assert_allclose((pi * Q).sum(axis=1), V)  # Bellman's equation


def test_advantages() -> None:
    (case,) = cases.advantage_by_hand(np.random.default_rng(0))
    np.testing.assert_allclose(advantage(**case), [[-1.5, -0.5, 3.5], [3.0, -1.0, 1.0]])
    _, Q, pi = random_world(6, 6, 3)
    A = advantage(Q, pi)
    np.testing.assert_allclose((pi * A).sum(axis=1), np.zeros(6), atol=1e-12)
    np.testing.assert_allclose(A - A[:, :1], Q - Q[:, :1])
    settled = np.eye(3)[Q.argmax(axis=1)]
    assert advantage(Q, settled).max() == 0.0  # nothing is better than always taking the best


def test_greedy_to_its_values_is_nowhere_worse(grid: World) -> None:
    uniform = np.full((25, 4), 0.25)
    V = policy_value(*grid, uniform, gamma=0.9)
    greedy = np.eye(4)[q_from_v(*grid, V, gamma=0.9).argmax(axis=1)]
    better = policy_value(*grid, greedy, gamma=0.9)
    assert (better > V).all()
    assert better[1] == pytest.approx(10 / (1 - 0.9**5))  # from A to A', four steps up, again


# ---- sweeps -------------------------------------------------------------------------------------


def test_sweeps_by_hand() -> None:
    """V is 1, 1.5, 1.75, 1.875; the fourth change, 1/8, is the first below 0.2."""
    (case,) = cases.stay_or_end(np.random.default_rng(0))
    V, num_sweeps = iterative_policy_eval(**case)
    np.testing.assert_array_equal(V, [1.875, 0.0])
    assert num_sweeps == 4
    assert iterative_policy_eval(**case | {"tol": 0.125})[1] == 5  # an eighth is not below it
    assert iterative_policy_eval(**case | {"tol": 9.0})[1] == 1


def test_sweeps_come_as_close_as_they_promise() -> None:
    """After the last change the error is at most gamma / (1 - gamma) of it."""
    P, R, pi = random_world(7, 8, 3)
    for gamma in (0.5, 0.9, 0.99):
        exact = policy_value(P, R, pi, gamma=gamma)
        for tol in (1.0, 1e-3, 1e-9):
            V, _ = iterative_policy_eval(P, R, pi, gamma=gamma, tol=tol)
            assert abs(V - exact).max() <= gamma / (1 - gamma) * tol + 1e-12


def test_the_published_steps_to_a_corner() -> None:
    """Sutton & Barto (2018), figure 4.1: whole numbers, which solve the equations exactly."""
    P, R = grid_world(4, 4, step_reward=-1.0, terminal=(0, 15))
    walk = np.full((16, 4), 0.25)
    wanted = -np.array([0, 14, 20, 22, 14, 18, 20, 20, 20, 20, 18, 14, 22, 20, 14, 0], dtype=float)
    np.testing.assert_array_equal((walk * q_from_v(P, R, wanted, gamma=1.0)).sum(axis=1), wanted)
    V, num_sweeps = iterative_policy_eval(P, R, walk, gamma=1.0, tol=1e-10)
    np.testing.assert_allclose(V, wanted, atol=1e-8)
    assert num_sweeps == 426


def test_the_order_of_a_sweep_shows_in_the_count_alone() -> None:
    """Old values, new ones, and another order: the same values in another number of sweeps."""
    sweepers = iterative_policy_eval, variants.sweeps_in_place, variants.sweeps_backwards
    (case,) = cases.sweeps_in_a_world(np.random.default_rng(8))
    found = [sweep(**case) for sweep in sweepers]
    assert len({int(num_sweeps) for _, num_sweeps in found}) > 1
    for V, _ in found[1:]:
        np.testing.assert_allclose(V, found[0][0], atol=1e-8)


@pytest.mark.parametrize("seed", range(20))
def test_where_every_step_stays_the_count_is_a_fact(seed: int) -> None:
    """The k-th change is |R_pi| (gamma p)^(k - 1): the count follows without a sweep."""
    sweepers = iterative_policy_eval, variants.sweeps_in_place, variants.sweeps_backwards
    makers = cases.sweeps_of_both_signs, cases.sweeps_of_costs
    for case in [c for make in makers for c in make(np.random.default_rng(seed))]:
        stay = (case["pi"] * case["P"].diagonal(axis1=0, axis2=2).T).sum(axis=1)[:-1]
        first = abs((case["pi"] * case["R"]).sum(axis=1))[:-1]
        changes = (first * (case["gamma"] * stay) ** np.arange(99)[:, None]).max(axis=1)
        count = 1 + int((changes < case["tol"]).argmax())
        for sweep in sweepers:
            V, num_sweeps = sweep(**case)
            assert num_sweeps == count
            np.testing.assert_allclose(V, iterative_policy_eval(**case)[0])


# ---- bandits ------------------------------------------------------------------------------------


def test_epsilon_greedy_by_hand() -> None:
    for q, wanted in (
        ([1.0, 5.0, 2.0, 3.0], [0.1, 0.7, 0.1, 0.1]),
        ([2.0, 5.0, 5.0, 1.0], [0.1, 0.4, 0.4, 0.1]),
        ([0.0, 0.0, 0.0, 0.0], [0.25] * 4),
        ([-3.0, -1.0, -2.0, -4.0], [0.1, 0.7, 0.1, 0.1]),
    ):
        np.testing.assert_allclose(epsilon_greedy_probs(np.array(q), 0.4), wanted)
    assert epsilon_greedy_probs(np.array([2.0]), 0.3).tolist() == [1.0]


def test_epsilon_greedy_is_a_mixture() -> None:
    """Toss a coin, then draw from all or from the best: the chances by enumeration."""
    q = np.array([0.5, 2.0, -1.0, 2.0, 2.0, 0.0])
    for epsilon in (0.0, 0.25, 1.0):
        chances = np.zeros(6)
        for arm in range(6):
            chances[arm] += epsilon * 1 / 6
        for arm in (1, 3, 4):
            chances[arm] += (1 - epsilon) * 1 / 3
        np.testing.assert_allclose(epsilon_greedy_probs(q, epsilon), chances)


class Dice(np.random.Generator):
    """A generator whose coin, draws and noise are written down beforehand."""

    def __init__(self, coins: list[float], draws: list[int], noise: list[float]) -> None:
        super().__init__(np.random.PCG64(0))
        self.coins, self.draws, self.noise = iter(coins), iter(draws), iter(noise)

    def random(self, *_: object, **__: object) -> float:  # type: ignore[override]
        return next(self.coins)

    def integers(self, *_: object, **__: object) -> int:  # type: ignore[override]
        return next(self.draws)

    def normal(self, loc: float = 0.0, *_: object, **__: object) -> float:  # type: ignore[override]
        return loc + next(self.noise)


@pytest.mark.parametrize(
    ("step_size", "noise", "arms"),
    [
        # arm 0 pays 4 and then -2: average 1, so the arm stays ahead of 0 until -5 makes it -1
        (None, [3.0, -3.0, -6.0, 0.0, 0.0], [0, 0, 0, 1, 1]),
        # with half of each error the estimates of arm 0 are 2 and then 0: a tie, and the draw is 1
        (0.5, [3.0, -3.0, 0.0, 0.0, 0.0], [0, 0, 1, 1, 1]),
    ],
)
def test_a_run_by_hand(step_size: float | None, noise: list[float], arms: list[int]) -> None:
    """Two arms, worth 1 and 2; greedy, with a draw only where estimates tie."""
    draws = [0, 0, 0, 0, 0] if step_size is None else [0, 0, 1, 0, 0]
    dice = Dice([0.9] * 5, draws, noise)
    rewards, optimal = bandit_run(
        np.array([1.0, 2.0]), epsilon=0.5, num_steps=5, step_size=step_size, rng=dice
    )
    wanted = [1.0 + arm + extra for arm, extra in zip(arms, noise, strict=True)]
    assert rewards.tolist() == wanted
    assert optimal.tolist() == [arm == 1 for arm in arms]
    assert optimal.dtype == bool


def test_a_constant_step_follows_a_change_and_an_average_does_not() -> None:
    """Both agents see 10, 10, 10 from arm 0 and then -9 at each visit; arm 1 was seen at 2."""
    noise = [2.0, 10.0, 10.0, 10.0] + [-9.0] * 6
    for step_size, leaves_after in ((None, 3), (0.75, 1)):
        coins = [0.0, 0.0] + [0.9] * 8  # one look at each arm, then greedy
        dice = Dice(coins, [1, 0] + [0] * 8, noise)
        rewards, optimal = bandit_run(
            np.array([0.0, 1e-9]), epsilon=0.5, num_steps=10, step_size=step_size, rng=dice
        )
        stays = optimal[4:].argmax() if optimal[4:].any() else 6
        assert stays == leaves_after, (step_size, rewards, optimal)


def test_always_exploring_is_a_fair_draw() -> None:
    q_star = np.array([3.0, -1.0, 0.5, 2.0])
    rewards, optimal = bandit_run(
        q_star, epsilon=1.0, num_steps=20_000, step_size=None, rng=np.random.default_rng(9)
    )
    assert abs(optimal.mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 20_000)
    spread = math.sqrt(1.0 + q_star.var())  # noise of the arm and of its choice
    assert abs(rewards.mean() - q_star.mean()) < 5 * spread / math.sqrt(20_000)
    assert rewards.std() == pytest.approx(spread, rel=5 / math.sqrt(2 * 20_000))


def test_one_run_at_a_time_or_all_side_by_side() -> None:
    """Two programs that share no line agree within five standard errors, in blocks of 50 steps."""
    rng = np.random.default_rng(10)
    problems = rng.normal(size=(150, 10))
    for epsilon in (0.0, 0.1):
        runs = [
            bandit_run(q, epsilon=epsilon, num_steps=200, step_size=None, rng=rng) for q in problems
        ]
        crowd = bandit_testbed(np.tile(problems, (20, 1)), epsilon=epsilon, num_steps=200, rng=rng)
        for mine, theirs in zip(zip(*runs, strict=True), crowd, strict=True):
            one = np.array(mine, dtype=float).reshape(150, 4, 50).mean(axis=2)
            many = theirs.reshape(20, 150, 4, 50).mean(axis=3)
            apart = one - many.mean(axis=0)
            allowed = 5 * apart.std(axis=0) / math.sqrt(150)
            assert (abs(apart.mean(axis=0)) < allowed).all()


# mean reward and share of the best arm in the last 100 of 1,000 steps, over 160,000 problems
TESTBED = {0.0: (1.033, 0.360), 0.01: (1.312, 0.596), 0.1: (1.367, 0.798)}


@pytest.mark.parametrize("epsilon", TESTBED)
def test_the_testbed(epsilon: float) -> None:
    """2,000 problems, as in the book's figure 2.2, within five standard errors."""
    rng = np.random.default_rng(11)
    rewards, optimal = bandit_testbed(
        rng.normal(size=(2_000, 10)), epsilon=epsilon, num_steps=1_000, rng=rng
    )
    assert rewards.shape == optimal.shape == (2_000, 1_000)
    assert optimal.dtype.kind == "b"
    for found, wanted in zip((rewards, optimal), TESTBED[epsilon], strict=True):
        late = found[:, -100:].mean(axis=1)
        assert abs(late.mean() - wanted) < 5 * late.std() / math.sqrt(2_000)
    assert abs(optimal[:, 0].mean() - 0.1) < 5 * math.sqrt(0.09 / 2_000)


def test_the_predicted_reward() -> None:
    """0.9 E[max of ten normal draws] + 0.1 * 0, by quadrature and by drawing."""

    def density(x: float) -> float:
        return float(10 * x * scipy.stats.norm.pdf(x) * scipy.stats.norm.cdf(x) ** 9)

    best, _ = scipy.integrate.quad(density, -10, 10)
    assert best == pytest.approx(1.5388, abs=5e-5)
    assert checks.PREDICTED_REWARD.answer == pytest.approx(0.9 * best, abs=5e-4)
    q_star = np.random.default_rng(12).normal(size=(200_000, 10))
    chances = np.full(10, 0.01)
    ranked = np.sort(q_star, axis=1)
    chances[-1] += 0.9
    paid = ranked @ chances
    error = paid.std() / math.sqrt(len(paid))
    assert abs(paid.mean() - checks.PREDICTED_REWARD.answer) < 5 * error + 5e-4


def test_a_shift_of_all_rewards_changes_the_best_policy() -> None:
    """Five steps of -1 beat an endless walk, five steps of +1 do not."""
    hurry, dawdle = np.eye(4)[np.full(6, 1)], np.eye(4)[np.full(6, 3)]
    for reward, best in ((-1.0, "hurry"), (1.0, "dawdle")):
        world = grid_world(1, 6, step_reward=reward, terminal=(5,))
        quick, slow = (policy_value(*world, pi, gamma=0.9)[0] for pi in (hurry, dawdle))
        assert quick == pytest.approx(reward * (1 - 0.9**5) / 0.1)
        assert slow == pytest.approx(reward * 10)
        assert best == ("hurry" if quick > slow else "dawdle")


SAMPLED = [
    pytest.param(group, group.probe, id=group.name)
    for group in checks.BANDIT_RUN.groups
    if group.public and isinstance(group.probe, Samples)
]


@pytest.mark.parametrize(("group", "probe"), SAMPLED)
def test_chance_alone_stays_far_from_the_limit(group: Group, probe: Samples) -> None:
    """Over 20 seeds, right answers differ by what their standard errors say: 6 of them are safe.

    The distances behave like normal ones (their mean square is 1), so that six standard errors are
    missed by a right answer with a probability of 2e-9 per number.
    """
    found = []
    for seed in range(20):
        (case,) = group.cases(np.random.default_rng(seed))
        summaries = []
        for stream in range(2):
            case["rng"] = Seed(2 * seed + stream)
            summary = summarize(probe, observe(bandit_run, probe, case)).value
            assert isinstance(summary, Summary)
            summaries.append(summary)
        one, other = summaries
        spread = np.hypot(one.stderr, other.stderr)
        varies = spread > 0.005  # elsewhere a step is all but certain, and outcomes too rare
        found.append((abs(one.mean - other.mean) / np.where(varies, spread, np.inf))[varies])
    distances = np.concatenate(found)
    assert distances.max() < STANDARD_ERRORS - 1.5
    assert np.sqrt((distances**2).mean()) == pytest.approx(1.0, abs=0.25)


def test_a_grid_is_drawn_with_its_numbers_and_arrows() -> None:
    Q = np.zeros((6, 4))
    Q[0, 1] = Q[1, 2] = 1.0
    ax = draw_values(np.arange(6.0), rows=2, columns=3, Q=Q, title="six cells")
    texts = [text.get_text() for text in ax.texts]
    assert texts[:3] == ["0.0\n→", "1.0\n↓", "2.0\n↑→↓←"]
    assert draw_values(np.arange(6.0), rows=2, columns=3, ax=ax).get_title() == ""
    assert ax.texts[-1].get_text() == "5.0"
    plt.close("all")
