"""Worker processes: what travels, who shares what, and what becomes of those that die."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import pickle
import pickletools
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

from autograder import discover, execution, pools, preflight, workers
from autograder.collect import Files
from autograder.course import Course
from autograder.discover import LoadedLab
from autograder.errors import LabError
from autograder.execution import Execution, Job, Outcome
from autograder.pools import LocalPool
from autograder.results import SubmissionResult
from autograder.sample_class import Case
from autograder.stopping import Stop
from autograder.workers import Assignment, Task
from tests import doubles
from tests.grading import LAB, NOTEBOOK, TOY

ROOT = TOY.parents[2]


def assignment(**more: Any) -> Assignment:
    plain = {
        "lab": LAB,
        "labs": str(TOY),
        "checks": workers.checks_of(discover.folder(LAB, TOY)),
        "course_seed": 5,
        "time_limit": None,
        "memory_limit": 1024,
        "isolate": False,
    }
    return Assignment(**(plain | more))


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalPool]:
    with LocalPool(2) as made:
        yield made


@pytest.fixture
def jobs(toy_course: Course, monkeypatch: pytest.MonkeyPatch) -> dict[str, Job]:
    """Submissions of five students that report at `desk` before they are judged, simply."""
    monkeypatch.setattr(workers, "judge_task", doubles.judge_simply)
    release = toy_course.release(LAB)
    prepared = preflight.unusable(release, "missing", "")
    name = doubles.new_desk().encode()
    return {
        student: Job(
            student,
            prepared,
            Task(assignment(), {doubles.STUDENT: student.encode(), doubles.DESK: name}, ()),
        )
        for student in ("ada", "bob", "cy", "dan", "eve")
    }


def desk_of(jobs: dict[str, Job]) -> str:
    task = jobs["ada"].task
    assert task is not None
    return task.files[doubles.DESK].decode()


def outcomes(pool: Any, jobs: dict[str, Job]) -> dict[str, Outcome]:
    batches = Execution(pool, iter(jobs.values()), Stop()).batches()
    return {outcome.job.student_id: outcome for batch in batches for outcome in batch}


# -- what travels --------------------------------------------------------------------------------


def test_a_task_is_plain_data() -> None:
    task = Task(assignment(code=workers.code_of()), {NOTEBOOK: b"{}"}, ("question",))
    raw = pickle.dumps(task)
    assert pickle.loads(raw) == task
    named = {
        str(argument) for code, argument, _ in pickletools.genops(raw) if code.name == "GLOBAL"
    }
    strings = [a for _, a, _ in pickletools.genops(raw) if isinstance(a, str)]
    assert named == set()
    assert {text for text in strings if text.startswith("autograder.")} == {"autograder.workers"}


def test_errors_come_back(pool: LocalPool) -> None:
    where = TOY / LAB / "checks.py"
    error = pool.submit(raise_it, LabError("it is broken", where, 3)).exception()
    assert isinstance(error, LabError)
    assert (error.path, error.line) == (where, 3)
    assert str(error) == str(LabError("it is broken", where, 3))
    error = pool.submit(raise_oddly, None).exception()
    assert isinstance(error, RuntimeError)
    assert str(error) == "OddError: a and b"


class OddError(Exception):
    """One that pickle cannot make again."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def raise_it(error: Exception) -> None:
    raise error


def raise_oddly(_: None) -> None:
    raise OddError("a", "b")


# -- processes -----------------------------------------------------------------------------------


def test_workers_are_forked_from_one_process_with_one_thread(pool: LocalPool) -> None:
    server: Any = forkserver._forkserver  # type: ignore[attr-defined]
    assert pool.submit(parent_of, None).result() == server._forkserver_pid
    assert len(list(Path(f"/proc/{server._forkserver_pid}/task").iterdir())) == 1
    assert pool.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
    assert pool.submit(is_loaded, "torch").result()


def parent_of(_: None) -> int:
    return os.getppid()


def is_loaded(name: str) -> bool:
    return name in sys.modules


def test_what_a_worker_starts_can_be_interrupted(pool: LocalPool) -> None:
    """A signal that is ignored stays ignored in every process that is started from there."""
    status = pool.submit(subprocess.getoutput, "grep SigIgn /proc/self/status").result()
    assert not int(status.split()[1], 16) & 1 << (signal.SIGINT - 1)


def test_ctrl_c_is_not_the_workers_affair(pool: LocalPool) -> None:
    pid = pool.submit(interrupt_yourself, None).result()
    assert Path(f"/proc/{pid}").exists()


def interrupt_yourself(_: None) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    return os.getpid()


ORPHANS = """
import os, sys
from autograder.pools import LocalPool
from tests.test_workers import hang, parent_of

if __name__ == "__main__":
    pool = LocalPool(2)
    told, tell = os.pipe()
    for future in pool.start(os.getpgid, 0).values():
        future.result()
    pool.submit(hang, None)
    print(*(worker._process.pid for worker in pool._all), flush=True)
    sys.stdin.read()
"""


