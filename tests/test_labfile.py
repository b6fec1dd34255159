"""lab.md is read as its author meant it, or refused with the line to look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.errors import LabError
from autograder.labfile import LabFile, read

HEADER = "---\ntitle: T\ntotal: 3\nminutes: 20\n---\n"
EXERCISE = "```{code-cell} python\n:exercise: f\n```\n"


def parsed(tmp_path: Path, body: str, header: str = HEADER) -> LabFile:
    path = tmp_path / "lab.md"
    path.write_text(header + body, "utf-8")
    return read(path)


def test_every_kind_of_cell_in_order(tmp_path: Path) -> None:
    body = """
# Title

```{code-cell} python
x = 1
```

Text.

```{code-cell} python
:exercise: f
:difficulty: 2
:importance: 4
:minutes: 15
```

```{code-cell} python
:provided: g, h
```

```{code-cell} python
:train: agent

train()
```

+++ {"question": "why", "points": 1.5}

Why?

+++ {"audience": "instructor"}

Because.

+++

The end.
"""
    cells = parsed(tmp_path, body).cells
    assert [cell.kind for cell in cells] == [
        *("prose", "code", "prose", "exercise", "provided", "train"),
        *("question", "answer", "prose"),
    ]
    assert [cell.line for cell in cells] == [7, 9, 13, 16, 23, 27, 34, 38, 42]
    exercise, provided, train, question = cells[3:7]
    assert (exercise.name, exercise.difficulty, exercise.importance) == ("f", 2, 4)
    assert exercise.minutes == 15
    assert provided.names == ("g", "h")
    assert (train.name, train.source) == ("agent", "train()")
    assert (question.name, question.points, question.source) == ("why", 1.5, "Why?")


def test_front_matter(tmp_path: Path) -> None:
    text = parsed(tmp_path, "Text.\n")
    assert (text.title, text.total, text.minutes, text.total_line) == ("T", 3.0, 20, 3)


@pytest.mark.parametrize(
    ("body", "line", "says"),
    [
        (EXERCISE.replace("f\n", "f\n:hardness: 2\n"), 8, "unknown option `:hardness:`"),
        (EXERCISE.replace("f\n", "f\n:difficulty: 9\n"), 8, "from 1 to 5"),
        (EXERCISE.replace("f\n", "f\n:minutes: soon\n"), 8, "from 1 to 600"),
        (EXERCISE.replace("f\n", "f\n:train: f\n"), 8, "not both"),
        (EXERCISE.replace("f\n", "f, g\n"), 7, "one name"),
        (EXERCISE.replace("f\n", "f g\n"), 7, "does not name"),
        (EXERCISE.replace("f\n", "f\n\nreturn 1\n"), 7, "no code of its own"),
        (EXERCISE.replace("exercise", "minutes").replace("f\n", "3\n"), 7, "needs `:exercise:`"),
        (EXERCISE.replace("exercise", "train"), 7, "needs the code"),
        ('\n+++ {"question": "q"}\n\nWhy?\n', 9, "a `+++` line holds"),
        ('\n+++ {"question": "q", "points": 0}\n\nWhy?\n', 9, "number of points"),
        ('\n+++ {"question": "Q!", "points": 1}\n\nWhy?\n', 9, "not a slug"),
        ('\n+++ {"question": "q", "points": 1}\n\nWhy?\n', 9, "model answer"),
        ('Text.\n\n+++ {"audience": "instructor"}\n\nHm.\n', 10, "right after a question"),
        ("Text.\n\n+++ {audience}\n\nHm.\n", 8, "could not be read"),
    ],
)
def test_mistakes_name_their_line(tmp_path: Path, body: str, line: int, says: str) -> None:
    with pytest.raises(LabError) as caught:
        parsed(tmp_path, body)
    assert says in caught.value.message
    assert caught.value.line == line
    assert str(caught.value).count("\n") == 0
    assert f"lab.md:{line}: " in str(caught.value)


@pytest.mark.parametrize("field", ["title", "total", "minutes"])
def test_front_matter_is_complete(tmp_path: Path, field: str) -> None:
    header = "".join(line for line in HEADER.splitlines(True) if not line.startswith(field))
    with pytest.raises(LabError, match=f"needs `{field}:`"):
        parsed(tmp_path, "Text.\n", header)


def test_total_is_a_number(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="`total:`, a number"):
        parsed(tmp_path, "Text.\n", HEADER.replace("total: 3", "total: three"))
