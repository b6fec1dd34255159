"""A new lab builds, holds to the contract of every lab, and leaves nothing behind if it can't."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder import build, discover, new_lab
from autograder.__main__ import main
from autograder.errors import LabError
from autograder.expected import Expected
from autograder.judging import judge_exercise
from autograder.spec import Exercise

pytestmark = pytest.mark.long(1)

NAME = "lab77_new_topic"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """What of a repository a new lab needs to be there."""
    for folder in ("solutions", "labs", "book/chapters"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "solutions" / "__init__.py").touch()
    return tmp_path


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_new_lab_is_complete_and_can_be_graded(repository: Path) -> None:
    assert main(["new-lab", NAME, "--root", str(repository)]) == 0
    made = {path for path in files(repository) if "__pycache__" not in path}
    assert made >= {
        "book/chapters/77_new_topic.md",
        f"solutions/{NAME}/lab.md",
        f"solutions/{NAME}/test_reference.py",
        f"labs/{NAME}/{NAME}.ipynb",
        f"labs/{NAME}/public_cases.json",
        f"build/course/source/{NAME}/{NAME}.ipynb",
    }
    for path in made:
        if path.startswith(("book", "solutions")):
            assert not re.search("@[A-Z]+@", (repository / path).read_text("utf-8")), path
    lab = discover.load(NAME, repository / "solutions")
    assert build.differences(build.build_lab(lab), repository / "labs") == []
    (item,) = (item for item in lab.items if isinstance(item, Exercise))
    expected = Expected(lab, 3)
    for mutant in item.mutants:
        names = [group.group.name for group in expected.groups(item)]
        seen = dict(zip(names, expected.mutant(item, mutant.name), strict=True))
        result = judge_exercise(item, expected, seen, summarized=True)
        assert result.mistake == mutant.name


def test_a_new_lab_holds_to_the_contract_of_every_lab(repository: Path) -> None:
    """tests/test_labs.py itself, in a copy of the repository that has the new lab."""
    root = discover.ROOT
    shutil.copytree(root / "tests" / "toy", repository / "tests" / "toy")
    for path in (root / "tests").glob("*.py"):
        if path.name == "test_labs.py" or not path.name.startswith("test_"):
            shutil.copy(path, repository / "tests")
    shutil.copy(root / "pyproject.toml", repository)
    shutil.copytree(
        root / "autograder", repository / "autograder", ignore=shutil.ignore_patterns("__pycache__")
    )
    (repository / "labs" / "labkit").symlink_to(root / "labs" / "labkit")
    environment = os.environ | {"PYTHONPATH": f"{repository}{os.pathsep}{repository / 'labs'}"}
    command = [sys.executable, "-m"]
    made = subprocess.run(
        [*command, "autograder", "new-lab", NAME], cwd=repository, env=environment, check=False
    )
    assert made.returncode == 0
    tested = subprocess.run(
        [*command, "pytest", "-q", "-k", NAME, "tests/test_labs.py", f"solutions/{NAME}"],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout
    assert " passed" in tested.stdout
    assert "skipped" not in tested.stdout


@pytest.mark.parametrize(
    "name", ["lab7_topic", "Lab77_topic", "lab77", "lab77_", "lab77-topic", "77_topic", "lab77_a b"]
)
def test_a_bad_name_changes_nothing(
    repository: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(repository)
    assert main(["new-lab", name, "--root", str(repository)]) == 2
    said = capsys.readouterr().err
    assert "is not a name for a lab" in said
    assert said.count("\n") == 1
    assert files(repository) == before


@pytest.mark.parametrize(
    "there",
    [f"solutions/{NAME}/notes.txt", "book/chapters/77_new_topic.md", f"labs/{NAME}/mine.ipynb"],
)
def test_what_is_there_stays(
    repository: Path, there: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / there).parent.mkdir(parents=True, exist_ok=True)
    (repository / there).write_text("mine")
    before = files(repository)
    assert main(["new-lab", NAME, "--root", str(repository)]) == 2
    assert "is there already; nothing was changed" in capsys.readouterr().err
    assert files(repository) == before
    assert (repository / there).read_text() == "mine"


def test_a_number_is_used_once(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "solutions" / "lab77_older").mkdir()
    assert main(["new-lab", NAME, "--root", str(repository)]) == 2
    assert "lab 77 is there already, as lab77_older" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [LabError("broken"), OSError(28, "No space left"), KeyboardInterrupt()]
)
def test_nothing_partial_is_left(
    repository: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    before = files(repository)

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(new_lab.build, "write", fail)
    expected = LabError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        new_lab.make_lab(NAME, repository)
    assert files(repository) == before
    assert not (repository / "solutions" / NAME).exists()
