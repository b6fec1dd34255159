"""Chapter 3's figures: exact values and recounts behind what they draw, and the prose's numbers."""

import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from scipy import stats

from book.figures import dyna, measure_planning, offline, planning, strength, trap, tree
from solutions.lab03_planning_mcts import reference

CHAPTER = Path(__file__).parent.parent / "book" / "chapters" / "03_planning_mcts.md"
PARTS = (planning, dyna, tree, trap, strength, offline)


# The maze


def test_without_slipping_the_maze_is_the_environment() -> None:
    env = gym.make("labkit.envs:labkit/DynaMaze-v0")
    open_cells = planning.rooms()
    for ours, theirs in zip(planning.maze(), reference.env_model(env), strict=True):
        assert np.array_equal(ours[open_cells], theirs[open_cells])


def test_a_slip_goes_to_the_sides() -> None:
    P, R, _ = planning.maze(0.2)
    assert np.allclose(P.sum(axis=2), 1.0)
    assert P[13, 0, [4, 14, 12]] == pytest.approx([0.8, 0.1, 0.1])
    # In the corner below left, up: both sides are the wall and the cell to the right.
    assert P[45, 0, [36, 45, 46]] == pytest.approx([0.8, 0.1, 0.1])
    assert R[17, 0] == pytest.approx(0.8)  # below the goal
    assert R[8].sum() == 0.0


def test_a_cell_is_worth_its_steps() -> None:
    P, R, terminal = planning.maze()
    V = planning.sweeps(P, R, terminal, 0.95, 40)[-1]
    assert V[planning.START] == pytest.approx(0.95**13)
    assert V[17] == 1.0 and V[26] == pytest.approx(0.95)


def test_the_stop_rule_stops_where_its_promise_falls_below_the_tolerance() -> None:
    seen = planning.stopping()
    stops = planning.num_sweeps(planning.GAMMA, planning.TOL)
    assert seen["bound"][stops - 2] >= planning.TOL > seen["bound"][stops - 1]
    assert (seen["loss"] <= seen["bound"] + 1e-12).all()
    assert (seen["error"] <= seen["bound"] / 2 + 1e-12).all()


def test_policy_iteration_that_draws_among_equal_actions_does_not_settle() -> None:
    assert not planning.settles(planning.RESTLESS)


def test_a_plan_promises_more_than_it_earns() -> None:
    found = planning.learned()
    believed, true = found["believed"].mean(axis=1), found["true"].mean(axis=1)
    assert (believed > true).all()
    assert true[-1] == pytest.approx(found["best"], abs=0.01)
    assert (found["true"] <= found["best"] + 1e-9).all()


def test_planning_has_spread_values_where_no_planning_has_not() -> None:
    few, many = dyna.tables(0), dyna.tables(50)
    assert dyna.known(few[0]) == 1
    assert dyna.known(many[-1]) > 20 * dyna.known(few[-1])


# Mazes that change


@pytest.mark.parametrize("world", measure_planning.MAZES)
def test_a_changing_maze_always_has_a_way(world: str) -> None:
    before, after, _, _ = measure_planning.MAZES[world]
    lengths = []
    for columns in (before, after):
        walls = tuple(3 * planning.COLUMNS + column for column in columns)
        reached, steps = {measure_planning.MAZE_START}, 0
        while planning.GOAL not in reached:
            reached |= {planning.neighbour(cell, a, walls) for cell in reached for a in range(4)}
            steps += 1
        lengths.append(steps)
    assert lengths == {"blocking": [10, 16], "shortcut": [16, 10]}[world]


def test_the_bonus_is_what_lets_an_agent_find_the_shortcut() -> None:
    late = {
        name: np.array(dyna.measured()["mazes"]["shortcut"][name]["late arrivals per 100 steps"])
        for name in ("Dyna-Q", "Dyna-Q+")
    }
    # The old way takes 16 steps, so more arrivals than 100 / 16 need the new one.
    assert (late["Dyna-Q"] < 100 / 16).all()
    assert (late["Dyna-Q+"] > 100 / 16).sum() == int(dyna.numbers()["maze_found"]) > 25


def test_what_was_measured_is_measured_again() -> None:
    small = measure_planning.trap(1, (10, 20))
    assert small["tree"] in ([0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0])
    assert set(small) == set(trap.results()["trap"])
    arrivals = measure_planning.walk("blocking", 0, plus=True)
    assert (np.diff(arrivals) >= 0).all() and arrivals[-1] > 50


# Tic-tac-toe


def test_the_game_is_a_draw_and_random_play_favours_x() -> None:
    empty = (0,) * 9
    assert trap.minimax(empty) == 0
    # Of all random games X wins 58.49%, O 28.81%.
    assert trap.random_result(empty) == pytest.approx(0.5849 - 0.2881, abs=1e-4)


