"""Grading that is interrupted or killed at random moments loses nothing and doubles nothing.

``python -m benchmarks.grading_faults`` writes ``results/grading_faults.json``. Each of its runs
grades a small class, sends a signal to the grader, its whole group or one of its workers at a
random moment, gives the same command again (and perhaps the same treatment), and at the end
compares gradebook, results.jsonl, grades.csv and feedback with each other and with a run that
nobody disturbed.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import csv
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from nbgrader.api import Grade, SubmittedAssignment, SubmittedNotebook

from autograder import discover
from autograder.course import Course
from autograder.sample_class import cases
from benchmarks.classroom import kept
from benchmarks.grading import finish

NAME = "grading_faults"
LAB, LABS = "lab00_toy", discover.ROOT / "tests" / "toy" / "solutions"
SLOW = ("endless loop", "4 GB allocation")
ROUNDS = 3  # at most this many faults in one run
PATIENCE = 600.0  # seconds for what should end by itself
TIMES = frozenset(("seconds", "cpu_seconds", "peak_bytes", "graded_at", "run_id"))

GRADE = """
import sys
from pathlib import Path
from autograder import grade

home, labs, lab, workers = *map(Path, sys.argv[1:3]), sys.argv[3], int(sys.argv[4])
if __name__ == "__main__":
    sys.exit(grade.grade(grade.Options(
        lab=lab, submissions=home.parent / "in", out=home / "out", course=home / "course",
        labs=labs, workers=workers,
    )))
