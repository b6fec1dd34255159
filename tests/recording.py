"""Verdicts to record, and what a gradebook holds."""

from __future__ import annotations

from typing import Any

from nbgrader.api import Base
from sqlalchemy import create_engine, select

from autograder.course import Course
from autograder.discover import LoadedLab
from autograder.results import ExerciseResult, GroupResult, SubmissionResult

QUESTION = "question-why-in-turn"


def result(lab: LoadedLab, share: float = 0.5) -> SubmissionResult:
    """A verdict of every kind, and what cells printed."""
    group = GroupResult("cases", 1.0, 1, 2, "it differs <here>")
    exercises = tuple(
        ExerciseResult(
            item.name,
            round(share * item.points, 2) if number else 0.0,
            item.points,
            "wrong" if number else "error",
            hint="mind the `end`",
            groups=(group,),
        )
        for number, item in enumerate(lab.items)
    )
    printed = [
        {"output_type": "stream", "name": "stderr", "text": "one\ntwo\nthree\nfour\nfive"},
        {"output_type": "display_data", "data": {"text/html": "<b>bold</b>"}, "metadata": {}},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["line"]},
    ]
    outputs = {item.name: printed for item in lab.items}
    return SubmissionResult(exercises, outputs=outputs)


def table_rows(course: Course) -> dict[str, list[str]]:
    """All rows of all tables, with what each id stands for in its place."""
    with create_engine(course.db_url).connect() as connection:
        tables = {
            name: [dict(row._mapping) for row in connection.execute(select(table))]
            for name, table in Base.metadata.tables.items()
        }

    def named(table: str, row: dict[str, Any]) -> dict[str, Any]:
        told = {}
        for column in Base.metadata.tables[table].columns:
            value = row[column.name]
            for key in column.foreign_keys:
                there = [r for r in tables[key.column.table.name] if r["id"] == value]
                value = [named(key.column.table.name, row) for row in there]
            if column.name != "id" or table in ("student", "course"):
                told[column.name] = value
        return told

    return {
        name: sorted(repr(named(name, row)) for row in all_rows)
        for name, all_rows in tables.items()
    }
