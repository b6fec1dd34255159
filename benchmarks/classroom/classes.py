"""Classes to grade: many students with trivial answers, or lab 2's sample class over and over."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder import discover
from autograder.course import Course
from autograder.discover import LoadedLab
from autograder.sample_class import cases
from autograder.sources import BEGIN, END

LABS = Path(__file__).parent / "solutions"
TRIVIAL = "lab90_trivial"
LAB02 = "lab02_q_learning_sarsa"
MIX = 50  # submissions after which lab 2's class begins again
# Answers that only wait for their limit: how long says nothing about the grader.
LEFT_OUT = ("endless loop",)
COMPUTE = """
import time

started = time.process_time()
while time.process_time() - started < {seconds}:
    pass
"""


def student_id(number: int) -> str:
    """Return the id of one student."""
    return f"student{number:04d}"


def trivial_lab() -> LoadedLab:
    """Return the lab with six trivial exercises."""
    return discover.load(TRIVIAL, LABS)


def grade_id(cell: NotebookNode) -> str:
    """Return nbgrader's name for a cell, empty if it has none."""
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def solved(course: Course, lab: LoadedLab) -> NotebookNode:
    """Return the student's notebook with every answer right."""
    answers = {grade_id(cell): cell.source for cell in course.source(lab).cells}
    notebook = copy.deepcopy(course.release(lab.name))
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution", False):
            lines = answers[grade_id(cell)].splitlines()
            cell.source = "\n".join(line for line in lines if line.strip() not in (BEGIN, END))
    return notebook


def personal(notebook: NotebookNode, number: int, extra: str = "") -> bytes:
    """Return the notebook as one student hands it in: no two are the same bytes.

    Args:
        notebook: the answers.
        number: the student's.
        extra: code that the first answer's cell runs beside it.
    """
    mine = copy.deepcopy(notebook)
    answers = [c for c in mine.cells if c.metadata.get("nbgrader", {}).get("solution", False)]
    for position, cell in enumerate(c for c in answers if c.cell_type == "code"):
        cell.source += f"\n\n# {student_id(number)}\n" + (extra if position == 0 else "")
    text: str = nbformat.writes(mine)  # type: ignore[no-untyped-call]
    return text.encode()


def hand_in(folder: Path, lab: str, number: int, files: Mapping[str, bytes]) -> None:
    """Write one submission in nbgrader's layout."""
    target = folder / student_id(number) / lab
    target.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (target / name).write_bytes(raw)


def make_trivial(folder: Path, course: Course, size: int, *, seconds: float = 0.0) -> None:
    """Write a class of trivial answers.

    Args:
        folder: of submissions.
        course: has the lab released.
        size: number of students.
        seconds: processor time that each notebook spends computing.
    """
    notebook = solved(course, trivial_lab())
    extra = COMPUTE.format(seconds=seconds) if seconds else ""
    for number in range(size):
        raw = personal(notebook, number, extra)
        hand_in(folder, TRIVIAL, number, {f"{TRIVIAL}.ipynb": raw})


def lab02_mix(course: Course) -> list[dict[str, bytes]]:
    """Return `MIX` submissions of lab 2: its sample class, filled up with right answers."""
    lab = discover.load(LAB02)
    found = [case.files for case in cases(lab, course) if case.name not in LEFT_OUT]
    return list(itertools.islice(itertools.chain(found, itertools.repeat(found[0])), MIX))


def make_lab02(folder: Path, course: Course, size: int) -> None:
    """Write a class of lab 2; two sizes that are multiples of `MIX` hold the same mix."""
    mix = lab02_mix(course)
    for number, files in zip(range(size), itertools.cycle(mix), strict=False):
        hand_in(folder, LAB02, number, dict(_personal_files(files, number)))


def _personal_files(files: Mapping[str, bytes], number: int) -> Iterator[tuple[str, bytes]]:
    for name, raw in files.items():
        if name.endswith(".ipynb"):
            with contextlib.suppress(Exception):  # one that is broken on purpose stays so
                notebook = nbformat.reads(raw.decode(), as_version=4)  # type: ignore[no-untyped-call]
                raw = personal(notebook, number)
        yield name, raw
