"""``--scheduler``: a real Dask scheduler and its workers, processes of which some are killed."""

from __future__ import annotations

import csv
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder import grade, pools, workers
from autograder.course import Course
from autograder.grade import INTERRUPTED, OK, UNUSABLE, Options
from autograder.sample_class import Case
from tests import doubles
from tests.grading import LAB, TOY, hand_in

pytestmark = pytest.mark.long(1)

ROOT = TOY.parents[2]
STUDENTS = {
    "ada": "perfect",
    "bob": "another style 1",
    "cy": "wrong predictions",
    "dan": "empty stub",
    "eve": "truncated JSON",
}


class Daemon:
    """A process that says on stderr when it is ready."""

    def __init__(self, *arguments: str, ready: str) -> None:
        quiet = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "labs")))}
        quiet |= {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]],
            env=os.environ | quiet,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stderr is not None
        self.said = next(line for line in self._process.stderr if ready in line)
        self._reader = threading.Thread(target=self._process.stderr.read, daemon=True)
        self._reader.start()
        self.pid = self._process.pid

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A scheduler's address."""
    made = Daemon(
        *("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
        ready="Scheduler at:",
    )
    yield made.said.split()[-1]
    made.end()


@pytest.fixture
def some_workers(scheduler: str) -> Iterator[list[Daemon]]:
    """Two workers, without what would start them again."""
    options = ("--no-nanny", "--nthreads", "1", "--no-dashboard")
    made = [Daemon("worker", scheduler, *options, ready="Registered to") for _ in range(2)]
    yield made
    for each in made:
        each.end()


def options(course: Course, tmp_path: Path, **more: Any) -> Options:
    paths = {"submissions": tmp_path / "in", "out": tmp_path / "out", "course": course.root}
    return Options(**({"lab": LAB, "labs": TOY} | paths | more))


def submit(tmp_path: Path, toy_cases: dict[str, Case], name: str) -> None:
    for student, case in STUDENTS.items():
        beside = {doubles.STUDENT: student.encode(), doubles.DESK: name.encode()}
        hand_in(tmp_path / "in", student, toy_cases[case].files | beside)


def verdicts(out: Path) -> tuple[str, dict[str, Any]]:
    """All that was recorded but what a clock has a part in."""
    found = {}
    for line in (out / "results.jsonl").read_text("utf-8").splitlines():
        tree = json.loads(line)
        for item in tree["exercises"]:
            del item["seconds"]
        found[tree["student_id"]] = [
            tree[key] for key in ("exercises", "written", "tier", "digest")
        ]
    return (out / "grades.csv").read_text("utf-8"), found


@pytest.mark.needs("sandbox")
def test_a_cluster_judges_alike_though_a_worker_is_killed(
    course: Course,
    tmp_path: Path,
    toy_cases: dict[str, Case],
    scheduler: str,
    some_workers: list[Daemon],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    submit(tmp_path, toy_cases, name := doubles.new_desk())
    monkeypatch.setattr(workers, "judge_task", doubles.judge_really)
    seen: list[tuple[str, int]] = []

    def leave(student: str, pid: int) -> bool:
        seen.append((student, pid))
        if student == "bob" and len([s for s, _ in seen if s == "bob"]) == 1:
            os.kill(pid, signal.SIGKILL)
        return True

    with doubles.desk(name, leave):
        assert grade.grade(options(course, tmp_path, scheduler=scheduler)) == OK
        far = verdicts(tmp_path / "out")
        pids = {worker.pid for worker in some_workers}
        first, second = (pid for student, pid in seen if student == "bob")
        assert {first, second} == pids
        assert {pid for _, pid in seen} == pids
        near = options(course, tmp_path, out=tmp_path / "near", workers=1, regrade=True)
        assert grade.grade(near) == OK
    assert verdicts(tmp_path / "near") == far
    assert set(far[1]) == set(STUDENTS)
    with (tmp_path / "out" / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = {(r["student_id"], r["exercise"]): r for r in csv.DictReader(file)}
    for student, case in STUDENTS.items():
        for exercise, (points, status) in toy_cases[case].scores.items():
            row = rows[student, exercise]
            assert (float(row["points"]), row["status"]) == (points, status)


def test_a_scheduler_that_goes_takes_nothing_recorded_along(
    course: Course,
    tmp_path: Path,
    toy_cases: dict[str, Case],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same command goes on, here or on another cluster."""
    monkeypatch.setattr(workers, "judge_task", doubles.judge_simply)
    monkeypatch.setattr(pools, "CONNECT_SECONDS", 2.0)
    submit(tmp_path, toy_cases, name := doubles.new_desk())
    made = Daemon(
        *("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
        ready="Scheduler at:",
    )
    address = made.said.split()[-1]
    worker = Daemon(
        *("worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard"),
        ready="Registered to",
    )

    def leave(student: str, pid: int) -> bool:
        if student == "cy":
            made.end()
            return False
        return True

    try:
        with doubles.desk(name, leave):
            run = options(course, tmp_path, scheduler=address, isolate=False)
            assert grade.grade(run) == INTERRUPTED
    finally:
        worker.end()
    error = capsys.readouterr().err
    assert f"grade: the scheduler at {address} is gone\n" in error
    assert "the same command goes on" in error
    recorded = set(verdicts(tmp_path / "out")[1])
    assert "cy" not in recorded
    with doubles.desk(name, lambda student, pid: student not in recorded):
        assert grade.grade(options(course, tmp_path, workers=1, isolate=False)) == OK
    assert set(verdicts(tmp_path / "out")[1]) == set(STUDENTS)


def test_deaths_are_counted_as_the_scheduler_counts_them() -> None:
    from distributed import KilledWorker

    count = pools.Cluster.deaths
    assert count(None, KilledWorker("task", None, 3)) == 4  # type: ignore[arg-type]
    assert count(None, RuntimeError()) == 0  # type: ignore[arg-type]


# -- what cannot be used -------------------------------------------------------------------------


def refusal(
    course: Course,
    tmp_path: Path,
    toy_cases: dict[str, Case],
    capsys: pytest.CaptureFixture[str],
    address: str,
) -> str:
    submit(tmp_path, toy_cases, doubles.new_desk())
    run = options(course, tmp_path, scheduler=address, isolate=False)
    assert grade.grade(run) == UNUSABLE
    error = capsys.readouterr().err
    assert error.startswith("grade: ")
    assert error.count("\n") == 1, error
    return error


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:9", "nowhere", "tcp://127.0.0.1", "far://a:1"]
)
def test_an_address_where_nobody_answers(
    course: Course,
    tmp_path: Path,
    toy_cases: dict[str, Case],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    address: str,
) -> None:
    monkeypatch.setattr(pools, "CONNECT_SECONDS", 0.3)
    error = refusal(course, tmp_path, toy_cases, capsys, address)
    assert f"no Dask scheduler answers at {address}" in error


def test_an_address_where_something_else_listens(
    course: Course,
    tmp_path: Path,
    toy_cases: dict[str, Case],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        error = refusal(course, tmp_path, toy_cases, capsys, address)
    assert "nothing within 0.3 s" in error


def test_a_scheduler_without_workers(
    course: Course,
    tmp_path: Path,
    toy_cases: dict[str, Case],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    scheduler: str,
) -> None:
    monkeypatch.setattr(pools, "WORKER_SECONDS", 0.3)
    error = refusal(course, tmp_path, toy_cases, capsys, scheduler)
    assert f"the scheduler at {scheduler} has no workers" in error


def test_workers_that_are_not_like_us(
    course: Course,
    tmp_path: Path,
    toy_cases: dict[str, Case],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    scheduler: str,
    some_workers: list[Daemon],
) -> None:
    """Another version, or no course at all."""
    with monkeypatch.context() as patch:
        others = tuple((n, "0.1" if n == "torch" else v) for n, v in workers.code_of())
        patch.setattr(workers, "code_of", lambda: others)
        error = refusal(course, tmp_path, toy_cases, capsys, scheduler)
    assert "cannot judge submissions: MismatchError: it has torch " in error
    assert "this machine 0.1" in error
    (tmp_path / "only_here.py").write_text("def get_ready(_): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    only_here = importlib.import_module("only_here")
    monkeypatch.setattr(workers, "get_ready_alone", only_here.get_ready)
    run = options(course, tmp_path, scheduler=scheduler, isolate=False)
    assert grade.grade(run) == UNUSABLE
    assert "No module named 'only_here'" in capsys.readouterr().err
