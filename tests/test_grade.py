"""``grade``: outputs, resuming, interruption, and nobody's mishap being anybody else's."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook

from autograder import (
    __main__,
    formgrader_worker,
    grade,
    nbgrader_config,
    pools,
    preflight,
    sandbox,
    workers,
)
from autograder.collect import Files
from autograder.course import Course
from autograder.discover import LoadedLab
from autograder.grade import INTERRUPTED, OK, UNUSABLE, Options
from autograder.preflight import Prepared
from autograder.records import Journal, Record
from autograder.results import ExerciseResult, SubmissionResult
from autograder.sample_class import Case
from autograder.workers import Task
from autograder.writer import Writer
from tests import doubles
from tests.grading import LAB, NOTEBOOK, TOY, Threads, hand_in

pytestmark = pytest.mark.long(2)

QUESTION = "question-why-in-turn"
Rows = dict[tuple[str, str], dict[str, str]]


def options(course: Course, tmp_path: Path, **more: Any) -> Options:
    paths = {"submissions": tmp_path / "in", "out": tmp_path / "out", "course": course.root}
    return Options(**({"lab": LAB, "labs": TOY, "workers": 2} | paths | more))


def rows(tmp_path: Path) -> Rows:
    with (tmp_path / "out" / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {(row["student_id"], row["exercise"]): row for row in csv.DictReader(file)}


def lines(tmp_path: Path) -> dict[str, dict[str, Any]]:
    text = (tmp_path / "out" / "results.jsonl").read_text("utf-8")
    return {tree["student_id"]: tree for tree in map(json.loads, text.splitlines())}


class FakeJudge:
    """Judges by what lies beside the notebook, without running anything.

    Attributes:
        judged: students, as they come.
        fails_for: the student for whom it falls over.
        points: of every exercise.
        before: what it waits for, by student.
    """

    def __init__(self, lab: LoadedLab) -> None:
        self.lab = lab
        self.judged: list[str] = []
        self.fails_for = ""
        self.points = 1.0
        self.before: dict[str, threading.Event] = {}

    def __call__(self, task: Task) -> SubmissionResult:
        student = task.files["student.txt"].decode()
        self.judged.append(student)
        if student in self.before:
            assert self.before[student].wait(60)
        if student == self.fails_for:
            raise RuntimeError("the referee fell over")
        exercises = tuple(
            ExerciseResult(i.name, min(self.points, i.points), i.points, "wrong", hint="so so")
            for i in self.lab.items
        )
        return SubmissionResult(exercises, seconds=0.5, tier="none")


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch, toy_lab: LoadedLab) -> FakeJudge:
    fake = FakeJudge(toy_lab)
    monkeypatch.setattr(pools, "open_pool", Threads)
    monkeypatch.setattr(workers, "judge_task", fake)
    monkeypatch.setattr(sandbox, "share", lambda libraries: None)
    return fake


@pytest.fixture
def submit(tmp_path: Path, toy_cases: dict[str, Case]) -> Callable[..., Path]:
    """Hand in one of the sample class's submissions, with the student's name beside it."""

    def handed_in(student_id: str, case: str = "perfect", **files: bytes) -> Path:
        content = toy_cases[case].files | {"student.txt": student_id.encode()}
        return hand_in(tmp_path / "in", student_id, content | files)

    return handed_in


Submit = Callable[..., Path]


@pytest.mark.needs("sandbox")
def test_every_kind_of_exercise_is_graded(
    course: Course, tmp_path: Path, toy_cases: dict[str, Case], toy_lab: LoadedLab
) -> None:
    """The whole road, with nothing replaced: sandbox, referee, nbgrader, feedback, report."""
    names = {
        "ada": "perfect",
        "bob": "another style 1",
        "cy": "another style 2",
        "dan": "empty stub",
        "eve": "wrong predictions",
        "fay": "wrong outcome untrained of bandit",
        "gus": "truncated JSON",
    }
    for student_id, case in names.items():
        hand_in(tmp_path / "in", student_id, toy_cases[case].files)
    assert grade.grade(options(course, tmp_path)) == OK
    got = {key: (float(row["points"] or 0), row["status"]) for key, row in rows(tmp_path).items()}
    due = {
        (student_id, name): score
        for student_id, case in names.items()
        for name, score in toy_cases[case].scores.items()
    }
    assert {key: got[key] for key in due} == due
    scores = course.scores(LAB)
    assert {(s, e): scores[s][e][0] for s, e in due} == {
        k: points for k, (points, _) in due.items()
    }
    assert {row["tier"] for row in lines(tmp_path).values()} == {sandbox.share().tier.name, ""}
    assert all((tmp_path / "out/feedback" / s / f"{LAB}.html").exists() for s in names)
    assert "not complete" in (tmp_path / "out/feedback/gus" / f"{LAB}.html").read_text("utf-8")


def test_outputs_have_a_row_for_everybody(
    course: Course, tmp_path: Path, judge: FakeJudge, submit: Submit, toy_lab: LoadedLab
) -> None:
    submit("ada")
    submit("bob", "empty file")
    (tmp_path / "in" / "cy" / LAB).mkdir(parents=True)
    (tmp_path / "roster.csv").write_text("id,first_name\nada,Ada\nzoe,Zoë\n")
    assert grade.grade(options(course, tmp_path, roster=tmp_path / "roster.csv")) == OK
    table = rows(tmp_path)
    exercises = [*(item.name for item in toy_lab.items), QUESTION]
    assert {key[0] for key in table} == {"ada", "bob", "cy", "zoe"}
    assert sorted(table) == sorted((s, e) for s in ("ada", "bob", "cy", "zoe") for e in exercises)
    statuses = {s: {row["status"] for key, row in table.items() if key[0] == s} for s, _ in table}
    assert statuses == {
        "ada": {"wrong", "ok"},
        "bob": {"malformed"},
        "cy": {"missing"},
        "zoe": {"missing"},
    }
    assert table["bob", "softmax"]["hint"] == "the notebook is an empty file"
    assert (
        table["ada", QUESTION] | {"points": "", "status": "ok", "hint": ""}
        == table["ada", QUESTION]
    )
    assert all(float(r["points"]) == 0 for (s, _), r in table.items() if s != "ada")
    assert sum(float(row["max_points"]) for (s, _), row in table.items() if s == "zoe") == 21
    ada = lines(tmp_path)["ada"]
    assert (ada["points"], ada["max_points"], ada["tier"]) == (11.0, 21.0, "none")
    assert {"python", "numpy", "torch", "nbgrader"} <= set(ada["versions"])
    assert (tmp_path / "out" / "report.html").exists()
    with Gradebook(course.db_url) as gradebook:
        assert gradebook.find_student("zoe").first_name == "Zoë"
        assert gradebook.find_submission(LAB, "ada").needs_manual_grade
        assert not gradebook.find_submission(LAB, "bob").needs_manual_grade
        assert gradebook.find_submission(LAB, "bob").score == 0


def test_what_a_name_says_is_kept_where_nothing_can_be_graded(
    course: Course, tmp_path: Path, judge: FakeJudge, submit: Submit
) -> None:
    submit("ada")
    (tmp_path / "in" / "bob").symlink_to(submit("cy"))
    roster = tmp_path / "roster.csv"
    roster.write_text("id\nada\n", encoding="utf-8")
    assert grade.grade(options(course, tmp_path, roster=roster)) == OK
    notes = {name: line["notes"] for name, line in lines(tmp_path).items()}
    assert notes == {"ada": [], "bob": ["not on the roster"], "cy": ["not on the roster"]}
    assert lines(tmp_path)["bob"]["status"] == "rejected"
    first = next(row for (student, _), row in rows(tmp_path).items() if student == "bob")
    assert first["hint"] == "it is a link, which is never followed; not on the roster"


def test_torch_is_asked_for_where_a_student_names_it(
    course: Course,
    tmp_path: Path,
    judge: FakeJudge,
    submit: Submit,
    toy_cases: dict[str, Case],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named = {}

    def judge_task(task: Task) -> SubmissionResult:
        named[task.files["student.txt"].decode()] = task.names_torch
        return judge(task)

    monkeypatch.setattr(workers, "judge_task", judge_task)
    tree = json.loads(toy_cases["empty stub"].files[NOTEBOOK])
    submit("ada", "empty stub")
    own = {"cell_type": "code", "metadata": {}, "source": "import torch", "outputs": []}
    submit("bob", **{NOTEBOOK: json.dumps(tree | {"cells": [*tree["cells"], own]}).encode()})
    assert grade.grade(options(course, tmp_path)) == OK
    assert named == {"ada": False, "bob": True}


def test_the_same_command_goes_on(
    course: Course, tmp_path: Path, judge: FakeJudge, submit: Submit
) -> None:
    submit("ada")
    submit("bob")
    run = options(course, tmp_path)
    assert grade.grade(run) == OK
    assert sorted(judge.judged) == ["ada", "bob"]
    first = (tmp_path / "out" / "results.jsonl").read_bytes()
    judge.judged.clear()
    assert grade.grade(run) == OK
    assert judge.judged == []
    assert (tmp_path / "out" / "results.jsonl").read_bytes() == first

    submit("cy")
    (tmp_path / "in" / "bob" / LAB / "notes.txt").write_text("handed in again")
    assert grade.grade(run) == OK
    assert sorted(judge.judged) == ["bob", "cy"]
    assert sorted(lines(tmp_path)) == ["ada", "bob", "cy"]


def test_every_page_that_was_written_is_named(
    course: Course,
    tmp_path: Path,
    judge: FakeJudge,
    submit: Submit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    submit("ada")
    out = tmp_path / "out"
    pages = [out / "report.html", out / "similarity.html"]
    monkeypatch.setattr("autograder.report.write", lambda *_: pages)
    assert grade.grade(options(course, tmp_path)) == OK
    written = [out / "grades.csv", out / "results.jsonl", *pages, out / "feedback"]
    assert capsys.readouterr().out.splitlines()[-5:] == [f"  {path}" for path in written]


def test_regrade_judges_everybody_again_and_keeps_what_people_gave(
    course: Course, tmp_path: Path, judge: FakeJudge, submit: Submit
) -> None:
    submit("ada")
    submit("bob")
    run = options(course, tmp_path)
    assert grade.grade(run) == OK
    seed = course.seed
    with Gradebook(course.db_url) as gradebook:
        for name, points in ((QUESTION, 1.5), ("test-softmax", 2.5)):
            given = gradebook.find_grade(name, LAB, LAB, "ada")
            given.manual_score, given.needs_manual_grade = points, False
        gradebook.db.commit()
    judge.judged.clear()
    judge.points = 0.5
    assert grade.grade(options(course, tmp_path, regrade=True)) == OK
    assert sorted(judge.judged) == ["ada", "bob"]
    table = rows(tmp_path)
    assert [table["ada", e]["points"] for e in (QUESTION, "softmax", "value_loss")] == [
        "1.5",
        "2.5",
        "0.5",
    ]
    assert table["bob", "softmax"]["points"] == "0.5"
    assert course.scores(LAB)["ada"]["softmax"] == (0.5, 2.5)
    assert course.seed == seed


def rewrite(submitted: Path, kind: str, old: str, new: str) -> None:
    """Replace a text in a submitted notebook's cells of a kind."""
    path = submitted / NOTEBOOK
    tree = json.loads(path.read_text("utf-8"))
    sources = [cell for cell in tree["cells"] if cell["cell_type"] == kind]
    found = [cell for cell in sources if old in "".join(cell["source"])]
    for cell in found:
        cell["source"] = "".join(cell["source"]).replace(old, new)
    assert found
    path.write_text(json.dumps(tree), "utf-8")


