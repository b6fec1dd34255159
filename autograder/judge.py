"""One prepared submission through the referee; what cannot be run is judged without it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Set

from nbformat import NotebookNode

from autograder import referee
from autograder.discover import LoadedLab, Outline
from autograder.preflight import Prepared, untouched
from autograder.results import ExerciseResult, Status, SubmissionResult
from autograder.spec import Exercise

UNTOUCHED = "the code to mend was not changed"


def judge(
    lab: LoadedLab,
    release: NotebookNode,
    prepared: Prepared,
    *,
    course_seed: int,
    time_limit: float | None,
    memory_limit: int,
    isolate: bool,
    total_limit: float = referee.TOTAL_SECONDS,
) -> SubmissionResult:
    """Run and judge a submission.

    Args:
        lab: the lab.
        release: its student notebook.
        prepared: the submission.
        course_seed: draws the hidden cases.
        time_limit: seconds per call; None for each exercise's own.
        memory_limit: MiB.
        isolate: False runs the submission without a sandbox.
        total_limit: seconds for the whole notebook.
    """
    if prepared.status is not None:
        return nothing(lab, prepared.status, prepared.reason)
    return judge_files(
        lab,
        prepared.files | {f"{lab.name}.ipynb": prepared.raw},
        untouched(release, prepared.notebook),
        course_seed=course_seed,
        time_limit=time_limit,
        memory_limit=memory_limit,
        isolate=isolate,
        total_limit=total_limit,
    )


def judge_files(
    lab: LoadedLab,
    files: Mapping[str, bytes],
    as_released: Set[str],
    *,
    course_seed: int,
    time_limit: float | None,
    memory_limit: int,
    isolate: bool,
    total_limit: float = referee.TOTAL_SECONDS,
) -> SubmissionResult:
    """Run and judge a submission that can be run, as `judge` does.

    Args:
        lab: the lab.
        files: the completed notebook ``<lab>.ipynb`` and what lies beside it.
        as_released: grade ids of cells that stand as they were released.
    """
    result = referee.grade_submission(
        lab,
        files,
        course_seed=course_seed,
        time_limit=time_limit,
        memory_limit=memory_limit,
        total_limit=total_limit,
        sandbox=isolate,
    )
    clinics = {
        item.name: item.clinic
        for item in lab.items
        if isinstance(item, Exercise) and item.clinic and item.name in as_released
    }
    exercises = tuple(
        missing(item, UNTOUCHED) if clinics.get(item.name) == item.mistake != "" else item
        for item in result.exercises
    )
    return dataclasses.replace(result, exercises=exercises)


def missing(item: ExerciseResult, message: str) -> ExerciseResult:
    """Return the result of an exercise that the student left as it was handed out."""
    return ExerciseResult(item.name, 0.0, item.max_points, "missing", message=message)


def nothing(lab: LoadedLab | Outline, status: Status, reason: str) -> SubmissionResult:
    """Return the result of a submission of which nothing could be run."""
    return SubmissionResult(
        tuple(ExerciseResult(i.name, 0.0, i.points, status, message=reason) for i in lab.items)
    )
