"""Finds what each student handed in: an nbgrader folder, a folder of zips, or one zip.

Nothing here trusts a name, a size or a link: links and special files are never opened, paths
never leave their student, and what unpacks to more than the limits is refused.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from autograder import discover

MAX_FILES = 500
MAX_FILE_BYTES = 64 << 20
MAX_TOTAL_BYTES = 128 << 20
MAX_DEPTH = 8
MAX_ZIP_BYTES, MAX_ZIP_FILES = 512 << 20, 100_000  # of a whole class
IGNORED = frozenset((".ipynb_checkpoints", "__pycache__", "__MACOSX", ".git", ".DS_Store"))

TIMESTAMP = "timestamp.txt"

SAFE_ID = re.compile(r"\w[\w .@'+-]{0,126}[\w.)]|\w", re.UNICODE)
CANVAS_SUFFIX = re.compile(r"(_late)?_\d+_\d+$", re.IGNORECASE)
MOODLE_SUFFIX = re.compile(r"_\d+_assignsubmission_(file|onlinetext)_?$")


class CollectError(ValueError):
    """A folder, zip or roster that cannot be used, said in one sentence."""


class RefusedError(ValueError):
    """One student's submission that is not opened, with the reason."""


@dataclasses.dataclass(frozen=True)
class Files:
    """What one student handed in: bytes by relative path, and what was left out and why."""

    content: dict[str, bytes]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Submission:
    """One student's submission, not yet read.

    Attributes:
        student_id: as the gradebook will know the student.
        read: returns the files, or raises `RefusedError`; None if nothing was handed in.
        problem: why it is not read at all; empty if it can be.
        note: what the student should know, though it costs nothing.
    """

    student_id: str
    read: Callable[[], Files] | None
    problem: str = ""
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Student:
    """One line of the roster."""

    student_id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""


def read_roster(path: Path) -> dict[str, Student]:
    """Return who is enrolled, by student id.

    The file is a CSV with a column ``student_id`` (or ``id``) and, if wanted, ``first_name``,
    ``last_name`` and ``email``; or simply one id a line.

    Raises:
        CollectError: if it cannot be read, or names an id twice or one that is not usable.
    """
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CollectError(f"the roster {path} cannot be read: {error}") from None
    rows = [[field.strip() for field in line] for line in lines if any(map(str.strip, line))]
    header = [name.lower() for name in rows[0]] if rows else []
    key = next((name for name in ("student_id", "id") if name in header), None)
    if key is None:
        header, key = ["student_id"], "student_id"
    else:
        rows = rows[1:]
    students: dict[str, Student] = {}
    for row in rows:
        fields = dict(zip(header, row, strict=False))
        student_id = _normal(fields.get(key, ""))
        if problem := bad_id(student_id):
            raise CollectError(f"the roster {path} names the id {printable(student_id)}: {problem}")
        if student_id in students:
            raise CollectError(f"the roster {path} names {student_id} twice")
        students[student_id] = Student(
            student_id, *(fields.get(name, "") for name in ("first_name", "last_name", "email"))
        )
    return students


def bad_id(student_id: str) -> str:
    """Return why ``student_id`` cannot be used, or nothing if it can."""
    if len(student_id.encode("utf-8", "replace")) > 128:
        return "a student's id has at most 128 characters"
    if not SAFE_ID.fullmatch(student_id):
        return "a student's id is made of letters, digits, spaces and _ . @ ' + -"
    return ""


def printable(text: str, limit: int = 120) -> str:
    """Return ``text`` without control characters and shortened, for a message or a row."""
    shown = text.encode("utf-8", "replace").decode("utf-8")
    shown = "".join(c if c.isprintable() else "�" for c in shown)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def collect(
    directory: Path, lab: str, roster: dict[str, Student] | None = None
) -> list[Submission]:
    """Return one submission per student, sorted by id; of the roster also who has none.

    Args:
        directory: holds ``<student>/<lab>/<lab>.ipynb`` and what else the student submitted,
            or an LMS download: zips or notebooks named after their student; or is one zip of that.
        lab: the lab's name.
        roster: who is enrolled.

    Raises:
        CollectError: if there is no such directory or zip.
    """
    try:
        entries = list(_entries(directory, lab))
    except OSError as error:
        raise CollectError(f"{directory} cannot be read: {error.strerror or error}") from None
    found: dict[str, Submission] = {}
    for name, read, problem in entries:
        student_id = _student_of(name, lab, roster)
        if student_id in found:
            first = found[student_id]
            note = f"handed in twice: {printable(name)} was left out"
            found[student_id] = dataclasses.replace(first, note=note)
            continue
        problem = problem or bad_id(student_id)
        reader = None if problem or read is None else _only_this_lab(read, lab)
        found[student_id] = Submission(student_id, reader, problem)
    for student_id in roster or ():
        found.setdefault(student_id, Submission(student_id, None))
    return [found[student_id] for student_id in sorted(found)]


