"""Lab 2's answers against numbers worked by hand, limits, and oracles that share no code."""

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import labkit.envs
from solutions.lab02_q_learning_sarsa import reference
from solutions.lab02_q_learning_sarsa.reference import (
    best_eps_soft,
    choose_action,
    cliff_model,
    double_q_update,
    eps_soft_value,
    epsilon_greedy_probs,
    evaluate,
    expected_sarsa_episode,
    expected_sarsa_target,
    greedy_path,
    left_choices,
    q_learning_episode,
    q_update,
    run_episode_sarsa,
    sarsa_update,
    train,
)

START, GOAL = 36, 47
CLIFF = {"epsilon": 0.1, "alpha": 0.5, "gamma": 1.0, "max_steps": 10_000}
Model = tuple[reference.Float, reference.Float]


@pytest.fixture(scope="module")
def cliff() -> reference.TabularEnv:
    return gym.make("CliffWalking-v1", disable_env_checker=True)


@pytest.fixture(scope="module")
def model(cliff: reference.TabularEnv) -> Model:
    return cliff_model(cliff)


@pytest.fixture(scope="module")
def optimal(model: Model) -> reference.Float:
    return best_eps_soft(*model, epsilon=0.0, gamma=1.0, value=eps_soft_value)


def small_table() -> reference.Float:
    return np.array([[1.0, 4.0, 2.0], [8.0, 5.0, 7.0], [0.5, 0.25, 3.0]])


# ---- one step ---------------------------------------------------------------------------------


def test_choose_action_frequencies() -> None:
    """One best of four at epsilon 0.4: 0.6 + 0.1, and 0.1 for each other; 5 standard errors."""
    Q = np.array([[0.0, 1.0, 9.0, 3.0], [2.0, 5.0, 5.0, 1.0]])
    rng = np.random.default_rng(3)
    n = 20_000
    for obs, expected in ((0, [0.1, 0.1, 0.7, 0.1]), (1, [0.1, 0.4, 0.4, 0.1])):
        actions = [choose_action(Q, obs, 0.4, rng) for _ in range(n)]
        assert all(type(action) is int for action in actions[:10])
        found = np.bincount(actions, minlength=4) / n
        chance = np.array(expected)
        assert (abs(found - chance) < 5 * np.sqrt(chance * (1 - chance) / n)).all()


def test_q_update_by_hand() -> None:
    """2 + 0.5 * (1 + 0.9 * 8 - 2) = 5.1; terminated: 2 + 0.5 * (1 - 2) = 1.5."""
    Q = small_table()
    assert q_update(Q, 0, 2, 1.0, 1, False, alpha=0.5, gamma=0.9) is None  # type: ignore[func-returns-value]
    assert Q[0, 2] == pytest.approx(5.1)
    Q[0, 2] = 2.0
    np.testing.assert_array_equal(Q, small_table())
    q_update(Q, 0, 2, 1.0, 1, True, alpha=0.5, gamma=0.9)
    assert Q[0, 2] == pytest.approx(1.5)


def test_sarsa_update_by_hand() -> None:
    """2 + 0.5 * (1 + 0.9 * 5 - 2) = 3.75, cut off by a time limit or not."""
    for truncated in (False, True):
        Q = small_table()
        sarsa_update(Q, 0, 2, 1.0, 1, 1, False, truncated, alpha=0.5, gamma=0.9)
        assert Q[0, 2] == pytest.approx(3.75)
    sarsa_update(Q, 0, 1, 1.0, 1, 1, True, False, alpha=0.5, gamma=0.9)
    assert Q[0, 1] == pytest.approx(2.5)


def test_sarsa_of_the_best_action_is_q_learning() -> None:
    rng = np.random.default_rng(0)
    Q = rng.normal(size=(5, 4))
    other = Q.copy()
    q_update(Q, 1, 2, -0.3, 4, False, alpha=0.3, gamma=0.7)
    best = int(other[4].argmax())
    sarsa_update(other, 1, 2, -0.3, 4, best, False, False, alpha=0.3, gamma=0.7)
    np.testing.assert_array_equal(Q, other)


