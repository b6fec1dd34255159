"""Whatever arrives from a student is a value or one kind of error: frames, notebooks, zips, names.

Each run tries the same few examples and replays ``fuzz_corpus/``; ``make fuzz`` tries many new ones
(``FUZZ_EXAMPLES`` says how many). A failure's input goes into the corpus.
"""

from __future__ import annotations

import copy
import io
import json
import os
import socket
import tracemalloc
import unicodedata
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode

from autograder import discover
from autograder.collect import CollectError, Files, RefusedError, bad_id, collect, read_roster
from autograder.downloads import moment, read_name
from autograder.preflight import Prepared, prepare
from autograder.unpack import read_zip, safe_member
from labkit import wire
from labkit.frames import HEADER, Channel, ClosedError
from tests.grading import LAB, NOTEBOOK
from tests.test_wire import JSON, VALUES, same

CORPUS = Path(__file__).parent / "fuzz_corpus"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
Tree = dict[str, Any]


def fuzz(examples: int) -> settings:
    """So many examples, the same in each run; or as many new ones as somebody asked for."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def corpus(folder: str) -> list[Any]:
    """The inputs that are replayed, each with its name."""
    paths = sorted((CORPUS / folder).iterdir())
    assert paths
    return [pytest.param(path.read_bytes(), id=path.stem) for path in paths]


def mangled(raw: bytes, edits: Iterable[tuple[int, int, int]]) -> bytes:
    """``raw`` with bytes replaced, left out, repeated or cut off."""
    changed = bytearray(raw)
    for kind, at, byte in edits:
        at %= len(changed) + 1
        if kind == 0:
            changed[at : at + 1] = bytes([byte])
        elif kind == 1:
            del changed[at : at + byte % 9]
        elif kind == 2:
            changed[at:at] = changed[at : at + byte]
        else:
            del changed[at + byte * 8 :]
    return bytes(changed)


EDITS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 1 << 16), st.integers(0, 255)), max_size=6
)


# -- frames --------------------------------------------------------------------------------------


class Socket:
    """One end of a connection: gives what it was fed in pieces, keeps what is sent."""

    def __init__(self, raw: bytes, pieces: Iterable[int] = ()) -> None:
        self.raw, self.sent = raw, b""
        self._pieces = list(pieces) or [1 << 20]
        self.at = self.count = 0

    def settimeout(self, seconds: float | None) -> None:
        pass

    def sendall(self, raw: bytes) -> None:
        self.sent += raw

    def recv(self, size: int) -> bytes:
        piece = self.raw[self.at : self.at + min(size, self._pieces[self.count])]
        self.count = (self.count + 1) % len(self._pieces)
        self.at += len(piece)
        return piece


def channel(raw: bytes = b"", pieces: Iterable[int] = (), limit: int = 1 << 16) -> Channel:
    connection: Any = Socket(raw, pieces)
    assert not isinstance(connection, socket.socket)
    return Channel(connection, limit=limit)


def received(line: Channel) -> list[Any]:
    """All values until the line is closed or a frame is too long; `WireError` for bad frames."""
    values: list[Any] = []
    while len(values) < 100:
        try:
            values.append(line.receive())
        except ClosedError:
            break
        except wire.WireError as error:
            values.append(error)
            if "longer than" in str(error):
                break
    return values


def frame(raw: bytes) -> bytes:
    return HEADER.pack(len(raw)) + raw


def is_plain(value: Any) -> bool:
    """Whether a value is one that could have been sent: it goes out and in again, bit by bit."""
    if isinstance(value, wire.WireError):
        return True
    raw = wire.dumps(value)
    return wire.dumps(wire.loads(raw)) == raw


PIECES = st.lists(st.integers(1, 9), max_size=4)


@fuzz(60)
@given(st.binary(max_size=80), PIECES)
def test_any_bytes_on_the_line_are_values_or_wire_errors(raw: bytes, pieces: list[int]) -> None:
    assert all(map(is_plain, received(channel(raw, pieces))))


@fuzz(60)
@given(VALUES, PIECES, st.sampled_from("<>="))
def test_what_is_sent_is_received(value: Any, pieces: list[int], order: str) -> None:
    """Exact types, dtypes, shapes and bits, in however many pieces it arrives."""
    if isinstance(value, np.ndarray):
        value = value.astype(value.dtype.newbyteorder(order))
    line = channel()
    line.send(value)
    line.send(None)
    sent: Any = line._connection
    (back, end) = received(channel(sent.sent, pieces))
    if isinstance(value, np.ndarray):
        value = value.astype(value.dtype.newbyteorder("="))
    assert same(back, value)
    assert end is None


@fuzz(120)
@given(st.one_of(VALUES.map(wire.dumps), JSON.map(lambda j: json.dumps(j).encode())), EDITS)
def test_a_damaged_frame_is_a_value_or_a_wire_error_and_the_next_is_read(
    raw: bytes, edits: list[tuple[int, int, int]]
) -> None:
    first, end = received(channel(frame(mangled(raw, edits)) + frame(b'"end"')))
    assert is_plain(first)
    assert end == "end"


@pytest.mark.parametrize("raw", corpus("wire"))
def test_frames_that_were_found(raw: bytes) -> None:
    first, end = received(channel(frame(raw) + frame(b'"end"')))
    assert is_plain(first)
    assert end == "end"


BOMBS = {
    "objects": b"[" + b"{}," * 300_000 + b"0]",
    "lists": b"[" + b"[]," * 300_000 + b"0]",
    "numbers": b"[" + b"1.5," * 250_000 + b"0]",
    "texts": b"[" + b'"ab",' * 200_000 + b"0]",
    "depth": b"[" * 1_000_000,
    "closed depth": b"[" * 60_000 + b"]" * 60_000,
    "digits": b"1" * 1_000_000,
    "escapes": b'"' + b"\\u0041" * 150_000 + b'"',
    "pairs": wire.dumps([[0, 0]] * 200)[:-1] + b',{"t":"dict","v":[' + b"[0,0]," * 99_000 + b"0]}]",
    "empty arrays": b"[" + b'{"t":"array","dtype":"bool","shape":[0],"v":""},' * 20_000 + b"0]",
    "wide": b'{"t":"array","dtype":"bool","shape":[' + b"0," * 400_000 + b'0],"v":""}',
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_little_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte, with bounds in the same proportion to it as the real ones to a full frame."""
    raw = BOMBS[name]
    monkeypatch.setattr(wire, "MAX_NODES", wire.MAX_NODES >> 6)
    monkeypatch.setattr(wire, "MAX_SEPARATORS", wire.MAX_SEPARATORS >> 6)
    line = channel(frame(raw), limit=1 << 20)
    tracemalloc.start()
    try:
        received(line)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * len(raw)


