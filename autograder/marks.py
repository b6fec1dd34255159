"""What nbgrader's gradebook says of a class in one lab: final scores, and what is still open."""

from __future__ import annotations

import dataclasses
import datetime
from collections import defaultdict
from typing import Any

from nbgrader.api import (
    BaseCell,
    Comment,
    Grade,
    GradeCell,
    MissingEntry,
    SubmittedAssignment,
    SubmittedNotebook,
)


class ExportError(ValueError):
    """Grades that cannot be exported as asked, said in one sentence."""


@dataclasses.dataclass(frozen=True)
class Part:
    """What a student has for one graded cell.

    Attributes:
        score: a person's judgement before the autograder's, with extra credit; None while a
            written answer is not graded.
        comment: what a person wrote about it.
        again: a person graded it before it was autograded anew, and should look at it again.
    """

    name: str
    score: float | None
    max_score: float
    comment: str = ""
    again: bool = False


@dataclasses.dataclass(frozen=True)
class Mark:
    """One student's result in a lab.

    Attributes:
        parts: empty if nothing was handed in.
        penalty: what nbgrader takes off for lateness.
    """

    student_id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    submitted: datetime.datetime | None = None
    penalty: float = 0.0
    parts: tuple[Part, ...] = ()

    @property
    def raw(self) -> float:
        """All points before the penalty; as in nbgrader, what is not graded counts 0."""
        return sum(part.score or 0.0 for part in self.parts)

    @property
    def score(self) -> float | None:
        """The final score, as nbgrader's own export has it; None if nothing was handed in."""
        return max(0.0, self.raw - self.penalty) if self.parts else None

    @property
    def open(self) -> int:
        """Answers that are not graded yet."""
        return sum(part.score is None for part in self.parts)


@dataclasses.dataclass(frozen=True)
class Marks:
    """A class in a lab; who is enrolled and handed in nothing is there too."""

    lab: str
    max_score: float
    duedate: datetime.datetime | None
    students: tuple[Mark, ...]


def labs(gradebook: Any) -> list[str]:
    """Return the names of the labs that a gradebook knows."""
    return sorted(assignment.name for assignment in gradebook.assignments)


def read(gradebook: Any, lab: str) -> Marks:
    """Return everybody's marks, sorted by id, with a few queries whatever the class's size.

    Raises:
        ExportError: if the gradebook has no grades of this lab.
    """
    try:
        assignment = gradebook.find_assignment(lab)
    except MissingEntry:
        known = ", ".join(labs(gradebook)) or "none"
        raise ExportError(f"the gradebook holds no lab {lab!r}; it holds {known}") from None
    parts = _parts(gradebook, assignment)
    if not parts:
        raise ExportError(f"nobody's grades of {lab} are in the gradebook: grade it first")
    late = _submissions(gradebook, assignment)
    students = tuple(
        Mark(
            student.id,
            student.first_name or "",
            student.last_name or "",
            student.email or "",
            *late.get(student.id, (None, 0.0)),
            tuple(parts.get(student.id, ())),
        )
        for student in sorted(gradebook.students, key=lambda student: str(student.id))
    )
    return Marks(lab, float(assignment.max_score), assignment.duedate, students)


def _parts(gradebook: Any, assignment: Any) -> dict[str, list[Part]]:
    """Graded cells by student, sorted by name: the gradebook does not know their order."""
    comments = {
        (student_id, cell): text
        for student_id, cell, text in _of(
            gradebook, assignment, Comment, SubmittedAssignment.student_id, BaseCell.name
        ).add_columns(Comment.manual_comment)
        if text
    }
    rows = _of(
        gradebook, assignment, Grade, SubmittedAssignment.student_id, BaseCell.name
    ).add_columns(
        *(Grade.cell_id, Grade.score, Grade.auto_score, Grade.manual_score),
        Grade.needs_manual_grade,
    )
    most = {cell.id: cell.max_score for cell in gradebook.db.query(GradeCell).all()}
    found = defaultdict(list)
    for student_id, cell, cell_id, score, auto, manual, needs in rows:
        is_open = auto is None and manual is None
        name = cell.removeprefix("test-")
        comment = comments.get((student_id, cell)) or comments.get((student_id, name)) or ""
        again = manual is not None and needs
        part = Part(name, None if is_open else score, most.get(cell_id, 0.0), comment, again)
        found[student_id].append(part)
    return {
        student_id: sorted(parts, key=lambda part: part.name.casefold())
        for student_id, parts in found.items()
    }


def _of(gradebook: Any, assignment: Any, kind: Any, *columns: Any) -> Any:
    """A query over the grades, or the comments, of a lab's submissions."""
    return (
        gradebook.db.query(*columns)
        .select_from(kind)
        .join(SubmittedNotebook, SubmittedNotebook.id == kind.notebook_id)
        .join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
        .join(BaseCell, BaseCell.id == kind.cell_id)
        .filter(SubmittedAssignment.assignment_id == assignment.id)
    )


def _submissions(
    gradebook: Any, assignment: Any
) -> dict[str, tuple[datetime.datetime | None, float]]:
    """When each student handed in, and the penalty."""
    rows = (
        gradebook.db.query(
            SubmittedAssignment.student_id,
            SubmittedAssignment.timestamp,
            SubmittedNotebook.late_submission_penalty,
        )
        .select_from(SubmittedAssignment)
        .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .filter(SubmittedAssignment.assignment_id == assignment.id)
    )
    found: dict[str, tuple[datetime.datetime | None, float]] = {}
    for student_id, timestamp, penalty in rows:
        before = found.get(student_id, (None, 0.0))[1]
        found[student_id] = timestamp, before + (penalty or 0.0)
    return found
