"""Write grades.csv, report.html and similarity.html again, from what is recorded."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from autograder import alike, discover, items, pages
from autograder.alike import Alike
from autograder.handed_in import bad_id
from autograder.items import Analysis, Item
from autograder.markup import as_html
from autograder.records import Journal, Record, grades_csv, replace, with_gradebook
from autograder.results import ExerciseResult, Status

if TYPE_CHECKING:
    from autograder.course import Course

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
MIB = 1 << 20
TIERS = {
    "namespaces": "a file system, process list and network of its own, all but empty",
    "cgroup": "the kernel counts and bounds its memory and processes",
    "landlock": "the kernel refuses every path that it was not given",
    "seccomp": "the kernel refuses system calls that a notebook has no use for",
    "none": "no protection: it ran with the rights of whoever graded",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``python -m autograder report``."""
    parser.add_argument("lab", help="labNN_topic")
    parser.add_argument("--out", type=Path, required=True, help="where `grade` wrote its results")
    parser.add_argument("--course", type=Path, default=discover.COURSE, help="course directory")
    parser.add_argument("--db-url", help="gradebook elsewhere than in the course directory")


def run(arguments: argparse.Namespace) -> int:
    """Write the tables and pages again; return the exit code."""
    from autograder import late
    from autograder.course import Course, CourseError

    records = Journal(arguments.out / "results.jsonl").read()
    ours = [record for record in records.values() if record.lab == arguments.lab]
    if not ours:
        print(f"{arguments.out} holds no results of {arguments.lab}", file=sys.stderr)
        return 2
    course = Course(arguments.course)
    try:
        course = Course(arguments.course, arguments.db_url)
        scores = course.scores(arguments.lab)
        late.work_out(course, arguments.lab)
        penalties = course.late_penalties(arguments.lab)
    except CourseError as error:
        print(f"{error}; points that people gave since are left out", file=sys.stderr)
        graded = ours
    else:
        graded = [
            dataclasses.replace(
                with_gradebook(record, scores.get(record.student_id, {})),
                late_penalty=penalties.get(record.student_id, 0.0),
            )
            for record in ours
        ]
    for path in write(arguments.out, graded, course):
        print(path)
    return 0


def write(out: Path, records: Sequence[Record], course: Course | None = None) -> list[Path]:
    """Write ``grades.csv``, ``report.html`` and, if pairs are alike, ``similarity.html``.

    Args:
        out: where to; its ``feedback/`` is linked.
        records: everybody's, of one lab.
        course: keeps what was handed in; None leaves similarity out.

    Returns:
        The pages.
    """
    replace(out / "grades.csv", grades_csv(records))
    lab = records[0].lab if records else "no lab"
    found = alike.of_class(course, lab, records)
    beside = out / alike.PAGE
    if found.page:
        replace(beside, found.page)
    elif course is not None:
        beside.unlink(missing_ok=True)  # of an earlier run, about other submissions
    feedback = {
        record.student_id
        for record in records
        if not bad_id(record.student_id)
        and (out / "feedback" / record.student_id / f"{lab}.html").is_file()
    }
    replace(out / "report.html", render(records, found, feedback))
    return [out / "report.html", *([beside] if found.page else [])]


