"""What a worker does, in whichever process or machine it runs: one submission, as plain data.

A `Task` travels as bytes and numbers, a `SubmissionResult` comes back. What every submission of
a run needs (the loaded lab, what is right on its cases) is made once per process and kept.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import platform
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from autograder import discover
from autograder.discover import LoadedLab, Outline, Points
from autograder.results import SubmissionResult

if TYPE_CHECKING:
    from autograder.sandbox import Address

VERSIONED = ("numpy", "torch", "nbgrader", "from-rewards-to-language-models")
COMPARED = ("numpy", "torch")  # what a number in a result can depend on, beside our own code
TORCH = re.compile(r"^(?:import|from) torch\b", re.MULTILINE)
LABKIT = re.compile(r"\blabkit(?:\.| import )(\w+)")

Code = tuple[tuple[str, str], ...]

_loading = threading.Lock()


class MismatchError(RuntimeError):
    """This process would not judge as the one that asks would, said in one sentence."""


@dataclasses.dataclass(frozen=True)
class Assignment:
    """What all submissions of a run share.

    Attributes:
        lab: its name.
        labs: the folder of the labs' sources; where there is none, the worker's own course.
        checks: `checks_of` the lab.
        course_seed: draws the hidden cases.
        time_limit: seconds per call; None for each exercise's own.
        memory_limit: MiB per submission.
        isolate: False runs submissions without a sandbox.
        forks: the fork server that all workers of this machine share; None for one of their own.
        code: `code_of` the process that asks; empty where nothing else can run, as on one machine.
    """

    lab: str
    labs: str
    checks: str
    course_seed: int
    time_limit: float | None
    memory_limit: int
    isolate: bool
    forks: Address | None = None
    code: Code = ()


@dataclasses.dataclass(frozen=True)
class Task:
    """A submission that can be run.

    Attributes:
        files: the completed notebook ``<lab>.ipynb`` and what lies beside it, by relative path.
        untouched: grade ids of the cells that stand as they were released.
        names_torch: the student's own code may answer with tensors.
    """

    assignment: Assignment
    files: dict[str, bytes]
    untouched: tuple[str, ...]
    names_torch: bool = False


def judge_task(task: Task) -> SubmissionResult:
    """Run and judge a submission.

    Raises:
        MismatchError: if the lab or the grader is not the one that the task was made with.
        SandboxError: if a student's process cannot be started here.
        LabError: if the lab is at fault.
    """
    from autograder import sandbox
    from autograder.judge import judge_files

    assignment = task.assignment
    if task.names_torch:  # takes seconds, which would count as the student's at the first tensor
        importlib.import_module("torch")
    if assignment.forks is not None:
        sandbox.use(assignment.forks)
    return judge_files(
        _lab(assignment),
        task.files,
        frozenset(task.untouched),
        course_seed=assignment.course_seed,
        time_limit=assignment.time_limit,
        memory_limit=assignment.memory_limit,
        isolate=assignment.isolate,
    )


def get_ready(assignment: Assignment) -> Outline:
    """Load what every submission of a run needs, and return what the lab asks for.

    Raises:
        MismatchError: if the lab or the grader is another one here.
        LabError: if the lab is at fault.
    """
    from autograder import referee

    lab = _lab(assignment)
    referee.expected_of(lab, assignment.course_seed)
    items = tuple(Points(item.name, item.points) for item in lab.items)
    return Outline(lab.name, lab.path, items)


def get_ready_alone(assignment: Assignment) -> Outline:
    """Do the same in a worker that has to isolate submissions by its own means.

    Raises:
        SandboxError: if it can't, beside what `get_ready` raises.
    """
    from autograder import fork_server, sandbox

    if assignment.isolate:
        sandbox.share(fork_server.libraries_of(_lab(assignment).path))
    return get_ready(assignment)


def _lab(assignment: Assignment) -> LoadedLab:
    """The lab, loaded once, also where one process judges in several threads."""
    with _loading:
        return _load(assignment.lab, assignment.labs, assignment.checks, assignment.code)


@functools.lru_cache(maxsize=4)
def _load(name: str, where: str, checks: str, code: Code) -> LoadedLab:
    ours = dict(code_of()) if code else {}
    for part, theirs in code:
        if ours[part] != theirs:
            raise MismatchError(f"it has {part} {ours[part]}, this machine {theirs}")
    labs = Path(where) if Path(where).is_dir() else discover.SOLUTIONS
    if checks_of(discover.folder(name, labs)) != checks:
        raise MismatchError(f"{labs / name} is not what it was when grading started")
    return discover.load(name, labs)


def slow_imports_of(lab: Path) -> list[str]:
    """Return what takes long to import and is imported with a lab, as far as its files tell."""
    import labkit

    own = "\n".join((lab / name).read_text("utf-8") for name in ("reference.py", "checks.py"))
    parts = (Path(labkit.__file__).with_name(f"{name}.py") for name in LABKIT.findall(own))
    texts = [own, *(path.read_text("utf-8") for path in parts if path.is_file())]
    return ["torch"] if any(map(TORCH.search, texts)) else []


def versions() -> dict[str, str]:
    """Return the version of everything that results name."""
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in VERSIONED
    }


@functools.cache
def code_of() -> Code:
    """Return by name what must be the same wherever the submissions of a run are judged."""
    import labkit

    packages = {"autograder": Path(__file__).parent, "labkit": Path(labkit.__file__).parent}
    return (
        ("python", platform.python_version()),
        *((name, importlib.metadata.version(name)) for name in COMPARED),
        *((name, _digest(sorted(root.rglob("*.py")))) for name, root in packages.items()),
    )


def checks_of(lab: Path) -> str:
    """Return a digest of the files in a lab's folder that judging depends on."""
    return _digest(p for p in sorted(lab.glob("*.py")) if not p.name.startswith("test_"))


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
