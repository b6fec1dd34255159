"""A lab's page: the student's notebook, unsolved, with its card and an anchor per exercise."""

from __future__ import annotations

from typing import Any

import nbformat

Cell = dict[str, Any]


def anchor(lab: str, exercise: str) -> str:
    """Return the label under which the page of ``lab`` has ``exercise``."""
    return f"{lab}-{exercise}".replace("_", "-").lower()


def exercise_name(cell: Cell) -> str | None:
    """Return which exercise a student writes in this cell, or None."""
    graded = cell["metadata"].get("nbgrader", {})
    is_answer = cell["cell_type"] == "code" and graded.get("solution") and not graded.get("task")
    return graded["grade_id"] if is_answer else None


def lab_page(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """Return the notebook as a page of the site.

    Args:
        notebook: what the student gets.
        name: the lab's folder.
    """
    page = nbformat.v4.new_notebook(metadata={"kernelspec": notebook.metadata.kernelspec})
    has_title = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = cell.source.strip()
            if text.startswith("# ") and not has_title:
                title, _, text = text.partition("\n")
                card = f"{title}\n\n```{{lab-card}} {name}\n```"
                page.cells.append(nbformat.v4.new_markdown_cell(card))
                has_title = True
            page.cells.append(nbformat.v4.new_markdown_cell(text.lstrip()))
            continue
        if exercise := exercise_name(cell):
            # Where the words right above it begin: they name the exercise.
            introduced = bool(page.cells) and page.cells[-1].cell_type == "markdown"
            place = len(page.cells) - introduced
            target = nbformat.v4.new_markdown_cell(f"({anchor(name, exercise)})=")
            page.cells.insert(place, target)
        code = nbformat.v4.new_code_cell(cell.source)
        if "labkit.start(" in cell.source:
            code.metadata["tags"] = ["hide-input"]
        page.cells.append(code)
    for number, cell in enumerate(page.cells):
        cell["id"] = f"cell-{number}"  # the same notebook gives the same page
    return page
