"""The room in which the hostile class sits: its lab, its secrets, its witnesses, its doors.

Everything secret of a run carries a token drawn for it, so that a leak shows wherever it ends up.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import dataclasses
import json
import os
import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from autograder import discover, referee
from autograder.course import Course
from autograder.discover import LoadedLab
from tests.hostile.declare import HONEST, STUBS, Submission, Tree, code, grade_id

LAB = "lab00_hostile"
NOTEBOOK = f"{LAB}.ipynb"
SOURCES = Path(__file__).parent / "lab" / LAB
SECRETS = ("REFERENCE", "CHECKS", "MUTANT", "HINT", "ENVIRONMENT", "FILE", "WITNESS", "KEYRING")
WITNESSES = ("000-witness", "mmm-witness", "zzz-witness")  # first, in between, and last
TRAINED = "weights.safetensors"
ADD_KEY, KEYCTL = 248, 250  # of x86-64; elsewhere nothing is added
SESSION_KEYRING, JOIN_SESSION, UNLINK = -3, 1, 9


@dataclasses.dataclass(frozen=True)
class Room:
    """Where a class is graded.

    Attributes:
        folder: all below is in it.
        tokens: what must not leak, by name.
        names: what attacks may name as ``@NAME@``.
        lab: the lab with this run's tokens.
        course: the course directory, with the seed.
        weights: what should be trained.
    """

    folder: Path
    tokens: Mapping[str, str]
    names: Mapping[str, str]
    lab: LoadedLab
    course: Course
    weights: tuple[float, ...]

    @property
    def submissions(self) -> Path:
        return self.folder / "submissions"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def expected(self) -> list[str]:
        """Return the right results of the hidden cases of ``scale``, as text."""
        expected = referee.expected_of(self.lab, self.course.seed)
        exercise = next(item for item in self.lab.exercises if item.name == "scale")
        return [str(o.value) for o in expected.groups(exercise)[1].right]

    def inputs(self) -> list[str]:
        """Return the hidden inputs of ``scale``, as text."""
        expected = referee.expected_of(self.lab, self.course.seed)
        exercise = next(item for item in self.lab.exercises if item.name == "scale")
        return [str(case["number"]) for case in expected.groups(exercise)[1].cases]


def furnish(folder: Path, doors: Mapping[str, str]) -> Room:
    """Make a room: draw its tokens, write and release its lab.

    Args:
        folder: an empty folder.
        doors: more names for attacks, of what they may try to reach (see `listening`).
    """
    tokens = {name: f"zq{secrets.token_hex(10)}" for name in SECRETS}
    weights = tuple(round(float(w), 6) for w in np.random.default_rng().uniform(1, 9, size=3))
    answer = f"{secrets.randbelow(10**9) / 1e3 + 1e6:.3f}"
    texts = {f"zq{name}": token for name, token in tokens.items()}
    texts |= {"zqWEIGHTS": " ".join(map(str, weights)), "zqANSWER": answer}
    target = folder / "solutions" / LAB
    target.mkdir(parents=True)
    for path in SOURCES.iterdir():
        if path.is_file():
            (target / path.name).write_text(_replaced(path.read_text("utf-8"), texts), "utf-8")
    lab = discover.load(LAB, folder / "solutions")
    course = Course(folder / "course")
    course.assign(lab)
    tokens["SEED"], tokens["ANSWER"] = str(course.seed), answer
    home = folder / "home"
    home.mkdir()
    (home / "exam.txt").write_text(tokens["FILE"])
    (home / "exam.txt").chmod(0o644)
    mark = secrets.token_hex(6)
    names = {
        "ANSWER": answer,
        "COMM": f"zz{mark}",
        "COURSE": str(course.root),
        "EXAM": str(home / "exam.txt"),
        "HOME": str(home),
        "KEY": str(0x5A000000 + secrets.randbits(24)),
        "LAB": LAB,
        "LEFT": f"left-{mark}",
        "OUT": str(folder / "out"),
        "ROOM": str(folder),
        "SEED": str(course.root / "seed"),
        "SUBMISSIONS": str(folder / "submissions"),
        "WITNESS": str(folder / "submissions" / WITNESSES[0] / LAB / NOTEBOOK),
        **doors,
    }
    return Room(folder, tokens, names, lab, course, weights)


def seat(room: Room, submissions: Iterable[Submission], *, honest: bool) -> None:
    """Write what students hand in.

    Args:
        room: where to.
        submissions: by whom.
        honest: start from right answers, instead of from stubs and the answer to ``last``.
    """
    release = json.loads((room.course.root / "release" / LAB / NOTEBOOK).read_bytes())
    trained = safetensors.numpy.save({"weights": np.array(room.weights)})
    for submission in submissions:
        folder = room.submissions / submission.name / LAB
        folder.mkdir(parents=True)
        raw = written(submission, release, room.names, HONEST if honest else STUBS)
        (folder / (submission.notebook or NOTEBOOK)).write_bytes(raw)
        files = ({TRAINED: trained} if honest else {}) | dict(submission.files)
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(_replaced_bytes(content, room.names))
        submission.plant(folder, room.names)


def witnesses(room: Room) -> list[Submission]:
    """Return who sees that nobody else's grade changes: right answers, with a secret in them."""
    total = HONEST["total"] + f"  # {room.tokens['WITNESS']}"
    return [Submission(name, answers={"total": total}) for name in WITNESSES]


