"""Open nbgrader's own interface on a course's gradebook, in the browser.

What follows ``--`` goes to the Jupyter server, for instance ``-- --no-browser --port 9000``.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from autograder import discover, nbgrader_config

FIRST_PAGE = "/formgrader"
GUARD = "autograder.formgrader_server"
# nbgrader's own formgrader has no guard, and its other parts are for students.
EXTENSIONS = {GUARD: True} | {
    f"nbgrader.server_extensions.{name}": False
    for name in ("formgrader", "validate_assignment", "assignment_list", "course_list")
}


def options(course: Path) -> list[str]:
    """Return the options of JupyterLab's server.

    A submission can be opened in it to be read. It starts no kernel and no terminal: a student's
    code runs in the sandbox alone.
    """
    return [
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        f"--ServerApp.root_dir={course}",
        f"--LabApp.default_url={FIRST_PAGE}",
        *(f"--ServerApp.jpserver_extensions={name}={on}" for name, on in EXTENSIONS.items()),
        "--ServerApp.terminals_enabled=False",
        "--KernelSpecManager.allowed_kernelspecs=none",
        "--KernelSpecManager.ensure_native_kernel=False",
        "--LabApp.extension_manager=readonly",
    ]


def environment() -> dict[str, str]:
    """The server's environment: nbgrader calls ``alembic`` by name."""
    scripts = str(Path(sys.executable).parent)
    return os.environ | {"PATH": os.pathsep.join((scripts, os.environ.get("PATH", "")))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which gradebook, and how to serve it."""
    parser.add_argument(
        "--course",
        type=Path,
        default=discover.COURSE,
        metavar="DIR",
        help="course directory (default: build/course)",
    )
    parser.add_argument(
        "--db-url",
        metavar="URL",
        help="a gradebook elsewhere, as SQLAlchemy names it; leave its password to ~/.pgpass",
    )
    parser.add_argument("jupyter", nargs="*", help="options of the Jupyter server, after --")


def run(args: argparse.Namespace) -> int:
    """Serve until somebody stops it, and end; return 2 if there is nothing to show."""
    course = args.course.resolve()
    if complaint := unusable(course, args.db_url):
        print(f"formgrader: {complaint}", file=sys.stderr)
        return 2
    from jupyterlab.labapp import LabApp

    os.environ.update(environment())
    if args.db_url:
        from autograder.course import Course

        os.environ[nbgrader_config.DB_URL] = Course(course, args.db_url).db_url
    os.chdir(course)
    LabApp.launch_instance([*options(course), *args.jupyter])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # threads that Jupyter leaves behind would keep the process


def unusable(course: Path, db_url: str | None) -> str:
    """Say in a sentence why there is nothing to show, or nothing."""
    from autograder.course import Course, CourseError

    if not (course / "release").is_dir():
        return f"{course} is no course yet: grade a class first (make grade)"
    if db_url is None and not (course / "gradebook.db").exists():
        return f"{course} has no gradebook: grade a class first (make grade), or name --db-url"
    try:
        nbgrader_config.write(course)
        with Course(course, db_url).gradebook() as gradebook:
            gradebook.assignments  # noqa: B018  # asks it something
    except (CourseError, OSError) as error:
        return str(error)
    return ""
