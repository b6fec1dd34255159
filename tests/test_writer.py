"""The writer: what nbgrader's own road records, all or nothing, and never lost once committed."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateFeedback
from sqlalchemy import event
from sqlalchemy.engine import Engine

from autograder import converters, gradebook, nbgrader_config, nbgrader_road, preflight, writer
from autograder.collect import Files, Student
from autograder.course import Course, CourseError, LockedError, alembic_on_path, quiet
from autograder.discover import LoadedLab
from autograder.preflight import Prepared
from autograder.sample_class import Case
from autograder.staging import replace_folder
from autograder.writer import RecordError, Writer
from tests.grading import LAB, NOTEBOOK, TOY, hand_in
from tests.recording import QUESTION, result, table_rows

SETTINGS = """
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor

class ScoreBefore(NbGraderPreprocessor):
    kept = []

    def preprocess(self, nb, resources):
        told = resources["nbgrader"]
        with Gradebook(told["db_url"]) as book:
            place = told["notebook"], told["assignment"], told["student"]
            self.kept.append(book.find_submission_notebook(*place))
            nb.metadata["score_before"] = self.kept[-1].score
        return nb, resources

c.Autograde.autograde_preprocessors.insert(0, ScoreBefore)
c.LateSubmissionPlugin.penalty_method = "zero"
c.LimitOutput.max_lines = 3
"""


@pytest.fixture
def handed_in(toy_cases: dict[str, Case]) -> dict[str, dict[str, bytes]]:
    """What five students handed in: whole, late, to be mended, with files, untouched."""
    names = {
        "ada": "perfect",
        "bob": "mutant forward of discounted_return",
        "cy": "deleted solution and test cell",
        "dan": "duplicated cell",
        "eve": "empty stub",
    }
    files = {student: dict(toy_cases[case].files) for student, case in names.items()}
    files["ada"] |= {"data/notes.txt": b"mine", "timestamp.txt": b"2026-03-01 11:00:00.000000 UTC"}
    files["bob"] |= {"timestamp.txt": b"2026-03-01 13:00:00.000000 UTC"}
    return files


@pytest.fixture
def prepared(course: Course, handed_in: dict[str, dict[str, bytes]]) -> dict[str, Prepared]:
    release = course.release(LAB)
    return {s: preflight.prepare(release, LAB, Files(files)) for s, files in handed_in.items()}


@pytest.fixture
def rows(course: Course) -> Callable[[], set[str]]:
    """Who is in the gradebook, as another program sees it."""

    def students() -> set[str]:
        with sqlite3.connect(course.root / "gradebook.db") as other:
            return {row[0] for row in other.execute("SELECT student_id FROM submitted_assignment")}

    return students


# -- nbgrader's own road -------------------------------------------------------------------------


def test_it_leaves_what_nbgraders_own_road_leaves(
    tmp_path: Path,
    toy_course: Course,
    toy_lab: LoadedLab,
    handed_in: dict[str, dict[str, bytes]],
    prepared: dict[str, Prepared],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every table and every file, of a class, and when it is judged again after people graded."""
    names = ("theirs", "ours")
    courses = {name: course_with_due_date(tmp_path / name, toy_course) for name in names}
    shares = iter((0.5, 0.7))
    for student, files in handed_in.items():
        hand_in(courses["theirs"].root / "submitted", student, files)
    for _ in range(2):
        verdict = result(toy_lab, next(shares))
        monkeypatch.setattr(nbgrader_road, "judge", lambda *_, verdict=verdict, **__: verdict)
        course = courses["theirs"]
        for student in handed_in:  # as formgrader's button does
            graded = course.root / "autograded" / student / LAB
            nbgrader_road.SaveRefereeGrades.remember(student, LAB, graded)
        with alembic_on_path(), quiet():
            for step in (Autograde, GenerateFeedback):
                converter = step(coursedir=course.directory(LAB), config=course.config)
                converter.force = True
                converter.start()
        record = Writer(courses["ours"], LAB, tmp_path / "out")
        for student in sorted(prepared):
            record.write(student, prepared[student], verdict)
        record.commit()
        assert table_rows(courses["ours"]) == table_rows(courses["theirs"])
        for step in ("autograded", "feedback"):
            theirs, ours = (files_below(courses[name].root / step) for name in names)
            assert ours.keys() == theirs.keys()
            for name in theirs:
                assert ours[name] == theirs[name], name
        for student in prepared:
            page = tmp_path / "out" / "feedback" / student / f"{LAB}.html"
            made = courses["ours"].root / "feedback" / student / LAB / f"{LAB}.html"
            assert page.read_bytes() == made.read_bytes()
        for course in courses.values():
            grade_by_hand(course)
    assert "five points off" in page_of(tmp_path, "ada")
    assert "were deleted and put back" in page_of(tmp_path, "cy")


