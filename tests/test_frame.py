"""The frame holds: pins, commands, pages, and a bootstrap that explains itself."""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import types
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from autograder.__main__ import COMMANDS

pytestmark = pytest.mark.long(1)

ROOT = Path(__file__).parents[1]
OURS = {"autograder", "benchmarks", "book", "labkit", "solutions", "tests"}
CODE = ("autograder", "benchmarks", "book", "labs/labkit", "solutions", "tests")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "labs/README.md")


def read(path: str) -> str:
    """The text of a file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def requirement_lines() -> list[str]:
    """requirements.txt without comments."""
    lines = (line.split("#")[0].strip() for line in read("requirements.txt").splitlines())
    return [line for line in lines if line]


def modules(*folders: str) -> Iterator[Path]:
    """The Python files that are written by hand in these folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not {"_build", "node_modules", "__pycache__"} & set(path.parts):
                yield path


def imported(paths: Iterator[Path]) -> dict[str, set[str]]:
    """The third-party modules that files import, with who imports them."""
    ours = OURS | {path.parent.name for path in modules("book")}
    found: dict[str, set[str]] = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            else:
                continue
            for name in names:
                top = name.split(".")[0]
                if top not in sys.stdlib_module_names and top not in ours:
                    found.setdefault(top, set()).add(str(path.relative_to(ROOT)))
    return found


def undeclared(imports: dict[str, set[str]], declared: set[str]) -> dict[str, set[str]]:
    """The imports that no declared package provides."""
    providers = importlib.metadata.packages_distributions()
    return {
        module: users
        for module, users in imports.items()
        if not {canonical(name) for name in providers.get(module, [module])} & declared
    }


def canonical(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


# --- dependencies


def test_every_pin_is_exact_and_installed() -> None:
    for line in requirement_lines():
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([\w.]+)", line)
        assert match, f"not an exact pin: {line}"
        name, version = match.groups()
        assert importlib.metadata.version(name).split("+")[0] == version


def test_every_import_is_pinned() -> None:
    pinned = {canonical(line.split("==")[0]) for line in requirement_lines()}
    assert undeclared(imported(modules(*CODE)), pinned) == {}


def test_labkit_declares_what_it_imports_with_lower_bounds_that_the_pins_meet() -> None:
    project = tomllib.loads(read("labs/pyproject.toml"))["project"]
    declared = [Requirement(line) for line in project["dependencies"]]
    for requirement in declared:
        assert [specifier.operator for specifier in requirement.specifier] == [">="], requirement
        installed = Version(importlib.metadata.version(requirement.name))
        assert installed in requirement.specifier, requirement
    names = {canonical(requirement.name) for requirement in declared}
    assert undeclared(imported(modules("labs/labkit")), names) == {}


def test_the_project_reads_requirements() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    assert project["project"]["dynamic"] == ["dependencies"]
    assert "dependencies" not in project["project"]
    listed = importlib.metadata.requires("from-rewards-to-language-models") or []
    assert sorted(listed) == sorted(requirement_lines())


# --- commands


def targets() -> dict[str, str]:
    """The Makefile's commands with their help."""
    return dict(re.findall(r"^([a-z][a-z-]*):.*?## (.+)$", read("Makefile"), re.MULTILINE))


def test_every_target_is_phony_and_has_help() -> None:
    named = set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (\S+)$", read("Makefile"), re.MULTILINE))
    assert named == phony == set(targets())


def test_help_lists_every_target() -> None:
    shown = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"^  make (\S+)  +\S", shown, re.MULTILINE) == list(targets())


@pytest.mark.parametrize("page", PAGES)
def test_commands_on_pages_exist(page: str) -> None:
    text = read(page)
    code = "\n".join(re.findall(r"`[^`]+`|```.*?```", text, re.DOTALL))
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", code)) <= set(targets())
    assert set(re.findall(r"python -m autograder ([a-z-]+)", code)) <= set(COMMANDS)


