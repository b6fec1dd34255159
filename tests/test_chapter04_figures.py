"""Chapter 4: exact values behind its figures, the stacked learner of its benchmarks, its prose."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import stacked_dqn
from benchmarks.stacked_dqn import Memory, NStep, Setting, StackedQNetwork
from book.figures import distil, dqn, triad
from solutions.lab04_dqn import agents, reference

CHAPTER = Path(__file__).parent.parent / "book" / "chapters" / "04_dqn.md"


# Baird's counterexample


def test_a_sweep_is_what_all_transitions_do_on_average() -> None:
    """Each state, both actions, each next state, with the weights of importance sampling."""
    features, _, weights = triad.baird()
    for expected in triad.sweeps(count=20):
        change = np.zeros(8)
        for state in range(7):
            for next_state in range(7):
                solid = next_state == 6  # the target policy's action
                chance, ratio = (1 / 7, 7.0) if solid else (6 / 7 / 6, 0.0)
                error = 0.99 * features[next_state] @ weights - features[state] @ weights
                change += chance / 7 * ratio * error * features[state]
        weights = weights + triad.STEP * change
        assert np.abs(features @ weights).max() == pytest.approx(expected)


def test_it_grows_by_its_eigenvalue_and_every_leg_less_stops_it() -> None:
    grown = triad.sweeps()
    assert grown[-1] / grown[-2] == pytest.approx(
        1 + triad.STEP * float(triad.numbers()["baird_growth"]), abs=2e-4
    )
    for leg in ("approximation", "bootstrapping", "off-policy"):
        curve = triad.sweeps(leg)
        assert (np.diff(curve[10:]) < 0).all()


def test_a_copy_after_long_enough_is_a_sweep_of_value_iteration() -> None:
    features, _, weights = triad.baird()
    seventh = 0.99 * float((features @ weights)[6])
    curve = triad.sweeps(copy_every=5_000, count=10_000)
    assert curve[4_999] == pytest.approx(seventh, rel=1e-3)
    assert curve[9_999] == pytest.approx(0.99 * seventh, rel=1e-3)


def test_a_network_moves_the_state_that_it_was_asked_to() -> None:
    change = triad.update_of_network()
    assert np.interp(triad.AT, triad.CORRIDOR, change) == pytest.approx(triad.MOVE, abs=2e-3)


# Other figures


def test_a_batch_from_the_buffer_is_worth_its_size_and_one_in_a_row_is_not() -> None:
    in_a_row, drawn = dqn.batches()
    spread = dqn.played().obs[:, 0].std()
    assert (spread / drawn.std()) ** 2 == pytest.approx(dqn.BATCH, rel=0.25)
    assert (spread / in_a_row.std()) ** 2 < 3


def test_a_maximum_over_guesses_is_too_high_everywhere_and_a_fair_judge_is_not() -> None:
    single, double = dqn.overestimates()
    assert (single > 0).all()
    assert abs(double.mean()) < 0.05


def test_at_high_temperature_distillation_is_regression_on_logits() -> None:
    limit = float((distil.LOGITS - distil.LOGITS.mean()).norm()) / 4
    assert distil.slope(1_000.0) == pytest.approx(limit, rel=1e-3)
    assert distil.slope(0.5) < 0.5 * limit


def test_intervals_and_means_of_three_are_those_of_the_runs() -> None:
    runs = np.array([1.0, 2.0, 3.0, 10.0])
    assert dqn.triples(runs) == (2.0, 5.0)
    low, high = dqn.interval(np.random.default_rng(0).normal(size=400))
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.1)


def test_three_seeds_could_have_told_any_order_of_the_four_methods() -> None:
    methods = dqn.results("improvements")["methods"]
    means = {
        name: [np.mean(three) for three in itertools.combinations(dqn.late(methods[name]), 3)]
        for name in dqn.METHODS
    }
    for order in itertools.permutations(means):
        last = np.inf
        for name in order:  # the best that this one can be said to be and still come next
            last = max((mean for mean in means[name] if mean < last), default=-np.inf)
        assert last > 0, order


def test_on_the_small_breakout_neither_is_best_and_most_honest() -> None:
    """By more than twice the error of a difference; Double DQN and DQN are not told apart."""

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        error = np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
        return float((one.mean() - other.mean()) / error)

    small = dqn.results("breakout")["methods"]
    both, neither, double = "replay and target", "neither", "Double DQN"
    assert apart(dqn.late(small[neither]), dqn.late(small[both])) > 2
    assert apart(dqn.gap(both, "breakout"), dqn.gap(neither, "breakout")) > 2
    assert apart(dqn.gap("replay only", "breakout"), dqn.gap(neither, "breakout")) > 2
    assert abs(dqn.gap(neither, "breakout").mean()) < abs(dqn.gap("target only", "breakout").mean())
    assert abs(apart(dqn.late(small[both]), dqn.late(small[double]))) < 2
    assert abs(apart(dqn.gap(both, "breakout"), dqn.gap(double, "breakout"))) < 2


def test_every_number_of_the_prose_exists_and_is_used() -> None:
    used = set(re.findall(r"\{glue:text\}`(\w+)`", CHAPTER.read_text(encoding="utf-8")))
    assert used == set(triad.numbers()) | set(dqn.numbers())


# The benchmarks' learner: many runs at once are many runs by themselves


def test_each_run_of_a_stack_gets_the_gradient_that_it_gets_alone() -> None:
    torch.manual_seed(0)
    runs, batch = 3, 5
    online, target = StackedQNetwork(runs, 6), StackedQNetwork(runs, 6)
    rows = {
        "obs": torch.randn(runs, batch, 4),
        "action": torch.randint(2, (runs, batch)),
        "reward": torch.randn(runs, batch),
        "next_obs": torch.randn(runs, batch, 4),
        "terminated": torch.rand(runs, batch) < 0.4,
    }
    for double in (False, True):
        setting = Setting(double=double, delta=0.7, gamma=0.9)
        online.zero_grad()
        stacked_dqn.loss(online, target, rows, setting).backward()
        answers = agents.answers(dqn_target=reference.dqn_target)
        if not double:
            del answers["double_dqn_target"]
        for run in range(runs):
            alone, lagged = (_alone(stack, run) for stack in (online, target))
            mine = {name: value[run].numpy() for name, value in rows.items()}
            reference.dqn_loss(alone, lagged, mine, answers, gamma=0.9, delta=0.7).backward()
            for theirs, ours in zip(online.parameters(), alone.parameters(), strict=True):
                slope = theirs.grad[run]  # type: ignore[index]
                expected = ours.grad.T if ours.dim() == 2 else ours.grad[None]  # type: ignore[union-attr,index]
                torch.testing.assert_close(slope, expected)


def _alone(stack: StackedQNetwork, run: int) -> reference.QNetwork:
    """Return one run's network as the lab's."""
    network = reference.QNetwork(4, 2, 6)
    with torch.no_grad():
        for own, stacked in zip(network.parameters(), stack.parameters(), strict=True):
            own.copy_(stacked[run].T if own.dim() == 2 else stacked[run, 0])
    return network


def test_a_dueling_networks_mean_is_its_value() -> None:
    network = StackedQNetwork(2, 6, dueling=True)
    obs = torch.randn(2, 5, 4)
    value = network.head(network.body(obs))[..., 0]
    torch.testing.assert_close(network(obs).mean(dim=-1), value)


def test_without_replay_a_batch_is_the_latest_steps_of_each_run() -> None:
    memory = Memory(3, 2)
    for number in range(5):
        memory.add(
            obs=torch.full((2, 4), float(number)), action=torch.zeros(2, dtype=torch.int64),
            reward=torch.tensor([number, 10.0 * number]), next_obs=torch.zeros(2, 4),
            discount=torch.ones(2), terminated=torch.zeros(2, dtype=torch.bool),
        )  # fmt: skip
    batch = memory.sample(3, torch.Generator())
    assert batch["reward"].sort(dim=1).values.tolist() == [[2, 3, 4], [20, 30, 40]]


def test_three_steps_add_up_and_an_end_closes_them() -> None:
    """Rewards 1, 2, 4, 8 at a half: the second run ends in its second step."""
    steps, made = NStep(3, 0.5), []
    for number, reward in enumerate([1.0, 2.0, 4.0, 8.0]):
        ended = torch.tensor([False, number == 1])
        row = steps.push(
            torch.full((2, 1), float(number)), torch.zeros(2), torch.full((2,), reward),
            torch.full((2, 1), number + 1.0), ended, ended,
        )  # fmt: skip
        made += [row] if row else []
    first, second = made
    assert first["reward"].tolist() == [1 + 1 + 1, 1 + 1]
    assert first["discount"].tolist() == [0.125, 0.25]
    assert first["next_obs"].flatten().tolist() == [3, 2]
    assert first["terminated"].tolist() == [False, True]
    assert second["reward"].tolist() == [2 + 2 + 2, 2]
