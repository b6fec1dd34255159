"""What starting a grader costs: each process imports what it uses, and nothing that takes long."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from autograder import discover, fork_server, sandbox, workers
from autograder.student import Student
from tests.grading import LAB

SLOW = ("lark", "matplotlib", "scipy", "torch", "transformers")


def loaded(statements: str, names: Iterable[str]) -> set[str]:
    """Which of these modules a new Python holds after these statements."""
    code = f"{statements}\nimport json, sys\nprint(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(names) & set(json.loads(done.stdout))


def lab_of(folder: Path, *, reference: str = "", page: str = "", checks: str = "") -> Path:
    """A folder with these three files, which nobody imports."""
    for name, text in (("reference.py", reference), ("lab.md", page), ("checks.py", checks)):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_the_command_imports_nothing_that_takes_long() -> None:
    names = {*SLOW, "nbgrader"}
    assert loaded("from autograder import grade, course, pipeline", names) == {"nbgrader"}


def test_fingerprints_of_code_do_without_plots() -> None:
    statements = """
from autograder import similarity
assert len(similarity.fingerprints("def double(x):\\n    return 2 * x if x else 0\\n").kept)
"""
    assert loaded(statements, (*SLOW, "copydetect")) == set()


def test_workers_start_without_what_only_some_labs_use() -> None:
    names = {*SLOW, "nbgrader", "autograder.judge"}
    assert loaded("import autograder.preload", names) == {"autograder.judge"}


@pytest.mark.parametrize(
    ("reference", "checks", "expected"),
    [
        ("import torch\n", "", ["torch"]),
        ("", "from torch import nn\n", ["torch"]),
        ("from labkit.batched import GridWorlds\n", "", ["torch"]),
        ("from labkit import plots\n", "from labkit.probes import Returns\n", []),
        ('"""Not what one would import torch for."""\n', "", []),
    ],
)
def test_workers_share_what_a_lab_imports(
    tmp_path: Path, reference: str, checks: str, expected: list[str]
) -> None:
    assert workers.slow_imports_of(lab_of(tmp_path, reference=reference, checks=checks)) == expected


def test_what_a_lab_is_said_to_import_is_what_loading_it_imports() -> None:
    for lab in discover.lab_names():
        found = loaded(f"from autograder import discover; discover.load({lab!r})", ("torch",))
        assert sorted(found) == workers.slow_imports_of(discover.folder(lab))


@pytest.mark.parametrize(
    ("page", "reference", "expected"),
    [
        ("import transformers\nprint(transformers.__version__)\n", "", set()),
        ("", "from transformers import AutoModel\n", {"transformers"}),
        ("model = transformers.AutoModel\n", "import scipy.stats\n", {"scipy", "transformers"}),
    ],
)
def test_the_fork_server_imports_what_a_lab_uses(
    tmp_path: Path, page: str, reference: str, expected: set[str]
) -> None:
    assert fork_server.libraries_of(lab_of(tmp_path, page=page, reference=reference)) == expected


@pytest.mark.needs("sandbox")
def test_a_lab_gets_a_fork_server_with_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_servers", {})
    monkeypatch.setattr(sandbox, "_libraries", frozenset())
    sandbox.available.cache_clear()
    modules = ("scipy.stats", "transformers.modeling_utils", "transformers", "rfc3987_syntax")
    usual, scipy = [False, False, True, False], [True, False, True, False]
    students = []
    try:
        for libraries in (frozenset[str](), frozenset({"scipy"})):
            sandbox.share(libraries)
            students.append(Student({}, memory_limit=1024, cpu_seconds=60))
        seen = []
        for student in students:  # those of the first server live on
            student.run_cell(f"import sys; seen = [m in sys.modules for m in {modules}]", 30.0)
            seen.append(student.read("seen"))
        assert seen == [usual, scipy]
    finally:
        for student in students:
            student.close()
        sandbox.available.cache_clear()
    monkeypatch.setattr(sandbox, "_servers", dict([*sandbox._servers.items()][1:]))
    address = sandbox.share(frozenset({"scipy"}))
    assert sandbox.share(frozenset()) == address  # one that has more serves as well


def test_torch_is_there_before_a_student_s_time_runs() -> None:
    """Decoding the first tensor would import it else, while the answer is waited for."""
    statements = f"""
import sys
from autograder import judge, workers
workers._lab = lambda assignment: None
seen = []
judge.judge_files = lambda *_, **__: seen.append("torch" in sys.modules)
shared = workers.Assignment({LAB!r}, "", "", 5, None, 1024, isolate=False)
workers.judge_task(workers.Task(shared, {{}}, ()))
workers.judge_task(workers.Task(shared, {{}}, (), names_torch=True))
assert seen == [False, True], seen
"""
    assert loaded(statements, ("torch",)) == {"torch"}
