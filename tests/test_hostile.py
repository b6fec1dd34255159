"""A class of attackers, honest bunglers and three witnesses, graded in one run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import hostile
from tests.hostile import outcome as outcomes
from tests.hostile import room as rooms
from tests.hostile.declare import MAX_POINTS, Attack, Broken
from tests.hostile.outcome import Outcome

pytestmark = pytest.mark.needs("sandbox")

ROOT = Path(__file__).parents[1]
LONGEST = 600.0  # seconds that grading the class never takes, unless an attack stops it
MOST_MEMORY = 1 << 30  # bytes of one process of the grader
LONGEST_PAGE, LONGEST_HINT = 72 << 20, 2000


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """The class as it was graded, in a process of its own."""
    folder = tmp_path_factory.mktemp("hostile")
    with rooms.listening(folder) as (doors, opened):
        room = rooms.furnish(folder, doors)
        rooms.seat(room, rooms.witnesses(room), honest=True)
        rooms.seat(room, hostile.BROKEN, honest=True)
        rooms.seat(room, hostile.ATTACKS, honest=False)
        handed_in = outcomes.snapshot(room.submissions)
        with rooms.key_in_keyring(room.tokens["KEYRING"]), (folder / "said").open("w+") as said:
            grading = subprocess.Popen(
                [sys.executable, "-m", "tests.hostile.run", str(folder)],
                cwd=ROOT,
                env=os.environ | {"EXAM_TOKEN": room.tokens["ENVIRONMENT"]},
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            try:
                grading.wait(LONGEST)
            finally:
                grading.kill()
            usage = _usage_of_children()
            said.seek(0)
            outcome = Outcome(room, grading.returncode, said.read(), usage)
        yield outcome
        assert [door for door in opened if rooms.visited(door)] == []
        assert outcomes.changed(handed_in, outcomes.snapshot(room.submissions)) == []


def _usage_of_children() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10


def of(*goals: str) -> list[Attack]:
    return [attack for attack in hostile.ATTACKS if attack.goal in goals]


def named(submission: Attack | Broken) -> str:
    family = submission.family if isinstance(submission, Attack) else "honest"
    return f"{family}-{submission.name}"


each_attack = pytest.mark.parametrize("attack", hostile.ATTACKS, ids=named)
each_broken = pytest.mark.parametrize("broken", hostile.BROKEN, ids=named)


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


def test_no_process_of_the_grader_grows_without_bound(graded: Outcome) -> None:
    assert graded.peak_bytes < MOST_MEMORY


@each_attack
def test_no_attack_gains_a_point(graded: Outcome, attack: Attack) -> None:
    assert graded.points(attack.name) <= attack.earns
    scores = graded.room.course.scores(rooms.LAB).get(attack.name, {})
    assert sum(auto or 0.0 for auto, _ in scores.values()) <= attack.earns


@each_attack
def test_no_attack_reads_a_secret(graded: Outcome, attack: Attack) -> None:
    told = graded.told(attack.name)
    secrets = {**graded.room.tokens, **dict(enumerate(graded.room.expected()))}
    assert [name for name, secret in secrets.items() if secret in told] == []


@pytest.mark.parametrize(
    "attack", [a for a in hostile.ATTACKS if a.name.startswith("tells-")], ids=named
)
def test_no_hidden_input_comes_out(graded: Outcome, attack: Attack) -> None:
    told = graded.told(attack.name).replace(",", "")
    assert [number for number in graded.room.inputs() if number in told] == []


@each_attack
def test_no_attack_finds_a_door_open(graded: Outcome, attack: Attack) -> None:
    rows = " ".join(row["hint"] for row in graded.rows[attack.name].values())
    assert attack.betrayed not in rows + graded.outputs(attack.name)


@each_attack
def test_no_script_runs_in_a_reader_s_page(graded: Outcome, attack: Attack) -> None:
    assert outcomes.scripts(graded.page(attack.name)) == []


def test_no_script_runs_in_the_report(graded: Outcome) -> None:
    report = (graded.room.out / "report.html").read_text("utf-8")
    assert outcomes.scripts(report) == []


@each_attack
def test_no_attack_fills_the_disk(graded: Outcome, attack: Attack) -> None:
    assert len(graded.page(attack.name)) < LONGEST_PAGE
    assert all(len(row["hint"]) < LONGEST_HINT for row in graded.rows[attack.name].values())


def test_no_secret_is_in_anything_that_was_written(graded: Outcome) -> None:
    """Also not in gradebook, report and copies of what was handed in."""
    tokens = {**graded.room.tokens, **dict(enumerate(graded.room.expected()))}
    for owned in ("WITNESS", "ANSWER"):  # honest students wrote these themselves
        tokens.pop(owned)
    found = [
        (str(path), name)
        for path, content in graded.written()
        for name, token in tokens.items()
        if token.encode() in content
    ]
    assert found == []


def test_witnesses_keep_their_grades(graded: Outcome) -> None:
    pages = set()
    for witness in rooms.WITNESSES:
        assert graded.points(witness) == MAX_POINTS
        statuses = {row["status"] for row in graded.rows[witness].values()}
        assert statuses == {"ok"}
        pages.add(graded.page(witness))
    assert len(pages) == 1


def test_nothing_is_left_behind(graded: Outcome) -> None:
    assert outcomes.left_behind(graded.room) == []


@each_broken
def test_honest_work_gets_what_it_deserves(graded: Outcome, broken: Broken) -> None:
    table = {name: float(row["points"] or 0) for name, row in graded.rows[broken.name].items()}
    assert sum(table.values()) == broken.earns, table
    assert broken.shown in graded.page(broken.name)
