"""What became of a hostile class: grades, pages, and whatever attacks left or reached."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import re
import site
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

from tests.hostile.declare import Attack
from tests.hostile.room import LAB, NOTEBOOK, WITNESSES, Room

FETCHES = ("src", "srcset", "href", "data", "action", "poster", "background", "formaction", "style")
NOT_FOR_STUDENTS = ("source", "release", "seed")  # of a course directory: the lab's own
LONGEST_PAGE, LONGEST_HINT = 72 << 20, 2000  # characters
PLACES = ("/", "/tmp", "/var/tmp", "/dev/shm", "/run", "/root", "/etc/cron.d")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A graded class.

    Attributes:
        room: where it was graded.
        code: the grader's exit code.
        said: what it wrote to its two outputs.
        peak_bytes: the most memory that the grader's own process, which writes, had in use.
        changed: what of the submissions it changed.
        visited: kinds of network by which somebody came to a door.
    """

    room: Room
    code: int
    said: str
    peak_bytes: int
    changed: tuple[str, ...] = ()
    visited: tuple[str, ...] = ()

    @cached_property
    def rows(self) -> dict[str, dict[str, dict[str, str]]]:
        """Rows of grades.csv by student and exercise."""
        csv.field_size_limit(1 << 30)  # how long a field may be is for a test to say
        found: dict[str, dict[str, dict[str, str]]] = {}
        with (self.room.out / "grades.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found.setdefault(row["student_id"], {})[row["exercise"]] = row
        return found

    @cached_property
    def lines(self) -> dict[str, str]:
        """Lines of results.jsonl by student."""
        text = (self.room.out / "results.jsonl").read_text("utf-8")
        return {json.loads(line)["student_id"]: line for line in text.splitlines()}

    def points(self, student: str) -> float:
        """Return all that a student earned."""
        return sum(float(row["points"] or 0) for row in self.rows[student].values())

    def page(self, student: str) -> str:
        """Return a student's feedback; empty if there is none."""
        path = self.room.out / "feedback" / student / f"{LAB}.html"
        return path.read_text("utf-8") if path.exists() else ""

    def outputs(self, student: str) -> str:
        """Return all that the student's cells showed, as JSON; empty if nothing was run."""
        path = self.room.course.root / "autograded" / student / LAB / NOTEBOOK
        if not path.exists():
            return ""
        cells = json.loads(path.read_bytes())["cells"]
        return json.dumps([c["outputs"] for c in cells if c["cell_type"] == "code"])

    def told(self, student: str) -> str:
        """Return everything about a student that anybody may come to read."""
        rows = json.dumps(self.rows.get(student, {}))
        parts = self.page(student), self.outputs(student), rows, self.lines.get(student, "")
        return "\n".join(parts)

    def gained(self, attack: Attack) -> bool:
        """Return whether an attack earned more than its honest part, in table or gradebook."""
        scores = self.room.course.scores(LAB).get(attack.name, {})
        recorded = sum(auto or 0.0 for auto, _ in scores.values())
        return max(self.points(attack.name), recorded) > attack.earns

    def secrets_in(self, text: str) -> list[str]:
        """Return the names of all secrets that a text holds."""
        secrets = {**self.room.tokens, **{f"expected {e}": e for e in self.room.expected()}}
        return [name for name, secret in secrets.items() if secret in text]

    def inputs_in(self, text: str) -> list[str]:
        """Return all hidden inputs that a text holds."""
        return [number for number in self.room.inputs() if number in text.replace(",", "")]

    def successes(self, attack: Attack) -> list[str]:
        """Return what an attack achieved; nothing is as it should be."""
        told, page = self.told(attack.name), self.page(attack.name)
        rows = self.rows[attack.name].values()
        hints = [row["hint"] for row in rows]
        found = [f"read {name}" for name in self.secrets_in(told)]
        if attack.name.startswith("tells-"):
            found += [f"told the hidden input {number}" for number in self.inputs_in(told)]
        if self.gained(attack):
            found.append(f"gained points: {self.points(attack.name)} instead of {attack.earns}")
        if attack.betrayed in " ".join(hints) + self.outputs(attack.name):
            found.append("found a door open: " + self.outputs(attack.name)[-500:])
        found += [f"reaches a reader's browser: {tag}" for tag in scripts(page)]
        if len(page) > LONGEST_PAGE or max(map(len, hints)) > LONGEST_HINT:
            found.append(f"fills the disk: {len(page)}, {max(map(len, hints))} characters")
        if any("grade it again" in hint for hint in hints):
            found.append(f"kept itself from being recorded: {hints[0]}")
        return found

    def honest_points(self) -> list[float]:
        """Return what each witness earned."""
        return [self.points(witness) for witness in WITNESSES]

    def written(self) -> Iterator[tuple[Path, bytes]]:
        """Yield every file that grading made, but for what the course keeps to itself."""
        for root in (self.room.out, self.room.course.root):
            for path in sorted(root.rglob("*")):
                inside = path.relative_to(root).parts
                is_ours = root == self.room.course.root and inside[0] in NOT_FOR_STUDENTS
                if path.is_file() and not is_ours:
                    yield path, path.read_bytes()


def scripts(page: str) -> list[str]:
    """Return what of an attacker's would run or be fetched when a browser opens the page."""
    if not re.search("zzscript|zzfetch|srcdoc", page):
        return []  # parsing takes seconds where a page is large
    found = []
    for tag in BeautifulSoup(page, "html.parser").find_all(True):
        text = tag.get_text() if tag.name in ("script", "style") else ""
        is_found = "zzscript" in text or "zzfetch" in text
        for name, value in tag.attrs.items():
            text = re.sub(r"[\0-\x20]", "", "".join(value)).lower()
            runs = name.startswith("on") or text.startswith(("javascript:", "vbscript:"))
            fetched = name in FETCHES and tag.name != "a"  # a link is followed by a reader alone
            is_found |= (runs and "zzscript" in text) or (fetched and "zzfetch" in text)
            is_found |= name == "srcdoc" or (name == "http-equiv" and text == "refresh")
        if is_found:
            found.append(str(tag)[:200])
    return found


def left_behind(room: Room) -> list[str]:
    """Return what attacks left on this machine: processes, files, memory, keys."""
    return [*processes_called(room.names["COMM"]), *_files(room), *in_kernel(room)]


def processes_called(mark: str) -> Iterator[str]:
    """Yield processes that have the mark as a name or among their arguments."""
    for process in Path("/proc").glob("[0-9]*"):
        for path in (*process.glob("task/*/comm"), process / "cmdline"):
            try:
                text = path.read_bytes().decode(errors="replace")
            except OSError:
                continue
            if mark in text:
                yield f"process {process.name}: {text}"


def _files(room: Room) -> Iterator[str]:
    mark = room.names["LEFT"]
    roots = [*map(Path, PLACES), Path.home(), Path.cwd(), room.folder, room.folder / "home"]
    for root in roots:
        try:
            yield from (str(path) for path in root.iterdir() if mark in path.name)
        except OSError:
            continue
    for place in (Path(sys.prefix), *map(Path, site.getsitepackages()), Path(os.__file__).parent):
        yield from (str(path) for path in place.iterdir() if mark in path.name)
    theirs = [room.submissions, room.out, room.course.root]
    for root in theirs:  # what a student handed in may carry the name; what runs may not make it
        for path in root.rglob(f"*{mark}*"):
            yield str(path)


def in_kernel(room: Room) -> Iterator[str]:
    """Yield what attacks left in the kernel: System V's objects, keys, mounts."""
    key, mark = int(room.names["KEY"]), room.names["LEFT"]
    for kind in ("shm", "msg", "sem"):
        lines = Path("/proc/sysvipc", kind).read_text().splitlines()[1:]
        yield from (f"{kind}: {line}" for line in lines if int(line.split()[0]) in (key, key + 1))
    for line in Path("/proc/keys").read_text().splitlines():
        if mark in line:
            yield f"key: {line}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if str(room.folder) in line:
            yield f"mount: {line}"


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the names under which two snapshots differ."""
    return sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))


def snapshot(folder: Path) -> dict[str, Any]:
    """Return what lies in a folder: by path, its kind and content."""
    found: dict[str, Any] = {}
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent, name)
            state = path.lstat()
            is_plain = path.is_file() and not path.is_symlink() and state.st_size < 1 << 20
            content = path.read_bytes() if is_plain else b""
            found[str(path.relative_to(folder))] = (state.st_mode, state.st_size, content)
    return found