# -- the top level: one entry per student --------------------------------------------------------

Entry = tuple[str, Callable[[], Files] | None, str]


def _entries(directory: Path, lab: str) -> Iterator[Entry]:
    """Yield name, reader and problem per student; a folder goes before a zip of the same name."""
    if directory.is_file() and zipfile.is_zipfile(directory):
        yield from _zip_entries(directory, lab)
        return
    if not directory.is_dir():
        raise CollectError(f"{directory} is neither a folder nor a zip")
    with os.scandir(directory) as scan:
        entries = sorted(scan, key=lambda entry: (not entry.is_dir(), entry.name))
    for entry in entries:
        name, path = entry.name, Path(entry.path)
        if name in IGNORED or name.startswith("."):
            continue
        suffix = path.suffix.lower()
        if entry.is_symlink():
            yield (name if not suffix else path.stem), None, "it is a link, which is never followed"
        elif entry.is_dir(follow_symlinks=False):
            yield name, None if _only_others(path, lab) else _reader(_read_student, path, lab), ""
        elif suffix == ".zip":
            yield path.stem, _reader(_read_zip_file, path), ""
        elif suffix == ".ipynb":
            yield path.stem, _reader(_read_one, path), ""


def _zip_entries(path: Path, lab: str) -> Iterator[Entry]:
    """One zip for the class; or a single student's own, with the notebook at its top."""
    try:
        content = _read_zip(path.read_bytes(), of_class=True)
    except RefusedError as error:
        raise CollectError(f"{path}: {error}") from None
    tops: dict[str, dict[str, bytes]] = {}
    for name, raw in content.content.items():
        top, _, rest = name.partition("/")
        tops.setdefault(top, {})[rest] = raw
    if set(tops) == {lab}:  # what `labkit.submit` writes
        yield path.stem, _reader(_read_zip_file, path), ""
        return
    if len(tops) == 1 and list(*tops.values()) != [""]:  # everything in one wrapping folder
        (inner,) = tops.values()
        if any("/" in rest or rest.lower().endswith(".zip") for rest in inner):
            tops = {}
            for rest, raw in inner.items():
                top, _, below = rest.partition("/")
                tops.setdefault(top, {})[below] = raw
    if any(top.lower().endswith(".ipynb") and list(tops[top]) == [""] for top in tops):
        yield path.stem, _reader(_read_zip_file, path), ""
        return
    for top in sorted(tops):
        files = tops[top]
        if list(files) != [""]:
            yield top, _reader(Files, files), ""
        elif top.lower().endswith(".zip"):
            yield top[:-4], _reader(_read_zip, files[""]), ""


def _reader(read: Callable[..., Files], *arguments: object) -> Callable[[], Files]:
    return lambda: read(*arguments)


def _student_of(name: str, lab: str, roster: dict[str, Student] | None) -> str:
    """The id in a folder's or file's name, without what `labkit.submit` or an LMS adds to it."""
    name = _normal(MOODLE_SUFFIX.sub("", name))
    if roster and name in roster:
        return name
    handed_in = re.compile(rf"[_\-. ]+{re.escape(lab)}([_-]submission)?([_\- ]*\(?\d+\)?)?$")
    name = CANVAS_SUFFIX.sub("", handed_in.sub("", name)) or name
    if roster and name not in roster:
        starts = [i for i in roster if name.startswith(i) and not name[len(i)].isalnum()]
        if starts:
            return max(starts, key=len)
    return name


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def _only_this_lab(read: Callable[[], Files], lab: str) -> Callable[[], Files]:
    """Narrow what a student handed in to the lab's folder, or open the one zip that holds it."""

    def narrowed() -> Files:
        files = read()
        content = files.content
        below = _below(content, lab)
        if not below:
            zips = [name for name in content if name.lower().endswith(".zip")]
            notebooks = [name for name in content if name.lower().endswith(".ipynb")]
            if len(zips) == 1 and not notebooks:
                inner = _read_zip(content[zips[0]])
                below = _below(inner.content, lab) or inner.content
                return Files(below, files.notes + inner.notes)
        return Files(below or content, files.notes)

    return narrowed


def _below(content: dict[str, bytes], lab: str) -> dict[str, bytes]:
    prefix = f"{lab}/"
    return {name[len(prefix) :]: raw for name, raw in content.items() if name.startswith(prefix)}


# -- folders -------------------------------------------------------------------------------------


def read_submission(folder: Path, lab: str) -> Files:
    """Return what one student handed in, whether it lies there unpacked or as one zip.

    Raises:
        RefusedError: if it is not opened, with the reason.
    """
    return _only_this_lab(_reader(_read_student, folder, lab), lab)()


