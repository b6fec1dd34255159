"""Reads a submitted notebook: JSON of any version and encoding into cells as plain dictionaries."""

from __future__ import annotations

import codecs
import json
from typing import Any

from labkit import wire

MAX_NOTEBOOK_BYTES = 64 << 20  # with its outputs, which are dropped
MAX_VALUES = 6_000_000  # in its JSON: parsing makes an object for each, of many times its size
MAX_SOURCE_CHARS = 2_000_000
MAX_CELLS = 2_000

Cell = dict[str, Any]


class UnreadableError(ValueError):
    """A notebook that is not one, with the reason."""


def read_cells(raw: bytes, notes: list[str]) -> list[Cell]:
    """Return the cells of a notebook of any version.

    Args:
        raw: the file.
        notes: what was mended is appended here.

    Raises:
        UnreadableError: if it is not a notebook, or larger than the limits.
    """
    if len(raw) > MAX_NOTEBOOK_BYTES:
        raise UnreadableError(f"the notebook is larger than {MAX_NOTEBOOK_BYTES >> 20} MiB")
    text = _text(raw, notes)
    if not text:
        raise UnreadableError("the notebook is an empty file")
    if wire.separators(text.encode("utf-8", "replace"), MAX_VALUES) > MAX_VALUES:
        raise UnreadableError(f"the notebook has more than {MAX_VALUES} values")
    tree = _parsed(text)
    if not isinstance(tree, dict):
        raise UnreadableError("the file is JSON, but not a notebook")
    cells: Any = tree.get("cells")
    if cells is None and isinstance(tree.get("worksheets"), list):  # nbformat 2 and 3
        sheets = [sheet.get("cells") for sheet in tree["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets if isinstance(sheet, list) for cell in sheet]
    if not isinstance(cells, list):
        raise UnreadableError("the file is JSON, but not a notebook")
    if len(cells) > MAX_CELLS:
        raise UnreadableError(f"the notebook has more than {MAX_CELLS} cells")
    plain: list[Cell] = [cell for cell in cells if isinstance(cell, dict)]
    if sum(len(source_of(cell)) for cell in plain) > MAX_SOURCE_CHARS:
        raise UnreadableError(f"the notebook has more than {MAX_SOURCE_CHARS} characters of source")
    return plain


def source_of(cell: Cell) -> str:
    """Return a cell's source as text that can be written, whatever its JSON holds there."""
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    if not isinstance(source, str):
        return ""
    return source.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")


def grade_id(cell: Cell) -> str:
    """Return nbgrader's name of a cell; empty if it has none."""
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return name if isinstance(name, str) else ""


def _text(raw: bytes, notes: list[str]) -> str:
    """Decode as JSON says; bytes that are not UTF-8 are taken for what older editors write."""
    try:
        text = raw.decode(json.detect_encoding(raw), "surrogatepass")
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "latin-1 instead")
        notes.append("the notebook is not in UTF-8: other bytes were read as Latin-1")
    return text.strip("\ufeff\0 \t\r\n")


def _as_latin1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("latin-1 instead", _as_latin1)


def _parsed(text: str) -> Any:
    try:
        try:
            return json.loads(text, strict=False)  # with tabs and line ends within texts
        except json.JSONDecodeError:
            raise
        except ValueError:  # Python refuses whole numbers of thousands of digits
            return json.loads(text, strict=False, parse_int=float)
    except RecursionError:
        raise UnreadableError("the notebook is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise UnreadableError(
            "the notebook is not complete: its JSON breaks off or is damaged"
            f" after line {error.lineno}"
        ) from None
