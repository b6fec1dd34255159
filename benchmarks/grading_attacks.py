"""Attacks on our grader and on stock nbgrader: which of them succeed, and at what.

``python -m benchmarks.grading_attacks`` writes ``results/grading_attacks.json``. It runs as root:
stock nbgrader is attacked in a throw-away machine made of namespaces (`benchmarks.classroom.jail`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
from tqdm import tqdm

from autograder import sandbox
from autograder.course import Course
from benchmarks.classroom import jail, kept, stock
from benchmarks.grading import finish
from tests import hostile
from tests.hostile import declare, outcome, sitting
from tests.hostile import room as rooms
from tests.hostile.declare import MAX_POINTS, Attack, Submission, grade_id

NAME = "grading_attacks"
WITNESS = "zzz-witness"
SECONDS = 150.0  # for each of nbgrader's steps, which takes eight where nothing else runs
ALONE = (
    "points gained",
    "secret read",
    "script in a reader's page",
)  # for these nobody else sits there
HONEST = 1.0  # points of the one right answer; what we reject as a whole, nbgrader may grade
KEPT = ("source", "release", "seed", "submitted/zzz-witness")  # nobody may change it in a course
TESTS = {
    "scale": "assert scale(1) == 10\nassert scale(12) == 87\n{hidden}",
    "total": "import numpy as np\nassert np.isclose(total(np.array([1.0, 2.0])), 5.0)\n"
    "### BEGIN HIDDEN TESTS\nassert np.isclose(total(np.array([1.5, -2.0, 0.5])), 6.5)\n"
    "### END HIDDEN TESTS",
    "toss": "rng = np.random.default_rng(3)\n"
    "assert 0.2 < np.mean([toss(rng) for _ in range(300)]) < 0.4",
    "answer": "### BEGIN HIDDEN TESTS\nassert abs(answer - {answer}) < 1e-9\n### END HIDDEN TESTS",
    "letter": "### BEGIN HIDDEN TESTS\nassert letter.strip().upper() == 'B'\n### END HIDDEN TESTS",
    "weights": "import safetensors.numpy\n"
    "loaded = safetensors.numpy.load_file('weights.safetensors')['weights']\n"
    "### BEGIN HIDDEN TESTS\nassert np.abs(loaded - np.array({weights})).max() < 0.01\n"
    "### END HIDDEN TESTS",
    "last": "assert last(3.0) == 1.5\nassert last(-1.0) == -0.5",
}


class Stock:
    """A course of stock nbgrader with the same exercises, and attacks on it one by one.

    Args:
        folder: for the course that every attack gets a copy of, and for the copies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.room = rooms.furnish(folder / "room", {})
        self.hidden = [str(case) for case in self.room.expected()]
        self.template = folder / "template"
        course = self.template / "course"
        source = nbformat.read(  # type: ignore[no-untyped-call]
            self.room.course.root / "source" / rooms.LAB / rooms.NOTEBOOK, as_version=4
        )
        for cell in source.cells:
            if grade_id(cell) == "train-weights":
                cell.source = "pass"  # it would be run
            if grade_id(cell).startswith("test-"):
                cell.source = self._tests(grade_id(cell).removeprefix("test-"))
        target = course / "source" / rooms.LAB
        target.mkdir(parents=True)
        nbformat.write(source, target / rooms.NOTEBOOK)  # type: ignore[no-untyped-call]
        stock.nbgrader(course, "generate_assignment", rooms.LAB)
        (course / "submitted").mkdir()
        (course / "seed").write_text(self.room.tokens["SEED"])
        (self.template / "submissions").symlink_to("course/submitted")
        shutil.copytree(self.room.folder / "home", self.template / "home")
        names = self._names()
        inside = rooms.Room(
            self.template, {}, names, self.room.lab, Course(course), self.room.weights
        )
        rooms.seat(inside, [Submission(WITNESS)], honest=True)

    def _tests(self, name: str) -> str:
        cases = zip(self.room.inputs(), self.hidden, strict=True)
        lines = [f"assert scale({given}) == {right}" for given, right in cases]
        hidden = "\n".join(
            [
                "### BEGIN HIDDEN TESTS",
                f"# {self.room.tokens['CHECKS']}",
                *lines,
                "### END HIDDEN TESTS",
            ]
        )
        return TESTS[name].format(
            hidden=hidden, answer=self.room.tokens["ANSWER"], weights=list(self.room.weights)
        )

    def _names(self) -> dict[str, str]:
        """The names of the room as they are inside of the throw-away machine."""
        names = {
            name: text.replace(str(self.room.folder), str(jail.INSIDE))
            for name, text in self.room.names.items()
        }
        witness = jail.INSIDE / "course" / "submitted" / WITNESS / rooms.LAB / rooms.NOTEBOOK
        return names | {
            "OUT": str(jail.INSIDE / "course" / "feedback"),
            "SUBMISSIONS": str(jail.INSIDE / "course" / "submitted"),
            "WITNESS": str(witness),
        }

    def attack(self, attack: Attack) -> list[str]:
        """Return what an attack achieves; nothing if it fails."""
        folder = self.folder / "attacks" / attack.name
        shutil.copytree(self.template, folder, symlinks=True)
        is_read = attack.goal == "script in a reader's page"
        if attack.goal in ALONE:
            shutil.rmtree(folder / "course" / "submitted" / WITNESS)
        names = {name: text for name, text in self._names().items() if name != "ANSWER"}
        spec = {
            "attack": attack.name,
            "names": names,
            "key": self.room.tokens["KEYRING"],
            "mark": names["LEFT"],
            "environment": self.room.tokens["ENVIRONMENT"],
            "seconds": SECONDS,
            "steps": ["autograde", "generate_feedback"] if is_read else ["autograde"],
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        before = self._untouchable(folder)
        report = jail.run(folder, kept.ROOT, 2.5 * SECONDS)
        found = [] if report is None else self._reported(attack, report)
        if report is None or "timeout" in report["codes"].values():
            found.append("stopped the run")
        after = self._untouchable(folder)
        if any(after.get(name) != kind for name, kind in before.items()):
            found.append("changed the instructor's files")
        told = _own_outputs(folder, attack.name)
        secrets = [*self.room.tokens.values(), *self.hidden]
        if any(secret in told for secret in secrets):
            found.append("read what is secret")
        if attack.betrayed in told:
            found.append("found a door open")
        page = folder / "course" / "feedback" / attack.name / rooms.LAB / f"{rooms.LAB}.html"
        if page.is_file() and outcome.scripts(page.read_text("utf-8", "replace")):
            found.append("reached a reader's browser")
        shutil.rmtree(folder)
        return found

    def _reported(self, attack: Attack, report: dict[str, Any]) -> list[str]:
        found = []
        if report["scores"].get(attack.name, 0.0) > max(attack.earns, HONEST):
            found.append("gained points")
        ended = "timeout" not in report["codes"].values()
        if attack.goal not in ALONE and ended and report["scores"].get(WITNESS) != MAX_POINTS:
            found.append("changed another's grade")
        if report["left"] or report["files"]:
            found.append("left something behind")
        if report["visited"]:
            found.append("reached the network")
        return found

    def _untouchable(self, folder: Path) -> dict[str, Any]:
        places = [folder / "course" / name for name in KEPT] + [folder / "home"]
        found: dict[str, Any] = {"seed": (folder / "course" / "seed").read_bytes()}
        for place in places:
            if place.is_dir():
                snapshot = outcome.snapshot(place)
                found |= {f"{place.name}/{name}": kind for name, kind in snapshot.items()}
        return found


def _own_outputs(folder: Path, student: str) -> str:
    """What a student's own cells showed: not the test cells, whose failures quote the tests."""
    path = folder / "course" / "autograded" / student / rooms.LAB / rooms.NOTEBOOK
    if not path.is_file():
        return ""
    cells = json.loads(path.read_bytes())["cells"]
    return json.dumps(
        [
            cell.get("outputs", [])
            for cell in cells
            if cell["cell_type"] == "code" and not grade_id(cell).startswith("test-")
        ]
    )


def ours(folder: Path, attacks: Sequence[Attack]) -> dict[str, list[str]]:
    """Return what each attack achieves against our grader, all in one class."""
    graded = sitting.sit(folder, attacks, ())
    found = {attack.name: graded.successes(attack) for attack in attacks}
    everybody = [MAX_POINTS] * len(rooms.WITNESSES)
    together = {
        "stopped the run": graded.code != 0,
        "changed another's grade": graded.honest_points() != everybody,
        "left something behind": bool(outcome.left_behind(graded.room)),
        "changed the instructor's files": bool(graded.changed),
        "reached the network": bool(graded.visited),
    }
    whole = [what for what, is_so in together.items() if is_so]
    return {name: what + whole for name, what in found.items()}


def once(attack: Attack, try_it: Callable[[Attack], list[str]]) -> list[str]:
    """Return what an attack achieves against stock nbgrader, from disk if it was tried before.

    What counts is the attack and the throw-away machine: stock nbgrader changes with its version.
    """
    family = sys.modules[f"tests.hostile.attacks.{attack.family}"]
    digest = hashlib.sha256(repr((version("nbgrader"), TESTS, SECONDS)).encode())
    for source in (family.__file__, declare.__file__, jail.__file__):
        digest.update(Path(source or "").read_bytes())
    path = kept.HOME / f"{NAME}_stock" / digest.hexdigest()[:12] / f"{attack.name}.json"
    if not path.exists():
        found = try_it(attack)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found), encoding="utf-8")
    tried: list[str] = json.loads(path.read_text("utf-8"))
    return tried


