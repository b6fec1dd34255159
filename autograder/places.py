"""Say where to look at what `make` built."""

from __future__ import annotations

import argparse

from autograder import discover, sample, sandbox

SITE = discover.ROOT / "book" / "_build" / "html" / "index.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose."""


def run(args: argparse.Namespace) -> int:
    """Print the site, each lab's class report and notebook; say what was left out, and why."""
    places = [("website", f"{SITE}  (make serve: with its moving figures)")]
    reason = sandbox.available()
    for name in discover.lab_names():
        report = sample.grades(name) / "report.html"
        places += [
            ("class report", f"left out. {reason}" if isinstance(reason, str) else str(report)),
            ("lab", str(discover.LABS / name / f"{name}.ipynb")),
        ]
    print("\n" + "\n".join(f"  {what:12}  {place}" for what, place in places) + "\n")
    return 0