def test_a_persons_look_holds_until_what_was_looked_at_changes(
    course: Course, tmp_path: Path, judge: FakeJudge, submit: Submit
) -> None:
    submitted = submit("ada")
    again = options(course, tmp_path, regrade=True)

    def graded(name: str, *, look: bool = False) -> bool:
        with Gradebook(course.db_url) as gradebook:
            given = gradebook.find_grade(name, LAB, LAB, "ada")
            if look:
                given.manual_score, given.needs_manual_grade = 1.5, False
                gradebook.db.commit()
            return not given.needs_manual_grade

    assert grade.grade(again) == OK
    assert not graded(QUESTION)
    assert graded(QUESTION, look=True) and graded("test-softmax", look=True)
    assert grade.grade(again) == OK
    assert graded(QUESTION) and graded("test-softmax")
    judge.points = 0.5
    assert grade.grade(again) == OK
    assert graded(QUESTION) and not graded("test-softmax")
    graded("test-softmax", look=True)
    rewrite(submitted, "markdown", "reward", "prize")
    for _ in range(2):
        assert grade.grade(again) == OK
        assert graded("test-softmax") and not graded(QUESTION)
    graded(QUESTION, look=True)
    rewrite(submitted, "code", "return", "return  ")
    assert grade.grade(again) == OK
    assert graded(QUESTION) and not graded("test-softmax")


