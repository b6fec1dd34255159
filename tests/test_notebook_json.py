"""Notebooks as text: byte for byte what nbformat writes."""

from __future__ import annotations

import copy

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from autograder import notebook_json
from autograder.course import Course
from autograder.sample_class import Case
from tests.grading import LAB, NOTEBOOK

STRANGE = 'ends in a line\n\n], [\n  "cells": [],\n "metadata": {}\r\n\u2028\ud800 ünï\x00\t\'\'\''


def official(notebook: NotebookNode) -> str:
    text: str = nbformat.v4.writes(notebook)  # type: ignore[no-untyped-call]
    return text


def strange() -> NotebookNode:
    """A notebook with everything that text and cells can be hurt by."""
    outputs = [
        new_output("stream", text=STRANGE),
        new_output("display_data", {"text/html": STRANGE, "image/png": "aGk="}),
        new_output("execute_result", {"application/json": {"b": [1.5], "a": None}}),
        new_output("error", ename="E", evalue=STRANGE, traceback=[STRANGE]),
    ]
    attached = {"picture.png": {"image/png": "aGk="}}
    cells = [
        new_markdown_cell(STRANGE, attachments=attached, metadata={"trusted": True, "z": 1}),
        new_code_cell(STRANGE, outputs=outputs, execution_count=3),
        new_code_cell(""),
        new_markdown_cell("x" * (2 * notebook_json.KEPT_CHARS)),
    ]
    kernel = {"name": "python3", "display_name": "Python"}
    return new_notebook(cells=cells, metadata={"signature": "s", "kernelspec": kernel})


@pytest.mark.parametrize("cells", [slice(0), slice(1), slice(None)])
def test_text_is_what_nbformat_writes(cells: slice) -> None:
    notebook = strange()
    notebook.cells = notebook.cells[cells]
    before = copy.deepcopy(notebook)
    for _ in range(2):  # the second time, cells are known
        assert notebook_json.writes(notebook) == official(notebook)
    assert notebook == before


def test_a_cell_that_changed_is_written_anew() -> None:
    notebook = strange()
    notebook_json.writes(notebook)
    notebook.cells[1].outputs[0].text = "another"
    assert notebook_json.writes(notebook) == official(notebook)


def test_a_class_is_written_as_nbformat_would(
    toy_course: Course, toy_cases: dict[str, Case]
) -> None:
    release = toy_course.release(LAB)
    assert notebook_json.writes(release) == official(release)
    for name in ("perfect", "empty stub"):
        raw = toy_cases[name].files[NOTEBOOK].decode()
        notebook = nbformat.reads(raw, as_version=4)  # type: ignore[no-untyped-call]
        assert notebook_json.writes(notebook) == official(notebook)


def test_long_cells_are_not_kept() -> None:
    notebook_json.writes(strange())
    before = notebook_json._kept.cache_info().currsize
    for number in range(5):
        long = new_markdown_cell(f"{number}" * notebook_json.KEPT_CHARS)
        notebook_json.writes(new_notebook(cells=[long]))
    assert notebook_json._kept.cache_info().currsize == before
