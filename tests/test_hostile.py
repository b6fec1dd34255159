"""A class of attackers, honest bunglers and three witnesses, graded in one run."""

from __future__ import annotations

import pytest

from tests import hostile
from tests.hostile import outcome as outcomes
from tests.hostile import room as rooms
from tests.hostile import sitting
from tests.hostile.declare import MAX_POINTS, Attack, Broken
from tests.hostile.outcome import Outcome

pytestmark = [pytest.mark.long(1), pytest.mark.needs("sandbox")]

MOST_MEMORY = 1 << 30  # bytes of the process that writes


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The class as it was graded."""
    return sitting.sit(tmp_path_factory.mktemp("hostile"))


def named(submission: Attack | Broken) -> str:
    family = submission.family if isinstance(submission, Attack) else "honest"
    return f"{family}-{submission.name}"


def test_the_class_is_as_large_as_it_should_be() -> None:
    students = [student.name for student in (*hostile.ATTACKS, *hostile.BROKEN)]
    assert len(set(students)) == len(students)
    assert len(hostile.ATTACKS) >= 60
    assert len(hostile.BROKEN) >= 20
    assert len({attack.family for attack in hostile.ATTACKS}) >= 10


def test_the_run_reaches_its_end(graded: Outcome) -> None:
    assert graded.code == 0, graded.said[-3000:]
    assert "Traceback" not in graded.said
    assert "could not" not in graded.said
    everybody = {s.name for s in (*hostile.ATTACKS, *hostile.BROKEN)} | {*rooms.WITNESSES}
    assert set(graded.lines) == set(graded.rows) == everybody


def test_the_grader_does_not_grow_without_bound(graded: Outcome) -> None:
    assert 0 < graded.peak_bytes < MOST_MEMORY


@pytest.mark.parametrize("attack", hostile.ATTACKS, ids=named)
def test_the_attack_fails(graded: Outcome, attack: Attack) -> None:
    assert graded.successes(attack) == []


def test_no_script_runs_in_the_report(graded: Outcome) -> None:
    report = (graded.room.out / "report.html").read_text("utf-8")
    assert outcomes.scripts(report) == []


def test_no_secret_is_in_anything_that_was_written(graded: Outcome) -> None:
    """Also not in gradebook, report and copies of what was handed in."""
    written_by_honest_students = {"WITNESS", "ANSWER"}
    found = {
        (str(path), name)
        for path, content in graded.written()
        for name in graded.secrets_in(content.decode("latin-1"))
        if name not in written_by_honest_students
    }
    assert found == set()


def test_witnesses_keep_their_grades(graded: Outcome) -> None:
    pages = set()
    assert graded.honest_points() == [MAX_POINTS] * 3
    for witness in rooms.WITNESSES:
        statuses = {row["status"] for row in graded.rows[witness].values()}
        assert statuses == {"ok"}
        pages.add(graded.page(witness))
    assert len(pages) == 1


def test_nothing_is_left_behind(graded: Outcome) -> None:
    assert outcomes.left_behind(graded.room) == []
    assert graded.changed == ()


def test_nobody_comes_out(graded: Outcome) -> None:
    assert graded.visited == ()


@pytest.mark.parametrize("broken", hostile.BROKEN, ids=named)
def test_honest_work_gets_what_it_deserves(graded: Outcome, broken: Broken) -> None:
    table = {name: float(row["points"] or 0) for name, row in graded.rows[broken.name].items()}
    assert sum(table.values()) == broken.earns, table
    assert broken.shown in graded.page(broken.name)
