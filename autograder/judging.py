"""Turns what was seen of an answer into points, words and the hint that the answer deserves."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autograder.expected import Expected, ExpectedGroup
from autograder.results import ExerciseResult, GroupResult, Status
from autograder.spec import Choice, Exercise, Gate, Item, Mutant, Numeric, Outcome, Parameters
from labkit.compare import Mismatch, as_array, compare, summarize
from labkit.probes import Observation, Samples
from labkit.wire import Opaque

Seen = Sequence[Observation | None]
"""Observations of a group's cases in order; None for a case that was not run."""

STUB = "NotImplementedError"
NOT_RUN = Mismatch("error", "", "it was not run: the code before it failed")
SECRET_KEEPING = {
    "missing return": "the {where} is missing",
    "type": "the {where} has the wrong type",
    "shape": "the {where} has the wrong shape",
    "dtype": "the {where} holds the wrong kind of values",
    "nan": "the {where} is not a number",
    "value": "the {where} is wrong",
    "changed": "it changes an input that should stay as it is",
    "error": "it raises {error}",
    "timeout": "it does not finish in time",
}


def unanswered(item: Item, message: str, status: Status = "missing") -> ExerciseResult:
    """Return the result of an item for which there is nothing to judge."""
    return ExerciseResult(item.name, 0.0, item.points, status, message=message)


def judge_exercise(
    exercise: Exercise,
    expected: Expected,
    observations: Mapping[str, Seen],
    *,
    seconds: float = 0.0,
    summarized: bool = False,
) -> ExerciseResult:
    """Judge a function or class by what was observed of it.

    Args:
        exercise: as declared.
        expected: the cases and what is right on them.
        observations: by group name, of the cases of ``expected.groups(exercise)`` in order; a
            sequence that is too short counts as not run from there on.
        seconds: wall time that the student's code took.
        summarized: the observations come from `Expected` and are summarized already. A summary
            that comes from anywhere else is a forgery.
    """
    groups = expected.groups(exercise)
    seen = [
        _padded(group, observations.get(group.group.name, ()), summarized=summarized)
        for group in groups
    ]
    mismatches = [
        [_mismatch(exercise, got, right) for got, right in zip(s, group.right, strict=True)]
        for group, s in zip(groups, seen, strict=True)
    ]
    results = tuple(
        _group_result(group, s, found)
        for group, s, found in zip(groups, seen, mismatches, strict=True)
    )
    points = _earned(exercise.points, results)
    failed = [m for found in mismatches for m in found if m is not None]
    if not failed:
        return ExerciseResult(
            exercise.name, points, exercise.points, "ok", groups=results, seconds=seconds
        )
    run = [got for s in seen for got in s if got is not None]
    if run and all(map(_is_stub, run)):
        return ExerciseResult(
            exercise.name,
            0.0,
            exercise.points,
            "missing",
            message="the stub was not replaced",
            groups=results,
            seconds=seconds,
        )
    mistake, hint = _recognised(exercise, expected, seen)
    in_order = sorted(zip(groups, results, strict=True), key=lambda pair: not pair[0].group.public)
    message = next(result.message for _, result in in_order if not result.ok)
    kinds = {"error": "error", "timeout": "timeout"}
    status: Status = "wrong" if points else kinds.get(failed[0].kind, "wrong")  # type: ignore[assignment]
    return ExerciseResult(
        exercise.name,
        points,
        exercise.points,
        status,
        hint=hint,
        message=message,
        groups=results,
        seconds=seconds,
        mistake=mistake,
    )


def _padded(group: ExpectedGroup, seen: Seen, *, summarized: bool) -> list[Observation | None]:
    padded = [*seen, *[None] * len(group.cases)][: len(group.cases)]
    if summarized:
        return padded
    return [None if got is None else summarize(group.probe, got) for got in padded]


def _mismatch(exercise: Exercise, got: Observation | None, right: Observation) -> Mismatch | None:
    return NOT_RUN if got is None else compare(got, right, exercise.tolerance)


def _is_stub(got: Observation) -> bool:
    if got.error is not None:
        return got.error.type_name == STUB
    return type(got.value) is dict and got.value == {"raised": STUB}


def _group_result(
    group: ExpectedGroup, seen: list[Observation | None], found: list[Mismatch | None]
) -> GroupResult:
    first = next((i for i, mismatch in enumerate(found) if mismatch is not None), None)
    message = ""
    if first is not None:
        mismatch, got = found[first], seen[first]
        assert mismatch is not None
        is_told = group.group.public or got is None
        message = mismatch.message if is_told else _without_secrets(mismatch, got)
    passed = sum(mismatch is None for mismatch in found)
    return GroupResult(group.group.name, group.group.weight, passed, len(found), message)


def _without_secrets(mismatch: Mismatch, got: Observation | None) -> str:
    """Say what is wrong on a hidden case without a number of it.

    Nothing that the student's code chose is repeated either: an exception's message or class name
    could carry the hidden input out.
    """
    error = "an exception of its own"
    if got is not None and got.error is not None and _is_builtin(got.error.type_name):
        error = got.error.type_name
    where = mismatch.where.partition("[")[0] or "return value"
    return SECRET_KEEPING[mismatch.kind].format(where=where, error=error)


def _is_builtin(name: str) -> bool:
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, BaseException)


def _earned(points: float, groups: Sequence[GroupResult]) -> float:
    weight = sum(group.weight for group in groups)
    return round(points * sum(group.weight for group in groups if group.ok) / weight, 2)


