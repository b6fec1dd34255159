"""Workers where students' code dominates: each submission computes for a second.

``python -m benchmarks.grading_workers`` writes ``results/grading_workers.json``. A second is one of
processor time, so that a busy machine makes no notebook do less.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from typing import Any

from autograder.course import Course
from benchmarks.classroom import classes, kept, runs
from benchmarks.grading import conditions, finish, middle

NAME = "grading_workers"
SECONDS = 1.0


def working_seconds(run: dict[str, Any], size: int) -> float:
    """Return seconds per submission from the first finished one to the last."""
    first = next(sample for sample in run["samples"] if sample[1] > 0)
    last = next((sample for sample in run["samples"] if sample[1] >= size), run["samples"][-1])
    return float((last[0] - first[0]) / max(last[1] - first[1], 1))


def one(size: int, workers: int) -> dict[str, Any]:
    """Grade the class once."""
    home = kept.scratch(NAME, "class")
    course = Course(home / "course")
    course.assign(classes.trivial_lab())
    classes.make_trivial(home / "submissions", course, size, seconds=SECONDS)
    found = runs.grade(
        home,
        submissions=home / "submissions",
        course=course.root,
        size=size,
        workers=workers,
        words=f"a second each, workers: {workers}, {size}",
    ).plain()
    if {line["points"] for line in runs.records(home)} != {6.0}:
        raise runs.FailedError("not everybody got full marks")
    shutil.rmtree(home)
    return found


def measure(size: int, repetitions: int, workers: list[int]) -> dict[str, Any]:
    """Return all that the results hold."""
    made: dict[int, list[dict[str, Any]]] = {count: [] for count in workers}
    for number in range(repetitions):
        for count in workers:
            name = f"{count}-{number}-{size}"
            made[count].append(kept.part(NAME, name, lambda count=count: one(size, count)))
    alone = [run["seconds"] for run in made[workers[0]]]
    each = [working_seconds(run, size) for run in made[workers[0]]]
    methods = {}
    for count, found in made.items():
        seconds = [run["seconds"] for run in found]
        working = [working_seconds(run, size) for run in found]
        methods[f"workers: {count}"] = {
            "seconds, whole command": middle(seconds, 1),
            "times as fast": middle([a / b for a, b in zip(alone, seconds, strict=True)], 2),
            "seconds a submission at work": middle(working, 3),
            "times as fast at work": middle([a / b for a, b in zip(each, working, strict=True)], 2),
            "CPU seconds a submission": round(
                statistics.median(run["cpu_seconds"] for run in found) / size, 3
            ),
            **conditions(found),
        }
    return {
        "settings": {"submissions": size, "repetitions": repetitions, "seconds each": SECONDS},
        "machine": runs.machine(),
        "methods": methods,
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=40)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--dry", action="store_true", help="write no results")
    options = parser.parse_args(arguments)
    finish(
        NAME,
        lambda: measure(options.submissions, options.repetitions, options.workers),
        dry=options.dry,
    )


if __name__ == "__main__":
    main()
