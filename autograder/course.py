"""A course directory: the seed of its hidden cases, its releases, its gradebook."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from sqlalchemy.exc import SQLAlchemyError
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograder import nbgrader_config
from autograder.collect import Student
from autograder.discover import LoadedLab
from autograder.errors import LabError
from autograder.records import grade_cells

SEED_FILE = "seed"


class CourseError(ValueError):
    """A course directory or gradebook that cannot be used, said in one sentence."""


class Course:
    """Where a course is graded.

    Args:
        root: the course directory.
        db_url: the gradebook; by default ``gradebook.db`` in ``root``.
    """

    def __init__(self, root: Path, db_url: str | None = None) -> None:
        self.root = root.resolve()
        self.db_url = db_url or f"sqlite:///{self.root / 'gradebook.db'}"

    @property
    def seed(self) -> int:
        """What seeds the hidden cases: drawn once, so that everyone faces the same ones."""
        path = self.root / SEED_FILE
        if not path.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            drawn = path.with_name(f".{SEED_FILE}.{os.getpid()}")
            drawn.write_text(f"{secrets.randbits(62)}\n", encoding="ascii")
            drawn.chmod(0o600)
            try:
                os.link(drawn, path)  # of two that draw at once, one wins
            except FileExistsError:
                pass
            finally:
                drawn.unlink()
        try:
            return int(path.read_text("ascii"))
        except ValueError:
            raise CourseError(f"{path} does not hold a number") from None

    @property
    def config(self) -> Config:
        """nbgrader's configuration, with what an instructor added to it."""
        path = nbgrader_config.write(self.root)
        config = PyFileConfigLoader(path.name, path=str(self.root)).load_config()
        config.CourseDirectory.db_url = self.db_url
        return config

    def release(self, lab: str) -> NotebookNode:
        """Return the lab's student notebook as nbgrader released it.

        Raises:
            CourseError: if the course has no such lab.
        """
        path = self.root / "release" / lab / f"{lab}.ipynb"
        if not path.is_file():
            raise CourseError(f"{path} is not there: build the labs first (make labs)")
        return read_notebook(path)

    def assign(self, lab: LoadedLab) -> NotebookNode:
        """Release the lab into the gradebook, building it first where that is due; return it.

        Raises:
            CourseError: if the gradebook refuses it.
            LabError: if it cannot be built.
        """
        from autograder.release import release

        self.source(lab)
        with self.gradebook():  # says what is wrong with it, if anything is
            pass
        with alembic_on_path():
            try:
                release(self.root, lab.name, db_url=self.db_url)
            except LabError as error:
                raise CourseError(
                    f"{error.message}; if cells of the lab were added or removed since submissions "
                    "were graded, it is a new assignment: grade it in a new course directory"
                ) from None
        return self.release(lab.name)

    def source(self, lab: LoadedLab) -> NotebookNode:
        """Return the instructor's notebook, built first if it asks for something else.

        Raises:
            LabError: if it cannot be built.
        """
        path = self.root / "source" / lab.name / f"{lab.name}.ipynb"
        if not path.is_file() or not _asks_for(read_notebook(path), lab):
            from autograder import build

            built = build.build_lab(lab, labs_url=build.course_labs_url())
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(built.source)
        return read_notebook(path)

    def directory(self, lab: str, student_id: str = "*") -> Any:
        """Return nbgrader's `CourseDirectory` for a lab."""
        from nbgrader.coursedir import CourseDirectory

        directory = CourseDirectory(config=self.config)
        directory.assignment_id, directory.student_id = lab, student_id
        return directory

    def enrol(self, students: Iterable[Student]) -> None:
        """Note who is enrolled in the gradebook."""
        with self.gradebook() as gradebook:
            for student in students:
                names = {
                    "first_name": student.first_name,
                    "last_name": student.last_name,
                    "email": student.email,
                }
                given = {key: value for key, value in names.items() if value}
                gradebook.update_or_create_student(student.student_id, **given)

    def scores(self, lab: str) -> dict[str, dict[str, tuple[float | None, float | None]]]:
        """Return automatic and manual scores by student and by exercise or question.

        A manual score holds the extra credit.

        Raises:
            CourseError: if the gradebook cannot be read.
        """
        from nbgrader.api import (
            Assignment,
            BaseCell,
            Grade,
            SubmittedAssignment,
            SubmittedNotebook,
        )

        names = {cell.grade_id: cell.exercise for cell in grade_cells(self.release(lab))}
        found: dict[str, dict[str, tuple[float | None, float | None]]] = {}
        with self.gradebook() as gradebook:
            rows = (
                gradebook.db.query(
                    SubmittedAssignment.student_id,
                    BaseCell.name,
                    Grade.auto_score,
                    Grade.manual_score,
                    Grade.extra_credit,
                )
                .select_from(Grade)
                .join(SubmittedNotebook, SubmittedNotebook.id == Grade.notebook_id)
                .join(
                    SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id
                )
                .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
                .join(BaseCell, BaseCell.id == Grade.cell_id)
                .filter(Assignment.name == lab)
            )
            try:
                found_rows = rows.all()
            except SQLAlchemyError as error:
                raise CourseError(
                    f"the gradebook {self.shown_url} cannot be read: {first_line(error)}"
                ) from None
            for student_id, cell, auto, manual, extra in found_rows:
                if manual is None and extra is not None:
                    manual = auto
                given = None if manual is None else manual + (extra or 0.0)
                found.setdefault(student_id, {})[names.get(cell, cell)] = (auto, given)
        return found

    @contextmanager
    def gradebook(self) -> Iterator[Any]:
        """Open nbgrader's gradebook.

        Raises:
            CourseError: if it cannot be opened.
        """
        from nbgrader.api import Gradebook

        with alembic_on_path():
            try:
                gradebook = Gradebook(self.db_url)
            except Exception as error:
                said = last_line(str(error).partition("\n")[0])
                raise CourseError(
                    f"the gradebook {self.shown_url} cannot be opened: {said}"
                ) from None
        with gradebook:
            yield gradebook

    @property
    def shown_url(self) -> str:
        """The gradebook's address without its password."""
        head, at, tail = self.db_url.rpartition("@")
        return f"{head.partition('://')[0]}://…@{tail}" if at else self.db_url


def read_notebook(path: Path) -> NotebookNode:
    """Return a notebook of our own making."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def _asks_for(notebook: NotebookNode, lab: LoadedLab) -> bool:
    """Whether a built notebook asks for what ``checks.py`` declares."""
    built = {cell.exercise: cell.points for cell in grade_cells(notebook) if not cell.written}
    return built == {item.name: float(item.points) for item in lab.items}


@contextmanager
def alembic_on_path() -> Iterator[None]:
    """nbgrader calls ``alembic`` by name when it makes a gradebook: let it find its own."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), before))
    try:
        yield
    finally:
        os.environ["PATH"] = before


@contextmanager
def quiet() -> Iterator[list[str]]:
    """Keep what nbgrader logs off the screen; yield its errors as they come."""
    errors: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            errors.append(record.getMessage())

    handler = Keep(logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("traitlets", "alembic", "tornado.application")]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.ERROR)
        logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="nbgrader")  # SQLAlchemy's, about its style
            yield errors
    finally:
        for logger, level, propagate in before:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


def first_line(error: Exception) -> str:
    """Return the start of an error's message; SQLAlchemy's go on with the statement."""
    return str(error).partition("\n")[0][:300]


def last_line(text: str) -> str:
    """Return the last line of a traceback or message that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason was given"
