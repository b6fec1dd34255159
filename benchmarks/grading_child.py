"""One student's process: milliseconds to fork and lock it down, memory while it waits.

``python -m benchmarks.grading_child`` writes ``results/grading_child.json``.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np

from autograder import sandbox
from autograder.course import Course
from benchmarks.classroom import child, classes, kept, runs
from benchmarks.grading import finish

NAME = "grading_child"
CALLS: list[tuple[str, list[Any]]] = [
    (name, arguments)
    for name, arguments in (
        ("double", [3.0]),
        ("total", [[1.0, 2.0, -4.0]]),
        ("largest", [[1.0, 2.0, -4.0]]),
        ("shifted", [[1.0, 2.0], 1.5]),
        ("scaled", [[1.0, 2.0], 1.5]),
        ("count_positive", [[1.0, -2.0]]),
    )
    for _ in range(3)  # as often as the referee asks
]


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Return milliseconds: median, and what all but one of ten stay below."""
    return {
        "median": round(1e3 * float(np.median(seconds)), 2),
        "90%": round(1e3 * float(np.quantile(seconds, 0.9)), 2),
        "least": round(1e3 * min(seconds), 2),
    }


def plain_seconds() -> float:
    """Return what the trivial notebook's own code takes in a bare Python."""
    course = Course(kept.scratch(NAME, "course"))
    lab = classes.trivial_lab()
    course.assign(lab)
    cells = [
        cell.source
        for cell in classes.solved(course, lab).cells
        if cell.cell_type == "code" and not classes.grade_id(cell).startswith("test-")
    ]
    return child.plain(cells, CALLS)


def measure(times: int) -> dict[str, Any]:
    """Return all that the results hold."""
    os.sched_setaffinity(0, runs.cores())
    load = os.getloadavg()[0]
    tier = sandbox.available()
    if isinstance(tier, str):
        raise runs.FailedError(tier)
    found, idle = child.ready(times), child.idle()
    return {
        "settings": {"processes": times},
        "machine": {**runs.machine(), "tier": tier.name, "load before": round(load, 2)},
        "ms": {"to be ready": quantiles(found["start"]), "to be gone": quantiles(found["end"])},
        "idle": {
            "private MB": round(idle["private"] / 1e6, 1),
            "proportional MB": round(idle["proportional"] / 1e6, 1),
            "processes": idle["processes"],
            "CPU ms until ready": round(1e3 * idle["cpu_seconds"], 2),
        },
        "trivial": {"CPU ms in a bare Python": round(1e3 * plain_seconds(), 2)},
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--dry", action="store_true", help="write no results")
    options = parser.parse_args(arguments)
    finish(NAME, lambda: measure(options.times), dry=options.dry)


if __name__ == "__main__":
    main()