def written(
    submission: Submission, release: Tree, names: Mapping[str, str], answers: Mapping[str, str]
) -> bytes:
    """Return the notebook that is handed in."""
    tree = copy.deepcopy(release)
    sources = {**answers, **submission.answers}
    cells = []
    for cell in tree["cells"]:
        name = grade_id(cell)
        if cell["cell_type"] == "code" and not name:
            continue
        if name in sources:
            cell["source"] = code(sources[name])["source"]
        cells.append(cell)
        if (follows := name.removeprefix("test-")) in submission.after and name != follows:
            cells.append(code(submission.after[follows]))
    start = 1 + next(i for i, c in enumerate(cells) if grade_id(c) == "cell-imports")
    cells[start:start] = map(code, submission.first)
    if "" in submission.after:
        cells.append(code(submission.after[""]))
    tree["cells"] = cells
    submission.edit(tree)
    for cell in tree.get("cells", ()):
        if isinstance(cell, dict) and isinstance(cell.get("source"), str):
            cell["source"] = _replaced(cell["source"], _placeholders(names))
    raw = json.dumps(tree).encode()
    return submission.raw(raw) if submission.raw else raw


def _placeholders(names: Mapping[str, str]) -> dict[str, str]:
    return {f"@{name}@": text for name, text in names.items()}


def _replaced(text: str, pairs: Mapping[str, str]) -> str:
    for old, new in pairs.items():
        text = text.replace(old, new)
    return text


def _replaced_bytes(content: bytes, names: Mapping[str, str]) -> bytes:
    for old, new in _placeholders(names).items():
        content = content.replace(old.encode(), new.encode())
    return content


@contextlib.contextmanager
def listening(folder: Path) -> Iterator[tuple[dict[str, str], list[socket.socket]]]:
    """Open a door of every kind of network; yield their names for attacks, and the doors."""
    with contextlib.ExitStack() as stack:

        def door(family: int, kind: int, address: Any) -> socket.socket:
            opened = stack.enter_context(socket.socket(family, kind))
            opened.bind(address)
            if kind == socket.SOCK_STREAM:
                opened.listen()
            opened.setblocking(False)
            return opened

        abstract = f"\0zz{secrets.token_hex(8)}"
        path = str(folder / "door")
        tcp = door(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        udp = door(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        unix = door(socket.AF_UNIX, socket.SOCK_STREAM, abstract)
        file = door(socket.AF_UNIX, socket.SOCK_STREAM, path)
        os.chmod(path, 0o777)  # noqa: PTH101
        opened = [tcp, udp, unix, file]
        with contextlib.suppress(OSError):  # a machine without IPv6 has one door less
            opened.append(door(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)))
        names = {
            "TCP": str(tcp.getsockname()[1]),
            "TCP6": str(opened[-1].getsockname()[1]) if len(opened) > 4 else "9",
            "UDP": str(udp.getsockname()[1]),
            "ABSTRACT": abstract[1:],
            "DOOR": path,
        }
        yield names, opened


def visited(door: socket.socket) -> bool:
    """Return whether anybody came to a door."""
    try:
        if door.type == socket.SOCK_STREAM:
            door.accept()[0].close()
        else:
            door.recv(1)
    except BlockingIOError:
        return False
    return True


def begin_session() -> None:
    """Have a keyring of one's own, and nothing in it that earlier processes of the session left."""
    if os.uname().machine == "x86_64":
        ctypes.CDLL(None).syscall(KEYCTL, JOIN_SESSION, None)


@contextlib.contextmanager
def key_in_keyring(token: str) -> Iterator[None]:
    """Keep a secret where kernels keep a session's: every process of the session may ask for it."""
    libc = ctypes.CDLL(None)
    is_known = os.uname().machine == "x86_64"
    raw = token.encode()
    key = -1
    if is_known:
        key = libc.syscall(ADD_KEY, b"user", b"exam", raw, len(raw), SESSION_KEYRING)
    try:
        yield
    finally:
        if key > 0:
            libc.syscall(KEYCTL, UNLINK, key, SESSION_KEYRING)
