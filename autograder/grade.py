"""Grade a class: judge every submission in a sandbox and record it with nbgrader."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gc
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TypeVar

from autograder import discover, fork_server, pools, sandbox, workers
from autograder.collect import STRANGER, CollectError, Student, Submission, collect, read_roster
from autograder.errors import LabError
from autograder.records import Journal, sweep
from autograder.stopping import Stop

Number = TypeVar("Number", int, float)
Answer = TypeVar("Answer")

OK, UNUSABLE, INTERRUPTED = 0, 2, 3
READY_SECONDS = 300.0  # for a worker to import everything and to run the lab's references


class UsageError(ValueError):
    """Arguments that cannot be used, said in one sentence."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What to grade, with what, and where to.

    Attributes:
        lab: its name.
        submissions: a folder in nbgrader's layout, its exchange, a folder of zips, or a zip.
        out: gets grades.csv, results.jsonl, feedback/ and report.html.
        course: the course directory.
        workers: submissions that run at the same time.
        scheduler: address of a Dask cluster that runs them instead.
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
    scheduler: str | None = None
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
        help="<student>/<lab>/<lab>.ipynb and what else was handed in; or an nbgrader exchange; or"
        " a learning platform's download, as a folder or one zip",
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
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workers",
        type=_count,
        default=argparse.SUPPRESS,  # argparse lets a default's equal pass beside --scheduler
        metavar="N",
        help="submissions that run at the same time here (default: one per processor)",
    )
    where.add_argument(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="run them on the workers of this Dask cluster",
    )
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
        default=False,  # argparse's own is the contrary, and of two options the first one's counts
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
    gc.disable()  # until all is imported: looking through it again and again takes a tenth of that
    return grade(Options(**vars(arguments)))


def grade(options: Options) -> int:
    """Grade a class as `run` does."""
    stop = Stop()
    with stop.on_signals():
        try:
            return _grade(options, stop)
        except KeyboardInterrupt:  # before the first submission, or after the last
            print("interrupted: the same command goes on from here", file=sys.stderr)
            return INTERRUPTED


def _grade(options: Options, stop: Stop) -> int:
    with contextlib.ExitStack() as stack:
        try:
            lab_folder = discover.folder(options.lab, options.labs)
            roster = read_roster(options.roster) if options.roster else None
            submissions = collect(options.submissions, options.lab, roster)
            if not submissions:
                raise UsageError(f"{options.submissions} holds no submissions")
            _name_strangers(submissions)
            journal = stack.enter_context(_journal(options))
            libraries = workers.slow_imports_of(lab_folder)
            pool = stack.enter_context(
                pools.open_pool(options.workers, options.scheduler, libraries)
            )
            forks = _forks(options, lab_folder)
        except (UsageError, CollectError, LabError, pools.PoolError, OSError) as error:
            print(f"grade: {error}", file=sys.stderr)
            return UNUSABLE
        from autograder.course import Course, CourseError, LockedError  # takes a second to import

        try:
            course = Course(options.course, options.db_url)
            assignment = _assignment(options, course.seed)
            ready = workers.get_ready_alone if options.scheduler else workers.get_ready
            starting = pool.start(ready, assignment)
            from autograder import pipeline  # with nbgrader, while the workers get ready

            _keep_imports()
            lab = _outline(starting)
            assignment = dataclasses.replace(assignment, forks=_result(forks, "the sandbox"))
            release = course.assign(lab)
            found = (Student(s.student_id) for s in submissions if not s.problem)
            course.enrol([*(roster or {}).values(), *found])
        except (UsageError, CourseError, LabError, pools.PoolError, OSError) as error:
            print(f"grade: {error}", file=sys.stderr)
            return INTERRUPTED if isinstance(error, LockedError) else UNUSABLE
        with stop.politely():
            run = pipeline.Run(options, lab, course, release, journal, assignment, pool, stop)
            code = run.through(submissions)
            stack.close()
        return code


def _keep_imports() -> None:
    """Leave what is imported by now out of every collection of garbage: none of it ever is."""
    if not gc.get_freeze_count():
        gc.freeze()
    gc.enable()


def _name_strangers(submissions: list[Submission]) -> None:
    if strangers := [s.student_id for s in submissions if STRANGER in s.note and not s.problem]:
        shown = ", ".join(strangers[:5]) + (", …" if len(strangers) > 5 else "")
        print(f"{len(strangers)} not on the roster, graded all the same: {shown}")


def _assignment(options: Options, course_seed: int) -> workers.Assignment:
    return workers.Assignment(
        lab=options.lab,
        labs=str(options.labs.resolve()),
        checks=workers.checks_of(discover.folder(options.lab, options.labs)),
        course_seed=course_seed,
        time_limit=options.time_limit,
        memory_limit=options.memory_limit,
        isolate=options.isolate,
        code=workers.code_of() if options.scheduler else (),
    )


def _forks(options: Options, lab: Path) -> Future[sandbox.Address | None]:
    """Start the fork server that all workers of this machine share, without waiting for it."""
    made: Future[sandbox.Address | None] = Future()

    def make() -> None:
        try:
            made.set_result(sandbox.share(fork_server.libraries_of(lab)))
        except Exception as error:
            made.set_exception(error)

    if options.isolate and not options.scheduler:
        threading.Thread(target=make, daemon=True).start()
    else:
        made.set_result(None)
    return made


def _outline(starting: dict[str, Future[discover.Outline]]) -> discover.Outline:
    """Return what the lab asks for once every worker is ready."""
    outlines = [_result(future, name) for name, future in starting.items()]
    return outlines[0]


def _result(future: Future[Answer], who: str) -> Answer:
    if not wait([future], READY_SECONDS).done:
        raise UsageError(f"{who} was not ready within {READY_SECONDS:g} s")
    try:
        return future.result()
    except LabError:
        raise
    except sandbox.SandboxError as error:
        raise UsageError(str(error)) from None
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise UsageError(f"{who} cannot judge submissions: {said}") from None


@contextlib.contextmanager
def _journal(options: Options) -> Iterator[Journal]:
    """Open the folder of results, for this run alone."""
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        lock = (options.out / ".lock").open("w")
    except OSError as error:
        raise UsageError(f"{options.out} cannot be written: {error.strerror}") from None
    with lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass
        except BlockingIOError:
            raise UsageError(f"{options.out} is being written by another run") from None
        sweep(options.out)
        journal = Journal(options.out / "results.jsonl")
        others = {record.lab for record in journal.read().values()} - {options.lab}
        if others:
            raise UsageError(
                f"{options.out} holds results of {', '.join(others)}: name another --out"
            )
        yield journal
