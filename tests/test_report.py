"""The class report says what happened, escapes what students wrote, and needs nothing beside it."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from autograder import __main__, report
from autograder.records import Journal, Record, Written, grades_csv, with_gradebook
from autograder.results import ExerciseResult, Status

HOSTILE = "<script>alert(1)</script>\"'&"


def exercise(
    name: str, points: float, status: Status, mistake: str = "", message: str = ""
) -> ExerciseResult:
    hint = f"the hint of {mistake}" if mistake else ""
    return ExerciseResult(
        name, points, 4.0, status, hint=hint, message=message, seconds=points, mistake=mistake
    )


def record(student_id: str, *exercises: ExerciseResult, status: Status = "ok") -> Record:
    unreadable = status != "ok"
    return Record(
        student_id=student_id,
        lab="lab00_toy",
        run_id="run",
        graded_at="2026-11-20T12:00:00+00:00",
        digest="d",
        checks="c",
        status=status,
        reason=f"it is {status}" if unreadable else "",
        notes=(),
        order=("first", "second", "question-why"),
        exercises=exercises or tuple(exercise(name, 0.0, status) for name in ("first", "second")),
        written=(Written("question-why", 2.0, status, 0.0 if unreadable else None),),
        seconds=sum(item.points for item in exercises),
        tier="namespaces",
        versions={"numpy": "2"},
    )


@pytest.fixture
def records() -> list[Record]:
    return [
        record("ada", exercise("first", 4.0, "ok"), exercise("second", 4.0, "ok")),
        record("bob", exercise("first", 1.0, "wrong", "flips"), exercise("second", 4.0, "ok")),
        record("cy", exercise("first", 0.0, "wrong", "flips"), exercise("second", 0.0, "missing")),
        record(
            "dan",
            exercise("first", 2.0, "wrong", "drops"),
            exercise("second", 0.0, "timeout", message="too long"),
        ),
        record("eve", status="malformed"),
    ]


class Page(HTMLParser):
    """The parts of a page that a browser would act on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def words(text: str) -> str:
    return " ".join(" ".join(Page(text).text).split())


def test_it_counts_who_passed_and_which_mistakes_were_made(records: list[Record]) -> None:
    said = words(report.render(records))
    assert "first 4 1.40 1 of 5" in said
    assert "second 4 1.60 2 of 5" in said
    flips, drops = said.index("2× flips : the hint of flips"), said.index("1× drops")
    assert flips < drops
    assert "3 wrong , 1 ok , 1 malformed" in said


def test_it_shows_the_distribution(records: list[Record]) -> None:
    text = report.render(records)
    counts = re.findall(r"<title>(\d+–\d+): (\d+)</title>", text)
    assert [int(n) for _, n in counts] == [2, 0, 1, 0, 0, 0, 1, 0, 0, 1]
    said = words(text)
    assert "students 5" in said
    assert "median 2.00" in said  # of 8, 5, 2, 0, and 0 for what could not be read


def test_it_names_who_needs_a_look_and_who_took_long(records: list[Record]) -> None:
    said = words(report.render(records))
    failed = said[said.index("need a look") : said.index("Slowest")]
    assert "dan timeout second too long" in failed
    assert "eve malformed the submission it is malformed" in failed
    assert "ada" not in failed
    slowest = said[said.index("Slowest") : said.index("✓ all points")]
    assert slowest.index("ada 8.00") < slowest.index("bob 5.00") < slowest.index("dan 2.00")


