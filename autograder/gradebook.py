"""nbgrader's gradebook through one session, whose changes become durable together.

nbgrader opens its gradebook about nine times per submission, asks it for every cell by name, and
commits each score by itself. Here one session stays open, names are looked up in bulk, and what
nbgrader commits is kept in one transaction until the batch is committed.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nbgrader.api import (
    Comment,
    Grade,
    Gradebook,
    GradeCell,
    SolutionCell,
    SourceCell,
    SubmittedAssignment,
    SubmittedNotebook,
)
from sqlalchemy import create_engine, event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.orm import Session, SessionTransaction, scoped_session, sessionmaker

from autograder.course import CourseError, LockedError, first_line

LOCK_SECONDS = 30.0  # how long another program may lock the gradebook
RETRY_MS = 1000  # SQLite's own patience; between two of these a Ctrl-C is noticed
OF_STUDENTS = (SubmittedAssignment, SubmittedNotebook, Grade, Comment)
LOCK_CODES = (5, 6, "55P03")  # SQLITE_BUSY, SQLITE_LOCKED, PostgreSQL's lock_not_available


class OneSession:
    """A gradebook that stays open while a class is graded, or while a lab is released.

    Args:
        db_url: the gradebook, which exists.
        shown_url: the same without its password.
        lookup: what nbgrader's gradebook becomes: `Lookup` to find entries in bulk, or as it is
            where cells are being defined.
    """

    def __init__(self, db_url: str, shown_url: str, lookup: type[Any] = Gradebook) -> None:
        self.db_url, self.shown_url, self.lookup = db_url, shown_url, lookup
        self.engine = create_engine(db_url)
        maker = sessionmaker(class_=_Waiting, bind=self.engine)
        self.db = scoped_session(maker, scopefunc=lambda: None)  # one, whatever the thread
        self._trouble: CourseError | None = None
        self._known: dict[Any, Any] = {}
        self._sqlite = self.engine.dialect.name == "sqlite"
        name = self.engine.url.database
        self._path = Path(name) if self._sqlite and name else None
        self._file = self._identity()
        event.listen(self.engine, "handle_error", self._note)
        if self._sqlite:
            event.listen(self.engine, "connect", _as_sqlite)
            event.listen(self.engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
        else:
            event.listen(self.engine, "connect", _as_server)

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        """Let nbgrader write, all or nothing; its own commits wait for `commit`.

        Raises:
            CourseError: if the gradebook cannot be used. Nothing since the last `commit` is kept.
        """
        session = self._begin()
        session.keep()
        try:
            with self._opened():
                yield
            session.flush()
        except BaseException:
            self._undo()
            raise
        if self._trouble is not None:  # whatever nbgrader made of it
            self._undo()
        session.release()

    def commit(self) -> None:
        """Make all parts durable.

        Raises:
            CourseError: if that cannot be done. None of them is kept.
        """
        if not self._session.in_transaction():
            return
        try:
            self._same_file()
            self._patiently(self._commit)
            self._same_file()
        except DBAPIError as error:
            raise self._trouble or self._unusable(error) from None
        finally:
            self._forget()

    def close(self) -> None:
        """Let go of the gradebook; what was not committed is not kept."""
        self._forget()
        self.engine.dispose()

    # -- the transaction -------------------------------------------------------------------------

    @property
    def _session(self) -> _Waiting:
        session: _Waiting = self.db()
        return session

    def _begin(self) -> _Waiting:
        if not self._session.in_transaction():
            self._same_file()
            try:
                self._patiently(self._session.connection)
            except DBAPIError as error:
                self._forget()
                raise self._unusable(error) from None
        self._trouble = None
        return self._session

    def _commit(self) -> None:
        session = self._session
        session.flush()
        if self._sqlite:  # by hand: a commit that finds the gradebook locked can be tried again
            session.connection().exec_driver_sql("COMMIT")
        session.really_commit()

    def _undo(self) -> None:
        """Take back the part; if the gradebook is out of order, all parts."""
        try:
            self._session.rollback()
            self._session.release()
        except DBAPIError as error:  # the whole transaction is gone
            self._trouble = self._trouble or self._unusable(error)
        if self._trouble is not None:
            self._forget()
            raise self._trouble from None

    def _forget(self) -> None:
        self._known.clear()
        with contextlib.suppress(DBAPIError):
            self.db.remove()

    def _patiently(self, action: Callable[[], Any]) -> None:
        """Try again while another program has the gradebook locked, and say what is waited for."""
        until, told = time.monotonic() + LOCK_SECONDS, False
        while True:
            try:
                action()
                return
            except DBAPIError as error:
                if not _is_locked(error):
                    raise
            if time.monotonic() >= until:
                self._forget()
                raise self._locked()
            if not told:
                print("waiting: another program is writing to the gradebook", file=sys.stderr)
            told = True

    # -- what can be wrong -----------------------------------------------------------------------

    def _note(self, context: Any) -> None:
        """Keep what the database says, which nbgrader turns into advice of its own."""
        error = context.sqlalchemy_exception
        if not isinstance(error, DBAPIError) or isinstance(error, (IntegrityError, DataError)):
            return  # one student's entry is at fault, not the gradebook
        self._trouble = self._locked() if _is_locked(error) else self._unusable(error)

    def _locked(self) -> CourseError:
        return LockedError(
            f"the gradebook {self.shown_url} has been locked by another program for "
            f"{LOCK_SECONDS:g} seconds: is it graded or edited elsewhere?"
        )

    def _unusable(self, error: DBAPIError) -> CourseError:
        return CourseError(f"the gradebook cannot be used: {first_line(error)} ({self.shown_url})")

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found else None

    def _same_file(self) -> None:
        """SQLite goes on writing to a file that was deleted, which nobody would ever see."""
        if self._identity() != self._file:
            self._forget()
            raise CourseError(
                f"the gradebook {self.shown_url} was deleted or replaced while it was in use"
            )

    # -- nbgrader's view -------------------------------------------------------------------------

    @contextlib.contextmanager
    def _opened(self) -> Iterator[None]:
        """Give nbgrader this session whenever it opens this gradebook."""
        opened, closed = Gradebook.__init__, Gradebook.close

        def use_this(
            book: Any, db_url: str, course_id: str = "default_course", authenticator: Any = None
        ) -> None:
            if db_url != self.db_url:
                opened(book, db_url, course_id, authenticator)
                return
            if type(book) is Gradebook:
                book.__class__ = self.lookup
            book.engine, book.db = self.engine, self.db
            book.course_id, book.authenticator = course_id, authenticator
            book.known, book.found = self._known, {}
            if ("course", course_id) not in self._known:
                self._known["course", course_id] = book.check_course(course_id=course_id)

        def leave_open(book: Any) -> None:
            if book.engine is self.engine:
                self._session.next_step()
            else:
                closed(book)

        Gradebook.__init__, Gradebook.close = use_this, leave_open
        try:
            yield
        finally:
            Gradebook.__init__, Gradebook.close = opened, closed


class _Waiting(Session):
    """A session whose owner decides when nbgrader's changes are committed."""

    _point: SessionTransaction
    _before: frozenset[Any] = frozenset()  # ids of earlier parts: nobody asks for them again

    def keep(self) -> None:
        """Begin a part."""
        self._point = self.begin_nested()

    def release(self) -> None:
        """End a part."""
        self._point.commit()
        self._before = frozenset(state.identity for state in self.identity_map.all_states())

    def commit(self) -> None:
        """What nbgrader commits is written when it is next asked for, with what else changed."""
        if self.new or self.deleted:
            self.flush()

    def rollback(self) -> None:
        """What nbgrader rolls back is the part."""
        self._point.rollback()
        self.keep()

    def really_commit(self) -> None:
        """End the transaction."""
        super().commit()

    def next_step(self) -> None:
        """Show the next of nbgrader's steps what the gradebook holds, computed scores included."""
        self.flush()
        for state in self.identity_map.all_states():
            entry = state.obj()
            if isinstance(entry, OF_STUDENTS) and state.identity not in self._before:
                self.expire(entry)