def test_a_gradebook_that_says_something_else_is_put_right(
    course: Course, tmp_path: Path, judge: FakeJudge, submit: Submit
) -> None:
    """Deleted, replaced by a backup, or a crash between gradebook and journal."""
    submit("ada")
    submit("bob")
    run = options(course, tmp_path)
    assert grade.grade(run) == OK
    judge.judged.clear()
    with Gradebook(course.db_url) as gradebook:
        gradebook.find_grade("test-softmax", LAB, LAB, "bob").auto_score = 3.0
        gradebook.db.commit()
    assert grade.grade(run) == OK
    assert judge.judged == ["bob"]
    assert course.scores(LAB)["bob"]["softmax"] == (1.0, None)


def test_another_gradebook_is_filled_too_and_the_seed_stays(
    course: Course, tmp_path: Path, judge: FakeJudge, submit: Submit
) -> None:
    submit("ada")
    assert grade.grade(options(course, tmp_path)) == OK
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    seed = course.seed
    assert grade.grade(options(course, tmp_path, db_url=elsewhere)) == OK
    assert judge.judged == ["ada", "ada"]
    assert Course(course.root, elsewhere).scores(LAB) == course.scores(LAB)
    assert course.seed == seed


def test_one_that_cannot_be_judged_is_reported_and_tried_again(
    course: Course, tmp_path: Path, judge: FakeJudge, submit: Submit
) -> None:
    submit("ada")
    submit("bob")
    judge.fails_for = "ada"
    run = options(course, tmp_path)
    assert grade.grade(run) == OK
    table = rows(tmp_path)
    assert table["ada", "softmax"]["status"] == "killed"
    assert "the referee fell over" in table["ada", "softmax"]["hint"]
    assert table["bob", "softmax"]["points"] == "1"
    judge.fails_for = ""
    judge.judged.clear()
    assert grade.grade(run) == OK
    assert judge.judged == ["ada"]
    assert rows(tmp_path)["ada", "softmax"]["points"] == "1"