def test_expected_sarsa_is_the_mean_of_sarsa() -> None:
    """The target averages SARSA's over the actions that the policy takes, ties or not."""
    for row in ([1.0, -2.0, 0.5, 0.7], [1.0, 3.0, 3.0, -1.0]):
        Q = np.array([row])
        probs = epsilon_greedy_probs(Q[0], 0.3)
        assert probs.sum() == pytest.approx(1.0)
        sarsa = [2.0 + 0.8 * value for value in row]
        target = expected_sarsa_target(Q, 0, 2.0, False, epsilon=0.3, gamma=0.8)
        assert target == pytest.approx(float(probs @ sarsa))
        assert expected_sarsa_target(Q, 0, 2.0, True, epsilon=0.3, gamma=0.8) == 2.0


def test_double_q_update_by_hand() -> None:
    """QA chooses action 1, QB says 20: 1 + 0.5 * (2 + 0.9 * 20 - 1) = 10.5. QB chooses 2: 3.5."""
    QA, QB = np.array([[1.0, 0, 0], [3.0, 5.0, 4.0]]), np.array([[2.0, 0, 0], [10, 20, 30]])
    seen = set()
    for seed in range(20):
        a, b = QA.copy(), QB.copy()
        rng = np.random.default_rng(seed)
        double_q_update(a, b, 0, 0, 2.0, 1, False, alpha=0.5, gamma=0.9, rng=rng)
        seen.add((a[0, 0], b[0, 0]))
        a[0, 0], b[0, 0] = 1.0, 2.0
        np.testing.assert_array_equal(a, QA)
        np.testing.assert_array_equal(b, QB)
    assert sorted(seen) == [(1.0, pytest.approx(3.8)), (pytest.approx(10.5), 2.0)]


def test_double_q_at_the_end_earns_the_reward_alone() -> None:
    """1 + 0.5 (6 - 1) = 3.5 in QA, or 2 + 0.5 (6 - 2) = 4 in QB."""
    seen = set()
    for seed in range(20):
        QA, QB = np.array([[1.0, 0], [3.0, 5.0]]), np.array([[2.0, 0], [10, 20]])
        rng = np.random.default_rng(seed)
        double_q_update(QA, QB, 0, 0, 6.0, 1, True, alpha=0.5, gamma=0.9, rng=rng)
        seen.add((QA[0, 0], QB[0, 0]))
    assert seen == {(3.5, 2.0), (1.0, 4.0)}


def test_two_equal_tables_learn_like_one() -> None:
    Q = small_table()
    single = Q.copy()
    q_update(single, 0, 0, 1.5, 2, False, alpha=0.2, gamma=0.9)
    QA, QB = Q.copy(), Q.copy()
    rng = np.random.default_rng(1)
    double_q_update(QA, QB, 0, 0, 1.5, 2, False, alpha=0.2, gamma=0.9, rng=rng)
    np.testing.assert_allclose(QA + QB, Q + single)


# ---- episodes ---------------------------------------------------------------------------------


def right_of(Q: reference.Float, row: int) -> reference.Float:
    """Make "right" the best action along ``row``, "up" left of it and "down" at its end."""
    for column in range(12):
        Q[12 * row + column, 1 if column < 11 else 2] += 10.0
    for below in range(row + 1, 4):
        Q[12 * below, 0] += 10.0
        Q[12 * below + 11, 2] += 10.0
    return Q


def test_sarsa_episode_matches_its_trace(cliff: reference.TabularEnv) -> None:
    """At epsilon 0 the path is known, so the episode is 15 hand-made updates in a row."""
    rng = np.random.default_rng(5)
    Q = right_of(rng.normal(size=(48, 4)), 1)
    expected = Q.copy()
    path = [36, 24, *range(12, 24), 35, 47]
    actions = [0, 0, *[1] * 11, 2, 2]
    for t, (obs, action) in enumerate(zip(path, actions, strict=False)):
        ends = t == len(actions) - 1
        future = 0.0 if ends else expected[path[t + 1], actions[t + 1]]
        expected[obs, action] = 0.9 * expected[obs, action] + 0.1 * (-1 + 0.95 * future)
    return_ = run_episode_sarsa(
        cliff, Q, epsilon=0.0, alpha=0.1, gamma=0.95, rng=rng, max_steps=100
    )
    np.testing.assert_allclose(Q, expected)
    assert return_ == pytest.approx(-(1 - 0.95**15) / (1 - 0.95))


