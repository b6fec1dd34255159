"""Looks a lab's notebook over as the grader will and zips it to hand in."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from autograder.discover import LABS, student_folders
from labkit.session import LabNotFoundError, open_lab
from labkit.submitting import hand_in


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("lab", metavar="LAB", help="for example lab02_q_learning_sarsa")
    parser.add_argument("--labs", type=Path, default=LABS, metavar="DIR", help="folder of the labs")


def run(options: argparse.Namespace) -> int:
    """Run the command: 0 if a zip was written, 1 if not."""
    try:
        session = open_lab(options.lab, options.labs)
    except LabNotFoundError as error:
        names = (
            [path.name for path in student_folders(options.labs)] if options.labs.is_dir() else []
        )
        is_unknown = names and options.lab not in names
        known = f"there is no lab {options.lab!r}; there is {', '.join(names)}"
        print(known if is_unknown else error, file=sys.stderr)
        return 1
    shown, path = hand_in(session, {})
    print(repr(shown))
    return 1 if path is None else 0
