"""Killed or interrupted at the worst of moments: nothing recorded is lost, nothing is doubled."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tqdm.std
from nbgrader.api import Gradebook

from autograder import grade, pools, sandbox, workers
from autograder.course import Course
from autograder.grade import INTERRUPTED, OK, UNUSABLE, Options
from autograder.records import Journal
from autograder.sample_class import Case
from benchmarks.grading_faults import disagreements, verdicts
from tests import doubles
from tests.grading import LAB, TOY, Threads, hand_in

pytestmark = pytest.mark.long(2)

ROOT = TOY.parents[2]
STUDENTS = [f"s{number}" for number in range(6)]

# Imports once; then a fork for each fault, whose folder, fault and further options stdin names.
DRIVER = """
import json, os, signal, sys
from pathlib import Path

from autograder import gradebook, grade, pipeline, pools, records, report, sandbox, workers, writer
from tests import doubles
from tests.grading import LAB, TOY, Threads

KILL, INT, TERM = signal.SIGKILL, signal.SIGINT, signal.SIGTERM


def hit(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)


def around(owner, name, before=(), after=(), when=lambda *_: True):
    # hits before or after the first call of a function for which it is due
    inner, done = getattr(owner, name), []

    def outer(*arguments):
        due = not done and when(*arguments)
        if due:
            done.append(True)
            hit(*before)
        result = inner(*arguments)
        if due:
            hit(*after)
        return result

    setattr(owner, name, outer)


def is_fourth(self, student_id, *_):
    return student_id == "s3"


def half_a_line(self, record):
    if record.student_id != "s3":
        return append(self, record)
    with self.path.open("a") as file:
        file.write(record.to_json()[:100])
    hit(KILL)


append = records.Journal.append
FAULTS = {
    "killed while writing": lambda: around(writer.Writer, "write", after=[KILL], when=is_fourth),
    "killed before the commit": lambda: around(writer.Writer, "commit", before=[KILL]),
    "killed between gradebook and journal": lambda: around(writer.Writer, "commit", after=[KILL]),
    "killed within a line": lambda: setattr(records.Journal, "append", half_a_line),
    "killed within a file": lambda: around(os, "fsync", after=[KILL], when=is_table),
    "interrupted while writing": lambda: around(
        writer.Writer, "write", before=[INT], when=is_fourth
    ),
    "terminated in the commit": lambda: around(writer.Writer, "commit", before=[TERM]),
    "interrupted at the end": lambda: around(report, "write", before=[INT]),
    "interrupted twice": lambda: around(writer.Writer, "write", before=[INT, INT], when=is_fourth),
}


def is_table(descriptor):
    return os.readlink(f"/proc/self/fd/{descriptor}").rpartition("/")[2].startswith(".grades.csv")


for line in sys.stdin:
    home, fault, more = json.loads(line)
    pid = os.fork()
    if pid == 0:
        pools.open_pool, workers.judge_task = Threads, doubles.judge_by_name
        sandbox.share = lambda libraries: None
        FAULTS[fault]()
        home = Path(home)
        os._exit(grade.grade(grade.Options(
            lab=LAB, submissions=home / "in", out=home / "out", course=home / "course", labs=TOY,
            workers=1, **more,
        )))
    _, status = os.waitpid(pid, 0)
    print("exit", os.waitstatus_to_exitcode(status), flush=True)
