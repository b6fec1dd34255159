"""Turns what a student handed in into a notebook that is safe to run and complete to grade.

The lab's release notebook is the truth about ids, points and locked cells; only the sources of
solution cells, of the student's own cells, and side files are the student's. What can be mended
is, at no cost to the student and with a note; what can't gets a status and a reason.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder import notebook_json
from autograder.collect import TIMESTAMP, Files, printable
from autograder.downloads import moment
from autograder.reading import Cell, UnreadableError, grade_id, read_cells, source_of
from autograder.results import Status

MAX_ATTACHMENT_BYTES = 8 << 20
MAX_NOTES = 20
MAX_NAME_BYTES, MAX_PATH_BYTES = 200, 1000  # of a file beside the notebook
IN_NAMES = frozenset(" _.()+=@,'&[]!#~-\N{RIGHT SINGLE QUOTATION MARK}\N{MIDDLE DOT}")
ATTACHMENT_TYPES = frozenset(("image/png", "image/jpeg", "image/gif"))
DELETED = "# This cell was deleted from the submitted notebook."
EARLIEST = datetime.datetime(2000, 1, 1)  # in UTC, without a zone, as nbgrader has them

_CODE: Cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A submission ready to be run, or one that can't be, with a notebook that says why.

    Attributes:
        notebook: every cell of the release, in order, with the student's answers.
        files: the student's other files by relative path.
        status: why it is not run (``missing``, ``malformed``, ``rejected``); None if it is.
        reason: the same in a sentence; empty if it is run.
        notes: what was mended or left out, for the student to read.
    """

    notebook: NotebookNode
    files: dict[str, bytes]
    status: Status | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()

    @cached_property
    def raw(self) -> bytes:
        """The notebook as a file; not validated, which takes 17 ms: `rebuild` made it."""
        return notebook_json.writes(self.notebook).encode()

    @cached_property
    def digest(self) -> str:
        """A hash of everything that can change the result."""
        digest = hashlib.sha256(self.raw)
        for name in sorted(self.files):
            digest.update(name.encode() + b"\0" + hashlib.sha256(self.files[name]).digest())
        return digest.hexdigest()


def prepare(release: NotebookNode, lab: str, handed_in: Files) -> Prepared:
    """Return the submission as it is graded.

    Args:
        release: the lab's student notebook, with nbgrader's metadata.
        lab: its name, and that of the notebook.
        handed_in: what the student submitted.
    """
    notes = list(handed_in.notes)
    try:
        name, raw = _choose(release, lab, handed_in.content, notes)
        if raw is None:
            return unusable(release, "missing", _nothing(lab, handed_in.content), notes)
        notebook = rebuild(release, read_cells(raw, notes), notes)
    except UnreadableError as error:
        return unusable(release, "malformed", str(error), notes)
    return Prepared(notebook, _side_files(name, handed_in.content, notes), notes=_few(notes))


def unusable(
    release: NotebookNode, status: Status, reason: str, notes: Iterable[str] = ()
) -> Prepared:
    """Return what is recorded for a submission that cannot be run: the release, untouched."""
    return Prepared(rebuild(release, None, []), {}, status, reason, _few(notes))


def _few(notes: Iterable[str]) -> tuple[str, ...]:
    """The notes, without the end of a list that nobody would read."""
    kept = tuple(notes)
    if len(kept) <= MAX_NOTES:
        return kept
    return (*kept[:MAX_NOTES], f"and {len(kept) - MAX_NOTES} more like these")


def _nothing(lab: str, content: Mapping[str, bytes]) -> str:
    """Why nothing can be graded: no file at all, or none that is the notebook."""
    names = sorted(name for name in content if name != TIMESTAMP)
    if not names:
        return "nothing was handed in"
    shown = ", ".join(map(printable, names[:3])) + (", …" if len(names) > 3 else "")
    return f"{lab}.ipynb was not handed in, only {shown}"