def test_a_frame_that_is_longer_than_the_limit_is_not_read() -> None:
    line = channel(HEADER.pack(2**32 - 1) + b"x" * 10_000, pieces=[64], limit=1000)
    (error,) = received(line)
    assert "longer than 1000" in str(error)
    assert line.received <= 64


# -- notebooks -----------------------------------------------------------------------------------

JUNK: list[Any] = [
    *(None, True, 0, -1, 1e308, float("nan"), 10**30, "", "x", "test-softmax", "\ud800", "\0"),
    *([], {}, [[]], [7], {"nbgrader": 7}, {"nbgrader": {"grade_id": []}}, "../../x", "=1+1"),
    *("<script>", "a\r\nb", "#" * 300, ["a\n", 7, "b"]),
]
KEYS = ("cell_type", "metadata", "source", "outputs", "attachments", "id", "level", "input")
TOPS = ("cells", "metadata", "nbformat", "nbformat_minor", "worksheets")
FIELDS = ("grade_id", "points", "grade", "solution", "locked", "schema_version", "cell_type")
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(("drop", "twice", "swap", "key", "field", "insert", "top", "worksheets")),
        st.integers(0, 1 << 10),
        st.integers(0, 1 << 10),
        st.integers(0, len(JUNK) - 1),
    ),
    max_size=8,
)
Operation = tuple[str, int, int, int]


