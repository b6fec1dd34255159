"""Opens zips that nobody vouches for: no path out, no link, no more than the limits.

Sizes are counted while unpacking, whatever a zip claims.
"""

from __future__ import annotations

import contextlib
import io
import stat
import unicodedata
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from autograder import handed_in
from autograder.handed_in import Files, RefusedError, check_totals, printable

ENTRY = b"PK\x01\x02"  # begins each entry of a zip's directory
MAX_CLASS_ENTRIES = 200_000
UTF8_NAME = 0x800
MAX_PART = 255  # characters of a folder's or file's name


class Archive:
    """A zip whose files are read when they are asked for.

    Args:
        source: a file, or the bytes of one.
        max_entries: more are refused.

    Attributes:
        names: of the files in it, with forward slashes; unsafe ones are left out.
        folders: names of its folders.
        notes: paths of what was left out, and why.

    Raises:
        RefusedError: if it is not a zip or has too many entries.
    """

    def __init__(self, source: Path | bytes, max_entries: int) -> None:
        # A directory of entries is parsed before they can be counted. Zips within a zip hold
        # such marks too, so this bound is far above the one for files.
        if isinstance(source, bytes) and source.count(ENTRY) > 20 * max_entries:
            raise RefusedError(f"the zip holds more than {max_entries} files")
        self.folders: set[str] = set()
        self.notes: list[tuple[str, str]] = []
        self._members: dict[str, zipfile.ZipInfo] = {}
        try:
            opened = io.BytesIO(source) if isinstance(source, bytes) else source
            self._zip = zipfile.ZipFile(opened)
            members = self._zip.infolist()
        except Exception as error:
            raise _refusal(error) from None
        if sum(not member.is_dir() for member in members) > max_entries:
            raise RefusedError(f"the zip holds more than {max_entries} files")
        for member in members:
            self._enter(member)

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def notes_below(self, prefix: str) -> tuple[str, ...]:
        return tuple(note for path, note in self.notes if path.startswith(prefix))

    def newest(self) -> tuple[int, ...]:
        """The latest of its files' times, as its maker's clock had them; empty without files."""
        return max((member.date_time for member in self._members.values()), default=())

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """Unpack files of one student.

        Raises:
            RefusedError: if they are too many, too large, locked or damaged.
        """
        content: dict[str, bytes] = {}
        total = 0
        for name in names:
            limit = min(handed_in.MAX_TOTAL_BYTES - total, handed_in.MAX_FILE_BYTES)
            try:
                with self._zip.open(self._members[name]) as file:
                    content[name] = file.read(limit + 1)
            except Exception as error:
                raise _refusal(error) from None
            total += len(content[name])
            if len(content[name]) > limit:
                most = handed_in.MAX_TOTAL_BYTES >> 20
                raise RefusedError(f"the zip unpacks to more than {most} MiB")
            check_totals(len(content), total)
        return content

    def _enter(self, member: zipfile.ZipInfo) -> None:
        written = member_name(member)
        name = safe_member(written)
        said = ""
        if name is None:
            said = f"{printable(written)}: a path out of the zip, or too deep or long, left out"
        elif any(part in handed_in.IGNORED for part in PurePosixPath(name).parts):
            pass
        elif member.is_dir():
            self.folders.add(name)
        elif stat.S_ISLNK(member.external_attr >> 16):
            said = f"{printable(name)}: a link, which is never followed"
        else:
            if name in self._members:
                said = f"{printable(name)}: it is in the zip twice, the last one counts"
            self._members[name] = member
        if said:
            self.notes.append((written, said))


def read_zip(raw: bytes) -> Files:
    """Return the files of one student's zip.

    Raises:
        RefusedError: if it is not opened.
    """
    if len(raw) > handed_in.MAX_TOTAL_BYTES:
        raise RefusedError(f"the zip is larger than {handed_in.MAX_TOTAL_BYTES >> 20} MiB")
    archive = Archive(raw, handed_in.MAX_FILES)
    # a clock that the student could set is no evidence
    names = [name for name in archive.names if PurePosixPath(name).name != handed_in.TIMESTAMP]
    return Files(archive.read(names), archive.notes_below(""))


def member_name(member: zipfile.ZipInfo) -> str:
    """Return a member's name with forward slashes, as UTF-8 where it is that.

    Many programs write UTF-8 without saying so; `zipfile` reads those names as code page 437.
    """
    name = member.filename
    if not member.flag_bits & UTF8_NAME:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def safe_member(name: str) -> str | None:
    """Return a zip member's path with forward slashes, or None if it would leave its folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = path.parts
    if not parts or path.is_absolute() or ".." in parts or ":" in parts[0] or "\0" in name:
        return None
    if len(parts) > handed_in.MAX_DEPTH + 1 or len(max(parts, key=len)) > MAX_PART:
        return None
    return path.as_posix()


def _refusal(error: Exception) -> RefusedError:
    known = zipfile.BadZipFile | NotImplementedError | EOFError | ValueError | OSError
    if isinstance(error, known):
        return RefusedError(f"the zip cannot be unpacked: {printable(str(error))}")
    if isinstance(error, RuntimeError):  # what zipfile raises for a password
        return RefusedError("the zip is protected by a password")
    # zlib.error, struct.error and others: a damaged member
    return RefusedError(f"the zip is damaged ({type(error).__name__})")
