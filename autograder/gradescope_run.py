"""Grades the one submission that Gradescope puts into a container; runs there as root.

The container holds answers and seed beside the student's code, so that only the sandbox stands
between them: without one nothing is graded.

Source: https://gradescope-autograders.readthedocs.io (specs, submission_metadata, best_practices).
"""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import nbformat

from autograder import discover, preflight, referee, sandbox
from autograder.collect import TIMESTAMP, Files, RefusedError, read_submission
from autograder.judge import judge
from autograder.preflight import Prepared
from autograder.records import grade_cells, replace
from autograder.results import ExerciseResult, SubmissionResult

SETTINGS = "gradescope.json"
SPARE_SECONDS = 15.0  # to write the results before Gradescope ends the container
STUDENT_SHARE = 0.75  # of the time that is left; the rest is for judging
MAX_OUTPUT_CHARS = 20_000

Results = dict[str, Any]


class OutOfTimeError(BaseException):
    """Gradescope is about to end the container; no handler of errors may take this for one."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the instructor chose when the bundle was made.

    Attributes:
        lab: its name.
        seed: the course's; draws the hidden cases.
        timeout: seconds after which Gradescope ends a container.
        memory_limit: MiB of a student's process.
        visibility: when students see the results, in Gradescope's words.
        isolate: False runs submissions without a sandbox.
    """

    lab: str
    seed: int
    timeout: float
    memory_limit: int
    visibility: str
    isolate: bool


def main(root: Path) -> int:
    """Grade what is in ``root/submission`` and write ``root/results/results.json``.

    Whatever happens, that file says what; only the instructor sees what is printed.
    """
    started = time.monotonic()
    settings = Settings(**json.loads((root / "source" / SETTINGS).read_text("utf-8")))

    def out_of_time(number: int, frame: FrameType | None) -> None:
        raise OutOfTimeError

    signal.signal(signal.SIGALRM, out_of_time)
    signal.setitimer(signal.ITIMER_REAL, max(settings.timeout - SPARE_SECONDS, 1.0))
    try:
        results = grade(root, settings, started)
    except OutOfTimeError:
        results = nothing_graded(f"the time of {settings.timeout:g} s ran out")
    except Exception as error:  # ours: the student sees that, and nothing of what it says
        traceback.print_exc()
        results = nothing_graded(f"the grader failed ({type(error).__name__})")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    results["execution_time"] = round(time.monotonic() - started, 1)
    folder = root / "results"
    folder.mkdir(exist_ok=True)
    replace(folder / "results.json", json.dumps(results, allow_nan=False, indent=1))
    return 0


def grade(root: Path, settings: Settings, started: float) -> Results:
    """Return Gradescope's results of the submission."""
    reason = sandbox.available() if settings.isolate else ""
    if isinstance(reason, str) and reason:
        print(reason)
        return nothing_graded("this container cannot isolate your code from the answers")
    if not settings.isolate:
        print("WARNING: graded without a sandbox, as this bundle was exported")
    source = root / "source"
    release = nbformat.read(source / "release" / f"{settings.lab}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    lab = discover.load(settings.lab, source / "solutions")
    prepared = _prepared(root / "submission", settings.lab, release)
    referee.expected_of(lab, settings.seed)
    left = settings.timeout - SPARE_SECONDS - (time.monotonic() - started)
    result = judge(
        lab,
        release,
        prepared,
        course_seed=settings.seed,
        time_limit=None,
        memory_limit=settings.memory_limit,
        isolate=settings.isolate,
        total_limit=max(STUDENT_SHARE * left, 1.0),
    )
    cells = grade_cells(release)
    written = [cell.points for cell in cells if cell.written]
    order = {cell.exercise: place for place, cell in enumerate(cells)}
    in_order = tuple(sorted(result.exercises, key=lambda item: order.get(item.name, len(order))))
    result = dataclasses.replace(result, exercises=in_order)
    most = sum(item.max_points for item in result.exercises)
    _compare_points(root / "submission_metadata.json", most, sum(written))
    return as_results(result, prepared, written, settings)


def _prepared(folder: Path, lab: str, release: nbformat.NotebookNode) -> Prepared:
    try:
        files = read_submission(folder, lab)
    except RefusedError as error:
        return preflight.unusable(release, "rejected", str(error))
    content = {name: raw for name, raw in files.content.items() if name != TIMESTAMP}
    return preflight.prepare(release, lab, Files(content, files.notes))


def _compare_points(metadata: Path, exercises: float, written: float) -> None:
    """Tell the instructor if Gradescope expects other points than there are."""
    try:
        tree = json.loads(metadata.read_text("utf-8"))
        total = float(tree["assignment"]["total_points"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if not any(abs(total - most) < 0.005 for most in (exercises, exercises + written)):
        print(
            f"WARNING: the assignment has {total:g} points on Gradescope; the exercises are worth"
            f" {exercises:g}, the written questions {written:g}"
        )


def as_results(
    result: SubmissionResult, prepared: Prepared, written: Sequence[float], settings: Settings
) -> Results:
    """Return what Gradescope shows: a test per exercise, without cases, references, code of ours.

    Args:
        result: the referee's.
        prepared: the submission.
        written: points of the questions that a person grades.
        settings: of the bundle.
    """
    said = [prepared.reason] if prepared.reason else []
    if written:
        count = "1 written question" if len(written) == 1 else f"{len(written)} written questions"
        said.append(
            f"{count}, worth {sum(written):g} points: graded by a person, not counted here."
        )
    if prepared.notes:
        said += ["About what you handed in:", *(f"- {note}" for note in prepared.notes)]
    return {
        "output": _plain("\n".join(said)),
        "output_format": "text",
        "stdout_visibility": "hidden",
        "tests": [_test(item, settings.visibility) for item in result.exercises],
        "extra_data": {
            "lab": settings.lab,
            "sandbox": result.tier,
            "status": {item.name: item.status for item in result.exercises},
        },
    }


def nothing_graded(reason: str) -> Results:
    """Return results that give no points and say so to everybody."""
    return {
        "score": 0.0,
        "output": f"NOTHING WAS GRADED: {reason}. Please tell your instructor; this says nothing"
        " about your work.",
        "output_format": "text",
        "stdout_visibility": "hidden",
    }


def _test(item: ExerciseResult, visibility: str) -> Results:
    groups = () if item.status == "missing" else item.groups
    lines: list[str] = []
    if item.status != "ok":
        is_said = item.message in ("", *(group.message for group in groups))
        lines.append(item.status if is_said else f"{item.status}: {item.message}")
    if item.hint:
        lines.append(f"Hint: {item.hint}")
    for group in groups:
        mark = "✓" if group.ok else "✗"
        line = f"{mark} {group.name}: {group.passed} of {group.total}"
        lines.append(f"{line}; {group.message}" if group.message else line)
    return {
        "name": item.name,
        "name_format": "text",
        "score": round(item.points, 6),
        "max_score": item.max_points,
        "status": "passed" if item.points == item.max_points else "failed",
        "output": _plain("\n".join(lines)),
        "output_format": "text",
        "visibility": visibility,
    }


def _plain(text: str) -> str:
    """Text that every reader of JSON takes: no lone surrogate, no control character."""
    text = text.encode("utf-8", "replace").decode()
    text = "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
    return text[:MAX_OUTPUT_CHARS]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
