"""Chapter 1's figures: the courier's world against play and a linear program, bounds that hold."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.optimize import linprog

from book.figures import courier, diagrams, returns, testbed
from book.figures.courier import CHARGE, DOCK, GAMMA, LEFT, RIGHT, START, state

BOOK = Path(__file__).parent.parent / "book"
CHAPTER = (BOOK / "chapters" / "01_rl_basics.md").read_text(encoding="utf-8")


def test_the_model_is_what_the_environment_does() -> None:
    P, R = courier.model()
    env, rng = courier.Courier(), np.random.default_rng(0)
    counts, rewards = np.zeros_like(P), np.zeros_like(R)
    obs, _ = env.reset(seed=0)
    for _ in range(40_000):
        action = int(rng.integers(3))
        next_obs, reward, terminated, _, _ = env.step(action)
        counts[obs, action, next_obs] += 1
        rewards[obs, action] += reward
        obs = env.reset()[0] if terminated else next_obs
    visits = counts.sum(axis=2)
    often = visits > 100
    assert often.sum() > 30
    assert np.abs(counts[often] / visits[often][:, None] - P[often]).max() < 0.25
    assert not counts[P == 0].any()
    # a reward's standard deviation is at most 30
    error = np.abs(rewards[often] / visits[often] - R[often]) * np.sqrt(visits[often]) / 30
    assert error.max() < 5


def test_the_model_by_hand() -> None:
    P, R = courier.model()
    assert pytest.approx(1) == P.sum(axis=2)
    assert R[state(3, 1), RIGHT] == -16  # -1 or -31
    assert R[state(4, 1), RIGHT] == 29  # the door, whatever is left
    assert R[state(1, 1), LEFT] == -1  # the dock, even empty
    assert P[state(DOCK, 3), CHARGE, state(DOCK, 3)] == 1
    assert P[state(2, 2), RIGHT, [state(3, 1), state(3, 2)]].tolist() == [0.5, 0.5]
    end = courier.terminal()
    assert end.sum() == 8
    assert not R[end].any()
    assert (P[end, :, np.flatnonzero(end)] == 1).all()


def test_the_optimum_solves_the_linear_program() -> None:
    """V* is the smallest V with V >= R + gamma P V for every action."""
    P, R = courier.model()
    rows = (GAMMA * P - np.eye(courier.NUM_OBS)[:, None]).reshape(-1, courier.NUM_OBS)
    found = linprog(np.ones(courier.NUM_OBS), A_ub=rows, b_ub=-R.ravel(), bounds=(None, None))
    assert returns.optimum()[1] == pytest.approx(found.x, abs=1e-7)
    assert returns.optimality_sweeps()[-1] == pytest.approx(found.x, abs=1e-5)


@pytest.mark.parametrize("gamma", returns.FORKS)
def test_the_best_policy_leaves_nothing_to_improve(gamma: float) -> None:
    P, R = courier.model()
    V = returns.value(returns.best_policy(gamma), gamma=gamma)
    assert pytest.approx((R + gamma * P @ V).max(axis=1), abs=1e-9) == V


def test_a_sweep_looks_one_step_further() -> None:
    rng, env = np.random.default_rng(1), courier.Courier()
    pi, steps = courier.random_policy(), 6
    totals = []
    for _ in range(4_000):
        obs, _ = env.reset(seed=int(rng.integers(2**31)))
        total, weight, terminated = 0.0, 1.0, False
        for _ in range(steps):
            if terminated:
                break
            obs, reward, terminated, _, _ = env.step(int(rng.choice(3, p=pi[obs])))
            total, weight = total + weight * reward, weight * GAMMA
        totals.append(total)
    error = np.std(totals) / len(totals) ** 0.5
    assert returns.evaluation_sweeps()[steps][START] == pytest.approx(
        np.mean(totals), abs=5 * error
    )


def test_the_bounds_of_the_figures_hold_at_every_sweep() -> None:
    sweeps, truth = returns.evaluation_sweeps(), returns.value(courier.random_policy())
    change, error = returns.change_and_error(sweeps, truth)
    assert (error <= GAMMA / (1 - GAMMA) * change + 1e-9).all()
    assert (error <= GAMMA ** np.arange(1, len(sweeps)) * np.abs(truth).max()).all()
    assert (error[:30] > change[:30]).any()  # the change alone is no bound

    optimal, best = returns.optimality_sweeps(), returns.optimum()[1]
    change, error = returns.change_and_error(optimal, best)
    loss = np.array(returns.losses()[1:])
    assert (loss <= 2 * GAMMA / (1 - GAMMA) * change + 1e-9).all()
    settled = int(returns.numbers()["vi_settled"])
    assert loss[settled - 2] > 1e-3 > 1e-9 > loss[settled - 1 :].max()
    assert error[settled - 1] > 0.01  # the policy is right before the values are


def test_without_the_charge_the_risk_depends_on_the_past() -> None:
    # three moves used 0, 1 or 2 units with weights 1, 3, 3; two used leave one, lost half the time
    assert returns.stranded_next(3) == pytest.approx(3 / 7 / 2)
    assert returns.stranded_next(2) == pytest.approx(1 / 4 / 2)
    risks = [returns.stranded_next(moves) for moves in (3, 5, 7, 9)]
    assert risks == sorted(risks)
    assert risks[-1] < 0.5


def test_the_best_blind_policy_is_random_and_worth_less_than_sight() -> None:
    worth, rows = returns.blind()
    assert returns.blind_deterministic() == pytest.approx(-20, abs=1e-6)
    assert returns.blind_deterministic() + 5 < worth < returns.optimum()[1][START] - 5
    assert 0.05 < rows[DOCK, RIGHT] < 0.95
    # nobody does better by leaving more or less often
    for share in np.linspace(0.02, 0.98, 49):
        other = rows.copy()
        other[DOCK] = [0, share, 1 - share]
        assert returns.value(returns.by_cell(other))[START] <= worth + 1e-6


def test_returns_that_are_cut_off_are_right_only_with_the_value_at_the_cut() -> None:
    found = returns.cut_off()
    assert abs(found["right"] - found["truth"]) < 4 * found["right error"]
    assert found["wrong"] - found["truth"] > 20 * found["wrong error"]
    assert 0.2 < found["cut"] < 0.8


def test_arrivals_by_hand() -> None:
    # four moves with three units: lost if three or four of them use one
    assert returns.arrival(courier.careful()) == pytest.approx(1 - 5 / 16, abs=1e-6)
    stays = courier.deterministic(np.full(courier.NUM_OBS, CHARGE))
    assert returns.arrival(stays) == pytest.approx(0, abs=1e-6)


def test_one_deviation_pays_and_so_does_always_deviating() -> None:
    pi = courier.careful()
    P, R = courier.model()
    Q = R + GAMMA * P @ returns.value(pi)
    assert Q[returns.FORK, LEFT] > returns.value(pi)[returns.FORK]
    turns = pi.copy()
    turns[returns.FORK] = np.eye(3)[LEFT]
    gain = returns.value(turns) - returns.value(pi)
    assert gain.min() > -1e-9
    assert gain[returns.FORK] > Q[returns.FORK, LEFT] - returns.value(pi)[returns.FORK]
    assert gain[START] > 0


def test_a_bonus_stops_the_robot_and_a_potential_does_not() -> None:
    turn = returns.turning_point()
    own = returns.improvements(courier.careful())[-1]
    below, above = (
        returns.improvements(courier.careful(), returns.with_bonus(turn + step))[-1]
        for step in (-0.01, 0.01)
    )
    assert returns.value(below)[START] == pytest.approx(returns.value(own)[START])
    assert returns.value(above)[START] == pytest.approx(-1 / (1 - GAMMA))
    for bonus in (0.5, 2.0, 10.0):
        shaped = returns.with_potential(bonus)
        assert np.array_equal(returns.improvements(courier.careful(), shaped)[-1], own)
        # all policies shift by the potential of the first state
        for pi in (own, courier.careful(), courier.random_policy()):
            shift = returns.value(pi, shaped)[START] - returns.value(pi)[START]
            assert shift == pytest.approx(-bonus * 1)


def test_the_bound_on_the_slope_of_regret() -> None:
    harmonic = sum(1 / n for n in range(1, 10))
    assert testbed.slope() == pytest.approx(2 / 0.2 * harmonic)
    ends = {name: found["mean"][-1] for name, found in testbed.regrets()["rules"].items()}
    # in the end ε-greedy loses ε times the mean gap at each step
    assert ends["ε = 0.1"] > 0.1 * 0.9 * testbed.regrets()["settings"]["num_steps"]
    assert ends["UCB"] < 0.05 * ends["ε = 0.1"] < ends["greedy"]


def test_every_number_of_the_prose_exists_and_is_used() -> None:
    used = set(re.findall(r"\{glue:text\}`(\w+)`", CHAPTER))
    assert used == set(returns.numbers()) | set(testbed.numbers())
    assert not set(returns.numbers()) & set(testbed.numbers())


def test_the_map_names_chapters_that_exist_and_is_told_in_words() -> None:
    planned = {entry["topic"][:2] for entry in yaml.safe_load((BOOK / "course.yml").read_text())}
    told = diagrams.draw_map().data.split('aria-label="')[1].split('"')[0]
    for methods in diagrams.METHODS.values():
        for name, chapters, _, _ in methods:
            assert {f"{int(number):02}" for number in chapters.split(",")} <= planned
            for word in re.findall(r"[A-Z][\w-]+", name):
                assert word in told


def test_figures_have_names_of_their_own_and_words_for_who_cannot_see_them() -> None:
    drawn = [
        getattr(module, name)().data
        for module in (returns, testbed, diagrams)
        for name in re.findall(
            rf"^{module.__name__.rpartition('.')[2]}\.(draw_\w+)\(", CHAPTER, re.M
        )
    ]
    names = [re.search(r'<svg class="([\w-]+)"', page)[1] for page in drawn]
    assert len(names) == len(set(names)) == CHAPTER.count("name: fig-")
    assert all(len(re.search(r'aria-label="([^"]*)"', page)[1]) > 80 for page in drawn)
