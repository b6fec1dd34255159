"""Notebooks as text, just as nbformat writes them, but most cells are written only once.

Most of a notebook's cells are the lab's own, the same for every student, and nbformat copies all
of them and encodes them in Python. Here it writes each cell by itself, and what it wrote is kept.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import nbformat
from nbformat import NotebookNode

KEPT_CELLS, KEPT_CHARS = 500, 10_000  # longer ones are one student's
NO_CELLS = '"cells": []'


def writes(notebook: NotebookNode) -> str:
    """Return what ``nbformat.v4.writes`` returns."""
    cells = [_text_of(cell) for cell in notebook.cells]
    frame = _nbformat({**notebook, "cells": []})
    if not cells:
        return frame
    head, _, tail = frame.partition(NO_CELLS)  # keys are sorted, so that nothing comes before it
    return head + '"cells": [\n' + ",\n".join(cells) + "\n ]" + tail


def _text_of(cell: NotebookNode) -> str:
    compact = json.dumps(cell, ensure_ascii=False)
    return _kept(compact) if len(compact) <= KEPT_CHARS else _written(compact)


def _written(compact: str) -> str:
    """Return a cell's text within a notebook."""
    text = _nbformat({"cells": [json.loads(compact)], "metadata": {}})
    return text.partition("[\n")[2].rpartition('\n ],\n "metadata": {}')[0]


_kept = functools.lru_cache(KEPT_CELLS)(_written)


def _nbformat(tree: dict[str, Any]) -> str:
    notebook = nbformat.from_dict(tree)  # type: ignore[no-untyped-call]
    text: str = nbformat.v4.writes(notebook)  # type: ignore[no-untyped-call]
    return text
