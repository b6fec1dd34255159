"""Grade a class: judge every submission in a sandbox and record it with nbgrader."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path
from typing import TypeVar

from autograder import discover, sandbox
from autograder.collect import CollectError, Student, collect, read_roster
from autograder.errors import LabError
from autograder.records import Journal

Number = TypeVar("Number", int, float)

OK, UNUSABLE, INTERRUPTED = 0, 2, 3


class UsageError(ValueError):
    """Arguments that cannot be used, said in one sentence."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What to grade, with what, and where to.

    Attributes:
        lab: its name.
        submissions: a folder in nbgrader's layout, a folder of zips, or a zip.
        out: gets grades.csv, results.jsonl, feedback/ and report.html.
        course: the course directory.
        workers: submissions that run at the same time.
        db_url: the gradebook, if it is not in the course directory.
        time_limit: seconds per call into the student's code; None for 3 times the exercise's own.
        memory_limit: MiB per submission.
        regrade: judge again what is recorded.
        roster: who is enrolled.
        isolate: False runs submissions without a sandbox.
        labs: the folder of the labs' sources.
    """

    lab: str
    submissions: Path
    out: Path
    course: Path = discover.COURSE
    workers: int = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)
    db_url: str | None = None
    time_limit: float | None = None
    memory_limit: int = 2048
    regrade: bool = False
    roster: Path | None = None
    isolate: bool = True
    labs: Path = discover.SOLUTIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``python -m autograder grade``."""
    parser.add_argument("lab", help="labNN_topic")
    parser.add_argument(
        "--submissions",
        type=Path,
        required=True,
        metavar="DIR",
        help="<student>/<lab>/<lab>.ipynb and what else was handed in; or zips; or one zip",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the results")
    parser.add_argument(
        "--course",
        type=Path,
        default=discover.COURSE,
        metavar="DIR",
        help="gradebook, seed of the hidden cases, built notebooks (default: build/course)",
    )
    parser.add_argument(
        "--roster", type=Path, metavar="FILE", help="CSV or list of who is enrolled"
    )
    parser.add_argument("--workers", type=_count, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument(
        "--db-url", metavar="URL", help="a gradebook elsewhere, as SQLAlchemy names it"
    )
    parser.add_argument(
        "--time-limit",
        type=_seconds,
        metavar="S",
        help="per call (default: 3 times what each exercise says)",
    )
    parser.add_argument(
        "--memory-limit", type=_mebibytes, default=2048, metavar="MIB", help="per submission"
    )
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume",
        dest="regrade",
        action="store_false",
        help="go on with what is recorded (default)",
    )
    again.add_argument(
        "--regrade",
        action="store_true",
        help="judge again what is recorded, after a change of checks",
    )
    parser.add_argument(
        "--unsafe-no-sandbox",
        dest="isolate",
        action="store_false",
        help="run submissions with your own rights: for notebooks that you wrote yourself",
    )


def _count(text: str) -> int:
    return _number(text, int, 1, "a whole number from 1")


def _seconds(text: str) -> float:
    return _number(text, float, 1e-3, "a number of seconds above 0")


def _mebibytes(text: str) -> int:
    return _number(text, int, 256, "a whole number of MiB from 256")


def _number(text: str, kind: type[Number], least: float, what: str) -> Number:
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None
    if not least <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not {what}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Grade a class; return 0 when done, 2 for unusable arguments, 3 when interrupted."""
    return grade(Options(**vars(arguments)))


def grade(options: Options) -> int:
    """Grade a class as `run` does."""
    try:
        return _grade(options)
    except KeyboardInterrupt:  # before the first submission, or after the last
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return INTERRUPTED


def _grade(options: Options) -> int:
    from autograder import pipeline, referee  # with nbgrader, which takes a second to import
    from autograder.course import Course, CourseError, LockedError

    try:
        lab = discover.load(options.lab, options.labs)
        roster = read_roster(options.roster) if options.roster else None
        submissions = collect(options.submissions, options.lab, roster)
        if not submissions:
            raise UsageError(f"{options.submissions} holds no submissions")
        if options.isolate and isinstance(reason := sandbox.available(), str):
            raise UsageError(reason)
        journal = _journal(options)
        course = Course(options.course, options.db_url)
        release = course.assign(lab)
        referee.expected_of(lab, course.seed)  # once, here: workers only look it up
        course.enrol((roster or {}).values())
        course.enrol(Student(s.student_id) for s in submissions if not s.problem)
    except (UsageError, CollectError, CourseError, LabError, OSError) as error:
        print(f"grade: {error}", file=sys.stderr)
        return INTERRUPTED if isinstance(error, LockedError) else UNUSABLE
    return pipeline.Run(options, lab, course, release, journal).through(submissions)


def _journal(options: Options) -> Journal:
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{options.out} cannot be written: {error.strerror}") from None
    journal = Journal(options.out / "results.jsonl")
    others = {record.lab for record in journal.read().values()} - {options.lab}
    if others:
        raise UsageError(f"{options.out} holds results of {', '.join(others)}: name another --out")
    return journal
