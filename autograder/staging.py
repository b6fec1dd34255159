"""Files that wait beside their places until the gradebook holds the same grades.

A crash at any moment leaves in each place the old file or the new one, whole.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

PREPARED = "prepared"  # nbgrader's name for a step that it does not have: what preflight made


def staged(root: Path, directory: str, lab: str) -> str:
    """Return where files of a lab wait that are to go to one of nbgrader's directories.

    It is on the same file system, so that they can be moved at once.

    Args:
        root: the course directory.
        directory: as nbgrader names it, relative to ``root`` or absolute.
        lab: the lab's name; two labs may be graded at the same time.
    """
    real = (root / directory).resolve()
    waiting = real.parent / f".staged-{lab}" / real.name
    return str(waiting.relative_to(root) if waiting.is_relative_to(root) else waiting)


class Staging:
    """Folders and files with their places; a later one for the same place counts."""

    def __init__(self) -> None:
        self._folders: dict[Path, Path] = {}
        self._files: dict[Path, Path] = {}

    def folder(self, new: Path, place: Path) -> None:
        """Have ``new`` take the place of a folder, and all that is in it."""
        self._folders[place] = new

    def file(self, content: bytes, place: Path) -> None:
        """Have ``content`` take the place of a file."""
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_name(f".{place.name}.staged")
        new.write_bytes(content)
        self._files[place] = new

    def to_disk(self) -> None:
        """Wait until the disk has everything that was written, here and at its place."""
        sync({*self._folders.values(), *self._folders, *self._files})

    def publish(self) -> None:
        """Put everything in its place."""
        for place, new in self._folders.items():
            replace_folder(place, new)
        for place, new in self._files.items():
            new.replace(place)

    def show(self, place: Path) -> None:
        """Put a copy of a folder in its place, for who wants to see it early."""
        copy = self._folders[place].with_name(f"{place.name}.copy")
        shutil.copytree(self._folders[place], copy)
        replace_folder(place, copy)

    def drop(self, place: Path) -> None:
        """Remove a folder that was to take this place."""
        shutil.rmtree(self._folders.pop(place), ignore_errors=True)

    def forget(self) -> None:
        """Remove what was not published."""
        for new in self._folders.values():
            shutil.rmtree(new, ignore_errors=True)
        for new in self._files.values():
            new.unlink(missing_ok=True)
        self._folders.clear()
        self._files.clear()


def replace_folder(place: Path, new: Path) -> None:
    """Move ``new`` to ``place``; where a folder is there already, file by file."""
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        new.rename(place)
        return
    names = {path.relative_to(new) for path in new.rglob("*") if not path.is_dir()}
    for path in sorted(place.rglob("*"), reverse=True):
        if path.is_symlink() or not path.is_dir():
            if path.relative_to(place) not in names:
                path.unlink()
        else:
            with contextlib.suppress(OSError):  # not empty
                path.rmdir()
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).replace(place / name)
    shutil.rmtree(new)


def sync(paths: Iterable[Path]) -> None:
    """Wait until the file systems of these paths have everything on disk.

    One call for many files: each `os.fsync` alone costs a disk several writes.
    """
    systems: dict[int, Path] = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            systems.setdefault(path.stat().st_dev, path)
    for path in systems.values():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            if _syncfs(descriptor):
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code), str(path))
        finally:
            os.close(descriptor)


def _syncfs(descriptor: int) -> int:
    try:
        call = ctypes.CDLL(None, use_errno=True).syncfs
    except AttributeError:  # not Linux
        os.sync()
        return 0
    return int(call(descriptor))
