"""Students in the sandbox, one for all attacks or one for each, and what their code has seen."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.student import Student

ROOT = Path(__file__).parents[1]
LONG = 30.0  # seconds that no honest step here takes

NewStudent = Callable[..., Student]


@pytest.fixture
def new_student() -> Iterator[NewStudent]:
    started = []

    def start(memory_limit: int = 1024, **files: bytes) -> Student:
        started.append(Student(files, memory_limit=memory_limit, cpu_seconds=60))
        return started[-1]

    yield start
    for student in started:
        student.close()


@pytest.fixture(scope="module")
def student() -> Iterator[Student]:
    """One process for all attacks that it survives."""
    student = Student({}, memory_limit=1024, cpu_seconds=60)
    yield student
    student.close()


def run(student: Student, code: str) -> Any:
    """Run code that sets ``seen`` and return that."""
    done = student.run_cell(textwrap.dedent(code), LONG)
    assert done.error == "", done.message
    return student.read("seen")


def sleepers(seconds: str) -> list[str]:
    """Processes of this machine that sleep for exactly so long."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(path.parent.name)
        except OSError:  # it ended while we looked
            continue
    return found
