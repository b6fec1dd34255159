"""A student in JupyterLab writes a wrong answer, then a right one, and reads what check shows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from autograder import discover
from autograder.mutate import mutated_definition
from labkit.probes import Returns
from tests.browser import ROOT, Watch
from tests.jupyter import Notebook, jupyterlab

LAB = "lab02_q_learning_sarsa"


@pytest.mark.needs("chromium")
def test_check_answers_a_student(page: Callable[..., tuple[Page, Watch]], tmp_path: Path) -> None:
    lab = discover.load(LAB)
    exercise = next(e for e in lab.exercises if isinstance(e.probe, Returns) and e.mutants)
    definition = lab.source.definitions[exercise.name]
    mutant = exercise.mutants[0]
    wrong = mutated_definition(definition, mutant.old, mutant.new)
    work = tmp_path / "labs"
    shutil.copytree(ROOT / "labs", work, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))

    student, seen = page()
    with jupyterlab(work, tmp_path / "home") as address:
        notebook = Notebook(student, address.format(f"{LAB}/{LAB}.ipynb"))
        answer = notebook.cell(f"def {exercise.name}(")
        check = notebook.cell(f'labkit.check("{exercise.name}")')
        notebook.run_above(answer)

        notebook.run(answer)
        shown = notebook.run(check)
        expect(shown).to_contain_text("not written yet")

        notebook.write(answer, wrong)
        notebook.run(answer)
        shown = notebook.run(check)
        expect(shown).to_contain_text(mutant.hint)
        expect(shown.locator("table").first).to_contain_text("fail")

        notebook.write(answer, definition.text)
        notebook.run(answer)
        shown = notebook.run(check)
        expect(shown.locator("table").first).to_contain_text("pass")
        expect(shown).not_to_contain_text("fail")
        expect(shown).not_to_contain_text(mutant.hint)
    assert seen.outside == []