def render(
    records: Sequence[Record],
    found: Alike | None = None,
    feedback: frozenset[str] | set[str] = frozenset(),
) -> str:
    """Return the report on a class as one page that needs nothing beside it.

    Args:
        records: everybody's, of one lab.
        found: what was handed in alike; None if nobody looked.
        feedback: students whose feedback lies in ``feedback/`` beside the page.
    """
    records = sorted(records, key=lambda record: record.student_id)
    analysis = items.analyse(records)
    lab = records[0].lab if records else "no lab"
    auto_max = max((sum(i.max_points for i in r.exercises) for r in records), default=0.0)
    anchors = {record.student_id: f"s{number}" for number, record in enumerate(records)}
    names = [item.name for item in analysis.items if not item.written]
    questions = [item.name for item in analysis.items if item.written]
    weighed = any(record.peak_bytes for record in records)
    late = any(record.late_penalty for record in records)
    columns = ["points", *(["late"] if late else []), "seconds", *(["MiB"] if weighed else [])]
    return pages.render(
        "report.html",
        title=f"Class report: {lab}",
        made=_made(records),
        numbers=_numbers(records, auto_max),
        bins=_bins(records, auto_max),
        histogram_title=f"Histogram of {len(records)} scores",
        auto_max=f"{auto_max:g}",
        analysis=analysis,
        few=items.FEW,
        items=[_item(item) for item in analysis.items],
        misconceptions=_misconceptions(analysis),
        left_out=_left_out(analysis),
        looks=_looks(records),
        alike=found or Alike(reason=alike.NO_COURSE),
        alike_page=alike.PAGE,
        rarity=alike.rarity,
        costs=_costs(records),
        slowest=_slowest(records),
        heaviest=_heaviest(records),
        tiers=_tiers(records),
        anchors=anchors,
        columns=[*columns, *names, *questions],
        students=[_student(record, names, questions, columns) for record in records],
        feedback={
            student: f"feedback/{quote(student, safe='')}/{quote(lab, safe='')}.html"
            for student in feedback
        },
        shade={str(status): shade for status, shade in SHADE.items()} | {"mended": "soft"},
        versions=records[-1].versions if records else {},
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


def _item(item: Item) -> dict[str, Any]:
    return {
        "item": item,
        "max_points": f"{item.max_points:g}",
        "median": f"{statistics.median(item.seconds):.2f}" if item.seconds else "–",
        "most": f"{max(item.seconds):.2f}" if item.seconds else "–",
        "note": _note(item),
    }


def _note(item: Item) -> str:
    """What an instructor should look at; nothing where too few students are counted to say."""
    if item.counted < items.FEW or item.difficulty is None:
        return ""
    if item.discrimination is not None and item.discrimination < 0:
        return "the better students did worse here: is the exercise, or its check, at fault?"
    if item.difficulty < 0.3:
        return "hard: most points were lost"
    if item.discrimination is not None and item.discrimination < 0.1:
        return "hardly related to the other exercises"
    return ""


def _misconceptions(analysis: Analysis) -> list[dict[str, Any]]:
    """Mistakes of several students, and apart from them those that one student each made."""
    parts = []
    for single in (False, True):
        rows = [
            {"mistake": mistake, "hint": as_html(mistake.hint)}
            for mistake in analysis.misconceptions
            if (len(mistake.students) == 1) == single
        ]
        if rows:
            parts.append({"single": single, "rows": rows})
    return parts


def _left_out(analysis: Analysis) -> str:
    parts = [f"{count} {status}" for status, count in analysis.left_out.items()]
    return ", ".join(parts)


@dataclasses.dataclass(frozen=True)
class _Look:
    student: str
    status: str
    where: str
    reason: str


def _looks(records: Sequence[Record]) -> list[_Look]:
    rows: list[_Look] = []
    for record in records:
        whole = "the submission"
        if record.status in NOTEWORTHY:
            reason = as_html(record.reason)
            rows.append(_Look(record.student_id, record.status, whole, reason))
            continue
        for item in record.exercises:
            if item.status in NOTEWORTHY:
                said = as_html((item.message or item.hint)[:300])
                rows.append(_Look(record.student_id, item.status, item.name, said))
        if record.notes:
            said = as_html("; ".join(record.notes)[:600])
            rows.append(_Look(record.student_id, "mended", whole, said))
    return rows


def _costs(records: Sequence[Record]) -> list[dict[str, str]]:
    """Three quantiles of what submissions took."""
    memory = [record.peak_bytes / MIB for record in records]
    measures = [
        ("wall time, seconds", [record.seconds for record in records], "{:.2f}"),
        ("processor time, seconds", [record.cpu_seconds for record in records], "{:.2f}"),
        ("most memory in use, MiB", memory, "{:.0f}"),
    ]
    rows = []
    for name, values, form in measures:
        if values := sorted(value for value in values if value):
            tenth = values[min(len(values) - 1, round(0.9 * (len(values) - 1)))]
            told = (statistics.median(values), tenth, values[-1], sum(values))
            half, nine, most, total = (form.format(value) for value in told)
            total = total if "seconds" in name else ""
            rows.append({"name": name, "half": half, "nine": nine, "most": most, "total": total})
    return rows


def _slowest(records: Sequence[Record]) -> list[dict[str, str]]:
    rows = []
    for record in sorted(records, key=lambda r: -r.seconds)[:MANY]:
        if record.seconds <= 0:
            break
        slowest: ExerciseResult | None = max(
            record.exercises, key=lambda item: item.seconds, default=None
        )
        where = f"{slowest.name} ({slowest.seconds:.2f} s)" if slowest and slowest.seconds else ""
        rows.append(
            {
                "student": record.student_id,
                "seconds": f"{record.seconds:.2f}",
                "cpu": f"{record.cpu_seconds:.2f}" if record.cpu_seconds else "–",
                "where": where,
            }
        )
    return rows


def _heaviest(records: Sequence[Record]) -> list[dict[str, str]]:
    heavy = sorted(records, key=lambda r: -r.peak_bytes)[:MANY]
    return [
        {"student": record.student_id, "mib": f"{record.peak_bytes / MIB:.0f}"}
        for record in heavy
        if record.peak_bytes
    ]


def _tiers(records: Sequence[Record]) -> list[dict[str, Any]]:
    """The sandboxes that submissions ran in, each part with what it means."""
    counts = Counter(record.tier for record in records if record.tier)
    return [
        {
            "name": tier,
            "count": count,
            "parts": [(part, TIERS[part]) for part in tier.split("+") if part in TIERS],
        }
        for tier, count in counts.most_common()
    ]


def _student(
    record: Record, names: list[str], questions: list[str], columns: list[str]
) -> dict[str, Any]:
    results = {item.name: item for item in record.exercises}
    written = {item.name: item for item in record.written}
    mib = record.peak_bytes / MIB
    shade = "" if record.status == "ok" else SHADE[record.status]
    penalty = record.late_penalty
    known = {
        "points": _cell(f"{record.points:.2f}", record.points, shade, record.reason[:120]),
        "late": _cell(f"−{penalty:.2f}" if penalty else "", -penalty),
        "seconds": _cell(f"{record.seconds:.1f}" if record.seconds else "", record.seconds),
        "MiB": _cell(f"{mib:.0f}" if mib else "", mib),
    }
    cells = [known[name] for name in columns]
    for name in names:
        item = results.get(name)
        if item is None:
            cells.append(_cell("", -1.0))
            continue
        points = record.overrides.get(name, item.points)
        sign = "✓" if points >= item.max_points else "◐" if points else "✗"
        said = "" if item.status == "ok" else ": ".join(filter(None, (item.status, item.mistake)))
        cells.append(_cell(f"{sign} {points:g}", points, SHADE[item.status], said[:80]))
    for name in questions:
        question = written.get(name)
        graded = None if question is None else question.points
        cells.append(
            _cell("" if graded is None else f"{graded:g}", -1.0 if graded is None else graded)
        )
    return {"student": record.student_id, "cells": cells}


def _cell(text: str, value: float, shade: str = "", title: str = "") -> dict[str, str]:
    return {"text": text, "value": f"{value:.6g}", "shade": shade, "title": title}
