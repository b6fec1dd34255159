"""Lab 3's answers against numbers worked by hand, limits, and oracles that share no code."""

import itertools
import math
from functools import cache

import gymnasium as gym
import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from numpy.typing import NDArray

import labkit.envs
from solutions.lab03_planning_mcts import reference
from solutions.lab03_planning_mcts.reference import (
    Float,
    SearchTree,
    State,
    dyna_q_step,
    dyna_runs,
    empty_model,
    env_model,
    fit_model,
    fitted_q_iteration,
    greedy_return,
    is_terminal,
    legal_moves,
    log_cliff,
    mcts_move,
    minimax,
    perfect_player,
    play,
    play_games,
    policy_iteration,
    puct,
    random_player,
    rollout,
    slippery_room,
    to_move,
    ucb,
    value_iteration,
    winner,
)

MAZE = "labkit.envs:labkit/DynaMaze-v0"


def random_process(seed: int, num_obs: int = 8, num_actions: int = 3) -> tuple[Float, Float]:
    """Random transitions and rewards of either sign; the last observation is absorbing."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.full(num_obs, 0.4), size=(num_obs, num_actions))
    R = rng.normal(size=(num_obs, num_actions))
    P[-1], R[-1] = np.eye(num_obs)[-1], 0.0
    return P, R


def last_is_terminal(P: Float) -> NDArray[np.bool_]:
    return np.asarray(np.arange(len(P)) == len(P) - 1)


def by_linear_program(P: Float, R: Float, gamma: float) -> Float:
    """The smallest V with V(s) >= R(s, a) + gamma * P(s, a) V for all a, found by scipy."""
    num_obs, num_actions = R.shape
    rows = [
        gamma * P[s, a] - np.eye(num_obs)[s] for s in range(num_obs) for a in range(num_actions)
    ]
    found = scipy.optimize.linprog(
        np.ones(num_obs), A_ub=np.array(rows), b_ub=-R.ravel(), bounds=(None, None)
    )
    assert found.success
    return np.asarray(found.x)


# ---- a known model ----------------------------------------------------------------------------


def test_value_iteration_by_hand() -> None:
    """V(1) = -1 and V(0) = max(-5, -1 + 0.9 * -1) = -1.9; the 7 of the end are never paid."""
    P, R = np.zeros((3, 2, 3)), np.array([[-1.0, -5.0], [-1.0, -2.0], [7.0, 7.0]])
    P[0, 0, 1] = P[0, 1, 2] = P[1, :, 2] = P[2, :, 2] = 1.0
    terminal = np.array([False, False, True])
    V, pi = value_iteration(P, R, terminal, gamma=0.9, tol=1e-8)
    np.testing.assert_allclose(V, [-1.9, -1.0, 0.0])
    assert pi[:2].tolist() == [0, 0]
    P[2] = np.eye(3)[0]  # nor does it matter where the end would lead
    np.testing.assert_allclose(value_iteration(P, R, terminal, gamma=0.9, tol=1e-8)[0], V)


def test_value_iteration_solves_the_linear_program() -> None:
    for seed in range(5):
        P, R = random_process(seed)
        V, pi = value_iteration(P, R, last_is_terminal(P), gamma=0.9, tol=1e-9)
        np.testing.assert_allclose(V, by_linear_program(P, R, 0.9), atol=1e-7)
        system = np.eye(len(P)) - 0.9 * P[np.arange(len(P)), pi]
        np.testing.assert_allclose(V, np.linalg.solve(system, R[np.arange(len(P)), pi]), atol=1e-8)


@pytest.mark.parametrize("tol", [1.0, 0.1, 0.01])
def test_value_iteration_keeps_its_promise(tol: float) -> None:
    """At a rough tolerance too, the policy loses less than ``tol`` anywhere."""
    for seed in range(20):
        P, R = random_process(seed)
        everywhere = np.arange(len(P))
        _, pi = value_iteration(P, R, last_is_terminal(P), gamma=0.95, tol=tol)
        system = np.eye(len(P)) - 0.95 * P[everywhere, pi]
        worth = np.linalg.solve(system, R[everywhere, pi])
        assert (by_linear_program(P, R, 0.95) - worth < tol).all()


def test_number_of_sweeps_of_the_prediction() -> None:
    """One cell that pays 1: after k sweeps it is worth (1 - 0.9**k) / 0.1, and k is 73."""
    P, R = np.ones((1, 1, 1)), np.ones((1, 1))
    V, _ = value_iteration(P, R, np.array([False]), gamma=0.9, tol=0.01)
    sweeps = round(math.log(1 - 0.1 * V[0], 0.9))
    threshold = 0.01 * 0.1 / 1.8
    assert sweeps == 73
    assert 0.9 ** (sweeps - 1) < threshold <= 0.9 ** (sweeps - 2)


def test_value_iteration_looks_at_the_largest_change() -> None:
    """Two cells that pay 1 and -1 for ever: their changes cancel, yet both go on to 10 and -10."""
    P, R = np.eye(2)[:, None], np.array([[1.0], [-1.0]])
    V, _ = value_iteration(P, R, np.array([False, False]), gamma=0.9, tol=1e-8)
    np.testing.assert_allclose(V, [10.0, -10.0], atol=1e-7)


def test_value_iteration_takes_the_first_of_equal_actions() -> None:
    P, R = np.ones((1, 3, 1)), np.array([[0.0, 1.0, 1.0]])
    assert value_iteration(P, R, np.array([False]), gamma=0.5, tol=1e-8)[1].tolist() == [1]


def test_policy_iteration_changes_to_the_best_action() -> None:
    """From 0 the second action is better, the third best: two rounds, not three."""
    P, R = np.zeros((2, 3, 2)), np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]])
    P[:, :, 1] = 1.0
    pi, V, num_iterations = policy_iteration(P, R, gamma=0.9)
    assert (pi.tolist(), V.tolist(), num_iterations) == ([2, 0], [2.0, 0.0], 2)


def test_policy_iteration_by_hand() -> None:
    """Staying is worth 1 / (1 - 0.5) = 2, moving on 0.5 * 3 / (1 - 0.5) = 3: two rounds."""
    P, R = np.zeros((2, 2, 2)), np.array([[1.0, 0.0], [3.0, 0.0]])
    P[0, 0, 0] = P[0, 1, 1] = P[1, 0, 1] = P[1, 1, 0] = 1.0
    pi, V, num_iterations = policy_iteration(P, R, gamma=0.5)
    assert (pi.tolist(), num_iterations) == ([1, 0], 2)
    np.testing.assert_allclose(V, [3.0, 6.0])


def test_policy_iteration_solves_the_linear_program() -> None:
    for seed in range(5):
        P, R = random_process(seed)
        _, V, num_iterations = policy_iteration(P, R, gamma=0.95)
        np.testing.assert_allclose(V, by_linear_program(P, R, 0.95), atol=1e-7)
        assert num_iterations < 10


def test_policy_iteration_settles_where_actions_are_equal() -> None:
    """Rooms full of ties: it ends, and its value is value iteration's."""
    for size, slip in itertools.product((4, 6, 8), (0.0, 0.1, 0.2)):
        P, R = slippery_room(size, slip)
        np.testing.assert_allclose(P.sum(axis=2), 1.0)
        _, V, num_iterations = policy_iteration(P, R, gamma=0.95)
        wanted, _ = value_iteration(P, R, last_is_terminal(P), gamma=0.95, tol=1e-10)
        np.testing.assert_allclose(V, wanted, atol=1e-9)
        assert num_iterations <= 2 * size


