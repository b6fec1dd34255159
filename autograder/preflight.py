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
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder.collect import TIMESTAMP, Files, printable
from autograder.results import Status

MAX_NOTEBOOK_BYTES = 64 << 20  # with its outputs, which are dropped
MAX_SOURCE_CHARS = 2_000_000
MAX_CELLS = 2_000
MAX_ATTACHMENT_BYTES = 8 << 20
SAFE_PART = re.compile(r"\w[\w .()+=@,-]{0,99}", re.UNICODE)
ATTACHMENT_TYPES = frozenset(("image/png", "image/jpeg", "image/gif"))
DELETED = "# This cell was deleted from the submitted notebook."
EARLIEST = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)

Cell = dict[str, Any]
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
        text: str = nbformat.v4.writes(self.notebook)  # type: ignore[no-untyped-call]
        return text.encode()

    @cached_property
    def digest(self) -> str:
        """A hash of everything that can change the result."""
        digest = hashlib.sha256(self.raw)
        for name in sorted(self.files):
            digest.update(name.encode() + b"\0" + hashlib.sha256(self.files[name]).digest())
        return digest.hexdigest()


class UnreadableError(ValueError):
    """A notebook that is not one, with the reason."""


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
            return unusable(release, "missing", "nothing was handed in", notes)
        notebook = rebuild(release, _cells(raw), notes)
    except UnreadableError as error:
        return unusable(release, "malformed", str(error), notes)
    return Prepared(notebook, _side_files(name, handed_in.content, notes), notes=tuple(notes))


def unusable(
    release: NotebookNode, status: Status, reason: str, notes: Iterable[str] = ()
) -> Prepared:
    """Return what is recorded for a submission that cannot be run: the release, untouched."""
    return Prepared(rebuild(release, None, []), {}, status, reason, tuple(notes))


def untouched(release: NotebookNode, notebook: NotebookNode) -> set[str]:
    """Return the grade ids of cells that stand in ``notebook`` just as they were released."""
    sources = [
        {c.metadata.nbgrader.grade_id: c.source for c in nb.cells if _is_ours(c)}
        for nb in (release, notebook)
    ]
    return {
        grade_id for grade_id, source in sources[1].items() if source == sources[0].get(grade_id)
    }


# -- which notebook ------------------------------------------------------------------------------


def _choose(
    release: NotebookNode, lab: str, content: Mapping[str, bytes], notes: list[str]
) -> tuple[str, bytes | None]:
    """The submitted notebook: the one with the right name, or the only one of this lab."""
    wanted = f"{lab}.ipynb"
    if wanted in content:
        return wanted, content[wanted]
    notebooks = {name: raw for name, raw in content.items() if name.lower().endswith(".ipynb")}
    known = _grade_ids(release)
    ours = [name for name, raw in sorted(notebooks.items()) if _mentions(raw, known)]
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
    return {
        cell.metadata.nbgrader.grade_id for cell in notebook.cells if "nbgrader" in cell.metadata
    }


def _mentions(raw: bytes, known: set[str]) -> bool:
    try:
        return any(_grade_id(cell) in known for cell in _cells(raw))
    except UnreadableError:
        return False


# -- reading -------------------------------------------------------------------------------------


def _cells(raw: bytes) -> list[Cell]:
    """The cells of a notebook of any version, as plain dictionaries."""
    if not raw.strip():
        raise UnreadableError("the notebook is an empty file")
    if len(raw) > MAX_NOTEBOOK_BYTES:
        raise UnreadableError(f"the notebook is larger than {MAX_NOTEBOOK_BYTES >> 20} MiB")
    try:
        tree = json.loads(raw)
    except RecursionError:
        raise UnreadableError("the notebook is nested too deeply") from None
    except ValueError as error:
        where = f" after line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UnreadableError(
            f"the notebook is not complete: its JSON breaks off or is damaged{where}"
        ) from None
    if not isinstance(tree, dict):
        raise UnreadableError("the file is JSON, but not a notebook")
    if isinstance(tree.get("worksheets"), list):  # nbformat 3
        sheets = [sheet for sheet in tree["worksheets"] if isinstance(sheet, dict)]
        cells: Any = [cell for sheet in sheets for cell in sheet.get("cells") or []]
    else:
        cells = tree.get("cells")
    if not isinstance(cells, list):
        raise UnreadableError("the file is JSON, but not a notebook")
    if len(cells) > MAX_CELLS:
        raise UnreadableError(f"the notebook has more than {MAX_CELLS} cells")
    plain: list[Cell] = [cell for cell in cells if isinstance(cell, dict)]
    if sum(len(_source(cell)) for cell in plain) > MAX_SOURCE_CHARS:
        raise UnreadableError(f"the notebook has more than {MAX_SOURCE_CHARS} characters of source")
    return plain


