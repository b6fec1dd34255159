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
from typing import TYPE_CHECKING, Any

import nbformat
from nbformat import NotebookNode
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograder import discover, nbgrader_config
from autograder.collect import Student
from autograder.discover import LoadedLab, Outline
from autograder.errors import LabError
from autograder.records import grade_cells

if TYPE_CHECKING:
    from autograder.gradebook import OneSession

SEED_FILE = "seed"
MAX_NAME = 128  # the gradebook's columns


class CourseError(ValueError):
    """A course directory or gradebook that cannot be used, said in one sentence."""


class LockedError(CourseError):
    """A gradebook that another program did not let go of in time."""


class Course:
    """Where a course is graded.

    Args:
        root: the course directory.
        db_url: the gradebook; by default ``gradebook.db`` in ``root``.
    """

    def __init__(self, root: Path, db_url: str | None = None) -> None:
        self.root = root.resolve()
        self.db_url = _absolute(db_url) if db_url else f"sqlite:///{self.root / 'gradebook.db'}"

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
        """nbgrader's configuration, with what an instructor added to it.

        Raises:
            CourseError: if it is not ours: nbgrader would grade in its own way.
        """
        path = nbgrader_config.write(self.root)
        config = PyFileConfigLoader(path.name, path=str(self.root)).load_config()
        if "RefereeExecute" not in config:
            raise CourseError(
                f"{path} does not call autograder.nbgrader_config.configure: move it away, run the"
                " command again, and add your own lines to the end of the new one"
            )
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

    def assign(self, lab: LoadedLab | Outline) -> NotebookNode:
        """Release the lab into the gradebook, building it first where that is due; return it.

        Raises:
            CourseError: if the gradebook refuses it.
            LabError: if it cannot be built.
        """
        from autograder.release import COURSE_ID, release

        self.source(lab)
        course_id = self.directory(lab.name).course_id or COURSE_ID
        with self.session() as session:
            try:
                with session.part():
                    release(self.root, lab.name, db_url=self.db_url, course_id=course_id)
            except LabError as error:
                raise CourseError(
                    f"{error.message}; if cells of the lab were added or removed since submissions "
                    "were graded, it is a new assignment: grade it in a new course directory"
                ) from None
            session.commit()
        return self.release(lab.name)

    def source(self, lab: LoadedLab | Outline) -> NotebookNode:
        """Return the instructor's notebook, built first if it asks for something else.

        Raises:
            LabError: if it cannot be built.
        """
        path = self.root / "source" / lab.name / f"{lab.name}.ipynb"
        if not path.is_file() or not _asks_for(read_notebook(path), lab):
            from autograder import build

            if isinstance(lab, Outline):
                lab = discover.load(lab.name, lab.path.parent)
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
        """Note who is enrolled in the gradebook, with names where they are given.

        Raises:
            CourseError: if the gradebook cannot be used.
        """
        wanted = list(students)
        with self.session() as session:
            try:
                _enrol(session, wanted)
            except IntegrityError:  # another grader enrolled some of them at this moment
                _enrol(session, wanted)

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

    def late_penalties(self, lab: str) -> dict[str, float]:
        """Return by student what nbgrader takes off for coming late, where it is anything.

        Raises:
            CourseError: if the gradebook cannot be read.
        """
        from nbgrader.api import Assignment, SubmittedAssignment, SubmittedNotebook

        penalty = SubmittedNotebook.late_submission_penalty
        with self.gradebook() as gradebook:
            rows = (
                gradebook.db.query(SubmittedAssignment.student_id, penalty)
                .select_from(SubmittedNotebook)
                .join(
                    SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id
                )
                .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
                .filter(Assignment.name == lab, penalty > 0)
            )
            try:
                return {student_id: float(points) for student_id, points in rows.all()}
            except SQLAlchemyError as error:
                raise CourseError(
                    f"the gradebook {self.shown_url} cannot be read: {first_line(error)}"
                ) from None

    @contextmanager
    def gradebook(self) -> Iterator[Any]:
        """Open nbgrader's gradebook, which is made where there is none.

        Raises:
            CourseError: if it cannot be opened, or another nbgrader made it.
        """
        from nbgrader.api import Gradebook

        with alembic_on_path():
            try:
                self._check_version()
                gradebook = Gradebook(self.db_url)
            except CourseError:
                raise
            except Exception as error:
                said = last_line(first_line(error))
                kind = LockedError if "is locked" in said else CourseError
                raise kind(f"the gradebook {self.shown_url} cannot be opened: {said}") from None
        with gradebook:
            yield gradebook

    @contextmanager
    def session(self, lookup: type[Any] | None = None) -> Iterator[OneSession]:
        """Open nbgrader's gradebook to write much of it at once.

        Args:
            lookup: see `autograder.gradebook.OneSession`.

        Raises:
            CourseError: if it cannot be opened.
        """
        from nbgrader.api import Gradebook

        from autograder.gradebook import OneSession

        with self.gradebook():  # says what is wrong with it, if anything is
            pass
        session = OneSession(self.db_url, self.shown_url, lookup or Gradebook)
        try:
            with alembic_on_path():
                yield session
        finally:
            session.close()

    def _check_version(self) -> None:
        """Refuse a gradebook with other tables than this nbgrader's, before it is written to."""
        from alembic.script import ScriptDirectory
        from alembic.util import CommandError
        from nbgrader.dbutil import ALEMBIC_DIR

        engine = create_engine(self.db_url, poolclass=NullPool)
        file = engine.url.database
        if engine.dialect.name == "sqlite" and not (file and Path(file).exists()):
            return
        with engine.connect() as connection:
            tables = inspect(connection).get_table_names()
            if "alembic_version" in tables:
                version = connection.execute(text("SELECT version_num FROM alembic_version"))
                found = version.scalar()
            else:
                found = None
        script = ScriptDirectory(ALEMBIC_DIR)
        if not tables or found == script.get_current_head():
            return
        try:
            script.get_revision(found or "base")
        except CommandError:
            raise CourseError(
                f"the gradebook {self.shown_url} was made by a newer nbgrader than this one"
            ) from None
        raise CourseError(
            f"the gradebook {self.shown_url} was made by an older nbgrader: make a copy of it, "
            "then run `nbgrader db upgrade` in the course directory"
        )

    @property
    def shown_url(self) -> str:
        """The gradebook's address without its password."""
        url = make_url(self.db_url)
        query = {k: "***" if "pass" in k.lower() else v for k, v in url.query.items()}
        return url.set(query=query).render_as_string(hide_password=True)


