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

from tests.hostile.room import LAB, NOTEBOOK, Room

FETCHES = ("src", "srcset", "href", "data", "action", "poster", "background", "formaction", "style")
NOT_FOR_STUDENTS = ("source", "release", "seed")  # of a course directory: the lab's own
PLACES = ("/", "/tmp", "/var/tmp", "/dev/shm", "/run", "/root", "/etc/cron.d")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A graded class.

    Attributes:
        room: where it was graded.
        code: the grader's exit code.
        said: what it wrote to its two outputs.
        peak_bytes: the most memory that a process of the grader had in use.
    """

    room: Room
    code: int
    said: str
    peak_bytes: int

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
    return [*_processes(room.names["COMM"]), *_files(room), *_kernel(room)]


def _processes(mark: str) -> Iterator[str]:
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
    for place in (sys.prefix, *site.getsitepackages(), Path(os.__file__).parent):
        yield from (str(path) for path in Path(place).iterdir() if mark in path.name)
    theirs = [room.submissions, room.out, room.course.root]
    for root in theirs:  # what a student handed in may carry the name; what runs may not make it
        for path in root.rglob(f"*{mark}*"):
            yield str(path)


def _kernel(room: Room) -> Iterator[str]:
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
