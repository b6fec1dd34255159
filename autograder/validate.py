"""Holds a lab's three files to each other before anything is built from them."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from autograder.discover import LoadedLab
from autograder.errors import LabError
from autograder.labfile import LabCell
from autograder.sources import call_lines, free_names
from autograder.spec import Choice, Exercise, Item, Numeric, Outcome
from labkit.probes import Trace


def validate(lab: LoadedLab) -> None:
    """Check everything that can be said without running an answer.

    Raises:
        LabError: on the first thing that has to be mended.
    """
    _check_names(lab)
    for item in lab.items:
        _check_item(lab, item)
    _check_text(lab)
    _check_points(lab)
    _check_needs(lab)


def _fail(lab: LoadedLab, item: Item, message: str) -> LabError:
    return LabError(message, _checks(lab), lab.line_of(item))


def _checks(lab: LoadedLab) -> Path:
    return lab.path / "checks.py"


def _repeated(names: Iterable[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _check_names(lab: LoadedLab) -> None:
    if not lab.items:
        raise LabError("declares no exercise", _checks(lab), 1)
    for index, item in enumerate(lab.items):
        if any(item.name == earlier.name for earlier in lab.items[:index]):
            kinds = {type(lab_item).__name__ for lab_item in lab.items}
            lines = sorted(n for k in kinds for n in call_lines(lab.checks_source, k, item.name))
            message = f"two exercises are called `{item.name}`"
            raise LabError(message, _checks(lab), lines[-1] if lines else 1)
        if not item.name.isidentifier():
            raise _fail(lab, item, f"{item.name!r} is not the name of a function or variable")


def _check_item(lab: LoadedLab, item: Item) -> None:
    if item.points <= 0:
        raise _fail(lab, item, f"`{item.name}` needs points")
    if isinstance(item, Exercise):
        _check_exercise(lab, item)
    elif isinstance(item, Outcome):
        _check_outcome(lab, item)
    elif isinstance(item, Choice):
        if item.answer in item.why or not item.why:
            raise _fail(lab, item, f"`why` of `{item.name}` is about the wrong letters alone")
        if not all(len(x) == 1 and x.isupper() for x in (item.answer, *item.why)):
            raise _fail(lab, item, f"the options of `{item.name}` are single capital letters")
    else:
        _check_numeric(lab, item)


def _check_numeric(lab: LoadedLab, item: Numeric) -> None:
    for mistake in item.mistakes:
        if abs(mistake.value - item.answer) <= 2 * item.tolerance:
            message = f"mistake {mistake.value:g} of `{item.name}` is too near the answer"
            raise _fail(lab, item, message)


def _check_exercise(lab: LoadedLab, exercise: Exercise) -> None:
    name = exercise.name
    _check_is_defined(lab, exercise, exercise.reference)
    if not any(group.public for group in exercise.groups):
        raise _fail(lab, exercise, f"`{name}` has no public group, so a student cannot check it")
    if group := _repeated(group.name for group in exercise.groups):
        raise _fail(lab, exercise, f"`{name}` has two groups called {group!r}")
    if any(group.weight <= 0 for group in exercise.groups):
        raise _fail(lab, exercise, f"every group of `{name}` needs a weight above 0")
    is_class = inspect.isclass(exercise.reference)
    for group_ in exercise.groups:
        if isinstance(exercise.probe_of(group_), Trace) != is_class:
            raise _fail(
                lab, exercise, f"`{name}`: a class is observed by `Trace`, and only a class"
            )
    if mutant_name := _repeated(mutant.name for mutant in exercise.mutants):
        raise _fail(lab, exercise, f"`{name}` has two mutants called `{mutant_name}`")
    if exercise.clinic is not None and exercise.clinic not in {m.name for m in exercise.mutants}:
        raise _fail(
            lab, exercise, f"the clinic of `{name}`, `{exercise.clinic}`, is no mutant of it"
        )
    for mutant in exercise.mutants:
        if not mutant.hint.strip():
            line = lab.line_of_mutant(exercise, mutant)
            raise LabError(f"mutant `{mutant.name}` of `{name}` has no hint", _checks(lab), line)
        lab.mutated(exercise, mutant)


def _check_outcome(lab: LoadedLab, item: Outcome) -> None:
    if not item.gates:
        raise _fail(lab, item, f"`{item.name}` has no gate")
    if gate := _repeated(gate.name for gate in item.gates):
        raise _fail(lab, item, f"`{item.name}` has two gates called {gate!r}")
    if not item.tensors:
        raise _fail(lab, item, f"`{item.name}` names no tensors")
    if item.artifact is None:
        if item.reference.__name__ != item.name:
            message = f"`{item.name}` has no artifact, so its reference is a function of that name"
            raise _fail(lab, item, message)
        _check_is_defined(lab, item, item.reference)
    elif not item.artifact.endswith(".safetensors") or "/" in item.artifact:
        raise _fail(lab, item, f"the artifact of `{item.name}` is a file named *.safetensors")


def _check_is_defined(lab: LoadedLab, item: Item, reference: object) -> None:
    definition = lab.source.definitions.get(item.name)
    if definition is None or getattr(lab.reference, item.name, None) is not reference:
        raise _fail(lab, item, f"`{item.name}` is not defined in reference.py")
    definition.bodies()


def _check_text(lab: LoadedLab) -> None:
    """Every item stands once in lab.md, and lab.md has no others."""
    text = lab.labfile
    placed: dict[str, LabCell] = {}
    artifacts = {i.name for i in lab.items if isinstance(i, Outcome) and i.artifact is not None}
    names = {item.name for item in lab.items}
    for cell in text.cells:
        if cell.kind == "exercise" and cell.name not in names:
            raise LabError(f"exercise `{cell.name}` is not in checks.py", text.path, cell.line)
        if cell.kind == "exercise" and cell.name in artifacts:
            message = f"`{cell.name}` is trained: it stands in a `:train: {cell.name}` cell"
            raise LabError(message, text.path, cell.line)
        if cell.kind in ("exercise", "train", "question"):
            if cell.name in placed:
                first = placed[cell.name].line
                message = f"`{cell.name}` is there twice, first in line {first}"
                raise LabError(message, text.path, cell.line)
            placed[cell.name] = cell
    for item in lab.items:
        if item.name not in placed:
            marker = "train" if item.name in artifacts else "exercise"
            message = f"`{item.name}` is not in lab.md: it needs a `:{marker}: {item.name}` cell"
            raise _fail(lab, item, message)
        if placed[item.name].kind == "train" and item.name not in artifacts:
            message = f"`{item.name}` is a `:train:` cell in lab.md, but has no artifact"
            raise _fail(lab, item, message)


def _check_points(lab: LoadedLab) -> None:
    text = lab.labfile
    questions = sum(cell.points for cell in text.of_kind("question"))
    total = sum(item.points for item in lab.items) + questions
    if abs(total - text.total) > 1e-9:
        message = f"`total: {text.total:g}`, but the points add up to {total:g}"
        raise LabError(message, text.path, text.total_line)


def _check_needs(lab: LoadedLab) -> None:
    """What the notebook has of reference.py needs nothing that the notebook lacks."""
    definitions = lab.source.definitions
    asked = {item.name for item in lab.items if item.name in definitions}
    provided = set()
    for cell in lab.labfile.of_kind("provided"):
        for name in cell.names:
            path = lab.labfile.path
            if name not in definitions:
                raise LabError(f"`{name}` is not defined in reference.py", path, cell.line)
            if name in asked:
                raise LabError(
                    f"`{name}` is an exercise: providing it gives it away", path, cell.line
                )
            if name in provided:
                raise LabError(f"`{name}` is provided twice", path, cell.line)
            provided.add(name)
    for name in (*asked, *provided):
        needed = free_names(definitions[name].node) & definitions.keys() - {name}
        for other in sorted(needed):
            if isinstance(definitions[other].node, ast.Assign | ast.AnnAssign) or other in provided:
                continue
            advice = (
                "no exercise may use another's answer: pass it as an argument"
                if other in asked
                else f"the notebook lacks it: add a `:provided: {other}` cell to lab.md"
            )
            message = f"`{name}` uses `{other}`; {advice}"
            raise LabError(message, definitions[name].path, definitions[name].line)
