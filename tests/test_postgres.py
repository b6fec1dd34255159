"""A gradebook on a PostgreSQL server: what SQLite keeps, and what only a server can do to one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook
from sqlalchemy import create_engine

from autograder import __main__, discover, formgrader, grade, gradebook, preflight
from autograder.collect import Files, Student
from autograder.course import Course, CourseError, LockedError
from autograder.discover import LoadedLab
from autograder.grade import INTERRUPTED, OK, UNUSABLE, Options
from autograder.preflight import Prepared
from autograder.sample_class import Case
from autograder.writer import Writer
from tests.grading import LAB, NOTEBOOK, TOY, hand_in
from tests.postgres import PASSWORD, Server, postgres
from tests.recording import QUESTION, result, table_rows

__all__ = ["postgres"]

pytestmark = pytest.mark.needs("postgresql")


@pytest.fixture
def url(postgres: Server, request: pytest.FixtureRequest) -> str:
    """An empty database."""
    return postgres.make(request.node.name[:60])


@pytest.fixture(scope="module")
def released(
    postgres: Server,
    toy_course: Course,
    toy_lab: LoadedLab,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """A database in which the toy lab is released, for copies."""
    root = tmp_path_factory.mktemp("released") / "course"
    shutil.copytree(toy_course.root, root)
    Course(root, postgres.make("released")).assign(toy_lab)
    return "released"


@pytest.fixture
def place(
    postgres: Server, released: str, course: Course, request: pytest.FixtureRequest
) -> Course:
    """The course with its gradebook on the server, and the toy lab released."""
    return Course(course.root, postgres.make(request.node.name[:60], released))


@pytest.fixture
def prepared(course: Course, toy_cases: dict[str, Case]) -> Prepared:
    files = toy_cases["mutant forward of discounted_return"].files
    return preflight.prepare(course.release(LAB), LAB, Files(files))


def options(course: Course, tmp_path: Path, url: str, **more: Any) -> Options:
    """Grade without a sandbox what need not be run: every notebook is an empty file."""
    paths = {"submissions": tmp_path / "in", "out": tmp_path / "out", "course": course.root}
    return Options(
        **({"lab": LAB, "labs": TOY, "workers": 1, "isolate": False} | paths | more), db_url=url
    )


def submit(tmp_path: Path, *students: str) -> None:
    for student in students:
        hand_in(tmp_path / "in", student, {NOTEBOOK: b""})


def test_a_class_is_graded_and_judged_again(
    course: Course, tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(tmp_path, "ada", "bob")
    (tmp_path / "roster.csv").write_text(f"id,first_name\nada,{'A' * 300}\nbob,Böb\n")
    run = options(course, tmp_path, url, roster=tmp_path / "roster.csv")
    assert grade.grade(run) == OK
    elsewhere = Course(course.root, url)
    assert sorted(elsewhere.scores(LAB)) == ["ada", "bob"]
    assert course.scores(LAB) == {}
    with Gradebook(url) as book:
        names = {student.id: student.first_name for student in book.students}
        assert names == {"ada": "A" * 128, "bob": "Böb"}
        given = book.find_grade(QUESTION, LAB, LAB, "ada")
        given.manual_score, given.needs_manual_grade = 1.5, False
        book.db.commit()
    first = (tmp_path / "out" / "results.jsonl").read_bytes()
    assert grade.grade(run) == OK
    assert (tmp_path / "out" / "results.jsonl").read_bytes() == first
    assert grade.grade(options(course, tmp_path, url, regrade=True)) == OK
    assert elsewhere.scores(LAB)["ada"][QUESTION] == (0.0, 1.5)
    arguments = ["report", LAB, "--out", str(tmp_path / "out"), "--course", str(course.root)]
    assert __main__.main([*arguments, "--db-url", url]) == 0
    assert "left out" not in capsys.readouterr().err
    assert formgrader.unusable(course.root, url) == ""


def test_the_rows_are_those_of_sqlite(
    course: Course, tmp_path: Path, url: str, toy_lab: LoadedLab, prepared: Prepared
) -> None:
    with_files = Prepared(
        prepared.notebook,
        prepared.files | {"timestamp.txt": b"2026-03-01 11:00:00.000000 UTC"},
        notes=prepared.notes,
    )
    tables = []
    for place in (Course(course.root, url), Course(course.root, f"sqlite:///{tmp_path}/g.db")):
        place.assign(toy_lab)
        place.enrol([Student("ada", "Ada", "Łovelace", "a@b.c"), Student("Ada")])
        with Gradebook(place.db_url) as book:
            book.update_or_create_assignment(LAB, duedate="2026-03-01 12:00:00 UTC")
        record = Writer(place, LAB, tmp_path / "out")
        for share in (1 / 3, 0.7):
            for student in ("ada", "Ada"):
                record.write(student, with_files, result(toy_lab, share))
            record.commit()
        tables.append(table_rows(place))
    assert tables[0] == tables[1]
    assert len(tables[0]["submitted_assignment"]) == 2


@pytest.fixture
def other_lab(tmp_path: Path) -> LoadedLab:
    """The toy lab under another name."""
    folder = tmp_path / "solutions" / "lab98_other"
    shutil.copytree(TOY / LAB, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.iterdir():
        path.write_text(path.read_text("utf-8").replace(LAB, folder.name), encoding="utf-8")
    return discover.load("lab98_other", tmp_path / "solutions")


def test_two_labs_are_graded_at_once(
    tmp_path: Path,
    place: Course,
    toy_lab: LoadedLab,
    other_lab: LoadedLab,
    prepared: Prepared,
    toy_cases: dict[str, Case],
) -> None:
    """Two graders hold transactions on the same students at the same moment."""
    place.assign(other_lab)
    place.enrol([Student("ada"), Student("bob")])
    files = {f"{other_lab.name}.ipynb": toy_cases["perfect"].files[NOTEBOOK]}
    others = preflight.prepare(place.release(other_lab.name), other_lab.name, Files(files))
    one = Writer(place, LAB, tmp_path / "one")
    other = Writer(place, other_lab.name, tmp_path / "other")
    for student in ("ada", "bob"):
        one.write(student, prepared, result(toy_lab, 0.5))
        other.write(student, others, result(other_lab, 1.0))
    one.commit()
    other.commit()
    for lab, share in ((toy_lab, 0.5), (other_lab, 1.0)):
        due = {item.name: (item.points, None) for item in result(lab, share).exercises}
        scores = place.scores(lab.name)
        assert sorted(scores) == ["ada", "bob"]
        assert all(due.items() <= scores[student].items() for student in scores)


def test_students_that_another_grader_enrols_at_the_same_moment(
    place: Course, toy_lab: LoadedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    students = [Student("ada"), Student("bob", "Bob")]
    session = gradebook._Waiting.flush
    engine = create_engine(place.db_url)

    def after_the_other(self: Any, *arguments: Any) -> None:
        monkeypatch.setattr(gradebook._Waiting, "flush", session)
        with engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO student (id) VALUES ('ada')")
        session(self, *arguments)

    monkeypatch.setattr(gradebook._Waiting, "flush", after_the_other)
    place.enrol(students)
    with Gradebook(place.db_url) as book:
        assert {student.id: student.first_name for student in book.students} == {
            "ada": None,
            "bob": "Bob",
        }


def test_a_server_that_goes_away_stops_the_run_and_loses_nothing(
    place: Course,
    tmp_path: Path,
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = options(place, tmp_path, place.db_url)
    submit(tmp_path, "ada")
    assert grade.grade(run) == OK
    submit(tmp_path, "bob", "cy")
    write = Writer.write

    def when_it_is_gone(self: Writer, *arguments: Any) -> None:
        postgres.stop()
        write(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", when_it_is_gone)
        try:
            assert grade.grade(run) == INTERRUPTED
        finally:
            postgres.stop()
            postgres.start()
    said = capsys.readouterr().err
    assert "grade: the gradebook cannot be used: " in said
    assert "Traceback" not in said
    assert PASSWORD not in said
    assert list(place.scores(LAB)) == recorded(tmp_path) == ["ada"]
    assert grade.grade(run) == OK
    assert sorted(place.scores(LAB)) == recorded(tmp_path) == ["ada", "bob", "cy"]


def recorded(tmp_path: Path) -> list[str]:
    lines = (tmp_path / "out" / "results.jsonl").read_text("utf-8").splitlines()
    return sorted(json.loads(line)["student_id"] for line in lines)


def test_a_server_that_goes_away_within_a_batch(
    tmp_path: Path,
    place: Course,
    postgres: Server,
    toy_lab: LoadedLab,
    prepared: Prepared,
) -> None:
    record = Writer(place, LAB, tmp_path / "out")
    record.write("ada", prepared, result(toy_lab))
    postgres.stop()
    try:
        with pytest.raises(CourseError, match="the gradebook cannot be used"):
            record.commit()
        with pytest.raises(CourseError, match="the gradebook cannot be used"):
            record.write("bob", prepared, result(toy_lab))
    finally:
        postgres.start()
    assert place.scores(LAB) == {}
    record.write("bob", prepared, result(toy_lab))
    record.commit()
    assert list(place.scores(LAB)) == ["bob"]
    assert not (place.root / "autograded" / "ada").exists()


def test_a_row_that_somebody_else_holds_is_given_up(
    tmp_path: Path,
    place: Course,
    toy_lab: LoadedLab,
    prepared: Prepared,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """formgrader, open with a transaction on this student's grade."""
    record = Writer(place, LAB, tmp_path / "out")
    record.write("ada", prepared, result(toy_lab, 0.5))
    record.commit()
    monkeypatch.setattr(gradebook, "LOCK_SECONDS", 0.001)
    record = Writer(place, LAB, tmp_path / "out")
    with create_engine(place.db_url).begin() as somebody:
        somebody.exec_driver_sql("UPDATE grade SET manual_score = 1")
        with pytest.raises(LockedError, match="has been locked by another program"):
            record.write("ada", prepared, result(toy_lab, 1.0))
    record.write("ada", prepared, result(toy_lab, 1.0))
    record.commit()
    last = {item.name: (item.points, 1.0) for item in result(toy_lab, 1.0).exercises}
    assert last.items() <= place.scores(LAB)["ada"].items()


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda server: server.url("postgres", "not it"), "password authentication failed"),
        (lambda server: server.url("nowhere"), 'database "nowhere" does not exist'),
        (lambda server: server.url("x").replace(str(server.port), "1"), "Connection refused"),
        (lambda server: server.url("x").replace("psycopg", "nothing"), "Can't load plugin"),
        (lambda server: server.url("x").replace("://", ":"), "is not of the form"),
    ],
)
def test_an_address_that_cannot_be_used(
    course: Course,
    tmp_path: Path,
    postgres: Server,
    capsys: pytest.CaptureFixture[str],
    broken: Callable[[Server], str],
    said: str,
) -> None:
    submit(tmp_path, "ada")
    assert grade.grade(options(course, tmp_path, broken(postgres))) == UNUSABLE
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not {PASSWORD, PASSWORD.replace(" ", "%20"), "not it", "not%20it"} & set(error.split())
    assert "s3cret" not in error
