"""The sample class of every lab: what each student is due, and that grading comes to the same."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from autograder import discover, sample
from autograder.course import Course
from autograder.discover import LoadedLab
from autograder.sample_class import Case
from autograder.sample_class.people import student
from autograder.spec import Exercise
from tests.grading import fetched_from_elsewhere, sample_class

MISHAPS = [
    "empty stub",
    "syntax error",
    "endless loop",
    "os._exit",
    "4 GB allocation",
    "deleted test cell",
    "deleted solution and test cell",
    "duplicated cell",
    "truncated JSON",
    "empty file",
    "wrong notebook name",
    "nothing submitted",
    "two right and one crashing",
]
LABS = discover.lab_names()


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def home() -> Path:
    return sample_class()


def expected(home: Path, lab: str) -> list[dict[str, str]]:
    return [row for row in table(home / "expected.csv") if row["lab"] == lab]


def results(lab: str) -> dict[str, dict[str, Any]]:
    lines = (sample.grades(lab) / "results.jsonl").read_text("utf-8").splitlines()
    return {tree["student_id"]: tree for tree in map(json.loads, lines)}


@pytest.mark.needs("sandbox")
@pytest.mark.parametrize("lab", LABS)
def test_everybody_gets_what_they_are_due(home: Path, lab: str) -> None:
    graded = {
        (row["student_id"], row["exercise"]): row
        for row in table(sample.grades(lab) / "grades.csv")
    }
    told = results(lab)
    wrong = []
    for row in expected(home, lab):
        got = graded[row["student_id"], row["exercise"]]
        mistakes = {item["name"]: item["mistake"] for item in told[row["student_id"]]["exercises"]}
        due = float(row["points"]), row["status"], row["mistake"] or mistakes[row["exercise"]]
        is_given = float(got["points"]), got["status"], mistakes[row["exercise"]]
        if due != is_given:
            wrong.append((row["case"], row["exercise"], due, is_given, got["hint"]))
    assert wrong == []


@pytest.mark.needs("sandbox")
@pytest.mark.parametrize("lab", LABS)
def test_every_mutant_gets_its_own_hint(home: Path, lab: str) -> None:
    hints = {
        (item.name, mutant.name): mutant.hint
        for item in discover.load(lab).exercises
        for mutant in item.mutants
    }
    due = {
        (row["student_id"], row["exercise"]): hints[row["exercise"], row["mistake"]]
        for row in expected(home, lab)
        if row["case"].startswith("mutant ") and row["mistake"]
    }
    shown = {
        (row["student_id"], row["exercise"]): row["hint"]
        for row in table(sample.grades(lab) / "grades.csv")
        if (row["student_id"], row["exercise"]) in due
    }
    assert shown == due


@pytest.mark.needs("sandbox")
@pytest.mark.parametrize("lab", LABS)
def test_the_gradebook_says_the_same(home: Path, lab: str) -> None:
    scores = Course(sample.COURSE).scores(lab)
    for row in expected(home, lab):
        if row["case"] == "nothing submitted":
            assert row["student_id"] not in scores
        else:
            assert scores[row["student_id"]][row["exercise"]] == (float(row["points"]), None)


@pytest.mark.needs("sandbox")
@pytest.mark.parametrize("lab", LABS)
def test_everybody_who_handed_in_gets_feedback(home: Path, lab: str) -> None:
    folder = sample.grades(lab) / "feedback"
    has = {path.parent.name for path in folder.glob(f"*/{lab}.html")}
    silent = {r["student_id"] for r in expected(home, lab) if r["case"] == "nothing submitted"}
    assert has == {row["student_id"] for row in expected(home, lab)} - silent


@pytest.mark.needs("sandbox")
@pytest.mark.parametrize("lab", LABS)
def test_feedback_is_whole_without_a_network(home: Path, lab: str) -> None:
    pages = list((sample.grades(lab) / "feedback").glob(f"*/{lab}.html"))
    asked = {path.parent.name: fetched_from_elsewhere(path.read_text("utf-8")) for path in pages}
    assert pages
    assert {name: addresses for name, addresses in asked.items() if addresses} == {}


@pytest.mark.needs("sandbox")
@pytest.mark.parametrize("lab", LABS)
def test_there_is_a_student_for_every_mutant_and_mishap(home: Path, lab: str) -> None:
    names = {row["case"] for row in expected(home, lab)}
    loaded = discover.load(lab)
    mutants = {f"mutant {m.name} of {e.name}" for e in loaded.exercises for m in e.mutants}
    styles = {
        f"another style {k + 1}" for k in range(max(len(e.variants) for e in loaded.exercises))
    }
    assert names >= {"perfect", *MISHAPS, *mutants, *styles}
    assert len(styles) >= 2


# -- that the class is due what it says ----------------------------------------------------------


def test_perfect_is_everything(toy_lab: LoadedLab, toy_cases: dict[str, Case]) -> None:
    everything = {item.name: (item.points, "ok") for item in toy_lab.items}
    for name in ("perfect", "another style 1", "another style 2", "deleted test cell"):
        assert toy_cases[name].scores == everything


def test_a_mutant_costs_its_own_exercise_and_no_other(
    toy_lab: LoadedLab, toy_cases: dict[str, Case]
) -> None:
    for item in toy_lab.exercises:
        for mutant in item.mutants:
            case = toy_cases[f"mutant {mutant.name} of {item.name}"]
            points, status = case.scores[item.name]
            assert points < item.points
            assert status != "ok"
            others = {name: score for name, score in case.scores.items() if name != item.name}
            full = toy_cases["perfect"].scores
            assert others == {name: full[name] for name in others}


def test_points_by_hand(toy_lab: LoadedLab, toy_cases: dict[str, Case]) -> None:
    """Softmax has three groups of equal weight and 3 points; this mutant fails the second alone."""
    (softmax,) = [item for item in toy_lab.exercises if item.name == "softmax"]
    assert isinstance(softmax, Exercise)
    assert [group.name for group in softmax.groups][1] == "large logits"
    assert toy_cases["mutant overflows of softmax"].scores["softmax"] == (2.0, "wrong")
    assert toy_cases["two right and one crashing"].scores["softmax"] == (0.0, "missing")
    assert sum(p for p, _ in toy_cases["two right and one crashing"].scores.values()) == 4.0


def test_students_differ_and_stay_the_same() -> None:
    people = [student(number) for number in range(650)]
    assert max(Counter(person.student_id for person in people).values()) == 1
    assert people[7] == student(7)
    assert all(person.student_id.isascii() for person in people)