class Lookup(Gradebook):  # type: ignore[misc]
    """nbgrader's gradebook, which reads what it is asked for by name once, and all at once.

    Attributes:
        known: what the instructor defined, as of this batch.
        found: what belongs to submissions, since the gradebook was last opened.
    """

    known: dict[Any, Any]
    found: dict[Any, Any]

    def find_assignment(self, name: str) -> Any:
        key = "assignment", name
        if key not in self.known:
            self.known[key] = super().find_assignment(name)
        return self.known[key]

    def find_notebook(self, name: str, assignment: str) -> Any:
        key = "notebook", name, assignment
        if key not in self.known:
            self.known[key] = super().find_notebook(name, assignment)
        return self.known[key]

    def find_source_cell(self, name: str, notebook: str, assignment: str) -> Any:
        cell = self._cells(SourceCell, notebook, assignment).get(name)
        return cell or super().find_source_cell(name, notebook, assignment)

    def find_graded_cell(self, name: str, notebook: str, assignment: str) -> Any:
        cell = self._cells(GradeCell, notebook, assignment).get(name)
        return cell or super().find_graded_cell(name, notebook, assignment)

    def find_submission_notebook(self, notebook: str, assignment: str, student: str) -> Any:
        key = notebook, assignment, student
        if key not in self.found:
            self.found[key] = super().find_submission_notebook(*key)
        return self.found[key]

    def find_grade(self, cell: str, notebook: str, assignment: str, student: str) -> Any:
        place = notebook, assignment, student
        grade = self._entries(Grade, GradeCell, *place).get(cell)
        return grade or super().find_grade(cell, *place)

    def find_comment(self, cell: str, notebook: str, assignment: str, student: str) -> Any:
        place = notebook, assignment, student
        comment = self._entries(Comment, SolutionCell, *place).get(cell)
        return comment or super().find_comment(cell, *place)

    def _cells(self, kind: Any, notebook: str, assignment: str) -> dict[str, Any]:
        """The instructor's cells of a kind by name."""
        key = kind, notebook, assignment
        if key not in self.known:
            wanted = self.find_notebook(notebook, assignment).id
            cells = self.db.query(kind).filter(kind.notebook_id == wanted)
            self.known[key] = {cell.name: cell for cell in cells}
        found: dict[str, Any] = self.known[key]
        return found

    def _entries(
        self, kind: Any, cells: Any, notebook: str, assignment: str, student: str
    ) -> dict[str, Any]:
        """A submission's grades or comments by the name of their cell."""
        key = kind, notebook, assignment, student
        if key not in self.found:
            submitted = self.find_submission_notebook(notebook, assignment, student)
            entries = self.db.query(kind).filter(kind.notebook_id == submitted.id)
            by_cell = {entry.cell_id: entry for entry in entries}
            names = self._cells(cells, notebook, assignment).items()
            self.found[key] = {n: by_cell[c.id] for n, c in names if c.id in by_cell}
        found: dict[str, Any] = self.found[key]
        return found


def _is_locked(error: DBAPIError) -> bool:
    said: Any = error.orig
    code = getattr(said, "sqlite_errorcode", None)
    return (code & 0xFF if code else getattr(said, "sqlstate", None)) in LOCK_CODES


def _as_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where they are begun, not at a guess
    connection.execute(f"PRAGMA busy_timeout = {RETRY_MS}")
    # The deletion of the journal is what commits: have it reach the disk too.
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA cache_spill = OFF")  # so that readers are in the way at commit only


def _as_server(connection: Any, _: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {round(LOCK_SECONDS * 1000)}")
    connection.commit()