def test_time_limit_ends_but_does_not_terminate() -> None:
    """Three steps right in row 2 of a limited cliff; the third still looks ahead."""
    env = gym.make("CliffWalking-v1", max_episode_steps=3, disable_env_checker=True)
    rng = np.random.default_rng(2)
    Q = right_of(rng.normal(size=(48, 4)), 2)
    before = Q.copy()
    return_ = run_episode_sarsa(env, Q, epsilon=0.0, alpha=1.0, gamma=1.0, rng=rng, max_steps=1_000)
    assert return_ == -3.0
    assert Q[25, 1] == pytest.approx(-1 + before[26, 1])
    assert Q[26, 1] == before[26, 1]


def test_sarsa_takes_the_action_that_it_learned_from(cliff: reference.TabularEnv) -> None:
    """Left from the start is a wall. One update makes "up" look better, but "left" is chosen.

    With alpha 1/2 and gamma 1: 10 -> 10 + (-1 + 10 - 10) / 2 = 9.5 < 9.9, yet the second step goes
    left again: 9.5 + (-1 + 9.9 - 9.5) / 2 = 9.2. Two steps, two rewards of -1, still at the start.
    """
    Q = np.random.default_rng(3).normal(size=(48, 4))
    Q[START] = [9.9, 0.0, 0.5, 10.0]
    return_ = run_episode_sarsa(
        cliff, Q, epsilon=0.0, alpha=0.5, gamma=1.0, rng=np.random.default_rng(0), max_steps=2
    )
    np.testing.assert_allclose(Q[START], [9.9, 0.0, 0.5, 9.2])
    assert return_ == -2.0


@pytest.mark.parametrize("episode", [run_episode_sarsa, q_learning_episode])
def test_episodes_explore_in_every_step(
    cliff: reference.TabularEnv, episode: Callable[..., float]
) -> None:
    """Two steps at epsilon 1, learned with alpha 1: what is written says where the agent went.

    Up first (1/4), then each action of cell 24 is as likely as the others: 1/16 each. SARSA's first
    target is a random value of row 24, Q-learning's its maximum.
    """
    rng = np.random.default_rng(1)
    n, moved, targets = 4_000, np.zeros(4), []
    before = np.zeros((48, 4))
    before[24] = [10.0, 20.0, 30.0, 40.0]
    for _ in range(n):
        Q = before.copy()
        episode(cliff, Q, epsilon=1.0, alpha=1.0, gamma=1.0, rng=rng, max_steps=2)
        moved += Q[24] != before[24]
        if Q[START, 0]:
            targets.append(Q[START, 0] + 1)
    assert (abs(moved / n - 1 / 16) < 5 * np.sqrt(1 / 16 * 15 / 16 / n)).all()
    wanted = {10.0, 20.0, 30.0, 40.0} if episode is run_episode_sarsa else {40.0}
    assert wanted <= set(targets) <= wanted | {0.0}


def test_every_loop_stops_when_the_time_is_up() -> None:
    """Three steps in row 2 of a limited cliff; Q-learning's third target still looks ahead."""
    env = gym.make("CliffWalking-v1", max_episode_steps=3, disable_env_checker=True)
    rng = np.random.default_rng(2)
    Q = right_of(rng.normal(size=(48, 4)), 2)
    returns = evaluate(env, Q, epsilon=0.0, num_episodes=2, rng=rng, max_steps=1_000)
    np.testing.assert_array_equal(returns, [-3.0, -3.0])
    before = Q.copy()
    total = q_learning_episode(env, Q, epsilon=0.0, alpha=1.0, gamma=1.0, rng=rng, max_steps=1_000)
    assert total == -3.0
    assert Q[25, 1] == pytest.approx(-1 + before[26].max())


def test_evaluate_counts_falls_and_leaves_q_alone(cliff: reference.TabularEnv) -> None:
    """Right from the start is a fall each time: -100 per step until max_steps."""
    rng = np.random.default_rng(0)
    Q = rng.normal(size=(48, 4))
    Q[START, 1] += 10
    before = Q.copy()
    returns = evaluate(cliff, Q, epsilon=0.0, num_episodes=3, rng=rng, max_steps=7)
    np.testing.assert_array_equal(returns, [-700.0] * 3)
    np.testing.assert_array_equal(Q, before)
    Q[START, 1] -= 10
    Q = right_of(Q, 0)
    returns = evaluate(cliff, Q, epsilon=0.0, num_episodes=2, rng=rng, max_steps=100)
    np.testing.assert_array_equal(returns, [-17.0] * 2)


