"""What a student's own check runs on: public cases and their results as data, never code."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np

from autograder.expected import Expected
from autograder.spec import Choice, Exercise, Item, Numeric
from labkit import wire
from labkit.compare import compare

Tree = Any
CLINIC_HINT = "It still does what the code you were given does: the planted bug is in there."
NOISE = {"float32": 1e-5, "float64": 1e-9}  # what another processor's arithmetic may change


def public_cases(expected: Expected) -> dict[str, Any]:
    """Return the content of ``public_cases.json``; hidden groups leave no trace in it.

    Args:
        expected: of the lab, with any course seed.
    """
    lab = expected.lab
    order = [cell.name for cell in lab.labfile.cells if cell.kind in ("exercise", "train")]
    items = sorted(lab.items, key=lambda item: order.index(item.name))
    return {
        "lab": lab.name,
        "title": lab.labfile.title,
        "total": number(lab.labfile.total),
        "exercises": [_item(expected, item) for item in items],
    }


def to_bytes(public: dict[str, Any]) -> bytes:
    """Return the file's bytes."""
    return (json.dumps(public, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _item(expected: Expected, item: Item) -> dict[str, Any]:
    if isinstance(item, Exercise):
        return _exercise(expected, item)
    if isinstance(item, Numeric):
        return _named(item, "numeric") | {"form": {"type": "number"}}
    if isinstance(item, Choice):
        letters = sorted([item.answer, *item.why])
        return _named(item, "choice") | {"form": {"type": "letter", "letters": letters}}
    return (
        _named(item, "outcome")
        | {
            "artifact": item.artifact,
            "tensors": {name: list(shape) for name, shape in item.tensors.items()},
            "time_limit": item.time_limit,
        }
        | ({} if item.artifact else {"case": wire.encode(dict(item.case))})
    )


def number(points: float) -> float:
    """Return points as a whole number where they are one."""
    return int(points) if points == int(points) else points


def _named(item: Item, kind: str) -> dict[str, Any]:
    return {"name": item.name, "kind": kind, "points": number(item.points)}


def _exercise(expected: Expected, exercise: Exercise) -> dict[str, Any]:
    public = [group for group in expected.groups(exercise) if group.group.public]
    hints, shown = {}, {}  # of mutants that public cases can tell from a right answer
    for mutant in exercise.mutants:
        seen = [expected.mutant_on(exercise, mutant.name, group) for group in public]
        pairs = [
            pair
            for in_group, group in zip(seen, public, strict=True)
            for pair in zip(in_group, group.right, strict=True)
        ]
        if any(compare(*pair, exercise.tolerance) is not None for pair in pairs):
            shown[mutant.name] = seen
            hints[mutant.name] = CLINIC_HINT if mutant.name == exercise.clinic else mutant.hint
    groups = [
        {
            "name": group.group.name,
            "probe": wire.encode(group.probe),
            "cases": [
                {
                    "input": wire.encode(case),
                    "expected": wire.encode(group.right[at]),
                    "mutants": {name: wire.encode(seen[index][at]) for name, seen in shown.items()},
                }
                for at, case in enumerate(group.cases)
            ],
        }
        for index, group in enumerate(public)
    ]
    return _named(exercise, "exercise") | {
        "signature": signature(exercise),
        "time_limit": exercise.time_limit,
        "rtol": exercise.rtol,
        "atol": exercise.atol,
        "groups": groups,
        "hints": hints,
    }


def signature(exercise: Exercise) -> str:
    """Return how the answer is called: its name and its arguments without types."""
    parameters = inspect.signature(exercise.reference).parameters.values()
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return f"{exercise.name}{inspect.Signature(bare)}"


def settled(new: dict[str, Any], old: bytes | None) -> dict[str, Any]:
    """Return ``new``, with the numbers of an earlier file where only float noise tells them apart.

    Another processor may round another way in the last digits; the committed file stays as it is.

    Args:
        new: freshly computed.
        old: the file that is there, if one is.
    """
    try:
        before = json.loads(old) if old is not None else None
    except ValueError:
        return new
    return before if before is not None and _is_near(new, before) else new


def _is_near(new: Tree, old: Tree) -> bool:
    if type(new) is not type(old):
        return False
    if isinstance(new, dict):
        if new.keys() != old.keys() or list(new) != list(old):
            return False
        if new.get("t") in ("array", "scalar", "tensor") and new != old:
            return _are_near_arrays(new, old)
        return all(_is_near(new[key], old[key]) for key in new)
    if isinstance(new, list):
        return len(new) == len(old) and all(map(_is_near, new, old))
    if isinstance(new, float):
        return bool(np.isclose(new, old, rtol=NOISE["float64"], atol=1e-12))
    return bool(new == old)


def _are_near_arrays(new: Tree, old: Tree) -> bool:
    rest = {key: value for key, value in new.items() if key != "v"}
    if rest != {key: value for key, value in old.items() if key != "v"}:
        return False
    if (rtol := NOISE.get(new["dtype"])) is None:
        return False
    left, right = (np.asarray(wire.decode(tree)) for tree in (new, old))
    return bool(np.allclose(left, right, rtol=rtol, atol=rtol * 1e-3, equal_nan=True))