def test_commands_behind_make_exist() -> None:
    called = set(re.findall(r"-m autograder ([a-z-]+)", read("Makefile")))
    assert called <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_interface(command: str) -> None:
    module = importlib.import_module("autograder." + command.replace("-", "_"))
    module.add_arguments(argparse.ArgumentParser())
    assert callable(module.run)


@pytest.mark.parametrize(
    ("changed", "steps"),
    [
        (None, ["places"]),
        ("book/intro.md", ["book/build.py", "places"]),
        ("benchmarks/results/x.json", ["book/build.py", "places"]),
        ("solutions/lab07_x/lab.md", ["build", "book/build.py", "sample", "places"]),
        ("labs/labkit/x.py", ["build", "book/build.py", "sample", "places"]),
        ("autograder/x.py", ["build", "book/build.py", "sample", "places"]),
        ("requirements.txt", ["bootstrap.py", "build", "book/build.py", "sample", "places"]),
        ("solutions/__pycache__/x.pyc", ["places"]),
        ("book/_build/x.html", ["places"]),
        ("book/labs/x.ipynb", ["places"]),
        ("tests/test_x.py", ["places"]),
    ],
)
def test_make_does_what_a_change_needs(
    tmp_path: Path, changed: str | None, steps: list[str]
) -> None:
    """With everything built, a change leads to the steps that read it and to no others."""
    sources = ("requirements.txt", "pyproject.toml", "labs/pyproject.toml", "bootstrap.py")
    built = (".venv/.installed", *(f"build/stamps/{step}" for step in ("labs", "book", "sample")))
    for seconds, names in enumerate((sources, built, [changed] if changed else [])):
        for path in (tmp_path / name for name in names):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.utime(path, (10**9 + seconds, 10**9 + seconds))
    shutil.copy(ROOT / "Makefile", tmp_path)
    plan = subprocess.run(
        ["make", "--dry-run"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    pattern = r"python\S* (?:-m autograder )?(bootstrap\.py|book/build\.py|\w+)$"
    assert re.findall(pattern, plan, re.MULTILINE) == steps


@pytest.mark.parametrize("command", ["grade", "report", "submit"])
def test_a_command_about_one_lab_says_which_there_are(tmp_path: Path, command: str) -> None:
    for name in (".venv/.installed", "build/stamps/labs"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    for lab in ("lab01_a", "lab02_b"):
        (tmp_path / "solutions" / lab).mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", tmp_path)
    fresh = ["-o", ".venv/.installed", "-o", "build/stamps/labs"]
    result = subprocess.run(
        ["make", *fresh, command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "Name a lab with LAB=..., one of: lab01_a lab02_b." in result.stderr


def test_ci_runs_the_readme_test_command() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert read(".ci/run").rstrip().splitlines()[-1] == "make test"
    assert "CI=true" in read(".ci/run")
    assert re.search(r"^make test$", read("README.md"), re.MULTILINE)


def test_hooks_run_what_is_installed() -> None:
    config = yaml.safe_load(read(".pre-commit-config.yaml"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    for hook in hooks:
        assert (ROOT / hook["entry"].split()[0]).exists(), hook["id"]


# --- habits


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "ruff", "check"],
        ["-m", "ruff", "format", "--check"],
        ["-m", "mypy"],
        ["-c", "from importlinter.cli import lint_imports_command as c; c()"],
        ["-c", "import sys, codespell_lib as c; sys.exit(c.main())"],
    ],
    ids=["ruff-check", "ruff-format", "mypy", "import-linter", "codespell"],
)
def test_lint(command: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_modules_say_why_they_exist() -> None:
    for path in modules("autograder", "benchmarks", "labs/labkit", "solutions"):
        text = path.read_text(encoding="utf-8")
        if text.strip():
            assert ast.get_docstring(ast.parse(text)), f"{path}: no docstring"


# --- pages


@pytest.mark.parametrize("page", PAGES)
def test_links_between_files_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", read(page)):
        if not target.startswith(("http://", "https://")):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_contributing_is_under_a_page() -> None:
    assert len(read("CONTRIBUTING.md").split()) < 500


def test_changelog_entries_have_a_prefix() -> None:
    entries = re.findall(r"^- (.+)$", read("CHANGELOG.md"), re.MULTILINE)
    assert entries
    for entry in entries:
        assert re.match(r"`(book|lab\d\d|autograder):` ", entry), entry


def test_licences_are_whole() -> None:
    assert read("LICENSE").startswith("BSD 3-Clause License")
    text = read("LICENSE-text")
    assert "Attribution 4.0 International" in text
    assert "Section 8 -- Interpretation." in text


# --- bootstrap


@pytest.fixture
def bootstrap() -> types.ModuleType:
    """bootstrap.py as a module, so that what it looks at can be replaced."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "bootstrap.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_bootstrap_is_readable_by_old_pythons() -> None:
    tree = ast.parse(read("bootstrap.py"))
    modern = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Nonlocal)
    for node in ast.walk(tree):
        assert not isinstance(node, modern), ast.dump(node)
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None
            assert not (node.args.kwonlyargs or node.args.posonlyargs)
            assert all(argument.annotation is None for argument in node.args.args)


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 6, 15), (3, 10, 13)])
def test_an_old_python_gets_a_sentence(
    bootstrap: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    version: tuple[int, int, int],
) -> None:
    monkeypatch.setattr(bootstrap.sys, "version_info", version)
    monkeypatch.setattr(bootstrap, "newer_python", lambda: None)
    assert bootstrap.main() == 1
    assert "needs Python 3.11 or newer and this is {}.{}".format(*version) in sentence(capsys)


def test_an_old_python_hands_over_to_a_newer_one(
    bootstrap: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 1))
    monkeypatch.setattr(bootstrap, "newer_python", lambda: "/opt/python3.12")
    monkeypatch.setattr(bootstrap.subprocess, "call", lambda c: called.append(c) or 0)
    assert bootstrap.main() == 0
    assert called == [["/opt/python3.12", str(ROOT / "bootstrap.py")]]


def test_a_python_without_venv_gets_a_sentence(
    bootstrap: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bootstrap, "importable", lambda module: module != "ensurepip")
    assert bootstrap.main() == 1
    assert "python3-venv" in sentence(capsys)


def test_a_full_disk_gets_a_sentence(
    bootstrap: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(bootstrap, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(bootstrap.shutil, "disk_usage", lambda _: usage(10**11, 10**11, 10**9))
    assert bootstrap.main() == 1
    assert "needs about 3 GB of disk and 1.0 GB are free" in sentence(capsys)
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("OSError: [Errno 28] No space left on device\n", "The disk is full"),
        (
            "WARNING: Retrying: NewConnectionError('Temporary failure in name resolution')\n"
            "ERROR: No matching distribution found for gymnasium==1.4.0\n",
            "No package index could be reached",
        ),
        ("ERROR: No matching distribution found for torch==2.13.0\n", "There is no torch==2.13.0"),
        ("ERROR: something new\n", "pip could not install the course: ERROR: something new"),
    ],
)
def test_pip_failures_are_explained_in_a_sentence(
    bootstrap: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    output: str,
    expected: str,
) -> None:
    script = tmp_path / "pip.py"
    script.write_text(f"import sys; sys.stderr.write({output!r}); sys.exit(1)")
    popen = subprocess.Popen
    monkeypatch.setattr(bootstrap, "runs", lambda command: True)
    monkeypatch.setattr(
        bootstrap.subprocess,
        "Popen",
        lambda command, **options: popen([sys.executable, str(script)], **options),
    )
    assert bootstrap.main() == 1
    assert sentence(capsys).startswith(expected)


def test_make_without_python_says_so(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt", "pyproject.toml", "bootstrap.py"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "labs").mkdir()
    shutil.copy(ROOT / "labs/pyproject.toml", tmp_path / "labs")
    result = subprocess.run(
        ["make", "-s", "setup", "PYTHON=python-of-nowhere"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert result.stderr.startswith("There is no python-of-nowhere here: install Python 3.11")