def untouched(release: NotebookNode, notebook: NotebookNode) -> set[str]:
    """Return the grade ids of cells that stand in ``notebook`` just as they were released."""
    sources = [
        {c.metadata.nbgrader.grade_id: c.source for c in nb.cells if _is_ours(c)}
        for nb in (release, notebook)
    ]
    return {name for name, source in sources[1].items() if source == sources[0].get(name)}


# -- which notebook ------------------------------------------------------------------------------


def _choose(
    release: NotebookNode, lab: str, content: Mapping[str, bytes], notes: list[str]
) -> tuple[str, bytes | None]:
    """The submitted notebook: the one with the right name, or the only one of this lab."""
    wanted = f"{lab}.ipynb"
    notebooks = {name: raw for name, raw in content.items() if name.lower().endswith(".ipynb")}
    known = _grade_ids(release)
    if wanted in content and (len(notebooks) == 1 or _mentions(content[wanted], known)):
        return wanted, content[wanted]
    ours = [name for name, raw in sorted(notebooks.items()) if _mentions(raw, known)]
    ours = [*{notebooks[name]: name for name in reversed(ours)}.values()][::-1]  # copies are one
    if not ours and wanted in content:
        return wanted, content[wanted]
    named = [name for name in ours if PurePosixPath(name).name == wanted]
    chosen = named if len(named) == 1 else ours
    if len(chosen) == 1:
        notes.append(f"the notebook is called {printable(chosen[0])}: it was taken as {wanted}")
        return chosen[0], notebooks[chosen[0]]
    if len(chosen) > 1:
        names = ", ".join(printable(name) for name in chosen[:5])
        raise UnreadableError(
            f"{len(chosen)} notebooks were handed in, none called {wanted}: {names}"
        )
    at_top = [name for name in notebooks if "/" not in name]
    if at_top:
        raise UnreadableError(
            f"there is no {wanted}, and {printable(at_top[0])} holds no cell of this lab"
        )
    return wanted, None


def _grade_ids(notebook: NotebookNode) -> set[str]:
    return {cell.metadata.nbgrader.grade_id for cell in notebook.cells if _is_ours(cell)}


def _mentions(raw: bytes, known: set[str]) -> bool:
    try:
        return any(grade_id(cell) in known for cell in read_cells(raw, []))
    except UnreadableError:
        return False


# -- rebuilding ----------------------------------------------------------------------------------


def rebuild(
    release: NotebookNode, submitted: Sequence[Cell] | None, notes: list[str]
) -> NotebookNode:
    """Return the release with the student's answers and own cells in it.

    Args:
        release: the lab's student notebook.
        submitted: cells as the student handed them in; None for nothing at all.
        notes: what was mended is appended here.

    Raises:
        UnreadableError: if no cell of this lab is among ``submitted``.
    """
    official = {cell.metadata.nbgrader.grade_id: cell for cell in release.cells if _is_ours(cell)}
    notebook = _node(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {
                key: value
                for key, value in release.metadata.items()
                if key in ("kernelspec", "language_info")
            },
            "cells": [],
        }
    )
    if submitted is None:
        notebook.cells = [_official(cell, cell.source) for cell in release.cells]
        return _with_ids(notebook)
    if not any(grade_id(cell) in official for cell in submitted):
        raise UnreadableError("the notebook holds no cell of this lab")
    answers = _answers(official, submitted, notes)
    changed: list[str] = []
    for index, cell in enumerate(submitted):
        name = grade_id(cell)
        if name in official:
            ours = official[name]
            locked = _locked(ours)
            if answers.get(name) == index:
                if locked and source_of(cell) != ours.source:
                    changed.append(name)
                source = ours.source if locked else source_of(cell)
                kept = _official(ours, source)
                if not locked and ours.cell_type == "markdown":
                    for key, value in _attachments(cell).items():
                        kept[key] = value
                notebook.cells.append(kept)
                continue
            if locked or source_of(cell).strip() == ours.source.strip():
                continue  # a copy that adds nothing
        notebook.cells.append(_students(cell))
    _put_back(release, notebook, notes)
    _before_what_follows(release, notebook, notes)
    _tests_after_answers(notebook)
    if changed:
        notes.append(f"locked cells were changed and restored: {', '.join(changed)}")
    return _with_ids(notebook)


