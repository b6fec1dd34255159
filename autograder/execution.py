"""Runs submissions ahead of the one who records them, and hands over what is judged in batches."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait

from autograder import workers
from autograder.pools import Pool
from autograder.preflight import Prepared
from autograder.results import SubmissionResult
from autograder.stopping import Stop
from autograder.workers import Task

STOP_SECONDS = 2.0  # for what is being judged when somebody interrupts
LOOK_SECONDS = 0.2  # between two looks whether somebody did
MAX_DEATHS = 3  # of workers under one submission


@dataclasses.dataclass(eq=False)
class Job:
    """A submission on its way.

    Attributes:
        task: what a worker gets; None if it cannot be run.
        deaths: workers that died while they had it.
    """

    student_id: str
    prepared: Prepared
    task: Task | None
    deaths: int = 0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a submission.

    Attributes:
        result: None for one that was not run.
        failure: why it could not be judged, through no fault of the student's; else empty.
    """

    job: Job
    result: SubmissionResult | None = None
    failure: str = ""


class Execution:
    """One pass of jobs through a pool, never more than a few ahead of who takes the outcomes.

    A submission under which a worker died is tried again once all others are through, alone, so
    that it is known whose fault a second death is.

    Args:
        pool: where submissions are judged.
        jobs: in the order in which they start.
        stop: ends it early.
    """

    def __init__(self, pool: Pool, jobs: Iterator[Job], stop: Stop) -> None:
        self._pool, self._jobs, self._stop = pool, jobs, stop
        self._running: dict[Future[SubmissionResult], Job] = {}
        self._again: deque[Job] = deque()
        self._suspects: deque[Job] = deque()

    def batches(self) -> Iterator[list[Outcome]]:
        """Yield what is ready, until all is, or after `Stop` what is ready within `STOP_SECONDS`.

        Raises:
            PoolError: if nothing more can be judged.
        """
        while not self._stop.is_set():
            ready = self._fill()
            if not (ready or self._running):
                return
            seconds = 0.0 if ready else LOOK_SECONDS
            done, _ = wait(self._running, timeout=seconds, return_when=FIRST_COMPLETED)
            ready += self._take(done)
            if ready:
                yield ready
            else:
                self._pool.check()
        for future in self._running:
            future.cancel()
        done, _ = wait(self._running, timeout=STOP_SECONDS)
        if ready := self._take(done):
            yield ready

    def _fill(self) -> list[Outcome]:
        """Start what there is room for; return what need not run."""
        ready: list[Outcome] = []
        ahead = 2 * self._pool.width + 2
        while len(self._running) + len(ready) < ahead and not self._stop.is_set():
            job = self._next()
            if job is None:
                break
            if job.task is None:
                ready.append(Outcome(job))
            else:
                self._running[self._pool.submit(workers.judge_task, job.task)] = job
        return ready

    def _next(self) -> Job | None:
        if self._again:
            return self._again.popleft()
        job = next(self._jobs, None)
        if job is None and self._suspects and not self._running:
            return self._suspects.popleft()
        return job

    def _take(self, done: set[Future[SubmissionResult]]) -> list[Outcome]:
        """Return what came of futures in the order in which they were started."""
        ready = []
        for future in [future for future in self._running if future in done]:
            job = self._running.pop(future)
            try:
                ready.append(Outcome(job, future.result()))
            except CancelledError:  # the connection broke: nobody's fault
                self._again.append(job)
            except Exception as error:
                if died := self._pool.deaths(error):
                    was_alone, job.deaths = job.deaths > 0, job.deaths + died
                    if was_alone and job.deaths >= MAX_DEATHS:
                        failure = f"{job.deaths} workers ended while they judged it, the last alone"
                        ready.append(Outcome(job, failure=failure))
                    else:
                        self._suspects.append(job)
                else:
                    failure = f"it could not be judged ({type(error).__name__}: {error})"
                    ready.append(Outcome(job, failure=failure[:300]))
        return ready
