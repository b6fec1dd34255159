"""The class report says what happened, escapes what students wrote, and needs nothing beside it."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
import pytest

from autograder import __main__, report
from autograder.course import Course
from autograder.records import Journal, Record, Written, grades_csv, with_gradebook
from autograder.results import ExerciseResult, Status
from tests.honest import STUBS, stub, student

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


CONTRASTS = """() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (text) => {
    const [r, g, b] = numbers(text).slice(0, 3).map((c) => c / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
  };
  return [...document.querySelectorAll("main :not(title)")]
    .filter((node) => [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .map((node) => {
      const style = getComputedStyle(node);
      const colour = node.namespaceURI.includes("svg") ? style.fill : style.color;
      const [a, b] = [light(colour), light(ground(node))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), node.tagName + " " + node.className];
    });
}"""


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
    """What a reader sees: no styles, no script."""
    shown = re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)
    return " ".join(" ".join(Page(shown).text).split())


def section(text: str, start: str, end: str) -> str:
    said = words(text[text.index(f'id="{start}"') :])
    return said[: said.index(end)] if end else said


def test_it_analyses_the_exercises(records: list[Record]) -> None:
    said = section(report.render(records), "exercises", "How to read")
    assert (
        "4 students are counted; not counted, since nothing of theirs could be run: 1 mal" in said
    )
    assert "With fewer than 30, discrimination and reliability swing widely" in said
    assert "first 4 44 % 25 % 0.51 3 wrong , 1 ok" in said
    assert "second 4 50 % 50 % 0.51 2 ok , 1 missing , 1 timeout" in said
    assert "question-why 2 – – – graded by hand: 0 of 4" in said
    assert "Reliability (Cronbach’s alpha) of the autograded exercises together: 0.65" in said


def test_it_tells_which_mistakes_were_made_by_whom(records: list[Record]) -> None:
    text = report.render(records)
    said = section(text, "misconceptions", "Exercises")
    assert "first flips : the hint of flips 2 50 % bob , cy" in said
    assert "1 mistakes that one student each made" in said
    assert said.index("flips") < said.index("drops : the hint of drops 1 25 % dan")
    links = [a["href"] for tag, a in Page(text).tags if tag == "a" and a["href"] == "#s1"]
    assert len(links) >= 1  # bob
    assert '<tr id="s1"><th scope="row">bob' in text


def test_few_students_get_no_verdict_on_an_exercise(records: list[Record]) -> None:
    """The better half fails the second exercise: with 40 students that is worth a look."""
    worse = [
        record(f"s{i:02}", exercise("first", 4.0 * (i % 2), "ok"), exercise("second", points, "ok"))
        for i in range(40)
        for points in [4.0 * (i % 2 == 0 or i < 4)]
    ]
    assert "is the exercise, or its check, at fault?" in words(report.render(worse))
    assert "at fault?" not in section(report.render(worse[:20]), "exercises", "How to read")


def test_it_shows_the_distribution(records: list[Record]) -> None:
    text = report.render(records)
    counts = re.findall(r"<title>(\d+–\d+): (\d+)</title>", text)
    assert [int(n) for _, n in counts] == [2, 0, 1, 0, 0, 0, 1, 0, 0, 1]
    said = words(text)
    assert "students 5" in said
    assert "median 2.00" in said  # of 8, 5, 2, 0, and 0 for what could not be read


def test_it_names_who_needs_a_look_and_who_took_long(records: list[Record]) -> None:
    said = words(report.render(records))
    failed = section(report.render(records), "look", "Handed in alike")
    assert "dan timeout second too long" in failed
    assert "eve malformed the submission it is malformed" in failed
    assert "ada" not in failed
    slowest = said[said.index("Slowest submissions") : said.index("✓ all points")]
    assert slowest.index("ada 8.00") < slowest.index("bob 5.00") < slowest.index("dan 2.00")


def test_it_tells_time_memory_and_sandbox(records: list[Record]) -> None:
    tier = "namespaces+landlock+seccomp"
    costly = [
        dataclasses.replace(r, cpu_seconds=0.5 + i, peak_bytes=(100 + i) << 20, tier=tier)
        for i, r in enumerate(records[:3])
    ]
    said = section(report.render([*costly, records[3]]), "cost", "✓ all points")
    assert "processor time, seconds 1.50 2.50 2.50 4.50" in said
    assert "most memory in use, MiB 101 102 102 Slowest" in said
    assert "Largest in memory The 3 that used most. student MiB cy 102 bob 101 ada 100" in said
    assert f"3 submissions ran in {tier} . Namespaces: a file system" in said
    assert "1 submissions ran in namespaces" in said
    assert "MiB" not in section(report.render(records), "students", "numpy")


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
    assert {address for address in addresses if not str(address).startswith("#")} == {"data:,"}
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_its_only_script_and_style_are_those_that_its_policy_names(records: list[Record]) -> None:
    import base64
    import hashlib

    text = report.render(records)
    for kind in ("script", "style"):
        (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        (named,) = re.findall(rf"{kind}-src 'sha256-([^']+)'", text)
        assert base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() == named
    assert "unsafe-inline" not in text
    assert not [tag for tag, attrs in Page(text).tags if "style" in attrs]


def test_a_thousand_students_make_a_page_of_a_few_megabytes() -> None:
    names = [f"exercise_{number}" for number in range(12)]
    many = [
        record(
            f"s{i:04}",
            *(
                exercise(name, 4.0, "ok")
                if (i + j) % 3
                else exercise(name, 0.0, "wrong", f"mistake_{(i + j) % 5}", "x" * 300)
                for j, name in enumerate(names)
            ),
        )
        for i in range(1000)
    ]
    many = [dataclasses.replace(r, order=(*names, "question-why")) for r in many]
    text = report.render(many)
    assert len(text) < 2_000_000
    page = Page(text)
    assert len([tag for tag, attrs in page.tags if attrs.get("id", "").startswith("s")]) >= 1000
    assert len(page.tags) < 40_000


@pytest.mark.parametrize(
    "points", [[], [4.0], [4.0] * 30, [0.0] * 30], ids=["nobody", "one", "perfect", "nothing"]
)
def test_every_class_has_a_report(points: list[float]) -> None:
    def result(name: str, earned: float) -> ExerciseResult:
        return exercise(name, earned, "ok" if earned else "missing")

    some = [record(f"s{i}", result("first", p), result("second", p)) for i, p in enumerate(points)]
    missing = [record(f"t{i}", status="missing") for i in range(3)]
    for everybody in (some, [*some, *missing]):
        said = words(report.render(everybody))
        assert f"students {len(everybody)} handed in {len(some)}" in said
        assert "nan" not in said
        assert "Reliability cannot be computed" in said or not everybody


def test_hostile_names_break_no_row(records: list[Record]) -> None:
    names = ["=1+1", "\u202eevil", "a\nb", "../../etc", "x" * 500, "<b>", "a&b", "\ud800", "\0"]
    hostile = [dataclasses.replace(records[1], student_id=name) for name in names]
    text = report.render(hostile)
    assert "\u202e" not in text
    assert text.count('<tr id="s') == len(names)
    text.encode()
    assert not [a for tag, a in Page(text).tags if tag == "a" and not a["href"].startswith("#")]


def test_it_links_to_feedback_that_is_there(tmp_path: Path, records: list[Record]) -> None:
    odd = dataclasses.replace(records[0], student_id="o'hara (2)")
    for name in ("ada", "o'hara (2)"):
        (tmp_path / "feedback" / name).mkdir(parents=True)
        (tmp_path / "feedback" / name / "lab00_toy.html").write_text("well done")
    report.write(tmp_path, [*records, odd])
    tags = Page((tmp_path / "report.html").read_text("utf-8")).tags
    links = [str(a["href"]) for tag, a in tags if tag == "a" and "feedback" in str(a["href"])]
    assert links == ["feedback/ada/lab00_toy.html", "feedback/o%27hara%20%282%29/lab00_toy.html"]
    assert all((tmp_path / unquote(link)).is_file() for link in links)


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
    assert rows[1][-1] == "'@SUM(A1) and a line, \"quoted\";' -1+1"


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


def kept_class(folder: Path, copied: bool) -> tuple[Course, list[Record]]:
    """A course that keeps twenty honest students; of them two handed in the same."""
    stubs = {name: stub(name) for name in STUBS}

    def notebook(sources: dict[str, str]) -> bytes:
        cells = [
            nbformat.v4.new_code_cell(
                text,
                metadata={
                    "nbgrader": {
                        "grade_id": name,
                        "solution": True,
                        "grade": False,
                        "locked": False,
                        "schema_version": 3,
                        "task": False,
                    }
                },
            )
            for name, text in sources.items()
        ]
        return nbformat.writes(nbformat.v4.new_notebook(cells=cells)).encode()

    def put(path: Path, raw: bytes) -> None:
        path.parent.mkdir(parents=True)
        path.write_bytes(raw)

    name = "lab00_toy/lab00_toy.ipynb"
    put(folder / "release" / name, notebook(stubs))
    records = []
    for number in range(20):
        answers = student(0 if copied and number == 1 else number)
        if number == 1:
            answers["softmax"] += "\n    # </pre><script>alert(1)</script> \u202e"
        who = f"s{number:02}"
        put(folder / "prepared" / who / name, notebook(answers))
        records.append(record(who, exercise("first", 4.0, "ok"), exercise("second", 4.0, "ok")))
    return Course(folder), records


def test_pairs_stand_side_by_side_on_a_page_beside_it(tmp_path: Path) -> None:
    course, records = kept_class(tmp_path / "course", copied=True)
    out = tmp_path / "out"
    out.mkdir()
    before = [r.to_json() for r in records]
    assert report.write(out, records, course) == [out / "report.html", out / "similarity.html"]
    said = section((out / "report.html").read_text(), "alike", "Time and memory")
    assert "A reason to talk, not a proof." in said
    assert "20 students were compared in 6 answers" in said
    assert "s00 – s01 ( side by side ) once in" in said
    text = (out / "similarity.html").read_text()
    assert [r.to_json() for r in records] == before  # it never touches a grade
    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert text.count("<mark>") >= 12
    assert words(text).count("softmax s00") == 1
    assert "default-src 'none'" in text
    addresses = [a.get("href") for tag, a in Page(text).tags if tag in ("a", "link")]
    assert addresses == ["data:,", "report.html"]


def test_pairs_of_another_run_do_not_stay(tmp_path: Path) -> None:
    course, records = kept_class(tmp_path / "course", copied=False)
    out = tmp_path / "out"
    out.mkdir()
    (out / "similarity.html").write_text("of an earlier run")
    assert report.write(out, records, course) == [out / "report.html"]
    assert not (out / "similarity.html").exists()
    said = section((out / "report.html").read_text(), "alike", "Time and memory")
    assert "None: 20 students were compared in 6 answers" in said


def test_what_is_no_longer_kept_is_left_out_and_said(tmp_path: Path) -> None:
    course, records = kept_class(tmp_path / "course", copied=True)
    for number in range(3):
        shutil.rmtree(course.root / "prepared" / f"s{number:02}")
    report.write(tmp_path, records, course)
    said = section((tmp_path / "report.html").read_text(), "alike", "Time and memory")
    assert "Of 3 of 20 students the submitted notebook is no longer in" in said
    shutil.rmtree(course.root / "prepared")
    report.write(tmp_path, records, course)
    said = section((tmp_path / "report.html").read_text(), "alike", "Time and memory")
    assert "Of all students the submitted notebook is no longer in" in said
    assert "Code that is more alike" not in said
    shutil.rmtree(course.root / "release")
    report.write(tmp_path, records, course)
    said = section((tmp_path / "report.html").read_text(), "alike", "Time and memory")
    assert "is not there: build the labs first (make labs); similarity is left out" in said


@pytest.mark.needs("chromium")
def test_it_is_sorted_and_filtered_by_keyboard(
    page: Callable[..., tuple[Any, Any]], tmp_path: Path, records: list[Record]
) -> None:
    path = tmp_path / "report.html"
    path.write_text(report.render(records), encoding="utf-8")
    reader, seen = page()
    reader.goto(path.as_uri())

    def column(number: int) -> list[str]:
        cells = reader.locator(f"#class tbody tr:visible > :nth-child({number})")
        return [text.strip() for text in cells.all_text_contents()]

    header = reader.locator("#class thead th").nth(1)
    header.locator("button").focus()
    reader.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert column(2) == ["0.00", "0.00", "2.00", "5.00", "8.00"]
    reader.keyboard.press("Space")
    assert header.get_attribute("aria-sort") == "descending"
    assert column(1)[0] == "ada"
    reader.get_by_label("Show students whose name contains").fill("A")
    assert column(1) == ["ada", "dan"]
    assert reader.locator("#count").inner_text() == "2 of 5"
    assert reader.locator("th[aria-sort]").count() == 1
    assert seen.faults == []
    assert seen.requests == [path.as_uri()]


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_its_ground(
    page: Callable[..., tuple[Any, Any]], tmp_path: Path, records: list[Record], dark: bool
) -> None:
    """Contrast of at least 4.5 (WCAG 2.1, 1.4.3); headings in order, tables named, on a phone."""
    path = tmp_path / "report.html"
    path.write_text(report.render(records), encoding="utf-8")
    reader, _ = page(width=400, dark=dark)
    reader.goto(path.as_uri())
    found = reader.evaluate(CONTRASTS)
    assert len(found) > 50
    assert min(contrast for contrast, _ in found) >= 4.5, min(found)
    levels = reader.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    assert reader.locator("table").count() == reader.locator("table > caption").count()
    assert reader.locator("th:not([scope])").count() == 0
    assert reader.evaluate("document.documentElement.scrollWidth") <= 400