def _is_ours(cell: NotebookNode) -> bool:
    return "nbgrader" in cell.metadata and "grade_id" in cell.metadata.nbgrader


def _locked(cell: NotebookNode) -> bool:
    return not cell.metadata.nbgrader.get("solution", False)


def _answers(
    official: Mapping[str, NotebookNode], submitted: Sequence[Cell], notes: list[str]
) -> dict[str, int]:
    """Which submitted cell stands for each id: of several the last that is no untouched stub."""
    places: dict[str, list[int]] = {}
    for index, cell in enumerate(submitted):
        name = grade_id(cell)
        if name in official:
            places.setdefault(name, []).append(index)
    chosen = {}
    for name, indices in places.items():
        stub = official[name].source.strip()
        touched = [i for i in indices if source_of(submitted[i]).strip() != stub]
        if _locked(official[name]):
            chosen[name] = indices[-1]
        else:
            chosen[name] = (touched or indices)[-1]
        if len(indices) > 1:
            notes.append(f"the cell {name} is there {len(indices)} times: the last one counts")
    return chosen


def _official(cell: NotebookNode, source: str) -> NotebookNode:
    """A cell of the release, with its metadata, without outputs."""
    metadata = {
        key: value
        for key, value in cell.metadata.items()
        if key in ("nbgrader", "deletable", "editable", "tags")
    }
    fresh = {"cell_type": cell.cell_type, "metadata": metadata, "source": source}
    return _node(_CODE | fresh if cell.cell_type == "code" else fresh)


def _students(cell: Cell) -> NotebookNode:
    """A cell of the student's own: its source and its pictures, and no metadata."""
    kind, text = cell.get("cell_type"), source_of(cell)
    if kind == "code":
        return _node(_CODE | {"source": text})
    markdown: Cell = {"cell_type": "markdown", "metadata": {}, "source": text}
    if kind == "markdown":
        return _node(markdown | _attachments(cell))
    level = cell.get("level")
    if kind == "heading" and type(level) is int:
        return _node(markdown | {"source": "#" * min(max(level, 1), 6) + " " + text})
    # raw cells reach a browser as they are: show them as text
    quoted = "".join(f"    {line}\n" for line in text.splitlines())
    return _node(markdown | {"source": quoted})


def _node(tree: Cell) -> NotebookNode:
    node: NotebookNode = nbformat.from_dict(tree)  # type: ignore[no-untyped-call]
    return node


def _attachments(cell: Cell) -> dict[str, Any]:
    """Pictures pasted into a written answer, if they are pictures."""
    attachments = cell.get("attachments")
    kept: dict[str, dict[str, str]] = {}
    total = 0
    for name, bundle in attachments.items() if isinstance(attachments, dict) else ():
        for mime, data in bundle.items() if isinstance(bundle, dict) else ():
            if mime not in ATTACHMENT_TYPES or not isinstance(data, str):
                continue
            total += len(data)
            try:
                base64.b64decode(data, validate=True)
            except ValueError:
                continue
            if total <= MAX_ATTACHMENT_BYTES:
                kept.setdefault(printable(name), {})[mime] = data
    return {"attachments": kept} if kept else {}


def _put_back(release: NotebookNode, notebook: NotebookNode, notes: list[str]) -> None:
    """Insert every cell of the release that is gone after the one that precedes it there."""
    ours = [cell for cell in release.cells if _is_ours(cell)]
    places = {c.metadata.nbgrader.grade_id: c for c in notebook.cells if _is_ours(c)}
    previous: NotebookNode | None = None
    gone = []
    for cell in ours:
        name = cell.metadata.nbgrader.grade_id
        if name not in places:
            answer = not _locked(cell) and cell.cell_type == "code"
            restored = _official(cell, DELETED if answer else cell.source)
            at = 0 if previous is None else _index(notebook, previous) + 1
            notebook.cells.insert(at, restored)
            places[name] = restored
            if cell.metadata.nbgrader.get("grade", False) or answer:
                gone.append(name)
        previous = places[name]
    if gone:
        notes.append(f"cells were deleted and put back: {', '.join(gone)}")


