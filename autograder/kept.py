"""Reads what the course keeps of each submission: own code, written answers, and their files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from tqdm import tqdm

from autograder.preflight import DELETED
from autograder.similarity import PATIENCE, own_part

OWN_CELLS = "cells of their own"
LONG = 400  # characters; two who work alone can well write a shorter answer letter for letter
FEW = 0.05  # of a class: what more of it wrote letter for letter is no secret
NOTEBOOK = "the whole notebook"
LETTERS = ", letter for letter"


@dataclasses.dataclass(frozen=True)
class Same:
    """Something that several students handed in just alike."""

    what: str
    students: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Kept:
    """What a class wrote.

    Attributes:
        answers: by exercise or question, and student; what was left as released is not there.
        stubs: what was released in their place.
        provided: the rest of the release's code.
        prose: names of written questions.
        same: identical notebooks, long answers and files, by kind and then the largest first.
        absent: students of whom nothing is kept.
    """

    answers: dict[str, dict[str, str]]
    stubs: dict[str, str]
    provided: list[str]
    prose: frozenset[str]
    same: tuple[Same, ...]
    absent: tuple[str, ...]


def read(folder: Path, release: NotebookNode, lab: str, students: Iterable[str]) -> Kept:
    """Read what ``students`` handed in.

    Args:
        folder: the course's ``prepared/``.
        release: the lab's student notebook.
        lab: its name.
        students: those whose notebook could be run; their ids are names of folders.
    """
    stubs, prose, given = {}, set(), set()
    for cell in release.cells:
        if _is_answer(cell):
            stubs[_grade_id(cell)] = cell.source
            if cell.cell_type == "markdown":
                prose.add(_grade_id(cell))
        elif cell.cell_type == "code":
            given.add(cell.source.strip())
    answers: dict[str, dict[str, str]] = {name: {} for name in (*stubs, OWN_CELLS)}
    alike: dict[tuple[str, str], list[str]] = {}
    absent, num_read = [], 0
    bar = tqdm(list(students), desc="reading", unit="student", delay=PATIENCE, leave=False)
    for student in bar:
        home = folder / student / lab
        try:
            cells = json.loads((home / f"{lab}.ipynb").read_bytes())["cells"]
        except (OSError, ValueError):
            absent.append(student)
            continue
        num_read += 1
        for name, text in _written(cells, stubs, given):
            answers[name][student] = text
        for what, digest in _identities(home, lab, student, answers, stubs):
            alike.setdefault((what, digest), []).append(student)
    return Kept(
        answers,
        stubs,
        sorted(given),
        frozenset(prose),
        _same(alike, max(3, int(FEW * num_read))),
        tuple(absent),
    )


def _is_answer(cell: Mapping[str, Any]) -> bool:
    return bool(cell["metadata"].get("nbgrader", {}).get("solution", False))


def _grade_id(cell: Mapping[str, Any]) -> str:
    return str(cell["metadata"]["nbgrader"]["grade_id"])


def _written(
    cells: list[dict[str, Any]], stubs: Mapping[str, str], given: set[str]
) -> Iterator[tuple[str, str]]:
    """Yield each answer of a notebook by name, and the student's own cells as one."""
    own = []
    for cell in cells:
        text = "".join(cell["source"])
        if _is_answer(cell):
            name = _grade_id(cell)
            stub = stubs.get(name)
            if stub is not None and text.strip() not in ("", stub.strip(), DELETED):
                yield name, text
        elif cell["cell_type"] == "code" and text.strip() not in {"", *given, DELETED}:
            own.append(text)
    if own:
        yield OWN_CELLS, "\n\n".join(own)


def _identities(
    home: Path,
    lab: str,
    student: str,
    answers: Mapping[str, Mapping[str, str]],
    stubs: Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    """Yield what may be identical to another student's, and a digest of it."""
    mine = {name: texts[student] for name, texts in answers.items() if student in texts}
    if mine:
        yield NOTEBOOK, hashlib.sha256((home / f"{lab}.ipynb").read_bytes()).hexdigest()
    for name, text in mine.items():
        own = own_part(text, stubs.get(name, "")).strip()
        if len(own) >= LONG:
            yield f"{name}{LETTERS}", hashlib.sha256(own.encode()).hexdigest()
    for path in sorted(home.rglob("*.safetensors")):
        raw = path.read_bytes()
        name = path.relative_to(home).as_posix()
        yield f"{name}, every byte", hashlib.sha256(raw).hexdigest()
        if digest := tensors_digest(raw):
            yield f"{name}, every number", digest


def tensors_digest(raw: bytes) -> str:
    """Return a digest of the tensors of a file, whatever their order and the file's metadata.

    It is empty for what is no file of tensors.
    """
    import safetensors

    try:
        tensors = safetensors.deserialize(raw)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError:
        return ""
    rows = [
        (name, item["dtype"], list(item["shape"]), hashlib.sha256(item["data"]).hexdigest())
        for name, item in tensors
    ]
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()


def _same(alike: Mapping[tuple[str, str], list[str]], few: int) -> tuple[Same, ...]:
    """What several students have, and at most ``few`` where it is one answer.

    Nothing is said twice: of a notebook, not its answers; of a file, not its numbers.
    """
    kinds = {what: number for number, what in enumerate(dict.fromkeys(w for w, _ in alike))}
    groups = [Same(what, tuple(group)) for (what, _), group in alike.items() if len(group) > 1]
    said: set[tuple[str, ...]] = set()
    kept = []
    for group in sorted(groups, key=lambda g: (kinds[g.what], -len(g.students), g.students)):
        exact = group.what.replace(", every number", ", every byte")
        is_told = group.what != exact and (exact, *group.students) in said
        is_answer = group.what.endswith(LETTERS)
        is_part = is_answer and (NOTEBOOK, *group.students) in said
        said.add((group.what, *group.students))
        if not is_told and not is_part and not (is_answer and len(group.students) > few):
            kept.append(group)
    return tuple(kept)
