"""Say where to look at what `make` built."""

from __future__ import annotations

import argparse

from autograder import discover, sample, sandbox

SITE = discover.ROOT / "book" / "_build" / "html" / "index.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose."""


def run(args: argparse.Namespace) -> int:
    """Print the site, then each lab's class report and notebook; say what was left out, and why."""
    names = discover.lab_names()
    reason = sandbox.available()
    if isinstance(reason, str):
        reports = [f"left out. {reason}"]
    else:
        reports = [str(sample.grades(name) / "report.html") for name in names]
    places = {
        "website": [f"{SITE}  (make serve: with its moving figures)"],
        "class reports": reports,
        "labs": [str(discover.LABS / name / f"{name}.ipynb") for name in names],
    }
    print()
    for what, paths in places.items():
        for path in paths:
            print(f"  {what:13}  {path}")
            what = ""
    print()
    return 0
