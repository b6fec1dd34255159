"""Zips a lab to hand in, after a look at it, and says what is in it and what is missing."""

from __future__ import annotations

import io
import linecache
import math
import os
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labkit.artifacts import MAX_ARTIFACT_BYTES, write_whole
from labkit.rendering import Block, Fields, Heading, Mark, Marks, Page, Text, page, show
from labkit.session import LabNotFoundError, Session, current
from labkit.validation import (
    MAX_NOTEBOOK_BYTES,
    Problem,
    as_python,
    outline,
    read_cells,
    source_of,
    validate,
)

__all__ = ["Problem", "hand_in", "outline", "submit", "validate"]


def submit() -> None:
    """Look the lab over as the grader will, and write ``<lab>-submission.zip`` to hand in.

    Save the notebook first: what is handed in is the file, not what the browser shows.
    """
    try:
        session = current()
    except LabNotFoundError as error:
        show(page(Heading("fail", "Nothing can be handed in from here"), Text(str(error))))
        return
    shown, _ = hand_in(session, sys._getframe(1).f_globals)
    show(shown)


def hand_in(session: Session, namespace: Mapping[str, Any]) -> tuple[Page, Path | None]:
    """Validate and zip a lab.

    Args:
        session: the lab.
        namespace: the notebook's variables, to notice what is not saved; may be empty.

    Returns:
        What to tell the student, and the zip; None if nothing was written.
    """
    lab, target = session.lab, session.folder / f"{session.lab}-submission.zip"
    try:
        files = _read(session)
        problems = _elsewhere(session) + validate(files, session.public)
        if not any(problem.level == "fatal" for problem in problems):
            problems += _unsaved(session, files[f"{lab}.ipynb"], namespace)
            write_whole(target, _zipped(lab, files))
            return _written(session, target, files, problems), target
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problems = [Problem("fatal", f"{error.filename or target} cannot be used: {reason}.")]
    older = [Text(f"{target.name} of an earlier time is unchanged.")] if target.exists() else []
    fatal = [Text(problem.message) for problem in problems if problem.level == "fatal"]
    return page(Heading("fail", "Nothing was written"), *fatal, *older), None


def _read(session: Session) -> dict[str, bytes]:
    """The notebook and the artifacts, and the names of notebooks that may be meant instead."""
    wanted = f"{session.lab}.ipynb"
    artifacts = [item["artifact"] for item in session.public["exercises"] if item.get("artifact")]
    files = {}
    for name, limit in [(wanted, MAX_NOTEBOOK_BYTES)] + [
        (a, MAX_ARTIFACT_BYTES) for a in artifacts
    ]:
        path = session.folder / name
        if path.is_file():
            with path.open("rb") as file:
                files[name] = file.read(limit + 1)
    if wanted not in files:
        files |= {path.name: b"" for path in session.folder.glob("*.ipynb")}
    return files


def _elsewhere(session: Session) -> list[Problem]:
    """Whether the notebook that runs is not the one that is handed in (JupyterLab tells)."""
    running = Path(os.environ.get("JPY_SESSION_NAME", ""))
    wanted = f"{session.lab}.ipynb"
    if running.suffix != ".ipynb" or running.name == wanted or not running.is_file():
        return []  # a notebook that was renamed keeps its old name here
    message = (
        f"You work in {running.name}, but {wanted} is what counts: rename your notebook to "
        f"{wanted}."
    )
    return [Problem("fatal", message)]


def _unsaved(session: Session, notebook: bytes, namespace: Mapping[str, Any]) -> list[Problem]:
    """Answers whose code, as it was last run, is in no cell of the file."""
    saved = {as_python(source_of(cell)).strip() for cell in read_cells(notebook)}
    stale = [
        f"`{name}`"
        for name in session.names
        if (code := _run_source(namespace.get(name))) and code.strip() not in saved
    ]
    if not stale:
        return []
    message = (
        f"{', '.join(stale)}: the file holds another version than the one you last ran. Save the "
        "notebook (Ctrl+S) and run this again, or run the cell again."
    )
    return [Problem("loss", message)]


def _run_source(value: Any) -> str:
    """The code of the cell that defined a function or class; nothing if that is not known."""
    parts = vars(value).values() if isinstance(value, type) else [value]
    for part in parts:
        if getattr(part, "__module__", "") == "__main__" and hasattr(part, "__code__"):
            return "".join(linecache.getlines(part.__code__.co_filename))
    return ""


def _zipped(lab: str, files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(f"{lab}/{name}", raw)
    return buffer.getvalue()


def _written(
    session: Session, target: Path, files: Mapping[str, bytes], problems: Sequence[Problem]
) -> Page:
    losses = [problem for problem in problems if problem.level == "loss"]
    age = time.time() - (session.folder / f"{session.lab}.ipynb").stat().st_mtime
    rows: list[tuple[Mark, str, str]] = [
        ("pass", name, _size(raw) + (f", saved {_ago(age)}" if name.endswith(".ipynb") else ""))
        for name, raw in files.items()
    ]
    missing = [item.get("artifact") for item in session.public["exercises"]]
    rows += [("fail", name, "missing") for name in missing if name and name not in files]
    heading = (
        "ready to hand in" if not losses else "written, but look at this before you hand it in"
    )
    blocks: list[Block] = [Heading("note" if losses else "pass", f"`{target.name}` is {heading}")]
    blocks += [Text(problem.message) for problem in problems]
    return Page((*blocks, Marks(rows), Fields((("hand in", str(target)),))))


def _size(raw: bytes) -> str:
    return (
        f"{math.ceil(len(raw) / 1024)} KiB" if len(raw) < 1 << 20 else f"{len(raw) / 2**20:.1f} MiB"
    )


def _ago(seconds: float) -> str:
    minutes = int(seconds / 60)
    if minutes < 1:
        return "just now"
    if minutes < 120:
        return f"{minutes} min ago"
    return f"{minutes // 60} hours ago"