def test_all_three_agree_on_the_cliff() -> None:
    """13 steps along the edge for -1 each: -(1 - 0.99**13) / 0.01 = -12.248."""
    P, R, terminal = env_model(gym.make("CliffWalking-v1"))
    assert np.flatnonzero(terminal).tolist() == [47]
    V, pi = value_iteration(P, R, terminal, gamma=0.99, tol=1e-9)
    assert V[36] == pytest.approx(-(1 - 0.99**13) / 0.01)
    np.testing.assert_allclose(policy_iteration(P, R, gamma=0.99)[1], V, atol=1e-8)
    assert greedy_return(np.eye(4)[pi]) == -13.0


# ---- learned models ---------------------------------------------------------------------------


def test_fit_model_by_hand() -> None:
    """Of (0, 1): 2/3 to 1, 1/3 to 2, mean reward (4 + 1 + 1) / 3; 3 is terminal, (1, 1) untried."""
    steps = [(0, 1, 4.0, 1, False), (0, 1, 1.0, 1, False), (0, 1, 1.0, 2, False)]
    P, R, N = fit_model(4, 2, [*steps, (1, 0, 5.0, 3, True)])
    np.testing.assert_allclose(P[0, 1], [0, 2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(P[1, 0], [0, 0, 0, 1])
    np.testing.assert_allclose(P[1, 1], 0.25)
    np.testing.assert_allclose(P[3], [[0, 0, 0, 1]] * 2)
    np.testing.assert_allclose(R, [[0, 2], [5, 0], [0, 0], [0, 0]])
    assert N.tolist() == [[0, 3], [1, 0], [0, 0], [0, 0]]
    assert N.dtype.kind == "i"


def test_fit_model_of_nothing_knows_nothing() -> None:
    P, R, N = fit_model(3, 2, [])
    np.testing.assert_array_equal(P, np.full((3, 2, 3), 1 / 3))
    assert not R.any()
    assert not N.any()


def test_fit_model_finds_the_process_that_made_the_data() -> None:
    """Each count is binomial: all shares lie within five standard errors of the truth."""
    P, R = random_process(3, num_obs=5, num_actions=2)
    rng, n, steps = np.random.default_rng(0), 4_000, []
    for s, a in itertools.product(range(4), range(2)):
        for x in rng.choice(5, size=n, p=P[s, a]):
            steps.append((s, a, float(R[s, a]), int(x), bool(x == 4)))
    P_hat, R_hat, N = fit_model(5, 2, steps)
    assert (abs(P_hat - P) <= 5 * np.sqrt(P * (1 - P) / n)).all()
    np.testing.assert_allclose(R_hat, R, atol=1e-12)
    assert (N[:4] == n).all()


def test_dyna_by_hand() -> None:
    """1 -> 1 + 0.5 (2 + 0.5 * 8 - 1) = 3.5, then twice again halfway to 6: 4.75, 5.375."""
    Q = np.array([[1.0, 4.0], [8.0, 5.0], [0.5, 3.0]])
    model = empty_model(3, 2)
    dyna_q_step(Q, model, 0, 0, 2.0, 1, False, num_planning=2, alpha=0.5, gamma=0.5,
                rng=np.random.default_rng(0))  # fmt: skip
    assert Q[0, 0] == pytest.approx(5.375)
    assert np.argwhere(model["visited"]).tolist() == [[0, 0]]
    assert (model["reward"][0, 0], model["next_obs"][0, 0]) == (2.0, 1)
    assert not model["terminated"].any()


def test_dyna_remembers_that_an_episode_ended() -> None:
    """The end's row says 8, and nobody may hope for it: 1 -> 1.5 -> 1.75 -> 1.875 towards 2."""
    Q = np.array([[1.0, 4.0], [8.0, 5.0]])
    model = empty_model(2, 2)
    dyna_q_step(Q, model, 0, 0, 2.0, 1, True, num_planning=2, alpha=0.5, gamma=0.5,
                rng=np.random.default_rng(0))  # fmt: skip
    assert Q[0, 0] == pytest.approx(1.875)
    assert model["terminated"].tolist() == [[True, False], [False, False]]


def test_dyna_plans_evenly_among_visited_pairs() -> None:
    """Chi-squared over the pairs that imagined steps of alpha 1 write their reward to."""
    rng = np.random.default_rng(1)
    model = empty_model(4, 3)
    known = [(0, 0), (1, 0), (1, 1), (1, 2), (3, 2)]
    for s, a in known:
        model["visited"][s, a], model["terminated"][s, a] = True, True
        model["reward"][s, a] = 10.0
    counts = np.zeros((4, 3))
    for _ in range(3_000):
        Q = np.zeros((4, 3))
        dyna_q_step(Q, model, 0, 0, 0.0, 2, True, num_planning=1, alpha=1.0, gamma=0.9, rng=rng)
        model["reward"][0, 0] = 10.0
        counts += Q == 10.0
    seen = [3_000 - counts.sum(), *(counts[pair] for pair in known[1:])]
    assert scipy.stats.chisquare(seen).pvalue > 1e-6


def test_dyna_without_planning_is_q_learning() -> None:
    """A plain loop over the same steps, without a model, gives the same table."""
    rng = np.random.default_rng(2)
    Q, plain, model = rng.normal(size=(5, 3)), np.zeros((5, 3)), empty_model(5, 3)
    plain[...] = Q
    for _ in range(200):
        s, a, x, r = *(int(i) for i in rng.integers(3, size=3)), float(rng.normal())
        ends = bool(rng.random() < 0.3)
        dyna_q_step(Q, model, s, a, r, x, ends, num_planning=0, alpha=0.3, gamma=0.8, rng=rng)
        plain[s, a] = 0.7 * plain[s, a] + 0.3 * (r + (0 if ends else 0.8 * max(plain[x])))
    np.testing.assert_allclose(Q, plain)


def test_dyna_with_much_planning_solves_its_maze() -> None:
    """Values on the shortest path approach value iteration's; nothing exceeds them."""
    env = gym.make(MAZE, disable_env_checker=True)
    P, R, terminal = env_model(env)
    V, _ = value_iteration(P, R, terminal, gamma=0.95, tol=1e-10)
    assert V[18] == pytest.approx(0.95**13)
    tables, lengths = dyna_runs(dyna_q_step, num_planning=50, num_runs=3, num_episodes=50)
    best = tables.max(axis=(0, 2))
    assert (best <= V + 1e-9)[~terminal].all()
    assert best[18] > 0.46  # of 200 agents the median has 0.512 (benchmarks/results)
    assert (lengths[:, 5:].mean(axis=1) < 30).all()


def test_only_one_pair_has_a_value_after_the_first_episode() -> None:
    """Without planning, only the step into the goal had a target other than 0."""
    tables, _ = dyna_runs(dyna_q_step, num_planning=0, num_runs=3, num_episodes=1)
    assert np.count_nonzero(tables, axis=(1, 2)).tolist() == [1, 1, 1]
    assert set(tables[tables != 0]) == {0.1}


def test_maze_environment() -> None:
    """The table, the steps and the drawing of the book agree."""
    env = labkit.envs.DynaMaze()
    drawn = [".......#G", "..#....#.", "S.#....#.", "..#......", ".....#...", "........."]
    cells = "".join(drawn)
    assert [i for i, cell in enumerate(cells) if cell == "#"] == list(env.WALLS)
    assert (cells.index("S"), cells.index("G")) == (env.START, env.GOAL)
    assert env.reset(seed=0)[0] == env.START
    assert env.step(3)[:4] == (18, 0.0, False, False)  # the edge
    assert env.step(1)[0] == 19
    assert env.step(1)[0] == 19  # a wall
    for action in (2, 2, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0):
        obs, reward, terminated, _, _ = env.step(action)
        assert (reward, terminated) == (0.0, False)
    assert obs == 17
    assert env.step(0)[:3] == (8, 1.0, True)


# ---- tic-tac-toe ------------------------------------------------------------------------------


@cache
def brute_force(state: State) -> tuple[int, ...]:
    """Result for X of every move (2: taken), by plain search with its own rules of the game."""
    marks = "".join(".XO"[cell] for cell in state)
    mark, other = ("X", "O") if marks.count("X") == marks.count("O") else ("O", "X")
    results = []
    for i in range(9):
        if marks[i] != ".":
            results.append(2)
            continue
        after = marks[:i] + mark + marks[i + 1 :]
        rows = [after[j : j + 3] for j in (0, 3, 6)]
        lines = [*rows, *("".join(column) for column in zip(*rows, strict=True))]
        lines += [after[0] + after[4] + after[8], after[2] + after[4] + after[6]]
        if mark * 3 in lines:
            results.append(1 if mark == "X" else -1)
        elif "." not in after:
            results.append(0)
        else:
            below = brute_force(tuple({".": 0, "X": 1, "O": -1}[cell] for cell in after))
            legal = [result for result in below if result != 2]
            results.append(max(legal) if other == "X" else min(legal))
    return tuple(results)


def positions() -> list[State]:
    """Every position that can come up, terminal ones included."""
    found: set[State] = set()
    layer: set[State] = {(0,) * 9}
    while layer:
        found |= layer
        layer = {play(s, move) for s in layer if not is_terminal(s) for move in legal_moves(s)}
    return sorted(found)


def test_rules_and_minimax_agree_with_brute_force() -> None:
    """5,478 positions, 958 of them terminal; perfect play is a draw."""
    every = positions()
    assert (len(every), sum(map(is_terminal, every))) == (5_478, 958)
    for state in every:
        if not is_terminal(state):
            for move in legal_moves(state):
                assert minimax(play(state, move)) == brute_force(state)[move]
    assert minimax((0,) * 9) == 0
    with pytest.raises(ValueError, match="not free"):
        play((1, *(0,) * 8), 0)
    with pytest.raises(ValueError, match="not free"):
        play((0,) * 9, -1)


def test_perfect_player_never_loses() -> None:
    assert play_games(perfect_player, random_player, num_games=100, seed=0)["lost"] == 0
    assert play_games(perfect_player, perfect_player, num_games=20, seed=0)["drawn"] == 20


def test_ucb_by_hand() -> None:
    """2 / 4 + 1.4 sqrt(ln 100 / 4) = 0.5 + 1.4 * 1.0730 = 2.0022; at N = 1 the mean is left."""
    assert ucb(100, 2.0, 4, 1.4) == pytest.approx(2.0022, abs=5e-5)
    assert ucb(1, -1.0, 1, 3.0) == -1.0
    assert ucb(7, 0.0, 0, 0.5) == math.inf
    assert ucb(math.e**4, 0.0, 1, 0.5) == pytest.approx(1.0)  # type: ignore[arg-type]


def test_puct_by_hand() -> None:
    scores = puct(np.array([2.0, 1, 1]), np.array([3, 0, 1]), np.array([0.2, 0, -0.5]), 1.5)
    np.testing.assert_allclose(scores, [0.575, 0.75, -0.125])


def test_puct_shares_visits_by_the_prior_where_values_are_equal() -> None:
    """Always taking the largest score, visits end up in proportion to the prior."""
    prior, num_visits = np.array([4.0, 3.0, 2.0, 1.0]), np.zeros(4, dtype=np.int64)
    for _ in range(10_000):
        num_visits[puct(prior, num_visits, np.zeros(4), 2.0).argmax()] += 1
    np.testing.assert_allclose(num_visits / 10_000, prior / 10, atol=2e-3)


def test_tree_by_hand() -> None:
    """O to move: results are O's, into the children O moved, into the root X."""
    tree = SearchTree((1, -1, 1, -1, 0, 0, 1, 0, 0))
    for number, value in enumerate((0.5, -1.0, 0.25, 0.75), start=1):
        assert tree.select(1.4) == 0
        assert tree.expand(0) == number
        tree.backup(number, value)
    assert tree.statistics() == ([4, 1, 1, 1, 1], [-0.5, 0.5, -1.0, 0.25, 0.75])
    assert tree.select(1.4) == 4  # the best of equally visited ones
    grandchild = tree.expand(4)
    tree.backup(grandchild, 1.0)
    visits, totals = tree.statistics()
    assert (visits[0], visits[4], visits[grandchild]) == (5, 2, 1)
    assert (totals[0], totals[4], totals[grandchild]) == (-1.5, 1.75, -1.0)
    assert tree.move[4] == 8
    assert tree.parent[grandchild] == 4


def test_tree_keeps_terminal_leaves() -> None:
    """X to move wins with 2: the won position is returned, not expanded, however often."""
    tree = SearchTree((1, 1, 0, -1, -1, 0, 0, 0, 0))
    child = tree.expand(0)
    assert winner(tree.state[child]) == 1
    assert [tree.expand(child) for _ in range(3)] == [child] * 3
    assert tree.children[child] == []
    for _ in range(4):
        tree.backup(tree.expand(0), -1.0)
    tree.backup(child, 1.0)
    assert tree.select(0.1) == child


def test_tree_counts_add_up() -> None:
    """Visits of a node are those of its children and its own first one; totals cancel likewise."""
    rng, tree = np.random.default_rng(0), SearchTree((0,) * 9)
    for _ in range(500):
        leaf = tree.expand(tree.select(1.4))
        tree.backup(leaf, rollout(tree.state[leaf], 1, rng))
    for node, children in enumerate(tree.children):
        below = sum(tree.visits[child] for child in children)
        if not is_terminal(tree.state[node]):
            assert tree.visits[node] == below + (node != 0)
        assert abs(tree.totals[node]) <= tree.visits[node]
    assert tree.visits[0] == 500


def test_rollout_agrees_with_exact_chances() -> None:
    """Averages over all continuations, written out, within five standard errors."""

    def exact(state: State) -> float:
        if is_terminal(state):
            return winner(state)
        return float(np.mean([exact(play(state, move)) for move in legal_moves(state)]))

    rng, n = np.random.default_rng(4), 3_000
    for state in ((1, -1, 0, 0, 1, 0, 0, 0, -1), (0, 1, -1, 0, 0, 1, 0, 0, 0)):
        for player in (1, -1):
            results = [rollout(state, player, rng) for _ in range(n)]
            assert {type(result) for result in results} == {float}
            assert set(results) <= {1.0, 0.0, -1.0}
            assert abs(np.mean(results) - player * exact(state)) < 5 * np.std(results) / n**0.5
    assert rollout((1, 1, 1, -1, -1, 0, 0, 0, 0), -1, rng) == -1.0


def test_search_finds_wins_and_blocks() -> None:
    """Every position with one winning move, or none and one that stops a win: thirty of each."""
    rng = np.random.default_rng(0)
    wins, blocks = [], []
    for state in positions():
        if is_terminal(state) or len(legal_moves(state)) < 3:
            continue
        mine = [move for move in legal_moves(state) if is_won(play(state, move))]
        flipped = tuple(-cell for cell in state)
        theirs = [m for m in legal_moves(state) if completes(flipped, m, to_move(state))]
        results = [result * to_move(state) for result in brute_force(state) if result != 2]
        if len(mine) == 1 and sorted(results)[-2] < 1:
            wins.append((state, mine[0]))
        if not mine and len(theirs) == 1 and results.count(max(results)) == 1 > min(results):
            blocks.append((state, theirs[0]))
    for found, count in ((wins, 800), (blocks, 1_000)):
        for i in rng.choice(len(found), size=30, replace=False):
            state, move = found[i]
            assert mcts_move(state, num_simulations=count, c=1.4, rng=rng) == move, state


def is_won(state: State) -> bool:
    return winner(state) != 0


def completes(flipped: State, move: int, mark: int) -> bool:
    """Whether the other player, whose marks are now ``mark``, would win with ``move``."""
    return winner((*flipped[:move], mark, *flipped[move + 1 :])) == mark


def test_search_returns_the_most_visited_move() -> None:
    """O wins with 7, not with 6; after one simulation each, visits tie: the lower is returned."""
    state = (1, -1, 1, 1, -1, -1, 0, 0, 1)
    assert [is_won(play(state, move)) for move in (6, 7)] == [False, True]
    for num_simulations, move in ((2, 6), (50, 7)):
        rng = np.random.default_rng(0)
        assert mcts_move(state, num_simulations=num_simulations, c=1.0, rng=rng) == move


def test_search_approaches_perfect_play() -> None:
    """From a tenth of all positions, 2,000 simulations keep the brute-force result, bar a few."""
    rng = np.random.default_rng(1)
    open_ones = [s for s in positions() if not is_terminal(s) and len(legal_moves(s)) in (3, 4, 5)]
    chosen = [open_ones[i] for i in rng.choice(len(open_ones), size=60, replace=False)]
    kept = 0
    for state in chosen:
        results = brute_force(state)
        best = max(result * to_move(state) for result in results if result != 2)
        move = mcts_move(state, num_simulations=1_000, c=1.4, rng=rng)
        kept += results[move] * to_move(state) == best
    assert kept >= 58


def test_search_and_tree_are_the_same_algorithm() -> None:
    """The class, driven with the same random numbers, visits root moves just as often."""
    state = (1, 0, 0, 0, -1, 0, 0, 0, 0)
    for seed in range(5):
        rng, tree = np.random.default_rng(seed), SearchTree(state)
        for _ in range(300):
            leaf = tree.expand(tree.select(1.0))
            tree.backup(leaf, rollout(tree.state[leaf], to_move(state), rng))
        most = max(tree.children[0], key=lambda child: tree.visits[child])
        move = mcts_move(state, num_simulations=300, c=1.0, rng=np.random.default_rng(seed))
        assert move == tree.move[most]


def test_search_hardly_loses_to_random_play() -> None:
    def player(state: State, rng: np.random.Generator) -> int:
        return mcts_move(state, num_simulations=200, c=1.4, rng=rng)

    results = play_games(player, random_player, num_games=50, seed=0)
    assert results["lost"] <= 2
    assert results["won"] >= 35


# ---- data alone -------------------------------------------------------------------------------


def test_fitted_q_by_hand() -> None:
    """Without a penalty the untried 0 is believed; with one it is -8, and -3.354 the better."""
    data = [(0, 0, -1.0, 1, False), (1, 1, -2.0, 2, True), (1, 1, -4.0, 2, True)]
    sizes = {"num_obs": 3, "num_actions": 2, "gamma": 0.5, "num_iterations": 5}
    plain = fitted_q_iteration(data, penalty=0.0, **sizes)  # type: ignore[arg-type]
    np.testing.assert_allclose(plain, [[-1, 0], [0, -3], [0, 0]])
    wary = fitted_q_iteration(data, penalty=0.5, **sizes)  # type: ignore[arg-type]
    last = -3 - 0.5 / 2**0.5
    np.testing.assert_allclose(wary[[0, 1], [0, 1]], [-1.5 + 0.5 * last, last])
    assert (wary[[0, 1, 2, 2], [1, 0, 0, 1]] == -8).all()


def test_one_fitted_iteration_is_the_mean_reward() -> None:
    data = [(0, 0, 1.0, 1, False), (0, 0, 4.0, 0, False), (1, 0, -2.0, 0, True)]
    Q = fitted_q_iteration(data, num_obs=2, num_actions=1, gamma=0.9, num_iterations=1, penalty=0.0)
    assert Q.tolist() == [[2.5], [-2.0]]


def test_fitted_q_of_complete_data_is_optimal() -> None:
    """Each pair of a deterministic cliff once: the values are value iteration's."""
    P, R, terminal = env_model(gym.make("CliffWalking-v1"))
    V, _ = value_iteration(P, R, terminal, gamma=0.95, tol=1e-12)
    data = []
    for s, a in itertools.product(np.flatnonzero(~terminal).tolist(), range(4)):
        x = int(P[s, a].argmax())
        data.append((s, a, float(R[s, a]), x, bool(terminal[x])))
    Q = fitted_q_iteration(
        data, num_obs=48, num_actions=4, gamma=0.95, num_iterations=600, penalty=0.0
    )
    np.testing.assert_allclose(Q.max(axis=1)[~terminal], V[~terminal], atol=1e-9)


def test_fitted_q_plans_in_the_fitted_model() -> None:
    """Where all was tried, it is value iteration on the counts, however random the process."""
    P, R = random_process(5, num_obs=5, num_actions=2)
    rng, data = np.random.default_rng(0), []
    for s, a in itertools.product(range(4), range(2)):
        for x in rng.choice(5, size=30, p=P[s, a]):
            data.append((s, a, float(R[s, a] + rng.normal()), int(x), bool(x == 4)))
    P_hat, R_hat, _ = fit_model(5, 2, data)
    V, _ = value_iteration(P_hat, R_hat, last_is_terminal(P), gamma=0.9, tol=1e-12)
    Q = fitted_q_iteration(
        data, num_obs=5, num_actions=2, gamma=0.9, num_iterations=400, penalty=0.0
    )
    np.testing.assert_allclose(Q.max(axis=1)[:4], V[:4], atol=1e-9)


def test_optimism_about_the_unseen_and_its_cure() -> None:
    """Thirty episodes of logs: plain never arrives, the penalty beats the driver, soberly."""
    settings = {"num_obs": 48, "num_actions": 4, "gamma": 0.99, "num_iterations": 200}
    best = -(1 - 0.99**13) / 0.01
    for seed in range(5):
        data = log_cliff(30, np.random.default_rng(seed))
        assert sum(step[4] for step in data) == 30
        plain = fitted_q_iteration(data, penalty=0.0, **settings)  # type: ignore[arg-type]
        wary = fitted_q_iteration(data, penalty=1.0, **settings)  # type: ignore[arg-type]
        assert greedy_return(plain) <= -200
        assert plain[36].max() > -2
        assert -17 <= greedy_return(wary) <= -13
        assert wary[36].max() < best


def test_reference_functions_are_reproducible() -> None:
    """The same seed, the same games: nothing hidden is carried over."""
    boards = [
        mcts_move((0,) * 9, num_simulations=50, c=1.4, rng=np.random.default_rng(7))
        for _ in range(3)
    ]
    assert len(set(boards)) == 1
    assert reference.log_cliff(2, np.random.default_rng(1)) == reference.log_cliff(
        2, np.random.default_rng(1)
    )
