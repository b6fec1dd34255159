"""One run over the whole hostile class, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests import hostile
from tests.hostile import outcome, room
from tests.hostile.declare import Attack, Broken
from tests.hostile.outcome import Outcome

ROOT = Path(__file__).parents[2]
LONGEST = 600.0  # seconds that grading the class never takes, unless an attack stops it


def sit(
    folder: Path,
    attacks: Sequence[Attack] = hostile.ATTACKS,
    broken: Sequence[Broken] = hostile.BROKEN,
) -> Outcome:
    """Hand in and grade: attackers, honest bunglers, and witnesses before, between and after them.

    Args:
        folder: an empty folder.
        attacks: who attacks.
        broken: who errs.

    Raises:
        subprocess.TimeoutExpired: if an attack stopped the run.
    """
    with room.listening(folder) as (names, doors):
        ours = room.furnish(folder, names)
        room.seat(ours, room.witnesses(ours), honest=True)
        room.seat(ours, broken, honest=True)
        room.seat(ours, attacks, honest=False)
        before = outcome.snapshot(ours.submissions)
        with room.key_in_keyring(ours.tokens["KEYRING"]), (folder / "said").open("w+") as said:
            grading = subprocess.Popen(
                [sys.executable, "-m", "tests.hostile.run", str(folder)],
                cwd=ROOT,
                env=os.environ | {"EXAM_TOKEN": ours.tokens["ENVIRONMENT"]},
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            try:
                grading.wait(LONGEST)
            finally:
                grading.kill()
            said.seek(0)
            printed = said.read()
        return Outcome(
            ours,
            grading.returncode,
            printed,
            int((folder / "peak").read_text()) if grading.returncode == 0 else 0,
            tuple(outcome.changed(before, outcome.snapshot(ours.submissions))),
            tuple(f"{door.family.name} {door.type.name}" for door in doors if room.visited(door)),
        )