"""


class WrongError(Exception):
    """Something was lost, doubled or left behind."""


def disagreements(course: Course, lab: str, out: Path, students: Collection[str]) -> list[str]:
    """Return in sentences where the records of a class do not tell the same story.

    Args:
        course: holds the gradebook.
        lab: its name.
        out: the folder of results.
        students: whose submissions could be run or not, but were handed in.
    """
    found = []
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text("utf-8").splitlines()]
    count = collections.Counter(line["student_id"] for line in lines)
    if count != collections.Counter(students):
        found.append(f"results.jsonl has {dict(count)}")
    points = {(x["student_id"], i["name"]): i["points"] for x in lines for i in x["exercises"]}
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    keys = collections.Counter((row["student_id"], row["exercise"]) for row in rows)
    found += [f"grades.csv has {key} {n} times" for key, n in keys.items() if n > 1]
    told = {(r["student_id"], r["exercise"]): float(r["points"] or 0) for r in rows}
    for key, value in points.items():
        if abs(told.get(key, -1.0) - value) > 1e-9:
            found.append(f"grades.csv gives {told.get(key)} for {key}, results.jsonl {value}")
    scores = course.scores(lab)
    for (student, name), value in points.items():
        recorded = scores.get(student, {}).get(name, (None, None))[0]
        if recorded != value:
            found.append(f"the gradebook has {recorded} for {student} {name}, not {value}")
    with course.gradebook() as gradebook:
        for kind, key in (
            (SubmittedAssignment, (SubmittedAssignment.student_id,)),
            (SubmittedNotebook, (SubmittedNotebook.assignment_id,)),
            (Grade, (Grade.notebook_id, Grade.cell_id)),
        ):
            entries = collections.Counter(gradebook.db.query(*key).all())
            found += [f"{kind.__name__} {k}: {n} of them" for k, n in entries.items() if n > 1]
    for student in students:
        page = out / "feedback" / student / f"{lab}.html"
        if not page.exists() or not page.read_text("utf-8").rstrip().endswith("</html>"):
            found.append(f"the feedback of {student} is not whole")
    known = {"results.jsonl", "grades.csv", "report.html", "similarity.html", "feedback"}
    known |= {"regrade.csv", ".lock"}
    found += [f"{path.name} was left behind" for path in out.iterdir() if path.name not in known]
    return found


def verdicts(out: Path) -> dict[str, Any]:
    """Return what results.jsonl says by student, but for when it was found and how long it took."""

    def timeless(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {key: timeless(value) for key, value in tree.items() if key not in TIMES}
        return [timeless(item) for item in tree] if isinstance(tree, list) else tree

    lines = map(json.loads, (out / "results.jsonl").read_text("utf-8").splitlines())
    return {line["student_id"]: timeless(line) for line in lines}


class Grader:
    """The command, as a process with a session of its own."""

    def __init__(self, home: Path, workers: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", GRADE, str(home), str(LABS), LAB, str(workers)],
            cwd=discover.ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self) -> tuple[int, str]:
        """Wait for it, and for all that it started; return its exit code and what it said."""
        _, said = self.process.communicate(timeout=PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while left := _session(self.process.pid):
            if time.monotonic() > deadline:
                raise WrongError(f"processes {left} outlive the grader")
            time.sleep(0.05)
        return self.process.returncode, said

    def workers(self) -> list[int]:
        """Return the processes that judge."""
        found = []
        for pid in _session(self.process.pid):
            try:
                parent = int(_stat(pid)[1])
                words = Path(f"/proc/{pid}/cmdline").read_text()
                above = Path(f"/proc/{parent}/cmdline").read_text()
            except OSError:
                continue
            if "forkserver" in words and "forkserver" in above:
                found.append(pid)
        return found


def _session(leader: int) -> list[int]:
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != leader:
            try:
                state, _, _, session = _stat(int(path.name))[:4]
            except OSError:
                continue
            if int(session) == leader and state != "Z":
                found.append(int(path.name))
    return found


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def disturb(grader: Grader, how: str) -> str:
    """Do to a grader what ``how`` says; return whether it still ran."""
    if grader.process.poll() is not None:
        return "after its end"
    kind, _, whom = how.partition(" to ")
    number = getattr(signal, kind)
    if whom == "a worker":
        if not (pids := grader.workers()):
            return "no worker yet"
        os.kill(pids[0], number)
    elif whom == "the group":
        os.killpg(grader.process.pid, number)
    else:
        grader.process.send_signal(number)
    return "running"


FAULTS = (
    "SIGKILL to the grader",
    "SIGINT to the group",
    "SIGTERM to the grader",
    "SIGINT to the grader",
    "SIGKILL to a worker",
)


def one(seed: int, base: Path, right: dict[str, Any], seconds: float, workers: int) -> Any:
    """Disturb one run, and whoever goes on with it; return what was done.

    Raises:
        WrongError: if anything was lost, doubled or left behind.
    """
    rng = random.Random(seed)
    home = base / f"run-{seed}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    shutil.copytree(base / "course", home / "course")
    done = []
    for number in range(ROUNDS):
        how = FAULTS[seed % len(FAULTS)] if number == 0 else rng.choice(FAULTS)
        after = rng.uniform(0.0, 1.05 * seconds)
        grader = Grader(home, workers)
        with contextlib.suppress(subprocess.TimeoutExpired):
            grader.process.wait(after)
        when = disturb(grader, how)
        code, said = grader.end()
        allowed = {0, 3, -signal.SIGKILL} if "SIGKILL" in how else {0, 3}
        if when == "running" and how == "SIGTERM to the grader":
            allowed.add(-signal.SIGTERM)  # before the first line of ours ran
        if when == "running" and "SIGINT" in how:
            allowed |= {-signal.SIGINT, 1}  # the same: Python's own way to end
        if code not in allowed:
            raise WrongError(f"{how} {when}: exit code {code}, {said[-500:]}")
        recorded = home / "out" / "results.jsonl"
        lines = recorded.read_text("utf-8", "replace").splitlines() if recorded.exists() else []
        done.append({"fault": how, "after": round(after, 2), "when": when, "exit": code})
        done[-1]["recorded"] = len(lines)
        if rng.random() < 0.5:
            break
    code, said = Grader(home, workers).end()
    if code != 0:
        raise WrongError(f"the last command ended with {code}: {said[-500:]}")
    if wrong := disagreements(Course(home / "course"), LAB, home / "out", list(right)):
        raise WrongError(f"after {done}: {'; '.join(wrong[:5])}")
    if verdicts(home / "out") != right:
        raise WrongError(f"after {done}: other verdicts than undisturbed")
    shutil.rmtree(home)
    return done


def measure(runs: int, students: int, workers: int) -> dict[str, Any]:
    """Return all that the results hold."""
    base = kept.scratch(NAME, "class", fresh=False)
    if not (base / "seconds").exists():
        shutil.rmtree(base)
        course = Course(base / "course")
        lab = discover.load(LAB, LABS)
        made = [case for case in cases(lab, course) if case.name not in SLOW]
        for number in range(students):
            target = base / "in" / f"student{number:02}" / LAB
            target.mkdir(parents=True)
            for name, raw in made[number % len(made)].files.items():
                (target / name).write_bytes(raw)
        home = base / "undisturbed"
        home.mkdir()
        shutil.copytree(base / "course", home / "course")
        started = time.monotonic()
        code, said = Grader(home, workers).end()
        if code != 0:
            raise WrongError(f"undisturbed: exit code {code}: {said}")
        (base / "seconds").write_text(f"{time.monotonic() - started:.2f}")
    right = verdicts(base / "undisturbed" / "out")
    seconds = float((base / "seconds").read_text())
    found = []
    for seed in range(runs):
        run = kept.part(
            NAME, f"{seed}", functools.partial(one, seed, base, right, seconds, workers)
        )
        print(f"{seed}: {run}", flush=True)
        found.append(run)
    faults = [fault for run in found for fault in run]
    return {
        "runs": len(found),
        "students": students,
        "workers": workers,
        "undisturbed seconds": seconds,
        "faults": dict(collections.Counter(f["fault"] for f in faults)),
        "while it ran": sum(fault["when"] == "running" for fault in faults),
        "exit codes": dict(collections.Counter(str(fault["exit"]) for fault in faults)),
        "grades lost": 0,  # or `measure` had raised
        "grades doubled": 0,
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--students", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--dry", action="store_true", help="print the results and write none")
    options = parser.parse_args(argv)
    finish(
        NAME,
        lambda: measure(options.runs, options.students, options.workers),
        dry=options.dry,
    )


if __name__ == "__main__":
    main()
