"""What grading wrote down: ``results.jsonl``, a line per student, and ``grades.csv`` made from it.

A line is appended, and flushed to disk, once the gradebook holds the same scores. A line torn by
a crash is ignored, so that its student is graded again; of several lines the last one counts.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.results import ExerciseResult, Status

if TYPE_CHECKING:
    from nbformat import NotebookNode  # takes a second to import

CSV_COLUMNS = ("student_id", "lab", "exercise", "points", "max_points", "status", "hint")
FORMULA_STARTS = (*"=+-@", "\t", "\r", "\n", *"＝＋－＠")  # OWASP's list
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
FORMULA = re.compile(  # where a field starts, or where a program that parts at ";" sees a start
    r"(^|;)(?=[\s'\"\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]*"
    rf"[{re.escape(''.join(FORMULA_STARTS))}])"
)
UNFINISHED = re.compile(r"\..+\.\d+")  # what `replace` writes to first
UNANSWERED = "left empty: nbgrader counts 0 unless you give points"


@dataclasses.dataclass(frozen=True)
class GradeCell:
    """A cell of the release that is worth points.

    Attributes:
        grade_id: nbgrader's name for the cell.
        exercise: the exercise's name; of a written question the cell's own.
        points: what it is worth.
        written: true for a question that a person grades.
    """

    grade_id: str
    exercise: str
    points: float
    written: bool


def grade_cells(release: NotebookNode) -> tuple[GradeCell, ...]:
    """Return the graded cells of a release, in its order."""
    cells = []
    for cell in release.cells:
        data = cell.metadata.get("nbgrader", {})
        if data.get("grade", False):
            name, written = data.grade_id, bool(data.get("solution", False))
            exercise = name if written else name.removeprefix("test-")
            cells.append(GradeCell(name, exercise, float(data.points), written))
    return tuple(cells)


@dataclasses.dataclass(frozen=True)
class Written:
    """A written question: without points until a person grades it.

    Attributes:
        status: ``ok``, or why the whole submission could not be run.
    """

    name: str
    max_points: float
    status: Status = "ok"
    points: float | None = None
    answered: bool = True


@dataclasses.dataclass(frozen=True)
class Record:
    """One student's line in ``results.jsonl``.

    Attributes:
        digest: of what was handed in, as it was graded.
        checks: of the lab's own files, so that a change of them can be noticed.
        status: ``ok`` if the notebook was run; else why it was not.
        reason: the same in a sentence.
        notes: what was mended or left out before grading.
        order: names of exercises and written questions, as in the notebook.
        seconds: wall time of running and judging.
        tier: the sandbox.
        cpu_seconds: processor time of the student's processes.
        peak_bytes: the most memory that one of them had in use.
        overrides: points that a person gave instead of the autograder's, by exercise.
        late_penalty: points that nbgrader takes off the total for coming late.
    """

    student_id: str
    lab: str
    run_id: str
    graded_at: str
    digest: str
    checks: str
    status: Status
    reason: str
    notes: tuple[str, ...]
    order: tuple[str, ...]
    exercises: tuple[ExerciseResult, ...]
    written: tuple[Written, ...]
    seconds: float
    tier: str
    versions: dict[str, str]
    overrides: dict[str, float] = dataclasses.field(default_factory=dict)
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    late_penalty: float = 0.0

    @property
    def points(self) -> float:
        """All points so far, a person's judgement first."""
        earned = {item.name: item.points for item in self.exercises} | self.overrides
        return sum(earned.values()) + sum(item.points or 0.0 for item in self.written)

    @property
    def max_points(self) -> float:
        return sum(item.max_points for item in self.exercises) + sum(
            item.max_points for item in self.written
        )

    @property
    def auto_points(self) -> float:
        """The referee's points."""
        return sum(item.points for item in self.exercises)

    def to_json(self) -> str:
        tree = {**vars(self), "written": [vars(item) for item in self.written]}
        tree["exercises"] = [item.to_dict() for item in self.exercises]
        tree |= {"points": self.points, "max_points": self.max_points}
        line = json.dumps(tree, ensure_ascii=False, allow_nan=False)
        return line.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair has no bytes

    @classmethod
    def from_json(cls, line: str) -> Record:
        """Read one line.

        Raises:
            ValueError: if it is not one.
        """
        try:
            tree = json.loads(line)
            tree["exercises"] = tuple(ExerciseResult.from_dict(i) for i in tree["exercises"])
            tree["written"] = tuple(Written(**item) for item in tree["written"])
            tree["notes"], tree["order"] = tuple(tree["notes"]), tuple(tree["order"])
            names = {field.name for field in dataclasses.fields(cls)}
            return cls(**{name: value for name, value in tree.items() if name in names})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a line of results ({error})") from None


