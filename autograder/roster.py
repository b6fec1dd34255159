"""Reads who is enrolled: a CSV of a learning platform or a spreadsheet, or a list of ids."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from pathlib import Path

from autograder.handed_in import CollectError, bad_id, normal, printable

IDS = (  # columns that may hold the id, the best first; the others help to recognise a student
    "studentid", "loginid", "sisloginid", "username", "user", "login", "netid", "sisuserid",
    "sisid", "idnumber", "matriculationnumber", "matrikelnummer", "id", "identifier",
)  # fmt: skip
FIRST = ("firstname", "givenname", "vorname")
LAST = ("lastname", "surname", "familyname", "nachname")
FULL = ("student", "fullname", "name", "studentname")
EMAIL = ("email", "emailaddress", "mail")
KNOWN = frozenset((*IDS, *FIRST, *LAST, *FULL, *EMAIL))
NO_STUDENT = re.compile(r"\s*(points possible|student, test|test student)\b", re.IGNORECASE)
BINARY = {b"PK\x03\x04": "an Excel workbook", b"\xd0\xcf\x11\xe0": "an old Excel workbook"}


@dataclasses.dataclass(frozen=True)
class Student:
    """One line of the roster.

    Attributes:
        known_as: other names under which a learning platform may file the student's work.
    """

    student_id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    known_as: tuple[str, ...] = dataclasses.field(default=(), compare=False)


def read_roster(path: Path) -> dict[str, Student]:
    """Return who is enrolled, by student id.

    The file is a CSV whose first line names its columns, one of them ``student_id`` (or ``id``,
    ``username``, ``SIS Login ID`` and the like) and, if wanted, ``first_name``, ``last_name`` and
    ``email``; or simply one id a line. Commas, semicolons and tabs part fields.

    Raises:
        CollectError: if it cannot be read, or names an id twice or one that is not usable.
    """
    rows = _rows(path)
    header = [re.sub(r"[^a-z]", "", name.lower()) for name in rows[0][1]] if rows else []
    keys = [name for name in IDS if name in header]
    if not keys and len(KNOWN & set(header)) > 1:
        raise CollectError(f"the roster {path} has no column student_id")
    if keys:
        rows = rows[1:]
    else:
        header, keys = ["studentid"], ["studentid"]
    students: dict[str, Student] = {}
    for line, row in rows:
        fields = dict(zip(header, row, strict=False))
        student_id = normal(fields.get(keys[0], ""))
        if not student_id and any(map(NO_STUDENT.match, row)):
            continue
        if problem := bad_id(student_id):
            raise CollectError(
                f"line {line} of the roster {path} has the id {printable(student_id)!r}: {problem}"
            )
        if student_id in students:
            raise CollectError(f"line {line} of the roster {path} names {student_id} twice")
        students[student_id] = _student(student_id, fields, keys[1:])
    if not students:
        raise CollectError(f"the roster {path} names nobody")
    return students


def _student(student_id: str, fields: dict[str, str], others: list[str]) -> Student:
    def first_of(names: tuple[str, ...]) -> str:
        return next((fields[name] for name in names if fields.get(name)), "")

    full, first, last = first_of(FULL), first_of(FIRST), first_of(LAST)
    if full and not first and not last:
        last, _, first = map(str.strip, full.partition(","))
    numbers = [re.sub(r"^\D+(?=\d+$)", "", fields.get(name, "")) for name in others]
    names = [full, f"{first} {last}", f"{last} {first}"]
    known_as = tuple(dict.fromkeys(filter(str.strip, (*numbers, *names))))
    return Student(student_id, first, last, first_of(EMAIL), known_as)


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """The lines that hold something, as stripped fields, with their numbers."""
    try:
        raw = path.read_bytes()
        for start, kind in BINARY.items():
            if raw.startswith(start):
                raise CollectError(f"the roster {path} is {kind}: save it as CSV")
        text = _decoded(raw)
        marked = re.match(r"sep=(.)\r?\n", text)  # Excel's own way to name the separator
        if marked:
            text = text[marked.end() :]
        separator = marked[1] if marked else _separator(text)
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        rows = [(lines.line_num, [field.strip() for field in line]) for line in lines]
    except (OSError, UnicodeError, csv.Error, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CollectError(f"the roster {path} cannot be read: {reason}") from None
    return [(line, row) for line, row in rows if any(row)]


def _decoded(raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252")  # what Excel writes on Windows


def _separator(text: str) -> str:
    """The separator that the first line has most of."""
    first = re.sub(r'"[^"]*"', "", next(filter(str.strip, text.splitlines()), ""))
    return max(",;\t|", key=first.count)