def _recognised(
    exercise: Exercise, expected: Expected, seen: list[list[Observation | None]]
) -> tuple[str, str]:
    """Return name and hint of the first mutant that behaves the same on all that was run."""
    groups = zip(expected.groups(exercise), seen, strict=True)
    run = [(group, got) for group, got in groups if any(each is not None for each in got)]
    run.sort(key=lambda pair: isinstance(pair[0].probe, Samples))  # thousands of calls: if need be
    for mutant in exercise.mutants:
        if run and all(_behaves_as(mutant, exercise, expected, *pair) for pair in run):
            return mutant.name, mutant.hint
    return "", ""


def _behaves_as(
    mutant: Mutant,
    exercise: Exercise,
    expected: Expected,
    group: ExpectedGroup,
    seen: list[Observation | None],
) -> bool:
    """Whether a mutant does on a group's cases what was seen, as far as they were run."""
    theirs = expected.mutant_on(exercise, mutant.name, group)
    return all(
        got is None or compare(got, shown, exercise.tolerance) is None
        for got, shown in zip(seen, theirs, strict=True)
    )


def judge_numeric(item: Numeric, value: Any) -> ExerciseResult:
    """Judge a predicted number: an int, a float, or an array or tensor of one number."""
    if _is_unset(value):
        return unanswered(item, "no number was given")
    number = _number(value)
    if number is None:
        return unanswered(item, "it is not a number", "wrong")
    if abs(number - item.answer) <= item.tolerance:
        return ExerciseResult(item.name, item.points, item.points, "ok")
    for mistake in item.mistakes:
        if abs(number - mistake.value) <= item.tolerance:
            return ExerciseResult(
                item.name,
                0.0,
                item.points,
                "wrong",
                hint=mistake.hint,
                message="not the right number",
                mistake=f"{mistake.value:g}",
            )
    return unanswered(item, "not the right number", "wrong")


def judge_choice(item: Choice, value: Any) -> ExerciseResult:
    """Judge a chosen letter; case and blanks around it do not matter."""
    if _is_unset(value):
        return unanswered(item, "no letter was chosen")
    letter = value.strip().upper() if type(value) is str else ""
    if letter == item.answer:
        return ExerciseResult(item.name, item.points, item.points, "ok")
    if letter not in item.why:
        letters = ", ".join(sorted([item.answer, *item.why]))
        return unanswered(item, f"it is not one of the letters {letters}", "wrong")
    return ExerciseResult(
        item.name,
        0.0,
        item.points,
        "wrong",
        hint=item.why[letter],
        message="not the right answer",
        mistake=letter,
    )


def judge_outcome(item: Outcome, parameters: Any, *, seconds: float = 0.0) -> ExerciseResult:
    """Measure submitted parameters: arrays or tensors by name; None if there are none."""
    if parameters is None:
        what = f"the file `{item.artifact}`" if item.artifact else "what the function returns"
        return unanswered(item, f"{what} is missing")
    arrays, problem = _checked_parameters(item, parameters)
    if problem:
        return unanswered(item, problem, "wrong")
    results = tuple(_gate_result(gate, arrays) for gate in item.gates)
    points = _earned(item.points, results)
    missed = [
        (gate, result) for gate, result in zip(item.gates, results, strict=True) if not result.ok
    ]
    gate, result = missed[0] if missed else (None, None)
    return ExerciseResult(
        item.name,
        points,
        item.points,
        "wrong" if missed else "ok",
        hint=gate.hint if gate else "",
        message=result.message if result else "",
        groups=results,
        seconds=seconds,
        mistake=gate.name if gate else "",
    )


def _checked_parameters(item: Outcome, parameters: Any) -> tuple[dict[str, np.ndarray], str]:
    """Return the parameters as float arrays, or a sentence that says what is wrong with them."""
    if type(parameters) is not dict:
        return {}, "it should be a dictionary of arrays"
    if parameters.keys() != item.tensors.keys():
        return {}, f"it should hold the arrays {', '.join(item.tensors)} and no others"
    arrays = {}
    for name, shape in item.tensors.items():
        try:
            array = np.asarray(parameters[name], dtype=np.float64)
        except (TypeError, ValueError, RuntimeError):
            return {}, f"`{name}` is not an array of numbers"
        if array.shape != tuple(shape):
            return {}, f"`{name}` has shape {array.shape}, but should have {tuple(shape)}"
        if not np.isfinite(array).all():
            return {}, f"`{name}` holds numbers that are not finite"
        arrays[name] = array
    return arrays, ""


def _gate_result(gate: Gate, parameters: Parameters) -> GroupResult:
    measured = _attempt(gate.measure, parameters)
    is_inside = math.isfinite(measured) and gate.low <= measured <= gate.high
    between = f"should be between {gate.low:g} and {gate.high:g}"
    message = "" if is_inside else f"{gate.name}: measured {measured:.4g}, {between}"
    return GroupResult(gate.name, gate.weight, int(is_inside), 1, message)


def _attempt(measure: Callable[[Parameters], float], parameters: Parameters) -> float:
    try:
        return float(measure(parameters))
    except Exception:  # parameters that nobody vouches for may break any measurement
        return math.nan


def _number(value: Any) -> float | None:
    array = as_array(value)
    if array is None or array.size != 1 or array.dtype.kind not in "iuf":
        return None
    number = float(array.reshape(()))
    return number if math.isfinite(number) else None


def _is_unset(value: Any) -> bool:
    ellipsis = isinstance(value, Opaque) and value.type_name == "ellipsis"
    return value is None or value is Ellipsis or ellipsis
