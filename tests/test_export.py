"""Exports: nbgrader's final scores in the form that Canvas, Moodle and spreadsheets read."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import errno
import io
import os
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook
from nbgrader.apps import ExportApp
from nbgrader.plugins import CsvExportPlugin
from sqlalchemy import event

from autograder import discover, nbgrader_config
from autograder.__main__ import main
from autograder.course import Course, alembic_on_path
from autograder.export import LMS
from autograder.lms import Table, match
from autograder.marks import ExportError, Mark, Part, read

LAB = "lab00_toy"
HEADER = "Student,ID,SIS User ID,SIS Login ID,Section"


@dataclasses.dataclass(frozen=True)
class Person:
    """A student of the fixture: who they are and what the gradebook says."""

    student_id: str
    first_name: str = ""
    last_name: str = ""
    email: str | None = None
    auto: float | None = 4.0
    manual: float | None = None
    extra: float | None = None
    written: float | None = 2.0
    penalty: float | None = None
    comment: str | None = None
    handed_in: bool = True
    again: bool = False


CLASS = (
    Person("ada", "Ada", "Lovelace", "ada@example.org", written=1.25, comment="too short"),
    Person("bob", "Bob", "=HYPERLINK(1)", "bob@example.org", auto=1.0, manual=3.5, extra=0.5),
    Person("cy", "Cy", "Young", None, penalty=2.5, again=True),
    Person("dan", "Dan", "Late", "dan@example.org", auto=0.0, written=0.0, penalty=3.0),
    Person("eve", "Eve", "Away", "eve@example.org", handed_in=False),
    Person("fay", "Fay", "Third", "fay@example.org", auto=4.0 / 3.0),
)
FINAL = {"ada": 5.25, "bob": 6.0, "cy": 3.5, "dan": 0.0, "eve": None, "fay": 2.0 + 4.0 / 3.0}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gradebook of nothing: making one takes nbgrader seconds, a copy does not."""
    path = tmp_path_factory.mktemp("empty") / "gradebook.db"
    with alembic_on_path():
        Gradebook(f"sqlite:///{path}").close()
    return path


def graded(root: Path, empty: Path, people: Sequence[Person]) -> Course:
    """Make a course whose gradebook is as grading and formgrader leave it."""
    course = Course(root)
    nbgrader_config.write(course.root)
    shutil.copy(empty, course.root / "gradebook.db")
    with Gradebook(course.db_url) as gradebook:
        for lab in (LAB, "lab01_other"):
            gradebook.add_assignment(lab)
            gradebook.add_notebook(lab, lab)
            most = 4 if lab == LAB else 9
            gradebook.add_grade_cell("test-first", lab, lab, max_score=most, cell_type="code")
        gradebook.add_grade_cell("question-why", LAB, LAB, max_score=2, cell_type="markdown")
        gradebook.add_solution_cell("question-why", LAB, LAB)
        for person in people:
            who = {"first_name": person.first_name, "last_name": person.last_name}
            gradebook.add_student(person.student_id, **who, email=person.email)
            if not person.handed_in:
                continue
            when = datetime.datetime(2026, 11, 20, 12)
            submission = gradebook.add_submission(LAB, person.student_id, timestamp=when)
            submission.notebooks[0].late_submission_penalty = person.penalty
            place = LAB, LAB, person.student_id
            first = gradebook.find_grade("test-first", *place)
            first.auto_score, first.manual_score = person.auto, person.manual
            first.extra_credit = person.extra
            why = gradebook.find_grade("question-why", *place)
            first.needs_manual_grade, why.needs_manual_grade = False, person.again
            why.manual_score = person.written
            gradebook.find_comment("question-why", *place).manual_comment = person.comment
        gradebook.db.commit()
    return course


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, empty: Path) -> Course:
    """A course whose gradebook holds a graded class."""
    return graded(tmp_path_factory.mktemp("course"), empty, CLASS)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory, empty: Path) -> Course:
    """A course in which two students' answers wait for a person."""
    people = [CLASS[0], *(dataclasses.replace(p, written=None) for p in CLASS[1:3])]
    return graded(tmp_path_factory.mktemp("unfinished"), empty, people)