def _only_others(folder: Path, lab: str) -> bool:
    """Whether a student's folder holds folders of other labs of the course, and nothing else."""
    others = set(discover.lab_names()) - {lab}
    try:
        names = {path.name for path in folder.iterdir()} - IGNORED
    except OSError:  # whoever reads the folder says so
        return False
    return bool(names) and names <= others


def _read_student(folder: Path, lab: str) -> Files:
    """Return what is in the student's folder of this lab, or all of it if there is none."""
    below = folder / lab
    if below.is_symlink():
        raise RefusedError("the folder is a link, which is never followed")
    return read_folder(below if below.is_dir() else folder)


def read_folder(folder: Path) -> Files:
    """Return the regular files below ``folder``; links and special files are left out."""
    content: dict[str, bytes] = {}
    notes: list[str] = []
    total = 0
    for path in _walk(folder, notes):
        name = path.relative_to(folder).as_posix()
        raw = _read_regular(path, notes, name)
        if raw is None:
            continue
        content[name] = raw
        total += len(raw)
        _check_totals(len(content), total)
    return Files(content, tuple(notes))


def _walk(folder: Path, notes: list[str], depth: int = 0) -> Iterator[Path]:
    if depth > MAX_DEPTH:
        notes.append(f"{printable(folder.name)}: nested too deeply, left out")
        return
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name in IGNORED:
            continue
        if entry.is_symlink():
            notes.append(f"{printable(entry.name)}: a link, which is never followed")
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), notes, depth + 1)
        else:
            yield Path(entry.path)


def _read_regular(path: Path, notes: list[str], name: str) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        notes.append(f"{printable(name)}: cannot be opened ({error.strerror})")
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            notes.append(f"{printable(name)}: not a plain file, left out")
            return None
        if status.st_size > MAX_FILE_BYTES:
            notes.append(f"{printable(name)}: larger than {MAX_FILE_BYTES >> 20} MiB, left out")
            return None
        return file.read(MAX_FILE_BYTES)


def _read_one(path: Path) -> Files:
    notes: list[str] = []
    raw = _read_regular(path, notes, path.name)
    return Files({} if raw is None else {path.name: raw}, tuple(notes))


def _check_totals(count: int, total: int) -> None:
    if count > MAX_FILES:
        raise RefusedError(f"more than {MAX_FILES} files were handed in")
    if total > MAX_TOTAL_BYTES:
        raise RefusedError(f"more than {MAX_TOTAL_BYTES >> 20} MiB were handed in")


# -- zips ----------------------------------------------------------------------------------------


def _read_zip_file(path: Path) -> Files:
    if path.stat().st_size > MAX_TOTAL_BYTES:
        raise RefusedError(f"the zip is larger than {MAX_TOTAL_BYTES >> 20} MiB")
    return _read_zip(path.read_bytes())


def _read_zip(raw: bytes, *, of_class: bool = False) -> Files:
    """Return a zip's files; sizes are counted while unpacking, whatever the zip claims."""
    limit, max_files = (MAX_ZIP_BYTES, MAX_ZIP_FILES) if of_class else (MAX_TOTAL_BYTES, MAX_FILES)
    content: dict[str, bytes] = {}
    notes: list[str] = []
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > max_files:
                raise RefusedError(f"the zip holds more than {max_files} files")
            for member in members:
                name = safe_member(member.filename)
                if name is None:
                    notes.append(f"{printable(member.filename)}: a path out of the zip, left out")
                    continue
                if any(part in IGNORED for part in PurePosixPath(name).parts):
                    continue
                if stat.S_ISLNK(member.external_attr >> 16):
                    notes.append(f"{printable(name)}: a link, which is never followed")
                    continue
                with archive.open(member) as file:
                    data = file.read(min(limit - total, MAX_FILE_BYTES) + 1)
                total += len(data)
                if total > limit or len(data) > MAX_FILE_BYTES:
                    raise RefusedError(f"the zip unpacks to more than {limit >> 20} MiB")
                if of_class or PurePosixPath(name).name != TIMESTAMP:  # a student's is no evidence
                    content[name] = data
    except RefusedError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError) as error:
        raise RefusedError(f"the zip cannot be unpacked: {printable(str(error))}") from None
    except RuntimeError:  # what zipfile raises for a password
        raise RefusedError("the zip is protected by a password") from None
    except Exception as error:  # zlib.error, struct.error: a damaged member
        raise RefusedError(f"the zip is damaged ({type(error).__name__})") from None
    return Files(content, tuple(notes))


def safe_member(name: str) -> str | None:
    """Return a zip member's path with forward slashes, or None if it would leave its folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = path.parts
    if not parts or path.is_absolute() or ".." in parts or ":" in parts[0] or "\0" in name:
        return None
    if len(parts) > MAX_DEPTH + 1:
        return None
    return path.as_posix()