def test_what_students_wrote_is_only_text(records: list[Record]) -> None:
    bad = [exercise("first", 0.0, "error", HOSTILE, HOSTILE), exercise("second", 0.0, "missing")]
    hostile = dataclasses.replace(record(HOSTILE, *bad), notes=(HOSTILE,), reason=HOSTILE)
    text = report.render([*records, hostile])
    page = Page(text)
    assert HOSTILE in "".join(page.text)
    assert [tag for tag, _ in page.tags].count("script") == 1
    handlers = [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert handlers == []


def test_it_asks_nothing_of_the_network(records: list[Record]) -> None:
    text = report.render(records)
    addresses = [
        value
        for _, attrs in Page(text).tags
        for name, value in attrs.items()
        if name in ("src", "href", "action", "data", "poster", "srcset")
    ]
    assert addresses == ["data:,"]
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_its_only_script_is_the_one_that_its_policy_names(records: list[Record]) -> None:
    import base64
    import hashlib

    text = report.render(records)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    (named,) = re.findall(r"script-src 'sha256-([^']+)'", text)
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() == named


def test_a_thousand_students_make_a_page_of_a_few_megabytes(records: list[Record]) -> None:
    many = [dataclasses.replace(records[i % 5], student_id=f"s{i:04}") for i in range(1000)]
    text = report.render(many)
    assert len(text) < 3_000_000
    assert words(text).count("s0") >= 1000 - 1


def test_nobody_yet_is_a_report_too() -> None:
    assert "Nobody has been graded yet." in report.render([])


def test_grades_are_safe_to_open_in_a_spreadsheet(records: list[Record]) -> None:
    formula = dataclasses.replace(
        records[2],
        student_id="=cmd|'/C calc'!A0",
        notes=("-1+1",),
        exercises=(
            exercise("first", 0.0, "error", message='@SUM(A1)\nand a line, "quoted"'),
            exercise("second", 0.0, "error", message="+1"),
        ),
    )
    rows = list(csv.reader(io.StringIO(grades_csv([formula, records[0]]))))
    assert all(len(row) == 7 for row in rows)
    assert not [field for row in rows for field in row if field[:1] in "=+-@\t\r" and field]
    assert rows[1][-1] == '\'@SUM(A1)\nand a line, "quoted"; -1+1'


def test_rows_for_everybody_and_every_exercise(records: list[Record]) -> None:
    rows = list(csv.DictReader(io.StringIO(grades_csv(records))))
    assert [row["exercise"] for row in rows[:3]] == ["first", "second", "question-why"]
    assert len(rows) == 5 * 3
    assert rows[2] | {"points": "", "status": "ok"} == rows[2]
    assert [row["points"] for row in rows if row["student_id"] == "eve"] == ["0", "0", "0"]
    assert {row["status"] for row in rows if row["student_id"] == "eve"} == {"malformed"}


def test_points_of_people_come_first(records: list[Record]) -> None:
    graded = with_gradebook(
        records[1], {"first": (1.0, 3.5), "second": (4.0, None), "question-why": (None, 1.5)}
    )
    rows = list(csv.DictReader(io.StringIO(grades_csv([graded]))))
    assert [row["points"] for row in rows] == ["3.5", "4", "1.5"]
    assert graded.points == 9.0
    assert with_gradebook(records[4], {"question-why": (0.0, 1.0)}).points == 0.0


def test_the_journal_forgets_nothing_that_was_whole(tmp_path: Path, records: list[Record]) -> None:
    journal = Journal(tmp_path / "results.jsonl")
    for item in records:
        journal.append(item)
    with journal.path.open("a") as file:
        file.write('{"student_id": "zoe", "torn')
    changed = dataclasses.replace(records[0], notes=("a line\u2028in a line",))
    journal.append(changed)
    read = journal.read()
    assert read == {item.student_id: item for item in [*records[1:], changed]}
    journal.rewrite(read.values())
    assert journal.read() == read
    assert len(journal.path.read_text().split("\n")) == 5 + 1
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


def test_the_command_writes_both_again(
    tmp_path: Path, records: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(tmp_path / "results.jsonl")
    journal.rewrite(records)
    options = ["--out", str(tmp_path), "--course", str(tmp_path / "no course")]
    assert __main__.main(["report", "lab00_toy", *options]) == 0
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert len((tmp_path / "grades.csv").read_text().splitlines()) == 16
    assert __main__.main(["report", "lab01_other", *options]) == 2
    assert "holds no results of lab01_other" in capsys.readouterr().err