def export(kind: str, course: Course, to: Path, *options: str) -> int:
    return main(["export", kind, LAB, "--course", str(course.root), "--to", str(to), *options])


def rows(path: Path, delimiter: str = ",") -> list[list[str]]:
    text = path.read_text("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


# -- the numbers ---------------------------------------------------------------------------------


def test_final_scores_are_nbgraders_own(course: Course, tmp_path: Path) -> None:
    own = CsvExportPlugin(to=str(tmp_path / "nbgrader.csv"), assignment=[LAB])
    with course.gradebook() as gradebook:
        marks = read(gradebook, LAB)
        own.export(gradebook)
    assert {mark.student_id: mark.score for mark in marks.students} == FINAL
    assert marks.max_score == 6.0
    with (tmp_path / "nbgrader.csv").open(encoding="utf-8") as file:
        theirs = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert theirs == {student: score or 0.0 for student, score in FINAL.items()}


def test_a_class_is_read_in_as_many_queries_as_one_student(
    course: Course, unfinished: Course
) -> None:
    counts = []
    for each in (course, unfinished):
        with each.gradebook() as gradebook:
            seen: list[str] = []
            event.listen(gradebook.engine, "before_cursor_execute", lambda *a, s=seen: s.append(a))
            read(gradebook, LAB)
            counts.append(len(seen))
    assert counts[0] == counts[1]


def test_the_table_of_everything(
    course: Course, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "grades.csv"
    assert export("csv", course, target) == 0
    with target.open(encoding="utf-8", newline="") as file:
        found = {row["student_id"]: row for row in csv.DictReader(file)}
    shown = {student: row["score"] for student, row in found.items()}
    assert shown == {
        "ada": "5.25",
        "bob": "6",
        "cy": "3.5",
        "dan": "0",
        "eve": "",
        "fay": "3.33333",
    }
    assert found["cy"]["raw_score"] == "6" and found["cy"]["late_submission_penalty"] == "2.5"
    assert found["bob"]["last_name"] == "'=HYPERLINK(1)"
    assert found["ada"]["timestamp"] == "2026-11-20 12:00:00"
    said = capsys.readouterr().out
    assert "nothing was handed in: eve\n" in said and "look again: cy\n" in said


# -- what is not graded yet ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "canvas", "moodle"])
def test_what_is_not_graded_yet_is_not_exported_unasked(
    kind: str, unfinished: Course, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(kind, unfinished, tmp_path / "out.csv") == 2
    assert capsys.readouterr().err.startswith("export: 2 answers are not graded yet (bob, cy): ")
    assert list(tmp_path.iterdir()) == []
    assert export(kind, unfinished, tmp_path / "out.csv", "--incomplete") == 0
    assert "bob" in (tmp_path / "out.csv").read_text("utf-8")


# -- Canvas --------------------------------------------------------------------------------------


def test_canvas_gets_ids_as_they_are_and_names_that_are_no_formulas(
    course: Course, tmp_path: Path
) -> None:
    target = tmp_path / "canvas.csv"
    assert export("canvas", course, target, "--column", "Toy (77)") == 0
    header, points, *students = rows(target)
    assert header == [*HEADER.split(","), "Toy (77)"]
    assert points[0].strip() == "Points Possible" and points[-1] == "6"
    assert students[0] == ["Lovelace, Ada", "", "", "ada", "", "5.25"]
    assert students[1] == ["'=HYPERLINK(1), Bob", "", "", "bob", "", "6"]
    assert [row[3] for row in students] == ["ada", "bob", "cy", "dan", "fay"]
    assert export("canvas", course, target, "--identify-by", "SIS User ID") == 0
    assert rows(target)[2][:4] == ["Lovelace, Ada", "", "ada", ""]


def test_an_id_that_a_spreadsheet_would_run_is_left_out_and_named(
    empty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    course = graded(tmp_path / "course", empty, [CLASS[0], Person("=cmd()"), Person("+4912")])
    for kind in ("canvas", "moodle"):
        assert export(kind, course, tmp_path / "out.csv") == 0
        assert "like a formula: +4912, =cmd()" in capsys.readouterr().out
        assert "cmd" not in (tmp_path / "out.csv").read_text("utf-8")


def template(path: Path) -> Path:
    """A gradebook as Canvas exports it for a German reader, with a hidden column's row."""
    return written(
        path,
        "\ufeffStudent;ID;SIS User ID;SIS Login ID;Section;Notes;Other (1);lab00_toy (2);Final",
        ";;;;;;;Manual Posting;",
        "    Points Possible;;;;;;10,00;20,00;(read only)",
        "Lovelace, Ada;11;s1;ADA;A;x;5,50;;3",
        '"Bee, Bob";12;s2;bob;A;;;EX;3',
        '"=cmd()";13;s3;cy;"A; and B";;;9,99;3',
        "Away, Eve;14;s4;eve;A;;;1,00;3",
        "Fay;15;s6;fay;A;;;N/A;3",
        "Gone, Guy;16;s5;guy;A;;;7,00;3",
    )


def test_a_canvas_template_comes_back_in_its_form_with_the_labs_column_alone(
    course: Course, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "canvas.csv"
    given = template(tmp_path / "template.csv")
    assert export("canvas", course, target, "--template", str(given)) == 0
    assert target.read_bytes().startswith(b"\xef\xbb\xbfStudent;ID;")
    assert rows(target, ";") == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "lab00_toy (2)"],
        ["", "", "", "", "", "Manual Posting"],
        ["    Points Possible", "", "", "", "", "20,00"],
        ["Lovelace, Ada", "11", "s1", "ADA", "A", "5,25"],
        ["Bee, Bob", "12", "s2", "bob", "A", "EX"],  # excused there
        ["'=cmd()", "13", "s3", "cy", "A; and B", "3,5"],
        ["Away, Eve", "14", "s4", "eve", "A", "1,00"],  # has no score here: as it was
        ["Fay", "15", "s6", "fay", "A", "N/A"],
        ["Gone, Guy", "16", "s5", "guy", "A", "7,00"],
    ]
    said = capsys.readouterr().out
    assert "5 students were found by SIS Login ID" in said
    assert "graded, but not in" in said and ": dan\n" in said
    assert "not in the gradebook: guy" in said
    assert "left so: bob, fay" in said
    assert "at 20.00 points, the lab is worth 6" in said


def test_a_template_may_be_written_over(course: Course, tmp_path: Path) -> None:
    given = template(tmp_path / "template.csv")
    assert export("canvas", course, given, "--template", str(given)) == 0
    first = given.read_bytes()
    assert export("canvas", course, given, "--template", str(given)) == 0
    assert given.read_bytes() == first


def test_a_template_is_matched_by_the_column_that_knows_most(tmp_path: Path) -> None:
    mark = Mark("x", parts=(Part("first", 1.0, 1.0),))
    people = [
        dataclasses.replace(mark, student_id="doejane", email="j@example.org"),
        dataclasses.replace(mark, student_id="roeann", email="A@example.org"),
        dataclasses.replace(mark, student_id="poelee"),
    ]
    names = written(tmp_path / "names.csv", "Student,ID", '"Doe, Jane",1', "Roe-Ann,2", "Poe Lee,3")
    found = match(Table.read(names), people, range(2))
    assert found.column == "Student" and sorted(found.rows) == [0, 1, 2]
    mails = written(tmp_path / "mails.csv", "Name,Mail", "n,J@example.org", "n,a@example.org")
    found = match(Table.read(mails), people, range(2))
    assert (found.column, sorted(found.rows)) == ("Mail", [0, 1])
    assert [mark.student_id for mark in found.absent] == ["poelee"]
    twice = written(tmp_path / "twice.csv", "Student", "Doe Jane", "Doe (Jane)", "Roe Ann")
    found = match(Table.read(twice), people, range(1))
    assert {i: mark.student_id for i, mark in found.rows.items()} == {2: "roeann"}
    assert found.strangers == ("Doe Jane", "Doe (Jane)")


# -- Moodle --------------------------------------------------------------------------------------


def test_moodle_gets_only_rows_that_it_can_take(
    course: Course, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "moodle.csv"
    assert export("moodle", course, target) == 0
    header, *students = rows(target)
    assert header == ["Username", "First name", "Last name", LAB, f"{LAB} feedback"]
    assert [row[0] for row in students] == ["ada", "bob", "cy", "dan", "fay"]
    first = "first 4/4; question-why 1.25/2 (too short)"
    assert students[0] == ["ada", "Ada", "Lovelace", "5.25", first]
    assert students[2][-1] == "first 4/4; question-why 2/2; late -2.5"
    assert export("moodle", course, target, "--identify-by", "Email address") == 0
    assert [row[0][0] for row in rows(target)[1:]] == ["a", "b", "d", "f"]
    assert "Email address is empty or begins like a formula: cy" in capsys.readouterr().out


def test_a_moodle_worksheet_is_filled_in(course: Course, tmp_path: Path) -> None:
    given = written(
        tmp_path / "worksheet.csv",
        "Identifier,Full name,Email address,Grade,Maximum Grade,Last modified (grade),"
        "Feedback comments",
        "Participant 3,Ada Lovelace,ADA@example.org,,6.00,-,",
        'Participant 4,Bob,bob@example.org,1.00,6.00,"Friday, 20 November 2026",my own words',
        "Participant 5,Eve Away,eve@example.org,,6.00,-,",
    )
    target = tmp_path / "moodle.csv"
    assert export("moodle", course, target, "--template", str(given)) == 0
    assert rows(target)[0] == rows(given)[0]
    assert [row[3] for row in rows(target)[1:]] == ["5.25", "6", ""]
    assert rows(target)[2][5:] == ["Friday, 20 November 2026", "my own words"]
    assert rows(target)[1][6].startswith("first 4/4")


# -- nbgrader's own command ----------------------------------------------------------------------


def test_stock_nbgrader_export_takes_the_plugins(
    course: Course,
    unfinished: Course,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "canvas.csv"
    arguments = [
        "--exporter=autograder.exporters.CanvasExporter",
        f"--assignment=['{LAB}']",
        f"--to={target}",
    ]

    def run(folder: Path, *more: str) -> None:
        monkeypatch.chdir(folder)
        app = ExportApp()
        app.initialize([*arguments, *more])
        app.start()

    given = template(tmp_path / "template.csv")
    run(course.root, f"--CanvasExporter.template={given}")
    assert ["Lovelace, Ada", "11", "s1", "ADA", "A", "5,25"] in rows(target, ";")
    target.unlink()
    with pytest.raises(SystemExit):
        run(unfinished.root)
    assert not target.exists()
    run(unfinished.root, "--CanvasExporter.incomplete=True")
    assert target.exists()


# -- what cannot be used -------------------------------------------------------------------------

BAD_TEMPLATES = {
    "not text": (b"\xff\xfe\x00S\xd8", "is not UTF-8"),
    "empty": (b"", "is not a table"),
    "no gradebook": (b"a,b\n1,2\n", "is not a gradebook that Canvas exported"),
    "other assignments": (f"{HEADER},Quiz (5)\n".encode(), "there is 'Quiz (5)'"),
    "the lab twice": (f"{HEADER},{LAB} (1),{LAB} (2)\n".encode(), f"'{LAB} (2)'"),
    "strangers": (f"{HEADER},{LAB} (1)\nX,1,,x,A,\n".encode(), "names no student"),
    "broken row": (f"{HEADER},{LAB} (1)\nX,1,,x,A,1,2\n".encode(), "row 2 has more fields"),
}


@pytest.mark.parametrize("name", BAD_TEMPLATES)
def test_a_template_that_is_none_is_one_sentence(
    name: str, course: Course, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, said = BAD_TEMPLATES[name]
    given = tmp_path / "template.csv"
    given.write_bytes(raw)
    assert export("canvas", course, tmp_path / "out.csv", "--template", str(given)) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("canvas", ["--identify-by", "Shoe size"], "'Shoe size' does not identify students"),
        ("moodle", ["--identify-by", "ID"], "Username or ID number or Email address does"),
        ("canvas", ["--template", "/no/such/file"], "/no/such/file cannot be read: No such file"),
        ("csv", ["--to", "/no/such/folder/x.csv"], "cannot be written: No such file"),
        ("csv", ["--to", "/"], "/ cannot be written: Is a directory"),
        ("csv", ["--course", "/no/such/course"], "has no gradebook yet: grade a class first"),
        ("csv", ["--db-url", "nonsense"], "the gradebook's address is not of the form"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    kind: str,
    options: list[str],
    said: str,
    course: Course,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert export(kind, course, tmp_path / "out.csv", *options) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_lab_that_nobody_was_graded_in(
    course: Course, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["--course", str(course.root), "--to", str(tmp_path / "out.csv")]
    assert main(["export", "csv", "lab07_none", *arguments]) == 2
    assert "holds no lab 'lab07_none'; it holds lab00_toy, lab01_other" in capsys.readouterr().err
    assert main(["export", "csv", "lab01_other", *arguments]) == 2
    assert "nobody's grades of lab01_other" in capsys.readouterr().err


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    course: Course,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = written(tmp_path / "out.csv", "the old one")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert export("csv", course, target) == 2
    assert "cannot be written: No space left on device" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert target.read_text("utf-8") == "the old one\n"


def test_stock_export_asks_for_one_lab(course: Course) -> None:
    from autograder.exporters import CsvExporter

    with course.gradebook() as gradebook:
        plugin: Any = CsvExporter(assignment=[])
        with pytest.raises(ExportError, match=r"name one lab .* there is lab00_toy, lab01_other"):
            plugin.write(gradebook)


# -- the handbook --------------------------------------------------------------------------------

PAGE = discover.ROOT / "book" / "instructor" / "guide" / "4_export.md"
SHOWN = [
    line.replace("lab02_q_learning_sarsa", LAB)
    for block in re.findall(r"```bash\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    for line in block.splitlines()
]
GRADES = [line for line in SHOWN if "gradescope" not in line]


@pytest.mark.parametrize("line", GRADES, ids=[str(i) for i in range(len(GRADES))])
def test_the_handbooks_commands_run(
    line: str, course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template(tmp_path / "gradebook.csv")
    written(tmp_path / "worksheet.csv", "Identifier,Username,Grade", "Participant 1,ada,")
    monkeypatch.setattr(discover, "COURSE", course.root)
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(line)
    if program == "nbgrader":
        (tmp_path / "nbgrader_config.py").write_bytes(
            (course.root / "nbgrader_config.py")
            .read_bytes()
            .replace(b"Path(__file__).resolve().parent", f"Path({str(course.root)!r})".encode())
        )
        app = ExportApp()
        app.initialize(arguments[1:])
        app.start()
    else:
        assert [program, *arguments[:2]] == ["python", "-m", "autograder"]
        assert main(arguments[2:]) == 0
    (made,) = {path.name for path in tmp_path.glob("*.csv")} - {"gradebook.csv", "worksheet.csv"}
    assert made in line


def test_the_handbook_shows_every_format() -> None:
    shown = {shlex.split(line)[4] for line in SHOWN if line.startswith("python")}
    assert shown == {*LMS, "gradescope"}
