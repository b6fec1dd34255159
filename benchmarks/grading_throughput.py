"""Grading forty trivial submissions: ours and stock nbgrader, and where the time goes.

``python -m benchmarks.grading_throughput`` writes ``results/grading_throughput.json``. Every
notebook imports numpy, torch, gymnasium and transformers and has six one-line answers; stock
nbgrader gets the same notebooks with asserts as test cells. Both are timed as whole commands, from
start to exit, one after the other in each repetition; ours also writes feedback, tables and the
report, for which stock has another command, timed beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from pathlib import Path
from typing import Any

from autograder.course import Course
from benchmarks.classroom import classes, kept, runs, sampling, stock
from benchmarks.grading import conditions, finish, middle, slope

NAME = "grading_throughput"
LARGER = 4  # times as many submissions, to tell the cost of one more from the cost of starting
STOCK, FEEDBACK = "nbgrader autograde", "nbgrader generate_feedback"


class Bench:
    """The classes, and the commands on them.

    Args:
        size: submissions.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.home = kept.scratch(NAME, f"class-{size}")
        self.course = Course(self.home / "course")
        self.course.assign(classes.trivial_lab())
        classes.make_trivial(self.home / "submissions", self.course, size)

    def ours(self, workers: int, *, profiled: bool = False) -> dict[str, Any]:
        """Grade the class in a fresh course directory."""
        folder = self._fresh("run")
        course = folder / "course"
        shutil.copytree(self.course.root, course)
        found = runs.grade(
            folder,
            submissions=self.home / "submissions",
            course=course,
            size=self.size,
            workers=workers,
            words=f"ours, workers: {workers}, {self.size}",
            profile=folder / "profile.json" if profiled else None,
        ).plain()
        lines = runs.records(folder)
        if [line["points"] for line in lines] != [6.0] * self.size:
            raise runs.FailedError("ours did not give everybody full marks")
        found["students"] = sum(line["cpu_seconds"] for line in lines)
        found["tier"] = lines[0]["tier"]
        if profiled:
            found["writer"] = json.loads((folder / "profile.json").read_text("utf-8"))
        return found

    def stock(self) -> dict[str, Any]:
        """Grade the class with plain nbgrader in a fresh course directory, then write feedback."""
        folder = self._fresh("stock")
        stock.make_course(folder, self.course, self.size)
        graded = self._nbgrader(folder, "autograde", "autograded")
        if stock.scores(folder) != [6.0] * self.size:
            raise runs.FailedError("stock nbgrader did not give everybody full marks")
        return {
            "graded": graded,
            "feedback": self._nbgrader(folder, "generate_feedback", "feedback"),
        }

    def _nbgrader(self, folder: Path, command: str, made: str) -> dict[str, Any]:
        return runs.timed(
            stock.command(command, classes.TRIVIAL),
            folder=folder,
            done=folder / made,
            size=self.size,
            words=f"stock nbgrader {command}, {self.size}",
            environment=stock.environment(),
        ).plain()

    def _fresh(self, name: str) -> Path:
        shutil.rmtree(self.home / name, ignore_errors=True)
        (self.home / name).mkdir()
        return self.home / name


def method(
    ours: list[dict[str, Any]], stocks: list[dict[str, Any]], size: int, start: float
) -> dict[str, Any]:
    """Return one row: what a submission takes, and how many times as many stock would take.

    Args:
        ours: repetitions of a command.
        stocks: stock's command in the same repetitions.
        size: submissions of each.
        start: seconds that the command takes before the first submission and after the last.
    """
    each = [run["seconds"] / size for run in ours]
    times = [other["seconds"] / run["seconds"] for run, other in zip(ours, stocks, strict=True)]
    seconds = statistics.median(each)
    return {
        "seconds a submission": middle(each),
        "submissions a minute": round(60 / seconds, 1),
        "CPU seconds a submission": middle([run["cpu_seconds"] / size for run in ours]),
        "times stock": middle(times, 1),
        "seconds for start and end": round(start, 2),
        "seconds a submission without them": round(seconds - start / size, 4),
        **conditions(ours),
    }


