"""Builds the labs: the instructor's and the student's notebook of each, and its public cases."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
import yaml  # type: ignore[import-untyped]

from autograder import discover, nbgrader_config
from autograder.discover import LoadedLab
from autograder.errors import LabError
from autograder.expected import Expected
from autograder.leaks import check_leaks
from autograder.notebooks import instructor_notebook
from autograder.public_cases import public_cases, settled, to_bytes
from autograder.validate import validate
from labkit import wire
from labkit.compare import summarize
from labkit.probes import observe
from labkit.submitting import outline

PUBLIC_CASES = "public_cases.json"


@dataclasses.dataclass(frozen=True)
class Built:
    """What one lab's source gives.

    Attributes:
        lab: its name.
        source: the instructor's notebook, for nbgrader.
        student: the student's files by name.
    """

    lab: str
    source: bytes
    student: dict[str, bytes]


def build_lab(lab: LoadedLab, *, labs: Path = discover.LABS, labs_url: str = "") -> Built:
    """Build one lab in memory.

    Args:
        lab: the lab.
        labs: where students' files are: looked at for leaks and for earlier public cases.
        labs_url: where the student's material is published; may be empty.

    Raises:
        LabError: if anything in the lab's source has to be mended.
    """
    from autograder.release import release  # nbgrader takes a second to import

    validate(lab)
    expected = Expected(lab, course_seed=0)  # what is built does not depend on hidden cases
    check_repeatable(expected)
    notebook = instructor_notebook(lab, labs_url)
    nbformat.validate(notebook)
    source = _notebook_bytes(notebook)
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder)
        path = course / "source" / lab.name / f"{lab.name}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(source)
        student = release(course, lab.name).read_bytes()
    old = labs / lab.name / PUBLIC_CASES
    public = public_cases(expected) | {"cells": outline(student)}
    public = settled(public, old.read_bytes() if old.is_file() else None)
    files = {f"{lab.name}.ipynb": student, PUBLIC_CASES: to_bytes(public)}
    library = {path: path.read_bytes() for path in sorted((labs / "labkit").rglob("*.py"))}
    check_leaks(lab, {labs / lab.name / name: data for name, data in files.items()} | library)
    return Built(lab.name, source, files)


def _notebook_bytes(notebook: nbformat.NotebookNode) -> bytes:
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    return (text + "\n").encode()


def check_repeatable(expected: Expected) -> None:
    """Check that every reference gives the same again on the same case.

    Raises:
        LabError: if one does not.
    """
    lab = expected.lab
    for exercise in lab.exercises:
        for group in expected.groups(exercise):
            for case, right in zip(group.cases, group.right, strict=True):
                again = observe(exercise.reference, group.probe, case)
                if wire.dumps(summarize(group.probe, again)) != wire.dumps(right):
                    message = (
                        f"`{exercise.name}` gives something else when group "
                        f"{group.group.name!r} is run again: take all randomness from an argument"
                    )
                    definition = lab.source.definitions[exercise.name]
                    raise LabError(message, definition.path, definition.line)


def course_labs_url(book: Path = discover.ROOT / "book") -> str:
    """Return where the student's material is published, as the website's configuration says."""
    try:
        config = yaml.safe_load((book / "_config.yml").read_text("utf-8"))
        return str(config["sphinx"]["config"]["course_labs_url"] or "")
    except (OSError, KeyError, TypeError):
        return ""


def differences(built: Built, labs: Path) -> list[Path]:
    """Return the student's files that building would change or add."""
    paths = {labs / built.lab / name: data for name, data in built.student.items()}
    return [p for p, data in paths.items() if not p.is_file() or p.read_bytes() != data]


def write(built: Built, *, labs: Path, course: Path) -> None:
    """Write a built lab: the student's files, and nbgrader's source and release folders."""
    source = course / "source" / built.lab
    public = {PUBLIC_CASES: built.student[PUBLIC_CASES]}
    for folder, files in (
        (labs / built.lab, built.student),
        (course / "release" / built.lab, built.student),
        (source, public | {f"{built.lab}.ipynb": built.source}),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("lab", nargs="*", metavar="LAB", help="labs to build (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    parser.add_argument("--solutions", type=Path, default=discover.SOLUTIONS, metavar="DIR")
    parser.add_argument("--labs", type=Path, default=discover.LABS, metavar="DIR")
    parser.add_argument("--course", type=Path, default=discover.COURSE, metavar="DIR")


def run(options: argparse.Namespace) -> int:
    """Run the command: 0 if all went well, 1 if a lab's source or a generated file is wrong."""
    try:
        names = options.lab or discover.lab_names(options.solutions)
        return _run(names, options)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1


def _run(names: Sequence[str], options: argparse.Namespace) -> int:
    labs_url, changed = course_labs_url(), []
    for name in names:
        built = build_lab(
            discover.load(name, options.solutions), labs=options.labs, labs_url=labs_url
        )
        changed += differences(built, options.labs)
        if not options.check:
            write(built, labs=options.labs, course=options.course)
            print(f"built {options.labs / name}")
    if not options.check:
        nbgrader_config.write(options.course)  # to be added to, before anybody is graded
        return 0
    if not options.lab and options.labs.is_dir():
        known = set(names)
        changed += [p for p in discover.student_folders(options.labs) if p.name not in known]
    for path in changed:
        print(f"{path} is not what its source gives: run `make labs`", file=sys.stderr)
    return 1 if changed else 0