def _source(cell: Cell) -> str:
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    if not isinstance(source, str):
        return ""
    return source.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")


def _grade_id(cell: Cell) -> str:
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return grade_id if isinstance(grade_id, str) else ""


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
    if not any(_grade_id(cell) in official for cell in submitted):
        raise UnreadableError("the notebook holds no cell of this lab")
    answers = _answers(official, submitted, notes)
    changed: list[str] = []
    for index, cell in enumerate(submitted):
        grade_id = _grade_id(cell)
        if grade_id in official:
            ours = official[grade_id]
            locked = _locked(ours)
            if answers.get(grade_id) == index:
                if locked and _source(cell) != ours.source:
                    changed.append(grade_id)
                source = ours.source if locked else _source(cell)
                kept = _official(ours, source)
                if not locked and ours.cell_type == "markdown":
                    for key, value in _attachments(cell).items():
                        kept[key] = value
                notebook.cells.append(kept)
                continue
            if locked or _source(cell).strip() == ours.source.strip():
                continue  # a copy that adds nothing
        notebook.cells.append(_students(cell))
    _put_back(release, notebook, notes)
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
        grade_id = _grade_id(cell)
        if grade_id in official:
            places.setdefault(grade_id, []).append(index)
    chosen = {}
    for grade_id, indices in places.items():
        stub = official[grade_id].source.strip()
        touched = [i for i in indices if _source(submitted[i]).strip() != stub]
        if _locked(official[grade_id]):
            chosen[grade_id] = indices[-1]
        else:
            chosen[grade_id] = (touched or indices)[-1]
        if len(indices) > 1:
            notes.append(f"the cell {grade_id} is there {len(indices)} times: the last one counts")
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
    kind, text = cell.get("cell_type"), _source(cell)
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
        grade_id = cell.metadata.nbgrader.grade_id
        if grade_id not in places:
            answer = not _locked(cell) and cell.cell_type == "code"
            restored = _official(cell, DELETED if answer else cell.source)
            at = 0 if previous is None else _index(notebook, previous) + 1
            notebook.cells.insert(at, restored)
            places[grade_id] = restored
            if cell.metadata.nbgrader.get("grade", False) or answer:
                gone.append(grade_id)
        previous = places[grade_id]
    if gone:
        notes.append(f"cells were deleted and put back: {', '.join(gone)}")


def _tests_after_answers(notebook: NotebookNode) -> None:
    """Move a test cell that stands before its answer to the place right after it."""
    for cell in [c for c in notebook.cells if _is_ours(c) and not _locked(c)]:
        name = cell.metadata.nbgrader.grade_id
        test = next(
            (
                c
                for c in notebook.cells
                if _is_ours(c) and c.metadata.nbgrader.grade_id == f"test-{name}"
            ),
            None,
        )
        if test is not None and _index(notebook, test) < _index(notebook, cell):
            notebook.cells.pop(_index(notebook, test))
            notebook.cells.insert(_index(notebook, cell) + 1, test)


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
        if not all(SAFE_PART.fullmatch(part) for part in relative.parts):
            notes.append(f"{printable(name)}: left out, its name has unusual characters")
        elif any(str(parent) in kept for parent in relative.parents):
            notes.append(f"{printable(name)}: left out, it is below a file")
        elif relative.as_posix() == TIMESTAMP:
            kept |= _timestamp(raw, notes)
        else:
            kept[relative.as_posix()] = raw
    return kept


def _timestamp(raw: bytes, notes: list[str]) -> dict[str, bytes]:
    """nbgrader's timestamp of a submission, if it is one and lies in the past."""
    from nbgrader.utils import parse_utc

    now = datetime.datetime.now(datetime.UTC)
    try:
        text = raw.decode("ascii").strip()
        moment = parse_utc(text[:60]).replace(tzinfo=datetime.UTC)
        if len(text) <= 60 and EARLIEST < moment < now + datetime.timedelta(days=1):
            return {TIMESTAMP: text.encode()}
    except (ValueError, OverflowError, TypeError, AttributeError):
        pass
    notes.append(f"{TIMESTAMP} does not hold a date that can be: it was ignored")
    return {}