def test_both_loops_learn_the_same_at_epsilon_zero(cliff: reference.TabularEnv) -> None:
    """Greedy Expected SARSA is Q-learning: two loops written apart give one table."""
    tables = [np.random.default_rng(8).normal(size=(48, 4)) for _ in range(2)]
    shared = {"epsilon": 0.0, "alpha": 0.3, "gamma": 0.9, "max_steps": 200}
    for _ in range(5):
        q_learning_episode(cliff, tables[0], rng=np.random.default_rng(1), **shared)  # type: ignore[arg-type]
        expected_sarsa_episode(
            cliff,
            tables[1],
            expected_sarsa_target,
            choose_action,
            rng=np.random.default_rng(1),
            **shared,  # type: ignore[arg-type]
        )
    np.testing.assert_allclose(tables[0], tables[1])


# ---- exact values -----------------------------------------------------------------------------


def test_model_agrees_with_the_environment(model: Model) -> None:
    """Gymnasium's `step`, from every cell with every action, is the oracle."""
    P, R = model
    np.testing.assert_allclose(P.sum(axis=2), 1.0)
    env = gym.make("CliffWalking-v1", disable_env_checker=True)
    for obs in range(48):
        for action in range(4):
            env.reset()
            env.unwrapped.s = obs  # type: ignore[attr-defined]
            next_obs, reward, *_ = env.step(action)
            wanted = (GOAL, 0.0) if obs == GOAL else (next_obs, reward)
            assert (int(P[obs, action].argmax()), R[obs, action]) == wanted


def test_value_of_two_cells_by_hand() -> None:
    """Stay (reward -1) or leave (reward -2): at epsilon 1/2 and greedy leaving, p(stay) is 1/4.

    V = 1/4 (-1 + gamma V) + 3/4 (-2), so V = -1.75 / (1 - gamma / 4): -7/3 at 1, -2.258 at 0.9.
    """
    P = np.zeros((2, 2, 2))
    P[0, 0, 0] = P[0, 1, 1] = P[1, :, 1] = 1.0
    R = np.array([[-1.0, -2.0], [0.0, 0.0]])
    Q = np.array([[0.0, 1.0], [0.3, 0.1]])
    for gamma in (1.0, 0.9):
        V = eps_soft_value(P, R, Q, epsilon=0.5, gamma=gamma)
        np.testing.assert_allclose(V, [-1.75 / (1 - gamma / 4), 0.0])


def test_exact_value_agrees_with_rollouts(cliff: reference.TabularEnv, model: Model) -> None:
    """Monte Carlo over 2,000 episodes lands within five standard errors, at two epsilons."""
    Q = right_of(np.random.default_rng(4).normal(size=(48, 4)), 2)
    for epsilon, seed in ((0.1, 0), (0.3, 1)):
        exact = eps_soft_value(*model, Q, epsilon=epsilon, gamma=1.0)[START]
        rng = np.random.default_rng(seed)
        returns = evaluate(cliff, Q, epsilon=epsilon, num_episodes=400, rng=rng, max_steps=10_000)
        assert abs(returns.mean() - exact) < 5 * returns.std() / np.sqrt(400)


def test_exact_value_agrees_with_a_sparse_solver() -> None:
    """A random MDP with a terminal state, its policy built entry by entry, solved by scipy."""
    rng = np.random.default_rng(9)
    P, R, Q = (
        rng.dirichlet(np.ones(6), size=(6, 3)),
        rng.normal(size=(6, 3)),
        rng.normal(size=(6, 3)),
    )
    P[5], R[5] = np.eye(6)[5], 0.0
    system, right = scipy.sparse.lil_matrix((5, 5)), np.zeros(5)
    for s in range(5):
        system[s, s] = 1.0
        for a in range(3):
            chance = 0.2 / 3 + (0.8 if a == Q[s].argmax() else 0.0)
            right[s] += chance * R[s, a]
            for x in range(5):
                system[s, x] -= 0.9 * chance * P[s, a, x]
    wanted = scipy.sparse.linalg.spsolve(system.tocsr(), right)
    V = eps_soft_value(P, R, Q, epsilon=0.2, gamma=0.9)
    np.testing.assert_allclose(V, [*wanted, 0.0])