def hang(_: None) -> None:
    ctypes.CDLL(None).pause()


def test_workers_end_with_the_grader_however_that_ends() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHANS],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as grader:
        assert grader.stdout is not None
        pids = [int(pid) for pid in grader.stdout.readline().split()]
        assert len(pids) == 2
        ends = [os.pidfd_open(pid) for pid in pids]
        grader.kill()
        grader.wait()
    gone: set[int] = set()
    while len(gone) < len(ends):
        readable, _, _ = select.select([end for end in ends if end not in gone], [], [], 60)
        assert readable, "a worker outlives its grader"
        gone.update(readable)
    for end in ends:
        os.close(end)


def test_leaving_a_pool_ends_workers_whatever_they_do(jobs: dict[str, Job]) -> None:
    begun = threading.Event()

    def leave(student: str, pid: int) -> bool:
        begun.set()
        return False

    with doubles.desk(desk_of(jobs), leave), LocalPool(1) as pool:
        future = pool.submit(doubles.judge_simply, jobs["ada"].task)
        assert begun.wait(60)
        (worker,) = pool._all
    assert isinstance(future.exception(), pools.WorkerDiedError)
    assert worker._process.exitcode == -signal.SIGKILL


# -- those that die ------------------------------------------------------------------------------


def test_what_a_dead_worker_had_is_judged_by_another(pool: LocalPool, jobs: dict[str, Job]) -> None:
    seen: list[tuple[str, int]] = []

    def leave(student: str, pid: int) -> bool:
        seen.append((student, pid))
        if student == "bob" and len([s for s, _ in seen if s == "bob"]) == 1:
            os.kill(pid, signal.SIGKILL)
        return True

    with doubles.desk(desk_of(jobs), leave):
        got = outcomes(pool, jobs)
    assert all(got[student].result is not None for student in jobs)
    assert sorted(student for student, _ in seen) == sorted([*jobs, "bob"])
    first, second = (pid for student, pid in seen if student == "bob")
    assert first != second
    assert {s: job.deaths for s, job in jobs.items() if job.deaths} == {"bob": 1}


def test_a_submission_that_kills_workers_does_not_stop_the_others(
    pool: LocalPool, jobs: dict[str, Job]
) -> None:
    seen: list[str] = []

    def leave(student: str, pid: int) -> bool:
        seen.append(student)
        if student == "bob":
            os.kill(pid, signal.SIGKILL)
        return True

    with doubles.desk(desk_of(jobs), leave):
        got = outcomes(pool, jobs)
    assert got["bob"].failure == "3 workers ended while they judged it, the last alone"
    assert all(got[student].result is not None for student in jobs if student != "bob")
    assert seen.count("bob") == 3
    assert seen[-2:] == ["bob", "bob"]  # once all others were through
    assert len(seen) == len(jobs) + 2


# -- the order of things -------------------------------------------------------------------------


class ByHand:
    """A pool whose futures the test completes."""

    width = 2

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, function: Any, argument: Any) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]

    def deaths(self, error: BaseException) -> int:
        return 0

    def check(self) -> None:
        return


def test_execution_does_not_run_far_ahead(jobs: dict[str, Job]) -> None:
    started: list[int] = []

    def many() -> Iterator[Job]:
        for number in range(100):
            started.append(number)
            yield Job(str(number), jobs["ada"].prepared, jobs["ada"].task)

    pool = ByHand()
    batches = Execution(pool, many(), Stop()).batches()
    submit = pool.submit

    def and_complete(function: Any, argument: Any) -> Future[Any]:
        future = submit(function, argument)
        if len(pool.futures) == 1:
            future.set_result(SubmissionResult(()))
        return future

    pool.submit = and_complete  # type: ignore[method-assign]
    assert [outcome.job.student_id for outcome in next(batches)] == ["0"]
    assert len(started) == 2 * pool.width + 2


