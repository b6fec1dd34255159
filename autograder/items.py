"""Item analysis: what each exercise tells about a class, and the class about each exercise."""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from autograder.records import Record
from autograder.results import ExerciseResult, Status

FEW = 30  # students, below which correlations swing by about 0.3 from class to class


@dataclasses.dataclass(frozen=True)
class Misconception:
    """A mistake that several students may make, and who made it.

    Attributes:
        name: the mutant's, or the wrong letter or number.
        share: of the students who are counted.
    """

    exercise: str
    name: str
    hint: str
    students: tuple[str, ...]
    share: float


@dataclasses.dataclass(frozen=True)
class Item:
    """An exercise or written question.

    Attributes:
        written: true if a person grades it.
        counted: students whose points are known.
        difficulty: mean share of the points; None if nobody is counted.
        full: share of students with all points.
        discrimination: correlation of its points with those of all other autograded exercises;
            None where either is the same for everybody.
        statuses: how it ended for whom, the most frequent first.
        misconceptions: the most frequent first.
        seconds: wall time in each student's code.
    """

    name: str
    max_points: float
    written: bool
    counted: int
    difficulty: float | None
    full: float | None
    discrimination: float | None
    statuses: tuple[tuple[Status, int], ...] = ()
    misconceptions: tuple[Misconception, ...] = ()
    seconds: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Analysis:
    """A lab's items.

    Attributes:
        counted: students whose notebook could be run.
        left_out: how many others there are, by status.
        alpha: Cronbach's alpha of the autograded exercises; None if there is no variance.
    """

    items: tuple[Item, ...]
    counted: int
    left_out: dict[Status, int]
    alpha: float | None

    @property
    def misconceptions(self) -> list[Misconception]:
        """Those of all exercises, the most frequent first."""
        found = [mistake for item in self.items for mistake in item.misconceptions]
        return sorted(found, key=lambda m: (-len(m.students), m.exercise, m.name))


def analyse(records: Iterable[Record]) -> Analysis:
    """Analyse the items of a lab.

    Who handed in nothing, or nothing that could be run, says nothing about an exercise and is not
    counted: zeros in every exercise at once would make all of them look as if they agreed. An
    exercise that was left as released counts as zero points.
    """
    everybody = list(records)
    records = [record for record in everybody if record.status == "ok"]
    left_out = Counter(record.status for record in everybody if record.status != "ok")
    points = [_points(record) for record in records]
    asked = {item.name for record in everybody for item in record.exercises}
    asked |= {item.name for record in everybody for item in record.written}
    order = dict.fromkeys(name for record in everybody for name in record.order)
    names = [name for name in order if name in asked]
    exercises = {name for row in points for name in row}
    items = [
        _exercise(name, records, points)
        if name in exercises
        else _question(name, everybody, points)
        for name in names
    ]
    columns = [[row.get(name, 0.0) for row in points] for name in names if name in exercises]
    return Analysis(
        tuple(items),
        len(records),
        dict(left_out.most_common()),
        alpha(columns),
    )


def _points(record: Record) -> dict[str, float]:
    """Points by exercise, a person's judgement first."""
    return {item.name: record.overrides.get(item.name, item.points) for item in record.exercises}


def _exercise(name: str, records: Sequence[Record], points: Sequence[dict[str, float]]) -> Item:
    mine: list[tuple[str, ExerciseResult, float, float]] = [
        (record.student_id, item, earned[name], sum(earned.values()) - earned[name])
        for record, earned in zip(records, points, strict=True)
        for item in record.exercises
        if item.name == name
    ]
    most = mine[0][1].max_points
    by_mistake: dict[str, list[str]] = {}
    hints: dict[str, str] = {}
    for student, item, _, _ in mine:
        if item.mistake:
            by_mistake.setdefault(item.mistake, []).append(student)
            hints[item.mistake] = item.hint
    return Item(
        name,
        most,
        False,
        len(mine),
        statistics.fmean(earned for _, _, earned, _ in mine) / most if most else None,
        statistics.fmean(earned >= most for _, _, earned, _ in mine),
        correlation([earned for _, _, earned, _ in mine], [rest for _, _, _, rest in mine]),
        tuple(Counter(item.status for _, item, _, _ in mine).most_common()),
        tuple(
            Misconception(name, mistake, hints[mistake], tuple(who), len(who) / len(mine))
            for mistake, who in sorted(by_mistake.items(), key=lambda x: (-len(x[1]), x[0]))
        ),
        tuple(item.seconds for _, item, _, _ in mine),
    )


def _question(name: str, everybody: Sequence[Record], points: Sequence[dict[str, float]]) -> Item:
    """A written question, or an exercise of which nobody's notebook could be run."""
    asked = {item.name: item.max_points for r in everybody for item in r.exercises}
    written = {item.name: item.max_points for r in everybody for item in r.written}
    most = (asked | written)[name]
    ran = [record for record in everybody if record.status == "ok"]
    graded = [
        (item.points, sum(earned.values()))
        for record, earned in zip(ran, points, strict=True)
        for item in record.written
        if item.name == name and item.points is not None
    ]
    mine, rest = [earned for earned, _ in graded], [total for _, total in graded]
    return Item(
        name,
        most,
        name in written,
        len(graded),
        statistics.fmean(mine) / most if graded and most else None,
        statistics.fmean(earned >= most for earned in mine) if graded else None,
        correlation(mine, rest),
    )


def correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Return Pearson's correlation; None for fewer than three pairs or a constant."""
    if len(x) < 3:
        return None
    try:
        return float(statistics.correlation(x, y))
    except statistics.StatisticsError:
        return None


def alpha(columns: Sequence[Sequence[float]]) -> float | None:
    """Return Cronbach's alpha: ``k / (k - 1) * (1 - sum of variances / variance of sums)``.

    Args:
        columns: points of every student, by exercise.

    Returns:
        None for fewer than two exercises or students, or where all sums are equal.
    """
    if len(columns) < 2 or len(columns[0]) < 2:
        return None
    whole = statistics.variance([sum(row) for row in zip(*columns, strict=True)])
    if whole == 0.0:
        return None
    parts = sum(statistics.variance(column) for column in columns)
    return float(len(columns) / (len(columns) - 1) * (1.0 - parts / whole))
