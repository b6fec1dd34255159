"""Lists what stands at the top of a folder, an nbgrader exchange or a zip of submissions.

Links and special files are never opened; a zip's files are unpacked when they are asked for.
"""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from autograder import handed_in
from autograder.downloads import read_name
from autograder.handed_in import (
    IGNORED,
    CollectError,
    Files,
    RefusedError,
    check_totals,
    printable,
)
from autograder.unpack import MAX_CLASS_ENTRIES, Archive

LINK = "it is a link, which is never followed"
OPENED = (".zip", ".ipynb")
NOT_OPENED = (".7z", ".rar", ".tar", ".tgz", ".gz", ".xz", ".bz2")


@dataclasses.dataclass(frozen=True)
class Item:
    """What stands at the top of a folder or zip of submissions.

    Attributes:
        read: returns a folder's files, or the one file under its name.
        below: names in a folder.
        problem: why it is never read.
        owner: the user to whom a folder belongs; empty if that is not known.
    """

    name: str
    is_folder: bool
    read: Callable[[], Files]
    below: frozenset[str] = frozenset()
    problem: str = ""
    owner: str = ""


# -- the top level: folders ----------------------------------------------------------------------


def items(directory: Path, lab: str) -> list[Item]:
    """What stands in a folder or zip of submissions; one student's own stands for itself."""
    if directory.is_file() and not directory.is_symlink():
        if directory.suffix.lower() == ".ipynb":
            return [Item(directory.name, False, lambda: _read_file(directory))]
        with directory.open("rb") as file:
            if file.read(2) == b"PK":
                return _zip_items(directory, lab)
    if not directory.is_dir():
        raise CollectError(f"{directory} is neither a folder nor a zip")
    found = list(_folder_items(_inbound(directory, lab), lab))
    if len(found) == 1 and not found[0].is_folder and found[0].name.lower().endswith(".zip"):
        inner = _zip_items(directory / found[0].name, lab)
        if any(_is_named(item, lab) for item in inner):
            return inner
    if _is_own(found, lab):
        name = directory.resolve().name
        return [Item(name, True, lambda: _read_student(directory, lab))]
    return found


def _inbound(directory: Path, lab: str) -> Path:
    """The folder of an exchange into which students submit, if ``directory`` is an exchange."""
    if _is_inbound(directory / "inbound", lab):
        return directory / "inbound"
    courses = [path for path in directory.iterdir() if _is_inbound(path / "inbound", lab)]
    if len(courses) > 1:
        names = ", ".join(sorted(printable(path.name) for path in courses))
        raise CollectError(f"{directory} is an exchange of several courses ({names}): name one")
    return courses[0] / "inbound" if courses else directory


def _is_inbound(folder: Path, lab: str) -> bool:
    if folder.is_symlink() or not folder.is_dir() or (folder / lab).exists():
        return False
    submitted = (read_name(path.name, lab, is_folder=True) for path in folder.iterdir())
    return (folder.parent / "outbound").is_dir() or any(
        name is None or name.when for name in submitted
    )


def _is_named(item: Item, lab: str) -> bool:
    """Whether a learning platform or the exchange gave the item its name."""
    name = read_name(item.name, lab, is_folder=item.is_folder)
    return name is None or name.platform


def _is_own(found: list[Item], lab: str) -> bool:
    """Whether what stands here is one student's: the lab's folder or notebook, and no student's."""
    own = any(item.name == (lab if item.is_folder else f"{lab}.ipynb") for item in found)
    return own and not any(lab in item.below or _is_named(item, lab) for item in found)


def _folder_items(directory: Path, lab: str) -> Iterator[Item]:
    with os.scandir(directory) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        name, path = entry.name, Path(entry.path)
        if entry.is_symlink():
            if not name.startswith("."):
                yield Item(
                    path.stem if path.suffix else name, True, lambda: Files({}), problem=LINK
                )
        elif entry.is_dir(follow_symlinks=False):
            hidden = name in IGNORED or (name.startswith(".") and not (path / lab).is_dir())
            if not hidden:
                yield _folder_item(path, lab)
        elif not name.startswith("."):
            yield _file_item(name, partial(_read_file, path))


