"""The same class under plain nbgrader: its own steps, its own kernel, a test cell of asserts."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.course import Course
from benchmarks.classroom.classes import (
    TRIVIAL,
    grade_id,
    personal,
    solved,
    student_id,
    trivial_lab,
)

TESTS = {
    "double": "assert double(3.0) == 6.0\nassert double(-1.5) == -3.0",
    "total": "assert total(np.array([1.0, 2.0, -4.0])) == -1.0",
    "largest": "assert largest(np.array([1.0, 2.0, -4.0])) == 2.0",
    "shifted": "assert np.allclose(shifted(np.array([1.0, 2.0]), 1.5), [2.5, 3.5])",
    "scaled": "assert np.allclose(scaled(np.array([1.0, 2.0]), 1.5), [1.5, 3.0])",
    "count_positive": "assert count_positive(np.array([1.0, 2.0, -4.0, 0.0])) == 2",
}


def make_course(folder: Path, course: Course, size: int, *, extra: str = "") -> None:
    """Make a course directory of plain nbgrader with a submitted class in it.

    Args:
        folder: the course directory.
        course: ours, from whose notebook all cells but the tests come.
        size: number of students.
        extra: code that the first answer's cell runs beside it.
    """
    notebook = with_asserts(solved(course, trivial_lab()))
    _write(folder / "source" / TRIVIAL, nbformat.writes(notebook).encode())  # type: ignore[no-untyped-call]
    nbgrader(folder, "generate_assignment", TRIVIAL)
    released = nbformat.read(folder / "release" / TRIVIAL / f"{TRIVIAL}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    answers = {grade_id(cell): cell.source for cell in notebook.cells if grade_id(cell) in TESTS}
    for cell in released.cells:
        cell.source = answers.get(grade_id(cell), cell.source)
    for number in range(size):
        target = folder / "submitted" / student_id(number) / TRIVIAL
        _write(target, personal(released, number, extra))


def with_asserts(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook whose test cells are asserts, with nbgrader's marks around the answers."""
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        name = grade_id(cell).removeprefix("test-")
        if name in TESTS and name != grade_id(cell):
            cell.source = TESTS[name]
        elif name in TESTS:
            head, _, body = cell.source.rpartition('"""\n')
            marked = f"    ### BEGIN SOLUTION\n{body.rstrip()}\n    ### END SOLUTION"
            cell.source = f'{head}"""\n{marked}'
    return made


def nbgrader(folder: Path, *arguments: str) -> None:
    """Run one of nbgrader's own commands in a course directory.

    Raises:
        subprocess.CalledProcessError: if it fails.
    """
    subprocess.run(
        command(*arguments), cwd=folder, env=environment(), check=True, capture_output=True
    )


def command(*arguments: str) -> list[str]:
    """Return the command line of ``nbgrader ...``."""
    return [sys.executable, "-m", "nbgrader", *arguments]


def environment() -> dict[str, str]:
    """Return the environment in which nbgrader finds ``alembic`` and this Python's kernel."""
    here = Path(sys.executable).parent
    return os.environ | {
        "PATH": f"{here}{os.pathsep}{os.environ.get('PATH', '')}",
        "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"),
    }


def scores(folder: Path) -> list[float]:
    """Return every student's score in the course's gradebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
        return [found.score for found in gradebook.assignment_submissions(TRIVIAL)]


def _write(folder: Path, raw: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{TRIVIAL}.ipynb").write_bytes(raw)