@pytest.fixture(scope="module", params=discover.student_folders()[:2], ids=lambda path: path.name)
def release(request: pytest.FixtureRequest) -> NotebookNode:
    """What a lab's students get."""
    path = request.param / f"{request.param.name}.ipynb"
    notebook: NotebookNode = nbformat.read(path, 4)  # type: ignore[no-untyped-call]
    return notebook


def changed(tree: Tree, operations: list[Operation]) -> Tree:
    """A notebook with cells and fields dropped, doubled, moved and retyped, in place."""
    for name, first, second, junk in operations:
        value = copy.deepcopy(JUNK[junk])
        cells = tree.get("cells")
        if name == "top":
            tree[TOPS[first % len(TOPS)]] = value
        if not isinstance(cells, list) or not cells:
            continue
        at, to = first % len(cells), second % len(cells)
        cell = cells[at]
        if name == "drop":
            del cells[at]
        elif name == "twice":
            cells.insert(to, copy.deepcopy(cell))
        elif name == "swap":
            cells[at], cells[to] = cells[to], cells[at]
        elif name == "insert":
            cells.insert(at, value)
        elif name == "key" and isinstance(cell, dict):
            cell[KEYS[second % len(KEYS)]] = value
        elif name == "field" and isinstance(cell, dict):
            metadata = cell.get("metadata")
            data = metadata.get("nbgrader") if isinstance(metadata, dict) else None
            if isinstance(data, dict):
                data[FIELDS[second % len(FIELDS)]] = value
        elif name == "worksheets":
            tree["worksheets"] = [{"cells": tree.pop("cells")}, value]
    return tree


def check(release: NotebookNode, files: dict[str, bytes]) -> Prepared:
    """Prepare a submission; what is asserted here holds for every one, whatever it was."""
    prepared = prepare(release, LAB, Files(files))
    assert prepared.status in (None, "missing", "malformed")
    assert bool(prepared.reason) is (prepared.status is not None)
    nbformat.validate(prepared.notebook)
    now = [c for c in prepared.notebook.cells if "nbgrader" in c.metadata]
    by_id = {c.metadata.nbgrader.grade_id: c for c in now}
    ours = [c for c in release.cells if "nbgrader" in c.metadata]
    assert len(by_id) == len(now) == len(ours)
    for cell in ours:
        twin = by_id[cell.metadata.nbgrader.grade_id]
        assert (twin.metadata.nbgrader, twin.cell_type) == (cell.metadata.nbgrader, cell.cell_type)
        if not cell.metadata.nbgrader.solution:
            assert twin.source == cell.source
    again = prepare(release, LAB, Files(prepared.files | {NOTEBOOK: prepared.raw}))
    assert (again.raw, again.files, again.notes) == (prepared.raw, prepared.files, ())
    assert all(note.isprintable() for note in prepared.notes)
    return prepared


@fuzz(25)
@given(OPERATIONS, st.booleans())
def test_a_changed_notebook_is_whole_again_or_malformed(
    release: NotebookNode, operations: list[Operation], misnamed: bool
) -> None:
    raw = json.dumps(changed(json.loads(json.dumps(release)), operations)).encode()
    check(release, {"a/b.ipynb" if misnamed else NOTEBOOK: raw})