def breakdown(
    small: dict[str, Any], large: dict[str, Any], sizes: tuple[int, int]
) -> dict[str, float]:
    """Return milliseconds of processor time that one more submission takes, by part.

    Args:
        small, large: profiled runs on classes of the two ``sizes``.
    """

    def more(key: str, table: str = "") -> float:
        pair = [(run[table] if table else run).get(key, 0.0) for run in (small, large)]
        return 1e3 * (pair[1] - pair[0]) / (sizes[1] - sizes[0])

    parts = {"student's process": more("students")}
    parts["referee"] = more("referee", "roles")
    parts["zygote"] = more("zygote", "roles")
    labels = sorted(small["writer"].keys() | large["writer"].keys())
    for name in labels:
        parts[f"writer: {name}"] = more(name, "writer")
    parts["rest"] = more("cpu_seconds") - sum(parts.values())
    return {name: round(value, 2) for name, value in parts.items()}


def sides(parts: dict[str, float]) -> dict[str, float]:
    """Return the parts by whose they are: nbgrader's bookkeeping, the student's process, ours."""
    nbgrader = sum(parts.get(f"writer: {name}", 0.0) for name in sampling.NBGRADER)
    student = parts["student's process"]
    found = {"nbgrader": nbgrader, "student": student}
    found["grader"] = sum(parts.values()) - nbgrader - student
    return {name: round(value, 2) for name, value in found.items()}


def measure(size: int, repetitions: int, workers: list[int]) -> dict[str, Any]:
    """Return all that the results hold."""
    cache: dict[int, Bench] = {}

    def bench(number: int) -> Bench:
        if number not in cache:
            cache[number] = Bench(number)
        return cache[number]

    def keep(name: str, make: Any) -> Any:
        return kept.part(NAME, f"{name}-{size}", make)

    ours: dict[int, list[dict[str, Any]]] = {count: [] for count in workers}
    stocks = []
    for number in range(repetitions):
        stocks.append(keep(f"stock-{number}", lambda: bench(size).stock()))
        for count in workers:
            made = keep(f"ours-{count}-{number}", lambda count=count: bench(size).ours(count))
            ours[count].append(made)
    few = max(size // LARGER, 1)
    stock_few = keep("stock-few", lambda: bench(few).stock())
    large = {
        count: keep(f"ours-large-{count}", lambda count=count: bench(LARGER * size).ours(count))
        for count in workers
    }
    profiles = [
        keep(f"profile-{number}", lambda number=number: bench(number).ours(2, profiled=True))
        for number in (size, LARGER * size)
    ]
    graded = [run["graded"] for run in stocks]
    both = [
        run["graded"]
        | {k: run["graded"][k] + run["feedback"][k] for k in ("seconds", "cpu_seconds")}
        for run in stocks
    ]
    stock_each = slope(stock_few["graded"], _median(graded), (few, size), "seconds")
    methods = {
        STOCK: method(graded, graded, size, _median(graded)["seconds"] - size * stock_each),
        f"{STOCK}, then {FEEDBACK}": method(both, graded, size, 0.0),
    }
    for count, made in ours.items():
        each = slope(_median(made), large[count], (size, LARGER * size), "seconds")
        row = method(made, graded, size, _median(made)["seconds"] - size * each)
        row["times stock without start and end"] = round(stock_each / each, 1)
        methods[_workers(count)] = row
    parts = breakdown(*profiles, (size, LARGER * size))
    return {
        "settings": {"submissions": size, "exercises": 6, "repetitions": repetitions},
        "machine": {**runs.machine(), "tier": profiles[0]["tier"]},
        "methods": methods,
        "breakdown": parts,
        "added, CPU ms": sides(parts),
        "raw": {
            "stock": [_short(run) for run in graded],
            **{_workers(count): [_short(run) for run in made] for count, made in ours.items()},
        },
    }


def _workers(count: int) -> str:
    return "ours, 1 worker" if count == 1 else f"ours, {count} workers"


def _median(made: list[dict[str, Any]]) -> dict[str, Any]:
    return {"seconds": statistics.median(run["seconds"] for run in made)}


def _added(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return first | {key: first[key] + second[key] for key in ("seconds", "cpu_seconds")}


def _short(run: dict[str, Any]) -> list[float]:
    """Seconds, CPU seconds, load average before, cores that others used."""
    return [round(run[k], 2) for k in ("seconds", "cpu_seconds", "load_before", "others")]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=40)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--dry", action="store_true", help="write no results")
    options = parser.parse_args(arguments)
    finish(
        NAME,
        lambda: measure(options.submissions, options.repetitions, options.workers),
        dry=options.dry,
    )


if __name__ == "__main__":
    main()
