"""What a graded notebook shows: verdicts of the referee, and what its cells printed, made safe.

A student's HTML would run in the browser of whoever looks at it: the instructor in formgrader, the
student in the feedback.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader import utils

from autograder.markup import as_html, safe_html
from autograder.results import ExerciseResult, SubmissionResult

SHOWN_TYPES = ("text/plain", "text/latex", "image/png", "image/jpeg")
MAX_SHOWN_CHARS = 100_000
MAX_PICTURE_CHARS = 8 << 20
MAX_NOTEBOOK_CHARS = 64 << 20  # of all outputs together, so that a browser can show the page
TOO_MUCH = "[the notebook's outputs are too long together: what this cell printed is left out]\n"


def exercise_of(cell: NotebookNode) -> str | None:
    """Return the exercise that a test cell is about; None for any other cell."""
    if not utils.is_grade(cell) or utils.is_solution(cell):
        return None
    grade_id: str = cell.metadata.nbgrader.grade_id
    return grade_id.removeprefix("test-")


def show(nb: NotebookNode, result: SubmissionResult, notes: Iterable[str]) -> None:
    """Write into the notebook what its cells printed and how the referee judged them."""
    verdicts = {item.name: item for item in result.exercises}
    left = MAX_NOTEBOOK_CHARS
    for index, cell in enumerate(nb.cells):
        if cell.cell_type != "code":
            continue
        cell.execution_count = None
        name = exercise_of(cell)
        if name is None:
            key = cell.metadata.get("nbgrader", {}).get("grade_id") or str(index)
            cell.outputs = [safe for o in result.outputs.get(key, []) if (safe := safe_output(o))]
            left -= sum(map(_size, cell.outputs))
            if left < 0:
                cell.outputs = [_output("stream", name="stderr", text=TOO_MUCH)]
        else:
            none = ExerciseResult(name, 0.0, float(cell.metadata.nbgrader.points), "missing")
            cell.outputs = [verdict(verdicts.get(name, none))]
    nb.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    if notes := list(notes):
        items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
        text = f"**About what you handed in**\n\n<ul>{items}</ul>"
        top = {"cell_type": "markdown", "id": "about", "metadata": {}, "source": text}
        nb.cells.insert(0, nbformat.from_dict(top))  # type: ignore[no-untyped-call]


def verdict(item: ExerciseResult) -> NotebookNode:
    """Return the output of a test cell: the score, which nbgrader reads, and what led to it."""
    rows = "".join(
        f"<tr><td>{'✓' if group.ok else '✗'}</td><td>{html.escape(group.name)}</td>"
        f"<td>{group.passed} of {group.total}</td><td>{as_html(group.message[:500])}</td></tr>"
        for group in item.groups
    )
    head = "<tr><th></th><th>cases</th><th>passed</th><th>what differs</th></tr>"
    text = f"<p><b>{item.points:g} of {item.max_points:g} points</b> ({item.status})</p>"
    if item.status != "ok" and item.message:
        text += f"<p>{as_html(item.message)}</p>"
    if item.hint:
        text += f"<p><b>Hint:</b> {as_html(item.hint)}</p>"
    if rows:
        text += f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
    node: NotebookNode = nbformat.from_dict(  # type: ignore[no-untyped-call]
        {
            "output_type": "execute_result",
            "execution_count": None,
            "metadata": {},
            "data": {"text/plain": repr(float(item.points)), "text/html": text},
        }
    )
    return node


def safe_output(output: dict[str, Any]) -> NotebookNode | None:
    """Return an output that an instructor's browser can show without running anything of it."""
    kind = output.get("output_type")
    if kind == "stream":
        name = output.get("name") if output.get("name") in ("stdout", "stderr") else "stdout"
        return _output(kind, name=name, text=_text(output.get("text")))
    if kind == "error":
        lines = output.get("traceback")
        traceback = [_text(line) for line in lines[:200]] if isinstance(lines, list) else []
        ename, evalue = _text(output.get("ename"))[:200], _text(output.get("evalue"))[:2000]
        return _output(kind, ename=ename, evalue=evalue, traceback=traceback)
    data = output.get("data")
    if kind not in ("display_data", "execute_result") or not isinstance(data, dict):
        return None
    kept = {mime: _text(data[mime], MAX_PICTURE_CHARS) for mime in SHOWN_TYPES if mime in data}
    if "text/html" in data:
        kept["text/html"] = safe_html(_text(data["text/html"]))
    return _output("display_data", data=kept, metadata={}) if kept else None


def _size(output: NotebookNode) -> int:
    data = output.get("data", {}).values()
    return sum(map(len, (*data, *output.get("traceback", ()), output.get("text", ""))))


def _output(kind: str, **fields: Any) -> NotebookNode:
    node: NotebookNode = nbformat.from_dict({"output_type": kind, **fields})  # type: ignore[no-untyped-call]
    return node


def _text(value: Any, limit: int = MAX_SHOWN_CHARS) -> str:
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    text = value if isinstance(value, str) else ""
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")
    return text if len(text) <= limit else text[:limit] + "\n... Output truncated ..."
