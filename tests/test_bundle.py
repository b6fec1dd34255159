"""Bundles: the same bytes each time, what is needed to work, and nothing else."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder import build, bundle, discover
from autograder.__main__ import main
from autograder.errors import LabError
from autograder.leaks import check_leaks, secret_lines
from tests.grading import TOY

LAB = "lab07_example"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small copy of the repository: the frame, labkit, one lab, and what must stay out."""
    for name in ("LICENSE", "LICENSE-text"):
        shutil.copy(bundle.ROOT / name, tmp_path)
    shutil.copytree(
        bundle.ROOT / "labs/labkit",
        tmp_path / "labs/labkit",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(bundle.ROOT / "labs" / name, tmp_path / "labs")
    lab = tmp_path / "labs" / LAB
    for path in (
        f"{LAB}.ipynb",
        "public_cases.json",
        "solved.ipynb",
        f"{LAB}.zip",
        ".ipynb_checkpoints/x.ipynb",
        "__pycache__/x.pyc",
    ):
        (lab / path).parent.mkdir(parents=True, exist_ok=True)
        (lab / path).write_text("{}")
    (tmp_path / "labs/labkit/test_secret.py").write_text("")
    (tmp_path / "labs/labkit/__pycache__").mkdir()
    (tmp_path / "labs/labkit/__pycache__/wire.pyc").write_text("")
    return tmp_path


def unpacked(content: bytes) -> dict[Path, bytes]:
    """What is in a zip, with its content."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    return {Path(name): archive.read(name) for name in archive.namelist()}


def names(content: bytes) -> set[str]:
    """What is in a zip."""
    return {path.as_posix() for path in unpacked(content)}


def test_a_lab_zip_holds_the_lab_and_labkit_alone(house: Path) -> None:
    found = names(bundle.lab_zip(LAB, house))
    assert {name for name in found if not name.startswith("labkit/")} == {
        f"{LAB}/{LAB}.ipynb",
        f"{LAB}/public_cases.json",
        "LICENSE",
        "LICENSE-text",
        "README.md",
        "pyproject.toml",
    }
    assert {"labkit/__init__.py", "labkit/wire.py", "labkit/py.typed"} <= found
    assert not [name for name in found if "test_" in name or "pycache" in name]


def test_the_student_zip_holds_every_lab(house: Path) -> None:
    shutil.copytree(house / "labs" / LAB, house / "labs/lab08_other")
    (house / "labs/lab08_other" / f"{LAB}.ipynb").rename(
        house / "labs/lab08_other/lab08_other.ipynb"
    )
    assert bundle.labs(house) == [LAB, "lab08_other"]
    one, other = (names(bundle.lab_zip(name, house)) for name in bundle.labs(house))
    assert names(bundle.student_zip(house)) == {f"labs/{name}" for name in one | other}


def test_bytes_depend_on_contents_alone(house: Path) -> None:
    first = bundle.student_zip(house)
    for path in house.rglob("*"):
        os.utime(path, (1, 1))
        if path.is_file():
            path.chmod(0o600)
    assert bundle.student_zip(house) == first
    (house / "labs" / LAB / "public_cases.json").write_text("{ }")
    assert bundle.student_zip(house) != first


def test_links_are_left_out(house: Path) -> None:
    (house / "labs/labkit/outside.py").symlink_to("/etc/hostname")
    assert "labkit/outside.py" not in names(bundle.lab_zip(LAB, house))


def test_the_student_zip_installs_by_itself(house: Path, tmp_path: Path) -> None:
    home = tmp_path / "student"
    zipfile.ZipFile(io.BytesIO(bundle.student_zip(house))).extractall(home)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "--no-build-isolation", "--target", home / "site", home / "labs"], check=True
    )
    shown = subprocess.run(
        [sys.executable, "-S", "-c", "import labkit; print(labkit.__file__)"],
        env={"PYTHONPATH": str(home / "site")},
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.strip() == str(home / "site/labkit/__init__.py")


def test_the_instructor_zip_is_the_whole_house() -> None:
    found = names(bundle.instructor_zip())
    generated = {"build", "dist", "book/labs"}
    for path in bundle.kept(bundle.ROOT):
        name = path.relative_to(bundle.ROOT).as_posix()
        if not any(name.startswith(f"{folder}/") for folder in generated):
            assert name in found
    assert not [name for name in found if name.startswith(("build/", "dist/", ".venv/"))]


def test_the_instructor_zip_keeps_scripts_runnable() -> None:
    archive = zipfile.ZipFile(io.BytesIO(bundle.instructor_zip()))
    assert (archive.getinfo(".ci/run").external_attr >> 16) & 0o111
    assert not (archive.getinfo("Makefile").external_attr >> 16) & 0o111


@pytest.mark.parametrize("name", discover.lab_names())
def test_no_answer_is_in_a_lab_zip(name: str) -> None:
    lab = discover.load(name)
    files = unpacked(bundle.lab_zip(name))
    check_leaks(lab, files)
    line = next(line for item in lab.items for line in secret_lines(lab, item))
    files[Path("labkit/helpers.py")] = f"def helper():\n    {line}\n".encode()
    with pytest.raises(LabError, match=r"also in helpers\.py"):
        check_leaks(lab, files)


def test_a_solved_notebook_in_labs_is_not_bundled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a small course, since every lab is built again to see what its source gives."""
    labs = tmp_path / "labs"
    shutil.copytree(
        bundle.ROOT / "labs/labkit", labs / "labkit", ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(discover, "LABS", labs)
    monkeypatch.setattr(discover, "SOLUTIONS", TOY)
    built = build.build_lab(discover.load("lab00_toy", TOY), labs=labs)
    build.write(built, labs=labs, course=tmp_path / "course")
    notebook = labs / "lab00_toy" / "lab00_toy.ipynb"
    notebook.write_text(notebook.read_text("utf-8").replace("NotImplementedError", "Solved"))
    assert main(["bundle", "--out", str(tmp_path / "dist")]) == 1
    said = f"{notebook} is not what its source gives: run `make labs`\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "dist").exists()
