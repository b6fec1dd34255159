"""Packs one lab's grading for Gradescope: a zip that grades one submission in a container there.

It holds the answers and the course's seed. Gradescope keeps it from students; so must everybody.
"""

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder import bundle, discover, zygote
from autograder.course import Course, CourseError
from autograder.discover import LoadedLab
from autograder.errors import LabError
from autograder.gradescope_run import SETTINGS

OK, UNUSABLE = 0, 2
ENTRIES = ("autograder.gradescope_run", "autograder.zygote")
SCRIPTS = Path(__file__).parent / "gradescope_files"
COURSE_SECTION = "# the course"  # of requirements.txt: what students may import, whatever the lab
NOT_FOR_GRADING = frozenset(("nbgrader",))  # preflight asks it for times, which Gradescope keeps
VISIBILITIES = ("visible", "hidden", "after_due_date", "after_published")
PIN = re.compile(r"^(?P<name>[\w.-]+)==\S+$", re.MULTILINE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a bundle's maker chooses."""
    parser.add_argument("--to", type=Path, metavar="FILE", help="default: dist/gradescope_LAB.zip")
    parser.add_argument(
        "--timeout",
        type=float,
        default=600.0,
        metavar="S",
        help="Gradescope's limit for one submission (default: 600, as there)",
    )
    parser.add_argument(
        "--memory-limit", type=int, default=2048, metavar="MIB", help="per submission"
    )
    parser.add_argument(
        "--visibility",
        choices=VISIBILITIES,
        default=VISIBILITIES[0],
        help="when students see their results (default: at once)",
    )
    parser.add_argument(
        "--extra-index-url", metavar="URL", help="for pip there: PyTorch's index of CPU builds"
    )
    parser.add_argument(
        "--unsafe-no-sandbox",
        dest="isolate",
        action="store_false",
        help="grade there even without a sandbox: students' code can then read the answers",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the zip: 0 if it is there, 2 if it can't be, with a sentence on stderr."""
    target = arguments.to or bundle.DIST / f"gradescope_{arguments.lab}.zip"
    settings = {
        "lab": arguments.lab,
        "timeout": arguments.timeout,
        "memory_limit": arguments.memory_limit,
        "visibility": arguments.visibility,
        "isolate": arguments.isolate,
    }
    try:
        if not 60 <= arguments.timeout <= 2400:  # Gradescope's most is 40 minutes
            raise CourseError(f"a timeout of {arguments.timeout:g} s is not between 60 and 2400")
        if arguments.memory_limit < 256:
            raise CourseError(f"{arguments.memory_limit} MiB of memory are not enough: 256 or more")
        lab = discover.load(arguments.lab)
        files = contents(lab, Course(arguments.course), settings, arguments.extra_index_url)
        _write_secretly(target, bundle.packed(files))
    except (CourseError, LabError) as error:
        print(f"export: {error}", file=sys.stderr)
        return UNUSABLE
    except OSError as error:
        print(f"export: {target} cannot be written: {error.strerror}", file=sys.stderr)
        return UNUSABLE
    print(f"{target} is written: upload it under Configure Autograder")
    print("It holds the answers and the seed of the hidden cases: give it to nobody else.")
    if not arguments.isolate:
        print("WARNING: without a sandbox, whoever looks can read the answers.", file=sys.stderr)
    return OK


def contents(
    lab: LoadedLab,
    course: Course,
    settings: Mapping[str, object],
    extra_index_url: str | None = None,
) -> dict[str, bytes]:
    """Return the files of a bundle by their path in it.

    Args:
        lab: the lab.
        course: gives the seed and the notebook that was handed out.
        settings: those of `gradescope_run.Settings`, but for the seed.
        extra_index_url: where pip may look besides its own index.

    Raises:
        CourseError: if the course directory cannot be used.
        LabError: if the lab is at fault.
    """
    from autograder.release import release

    course.source(lab)
    notebook = release(course.root, lab.name)
    files = {path.name: path.read_bytes() for path in SCRIPTS.iterdir()}
    for name, folder in (
        ("autograder", Path(__file__).parent),
        ("public/labkit", bundle.ROOT / "labs" / "labkit"),
        (f"solutions/{lab.name}", lab.path),
    ):
        for path in bundle.kept(folder):
            if not path.name.startswith("test_"):
                files[f"{name}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    files["solutions/__init__.py"] = b""
    files[f"release/{lab.name}.ipynb"] = notebook.read_bytes()
    files[SETTINGS] = json.dumps(dict(settings) | {"seed": course.seed}).encode()
    lines = requirements(files)
    if extra_index_url:
        lines.insert(0, f"--extra-index-url {extra_index_url}")
    files["requirements.txt"] = "".join(f"{line}\n" for line in lines).encode()
    return files


def requirements(files: Mapping[str, bytes]) -> list[str]:
    """Return the pins that grading with these files needs.

    These are the packages that every lab's students may use, and what is imported by labkit, the
    lab, its notebook, those modules of the autograder that run there, and the fork server.
    """
    listing = (bundle.ROOT / "requirements.txt").read_text("utf-8")
    section = listing.partition(COURSE_SECTION)[2].partition("\n\n")[0]
    wanted = {_plain(found["name"]) for found in PIN.finditer(section)}
    imported = {name.partition(".")[0] for name in zygote.IMPORTS}
    imported |= {name for path in _running(files) for name in _imports(files[path].decode())}
    for path in (path for path in files if path.endswith(".ipynb")):
        imported |= set(_notebook_imports(files[path].decode()))
    distributions = importlib.metadata.packages_distributions()
    for name in imported - NOT_FOR_GRADING:
        wanted |= {_plain(found) for found in distributions.get(name, ())}
    return [found[0] for found in PIN.finditer(listing) if _plain(found["name"]) in wanted]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _running(files: Mapping[str, bytes]) -> Iterator[str]:
    """Python files that run there: of the autograder, those that its entries lead to."""
    yield from (path for path in files if path.endswith(".py") and path[:11] != "autograder/")
    todo, seen = list(ENTRIES), set()
    while todo:
        path = todo.pop().replace(".", "/") + ".py"
        if path in files and path not in seen:
            seen.add(path)
            todo += _own_modules(ast.parse(files[path]).body)
    yield from sorted(seen)


def _own_modules(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Modules of the autograder that a module imports when it is imported itself."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _imports(text: str) -> Iterator[str]:
    """Top-level names of what is imported anywhere in a text."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _notebook_imports(text: str) -> Iterator[str]:
    notebook: NotebookNode = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            lines = [line for line in cell.source.splitlines() if line.lstrip()[:1] not in "%!"]
            try:
                yield from _imports("\n".join(lines))
            except SyntaxError:  # a stub to complete, a magic in the middle of a line
                continue


def _write_secretly(target: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)  # noqa: PTH105
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