def test_the_exact_numbers_of_the_cliff(model: Model, optimal: reference.Float) -> None:
    """The optimal policy costs 13 steps; exploring along the edge makes that 50.80."""
    P, _ = model
    assert optimal[START].max() == -13.0
    assert len(greedy_path(P, optimal, START)) - 1 == 13

    def online(Q: reference.Float, epsilon: float) -> float:
        return float(eps_soft_value(*model, Q, epsilon=epsilon, gamma=1.0)[START])

    assert online(optimal, 0.1) == pytest.approx(-50.80, abs=5e-3)
    first = np.eye(4)[optimal.argmax(axis=1)]
    last = np.eye(4)[3 - optimal[:, ::-1].argmax(axis=1)]
    assert online(first, 0.1) == pytest.approx(-45.80, abs=5e-3)
    assert online(last, 0.1) == pytest.approx(-51.81, abs=5e-3)
    for epsilon, value, steps in ((0.1, -20.71, 15), (0.2, -28.63, 17)):
        best = best_eps_soft(*model, epsilon=epsilon, gamma=1.0, value=eps_soft_value)
        assert online(best, epsilon) == pytest.approx(value, abs=5e-3)
        assert len(greedy_path(P, best, START)) - 1 == steps
        for other in (optimal, first, np.zeros((48, 4))):
            assert online(best, epsilon) > online(other, epsilon)


# ---- trained ----------------------------------------------------------------------------------


def test_thirty_agents_of_each_method(model: Model) -> None:
    """Means of the last 100 of 500 episodes lie in gates five standard errors wide."""

    def q_learning(
        env: reference.TabularEnv, Q: reference.Float, rng: np.random.Generator
    ) -> float:
        return q_learning_episode(env, Q, rng=rng, **CLIFF)  # type: ignore[arg-type]

    def sarsa(env: reference.TabularEnv, Q: reference.Float, rng: np.random.Generator) -> float:
        return run_episode_sarsa(env, Q, rng=rng, **CLIFF)  # type: ignore[arg-type]

    def expected(env: reference.TabularEnv, Q: reference.Float, rng: np.random.Generator) -> float:
        target = expected_sarsa_target
        return expected_sarsa_episode(env, Q, target, choose_action, rng=rng, **CLIFF)  # type: ignore[arg-type]

    for episode, low, high, steps in (
        (q_learning, -58.0, -44.0, 13),
        (sarsa, -35.5, -20.5, None),
        (expected, -23.0, -18.7, 15),
    ):
        tables, returns = train(episode, num_seeds=30, num_episodes=500, desc=episode.__name__)
        assert low < returns[:, -100:].mean() < high
        if steps is not None:  # SARSA's greedy path is a matter of luck at this step size
            assert {len(greedy_path(model[0], Q, START)) - 1 for Q in tables} == {steps}


def test_maximisation_bias() -> None:
    """Q-learning is fooled for a while, Double Q-learning hardly; 5% is what exploring costs."""
    shared = {"num_runs": 150, "num_episodes": 200, "alpha": 0.1, "epsilon": 0.1}
    single = left_choices(q_update, choose_action, num_tables=1, **shared).mean(axis=0)  # type: ignore[arg-type]
    double = left_choices(double_q_update, choose_action, num_tables=2, **shared).mean(axis=0)  # type: ignore[arg-type]
    assert single[10:30].mean() > 0.8
    assert double[10:30].mean() < 0.55
    assert single[-50:].mean() > double[-50:].mean() > 0.03


def test_maximisation_bias_environment() -> None:
    env = labkit.envs.MaximizationBias()
    assert env.reset(seed=0)[0] == env.A
    assert env.step(0)[:3] == (env.TERMINAL, 0.0, True)
    rewards = []
    for action in [*range(10)] * 100:
        env.reset()
        assert env.step(1)[:3] == (env.B, 0.0, False)
        obs, reward, terminated, *_ = env.step(action)
        assert (obs, terminated) == (env.TERMINAL, True)
        rewards.append(reward)
    assert np.mean(rewards) == pytest.approx(-0.1, abs=5 / np.sqrt(1_000))
    env.reset()
    with pytest.raises(ValueError, match="not 2"):
        env.step(2)