def test_hostile_ids_and_links_cost_nobody_else(
    course: Course, tmp_path: Path, judge: FakeJudge, submit: Submit
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the instructor's")
    submit("ada")
    submit("=1+1")
    submit("<img src=x onerror=alert(1)>")
    (submit("bob") / "stolen.txt").symlink_to(secret)
    notebook = submit("cy") / NOTEBOOK
    notebook.unlink()
    notebook.symlink_to(secret)
    assert grade.grade(options(course, tmp_path)) == OK
    table = rows(tmp_path)
    for hostile in ("'=1+1", "<img src=x onerror=alert(1)>"):
        assert table[hostile, "softmax"]["status"] == "rejected"
        assert "letters, digits" in table[hostile, "softmax"]["hint"]
    assert table["ada", "softmax"]["points"] == table["bob", "softmax"]["points"] == "1"
    assert "a link, which is never followed" in table["bob", "discounted_return"]["hint"]
    assert table["cy", "softmax"]["status"] == "missing"
    assert sorted(course.scores(LAB)) == ["ada", "bob"]
    made = [p for p in (*course.root.rglob("*"), *(tmp_path / "out").rglob("*")) if p.is_file()]
    assert not [path for path in made if b"the instructor's" in path.read_bytes()]
    assert "onerror=alert(1)>" not in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_what_cannot_even_be_looked_at_costs_nobody_else(
    course: Course,
    tmp_path: Path,
    judge: FakeJudge,
    submit: Submit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    submit("ada")
    submit("cy")
    (tmp_path / "in" / "bob.zip").write_bytes(b"no zip")
    prepare = preflight.prepare

    def and_fail(release: Any, lab: str, files: Files) -> Prepared:
        if files.content["student.txt"] == b"cy":
            raise KeyError("something nobody thought of")
        return prepare(release, lab, files)

    monkeypatch.setattr(preflight, "prepare", and_fail)
    assert grade.grade(options(course, tmp_path)) == OK
    told = {
        s: (rows(tmp_path)[s, "softmax"]["status"], t["reason"]) for s, t in lines(tmp_path).items()
    }
    assert told["ada"] == ("wrong", "")
    assert told["bob"] == ("rejected", "the zip cannot be unpacked: File is not a zip file")
    assert told["cy"][0] == "malformed"
    assert "something nobody thought of" in told["cy"][1]


def test_nbgraders_settings_of_the_course_are_obeyed(
    course: Course, tmp_path: Path, judge: FakeJudge, submit: Submit
) -> None:
    path = nbgrader_config.write(course.root)
    path.write_text(path.read_text() + 'c.LateSubmissionPlugin.penalty_method = "zero"\n')
    with Gradebook(course.db_url) as gradebook:
        gradebook.update_or_create_assignment(LAB, duedate="2026-03-01 12:00:00 UTC")
    submit("ada", **{"timestamp.txt": b"2026-03-01 11:59:59 UTC"})
    submit("bob", **{"timestamp.txt": b"2026-03-01 12:00:01 UTC"})
    submit("cy", **{"timestamp.txt": b"9999-01-01 00:00:00 UTC"})
    assert grade.grade(options(course, tmp_path)) == OK
    with Gradebook(course.db_url) as gradebook:
        penalties = {
            s: gradebook.find_submission_notebook(LAB, LAB, s).late_submission_penalty
            for s in ("ada", "bob", "cy")
        }
    assert penalties == {"ada": None, "bob": 11.0, "cy": None}


def test_a_configuration_that_is_not_ours_is_refused(
    course: Course,
    tmp_path: Path,
    judge: FakeJudge,
    submit: Submit,
    capsys: pytest.CaptureFixture[str],
) -> None:
    submit("ada")
    path = course.root / nbgrader_config.FILE
    path.write_text('c = get_config()\nc.Exchange.root = "/srv/exchange"\n')
    assert grade.grade(options(course, tmp_path)) == UNUSABLE
    assert "does not call autograder.nbgrader_config.configure" in capsys.readouterr().err


RULE = """
from nbgrader.plugins import BasePlugin

class Half(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return score / 2
"""


def test_penalties_follow_what_people_grade_and_where_the_due_date_goes(
    course: Course,
    tmp_path: Path,
    judge: FakeJudge,
    submit: Submit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (course.root / "rule_of_a_test.py").write_text(RULE)
    path = nbgrader_config.write(course.root)
    rule = 'c.AssignLatePenalties.plugin_class = "rule_of_a_test.Half"\n'
    path.write_text(path.read_text() + rule)
    submit("ada", **{"timestamp.txt": b"2026-03-01 11:00:00 UTC"})
    submit("bob", **{"timestamp.txt": b"2026-03-02 11:00:00 UTC"})

    def due(moment: str) -> None:
        with Gradebook(course.db_url) as gradebook:
            gradebook.update_or_create_assignment(LAB, duedate=moment)

    def recorded() -> list[tuple[float, float]]:
        assert grade.grade(options(course, tmp_path)) == OK
        found = lines(tmp_path)
        return [(found[s]["points"], found[s]["late_penalty"]) for s in ("ada", "bob")]

    def exported() -> list[str]:
        table = tmp_path / "exported.csv"
        export = ["export", "csv", LAB, "--incomplete", "--to", str(table)]
        assert __main__.main([*export, "--course", str(course.root)]) == 0
        with table.open(encoding="utf-8", newline="") as file:
            return [row["score"] for row in csv.DictReader(file)]

    assert recorded() == [(11.0, 0.0), (11.0, 0.0)]
    due("2026-03-01 12:00:00 UTC")
    assert recorded() == [(11.0, 0.0), (11.0, 5.5)]
    assert "−5.50" in (tmp_path / "out" / "report.html").read_text("utf-8")
    with Gradebook(course.db_url) as gradebook:
        given = gradebook.find_grade(QUESTION, LAB, LAB, "bob")
        given.manual_score, given.needs_manual_grade = 2.0, False
        gradebook.db.commit()
    assert exported() == ["11", "6.5"]
    assert recorded() == [(11.0, 0.0), (13.0, 6.5)]
    assert grade.grade(options(course, tmp_path, regrade=True)) == OK
    page = (tmp_path / "out" / "feedback" / "bob" / f"{LAB}.html").read_text("utf-8")
    assert "(Score: 6.5 / 21.0, 6.5 taken off for coming late)" in page
    due("2026-03-05 12:00:00 UTC")
    monkeypatch.chdir(course.root)
    assert formgrader_worker.do("generate_feedback", LAB, "bob")["success"]
    page = (course.root / "feedback" / "bob" / LAB / f"{LAB}.html").read_text("utf-8")
    assert "(Score: 13.0 / 21.0)" in page


def test_what_an_instructor_collected_is_left_alone(
    course: Course, tmp_path: Path, judge: FakeJudge, submit: Submit
) -> None:
    """The folder of submissions may be the course's own; nbgrader's commands need it afterwards."""
    collected = course.root / "submitted"
    broken = {NOTEBOOK: b'{"cells": [', "student.txt": b"ada"}
    hand_in(collected, "ada", broken)
    assert grade.grade(options(course, tmp_path, submissions=collected)) == OK
    kept = {path.name: path.read_bytes() for path in (collected / "ada" / LAB).iterdir()}
    assert kept == broken
    submit("bob")
    assert grade.grade(options(course, tmp_path)) == OK
    (tmp_path / "in" / "bob" / LAB / "notes.txt").write_text("again")
    assert grade.grade(options(course, tmp_path)) == OK
    mirrored = {path.name for path in (collected / "bob" / LAB).iterdir()}
    assert mirrored == {NOTEBOOK, "bandit.safetensors", "student.txt", "notes.txt"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lab": "lab99_nothing"}, "there is no lab 'lab99_nothing'"),
        ({"submissions": Path("/nowhere/at/all")}, "neither a folder nor a zip"),
        ({"roster": Path("/nowhere.csv")}, "cannot be read"),
        ({"db_url": "sqlite:////nowhere/at/all/gradebook.db"}, "cannot be opened"),
        ({"out": Path("/dev/null/out")}, "cannot be written"),
    ],
)
def test_arguments_that_cannot_be_used(
    course: Course,
    tmp_path: Path,
    judge: FakeJudge,
    submit: Submit,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    said: str,
) -> None:
    submit("ada")
    assert grade.grade(options(course, tmp_path, **change)) == UNUSABLE
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert judge.judged == []


def test_no_submissions_and_no_sandbox_are_said(
    course: Course,
    tmp_path: Path,
    judge: FakeJudge,
    submit: Submit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in").mkdir()
    assert grade.grade(options(course, tmp_path)) == UNUSABLE
    submit("ada")

    def share(libraries: frozenset[str]) -> None:
        raise sandbox.SandboxError("Use a Linux machine.")

    monkeypatch.setattr(sandbox, "share", share)
    assert grade.grade(options(course, tmp_path)) == UNUSABLE
    assert "Use a Linux machine." in capsys.readouterr().err
    assert judge.judged == []
    assert grade.grade(options(course, tmp_path, isolate=False)) == OK
    assert judge.judged == ["ada"]


def test_results_of_another_lab_are_not_mixed_in(
    course: Course, tmp_path: Path, judge: FakeJudge, submit: Submit
) -> None:
    submit("ada")
    assert grade.grade(options(course, tmp_path)) == OK
    path = tmp_path / "out" / "results.jsonl"
    path.write_text(path.read_text().replace(f'"lab": "{LAB}"', '"lab": "lab01_other"'))
    assert grade.grade(options(course, tmp_path)) == UNUSABLE
    assert len(path.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "more",
    [
        ["--workers", "0"],
        ["--workers", "two"],
        ["--time-limit", "0"],
        ["--time-limit", "nan"],
        ["--memory-limit", "1"],
        ["--resume", "--regrade"],
        ["--scheduler", "tcp://127.0.0.1:8786", "--workers", "2"],
    ],
)
def test_the_command_line_refuses(more: list[str], tmp_path: Path) -> None:
    arguments = ["grade", LAB, "--submissions", str(tmp_path), "--out", str(tmp_path), *more]
    with pytest.raises(SystemExit) as stopped:
        __main__.main(arguments)
    assert stopped.value.code == UNUSABLE


def test_the_command_line_says_what_is_wanted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Options] = []
    monkeypatch.setattr(grade, "grade", lambda wanted: asked.append(wanted) or 0)
    start = ["grade", LAB, "--submissions", "in", "--out", "out"]
    assert __main__.main(start) == 0
    assert __main__.main([*start, "--resume"]) == 0
    more = ["--workers", "3", "--time-limit", "1.5", "--memory-limit", "512", "--regrade"]
    more += ["--db-url", "sqlite://", "--course", "c", "--roster", "r", "--unsafe-no-sandbox"]
    assert __main__.main([*start, *more]) == 0
    assert asked[0] == asked[1] == Options(LAB, Path("in"), Path("out"))
    assert asked[2] == Options(
        LAB,
        Path("in"),
        Path("out"),
        course=Path("c"),
        workers=3,
        db_url="sqlite://",
        time_limit=1.5,
        memory_limit=512,
        regrade=True,
        roster=Path("r"),
        isolate=False,
    )


DRIVER = """
import os, signal, sys, threading
from pathlib import Path

from autograder import grade, records, sandbox, workers
from tests import doubles
from tests.grading import LAB, TOY

course, base = map(Path, sys.argv[1:3])
what, when, name = sys.argv[3:]
recorded = threading.Event()


def leave(student, pid):
    if when == "judging" and student == "cy":
        recorded.wait()
        os.kill(os.getpid(), getattr(signal, what))
        return False  # as one that hangs would
    return True


def between(self, record):
    if when == "recording" and record.student_id == "bob":
        os.kill(os.getpid(), getattr(signal, what))
    append(self, record)
    recorded.set()


append, records.Journal.append = records.Journal.append, between
workers.judge_task = doubles.judge_simply
options = grade.Options(
    lab=LAB, submissions=base / "in", out=base / "out", course=course, labs=TOY, workers=1,
    isolate=False,
)
with doubles.desk(name, leave):
    code = grade.grade(options)
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("what", "when", "code"),
    [
        ("SIGINT", "judging", INTERRUPTED),
        ("SIGTERM", "judging", INTERRUPTED),
        ("SIGINT", "recording", INTERRUPTED),
        ("SIGKILL", "recording", -signal.SIGKILL),
    ],
)
def test_who_is_recorded_stays_recorded(
    course: Course,
    tmp_path: Path,
    judge: FakeJudge,
    submit: Submit,
    what: str,
    when: str,
    code: int,
) -> None:
    """Interrupted while one hangs, or killed between gradebook and journal: it goes on."""
    students = ["ada", "bob", "cy", "dan"]
    name = doubles.new_desk()
    for student_id in students:
        submit(student_id, desk=name.encode())
    run = subprocess.run(
        [sys.executable, "-c", DRIVER, str(course.root), str(tmp_path), what, when, name],
        cwd=TOY.parents[2],
        env=os.environ | {"PYTHONPATH": str(TOY.parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == code, run.stderr
    recorded = set(lines(tmp_path))
    assert "ada" in recorded
    if (what, when) != ("SIGINT", "recording"):  # what was judged by then is recorded, maybe all
        assert recorded < set(students)
    if code == INTERRUPTED:
        assert "the same command goes on" in run.stderr
        assert {key[0] for key in rows(tmp_path)} == recorded
        assert "Traceback" not in run.stderr
    assert grade.grade(options(course, tmp_path)) == OK
    assert sorted(judge.judged) == sorted(set(students) - recorded)
    assert {s: told["softmax"] for s, told in course.scores(LAB).items()} == dict.fromkeys(
        students, (1.0, None)
    )
    assert {key[0] for key in rows(tmp_path)} == set(students)


def test_interrupted_before_the_first_submission(
    course: Course,
    tmp_path: Path,
    judge: FakeJudge,
    submit: Submit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    submit("ada")
    with monkeypatch.context() as patch:
        patch.setattr(Course, "assign", interrupted)
        assert grade.grade(options(course, tmp_path)) == INTERRUPTED
    assert capsys.readouterr().err == "interrupted: the same command goes on from here\n"
    assert grade.grade(options(course, tmp_path)) == OK


def recorded(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return what happens when the first line of results is written."""
    happens = threading.Event()
    append = Journal.append

    def and_tell(self: Journal, record: Record) -> None:
        append(self, record)
        happens.set()

    monkeypatch.setattr(Journal, "append", and_tell)
    return happens


def test_a_full_disk_stops_and_loses_nothing(
    course: Course,
    tmp_path: Path,
    judge: FakeJudge,
    submit: Submit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    submit("ada")
    submit("bob")
    lay_out = Writer._lay_out

    def full(self: Writer, student_id: str, prepared: Prepared) -> None:
        if student_id == "bob":
            raise OSError(errno.ENOSPC, "No space left on device")
        lay_out(self, student_id, prepared)

    judge.before["bob"] = recorded(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_lay_out", full)
        assert grade.grade(options(course, tmp_path, workers=1)) == INTERRUPTED
    assert "No space left on device" in capsys.readouterr().err
    assert list(lines(tmp_path)) == ["ada"]
    assert grade.grade(options(course, tmp_path)) == OK
    assert judge.judged == ["ada", "bob", "bob"]


def test_a_gradebook_that_gives_up_midway_loses_nothing(
    course: Course,
    tmp_path: Path,
    judge: FakeJudge,
    submit: Submit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for student_id in ("ada", "bob", "cy"):
        submit(student_id)
    path = course.root / "gradebook.db"
    judge.before["bob"] = recorded(monkeypatch)
    append = Journal.append

    def and_break(self: Journal, record: Record) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("ALTER TABLE grade RENAME TO gone")
        append(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", and_break)
        assert grade.grade(options(course, tmp_path, workers=1)) == INTERRUPTED
    assert "the gradebook cannot be" in capsys.readouterr().err
    assert list(lines(tmp_path)) == ["ada"]
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE grade")  # made anew, empty, when it was opened again
        connection.execute("ALTER TABLE gone RENAME TO grade")
    judge.judged.clear()
    assert grade.grade(options(course, tmp_path)) == OK
    assert sorted(judge.judged) == ["bob", "cy"]


def test_one_worker_or_four_give_the_same(
    course: Course, tmp_path: Path, judge: FakeJudge, submit: Submit
) -> None:
    for number in range(9):
        submit(f"s{number}", "perfect" if number % 3 else "truncated JSON")
    assert grade.grade(options(course, tmp_path, workers=1)) == OK
    first = (tmp_path / "out" / "grades.csv").read_bytes()
    assert grade.grade(options(course, tmp_path, workers=4, regrade=True)) == OK
    assert (tmp_path / "out" / "grades.csv").read_bytes() == first