def measure(attacks: Sequence[Attack], at_once: int) -> dict[str, Any]:
    """Return the attacks with what they achieve on either side."""
    if os.geteuid() != 0:
        sys.exit("grading_attacks: run this as root, which the throw-away machine needs")
    here = ours(kept.scratch(NAME, "ours"), attacks)
    target = Stock(kept.scratch(NAME, "stock"))
    with ThreadPoolExecutor(at_once) as pool:
        tried = pool.map(partial(once, try_it=target.attack), attacks)
        found = list(tqdm(tried, "attacks on stock nbgrader", total=len(attacks)))
    there = {attack.name: what for attack, what in zip(attacks, found, strict=True)}
    rows = [
        {
            "name": attack.name,
            "family": attack.family,
            "tries": attack.tries,
            "goal": attack.goal,
            "ours": here[attack.name],
            "stock": there[attack.name],
        }
        for attack in attacks
    ]
    tier = sandbox.available()
    return {
        "engine": kept.engine(),
        "nbgrader": version("nbgrader"),
        "tier": tier if isinstance(tier, str) else tier.name,
        "broken but honest": len(hostile.BROKEN),
        "attacks": rows,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="attacks or families (default: all)")
    parser.add_argument("--at-once", type=int, default=2, metavar="N")
    parser.add_argument("--dry", action="store_true", help="print the results, write none")
    options = parser.parse_args(arguments)
    wanted = set(options.names)
    attacks = [a for a in hostile.ATTACKS if not wanted or wanted & {a.name, a.family}]
    finish(NAME, lambda: measure(attacks, options.at_once), dry=options.dry)


if __name__ == "__main__":
    main()