def test_random_games_mislead_in_the_trap() -> None:
    after = {move: reference.play(trap.TRAP, move) for move in reference.legal_moves(trap.TRAP)}
    assert max(after, key=lambda move: trap.random_result(after[move])) == trap.TEMPTS
    assert [move for move in after if trap.minimax(after[move]) == 1] == [trap.WINS]


def test_the_worked_tree_is_the_recount_of_its_simulations() -> None:
    found, lines = tree.worked()
    for node in range(len(found.state)):
        way = tree.moves_to(found, node)
        through = [line.result for line in lines if line.path[: len(way)] == way]
        sign = -reference.to_move(found.state[node])  # who moved in; the root's player is X
        assert found.visits[node] == len(through)
        assert found.totals[node] == sign * sum(through)


def test_the_worked_position_is_as_the_prose_tells() -> None:
    worth = {
        move: trap.minimax(reference.play(tree.WORKED, move))
        for move in reference.legal_moves(tree.WORKED)
    }
    assert worth == {1: -1, 4: 1, 5: -1}
    _, lines = tree.worked()
    assert [line.result for line in lines[:3]] == [1, 1, 1]
    assert (lines[3].path, lines[3].result) == ((1, 4), -1)
    assert (lines[7].path, lines[7].result) == ((5, 4), -1)
    assert all(line.path[0] == 4 for line in lines[8:])


def test_the_mistake_without_the_flip_differs_in_the_opponents_nodes_only() -> None:
    trees = reference.SearchTree(trap.TRAP), measure_planning.Unflipped(trap.TRAP)
    for one in trees:
        child = one.expand(0)
        one.backup(one.expand(child), 1.0)
    assert trees[0].totals == [-1.0, 1.0, -1.0]
    assert trees[1].totals == [1.0, 1.0, 1.0]


def test_priors_are_probabilities_of_legal_moves() -> None:
    for prior in measure_planning.priors().values():
        assert prior.sum() == pytest.approx(1.0)
        assert np.flatnonzero(prior).tolist() == reference.legal_moves(trap.TRAP)


def test_a_good_prior_helps_the_search_and_a_bad_one_hurts_it() -> None:
    shares = {
        name: measure_planning.puct_shares(prior, 0, 60)[-1]
        for name, prior in measure_planning.priors().items()
    }
    assert shares["good"] > shares["bad"]
    measured = trap.results()["puct"]
    assert measured["good"]["mean"][-1] > measured["none"]["mean"][-1]
    assert measured["none"]["mean"][-1] > measured["bad"]["mean"][-1]


# Matches


@pytest.mark.parametrize(("successes", "count"), [(0, 400), (7, 50), (400, 400), (300, 600)])
def test_an_interval_is_wilsons(successes: int, count: int) -> None:
    wanted = stats.binomtest(successes, count).proportion_ci(0.95, method="wilson")
    assert strength.interval(successes, count) == pytest.approx(tuple(wanted), abs=1e-4)


# A fixed data set


def test_without_a_penalty_the_plan_leaves_the_log_and_with_one_it_does_not() -> None:
    tried = {(obs, action) for obs, action, *_ in offline.log()}
    naive, careful = offline.fitted(0.0), offline.fitted(offline.PENALTY)
    start = offline.START
    assert (start, int(naive[start].argmax())) not in tried
    P, _, _ = reference.env_model(gym.make("CliffWalking-v1"))
    path = offline.greedy_path(P, careful, start)
    assert path[-1] == 47
    assert {(obs, int(careful[obs].argmax())) for obs in path[:-1]} <= tried


def test_belief_falls_with_the_penalty_and_earnings_have_a_best_one_between() -> None:
    found = trap.results()["logged"]
    believed, true = found["believed"]["mean"], found["true"]["mean"]
    assert found["penalties"][0] == 0.0
    assert (np.diff(believed) < 0).all()
    assert believed[0] > found["best"] > max(true)
    assert 0 < int(np.argmax(true)) < len(true) - 1


# The prose


def test_every_number_of_the_prose_exists_and_is_used() -> None:
    used = set(re.findall(r"\{glue:text\}`(\w+)`", CHAPTER.read_text(encoding="utf-8")))
    made = [key for part in PARTS for key in part.numbers()]
    assert len(made) == len(set(made))
    assert used == set(made)


def test_every_figure_is_named_once_and_has_words_for_who_cannot_see_it() -> None:
    drawn = [
        getattr(part, name)().data for part in PARTS for name in dir(part) if name[:5] == "draw_"
    ]
    names = [re.search(r'svg class="([\w-]+)"', page)[1] for page in drawn]
    assert len(names) == len(set(names)) >= 12
    for page in drawn:
        assert len(re.search(r'aria-label="([^"]*)"', page)[1]) > 80
