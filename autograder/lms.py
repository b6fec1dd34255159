"""Tables that a learning management system gives and takes back: read, matched, written."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from autograder.collect import printable
from autograder.marks import ExportError, Mark
from autograder.records import FORMULA_STARTS

DELIMITERS = (",", ";", "\t")
COMMA_NUMBER = re.compile(r"-?\d+,\d+")
POINT_NUMBER = re.compile(r"-?\d+\.\d+")
MOST_NAMED = 12  # students that one sentence lists
POINTS_POSSIBLE = "Points Possible"  # Canvas' row about the assignments
KEYS = ("student_id", "email")

Row = list[str]


@dataclasses.dataclass(frozen=True)
class Table:
    """A CSV as some LMS wrote it; what is written from it keeps its form.

    Attributes:
        header: the first row.
        rows: the others, each as long as the header.
        delimiter: what separates fields.
        bom: whether it began with a byte-order mark, as spreadsheets like it.
        comma: whether its numbers have a decimal comma.
    """

    path: Path
    header: Row
    rows: list[Row]
    delimiter: str
    bom: bool
    comma: bool

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read a table, finding out how it is written.

        Raises:
            ExportError: if it cannot be read as one.
        """
        try:
            raw = path.read_bytes()
            text = raw.decode("utf-8-sig")
        except OSError as error:
            raise ExportError(f"{path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ExportError(f"{path} is not UTF-8: take it as the LMS exported it") from None
        first = text.partition("\n")[0]
        delimiter = max(DELIMITERS, key=first.count)
        try:
            header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        except (ValueError, csv.Error):
            raise ExportError(f"{path} is not a table with a header") from None
        width = len(header)
        long = next((number for number, row in enumerate(rows, 2) if len(row) > width), None)
        if long is not None:
            raise ExportError(f"{path}: row {long} has more fields than the header")
        rows = [row + [""] * (width - len(row)) for row in rows if row]
        fields = [field for row in rows for field in row]
        commas = sum(COMMA_NUMBER.fullmatch(field) is not None for field in fields)
        points = sum(POINT_NUMBER.fullmatch(field) is not None for field in fields)
        return cls(path, header, rows, delimiter, raw[:3] == b"\xef\xbb\xbf", commas > points)

    def text(self, columns: Sequence[int], rows: Iterable[Row]) -> str:
        """Return a file in this table's form, of some of its columns."""
        lines = [[row[index] for index in columns] for row in (self.header, *rows)]
        return ("\ufeff" if self.bom else "") + written(lines, self.delimiter)

    def number(self, value: float) -> str:
        """Return a score as this table writes numbers."""
        return number(value).replace(".", ",") if self.comma else number(value)


@dataclasses.dataclass(frozen=True)
class Match:
    """Who stands in which row of a table.

    Attributes:
        column: the title of the column by which students were found.
        rows: each found student's row, by its index.
        absent: students who have a score and are not in the table.
        strangers: who stands in the table and is nobody of the gradebook, as called there.
    """

    column: str
    rows: dict[int, Mark]
    absent: tuple[Mark, ...]
    strangers: tuple[str, ...]


def match(table: Table, students: Sequence[Mark], columns: Sequence[int]) -> Match:
    """Find students in a table by the column that knows most of them.

    An id or e-mail address of the gradebook is compared with each of ``columns``, without regard
    to case, and then with names as Canvas puts them into the names of submitted files. One column
    serves for everybody; a value that stands there twice finds nobody.

    Raises:
        ExportError: if no column knows anybody.
    """
    rows: dict[int, Mark] = {}
    chosen = columns[0]
    for plain in (str.casefold, _file_name):
        for column in columns:
            values = [plain(row[column].strip()) for row in table.rows]
            counts = Counter(values)
            where = {value: i for i, value in enumerate(values) if value and counts[value] == 1}
            for key in KEYS:
                keys = [plain(getattr(mark, key)) for mark in students]
                found = {
                    where[name]: mark
                    for name, mark in zip(keys, students, strict=True)
                    if name in where and keys.count(name) == 1
                }
                if len(found) > len(rows):
                    rows, chosen = found, column
    if not rows:
        names = ", ".join(table.header[column] for column in columns)
        raise ExportError(
            f"{table.path} names no student of the gradebook, whose ids are like "
            f"{students[0].student_id}; looked at {names}"
        )
    known = {mark.student_id for mark in rows.values()}
    absent = (m for m in students if m.student_id not in known and m.score is not None)
    others = (row[chosen] or row[0] for i, row in enumerate(table.rows) if i not in rows)
    strangers = (name.strip() for name in others if name.strip() and POINTS_POSSIBLE not in name)
    return Match(table.header[chosen], rows, tuple(absent), tuple(strangers))


def _file_name(name: str) -> str:
    """``Doe, Jane`` as ``doejane``.

    Source: Canvas, ``ContentZipper#sanitize_user_name``.
    """
    return re.sub(r"\W", "", name).casefold()


def written(rows: Iterable[Sequence[str]], delimiter: str = ",") -> str:
    """Return rows as CSV."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def number(value: float) -> str:
    """Return a score with at most five decimals, as many as Moodle keeps, never an exponent."""
    return f"{value:.5f}".rstrip("0").rstrip(".")


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would take a field for a formula."""
    return text.startswith(FORMULA_STARTS)


def named(students: Sequence[Mark | str]) -> str:
    """Return students for a sentence, by their ids."""
    ids = [mark if isinstance(mark, str) else mark.student_id for mark in students[:MOST_NAMED]]
    more = len(students) - len(ids)
    return ", ".join(map(printable, ids)) + (f" and {more} more" if more else "")