def course_with_due_date(root: Path, toy_course: Course) -> Course:
    """A course whose instructor added settings of nbgrader's."""
    shutil.copytree(toy_course.root, root)
    course = Course(root)
    path = nbgrader_config.write(root)
    path.write_text(path.read_text() + f'c.RefereeExecute.labs = "{TOY}"\n' + SETTINGS)
    with Gradebook(course.db_url) as book:
        book.update_or_create_assignment(LAB, duedate="2026-03-01 12:00:00 UTC")
    return course


def grade_by_hand(course: Course) -> None:
    """What a person does in formgrader."""
    with Gradebook(course.db_url) as book:
        grade = book.find_grade(QUESTION, LAB, LAB, "ada")
        grade.manual_score, grade.needs_manual_grade, grade.extra_credit = 1.5, False, 0.25
        book.find_grade("test-softmax", LAB, LAB, "ada").manual_score = 1.0
        comment = book.find_comment(QUESTION, LAB, LAB, "ada")
        comment.manual_comment = "five points off for *style*"
        book.db.commit()


def page_of(tmp_path: Path, student: str) -> str:
    return (tmp_path / "out" / "feedback" / student / f"{LAB}.html").read_text("utf-8")


def files_below(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mode, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


HOOK = """
def seen(assignment, student, notebooks):
    made = Path("{root}") / "autograded" / student / assignment
    Path("{seen}").write_text(" ".join(path.name for path in made.iterdir()))
c.Autograde.post_convert_hook = seen
"""


def test_a_hook_of_the_instructors_finds_the_results(
    course: Course, prepared: dict[str, Prepared], toy_lab: LoadedLab, tmp_path: Path
) -> None:
    path = nbgrader_config.write(course.root)
    path.write_text(path.read_text() + HOOK.format(root=course.root, seen=tmp_path / "seen.txt"))
    record = Writer(course, LAB, tmp_path / "out")
    record.write("ada", prepared["ada"], result(toy_lab))
    assert NOTEBOOK in (tmp_path / "seen.txt").read_text()
    record.commit()
    assert (course.root / "autograded" / "ada" / LAB / NOTEBOOK).exists()


# -- all or nothing ------------------------------------------------------------------------------


def made(course: Course, tmp_path: Path) -> set[str]:
    """Who has a graded notebook, or feedback in either place."""
    found = [
        *(path.parts[-3] for path in course.root.glob(f"autograded/*/{LAB}/*")),
        *(path.parts[-3] for path in course.root.glob(f"feedback/*/{LAB}/*")),
        *(path.parts[-2] for path in (tmp_path / "out").glob("feedback/*/[!.]*")),
    ]
    return set(found)


def test_a_batch_is_recorded_when_it_is_committed(
    course: Course,
    prepared: dict[str, Prepared],
    toy_lab: LoadedLab,
    tmp_path: Path,
    rows: Callable[[], set[str]],
) -> None:
    record = Writer(course, LAB, tmp_path / "out")
    for student in ("ada", "bob"):
        record.write(student, prepared[student], result(toy_lab))
    assert rows() == made(course, tmp_path) == set()
    record.commit()
    assert rows() == made(course, tmp_path) == {"ada", "bob"}
    assert not list(course.root.glob(".staged*"))
    assert not list((tmp_path / "out").rglob(".*"))
    record.commit()  # nothing is waiting


def test_one_that_is_refused_costs_nobody_else(
    course: Course,
    prepared: dict[str, Prepared],
    toy_lab: LoadedLab,
    tmp_path: Path,
    rows: Callable[[], set[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = Writer(course, LAB, tmp_path / "out")
    record.write("ada", prepared["ada"], result(toy_lab))
    with monkeypatch.context() as patch:
        from autograder import shown

        patch.setattr(shown, "verdict", lambda _: nbformat.v4.new_output("stream", text="fine"))
        with pytest.raises(RecordError, match="but judged"):
            record.write("bob", prepared["bob"], result(toy_lab))
    record.write("cy", prepared["cy"], result(toy_lab))
    record.commit()
    assert rows() == made(course, tmp_path) == {"ada", "cy"}
    due = {item.name: (item.points, None) for item in result(toy_lab).exercises}
    assert due.items() <= course.scores(LAB)["ada"].items()


KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from autograder.course import Course
from autograder.writer import Writer

root, out, lab = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
record = Writer(Course(root), lab, out)
prepared, result = pickle.load(sys.stdin.buffer)
record.write("ada", prepared, result)
record.commit()
record.write("ada", prepared, result)
record.write("bob", prepared, result)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_committed_survives_a_kill(
    course: Course,
    prepared: dict[str, Prepared],
    toy_lab: LoadedLab,
    tmp_path: Path,
    rows: Callable[[], set[str]],
) -> None:
    import pickle

    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(course.root), str(tmp_path / "out"), LAB],
        input=pickle.dumps((prepared["ada"], result(toy_lab))),
        cwd=TOY.parents[2],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert rows() == made(course, tmp_path) == {"ada"}
    assert list(course.root.glob(".staged*"))
    record = Writer(course, LAB, tmp_path / "out")
    assert not list(course.root.glob(".staged*"))
    record.write("bob", prepared["bob"], result(toy_lab))
    record.commit()
    assert rows() == made(course, tmp_path) == {"ada", "bob"}


def test_a_crash_after_the_gradebooks_commit_leaves_whole_files(
    course: Course,
    prepared: dict[str, Prepared],
    toy_lab: LoadedLab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Grades are there before the files that show them: the caller grades these again."""
    record = Writer(course, LAB, tmp_path / "out")
    record.write("ada", prepared["ada"], result(toy_lab, 0.5))
    record.commit()
    before = files_below(course.root / "feedback")
    record.write("ada", prepared["ada"], result(toy_lab, 1.0))
    with monkeypatch.context() as patch:
        patch.setattr(writer.Staging, "publish", full_disk)
        with pytest.raises(CourseError, match="cannot be written: No space left"):
            record.commit()
    assert files_below(course.root / "feedback") == before
    record.write("ada", prepared["ada"], result(toy_lab, 1.0))
    record.commit()
    assert files_below(course.root / "feedback") != before


def test_sqlite_waits_for_the_disk(course: Course) -> None:
    """The journal's deletion is the commit: `EXTRA` (3) has it reach the disk."""
    with course.session() as session, session.part():
        connection = session.db.connection()
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 3


# -- faults --------------------------------------------------------------------------------------


def full_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "some.file")


@pytest.fixture
def other(course: Course) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the gradebook."""
    connection = sqlite3.connect(course.root / "gradebook.db", isolation_level=None)
    yield connection
    connection.close()


@pytest.mark.parametrize("holds", ["BEGIN IMMEDIATE", "BEGIN; SELECT * FROM grade"])
def test_a_locked_gradebook_is_waited_for(
    course: Course,
    prepared: dict[str, Prepared],
    toy_lab: LoadedLab,
    tmp_path: Path,
    other: sqlite3.Connection,
    rows: Callable[[], set[str]],
    monkeypatch: pytest.MonkeyPatch,
    holds: str,
) -> None:
    """Until it is free; a writer is in the way of the first statement, a reader of the commit."""
    told: list[str] = []

    def let_go(text: str, **_: Any) -> None:
        told.append(text)
        other.execute("COMMIT")

    monkeypatch.setattr(gradebook, "RETRY_MS", 1)
    monkeypatch.setattr(gradebook, "print", let_go, raising=False)
    record = Writer(course, LAB, tmp_path / "out")
    hold(other, holds)
    record.write("ada", prepared["ada"], result(toy_lab))
    record.commit()
    assert told == ["waiting: another program is writing to the gradebook"]
    assert rows() == {"ada"}


def hold(other: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split("; "):
        other.execute(statement).fetchone()


@pytest.mark.parametrize("holds", ["BEGIN IMMEDIATE", "BEGIN; SELECT * FROM course"])
def test_a_gradebook_that_stays_locked_is_given_up(
    course: Course,
    prepared: dict[str, Prepared],
    toy_lab: LoadedLab,
    tmp_path: Path,
    other: sqlite3.Connection,
    rows: Callable[[], set[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    holds: str,
) -> None:
    monkeypatch.setattr(gradebook, "RETRY_MS", 1)
    monkeypatch.setattr(gradebook, "LOCK_SECONDS", 0.0)
    record = Writer(course, LAB, tmp_path / "out")

    def record_ada() -> None:
        record.write("ada", prepared["ada"], result(toy_lab))
        record.commit()

    hold(other, holds)
    with pytest.raises(LockedError, match="has been locked by another program for 0 seconds"):
        record_ada()
    other.execute("COMMIT")
    assert rows() == made(course, tmp_path) == set()
    record_ada()
    assert rows() == made(course, tmp_path) == {"ada"}


@pytest.mark.parametrize("when", ["before the batch", "within the batch"])
@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_gradebook_that_is_gone_is_noticed(
    course: Course,
    prepared: dict[str, Prepared],
    toy_lab: LoadedLab,
    tmp_path: Path,
    when: str,
    how: str,
) -> None:
    """SQLite itself would go on, into a file that nobody sees."""
    path = course.root / "gradebook.db"
    record = Writer(course, LAB, tmp_path / "out")
    record.write("ada", prepared["ada"], result(toy_lab))
    record.commit()
    if when == "within the batch":
        record.write("bob", prepared["bob"], result(toy_lab))
    if how == "replaced":
        shutil.copy(path, tmp_path / "backup.db")
        (tmp_path / "backup.db").replace(path)
    else:
        path.unlink()
    with pytest.raises(CourseError, match="was deleted or replaced while it was in use"):
        if when == "before the batch":
            record.write("bob", prepared["bob"], result(toy_lab))
        record.commit()
    assert made(course, tmp_path) == {"ada"}
    assert path.exists() == (how == "replaced")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (converters.FilesWriter, "write"),
        (writer, "replace_folder"),
        (writer.Staging, "file"),
        (writer.Staging, "to_disk"),
    ],
)
def test_a_full_disk_stops_and_loses_nothing(
    course: Course,
    prepared: dict[str, Prepared],
    toy_lab: LoadedLab,
    tmp_path: Path,
    rows: Callable[[], set[str]],
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
) -> None:
    record = Writer(course, LAB, tmp_path / "out")
    record.write("ada", prepared["ada"], result(toy_lab))
    record.commit()
    with monkeypatch.context() as patch:
        patch.setattr(module, name, full_disk)
        with pytest.raises(CourseError, match=r"No space left on device \(some\.file\)"):
            record.write("bob", prepared["bob"], result(toy_lab))
            record.commit()
    assert rows() == made(course, tmp_path) == {"ada"}
    record.write("bob", prepared["bob"], result(toy_lab))
    record.commit()
    assert rows() == made(course, tmp_path) == {"ada", "bob"}


def test_a_gradebook_that_cannot_grow_loses_nothing(
    course: Course,
    prepared: dict[str, Prepared],
    toy_lab: LoadedLab,
    tmp_path: Path,
    rows: Callable[[], set[str]],
) -> None:
    """SQLite's own word for a full disk, wherever in a batch it comes."""
    record = Writer(course, LAB, tmp_path / "out")
    record.write("ada", prepared["ada"], result(toy_lab))
    record.commit()

    def no_more_pages(connection: Any, _: Any) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")

    record._gradebook.engine.dispose()
    event.listen(record._gradebook.engine, "connect", no_more_pages)
    with pytest.raises(CourseError, match="database or disk is full"):
        for number in range(40):
            record.write(f"student{number}", prepared["bob"], result(toy_lab))
    assert rows() == made(course, tmp_path) == {"ada"}
    assert not list(course.root.glob(".staged*"))


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("167914646830", r"made by an older nbgrader: .* `nbgrader db upgrade`"),
        (None, "made by an older nbgrader"),
        ("ffffffffffff", "made by a newer nbgrader"),
    ],
)
def test_a_gradebook_of_another_nbgrader_is_refused(
    course: Course, toy_lab: LoadedLab, other: sqlite3.Connection, version: str | None, said: str
) -> None:
    if version is None:
        other.execute("DROP TABLE alembic_version")
    else:
        other.execute("UPDATE alembic_version SET version_num = ?", (version,))
    before = (course.root / "gradebook.db").read_bytes()
    with pytest.raises(CourseError, match=said):
        course.assign(toy_lab)
    assert (course.root / "gradebook.db").read_bytes() == before


def test_no_gradebook_at_all_is_said(course: Course, toy_lab: LoadedLab) -> None:
    (course.root / "gradebook.db").write_bytes(b"not a gradebook" * 100)
    with pytest.raises(CourseError, match="cannot be opened: file is not a database"):
        course.assign(toy_lab)


def test_the_address_of_a_gradebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path means what it means where it is written; a password is never shown."""
    monkeypatch.chdir(tmp_path)
    assert Course(tmp_path / "c", "sqlite:///a.db").db_url == f"sqlite:///{tmp_path}/a.db"
    secret = Course(tmp_path, "postgresql+psycopg://ann:s3cret@h:5/db?password=s3cret&sslmode=no")
    assert "s3cret" not in secret.shown_url
    assert "ann" in secret.shown_url
    assert "sslmode=no" in secret.shown_url
    assert secret.db_url.count("s3cret") == 2
    with pytest.raises(CourseError, match="not of the form"):
        Course(tmp_path, "s3cret")


# -- what it costs -------------------------------------------------------------------------------


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every statement that any engine executes, commits too."""
    said: list[str] = []

    def executed(_: Any, __: Any, statement: str, *___: Any) -> None:
        said.append(statement)

    def committed(_: Any) -> None:
        said.append("commit")

    event.listen(Engine, "before_cursor_execute", executed)
    event.listen(Engine, "commit", committed)
    yield said
    event.remove(Engine, "before_cursor_execute", executed)
    event.remove(Engine, "commit", committed)


def test_a_submission_takes_few_statements_and_a_batch_one_commit(
    course: Course,
    prepared: dict[str, Prepared],
    toy_lab: LoadedLab,
    tmp_path: Path,
    statements: list[str],
) -> None:
    """nbgrader alone takes 190 statements and 26 commits for each."""
    record = Writer(course, LAB, tmp_path / "out")
    course.enrol(Student(name) for name in prepared)
    record.write("ada", prepared["ada"], result(toy_lab))
    statements.clear()
    for student in ("bob", "cy", "dan"):
        record.write(student, prepared[student], result(toy_lab))
    assert len(statements) <= 3 * 40
    statements.clear()
    record.commit()
    assert statements.count("commit") == 1
    assert len(statements) <= 3


def test_a_class_takes_as_many_statements_as_a_student(
    course: Course,
    prepared: dict[str, Prepared],
    toy_lab: LoadedLab,
    tmp_path: Path,
    statements: list[str],
) -> None:
    """Enrolling, reading all scores and releasing again."""
    record = Writer(course, LAB, tmp_path / "out")

    def class_of(names: list[str]) -> int:
        course.enrol(Student(name, first_name=name) for name in names)
        for name in names:
            record.write(name, prepared["bob"], result(toy_lab))
        record.commit()
        statements.clear()
        course.enrol(Student(f"{name}2") for name in names)
        assert len(course.scores(LAB)) == len(names)
        course.assign(toy_lab)
        return len(statements)

    assert class_of(["ada"]) == class_of(["ada", *(f"s{number}" for number in range(12))])


# -- files in their places -----------------------------------------------------------------------


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for path, text in {
        old / "kept": "1",
        old / "gone": "1",
        old / "was/file": "1",
        old / "becomes": "1",
        new / "kept": "2",
        new / "was": "2",
        new / "becomes/file": "2",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (old / "link").symlink_to(tmp_path)
    (old / "kept").chmod(0o444)
    replace_folder(old, new)
    found = {
        path.relative_to(old).as_posix(): path.read_text()
        for path in old.rglob("*")
        if path.is_file()
    }
    assert found == {"kept": "2", "was": "2", "becomes/file": "2"}
    assert not new.exists()
