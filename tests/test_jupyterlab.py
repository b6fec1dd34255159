"""A student in JupyterLab writes a wrong answer, then a right one, and reads what check shows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from playwright.sync_api import Page, Route, expect

from autograder import discover
from autograder.mutate import mutated_definition
from labkit.probes import Returns
from tests.browser import ROOT, Watch
from tests.jupyter import KERNEL_MS, KERNEL_WAITS, Notebook, jupyterlab

pytestmark = pytest.mark.long(1)

LAB = "lab02_q_learning_sarsa"

MakePage: TypeAlias = Callable[..., tuple[Page, Watch]]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The lab's notebook in JupyterLab."""
    folder = tmp_path_factory.mktemp("student")
    work = folder / "labs"
    shutil.copytree(ROOT / "labs", work, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    with jupyterlab(work, folder / "home") as server:
        yield server.format(f"{LAB}/{LAB}.ipynb")


@pytest.mark.needs("chromium")
def test_a_kernel_that_is_still_to_start_is_waited_for(page: MakePage, address: str) -> None:
    """A cell that is run before there is one is not run, and JupyterLab doesn't say so."""
    student, _ = page()
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "POST":
            held.append(route)
        else:
            route.fallback()

    student.route("**/api/sessions*", hold)
    with student.expect_request(
        lambda request: request.method == "POST" and "/api/sessions" in request.url,
        timeout=KERNEL_MS,
    ):
        student.goto(address)
    assert not student.evaluate(KERNEL_WAITS)
    held.pop().continue_()
    student.wait_for_function(KERNEL_WAITS, timeout=KERNEL_MS)


@pytest.mark.needs("chromium")
def test_check_answers_a_student(page: MakePage, address: str) -> None:
    lab = discover.load(LAB)
    exercise = next(e for e in lab.exercises if isinstance(e.probe, Returns) and e.mutants)
    definition = lab.source.definitions[exercise.name]
    mutant = exercise.mutants[0]
    wrong = mutated_definition(definition, mutant.old, mutant.new)

    student, seen = page()
    notebook = Notebook(student, address)
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
