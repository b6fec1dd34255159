"""Finds labs: the one module that knows the folders. A lab exists because its folder does."""

from __future__ import annotations

import dataclasses
import importlib
import re
import sys
import traceback
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from autograder.errors import LabError
from autograder.mutate import EditError, mutated_definition, run_mutated
from autograder.sources import Source, call_lines
from autograder.spec import Exercise, Item, Mutant

if TYPE_CHECKING:
    from autograder.labfile import LabFile

ROOT = Path(__file__).resolve().parents[1]
SOLUTIONS = ROOT / "solutions"
LABS = ROOT / "labs"
COURSE = ROOT / "build" / "course"
NAME = re.compile(r"lab\d\d_[a-z0-9]+(_[a-z0-9]+)*")
FILES = ("lab.md", "reference.py", "checks.py")


@dataclasses.dataclass(frozen=True)
class Points:
    """What one item of a lab is worth."""

    name: str
    points: float


@dataclasses.dataclass(frozen=True)
class Outline:
    """A lab as a process knows it that has not imported it: its code may need gigabytes.

    Attributes:
        name: its folder, ``labNN_topic``.
        path: where the folder is.
        items: exercises, predictions, choices and outcomes in the order of ``checks.py``.
    """

    name: str
    path: Path
    items: tuple[Points, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class LoadedLab:
    """A lab as its author wrote it.

    Attributes:
        name: its folder, ``labNN_topic``.
        path: where the folder is.
        items: exercises, predictions, choices and outcomes in the order of ``checks.py``.
        reference: the imported ``reference.py``.
        checks: the imported ``checks.py``.
    """

    name: str
    path: Path
    items: tuple[Item, ...]
    reference: ModuleType
    checks: ModuleType

    @cached_property
    def labfile(self) -> LabFile:
        """The parsed ``lab.md``; read when it is first asked for, since grading has no use for it.

        Raises:
            LabError: if it cannot be parsed.
        """
        from autograder import labfile

        return labfile.read(self.path / "lab.md")

    @cached_property
    def source(self) -> Source:
        """The text of ``reference.py``."""
        return Source(self.path / "reference.py")

    @cached_property
    def checks_source(self) -> Source:
        """The text of ``checks.py``."""
        return Source(self.path / "checks.py")

    @property
    def exercises(self) -> tuple[Exercise, ...]:
        return tuple(item for item in self.items if isinstance(item, Exercise))

    def item(self, name: str) -> Item:
        """Return the exercise, prediction, choice or outcome of that name.

        Raises:
            KeyError: if there is none.
        """
        return {item.name: item for item in self.items}[name]

    def line_of(self, item: Item) -> int:
        """Return the line of ``checks.py`` where an item is declared."""
        return min(call_lines(self.checks_source, type(item).__name__, item.name), default=1)

    def line_of_mutant(self, exercise: Exercise, mutant: Mutant) -> int:
        """Return the line of ``checks.py`` where a mutant is declared."""
        start = self.line_of(exercise)
        lines = call_lines(self.checks_source, "Mutant", mutant.name)
        return min((line for line in lines if line >= start), default=start)

    def mutated(self, exercise: Exercise, mutant: Mutant) -> Any:
        """Return the exercise's function or class after the mutant's edit.

        Raises:
            LabError: if the edit does not apply.
        """
        try:
            return run_mutated(
                self.source, self.reference.__name__, exercise.name, mutant.old, mutant.new
            )
        except EditError as error:
            raise self._edit_error(exercise, mutant, error) from None

    def mutated_text(self, exercise: Exercise, mutant: Mutant) -> str:
        """Return the text of the exercise's definition after the mutant's edit.

        Raises:
            LabError: if the edit does not apply.
        """
        try:
            definition = self.source.definitions[exercise.name]
            return mutated_definition(definition, mutant.old, mutant.new)
        except EditError as error:
            raise self._edit_error(exercise, mutant, error) from None

    def _edit_error(self, exercise: Exercise, mutant: Mutant, error: EditError) -> LabError:
        message = f"mutant `{mutant.name}` of `{exercise.name}` {error}"
        return LabError(message, self.path / "checks.py", self.line_of_mutant(exercise, mutant))


def lab_names(root: Path = SOLUTIONS) -> list[str]:
    """Return the names of the labs in ``root``, in order."""
    if not root.is_dir():
        raise LabError("there is no such folder", root)
    return sorted(path.name for path in root.iterdir() if path.is_dir() and is_lab(path.name))


def student_folders(labs: Path = LABS) -> list[Path]:
    """Return the folders of generated labs in ``labs``, in order."""
    return sorted(path for path in labs.iterdir() if path.is_dir() and is_lab(path.name))


def is_lab(name: str) -> bool:
    """Return whether a folder of that name is a lab."""
    return NAME.fullmatch(name) is not None


def folder(name: str, root: Path = SOLUTIONS) -> Path:
    """Return the folder of a lab without importing it.

    Raises:
        LabError: if there is no such lab, or a file of it is missing.
    """
    path = root.resolve() / name
    if not is_lab(name):
        raise LabError(f"{name!r} is not the name of a lab: labs are called labNN_topic")
    if not path.is_dir():
        known = ", ".join(lab_names(root)) or "none"
        raise LabError(f"there is no lab {name!r}; there is {known}")
    for file in FILES:
        if not (path / file).is_file():
            raise LabError(f"lab {name} has no {file}", path)
    return path


def load(name: str, root: Path = SOLUTIONS) -> LoadedLab:
    """Import a lab afresh.

    ``root`` is a package; a folder of the same name elsewhere (``tests/toy/solutions``) adds its
    labs to that package, so that every lab is imported as ``solutions.labNN_topic``.

    Raises:
        LabError: if there is no such lab, a file of it is missing, or importing it fails.
    """
    path = folder(name, root)
    checks = _import_lab(path)
    items = {id(value): value for value in vars(checks).values() if isinstance(value, Item)}
    return LoadedLab(
        name=name,
        path=path,
        items=tuple(items.values()),
        reference=sys.modules[f"{path.parent.name}.{name}.reference"],
        checks=checks,
    )


def load_all(root: Path = SOLUTIONS) -> list[LoadedLab]:
    """Import every lab of ``root``, in order."""
    return [load(name, root) for name in lab_names(root)]


def _import_lab(path: Path) -> ModuleType:
    root, package_name = path.parent, path.parent.name
    if str(root.parent) not in sys.path:
        sys.path.append(str(root.parent))
    package = importlib.import_module(package_name)
    package.__path__ = [str(root), *(p for p in package.__path__ if p != str(root))]
    full_name = f"{package_name}.{path.name}"
    for loaded in [n for n in sys.modules if n == full_name or n.startswith(full_name + ".")]:
        del sys.modules[loaded]
    importlib.invalidate_caches()
    try:
        importlib.import_module(f"{full_name}.reference")
        return importlib.import_module(f"{full_name}.checks")
    except SyntaxError as error:
        file = Path(error.filename or path)
        raise LabError(f"not Python: {error.msg}", file, error.lineno or 1) from None
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if Path(f.filename).is_relative_to(path)]
        file, line = (Path(own[-1].filename), own[-1].lineno or 0) if own else (path, 0)
        raise LabError(f"{type(error).__name__}: {error}", file, line) from error
