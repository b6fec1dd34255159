"""Looks a submission over as the grader will: what is missing, damaged, or not written yet."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from labkit.forms import artifact_problem

MAX_NOTEBOOK_BYTES = 64 << 20
CLEAR = "clear its outputs (in JupyterLab: Edit, Clear Outputs of All Cells), save, submit again"

Level = Literal["fatal", "loss", "note"]
Public = Mapping[str, Any]
Cell = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is wrong with a submission, in a sentence for the student.

    Attributes:
        level: ``fatal`` if it could not be graded at all, ``loss`` if points are lost by it,
            ``note`` if the grader mends it.
    """

    level: Level
    message: str


class UnreadableError(ValueError):
    """A file that is no notebook, with the reason."""


def validate(files: Mapping[str, bytes], public: Public) -> list[Problem]:
    """Return what the grader will find wrong with a submission.

    Args:
        files: notebook and artifacts by name, as they lie in the lab's folder.
        public: the lab's ``public_cases.json``.
    """
    name = f"{public['lab']}.ipynb"
    if name not in files:
        return [Problem("fatal", _misnamed(name, files))]
    try:
        cells = read_cells(files[name])
    except UnreadableError as error:
        return [Problem("fatal", f"{name} {error}.")]
    expected = {cell["grade_id"]: cell for cell in public["cells"]}
    if not any(_grade_id(cell) in expected for cell in cells):
        return [Problem("fatal", f"{name} holds no cell of this lab: is it the right notebook?")]
    problems = list(_cell_problems(cells, expected, public))
    for item in public["exercises"]:
        if item.get("artifact") and (
            problem := artifact_problem(item, files.get(item["artifact"]))
        ):
            problems.append(Problem("loss", f"`{item['name']}`: {problem}."))
    return problems


def outline(notebook: bytes) -> list[dict[str, str]]:
    """Return what `validate` needs to know of a lab's notebook as it is handed out.

    Args:
        notebook: the student's notebook.

    Returns:
        For each cell with a grade id: ``grade_id``, ``role`` (``code`` and ``text`` are the
        student's to write, ``locked`` is not) and ``digest`` of its source.

    Raises:
        UnreadableError: if it is not a notebook.
    """
    cells = [cell for cell in read_cells(notebook) if _grade_id(cell)]
    return [
        {"grade_id": _grade_id(cell), "role": _role(cell), "digest": _digest(source_of(cell))}
        for cell in cells
    ]


def read_cells(raw: bytes) -> list[Cell]:
    """Return the cells of a notebook's bytes.

    Raises:
        UnreadableError: if it is not a notebook of format 4.
    """
    if not raw.strip():
        raise UnreadableError("is an empty file: save the notebook, then submit again")
    if len(raw) > MAX_NOTEBOOK_BYTES:
        raise UnreadableError(f"is larger than {MAX_NOTEBOOK_BYTES >> 20} MiB: {CLEAR}")
    try:
        tree = json.loads(raw)
    except (ValueError, RecursionError):
        raise UnreadableError(
            "is damaged, its JSON breaks off: save the notebook again, or go back to a checkpoint"
        ) from None
    cells = tree.get("cells") if isinstance(tree, dict) else None
    if not isinstance(cells, list) or tree.get("nbformat") != 4:
        raise UnreadableError("is no Jupyter notebook of format 4: save it with JupyterLab")
    import nbformat

    try:
        with warnings.catch_warnings(action="ignore"):  # what it can mend is no problem
            nbformat.validate(tree)
    except nbformat.ValidationError as error:
        reason = str(error).splitlines()[0][:160]
        raise UnreadableError(f"is not a valid notebook: {reason}") from None
    return cells


def _cell_problems(
    cells: Sequence[Cell], expected: Mapping[str, Mapping[str, str]], public: Public
) -> Iterator[Problem]:
    found = Counter(_grade_id(cell) for cell in cells)
    sources = _counting(cells, expected)
    points = {item["name"]: item["points"] for item in public["exercises"]}
    changed, open_, gone = [], [], []
    for grade_id, cell in expected.items():
        title = f"`{grade_id.removeprefix('question-')}`"
        if found[grade_id] > 1:
            message = f"The cell of {title} is there {found[grade_id]} times: delete all but one."
            yield Problem("loss" if cell["role"] != "locked" else "note", message)
        if cell["role"] == "locked":
            if grade_id not in sources or _digest(sources[grade_id]) != cell["digest"]:
                changed.append(f"`{grade_id}`")
        elif grade_id not in sources:
            gone.append(title)
        elif _digest(sources[grade_id]) == cell["digest"]:
            open_.append(title)
        elif cell["role"] == "code" and (line := _syntax_error(sources[grade_id])):
            lost = f"{points[grade_id]:g} points" if grade_id in points else "its points"
            message = f"The cell of {title} is not valid Python (line {line}): {lost} are lost."
            yield Problem("loss", message)
    if gone:
        yield Problem(
            "loss",
            f"Deleted: {', '.join(gone)}. To get a cell back, copy it from a fresh download of the "
            "lab.",
        )
    if open_:
        yield Problem("loss", f"Still as handed out: {', '.join(open_)}.")
    if changed:
        some = ", ".join(changed[:5]) + (" and others" if len(changed) > 5 else "")
        yield Problem("note", f"Locked cells differ, the grader restores them: {some}.")


def _counting(cells: Sequence[Cell], expected: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """By grade id the source that counts: as in grading, of several the last that was changed."""
    sources: dict[str, str] = {}
    for cell in cells:
        grade_id, source = _grade_id(cell), source_of(cell)
        handed_out = expected.get(grade_id, {}).get("digest")
        if grade_id not in sources or _digest(source) != handed_out:
            sources[grade_id] = source
    return sources


def _grade_id(cell: Cell) -> str:
    nbgrader = cell.get("metadata", {}).get("nbgrader", {})
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return grade_id if isinstance(grade_id, str) else ""


def source_of(cell: Cell) -> str:
    """Return a cell's source as one text."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _role(cell: Cell) -> str:
    if not cell["metadata"]["nbgrader"].get("solution", False):
        return "locked"
    return "code" if cell["cell_type"] == "code" else "text"


def _digest(source: str) -> str:
    return hashlib.sha256(source.strip().encode("utf-8", "replace")).hexdigest()[:16]


def as_python(source: str) -> str:
    """Return a cell's source with IPython's own syntax turned into Python."""
    from IPython.core.inputtransformer2 import TransformerManager

    manager = TransformerManager()  # type: ignore[no-untyped-call]
    transformed: str = manager.transform_cell(source)
    return transformed


def _syntax_error(source: str) -> int:
    """The line of a cell's first syntax error; 0 if there is none."""
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(as_python(source), "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError) as error:
        return getattr(error, "lineno", None) or 1
    return 0


def _misnamed(name: str, files: Mapping[str, bytes]) -> str:
    others = sorted(other for other in files if other.endswith(".ipynb"))
    if not others:
        return f"There is no {name} here: submit from the lab's folder."
    return f"There is no {name}, but {others[0]}: rename your notebook to {name}."