"""


@pytest.fixture(scope="module")
def driver() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


def run_with(driver: subprocess.Popen[str], home: Path, fault: str, **more: Any) -> int:
    """Grade in another process, with a fault, and return its exit code."""
    assert driver.stdin is not None
    assert driver.stdout is not None
    print(json.dumps([str(home), fault, more]), file=driver.stdin, flush=True)
    lines = iter(driver.stdout.readline, "")
    return int(next(line for line in lines if line.startswith("exit ")).split()[1])


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, toy_course: Course, toy_cases: dict[str, Case]
) -> Path:
    """A class that is graded; for reading only."""
    home = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(toy_course.root, home / "course")
    for student in STUDENTS:
        files = toy_cases["perfect" if student != "s4" else "truncated JSON"].files
        hand_in(home / "in", student, files | {doubles.STUDENT: student.encode()})
    shutil.copytree(home, home / "before")
    with pytest.MonkeyPatch.context() as patch:
        simple(patch)
        assert grade.grade(options(home)) == OK
    return home


def simple(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pools, "open_pool", Threads)
    patch.setattr(workers, "judge_task", doubles.judge_by_name)
    patch.setattr(sandbox, "share", lambda libraries: None)


def options(home: Path, **more: Any) -> Options:
    paths = {"submissions": home / "in", "out": home / "out", "course": home / "course"}
    return Options(**({"lab": LAB, "labs": TOY, "workers": 1} | paths | more))


@pytest.fixture
def home(tmp_path: Path, undisturbed: Path) -> Path:
    """The same class, not graded yet."""
    shutil.copytree(undisturbed / "before", tmp_path / "home")
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("killed while writing", -signal.SIGKILL),
        ("killed before the commit", -signal.SIGKILL),
        ("killed between gradebook and journal", -signal.SIGKILL),
        ("killed within a line", -signal.SIGKILL),
        ("killed within a file", -signal.SIGKILL),
        ("interrupted while writing", INTERRUPTED),
        ("terminated in the commit", INTERRUPTED),
        ("interrupted at the end", OK),
        ("interrupted twice", -signal.SIGINT),
    ],
)
def test_the_same_command_goes_on(
    driver: subprocess.Popen[str],
    home: Path,
    undisturbed: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    code: int,
) -> None:
    assert run_with(driver, home, fault) == code
    recorded = Journal(home / "out" / "results.jsonl").read()
    scores = Course(home / "course").scores(LAB)
    for student, record in recorded.items():
        assert {i.name: i.points for i in record.exercises} == {
            name: automatic
            for name, (automatic, _) in scores[student].items()
            if name in {i.name for i in record.exercises}
        }
    if code == INTERRUPTED:
        assert set(recorded) >= set(STUDENTS[:3])
        assert not disagreements(Course(home / "course"), LAB, home / "out", list(recorded))
    simple(monkeypatch)
    assert grade.grade(options(home)) == OK
    assert not disagreements(Course(home / "course"), LAB, home / "out", STUDENTS)
    assert verdicts(home / "out") == verdicts(undisturbed / "out")


def test_a_regrade_that_is_killed_goes_on_and_compares_with_what_there_was(
    driver: subprocess.Popen[str],
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = tmp_path / "home"
    shutil.copytree(undisturbed, home)
    path = home / "out" / "results.jsonl"
    trees = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for tree in trees:
        tree["exercises"][0]["points"] = 0.0
    path.write_text("".join(json.dumps(tree) + "\n" for tree in trees), "utf-8")
    assert run_with(driver, home, "killed within a line", regrade=True) == -signal.SIGKILL
    simple(monkeypatch)
    judged: list[str] = []

    def judge(task: workers.Task) -> Any:
        judged.append(task.files[doubles.STUDENT].decode())
        return doubles.judge_by_name(task)

    monkeypatch.setattr(workers, "judge_task", judge)
    assert grade.grade(options(home, regrade=True)) == OK
    assert "s3" in judged
    assert "s0" not in judged
    table = (home / "out" / "regrade.csv").read_text("utf-8").splitlines()
    assert [line.split(",")[0] for line in table[1:]] == [s for s in STUDENTS if s != "s4"]
    assert "a regrade was interrupted: it goes on" in capsys.readouterr().err
    assert not disagreements(Course(home / "course"), LAB, home / "out", STUDENTS)


def test_a_clock_that_jumps_changes_nothing(
    home: Path,
    undisturbed: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Set back or forward by days at every look: no limit, no bar, no order depends on it."""
    now, rng = time.time, random.Random(0)

    def jumping() -> float:
        return now() + rng.uniform(-1e6, 1e6)

    simple(monkeypatch)
    monkeypatch.setattr(time, "time", jumping)
    monkeypatch.setattr(tqdm.std, "time", jumping)
    assert grade.grade(options(home)) == OK
    monkeypatch.undo()
    lines = capsys.readouterr().err.splitlines()
    bar = [line for line in lines if line.startswith(f"{LAB}:")][-1]
    assert "6/6 [00:" in bar
    assert "-" not in bar.partition("6/6")[2]
    assert verdicts(home / "out") == verdicts(undisturbed / "out")


def test_two_runs_do_not_write_the_same_results(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    simple(monkeypatch)
    asked: list[int] = []

    def judge(task: workers.Task) -> Any:
        if not asked:
            asked.append(UNUSABLE)
            command = [sys.executable, "-m", "autograder", "grade", "lab01_rl_basics"]
            command += ["--submissions", str(home / "in"), "--out", str(home / "out")]
            second = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
            asked.append(second.returncode)
            print(second.stderr, file=sys.stderr)
        return doubles.judge_by_name(task)

    monkeypatch.setattr(workers, "judge_task", judge)
    assert grade.grade(options(home)) == OK
    assert asked == [UNUSABLE, UNUSABLE]
    assert "is being written by another run" in capsys.readouterr().err


def test_late_penalties_are_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    simple(monkeypatch)
    assert grade.grade(options(home)) == OK
    with Gradebook(Course(home / "course").db_url) as gradebook:
        gradebook.find_submission_notebook(LAB, LAB, "s1").late_submission_penalty = 2.5
        gradebook.db.commit()
    capsys.readouterr()
    assert grade.grade(options(home)) == OK
    assert "1 came late" in capsys.readouterr().out
    recorded = Journal(home / "out" / "results.jsonl").read()
    assert {s: r.late_penalty for s, r in recorded.items() if r.late_penalty} == {"s1": 2.5}
