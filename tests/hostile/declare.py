"""What an attack and a broken notebook are: edits of the lab's notebook, and what they deserve.

Code of an attack may name things of the run it takes part in, as ``@SEED@`` or ``@TCP@``; see
`tests.hostile.room`. An attack that finds out by itself that it succeeded runs `WON`.
"""

from __future__ import annotations

import dataclasses
import os
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

Tree = dict[str, Any]
"""A notebook or a cell of one, as JSON has it."""

Goal = Literal[
    "points gained",
    "secret read",
    "another's grade changed",
    "run stopped or delayed",
    "something left behind",
    "script in a reader's page",
]

WON = 'print("BROKE", "IN", sep="-")'
BETRAYED = "BROKE-IN"
TOKEN = "zq[0-9a-f]{20}"  # what everything secret carries; expected results have 15 to 19 digits
LOOT = """
import re

def loot(blob, where="", pattern=rb"zq[0-9a-f]{20}|(?<!\\d)\\d{15,19}(?!\\d)"):
    blob = blob.encode("utf-8", "replace") if isinstance(blob, str) else blob
    for found in sorted(set(re.findall(pattern, blob)))[:100]:
        print(where, found.decode())
"""
HONEST = {
    "scale": "def scale(number):\n    return 7 * number + 3",
    "total": "def total(values):\n    return float((values**2).sum())",
    "toss": "def toss(rng):\n    return int(rng.random() < 0.3)",
    "answer": "answer = @ANSWER@",
    "letter": "letter = 'B'",
    "last": "def last(number):\n    return number / 2",
}
POINTS = {"scale": 4, "total": 2, "toss": 1, "answer": 1, "letter": 1, "weights": 2, "last": 1}
STUBS = dict.fromkeys(("last",), HONEST["last"])  # all that an attacker answers honestly
MAX_POINTS = float(sum(POINTS.values()))


def nothing(tree: Tree) -> None:
    """Leave the notebook as it is."""


def no_links(folder: Path, names: Mapping[str, str]) -> None:
    """Lay nothing unusual beside the notebook."""


@dataclasses.dataclass(frozen=True)
class Submission:
    """A notebook made from the released one.

    Attributes:
        name: of what it does, and of its student.
        answers: sources by exercise in place of the stubs.
        first: cells put in front of all others.
        after: cells put right behind the test cell of an exercise, by its name; ``""`` is the end.
        files: what lies beside the notebook.
        edit: changes the notebook's tree when it is otherwise done.
        raw: makes the file's bytes from the notebook's; None writes it as JSON.
        plant: lays links and special files into the submission's folder; gets the names of the run.
        notebook: what the notebook is called; None for the lab's own name.
    """

    name: str
    answers: Mapping[str, str] = dataclasses.field(default_factory=dict, kw_only=True)
    first: tuple[str, ...] = dataclasses.field(default=(), kw_only=True)
    after: Mapping[str, str] = dataclasses.field(default_factory=dict, kw_only=True)
    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict, kw_only=True)
    edit: Callable[[Tree], None] = dataclasses.field(default=nothing, kw_only=True)
    raw: Callable[[bytes], bytes] | None = dataclasses.field(default=None, kw_only=True)
    plant: Callable[[Path, Mapping[str, str]], None] = dataclasses.field(
        default=no_links, kw_only=True
    )
    notebook: str | None = dataclasses.field(default=None, kw_only=True)


@dataclasses.dataclass(frozen=True)
class Attack(Submission):
    """What an attacker hands in.

    Attributes:
        tries: what it tries, in a sentence.
        goal: what would count as success.
        earns: what its honest part is worth: the exercise `last`, unless said otherwise.
        betrayed: a text in its row or its outputs that would tell that it succeeded.
        family: the name of the module that declares it.
    """

    tries: str
    goal: Goal
    earns: float = dataclasses.field(default=1.0, kw_only=True)
    betrayed: str = dataclasses.field(default=BETRAYED, kw_only=True)
    family: str = dataclasses.field(default="", kw_only=True)


@dataclasses.dataclass(frozen=True)
class Broken(Submission):
    """What an honest student hands in by mistake.

    Attributes:
        why: what a fair teacher would say.
        lost: points not given, by exercise; all others are right.
        shown: a text that must be on the student's page.
    """

    why: str
    lost: Mapping[str, float] = dataclasses.field(default_factory=dict, kw_only=True)
    shown: str = dataclasses.field(default="", kw_only=True)

    @property
    def earns(self) -> float:
        return MAX_POINTS - sum(self.lost.values())


def code(source: str) -> Tree:
    """Return a code cell of the student's own."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": textwrap.dedent(source).strip("\n"),
    }


def markdown(source: str) -> Tree:
    """Return a text cell of the student's own."""
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def grade_id(cell: Tree) -> str:
    """Return nbgrader's name of a cell; empty if it has none."""
    return str(cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", ""))


def cell_of(tree: Tree, name: str) -> Tree:
    """Return the cell of that name."""
    return next(cell for cell in tree["cells"] if grade_id(cell) == name)


def link(name: str, target: str) -> Callable[[Path, Mapping[str, str]], None]:
    """Return what plants a symbolic link; ``target`` may be the name of something of the run."""

    def plant(folder: Path, names: Mapping[str, str]) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(names.get(target, target))

    return plant


def special(name: str, make: Callable[[str], Any]) -> Callable[[Path, Mapping[str, str]], None]:
    """Return what plants a file of a special kind in place of ``name``."""

    def plant(folder: Path, names: Mapping[str, str]) -> None:
        (folder / name).unlink(missing_ok=True)
        make(os.fspath(folder / name))

    return plant
