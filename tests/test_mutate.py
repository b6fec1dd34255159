"""Definitions are found, cut, edited and renamed in source text."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.errors import LabError
from autograder.mutate import EditError, mutated_definition, run_mutated
from autograder.sources import BEGIN, END, Source, call_lines, free_names, renamed

TEXT = '''"""Module: a + b."""

from __future__ import annotations

import functools
import math as m
from typing import Any

BASE = 10
SCALE: float = BASE * 0.5


def helper(x: Any) -> Any:
    return add(x, 1)


@functools.lru_cache
def add(
    a: float,
    b: float = BASE,
) -> float:
    """Return ``a + b``.

    Not ``a - b``.
    """
    # the sum

    total = a + b
    return m.floor(total) if total > 1e9 else total


class Pair:
    """Two numbers: a + b."""

    kind = "pair"

    def __init__(self, a: float, b: float) -> None:
        self.a = a
        self.b = b

    @property
    def sum(self) -> float:
        """Return ``a + b``."""
        return add(self.a, self.b)


class Triple(Pair):
    pass
'''


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "reference.py"
    path.write_text(TEXT)
    return Source(path)


def test_an_edit_reaches_helpers_that_call_the_definition(source: Source) -> None:
    add = run_mutated(source, "reference", "add", "a + b", "a - b")
    assert add(5.0, 2.0) == 3.0
    pair = run_mutated(source, "reference", "Pair", "self.a, self.b", "self.b, self.b")
    assert pair(5.0, 2.0).sum == 4.0
    other = run_mutated(source, "reference", "helper", "x, 1", "x, 2")
    assert other(1) == 3
    assert run_mutated(source, "reference", "add", "total = a + b", "total = a")(5.0) == 5.0


def test_the_edited_module_has_no_other_future_than_its_own(tmp_path: Path) -> None:
    path = tmp_path / "reference.py"
    path.write_text("def f(x: int):\n    return x\n")
    function = run_mutated(Source(path), "reference", "f", "return x", "return -x")
    assert function.__annotations__ == {"x": int}


def test_subclasses_see_the_edit(source: Source) -> None:
    namespace = run_mutated(source, "reference", "Pair", "self.a = a", "self.a = -a")
    assert namespace(5.0, 2.0).a == -5.0


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("add", "a * b", "a + b", "does not contain"),
        ("add", "a - b", "a", "does not contain"),  # the docstring says it, the code does not
        ("add", "total", "x", "contains 4 times"),
        ("add", "a + b", "a + b", "changes nothing"),
        ("add", "", "x", "changes nothing"),
        ("Pair", "Two numbers", "x", "does not contain"),
        ("add", "a + b", "a +", "does not run: SyntaxError"),
        ("add", "@functools.lru_cache", "@functools.nothing", "does not run: AttributeError"),
    ],
)
def test_edits_that_do_not_apply(source: Source, name: str, old: str, new: str, says: str) -> None:
    with pytest.raises(EditError, match=says):
        run_mutated(source, "reference", name, old, new)


@given(
    prefix=st.text("ab ", max_size=5),
    count=st.integers(0, 3),
    docstring=st.sampled_from(["plain", "key", "key and key"]),
)
def test_only_what_stands_once_in_the_code_is_edited(
    tmp_path_factory: pytest.TempPathFactory, prefix: str, count: int, docstring: str
) -> None:
    path = tmp_path_factory.mktemp("source") / "reference.py"
    body = "\n".join(f"    x{i} = '{prefix}key'" for i in range(count))
    path.write_text(f'def f():\n    """{docstring}"""\n{body}\n    return 1\n')
    definition = Source(path).definitions["f"]
    if count == 1:
        edited = mutated_definition(definition, "key", "lock")
        assert edited.count("lock") == 1
        assert edited.replace("lock", "key") == definition.text
    else:
        with pytest.raises(EditError):
            mutated_definition(definition, "key", "lock")


def test_solution_regions_hold_the_bodies_and_nothing_else(source: Source) -> None:
    for name in ("add", "Pair", "helper"):
        definition = source.definitions[name]
        marked = definition.with_solution_regions()
        lines = [line for line in marked.splitlines() if line.strip() not in (BEGIN, END)]
        assert [x for x in lines if x.strip()] == [
            x for x in definition.text.splitlines() if x.strip()
        ]
        compile(marked, "marked", "exec")
        inside, kept = [], []
        for line in marked.splitlines():
            if line.strip() == BEGIN:
                inside.append([])
            elif line.strip() == END:
                kept.append(inside.pop())
            elif inside:
                inside[-1].append(line.strip())
        assert len(kept) == len(definition.functions)
    assert kept[-1] == ["return add(x, 1)"]


def test_a_stub_keeps_signature_docstring_and_decorator(source: Source) -> None:
    marked = source.definitions["add"].with_solution_regions()
    interface = marked[: marked.index(BEGIN)]
    assert interface.startswith("@functools.lru_cache\ndef add(")
    assert "Not ``a - b``." in interface
    assert "# the sum" not in interface


@pytest.mark.parametrize("text", ["def f(): return 1\n", 'def f(): "doc"; return 1\n'])
def test_a_body_needs_lines_of_its_own(tmp_path: Path, text: str) -> None:
    path = tmp_path / "reference.py"
    path.write_text(text)
    with pytest.raises(LabError, match="lines of its own"):
        Source(path).definitions["f"].bodies()


def test_a_docstring_is_no_body(tmp_path: Path) -> None:
    path = tmp_path / "reference.py"
    path.write_text('def f():\n    """Return."""\n')
    with pytest.raises(LabError, match="has no body"):
        Source(path).definitions["f"].bodies()


def test_what_is_not_python_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "reference.py"
    path.write_text("x = 1\ndef f(:\n")
    with pytest.raises(LabError, match=r"reference\.py:2: not Python"):
        Source(path)


def test_imports_and_free_names(source: Source) -> None:
    assert set(source.imports) == {"functools", "m", "Any"}
    assert free_names(source.definitions["add"].node) == {"functools", "float", "BASE", "m"}
    assert "SCALE" in source.definitions


@pytest.mark.parametrize(
    "code",
    [
        "def f(x):\n    y = x\n    return [y + z for z in y]",
        "def f(x):\n    import os\n    from a import b as c\n    return os, c",
        "def f():\n    try:\n        pass\n    except E as error:\n        return error",
    ],
)
def test_bound_names_are_not_free(code: str) -> None:
    assert free_names(ast.parse(code).body[0]) <= {"E"}


def test_renaming_leaves_strings_and_comments_alone() -> None:
    text = 'def f(n):\n    # f of n\n    return "f" if n < 2 else f(n - 1)  # f\n'
    changed = renamed(text, "f", "fib")
    assert changed == ('def fib(n):\n    # f of n\n    return "f" if n < 2 else fib(n - 1)  # f\n')


def test_declarations_are_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "checks.py"
    path.write_text(
        "A = Exercise(reference=add, points=1)\n"
        "B = Exercise(points=1, reference=reference.sub)\n"
        'C = Numeric("add", 1)\n'
        'D = Numeric(name="sub")\n'
        'E = Other("add", of=Numeric("add", 2))\n'
    )
    source = Source(path)
    assert call_lines(source, "Exercise", "add") == [1]
    assert call_lines(source, "Exercise", "sub") == [2]
    assert call_lines(source, "Numeric", "add") == [3, 5]
    assert call_lines(source, "Numeric", "sub") == [4]
