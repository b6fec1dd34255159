"""One run over a class: what a pool judges ahead goes to the one writer of the gradebook."""

from __future__ import annotations

import dataclasses
import datetime
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nbformat import NotebookNode
from tqdm import tqdm

from autograder import late, preflight, report
from autograder.collect import Files, RefusedError, Submission, bad_id, printable
from autograder.course import Course, CourseError
from autograder.discover import Outline
from autograder.execution import Execution, Job, Outcome
from autograder.judge import nothing
from autograder.pools import Pool, PoolError
from autograder.preflight import Prepared
from autograder.progress import Bar
from autograder.records import Journal, Record, Written, grade_cells, with_gradebook
from autograder.regrade import Regrade
from autograder.results import Status, SubmissionResult
from autograder.stopping import Stop
from autograder.workers import Assignment, Task, versions
from autograder.writer import RecordError, Writer

if TYPE_CHECKING:
    from autograder.grade import Options

OK, INTERRUPTED = 0, 3


class Run:
    """One run over a class.

    Args:
        options: what to grade and where to.
        lab: what the lab asks for.
        course: holds the gradebook.
        release: the lab's student notebook.
        journal: of what is recorded.
        assignment: what the workers get with every submission.
        pool: the workers.
        stop: tells when to end early.
    """

    def __init__(
        self,
        options: Options,
        lab: Outline,
        course: Course,
        release: NotebookNode,
        journal: Journal,
        assignment: Assignment,
        pool: Pool,
        stop: Stop,
    ) -> None:
        self.options, self.lab, self.course = options, lab, course
        self.release, self.journal, self.assignment = release, journal, assignment
        self.pool, self.stop = pool, stop
        self.cells = grade_cells(release)
        self.released = frozenset(cell.source for cell in release.cells)
        self.run_id = uuid.uuid4().hex[:12]
        self.records = journal.read()
        self.regrade = Regrade(journal) if options.regrade else None
        self.versions = versions()

    def through(self, submissions: list[Submission]) -> int:
        """Grade who is not recorded yet, write the outputs and return the exit code."""
        if self.regrade is not None and self.regrade.goes_on:
            print("a regrade was interrupted: it goes on", file=sys.stderr)
        wanted = {submission.student_id for submission in submissions}
        whole = False
        with Bar(total=len(submissions), desc=self.options.lab) as bar:
            try:
                writer = Writer(self.course, self.options.lab, self.options.out)
                jobs = self._to_do(submissions, bar)
                for batch in Execution(self.pool, jobs, self.stop).batches():
                    self._record(batch, writer)
                    bar.advance(len(batch), self._counts())
                whole = not self.stop.is_set()
            except (CourseError, PoolError, OSError) as error:  # no gradebook, disk or workers
                bar.clear()
                print(f"grade: {error}", file=sys.stderr)
        try:
            self._finish(wanted, whole)
        except (CourseError, OSError) as error:
            print(f"grade: the tables are not up to date: {error}", file=sys.stderr)
            whole = False
        if not whole:
            print("interrupted: the same command goes on from here", file=sys.stderr)
        return OK if whole else INTERRUPTED

    def _to_do(self, submissions: list[Submission], bar: Bar) -> Iterator[Job]:
        scores = self.course.scores(self.options.lab)
        for submission in submissions:
            prepared = self._prepare(submission)
            record = self.records.get(submission.student_id)
            if record and self._is_recorded(record, prepared, scores):
                bar.skip()
            else:
                yield Job(submission.student_id, prepared, self._task(prepared))

    def _prepare(self, submission: Submission) -> Prepared:
        told = (submission.note,) if submission.note else ()

        def unusable(status: Status, reason: str) -> Prepared:
            return preflight.unusable(self.release, status, reason, told)

        if submission.problem:
            return unusable("rejected", submission.problem)
        if submission.read is None:
            return unusable("missing", "nothing was handed in")
        try:
            files = submission.read()
            files = Files(files.content, (*files.notes, *told))
            return preflight.prepare(self.release, self.options.lab, files)
        except RefusedError as error:
            return unusable("rejected", str(error))
        except Exception as error:  # one strange submission must not stop a class
            return unusable(
                "malformed", f"it cannot be read ({type(error).__name__}: {error})"[:300]
            )

    def _task(self, prepared: Prepared) -> Task | None:
        if prepared.status is not None:
            return None
        own = (c.source for c in prepared.notebook.cells if c.source not in self.released)
        return Task(
            self.assignment,
            prepared.files | {f"{self.options.lab}.ipynb": prepared.raw},
            tuple(sorted(preflight.untouched(self.release, prepared.notebook))),
            names_torch=any("torch" in source for source in own),
        )

    def _is_recorded(
        self,
        record: Record,
        prepared: Prepared,
        scores: dict[str, dict[str, tuple[float | None, float | None]]],
    ) -> bool:
        """Whether the same files were graded and the gradebook still says so."""
        if self.regrade is not None and not (
            self.regrade.is_done(record) and record.checks == self.assignment.checks
        ):
            return False
        if record.digest != prepared.digest or record.reason != prepared.reason:
            return False
        if not _in_gradebook(record):
            return True
        told = scores.get(record.student_id, {})
        return all(told.get(i.name, (None, None))[0] == i.points for i in record.exercises)

    def _record(self, batch: list[Outcome], writer: Writer) -> None:
        """Write a batch into the gradebook, with its feedback, and then the journal."""
        written, failed = [], []
        for outcome in batch:
            job, failure = outcome.job, outcome.failure
            result = outcome.result or nothing(
                self.lab, job.prepared.status or "killed", job.prepared.reason
            )
            record = self._row(job, result)
            if not failure and _in_gradebook(record):
                try:
                    writer.write(job.student_id, job.prepared, result)
                except RecordError as error:
                    failure = f"nbgrader could not record it ({error})"
            if failure:  # ours, not the student's: it is tried again next time
                tqdm.write(f"{printable(job.student_id)}: {failure}", file=sys.stderr)
                reason = f"{failure}; grade it again"
                record = self._row(job, nothing(self.lab, "killed", reason))
                failed.append(
                    dataclasses.replace(record, status="killed", reason=reason, digest="")
                )
            else:
                written.append(record)
        writer.commit()
        for record in written:
            self.journal.append(record)
        self.records.update((record.student_id, record) for record in (*written, *failed))

    def _row(self, job: Job, result: SubmissionResult) -> Record:
        prepared = job.prepared
        untouched = preflight.untouched(self.release, prepared.notebook)
        return Record(
            student_id=job.student_id,
            lab=self.options.lab,
            run_id=self.run_id,
            graded_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            digest=prepared.digest,
            checks=self.assignment.checks,
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
                    cell.grade_id not in untouched,
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

    def _finish(self, wanted: set[str], whole: bool) -> None:
        """Write grades.csv and report.html over all that is recorded, and say where they are."""
        if not self.records:
            return
        late.work_out(self.course, self.options.lab)
        scores = self.course.scores(self.options.lab)
        penalties = self.course.late_penalties(self.options.lab)
        for name, record in self.records.items():
            self.records[name] = dataclasses.replace(
                with_gradebook(record, scores.get(name, {})), late_penalty=penalties.get(name, 0.0)
            )
        records = list(self.records.values())
        self.journal.rewrite(records)
        # comparing a class takes seconds: not while somebody waits for the program to stop
        compared = None if self.stop.is_set() else self.course
        pages = report.write(self.options.out, records, compared)
        done = [record for record in records if record.student_id in wanted]
        said = ", ".join(f"{count} {status}" for status, count in self._counts().items())
        print(f"{len(done)} of {len(wanted)} students graded" + (f" ({said})" if said else ""))
        if came_late := sum(record.late_penalty > 0 for record in done):
            print(f"{came_late} came late: their penalties are in report.html and results.jsonl")
        stale = sum(record.checks != self.assignment.checks for record in done)
        if stale:
            print(f"{stale} were judged by earlier checks: --regrade judges them again")
        if self.regrade is not None and whole:
            for line in self.regrade.finish(done, self.options.out):
                print(line)
        tables = [self.options.out / name for name in ("grades.csv", "results.jsonl")]
        for path in (*tables, *pages, self.options.out / "feedback"):
            print(f"  {path}")


def _in_gradebook(record: Record) -> bool:
    """Whether nbgrader knows of a submission: not where nothing came, or an id is unusable."""
    return record.status != "missing" and not bad_id(record.student_id)
