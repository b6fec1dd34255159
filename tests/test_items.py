"""Item analysis: by hand, against scipy, and where there is nothing to compare."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from autograder import items
from autograder.records import Record, Written
from autograder.results import ExerciseResult, Status


def student(name: str, *points: float, essay: float | None = None, **changes: object) -> Record:
    """Someone with so many of 4 points in the exercises a, b, …"""
    names = "abcdefgh"[: len(points)]
    record = Record(
        student_id=name,
        lab="lab00_toy",
        run_id="",
        graded_at="",
        digest="",
        checks="",
        status="ok",
        reason="",
        notes=(),
        order=(*names, "why"),
        exercises=tuple(
            ExerciseResult(n, p, 4.0, "ok" if p == 4.0 else "wrong")
            for n, p in zip(names, points, strict=True)
        ),
        written=(Written("why", 2.0, points=essay),),
        seconds=1.0,
        tier="namespaces",
        versions={},
    )
    return dataclasses.replace(record, **changes)  # type: ignore[arg-type]


def unusable(name: str, status: Status) -> Record:
    nothing = tuple(ExerciseResult(n, 0.0, 4.0, status) for n in "ab")
    written = (Written("why", 2.0, status, 0.0),)
    return student(name, 0.0, 0.0, status=status, exercises=nothing, written=written)


@pytest.fixture
def four() -> list[Record]:
    points = {"ada": (4.0, 4.0), "bob": (1.0, 4.0), "cy": (0.0, 0.0), "dan": (2.0, 0.0)}
    return [student(name, *both) for name, both in points.items()]


def test_by_hand(four: list[Record]) -> None:
    found = items.analyse(four)
    a, b, why = found.items
    assert a.difficulty == 7 / 16
    assert b.difficulty == 8 / 16
    assert (a.full, b.full) == (1 / 4, 2 / 4)
    # deviations (9, -3, -7, 1) / 4 and (2, 2, -2, -2): 6 / sqrt(8.75 * 16)
    assert a.discrimination == pytest.approx(6 / 140**0.5, rel=1e-12)
    # variances 35/12 and 16/3, of the sums 8, 5, 0, 2 it is 49/4: 2 * (1 - 8.25 / 12.25)
    assert found.alpha == pytest.approx(32 / 49, rel=1e-12)
    assert dict(a.statuses) == {"wrong": 3, "ok": 1}
    assert (why.written, why.counted, why.difficulty, why.discrimination) == (True, 0, None, None)


def test_an_exercise_is_not_compared_with_itself(four: list[Record]) -> None:
    """With itself among the points, even an exercise that ranks at random looks related."""
    a = items.analyse(four).items[0]
    points = [[r.exercises[0].points, r.exercises[1].points] for r in four]
    uncorrected = np.corrcoef([p[0] for p in points], [sum(p) for p in points])[0, 1]
    assert a.discrimination is not None
    assert uncorrected > a.discrimination + 0.3


@pytest.mark.parametrize("seed", range(5))
def test_scipy_finds_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ability = rng.normal(size=(50, 1))
    points = np.clip(np.round(2.0 + ability + rng.normal(size=(50, 6))), 0.0, 4.0)
    found = items.analyse(student(f"s{i}", *row) for i, row in enumerate(points.tolist()))
    for column, item in enumerate(found.items[:6]):
        rest = points.sum(axis=1) - points[:, column]
        expected = stats.pearsonr(points[:, column], rest).statistic
        assert item.discrimination == pytest.approx(expected, abs=1e-12)
    between = np.cov(points.T)  # alpha by another formula: the share of it off the diagonal
    expected = 6 / 5 * (1 - np.trace(between) / between.sum())
    assert found.alpha == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("status", ["missing", "malformed", "rejected", "killed"])
def test_who_could_not_be_run_is_not_counted(four: list[Record], status: Status) -> None:
    with_others = items.analyse([*four, unusable("eve", status), unusable("fay", status)])
    alone = items.analyse(four)
    assert with_others.items == alone.items
    assert with_others.alpha == alone.alpha
    assert (with_others.counted, with_others.left_out) == (4, {status: 2})


def test_a_person_s_points_come_first(four: list[Record]) -> None:
    four[2] = dataclasses.replace(four[2], overrides={"a": 4.0})
    assert items.analyse(four).items[0].difficulty == 11 / 16


def test_written_questions_count_where_somebody_graded_them() -> None:
    points = [(4.0, 2.0), (3.0, 1.5), (2.0, 1.0), (1.0, None)]
    found = items.analyse(
        student(f"s{i}", p, 4.0, essay=essay) for i, (p, essay) in enumerate(points)
    )
    why = found.items[-1]
    assert (why.counted, why.difficulty, why.full) == (3, 0.75, 1 / 3)
    assert why.discrimination == pytest.approx(1.0)  # with the autograded points


def test_misconceptions_name_who_has_them(four: list[Record]) -> None:
    def with_mistakes(record: Record, *mistakes: str) -> Record:
        changed = tuple(
            dataclasses.replace(item, mistake=mistake, hint=f"about {mistake}")
            for item, mistake in zip(record.exercises, mistakes, strict=True)
        )
        return dataclasses.replace(record, exercises=changed)

    made = [("", "flips"), ("drops", ""), ("flips", "flips"), ("drops", "flips")]
    found = items.analyse(map(with_mistakes, four, *zip(*made, strict=True)))
    told = [(m.exercise, m.name, m.students, m.share) for m in found.misconceptions]
    assert told == [
        ("b", "flips", ("ada", "cy", "dan"), 0.75),
        ("a", "drops", ("bob", "dan"), 0.5),
        ("a", "flips", ("cy",), 0.25),
    ]
    assert found.misconceptions[1].hint == "about drops"


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(4.0, 4.0)],
        [(4.0, 4.0), (0.0, 0.0)],
        [(4.0, 4.0)] * 9,  # all perfect
        [(0.0, 0.0)] * 9,
        [(4.0,), (0.0,), (2.0,)],  # nothing to compare with
        [(4.0, 1.0), (3.0, 1.0), (0.0, 1.0)],
    ],
)
def test_what_cannot_be_computed_is_none(points: list[tuple[float, ...]]) -> None:
    found = items.analyse(student(f"s{i}", *row) for i, row in enumerate(points))
    assert {item.discrimination for item in found.items} <= {None}


def test_sums_without_variance_have_no_reliability() -> None:
    assert items.alpha([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]) is None
    assert items.alpha([[1.0, 2.0, 3.0]]) is None
    assert items.alpha([[1.0], [2.0]]) is None


def test_all_missing_is_an_analysis_too() -> None:
    found = items.analyse([unusable("ada", "missing"), unusable("bob", "missing")])
    assert [item.name for item in found.items] == ["a", "b", "why"]
    assert all(item.difficulty is None for item in found.items)
    assert found.counted == 0
