"""Write the class report again: grades.csv and report.html from recorded results."""

from __future__ import annotations

import argparse
import base64
import dataclasses
import datetime
import hashlib
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from autograder import discover
from autograder.markup import as_html
from autograder.records import Journal, Record, grades_csv, replace, with_gradebook
from autograder.results import ExerciseResult, Status

SHADE: dict[Status, str] = {
    "ok": "ok",
    "wrong": "part",
    "error": "bad",
    "timeout": "bad",
    "memory": "bad",
    "killed": "bad",
    "missing": "soft",
    "malformed": "bad",
    "rejected": "bad",
}
NOTEWORTHY = ("error", "timeout", "memory", "killed", "malformed", "rejected")
MANY = 10
SORT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const collator = new Intl.Collator(undefined, { numeric: true });
  headers.forEach((header, column) => header.firstElementChild.addEventListener("click", () => {
    const up = header.getAttribute("aria-sort") !== "ascending";
    headers.forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => (up ? 1 : -1) * collator.compare(value(a, column), value(b, column)));
    table.tBodies[0].append(...rows);
  }));
}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``python -m autograder report``."""
    parser.add_argument("lab", help="labNN_topic")
    parser.add_argument("--out", type=Path, required=True, help="where `grade` wrote its results")
    parser.add_argument("--course", type=Path, default=discover.COURSE, help="course directory")
    parser.add_argument("--db-url", help="gradebook elsewhere than in the course directory")


def run(arguments: argparse.Namespace) -> int:
    """Write ``grades.csv`` and ``report.html`` again; return the exit code."""
    from autograder.course import Course, CourseError

    records = Journal(arguments.out / "results.jsonl").read()
    ours = [record for record in records.values() if record.lab == arguments.lab]
    if not ours:
        print(f"{arguments.out} holds no results of {arguments.lab}", file=sys.stderr)
        return 2
    try:
        scores = Course(arguments.course, arguments.db_url).scores(arguments.lab)
    except CourseError as error:
        print(f"{error}; points that people gave are left out", file=sys.stderr)
        scores = {}
    write(arguments.out, [with_gradebook(r, scores.get(r.student_id, {})) for r in ours])
    print(arguments.out / "report.html")
    return 0


def write(out: Path, records: Sequence[Record]) -> None:
    """Write ``grades.csv`` and ``report.html`` into ``out``."""
    replace(out / "grades.csv", grades_csv(records))
    replace(out / "report.html", render(records))


def render(records: Sequence[Record]) -> str:
    """Return the report on a class as one page that needs nothing beside it."""
    records = sorted(records, key=lambda record: record.student_id)
    folder = Path(__file__).parent / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined
    )
    digest = base64.b64encode(hashlib.sha256(SORT.encode()).digest()).decode()
    names = list(dict.fromkeys(item.name for record in records for item in record.exercises))
    questions = list(dict.fromkeys(item.name for record in records for item in record.written))
    lab = records[0].lab if records else "no lab"
    auto_max = max((sum(i.max_points for i in r.exercises) for r in records), default=0.0)
    return environment.get_template("report.html").render(
        title=f"Class report: {lab}",
        made=_made(records),
        numbers=_numbers(records, auto_max),
        bins=_bins(records, auto_max),
        histogram_title=f"Histogram of {len(records)} scores",
        auto_max=f"{auto_max:g}",
        exercises=[_exercise(name, records) for name in names],
        failed=_failed(records),
        slowest=_slowest(records),
        columns=["student", "points", "seconds", *names, *questions],
        students=[_student(record, names, questions) for record in records],
        foot=_foot(records),
        shade=SHADE,
        script=Markup(SORT),  # our own constant, named in the page's content policy
        script_hash=digest,
    )


def _made(records: Sequence[Record]) -> str:
    last = max((record.graded_at for record in records), default="")
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"Written {now}" + (f", last graded {last[:16].replace('T', ' ')} UTC" if last else "")


def _numbers(records: Sequence[Record], auto_max: float) -> list[tuple[str, str]]:
    handed_in = [record for record in records if record.status != "missing"]
    points = [record.auto_points for record in handed_in]
    waiting = sum(
        any(q.status == "ok" and q.points is None and q.answered for q in record.written)
        for record in handed_in
    )
    return [
        ("students", str(len(records))),
        ("handed in", str(len(handed_in))),
        ("mean", f"{statistics.fmean(points):.2f} of {auto_max:g}" if points else "–"),
        ("median", f"{statistics.median(points):.2f}" if points else "–"),
        ("full marks", str(sum(p >= auto_max for p in points))),
        ("not readable", str(sum(r.status in ("malformed", "rejected") for r in records))),
        ("written answers to grade", str(waiting)),
    ]


def _bins(records: Sequence[Record], auto_max: float) -> list[dict[str, Any]]:
    """Ten columns of equal width; full marks belong to the last."""
    if not records or not auto_max:
        return []
    shares = [record.auto_points / auto_max for record in records]
    counts = Counter(min(int(share * 10 + 1e-9), 9) for share in shares)
    tallest, width = max(counts.values()), 68.0
    return [
        {
            "x": round(20 + i * width + 3, 1),
            "y": round(205 - 180 * counts[i] / tallest, 1),
            "width": width - 6,
            "height": round(180 * counts[i] / tallest, 1),
            "middle": round(20 + (i + 0.5) * width, 1),
            "label": f"{10 * i}–{10 * i + (10 if i == 9 else 9)}",
            "count": counts[i],
        }
        for i in range(10)
    ]


def _exercise(name: str, records: Sequence[Record]) -> dict[str, Any]:
    results = [item for record in records for item in record.exercises if item.name == name]
    passed = sum(item.status == "ok" for item in results)
    hints: dict[str, str] = {item.mistake: item.hint for item in results if item.mistake}
    mistakes = Counter(item.mistake for item in results if item.mistake)
    statuses = Counter(item.status for item in results)
    return {
        "name": name,
        "max_points": f"{results[0].max_points:g}",
        "mean": f"{statistics.fmean(item.points for item in results):.2f}",
        "passed": f"{passed} of {len(results)}",
        "percent": round(100 * passed / len(results)),
        "statuses": statuses.most_common(),
        "mistakes": [
            {"name": mistake, "hint": as_html(hints[mistake]), "count": count}
            for mistake, count in mistakes.most_common(5)
        ],
    }


@dataclasses.dataclass(frozen=True)
class _Row:
    student: str
    status: str
    shade: str
    where: str
    reason: Markup


def _failed(records: Sequence[Record]) -> list[_Row]:
    rows: list[tuple[str, str, str, str]] = []
    for record in records:
        whole = "the submission"
        if record.status in NOTEWORTHY:
            rows.append((record.student_id, record.status, whole, record.reason))
            continue
        for item in record.exercises:
            if item.status in NOTEWORTHY:
                said = item.message or item.hint
                rows.append((record.student_id, item.status, item.name, said[:300]))
        if record.notes:
            rows.append((record.student_id, "mended", whole, "; ".join(record.notes)))
    shades = {str(status): shade for status, shade in SHADE.items()} | {"mended": "soft"}
    return [_Row(who, what, shades[what], where, as_html(why)) for who, what, where, why in rows]


def _slowest(records: Sequence[Record]) -> list[dict[str, str]]:
    rows = []
    for record in sorted(records, key=lambda r: -r.seconds)[:MANY]:
        slowest: ExerciseResult | None = max(
            record.exercises, key=lambda item: item.seconds, default=None
        )
        where = f"{slowest.name} ({slowest.seconds:.2f} s)" if slowest and slowest.seconds else ""
        rows.append(
            {"student": record.student_id, "seconds": f"{record.seconds:.2f}", "where": where}
        )
    return rows


def _student(record: Record, names: list[str], questions: list[str]) -> dict[str, Any]:
    results = {item.name: item for item in record.exercises}
    written = {item.name: item for item in record.written}
    cells = [
        _cell(f"{record.points:.2f}", record.points, SHADE[record.status], record.reason),
        _cell(f"{record.seconds:.1f}", record.seconds),
    ]
    for name in names:
        item = results.get(name)
        if item is None:
            cells.append(_cell("", -1.0))
            continue
        points = record.overrides.get(name, item.points)
        sign = "✓" if points >= item.max_points else "◐" if points else "✗"
        said = item.status + (f": {item.hint or item.message}" if item.status != "ok" else "")
        cells.append(_cell(f"{sign} {points:g}", points, SHADE[item.status], said[:300]))
    for name in questions:
        question = written.get(name)
        graded = None if question is None else question.points
        cells.append(
            _cell("" if graded is None else f"{graded:g}", -1.0 if graded is None else graded)
        )
    return {"student": record.student_id, "cells": cells}


def _cell(text: str, value: float, shade: str = "", title: str = "") -> dict[str, str]:
    return {"text": text, "value": f"{value:.6g}", "shade": shade, "title": title}


def _foot(records: Sequence[Record]) -> str:
    tiers = sorted({record.tier for record in records if record.tier})
    versions = records[-1].versions if records else {}
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"Sandbox: {', '.join(tiers) or 'none was needed'}. {shown}"