class Journal:
    """``results.jsonl``: appended to while grading, put in order at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Record]:
        """Return the last whole line of each student."""
        records: dict[str, Record] = {}
        if not self.path.exists():
            return records
        for line in self.path.read_text("utf-8", errors="replace").split("\n"):
            try:
                record = Record.from_json(line)
            except ValueError:
                continue
            records[record.student_id] = record
        return records

    def append(self, record: Record) -> None:
        """Add a line and wait until the disk has it."""
        line = record.to_json() + "\n"
        with self.path.open("ab+") as file:
            if file.tell() and not self._ends_whole(file):
                line = "\n" + line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    @staticmethod
    def _ends_whole(file: Any) -> bool:
        file.seek(-1, os.SEEK_END)
        return bool(file.read(1) == b"\n")

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace the file by one line per student, sorted."""
        ordered = sorted(records, key=lambda record: record.student_id)
        replace(self.path, "".join(record.to_json() + "\n" for record in ordered))


def replace(path: Path, text: str) -> None:
    """Write a file so that a crash leaves the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sweep(folder: Path) -> None:
    """Remove what `replace` had not finished in a run that was killed."""
    for path in folder.glob(".*"):
        if UNFINISHED.fullmatch(path.name):
            path.unlink(missing_ok=True)


def grades_csv(records: Iterable[Record]) -> str:
    """Return ``grades.csv``: a row per student and exercise, safe to open in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for record in sorted(records, key=lambda record: record.student_id):
        rows = {row[2]: row for row in _rows(record)}
        for number, name in enumerate(record.order):
            row = rows[name]
            if number == 0 and record.notes:
                row = (*row[:-1], "; ".join(filter(None, (row[-1], *record.notes))))
            writer.writerow([safe_cell(field) for field in row])
    return out.getvalue()


def _rows(record: Record) -> Iterable[tuple[Any, ...]]:
    for item in record.exercises:
        points = record.overrides.get(item.name, item.points)
        hint = "" if item.status == "ok" else item.hint or item.message
        start = (record.student_id, record.lab, item.name)
        yield (*start, points, item.max_points, item.status, hint)
    for question in record.written:
        hint = record.reason if question.status != "ok" else ""
        if not question.answered and question.points is None and not hint:
            hint = UNANSWERED
        start = (record.student_id, record.lab, question.name)
        yield (*start, question.points, question.max_points, question.status, hint)


def safe_cell(value: Any) -> str:
    """Return a field as text that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    text = CONTROLS.sub(" ", str(value)).encode("utf-8", "replace").decode("utf-8")
    return FORMULA.sub(r"\1'", text)


def with_gradebook(
    record: Record, scores: Mapping[str, tuple[float | None, float | None]]
) -> Record:
    """Return ``record`` with what people have graded since.

    Args:
        record: a line of the journal.
        scores: automatic and manual score by exercise or question, as the gradebook has them.
    """
    overrides = {
        item.name: manual
        for item in record.exercises
        if (manual := scores.get(item.name, (None, None))[1]) is not None
    }
    written = tuple(
        dataclasses.replace(item, points=scores[item.name][1])
        if item.name in scores and item.status == "ok"
        else item
        for item in record.written
    )
    return dataclasses.replace(record, overrides=overrides, written=written)