def _absolute(db_url: str) -> str:
    """Return a gradebook's address that holds in whatever folder nbgrader works.

    Raises:
        CourseError: if it is none.
    """
    try:
        url = make_url(db_url)
    except ArgumentError:
        raise CourseError(
            "the gradebook's address is not of the form dialect://user:password@host/name"
        ) from None
    if url.drivername.startswith("sqlite") and url.database and url.database != ":memory:":
        url = url.set(database=str(Path(url.database).resolve()))
    return url.render_as_string(hide_password=False)


def _enrol(session: OneSession, students: list[Student]) -> None:
    from nbgrader.api import Student as Entry

    with session.part():
        entries = {entry.id: entry for entry in session.db.query(Entry)}
        for student in students:
            entry = entries.get(student.student_id)
            if entry is None:
                entry = entries[student.student_id] = Entry(id=student.student_id)
                session.db.add(entry)
            for key in ("first_name", "last_name", "email"):
                value = getattr(student, key)[:MAX_NAME]
                if value and getattr(entry, key) != value:
                    setattr(entry, key, value)
    session.commit()


def read_notebook(path: Path) -> NotebookNode:
    """Return a notebook of our own making."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def _asks_for(notebook: NotebookNode, lab: LoadedLab | Outline) -> bool:
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
    """Return what an error says first; SQLAlchemy's go on with the statement."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0][:300]


def last_line(text: str) -> str:
    """Return the last line of a traceback or message that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason was given"