def _folder_item(path: Path, lab: str) -> Item:
    try:
        below = frozenset(entry.name for entry in path.iterdir()) - IGNORED
    except OSError:  # whoever reads the folder says so
        below = frozenset()
    return Item(path.name, True, lambda: _read_student(path, lab), below, owner=_owner(path))


def _file_item(name: str, read: Callable[[], Files]) -> Item:
    suffix = PurePosixPath(name).suffix.lower()
    problem = f"a {suffix} is not opened: hand in a zip" if suffix in NOT_OPENED else ""
    return Item(name, False, read, problem=problem)


def _owner(path: Path) -> str:
    """The name of a folder's user where the machine knows it."""
    try:
        return path.owner()
    except (KeyError, OSError, NotImplementedError):
        return ""


# -- the top level: one zip ----------------------------------------------------------------------


def _zip_items(path: Path, lab: str) -> list[Item]:
    """One zip for the class, perhaps with a folder around it; or a single student's own."""
    archive = Archive(path, MAX_CLASS_ENTRIES)
    found = _tops(archive, "")
    if len(found) == 1 and found[0].is_folder and not _is_student(found[0], lab):
        inner = _tops(archive, found[0].name + "/")
        if any(item.is_folder or item.name.lower().endswith(OPENED) for item in inner):
            found = inner
    notebooks = [item for item in found if item.name.lower().endswith(".ipynb")]
    alone = len(notebooks) == 1 and not _is_named(notebooks[0], lab)
    if _is_own(found, lab) or (alone and not any(lab in item.below for item in found)):
        return [Item(path.name, False, lambda: _read_file(path))]
    return found


def _is_student(item: Item, lab: str) -> bool:
    """Whether a zip's only folder is a student's, not one around the class."""
    return item.name == lab or lab in item.below or _is_named(item, lab)


def _tops(archive: Archive, prefix: str) -> list[Item]:
    """The folders and files that stand in a zip below ``prefix``."""
    tops: dict[str, dict[str, str]] = {
        folder[len(prefix) :].partition("/")[0]: {}
        for folder in sorted(archive.folders)
        if folder.startswith(prefix) and folder != prefix.rstrip("/")
    }
    for name in archive.names:
        if name.startswith(prefix):
            top, _, rest = name[len(prefix) :].partition("/")
            tops.setdefault(top, {})[rest] = name
    return [_top(archive, top, members, prefix) for top, members in sorted(tops.items())]


def _top(archive: Archive, top: str, members: dict[str, str], prefix: str) -> Item:
    if list(members) == [""]:
        return _file_item(top, lambda: Files({top: archive.read([members[""]])[members[""]]}))

    def read() -> Files:
        if len(members) > handed_in.MAX_FILES:
            raise RefusedError(f"more than {handed_in.MAX_FILES} files were handed in")
        content = archive.read(members.values())
        return Files(
            {rest: content[name] for rest, name in members.items()},
            archive.notes_below(f"{prefix}{top}/"),
        )

    return Item(top, True, read, frozenset(rest.partition("/")[0] for rest in members))


# -- reading files -------------------------------------------------------------------------------


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
        check_totals(len(content) + len(notes), total)
    return Files(content, tuple(notes))


def _walk(folder: Path, notes: list[str], depth: int = 0) -> Iterator[Path]:
    if depth > handed_in.MAX_DEPTH:
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


def _read_file(path: Path) -> Files:
    notes: list[str] = []
    raw = _read_regular(path, notes, path.name)
    return Files({} if raw is None else {path.name: raw}, tuple(notes))


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
        limit = handed_in.MAX_FILE_BYTES
        if status.st_size > limit:
            notes.append(f"{printable(name)}: larger than {limit >> 20} MiB, left out")
            return None
        return file.read(limit)
