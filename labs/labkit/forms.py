"""Whether an answer that is graded later has the right form; never whether it is right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from labkit.artifacts import ArtifactError, load_artifact
from labkit.compare import as_array

Verdict = Literal["pass", "fail", "open"]
Item = Mapping[str, Any]
MEASURED = "The grader measures how good it is."


def answer(item: Item, value: Any) -> tuple[Verdict, str]:
    """Judge the form of a predicted number or of a chosen letter.

    Args:
        item: the exercise, from the public cases.
        value: what the student's variable holds; None or ``...`` if nothing.
    """
    name = item["name"]
    if value is None or value is Ellipsis:
        return "open", f"`{name}` is not answered yet: set it in the cell above and run that cell."
    if item["kind"] == "choice":
        return _letter(name, value, item["form"]["letters"])
    number = as_array(value)
    if number is None or number.size != 1 or number.dtype.kind not in "iuf":
        given = f"{value!r}"[:60]
        return "fail", f"`{name}` should be one number, like `{name} = 0.5`; it is {given}."
    if not math.isfinite(float(number.reshape(()))):
        return "fail", f"`{name}` should be a finite number; it is {number.reshape(())}."
    return "pass", f"`{name}` is a number. Whether it is right shows in the grade."


def _letter(name: str, value: Any, letters: Sequence[str]) -> tuple[Verdict, str]:
    text = value.strip().upper() if type(value) is str else ""
    if text not in letters:
        given = f"{value!r}"[:60]
        example = f'`{name} = "{letters[0]}"`'
        return "fail", (
            f"`{name}` should be one of the letters {', '.join(letters)}, like {example}; it is "
            f"{given}."
        )
    return "pass", f"`{name}` is the letter {text}. Whether it is right shows in the grade."


def parameters(item: Item, values: Any) -> tuple[Verdict, str]:
    """Judge the form of something trained: arrays by name, of the right shapes, all finite."""
    name = item["name"]
    if problem := tensor_problem(item["tensors"], values):
        return "fail", f"`{name}`: {problem}."
    return "pass", f"`{name}` has the right form: {_tensors(item)}. {MEASURED}"


def tensor_problem(wanted: Mapping[str, Any], values: Any) -> str:
    """Return what is wrong with the form of ``values``, or nothing.

    Args:
        wanted: shapes by name.
        values: arrays or tensors by name.
    """
    if type(values) is not dict:
        return f"it should be a dictionary of arrays, but is a {type(values).__name__}"
    if missing := [f"`{key}`" for key in wanted if key not in values]:
        return f"it lacks {', '.join(missing)}"
    if extra := [f"`{key}`"[:60] for key in values if key not in wanted]:
        return f"it holds {', '.join(extra)} beyond what is asked for"
    for key, shape in wanted.items():
        array = as_array(values[key])
        if array is None or array.dtype.kind not in "biuf":
            return f"`{key}` is not an array of numbers"
        if array.shape != tuple(shape):
            return f"`{key}` has shape {array.shape}, but should have {tuple(shape)}"
        if not np.isfinite(array).all():
            return f"`{key}` holds numbers that are not finite (NaN or infinity)"
    return ""


def artifact_problem(item: Item, raw: bytes | None) -> str:
    """Return what is wrong with an artifact's bytes, or nothing; None stands for no file."""
    file = item["artifact"]
    if raw is None:
        return f"the file `{file}` is not there: run the training cell, which writes it"
    try:
        tensors = load_artifact(raw)
    except ArtifactError as error:
        return f"the file `{file}` cannot be used, {error}: run the training cell again"
    problem = tensor_problem(item["tensors"], tensors)
    return f"in the file `{file}`, {problem}" if problem else ""


def artifact_file(item: Item, folder: Path) -> tuple[Verdict, str]:
    """Judge the form of the artifact that the training cell writes into ``folder``."""
    path = folder / item["artifact"]
    raw = path.read_bytes() if path.is_file() else None
    if problem := artifact_problem(item, raw):
        return "open" if raw is None else "fail", f"`{item['name']}`: {problem}."
    return "pass", f"`{path.name}` has the right form: {_tensors(item)}. {MEASURED}"


def _tensors(item: Item) -> str:
    return ", ".join(f"`{name}` {tuple(shape)}" for name, shape in item["tensors"].items())
