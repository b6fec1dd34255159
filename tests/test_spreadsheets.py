"""No table of grades holds a field that a spreadsheet would run as a formula."""

from __future__ import annotations

import csv
import io
import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autograder.records import Record, grades_csv, safe_cell
from autograder.results import ExerciseResult

FORMULA = "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
FORMULA += "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
TEXTS = st.text(st.sampled_from([*FORMULA, *"1a;,|\t\r\n\0\"' \ufeff\u200b\xa0\u2028\ud800"]))


def record(text: str) -> Record:
    result = ExerciseResult("e", 0.0, 1.0, "wrong", hint=text, message=text)
    return Record(
        student_id=text,
        lab="lab00_toy",
        run_id="",
        graded_at="",
        digest="",
        checks="",
        status="ok",
        reason="",
        notes=(text, text),
        order=("e",),
        exercises=(result,),
        written=(),
        seconds=0.0,
        tier="",
        versions={},
    )


def starts_formula(field: str) -> bool:
    """Whether what is left of a field after what programs skip begins a formula."""
    for char in field:
        if not char.isspace() and char not in "\"'" and unicodedata.category(char)[0] not in "CZ":
            return char in FORMULA
        if char == "'":  # the mark of a text
            return False
    return False


@given(TEXTS)
@example("=cmd|'/C calc'!A0")
@example('x";=1+1')
@example("x\r\n=1+1")
@example("x\n;\t=1+1")
@example("\ufeff＝1")
@example("\xa0\u200b@SUM(1)")
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_field_begins_a_formula_wherever_a_program_parts_them(separator: str, text: str) -> None:
    table = grades_csv([record(text)])
    table.encode()
    rows = list(csv.reader(io.StringIO(table, newline=""), delimiter=separator))
    assert len(rows) == 2
    assert not any(starts_formula(field) for row in rows for field in row)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain, text; here", "plain, text; here"),
        ("expected [1, -2], got 3", "expected [1, -2], got 3"),
        ("=1", "'=1"),
        (" =1", "' =1"),
        ("a;=1", "a;'=1"),
        ("two\nlines", "two lines"),
        (-0.5, "-0.5"),
        (1 / 3, "0.3333333333"),
        (None, ""),
    ],
)
def test_fields(value: object, written: str) -> None:
    assert safe_cell(value) == written


def test_a_line_of_results_can_be_written_whatever_it_says() -> None:
    """Half of a surrogate pair has no bytes in UTF-8."""
    line = record("\ud800\udc00 \udcff \0").to_json()
    assert json.loads(line.encode())["reason"] == ""
    assert Record.from_json(line).exercises[0].name == "e"
