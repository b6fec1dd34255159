"""Generate the sample class and grade it, in a course directory of its own."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from autograder import discover, sandbox

HOME = discover.ROOT / "build" / "sample_class"
COURSE = HOME / "course"


def grades(lab: str) -> Path:
    """The folder of a lab's grades, feedback and report."""
    return HOME / "grades" / lab


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose: every lab is graded."""


def run(args: argparse.Namespace) -> int:
    """Grade the sample class afresh; say so and do nothing where that can't be done safely."""
    if isinstance(reason := sandbox.available(), str):
        print(f"The sample class is left out. {reason}", file=sys.stderr)
        return 0
    from autograder import grade
    from autograder.sample_class import generate

    shutil.rmtree(HOME, ignore_errors=True)
    names = discover.lab_names()
    print(f"Generating the sample class: {', '.join(names)}")
    generate([discover.load(name) for name in names], HOME, COURSE)
    for name in names:
        code = grade.grade(
            grade.Options(
                lab=name,
                submissions=HOME / "submissions",
                out=grades(name),
                course=COURSE,
                roster=HOME / "roster.csv",
            )
        )
        if code != grade.OK:
            return code
    return 0