def test_what_is_finished_when_somebody_interrupts_is_handed_over(
    jobs: dict[str, Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "STOP_SECONDS", 0.0)
    pool, stop = ByHand(), Stop()
    batches = Execution(pool, iter(jobs.values()), stop).batches()
    submit = pool.submit

    def and_stop(function: Any, argument: Any) -> Future[Any]:
        future = submit(function, argument)
        if len(pool.futures) == 2:
            future.set_result(SubmissionResult(()))
        if len(pool.futures) == 3:
            pool.futures[0].set_running_or_notify_cancel()
            stop.set()
        return future

    pool.submit = and_stop  # type: ignore[method-assign]
    assert [[outcome.job.student_id for outcome in batch] for batch in batches] == [["bob"]]
    assert len(pool.futures) == 3
    assert pool.futures[2].cancelled()


def test_what_a_broken_connection_cancelled_is_judged_again(jobs: dict[str, Job]) -> None:
    class Breaks(ByHand):
        def submit(self, function: Any, argument: Any) -> Future[Any]:
            future = super().submit(function, argument)
            if len(self.futures) == 2:
                future.cancel()
                future.set_running_or_notify_cancel()
            else:
                future.set_result(SubmissionResult(()))
            return future

    pool = Breaks()
    got = outcomes(pool, jobs)
    assert len(pool.futures) == len(jobs) + 1
    assert all(outcome.result is not None for outcome in got.values())
    assert not any(job.deaths for job in jobs.values())


class Shared(ByHand):
    """A pool whose workers hold several submissions: one death fails all of them, as in Dask."""

    def __init__(self, jobs: dict[str, Job], poison: str) -> None:
        super().__init__()
        self.poison = poison
        self.runs: list[str] = []
        self._names = {id(job.task): name for name, job in jobs.items()}
        self._held: list[tuple[str, Future[Any]]] = []

    def submit(self, function: Any, argument: Any) -> Future[Any]:
        future = super().submit(function, argument)
        name = self._names[id(argument)]
        self.runs.append(name)
        self._held.append((name, future))
        if len(self._held) == 3 or len(self.runs) > 5:
            dies = any(name == self.poison for name, _ in self._held)
            for _, each in self._held:
                if dies:
                    each.set_exception(pools.WorkerDiedError("exit code -9"))
                else:
                    each.set_result(SubmissionResult(()))
            self._held.clear()
        return future

    def deaths(self, error: BaseException) -> int:
        return 4


def test_nobody_pays_for_a_worker_shared_with_poison(jobs: dict[str, Job]) -> None:
    fay = Job("fay", jobs["ada"].prepared, Task(assignment(), {}, ()))
    everybody = {**jobs, "fay": fay}
    pool = Shared(everybody, poison="bob")
    got = outcomes(pool, everybody)
    assert got["bob"].failure == "8 workers ended while they judged it, the last alone"
    assert all(got[name].result is not None for name in everybody if name != "bob")
    assert pool.runs == [*everybody, "ada", "bob", "cy"]


# -- the same everywhere -------------------------------------------------------------------------


def test_a_lab_that_changed_meanwhile_is_not_judged(pool: LocalPool) -> None:
    error = pool.submit(workers.get_ready, assignment(checks="another")).exception()
    assert isinstance(error, workers.MismatchError)
    assert "is not what it was when grading started" in str(error)


def test_another_version_is_named(pool: LocalPool) -> None:
    code = tuple((n, "0.1" if n == "numpy" else v) for n, v in workers.code_of())
    error = pool.submit(workers.get_ready, assignment(code=code)).exception()
    assert isinstance(error, workers.MismatchError)
    assert str(error).endswith("this machine 0.1")
    assert str(error).startswith("it has numpy ")
    code = (*workers.code_of()[:-2], ("autograder", "x"), workers.code_of()[-1])
    error = pool.submit(workers.get_ready, assignment(code=code)).exception()
    assert "it has autograder" in str(error)


KINDS = ("perfect", "another style 1", "empty stub", "wrong predictions", "os._exit")


@pytest.mark.needs("sandbox")
def test_one_worker_or_four_judge_alike(
    toy_course: Course, toy_lab: LoadedLab, toy_cases: dict[str, Case]
) -> None:
    from autograder import sandbox

    release = toy_course.release(LAB)
    shared = assignment(isolate=True, forks=sandbox.share(), course_seed=toy_course.seed)
    wrong = [name for name, case in toy_cases.items() if case.mistakes][:4]
    found = [toy_cases[name] for name in (*KINDS, *wrong) if name in toy_cases]
    assert len(found) >= len(wrong) + 4
    jobs = {}
    for case in found:
        prepared = preflight.prepare(release, LAB, Files(case.files))
        files = prepared.files | {NOTEBOOK: prepared.raw}
        untouched = tuple(sorted(preflight.untouched(release, prepared.notebook)))
        jobs[case.name] = Job(case.name, prepared, Task(shared, files, untouched))
    seen = []
    for number in (1, 4):
        with LocalPool(number) as pool:
            seen.append({name: bits(each) for name, each in outcomes(pool, jobs).items()})
    assert seen[0] == seen[1]
    for case in found:
        assert {n: (i.points, i.status) for n, i in seen[0][case.name][0].items()} == case.scores


def bits(outcome: Outcome) -> tuple[dict[str, Any], Any, str]:
    """All of a result but what a clock or the machine's load has a part in."""
    result = outcome.result
    assert result is not None, outcome.failure
    exercises = {i.name: dataclasses.replace(i, seconds=0.0) for i in result.exercises}
    return exercises, result.outputs, result.tier
