"""Judges submissions in a pool, ahead of the one thread that records them in the gradebook."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import importlib.metadata
import os
import platform
import signal
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import FrameType
from typing import TYPE_CHECKING

from nbformat import NotebookNode
from tqdm import tqdm

from autograder import preflight, report
from autograder.collect import Files, RefusedError, Submission, bad_id, printable
from autograder.course import Course, CourseError
from autograder.discover import LoadedLab
from autograder.judge import judge, nothing
from autograder.nbgrader_road import one_engine
from autograder.preflight import Prepared
from autograder.records import Journal, Record, Written, grade_cells, with_gradebook
from autograder.results import Status, SubmissionResult
from autograder.writer import RecordError, Writer

if TYPE_CHECKING:
    from autograder.grade import Options

OK, INTERRUPTED = 0, 3
STOP_SECONDS = 2.0  # for what is being judged when somebody interrupts
VERSIONED = ("numpy", "torch", "nbgrader", "from-rewards-to-language-models")


@dataclasses.dataclass(frozen=True)
class Job:
    """A submission that is being judged."""

    student_id: str
    prepared: Prepared


class Run:
    """One run over a class."""

    def __init__(
        self,
        options: Options,
        lab: LoadedLab,
        course: Course,
        release: NotebookNode,
        journal: Journal,
    ) -> None:
        self.options, self.lab, self.course = options, lab, course
        self.release, self.journal = release, journal
        self.cells = grade_cells(release)
        self.run_id = uuid.uuid4().hex[:12]
        self.checks = _digest_of(lab)
        self.seed = course.seed
        self.records = journal.read()
        self.stop = threading.Event()
        self.versions = {"python": platform.python_version()} | {
            name: importlib.metadata.version(name) for name in VERSIONED
        }

    def through(self, submissions: list[Submission]) -> int:
        """Grade who is not recorded yet, write the outputs and return the exit code."""
        pool = ThreadPoolExecutor(self.options.workers, thread_name_prefix="referee")
        bar = tqdm(total=len(submissions), desc=self.options.lab, unit="student", smoothing=0)
        code = OK
        with _stop_on_signal(self.stop), one_engine(), bar:
            try:
                writer = Writer(self.course, self.options.lab, self.options.out)
                self._drain(pool, submissions, writer, bar)
            except (CourseError, OSError) as error:  # no gradebook, no disk: nothing can go on
                self.stop.set()
                print(f"grade: {error}", file=sys.stderr)
            if self.stop.is_set():
                code = INTERRUPTED
        pool.shutdown(wait=False, cancel_futures=True)
        try:
            self._finish({submission.student_id for submission in submissions})
        except (CourseError, OSError) as error:
            print(f"grade: the tables are not up to date: {error}", file=sys.stderr)
            code = INTERRUPTED
        if code == INTERRUPTED:
            print("interrupted: the same command goes on from here", file=sys.stderr)
            _leave(pool, code)
        return code

    def _drain(
        self,
        pool: ThreadPoolExecutor,
        submissions: list[Submission],
        writer: Writer,
        bar: tqdm[None],
    ) -> None:
        """Keep the pool busy and record what comes out of it, until all is done or stopped."""
        running: dict[Future[SubmissionResult], Job] = {}
        queue = self._to_do(submissions, bar)
        exhausted = False
        while not self.stop.is_set():
            while not exhausted and len(running) < 2 * self.options.workers + 2:
                job = next(queue, None)
                if job is None:
                    exhausted = True
                    break
                running[pool.submit(self._judge, job)] = job
            if not running:
                return
            done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in [future for future in running if future in done]:
                self._record(running.pop(future), future, writer)
                bar.update()
                bar.set_postfix(self._counts(), refresh=False)
                if self.stop.is_set():
                    return

    def _to_do(self, submissions: list[Submission], bar: tqdm[None]) -> Iterator[Job]:
        scores = self.course.scores(self.options.lab)
        for submission in submissions:
            job = Job(submission.student_id, self._prepare(submission))
            record = self.records.get(job.student_id)
            if record and not self.options.regrade and self._is_recorded(job, record, scores):
                bar.update()
                continue
            yield job

    def _prepare(self, submission: Submission) -> Prepared:
        def unusable(status: Status, reason: str) -> Prepared:
            return preflight.unusable(self.release, status, reason)

        if submission.problem:
            return unusable("rejected", submission.problem)
        if submission.read is None:
            return unusable("missing", "nothing was handed in")
        try:
            files = submission.read()
            notes = (*files.notes, submission.note) if submission.note else files.notes
            files = Files(files.content, notes)
            return preflight.prepare(self.release, self.options.lab, files)
        except RefusedError as error:
            return unusable("rejected", str(error))
        except Exception as error:  # one strange submission must not stop a class
            return unusable(
                "malformed", f"it cannot be read ({type(error).__name__}: {error})"[:300]
            )

    def _is_recorded(
        self,
        job: Job,
        record: Record,
        scores: dict[str, dict[str, tuple[float | None, float | None]]],
    ) -> bool:
        """Whether the same files were graded and the gradebook still says so."""
        if record.digest != job.prepared.digest or record.reason != job.prepared.reason:
            return False
        if not _in_gradebook(record):
            return True
        told = scores.get(job.student_id, {})
        return all(told.get(i.name, (None, None))[0] == i.points for i in record.exercises)

    def _judge(self, job: Job) -> SubmissionResult:
        return judge(
            self.lab,
            self.release,
            job.prepared,
            course_seed=self.seed,
            time_limit=self.options.time_limit,
            memory_limit=self.options.memory_limit,
            isolate=self.options.isolate,
        )

    def _record(self, job: Job, future: Future[SubmissionResult], writer: Writer) -> None:
        """Write one submission into the gradebook, its feedback, and then the journal."""
        failure = ""
        try:
            result = future.result()
        except Exception as error:  # ours, not the student's: it is tried again next time
            failure = f"it could not be judged ({type(error).__name__}: {error})"[:300]
        else:
            record = self._row(job, result)
            try:
                if _in_gradebook(record):
                    writer.write(job.student_id, job.prepared, result)
                    writer.commit()
            except RecordError as error:
                failure = f"nbgrader could not record it ({error})"
        if failure:
            tqdm.write(f"{printable(job.student_id)}: {failure}", file=sys.stderr)
            result = nothing(self.lab, "killed", f"{failure}; grade it again")
            record = dataclasses.replace(
                self._row(job, result), status="killed", reason=failure, digest=""
            )
        else:
            self.journal.append(record)
        self.records[job.student_id] = record

    def _row(self, job: Job, result: SubmissionResult) -> Record:
        prepared = job.prepared
        return Record(
            student_id=job.student_id,
            lab=self.options.lab,
            run_id=self.run_id,
            graded_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            digest=prepared.digest,
            checks=self.checks,
            status=prepared.status or "ok",
            reason=prepared.reason,
            notes=prepared.notes,
            order=tuple(cell.exercise for cell in self.cells),
            exercises=result.exercises,
            written=tuple(
                Written(
                    cell.exercise,
                    cell.points,
                    prepared.status or "ok",
                    0.0 if prepared.status else None,
                    cell.grade_id not in preflight.untouched(self.release, prepared.notebook),
                )
                for cell in self.cells
                if cell.written
            ),
            seconds=result.seconds,
            tier=result.tier,
            versions=self.versions,
            cpu_seconds=result.cpu_seconds,
            peak_bytes=result.peak_bytes,
        )

    def _counts(self) -> dict[str, int]:
        counts = Counter(record.status for record in self.records.values())
        return {status: count for status, count in counts.items() if status != "ok"}

    def _finish(self, wanted: set[str]) -> None:
        """Write grades.csv and report.html over all that is recorded, and say where they are."""
        if not self.records:
            return
        self.journal.rewrite(self.records.values())
        scores = self.course.scores(self.options.lab)
        records = [with_gradebook(r, scores.get(r.student_id, {})) for r in self.records.values()]
        # comparing a class takes seconds: not while somebody waits for the program to stop
        report.write(self.options.out, records, None if self.stop.is_set() else self.course)
        done = [record for record in records if record.student_id in wanted]
        said = ", ".join(f"{count} {status}" for status, count in self._counts().items())
        print(f"{len(done)} of {len(wanted)} students graded" + (f" ({said})" if said else ""))
        stale = sum(record.checks != self.checks for record in done)
        if stale:
            print(f"{stale} were judged by earlier checks: --regrade judges them again")
        for name in ("grades.csv", "results.jsonl", "report.html", "feedback"):
            print(f"  {self.options.out / name}")


def _in_gradebook(record: Record) -> bool:
    """Whether nbgrader knows of a submission: not where nothing came, or an id is unusable."""
    return record.status != "missing" and not bad_id(record.student_id)


def _digest_of(lab: LoadedLab) -> str:
    digest = hashlib.sha256()
    for path in sorted(lab.path.glob("*.py")):
        if not path.name.startswith("test_"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _stop_on_signal(stop: threading.Event) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into ``stop``; a second one ends the program at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def first(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(pool: ThreadPoolExecutor, code: int) -> None:
    """End the program if submissions are still being judged: nobody waits for their limits."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("referee")]
    for thread in threads:
        thread.join(STOP_SECONDS / len(threads))
    if any(thread.is_alive() for thread in threads):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
