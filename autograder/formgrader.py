"""Open nbgrader's own interface on a course's gradebook, in JupyterLab."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from autograder import discover, nbgrader_config

FIRST_PAGE = "/formgrader"


def command(course: Path, *options: str) -> list[str]:
    """The server's command line; to be run in the course directory, whose configuration it reads.

    Args:
        course: the course directory.
        options: more of Jupyter's own options.
    """
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return [
        *(sys.executable, "-m", "jupyterlab", *root),
        f"--ServerApp.root_dir={course}",
        f"--ServerApp.default_url={FIRST_PAGE}",
        "--LabApp.extension_manager=readonly",
        *options,
    ]


def environment() -> dict[str, str]:
    """The server's environment: nbgrader calls ``alembic`` by name."""
    scripts = str(Path(sys.executable).parent)
    return os.environ | {"PATH": os.pathsep.join((scripts, os.environ.get("PATH", "")))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which gradebook."""
    parser.add_argument(
        "--course",
        type=Path,
        default=discover.COURSE,
        metavar="DIR",
        help="course directory (default: build/course)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until somebody stops it; the server's exit code."""
    course = args.course.resolve()
    if not (course / "gradebook.db").exists():
        print(f"{course} has no gradebook yet: grade a class first (make grade)", file=sys.stderr)
        return 2
    nbgrader_config.write(course)
    try:
        return subprocess.call(command(course), cwd=course, env=environment())
    except KeyboardInterrupt:
        return 0