@fuzz(15)
@given(EDITS, st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-32-be")))
def test_a_damaged_notebook_is_whole_again_or_malformed(
    release: NotebookNode, edits: list[tuple[int, int, int]], encoding: str
) -> None:
    raw = json.dumps(release, ensure_ascii=False).encode(encoding)
    check(release, {NOTEBOOK: mangled(raw, edits)})


@pytest.mark.parametrize("raw", corpus("notebooks"))
def test_notebooks_that_were_found(release: NotebookNode, raw: bytes) -> None:
    """GRADE_ID stands for the name of an answer's cell."""
    data = [c.metadata.nbgrader for c in release.cells if "nbgrader" in c.metadata]
    name = next(each.grade_id for each in data if each.solution)
    check(release, {NOTEBOOK: raw.replace(b"GRADE_ID", name.encode())})


NAMES = st.text(
    st.one_of(st.sampled_from("ab/.\\:_-+ 0\0\n\u202e\ud800é"), st.characters()), max_size=12
)


@fuzz(15)
@given(st.dictionaries(NAMES, st.binary(max_size=9), max_size=6))
def test_side_files_have_names_that_can_be_written(
    release: NotebookNode, files: dict[str, bytes]
) -> None:
    prepared = check(release, files | {NOTEBOOK: json.dumps(release).encode()})
    for path in prepared.files:
        assert safe_member(path) == path
        assert path.isprintable()


# -- zips, names, rosters ------------------------------------------------------------------------


def zipped(files: Iterable[tuple[str, bytes]], attributes: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files:
            info = zipfile.ZipInfo("x")
            info.filename = name.encode("utf-8", "replace").decode() or "x"
            info.external_attr = attributes << 16
            archive.writestr(info, raw)
    return buffer.getvalue()


FILES = st.lists(st.tuples(NAMES, st.binary(max_size=20)), max_size=5)
ATTRIBUTES = st.sampled_from((0o100644, 0o120777, 0o020644, 0, 0xFFFF))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@fuzz(80)
@given(FILES, ATTRIBUTES, EDITS)
def test_any_zip_is_files_with_safe_names_or_is_refused(
    files: list[tuple[str, bytes]], attributes: int, edits: list[tuple[int, int, int]]
) -> None:
    try:
        got = read_zip(mangled(zipped(files, attributes), edits))
    except RefusedError as error:
        assert str(error).isprintable()
        return
    assert all(safe_member(name) == name for name in got.content)
    assert all(note.isprintable() for note in got.notes)
    if attributes == 0o120777 and not edits:
        assert not got.content


@pytest.mark.filterwarnings("ignore:Duplicate name")
@fuzz(40)
@given(FILES, ATTRIBUTES, EDITS)
def test_any_zip_of_a_class_is_submissions_or_cannot_be_used(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[tuple[str, bytes]],
    attributes: int,
    edits: list[tuple[int, int, int]],
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.zip"
    path.write_bytes(mangled(zipped(files, attributes), edits))
    try:
        found = collect(path, LAB)
    except CollectError:
        return
    ids = [submission.student_id for submission in found]
    assert len(set(ids)) == len(ids)
    for submission in found:
        assert submission.student_id.isprintable()
        assert bool(submission.problem) >= bool(bad_id(submission.student_id))
        if submission.read is not None:
            _files_or_refused(submission.read)


def _files_or_refused(read: Callable[[], Files]) -> None:
    try:
        assert all(isinstance(raw, bytes) for raw in read().content.values())
    except RefusedError as error:
        assert str(error)


PLATFORM = st.lists(
    st.sampled_from(
        (
            *(*"_+.-1a é", "_LATE", "_12_34_", "anon_", "_assignsubmission_file_", LAB, ".ipynb"),
            *("_attempt_", "2026-03-01-10-00-00", "2026-03-01 10:00:00 UTC", " +0100", "text.html"),
        )
    ),
    max_size=9,
).map("".join)


@fuzz(150)
@given(st.one_of(PLATFORM, NAMES), st.booleans())
def test_any_name_says_something(name: str, is_folder: bool) -> None:
    said = read_name(name, LAB, is_folder=is_folder)
    if said is None:
        return
    assert said.students
    for student in said.students:
        assert student == unicodedata.normalize("NFC", student.strip())
    assert is_folder or said.file or not name


@fuzz(100)
@given(st.one_of(st.text(st.sampled_from("0123456789-: +.TZUC/a"), max_size=32), st.text()))
def test_any_timestamp_is_a_moment_or_none(text: str) -> None:
    said = moment(text)
    assert said is None or said.tzinfo is None


@fuzz(60)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(
            st.sampled_from(["id", "student_id", "email", "Student", *',;\t|\n\r" =-aé1', "sep=;"])
        ).map(lambda parts: "".join(parts).encode()),
    )
)
def test_any_roster_is_students_or_cannot_be_used(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "roster.csv"
    path.write_bytes(raw)
    try:
        students = read_roster(path)
    except CollectError as error:
        assert "roster.csv" in str(error)
        return
    assert students
    assert not any(map(bad_id, students))
