"""A thousand submissions of lab 2 in one run: memory over time, cost against class size.

``python -m benchmarks.grading_scale`` writes ``results/grading_scale.json``. The class is lab 2's
sample class (every known mistake, every mishap but the endless loop) over and over, so that each
size holds the same mix. Interrupted, it goes on where it stopped, and says in how many pieces the
run was measured.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from autograder import discover
from autograder.course import Course
from benchmarks.classroom import classes, kept, runs
from benchmarks.grading import conditions, finish

NAME = "grading_scale"
WORKERS = 2


def pieces(size: int) -> list[dict[str, Any]]:
    """Grade a class of lab 2 and return what was measured: one piece, or more if interrupted."""
    home = kept.scratch(NAME, f"class-{size}", fresh=False)
    course = Course(home / "course")
    if not (home / "made").exists():
        course.assign(discover.load(classes.LAB02))
        classes.make_lab02(home / "submissions", course, size)
        (home / "made").touch()
    earlier = home / "pieces.json"
    found = json.loads(earlier.read_text("utf-8")) if earlier.exists() else []
    try:
        run = runs.grade(
            home,
            submissions=home / "submissions",
            course=course.root,
            size=size,
            workers=WORKERS,
            words=f"lab 2, {size}",
            lab=classes.LAB02,
            with_memory=True,
        )
    except runs.InterruptedRun as interrupted:
        earlier.write_text(json.dumps([*found, interrupted.run.plain()]), encoding="utf-8")
        raise
    return [*found, run.plain()]


def curve(parts: list[dict[str, Any]]) -> list[tuple[float, int, float]]:
    """Return seconds at work, submissions done and megabytes, over all pieces of a run."""
    points: list[tuple[float, int, float]] = []
    offset = 0.0
    for part in parts:
        for seconds, done, pss in part["samples"]:
            points.append((round(offset + seconds, 2), done, round(sum(pss.values()) / 1e6, 1)))
        offset += part["seconds"]
    return points


def cost(parts: list[dict[str, Any]], size: int) -> dict[str, Any]:
    """Return what a submission of this class cost."""
    seconds, cpu = (sum(part[k] for part in parts) for k in ("seconds", "cpu_seconds"))
    points = [point for point in curve(parts) if point[1] > 0]
    last = next((point for point in points if point[1] >= size), points[-1])
    working = (last[0] - points[0][0]) / max(last[1] - points[0][1], 1)
    return {
        "submissions": size,
        "seconds": round(seconds, 1),
        "seconds a submission": round(seconds / size, 4),
        "seconds a submission at work": round(working, 4),
        "seconds before the first": round(points[0][0], 1),
        "seconds after the last": round(seconds - last[0], 1),
        "CPU seconds a submission": round(cpu / size, 4),
        "highest MB": max(point[2] for point in points),
        "pieces": len(parts),
    }


def flatness(points: list[tuple[float, int, float]], size: int) -> dict[str, float]:
    """Return median megabytes in the second and in the last tenth of a run, and what it grew."""
    megabytes = np.array([point[2] for point in points])
    share = np.array([point[1] for point in points]) / size
    early = float(np.median(megabytes[(share > 0.1) & (share <= 0.2)]))
    late = float(np.median(megabytes[(share > 0.9) & (share < 1.0)]))
    return {
        "MB in the second tenth": round(early, 1),
        "MB in the last tenth": round(late, 1),
        "grown by MB per 100 submissions": round(100 * (late - early) / (0.8 * size), 2),
    }


def windows(points: list[tuple[float, int, float]], width: int) -> list[float]:
    """Return seconds a submission within each window of so many submissions."""
    done = np.array([point[1] for point in points], dtype=float)
    seconds = np.array([point[0] for point in points])
    known = np.concatenate([[True], np.diff(done) > 0])
    edges = np.arange(max(done[0], 1), done[-1] + 1, width)
    at = np.interp(edges, done[known], seconds[known])
    return [round(float(value), 4) for value in np.diff(at) / width]


def measure(sizes: list[int]) -> dict[str, Any]:
    """Return all that the results hold."""
    runs_ = {size: kept.part(NAME, str(size), lambda size=size: pieces(size)) for size in sizes}
    largest = max(sizes)
    points = curve(runs_[largest])
    thinned = points[:: max(len(points) // 250, 1)]
    costs = {f"{size} submissions": cost(parts, size) for size, parts in runs_.items()}
    keys = ("seconds a submission", "seconds a submission at work", "CPU seconds a submission")
    before, last = list(costs.values())[-2:] if len(sizes) > 1 else [*costs.values()] * 2
    compared = {key: round(last[key] / before[key], 3) for key in keys}
    return {
        "settings": {"lab": classes.LAB02, "workers": WORKERS, "mix": classes.MIX},
        "machine": {
            **runs.machine(),
            **conditions([part for parts in runs_.values() for part in parts]),
        },
        "methods": costs,
        "largest class over the one before": compared,
        "memory": flatness(points, largest),
        "curve seconds": [point[0] for point in thinned],
        "curve done": [point[1] for point in thinned],
        "curve MB": [point[2] for point in thinned],
        "curve seconds a submission": windows(points, classes.MIX),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 1000])
    parser.add_argument("--dry", action="store_true", help="write no results")
    options = parser.parse_args(arguments)
    finish(NAME, lambda: measure(sorted(options.sizes)), dry=options.dry)


if __name__ == "__main__":
    main()
