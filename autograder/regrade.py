"""``--regrade``: what was recorded before, and what changed since for whom (``regrade.csv``).

The records from before are kept in a file until the regrade is through, so that one that was
interrupted goes on, and its table compares with what there was before it started.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from autograder.collect import printable
from autograder.records import Journal, Record, replace, safe_cell

BEFORE = ".before-regrade.jsonl"
TABLE = "regrade.csv"
COLUMNS = (
    "student_id",
    "lab",
    "exercise",
    "old_points",
    "new_points",
    "max_points",
    "old_status",
    "new_status",
    "given",
)
SHOWN = 20  # changes on the screen; the table has them all


@dataclasses.dataclass(frozen=True)
class Change:
    """One exercise of one student that is worth something else now, or fails in another way.

    Attributes:
        old_points: None where nothing was recorded before.
        given: points that a person gave, which still count; None if nobody did.
    """

    student_id: str
    lab: str
    exercise: str
    old_points: float | None
    new_points: float
    max_points: float
    old_status: str
    new_status: str
    given: float | None

    def __str__(self) -> str:
        old = "not recorded" if self.old_points is None else f"{self.old_points:g}"
        given = "" if self.given is None else f"; {self.given:g}, given by hand, counts"
        return (
            f"{printable(self.student_id)}  {self.exercise}: {old} {self.old_status} ->"
            f" {self.new_points:g} {self.new_status} of {self.max_points:g}{given}"
        ).replace(" recorded  ->", " recorded ->")


class Regrade:
    """A regrade of what is recorded in a folder.

    Args:
        journal: with what is recorded now.
    """

    def __init__(self, journal: Journal) -> None:
        self._kept = Journal(journal.path.with_name(BEFORE))
        self.goes_on = self._kept.path.exists()
        if not self.goes_on:
            self._kept.rewrite(journal.read().values())
        self.before = self._kept.read()

    def is_done(self, record: Record) -> bool:
        """Whether a record was made since the regrade began."""
        old = self.before.get(record.student_id)
        return old is None or old.run_id != record.run_id

    def finish(self, records: Iterable[Record], out: Path) -> Iterator[str]:
        """Write the table, forget what was kept, and yield what to tell.

        Args:
            records: as they are now, with what people gave.
            out: the folder for the table.
        """
        now = sorted(records, key=lambda record: record.student_id)
        changes = [change for record in now for change in _changes(self.before, record)]
        replace(out / TABLE, _table(changes))
        self._kept.path.unlink(missing_ok=True)
        yield f"judged again: {_count(changes, len(now))}; all of it in {out / TABLE}"
        for name in dict.fromkeys(item.name for record in now for item in record.exercises):
            yield f"  {name}: {_summary([c for c in changes if c.exercise == name], len(now))}"
        for change in changes[:SHOWN]:
            yield f"  {change}"
        if len(changes) > SHOWN:
            yield f"  ... and {len(changes) - SHOWN} more"


def _changes(before: Mapping[str, Record], record: Record) -> Iterator[Change]:
    old = before.get(record.student_id)
    known = {item.name: item for item in old.exercises} if old is not None else {}
    for item in record.exercises:
        was = known.get(item.name)
        if was is None or (was.points, was.status) != (item.points, item.status):
            yield Change(
                record.student_id,
                record.lab,
                item.name,
                None if was is None else was.points,
                item.points,
                item.max_points,
                "" if was is None else was.status,
                item.status,
                record.overrides.get(item.name),
            )


def _count(changes: list[Change], students: int) -> str:
    concerned = len({change.student_id for change in changes})
    return f"{concerned} of {students} students changed" if concerned else "nothing changed"


def _summary(changes: list[Change], students: int) -> str:
    if not changes:
        return "unchanged"
    steps = [c.new_points - c.old_points for c in changes if c.old_points is not None]
    said = [f"{len(changes)} of {students} changed"]
    said += [f"{n} up" for n in [sum(step > 0 for step in steps)] if n]
    said += [f"{n} down" for n in [sum(step < 0 for step in steps)] if n]
    said += [f"{n} new" for n in [len(changes) - len(steps)] if n]
    return ", ".join(said) + f", {sum(steps):+g} points together"


def _table(changes: Iterable[Change]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for change in changes:
        writer.writerow([safe_cell(value) for value in dataclasses.astuple(change)])
    return out.getvalue()
