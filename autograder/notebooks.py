"""Makes the instructor's notebook of a lab, in nbgrader's format, from its three files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import nbformat

from autograder.discover import LoadedLab
from autograder.labfile import KERNELSPEC, LabCell
from autograder.public_cases import number
from autograder.sources import BEGIN, END, free_names, imported_names
from autograder.spec import Choice, Exercise, Item, Numeric, Outcome

Cell = dict[str, Any]
SCHEMA_VERSION = 3
RELEASED = "released"  # metadata of a solution cell: what the student gets in its place
HAND_IN = """## Hand in

Save the notebook, add a cell below and run `labkit.submit()` in it: it looks the notebook over
and makes the file to hand in."""
START = """# Run this cell first. In Google Colab it also fetches the lab.
import sys

if "google.colab" in sys.modules:
    import os
    import shutil
    import subprocess
    from pathlib import Path

    course = Path("/content/course")
    if not course.exists():
{fetch}
        package = next(course.rglob("pyproject.toml")).parent
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", package], check=True)
    os.chdir(next(course.rglob("{lab}.ipynb")).parent)

import labkit

labkit.start("{lab}")"""
CLONE = """        subprocess.run([{words}, course], check=True)"""
UNPACK = """        archive = Path("/content/{lab}.zip")
        if not archive.exists():
            raise SystemExit(f"Upload {{archive.name}} (folder symbol, left), then run this again.")
        shutil.unpack_archive(archive, course)"""


def instructor_notebook(lab: LoadedLab, labs_url: str = "") -> nbformat.NotebookNode:
    """Return the notebook with solutions, tests and model answers; the same input, the same bytes.

    Args:
        lab: a lab that `autograder.validate.validate` finds no fault with.
        labs_url: where the student's material is published as a git repository; may be empty.
    """
    notebook: nbformat.NotebookNode = nbformat.from_dict(  # type: ignore[no-untyped-call]
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}},
            "cells": list(_Notebook(lab, labs_url).cells()),
        }
    )
    return notebook


def start_code(lab: str, labs_url: str) -> str:
    """Return the code of the first cell."""
    fetch = UNPACK.format(lab=lab)
    if labs_url:
        address, _, branch = labs_url.rstrip("/").partition("/tree/")
        options = ["--depth", "1", *(["--branch", branch] if branch else [])]
        words = ", ".join(f'"{word}"' for word in ["git", "clone", "-q", *options, address])
        fetch = CLONE.format(words=words)
    return START.format(lab=lab, fetch=fetch)


class _Notebook:
    """The cells of one lab in order, numbered as they come."""

    def __init__(self, lab: LoadedLab, labs_url: str) -> None:
        self.lab, self.labs_url = lab, labs_url
        self.number = 0  # of the next exercise
        self.count = 0  # of cells so far

    def cells(self) -> Iterator[Cell]:
        authored = list(self.lab.labfile.cells)
        if authored and authored[0].kind == "prose":
            yield self._locked(authored.pop(0).source)
        yield self._locked_code("cell-start", start_code(self.lab.name, self.labs_url))
        if prelude := prelude_code(self.lab):
            yield self._locked_code("cell-imports", prelude)
        for index, cell in enumerate(authored):
            if cell.kind == "question":
                yield from self._question(cell, authored[index + 1])
            elif cell.kind == "exercise":
                yield from self._exercise(cell, self.lab.item(cell.name))
            elif cell.kind == "train":
                yield from self._train(cell)
            elif cell.kind == "provided":
                texts = (self.lab.source.definitions[name].text for name in cell.names)
                yield self._locked_code(self._next_id(), "\n\n\n".join(texts))
            elif cell.kind == "code":
                yield _code(cell.source, id=self._next_id("code"), metadata={})
            elif cell.kind == "prose":
                yield self._locked(cell.source)
        yield self._locked(HAND_IN)

    def _next_id(self, kind: str = "cell") -> str:
        self.count += 1
        return f"{kind}-{self.count}"

    def _locked(self, source: str) -> Cell:
        grade_id = self._next_id()
        return _markdown(source, id=grade_id, metadata=_metadata(grade_id, locked=True))

    def _locked_code(self, grade_id: str, source: str) -> Cell:
        return _code(source, id=grade_id, metadata=_metadata(grade_id, locked=True))

    def _question(self, cell: LabCell, answer: LabCell) -> Iterator[Cell]:
        facts = f"*Written answer · {_points(cell.points)} · graded by hand*"
        yield self._locked(f"{cell.source}\n\n{facts}")
        grade_id = f"question-{cell.name}"
        metadata = _metadata(grade_id, grade=True, solution=True, points=cell.points)
        yield _markdown(answer.source, id=grade_id, metadata=metadata)

    def _exercise(self, cell: LabCell, item: Item) -> Iterator[Cell]:
        yield self._header(cell, item)
        source, released = solution_code(self.lab, item)
        metadata = _metadata(item.name, solution=True)
        if released is not None:
            metadata[RELEASED] = released
        yield _code(source, id=item.name, metadata=metadata)
        yield self._test(item)

    def _train(self, cell: LabCell) -> Iterator[Cell]:
        item = next((item for item in self.lab.items if item.name == cell.name), None)
        if item is not None:
            yield self._header(cell, item)
        yield self._locked_code(f"train-{cell.name}", cell.source)
        if item is not None:
            yield self._test(item)

    def _header(self, cell: LabCell, item: Item) -> Cell:
        self.number += 1
        facts = [f"**{_kind(item)} {self.number}: `{item.name}`**"]
        if cell.difficulty is not None:
            facts.append(f"difficulty {_dots(cell.difficulty)}")
        if cell.importance is not None:
            facts.append(f"importance {_dots(cell.importance)}")
        if cell.minutes is not None:
            facts.append(f"about {cell.minutes} min")
        return self._locked(" · ".join([*facts, _points(item.points)]))

    def _test(self, item: Item) -> Cell:
        grade_id = f"test-{item.name}"
        metadata = _metadata(grade_id, grade=True, locked=True, points=item.points)
        source = f'labkit.check("{item.name}")'
        return _code(source, id=grade_id, metadata=metadata)


def _markdown(source: str, *, id: str, metadata: dict[str, Any]) -> Cell:
    return {"cell_type": "markdown", "id": id[:64], "metadata": metadata, "source": source}


def _code(source: str, *, id: str, metadata: dict[str, Any]) -> Cell:
    code: Cell = {"cell_type": "code", "execution_count": None, "outputs": []}
    return {**code, "id": id[:64], "metadata": metadata, "source": source}


def _metadata(
    grade_id: str,
    *,
    grade: bool = False,
    solution: bool = False,
    locked: bool = False,
    points: float | None = None,
) -> dict[str, Any]:
    flags = {"grade": grade, "solution": solution, "locked": locked, "task": False}
    worth = {} if points is None else {"points": number(points)}
    return {"nbgrader": {"grade_id": grade_id, "schema_version": SCHEMA_VERSION, **flags, **worth}}


def _points(points: float) -> str:
    return f"{points:g} point" + ("" if points == 1 else "s")


def _dots(rating: int) -> str:
    return "●" * rating + "○" * (5 - rating)


def _kind(item: Item) -> str:
    if isinstance(item, Numeric):
        return "Prediction"
    if isinstance(item, Choice):
        return "Question"
    if isinstance(item, Outcome):
        return "Training"
    return "Bug clinic" if item.clinic else "Exercise"


def solution_code(lab: LoadedLab, item: Item) -> tuple[str, str | None]:
    """Return an item's solution cell, and what the student gets if it is not nbgrader's stub."""
    if isinstance(item, Numeric):
        return _marked(f"{item.name} = {item.answer!r}"), f"{item.name} = ...  # your number"
    if isinstance(item, Choice):
        example = f'{item.name} = ...  # your letter, such as "A"'
        return _marked(f'{item.name} = "{item.answer}"'), example
    text = lab.source.definitions[item.name].with_solution_regions()
    if isinstance(item, Exercise) and item.clinic is not None:
        return text, clinic_code(lab, item)
    return text, None


def clinic_code(lab: LoadedLab, exercise: Exercise) -> str:
    """Return the code with the planted bug, which the student gets to mend."""
    (mutant,) = (mutant for mutant in exercise.mutants if mutant.name == exercise.clinic)
    return lab.mutated_text(exercise, mutant)


def _marked(line: str) -> str:
    return f"{BEGIN}\n{line}\n{END}"


def prelude_code(lab: LoadedLab) -> str:
    """Return the imports and short names that the notebook's definitions need, as in reference.py.

    It stands above every cell of the author's, so what they import again does not count.
    """
    source = lab.source
    provided = {name for cell in lab.labfile.cells for name in cell.names}
    asked = {item.name for item in lab.items} & source.definitions.keys()
    needed = set().union(*(free_names(source.definitions[name].node) for name in asked | provided))
    while True:  # an assignment may need another one
        assigned = (needed & source.definitions.keys()) - asked - provided
        more = set().union(*(free_names(source.definitions[name].node) for name in assigned))
        if more <= needed:
            break
        needed |= more
    parts: list[str] = []
    last_line = 0
    for node in lab.source.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) and needed & set(imported_names(node)):
            kept = [a for a in node.names if (a.asname or a.name).partition(".")[0] in needed]
            if parts and node.lineno > last_line + 1:
                parts.append("")  # the reference separates the standard library from the rest
            parts.append(ast.unparse(_with_names(node, kept)))
            last_line = node.end_lineno or node.lineno
    assignments = [d for name, d in source.definitions.items() if name in assigned]
    if assignments:
        parts += ["", *(definition.text for definition in assignments)]
    return "\n".join(parts).strip()


def _with_names(
    node: ast.Import | ast.ImportFrom, names: list[ast.alias]
) -> ast.Import | ast.ImportFrom:
    if isinstance(node, ast.Import):
        return ast.Import(names=names)
    return ast.ImportFrom(module=node.module, names=names, level=node.level)