def _before_what_follows(release: NotebookNode, notebook: NotebookNode, notes: list[str]) -> None:
    """Move a locked cell up that stands after a cell it precedes in the release.

    What it defines is there when the notebook is run from the top; answers stay where they are.
    """
    ours = [cell for cell in release.cells if _is_ours(cell)]
    rank = {cell.metadata.nbgrader.grade_id: index for index, cell in enumerate(ours)}
    ranks = [rank.get(grade_id(cell), -1) for cell in notebook.cells]
    moved = []
    for place, cell in enumerate(ours):
        if not _locked(cell) or cell.metadata.nbgrader.get("grade", False):
            continue
        at = ranks.index(place)
        first = next((i for i, other in enumerate(ranks[:at]) if other > place), at)
        if first < at:
            ranks.insert(first, ranks.pop(at))
            notebook.cells.insert(first, notebook.cells.pop(at))
            moved.append(cell.metadata.nbgrader.grade_id)
    if moved:
        notes.append(f"locked cells were moved back up: {', '.join(moved)}")


def _tests_after_answers(notebook: NotebookNode) -> None:
    """Move a test cell that stands before its answer to the place right after it."""
    for name in [grade_id(cell) for cell in notebook.cells if _is_ours(cell) and not _locked(cell)]:
        names = [grade_id(cell) for cell in notebook.cells]
        answer = names.index(name)
        test = names.index(f"test-{name}") if f"test-{name}" in names else answer
        if test < answer:
            notebook.cells.insert(answer, notebook.cells.pop(test))


def _index(notebook: NotebookNode, wanted: NotebookNode) -> int:
    return next(i for i, cell in enumerate(notebook.cells) if cell is wanted)


def _with_ids(notebook: NotebookNode) -> NotebookNode:
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
    return notebook


# -- side files ----------------------------------------------------------------------------------


def _side_files(notebook: str, content: Mapping[str, bytes], notes: list[str]) -> dict[str, bytes]:
    """The files beside the notebook, by path relative to it, with names that are safe to write."""
    folder = PurePosixPath(notebook).parent
    kept: dict[str, bytes] = {}
    for name, raw in sorted(content.items()):
        path = PurePosixPath(name)
        if path.suffix.lower() == ".ipynb" or not path.is_relative_to(folder):
            continue
        relative = path.relative_to(folder)
        size = len(relative.as_posix().encode("utf-8", "replace"))
        safe = relative.parts and all(map(_is_safe, relative.parts))
        if not safe or size > MAX_PATH_BYTES:
            notes.append(f"{printable(name)}: left out, its name is long or has unusual characters")
        elif any(str(parent) in kept for parent in relative.parents):
            notes.append(f"{printable(name)}: left out, it is below a file")
        elif relative.as_posix() == TIMESTAMP:
            kept |= _timestamp(raw, notes)
        else:
            kept[relative.as_posix()] = raw
    return kept


def _is_safe(part: str) -> bool:
    """Whether a name can be written, shown and given to any program."""
    if part[:1] in " .-~#" or len(part.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        return False
    return all(
        char.isalnum() or char in IN_NAMES or unicodedata.category(char) in ("Mn", "Mc")
        for char in part
    )


def _timestamp(raw: bytes, notes: list[str]) -> dict[str, bytes]:
    """nbgrader's timestamp of a submission in UTC, if it is one and lies in the past."""
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    said = moment(raw.decode("ascii", "replace").strip()) if len(raw) <= 100 else None
    if said is not None and EARLIEST < said < now + datetime.timedelta(days=1):
        return {TIMESTAMP: f"{said:%Y-%m-%d %H:%M:%S.%f} UTC".encode()}
    notes.append(f"{TIMESTAMP} does not hold a date that can be: it was ignored")
    return {}
