"""Points, statuses, words and hints; and what an answer must not be able to do to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autograder import discover
from autograder.expected import PUBLIC_SEED, Expected, case_seed
from autograder.judging import (
    judge_choice,
    judge_exercise,
    judge_numeric,
    judge_outcome,
    unanswered,
)
from autograder.results import ExerciseResult, GroupResult, SubmissionResult
from autograder.spec import Choice, Exercise, Gate, Mistake, Numeric, Outcome
from labkit.compare import Summary
from labkit.probes import Observation, observe
from labkit.wire import Opaque

LAB = discover.load("lab00_toy", Path(__file__).parent / "toy" / "solutions")
EXPECTED = Expected(LAB, course_seed=11)


def exercise(name: str) -> Exercise:
    item = LAB.item(name)
    assert isinstance(item, Exercise)
    return item


def seen(name: str, function: Callable[..., Any]) -> dict[str, list[Observation | None]]:
    return {
        g.group.name: [observe(function, g.probe, case, seconds=1.0) for case in g.cases]
        for g in EXPECTED.groups(exercise(name))
    }


def judged(name: str, function: Callable[..., Any]) -> ExerciseResult:
    return judge_exercise(exercise(name), EXPECTED, seen(name, function))


def test_right() -> None:
    item = exercise("softmax")
    result = judge_exercise(item, EXPECTED, seen("softmax", item.reference), seconds=1.5)
    assert (result.points, result.max_points, result.status) == (3.0, 3.0, "ok")
    assert (result.hint, result.message, result.mistake, result.seconds) == ("", "", "", 1.5)
    assert [(g.name, g.passed, g.total) for g in result.groups] == [
        ("probabilities", 1, 1),
        ("large logits", 1, 1),
        ("bad input", 2, 2),
    ]


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_partial_credit_is_by_group_and_weight() -> None:
    overflowing = LAB.mutated(exercise("softmax"), exercise("softmax").mutants[0])
    result = judged("softmax", overflowing)
    assert (result.points, result.status, result.mistake) == (2.0, "wrong", "overflows")
    heavy = dataclasses.replace(
        exercise("softmax"),
        points=1.0,
        groups=tuple(
            dataclasses.replace(group, weight=2.0 if group.name == "large logits" else 1.0)
            for group in exercise("softmax").groups
        ),
    )
    expected = Expected(LAB, course_seed=11)
    result = judge_exercise(heavy, expected, seen("softmax", overflowing))
    assert result.points == 0.5


def test_one_failing_case_fails_its_group() -> None:
    def half(logits: Any, temperature: float) -> Any:
        if temperature == 0.0:
            return np.zeros(3)
        return exercise("softmax").reference(logits, temperature)

    result = judged("softmax", half)
    assert [(g.passed, g.total) for g in result.groups] == [(1, 1), (1, 1), (1, 2)]
    assert result.points == 2.0
    assert "ValueError should be raised, but nothing was" in result.message


def test_a_hint_is_for_behaviour_that_matches_everywhere() -> None:
    item = exercise("discounted_return")
    result = judged("discounted_return", lambda rewards, gamma: float(rewards.sum()))
    assert (result.status, result.points, result.mistake) == ("wrong", 0.0, "undiscounted")
    assert result.hint == "Later rewards count for less."

    def undiscounted_on_paper_only(rewards: Any, gamma: float) -> float:
        return float(rewards.sum()) if len(rewards) == 3 else 0.0

    result = judged("discounted_return", undiscounted_on_paper_only)
    assert (result.hint, result.mistake) == ("", "")
    assert result.message == "the return value is 7, expected 3"
    assert item.mutants[1].name == "undiscounted"


def stub(*_: Any, **__: Any) -> None:
    raise NotImplementedError("Write your code.")


def test_a_stub_is_missing_also_where_an_error_is_asked_for() -> None:
    for name in ("softmax", "RunningMean", "value_loss", "sample_action"):
        result = judged(name, stub)
        assert (result.status, result.points, result.hint) == ("missing", 0.0, "")


def test_a_stub_in_one_branch_is_an_error() -> None:
    def started(rewards: Any, gamma: float) -> float:
        return stub() if len(rewards) != 3 else 3.0  # type: ignore[func-returns-value]

    result = judged("discounted_return", started)
    assert (result.status, result.points) == ("wrong", 1.0)


def test_statuses_of_what_fails_altogether() -> None:
    result = judged("discounted_return", lambda **_: 1 / 0)
    assert result.status == "error"
    assert "ZeroDivisionError" in result.message
    late = {"by hand": [Observation(timed_out=True)], "random episodes": [None, None]}
    result = judge_exercise(exercise("discounted_return"), EXPECTED, late)
    assert result.status == "timeout"
    assert judged("discounted_return", lambda **_: None).status == "wrong"


def test_cases_that_were_not_run_fail() -> None:
    item = exercise("discounted_return")
    whole = seen("discounted_return", item.reference)
    for partial in ({}, {"by hand": whole["by hand"]}, whole | {"random episodes": []}):
        result = judge_exercise(item, EXPECTED, partial)
        assert result.status != "ok"
        assert not result.groups[1].ok
        assert "not run" in result.groups[1].message
    extra = whole | {"random episodes": [*whole["random episodes"], Observation(1.0)]}
    assert judge_exercise(item, EXPECTED, extra).status == "ok"
    assert judge_exercise(item, EXPECTED, {}).status == "error"


SECRETS = [
    lambda rewards, gamma: float(rewards.sum()) * 0.5,
    lambda rewards, gamma: rewards * gamma,
    lambda rewards, gamma: {repr(rewards): 1},
    lambda rewards, gamma: type(f"T{rewards[0]}", (), {})(),
    lambda rewards, gamma: str(rewards),
    lambda rewards, gamma: float("nan"),
    lambda rewards, gamma: (_ for _ in ()).throw(ValueError(repr(rewards))),
    lambda rewards, gamma: (_ for _ in ()).throw(type(f"E{rewards[0]}", (Exception,), {})()),
]


@pytest.mark.parametrize("function", SECRETS)
def test_nothing_of_a_hidden_case_is_told(function: Callable[..., Any]) -> None:
    (hidden,) = (g for g in EXPECTED.groups(exercise("discounted_return")) if not g.group.public)
    numbers = [c for case in hidden.cases for c in (*case["rewards"], case["gamma"])]
    numbers += [right.value for right in hidden.right]
    result = judged("discounted_return", function)
    message = result.groups[1].message
    assert message
    for number in numbers:
        assert f"{abs(number):.4g}"[:5] not in message
        assert f"{abs(number):.8f}"[:6] not in message
    assert len(message) < 80


def test_a_forged_summary_is_not_believed() -> None:
    item = exercise("sample_action")
    (right, _) = EXPECTED.groups(item)
    wide = dataclasses.replace(right.right[0].value, stderr=np.full(4, 1e9))
    copied = right.right[0].value
    for forged in (wide, copied):
        assert isinstance(forged, Summary)
        answers = {g.group.name: [Observation(forged)] for g in EXPECTED.groups(item)}
        result = judge_exercise(item, EXPECTED, answers)
        assert (result.status, result.points) == ("wrong", 0.0)


def test_expected_values_do_not_depend_on_who_asks_first() -> None:
    item = exercise("softmax")
    one, other = Expected(LAB, 5), Expected(LAB, 5)
    one.mutant(item, "overflows")
    for left, right in zip(one.groups(item), other.groups(item), strict=True):
        for a, b in zip(left.right, right.right, strict=True):
            np.testing.assert_equal(a.value, b.value)


def test_seeds_draw_hidden_cases_and_leave_public_ones() -> None:
    item = exercise("value_loss")
    one, other = Expected(LAB, 1), Expected(LAB, 2)
    shared = Expected(LAB, 2, like=one)
    values = [[group.cases[0]["value"] for group in e.groups(item)] for e in (one, other, shared)]
    assert torch.equal(values[0][0], values[1][0])
    assert not torch.equal(values[0][1], values[1][1])
    assert torch.equal(values[1][1], values[2][1])


def test_groups_that_share_their_cases_do_not_share_their_numbers() -> None:
    item = exercise("value_loss")
    first, second = Expected(LAB, PUBLIC_SEED).groups(item)
    assert not torch.equal(first.cases[0]["value"], second.cases[0]["value"])
    assert case_seed(1, "lab", "ab", "c") != case_seed(1, "lab", "a", "bc")


def test_a_mutant_that_hangs_is_waited_for_once() -> None:
    item = exercise("discounted_return")
    text = "for reward in rewards[::-1]:"
    hangs = dataclasses.replace(item.mutants[0], old=text, new="while True:\n        reward = 0")
    slow = dataclasses.replace(item, mutants=(hangs,), time_limit=0.5)
    expected = Expected(LAB, 0)
    shown = expected.mutant(slow, hangs.name)
    assert all(got.timed_out for group in shown for got in group)
    assert expected._hanging == {("discounted_return", hangs.name)}
    late = {g.group.name: [Observation(timed_out=True)] * len(g.cases)
            for g in expected.groups(slow)}  # fmt: skip
    result = judge_exercise(slow, expected, late)
    assert (result.status, result.mistake) == ("timeout", hangs.name)


NUMBER = Numeric("n", 2, answer=-50.8, tolerance=0.1, mistakes=(Mistake(50.8, "Mind the sign."),))


@pytest.mark.parametrize(
    "value",
    [-50.8, -50.75, np.float32(-50.8), np.array(-50.8), np.array([-50.8]), torch.tensor(-50.8)],
)
def test_numbers_that_are_right(value: Any) -> None:
    assert judge_numeric(NUMBER, value).points == 2


@pytest.mark.parametrize(
    ("value", "status", "hint"),
    [
        (50.8, "wrong", "Mind the sign."),
        (-51.0, "wrong", ""),
        (float("nan"), "wrong", ""),
        (float("inf"), "wrong", ""),
        ("-50.8", "wrong", ""),
        ([-50.8], "wrong", ""),
        (np.array([-50.8, 0.0]), "wrong", ""),
        (True, "wrong", ""),
        (Opaque("Sly", "-50.8"), "wrong", ""),
        (None, "missing", ""),
        (..., "missing", ""),
        (Opaque("ellipsis", "Ellipsis"), "missing", ""),
    ],
)
def test_numbers_that_are_not(value: Any, status: str, hint: str) -> None:
    result = judge_numeric(NUMBER, value)
    assert (result.points, result.status, result.hint) == (0.0, status, hint)


CHOICE = Choice("c", 1, answer="B", why={"A": "No.", "C": "Never."})


def test_letters() -> None:
    assert judge_choice(CHOICE, " b ").points == 1
    assert judge_choice(CHOICE, "C").hint == "Never."
    for value in ("D", "", "AB", 2, ["B"], Opaque("str", "B")):
        result = judge_choice(CHOICE, value)
        assert (result.status, result.points) == ("wrong", 0.0)
        assert "letters A, B, C" in result.message
    assert judge_choice(CHOICE, None).status == "missing"


def explode(parameters: Any) -> float:
    raise RuntimeError


OUTCOME = Outcome(
    "o",
    points=3,
    reference=dict,
    artifact="o.safetensors",
    tensors={"w": (2,), "b": ()},
    gates=(
        Gate("first", lambda p: float(p["w"][0]), 0.0, 1.0, "Train longer."),
        Gate("bias", lambda p: float(p["b"]), -1.0, 1.0, "Mind the bias.", weight=2.0),
    ),
)


def test_outcomes_are_measured() -> None:
    right = {"w": np.array([0.5, 9.0]), "b": np.float32(0.0)}
    assert judge_outcome(OUTCOME, right, seconds=2.0).points == 3
    half = judge_outcome(OUTCOME, right | {"b": 5.0})
    assert (half.points, half.status, half.hint, half.mistake) == (
        1.0,
        "wrong",
        "Mind the bias.",
        "bias",
    )
    assert "bias: measured 5, should be between -1 and 1" in half.message
    tensors = {"w": torch.tensor([0.5, 1.0]), "b": torch.tensor(0.0)}
    assert judge_outcome(OUTCOME, tensors).status == "ok"


@pytest.mark.parametrize(
    ("parameters", "status", "says"),
    [
        (None, "missing", "`o.safetensors` is missing"),
        ([1.0], "wrong", "a dictionary of arrays"),
        ({"w": np.zeros(2)}, "wrong", "the arrays w, b and no others"),
        ({"w": np.zeros(2), "b": 0.0, "score": 1e9}, "wrong", "no others"),
        ({"w": np.zeros(3), "b": 0.0}, "wrong", "`w` has shape (3,), but should have (2,)"),
        ({"w": np.array([0.0, np.nan]), "b": 0.0}, "wrong", "not finite"),
        ({"w": "zeros", "b": 0.0}, "wrong", "`w` is not an array of numbers"),
        ({"w": Opaque("Tensor", ""), "b": 0.0}, "wrong", "`w` is not an array of numbers"),
    ],
)
def test_outcomes_of_the_wrong_form(parameters: Any, status: str, says: str) -> None:
    result = judge_outcome(OUTCOME, parameters)
    assert (result.points, result.status) == (0.0, status)
    assert says in result.message


def test_a_measurement_that_fails_is_a_gate_that_stays_shut() -> None:
    gates = (Gate("explodes", explode, -1e9, 1e9, "Hm."), OUTCOME.gates[0])
    item = dataclasses.replace(OUTCOME, gates=gates)
    result = judge_outcome(item, {"w": np.array([0.5, 0.0]), "b": 0.0})
    assert (result.points, result.mistake) == (1.5, "explodes")
    nan = dataclasses.replace(OUTCOME.gates[0], measure=lambda p: float("nan"))
    item = dataclasses.replace(OUTCOME, gates=(nan,))
    assert judge_outcome(item, {"w": np.zeros(2), "b": 0.0}).points == 0.0
    endless = Gate("endless", lambda p: float("inf"), 0.0, float("inf"), "Hm.")
    item = dataclasses.replace(OUTCOME, gates=(endless,))
    assert judge_outcome(item, {"w": np.zeros(2), "b": 0.0}).points == 0.0


def test_results_travel_as_plain_data() -> None:
    result = judged("softmax", stub)
    submission = SubmissionResult(
        (result,), {"test-softmax": [{"output_type": "stream"}]}, 1.0, "t"
    )
    assert SubmissionResult.from_dict(submission.to_dict()) == submission
    assert submission.points == 0.0


def test_results_are_sane() -> None:
    with pytest.raises(ValueError, match="not a status"):
        ExerciseResult("x", 0.0, 1.0, "fine")  # type: ignore[arg-type]
    for points in (-1.0, 2.0, float("nan")):
        with pytest.raises(ValueError, match="points"):
            ExerciseResult("x", points, 1.0, "ok")
    assert not GroupResult("g", 1.0, 1, 2).ok
    assert unanswered(NUMBER, "gone").max_points == 2
