"""What a student handed in, as bytes by path, within limits: nothing of it is believed."""

from __future__ import annotations

import dataclasses
import unicodedata

MAX_FILES = 500
MAX_FILE_BYTES = 64 << 20
MAX_TOTAL_BYTES = 128 << 20
MAX_DEPTH = 8
IGNORED = frozenset((".ipynb_checkpoints", "__pycache__", "__MACOSX", ".git", ".DS_Store"))
TIMESTAMP = "timestamp.txt"

MAX_ID_CHARS, MAX_ID_BYTES = 128, 200  # the gradebook's column; a folder's name with room to spare
IN_IDS = " _.@'\N{RIGHT SINGLE QUOTATION MARK}\N{MIDDLE DOT}+,()-"


class CollectError(ValueError):
    """A folder, zip or roster that cannot be used, said in one sentence."""


class RefusedError(ValueError):
    """One student's submission that is not opened, with the reason."""


@dataclasses.dataclass(frozen=True)
class Files:
    """What one student handed in: bytes by relative path, and what was left out and why."""

    content: dict[str, bytes]
    notes: tuple[str, ...] = ()


def check_totals(count: int, total: int) -> None:
    """Refuse a submission of more than `MAX_FILES` files or `MAX_TOTAL_BYTES`.

    Raises:
        RefusedError: if it is.
    """
    if count > MAX_FILES:
        raise RefusedError(f"more than {MAX_FILES} files were handed in")
    if total > MAX_TOTAL_BYTES:
        raise RefusedError(f"more than {MAX_TOTAL_BYTES >> 20} MiB were handed in")


def normal(name: str) -> str:
    """Return a name in one of the ways to write it: composed, without spaces around it."""
    return unicodedata.normalize("NFC", name.strip())


def bad_id(student_id: str) -> str:
    """Return why ``student_id`` cannot be used, or nothing if it can."""
    size = len(student_id.encode("utf-8", "replace"))
    if len(student_id) > MAX_ID_CHARS or size > MAX_ID_BYTES:
        return f"a student's id has at most {MAX_ID_CHARS} characters"
    starts_well = student_id[:1].isalnum() or student_id.startswith("_")
    if not starts_well or student_id.endswith(" ") or not all(map(_in_ids, student_id)):
        return "a student's id is made of letters, digits, spaces and _ . @ ' + , ( ) -"
    return ""


def _in_ids(char: str) -> bool:
    """Letters and digits of every script with their marks; no controls, no signs of a formula."""
    return char.isalnum() or char in IN_IDS or unicodedata.category(char) in ("Mn", "Mc")


def printable(text: str, limit: int = 120) -> str:
    """Return ``text`` without control characters and shortened, for a message or a row."""
    shown = text[: limit + 1].encode("utf-8", "replace").decode("utf-8")
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
