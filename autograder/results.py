"""What judging a submission yields: plain, frozen records that travel between processes as JSON."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

Status = Literal[
    "ok", "wrong", "error", "timeout", "memory", "killed", "missing", "malformed", "rejected"
]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclasses.dataclass(frozen=True)
class GroupResult:
    """One group of cases (or one gate of an outcome).

    Attributes:
        name: what the group's cases show.
        weight: share of the exercise's points, relative to its other groups.
        passed: number of cases that passed.
        total: number of cases.
        message: the first difference, in words that the student may read; empty if there is none.
    """

    name: str
    weight: float
    passed: int
    total: int
    message: str = ""

    @property
    def ok(self) -> bool:
        """True if every case passed: only then does the group earn its share."""
        return self.passed == self.total

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self)}  # asdict would copy each value: most of what writing a line takes

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> GroupResult:
        return cls(**data)


@dataclasses.dataclass(frozen=True)
class ExerciseResult:
    """What one exercise earned.

    Attributes:
        points: earned, from 0 to ``max_points``.
        status: ``ok`` for full points; partial credit is ``wrong``.
        hint: of the mistake that the answer behaves like; empty if none was recognised.
        message: what is wrong, in one sentence.
        mistake: name of the recognised mutant, wrong letter or number; what a report counts.
        seconds: wall time in the student's code.
    """

    name: str
    points: float
    max_points: float
    status: Status
    hint: str = ""
    message: str = ""
    groups: tuple[GroupResult, ...] = ()
    seconds: float = 0.0
    mistake: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"{self.status!r} is not a status")
        if not 0.0 <= self.points <= self.max_points:
            raise ValueError(f"{self.name}: {self.points} of {self.max_points} points")

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "groups": [group.to_dict() for group in self.groups]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ExerciseResult:
        groups = tuple(GroupResult.from_dict(group) for group in data["groups"])
        return cls(**(data | {"groups": groups}))


@dataclasses.dataclass(frozen=True)
class SubmissionResult:
    """What one submitted lab earned.

    Attributes:
        exercises: one result per exercise, in the notebook's order.
        outputs: nbformat outputs by grade id or by the cell's index as text.
        seconds: wall time of the whole submission.
        tier: the sandbox that ran it.
        cpu_seconds: processor time of the student's processes.
        peak_bytes: the most memory that one of them had in use.
    """

    exercises: tuple[ExerciseResult, ...]
    outputs: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    tier: str = ""
    cpu_seconds: float = 0.0
    peak_bytes: int = 0

    @property
    def points(self) -> float:
        return sum(exercise.points for exercise in self.exercises)

    def to_dict(self) -> dict[str, Any]:
        return {
            "exercises": [exercise.to_dict() for exercise in self.exercises],
            "outputs": self.outputs,
            "seconds": self.seconds,
            "tier": self.tier,
            "cpu_seconds": self.cpu_seconds,
            "peak_bytes": self.peak_bytes,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SubmissionResult:
        exercises = tuple(ExerciseResult.from_dict(item) for item in data["exercises"])
        return cls(**(data | {"exercises": exercises}))
