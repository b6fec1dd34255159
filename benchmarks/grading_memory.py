"""Memory of the whole grader with two workers at work: proportional set size over a run.

``python -m benchmarks.grading_memory`` writes ``results/grading_memory.json``. Counted is
everything below the command: the writer, the workers, their zygote, the students' processes.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from autograder.course import Course
from benchmarks.classroom import classes, kept, runs
from benchmarks.grading import conditions, finish

NAME = "grading_memory"
WORKERS = 2


def at_work(samples: list[Any], size: int) -> list[Any]:
    """Return the samples between the first and the last finished submission."""
    return [sample for sample in samples if 0 < sample[1] < size]


def summary(run: dict[str, Any], size: int) -> dict[str, Any]:
    """Return megabytes over a run: in all, and by role at the peak."""
    working = at_work(run["samples"], size)
    if not working:
        raise runs.FailedError("the run was over before its memory was looked at: more submissions")
    totals = np.array([sum(pss.values()) for _, _, pss in working]) / 1e6
    peak = working[int(totals.argmax())][2]
    whole = max(sum(pss.values()) for _, _, pss in run["samples"]) / 1e6
    return {
        "median MB": round(float(np.median(totals)), 1),
        "highest MB": round(float(totals.max()), 1),
        "highest MB, start and end included": round(whole, 1),
        "samples": len(working),
        "unreadable processes": run["unreadable"],
        "by role at the highest, MB": {role: round(size / 1e6, 1) for role, size in peak.items()},
    }


def measure(size: int) -> dict[str, Any]:
    """Return all that the results hold."""
    home = kept.scratch(NAME, "class")
    course = Course(home / "course")
    course.assign(classes.trivial_lab())
    classes.make_trivial(home / "submissions", course, size)
    run = runs.grade(
        home,
        submissions=home / "submissions",
        course=course.root,
        size=size,
        workers=WORKERS,
        words=f"memory, {size}",
        with_memory=True,
    ).plain()
    samples = run["samples"][:: max(len(run["samples"]) // 200, 1)]
    return {
        "settings": {"submissions": size, "workers": WORKERS},
        "machine": {**runs.machine(), **conditions([run])},
        "memory": summary(run, size),
        "curve seconds": [seconds for seconds, _, _ in samples],
        "curve MB": [round(sum(pss.values()) / 1e6, 1) for _, _, pss in samples],
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=200)
    parser.add_argument("--dry", action="store_true", help="write no results")
    options = parser.parse_args(arguments)
    finish(NAME, lambda: measure(options.submissions), dry=options.dry)


if __name__ == "__main__":
    main()
