"""Reads ``lab.md``: a MyST notebook whose code cells may stand for exercises."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, Literal

from myst_nb.core.read import (  # type: ignore[import-untyped]
    MystMetadataParsingError,
    read_myst_markdown_notebook,
)

from autograder.errors import LabError

Kind = Literal["prose", "code", "exercise", "provided", "train", "question", "answer"]
MARKERS: tuple[Literal["exercise", "provided", "train"], ...] = ("exercise", "provided", "train")
RATINGS = ("difficulty", "importance")
OPTIONS = (*MARKERS, *RATINGS, "minutes")
KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
SLUG = re.compile(r"[a-z][a-z0-9_-]*")


@dataclasses.dataclass(frozen=True)
class LabCell:
    """One cell of ``lab.md``.

    Attributes:
        kind: ``answer`` is the model answer of the question before it, for instructors.
        source: its text; empty for a marker that stands for generated code.
        line: where it starts, counted from 1.
        name: of the exercise, the training or the question.
        names: of the definitions that ``:provided:`` pastes.
        points: of a written question.
        difficulty: from 1 to 5; None if the author doesn't say.
        importance: from 1 to 5; None if the author doesn't say.
        minutes: how long it takes; None if the author doesn't say.
    """

    kind: Kind
    source: str
    line: int
    name: str = ""
    names: tuple[str, ...] = ()
    points: float = 0.0
    difficulty: int | None = None
    importance: int | None = None
    minutes: int | None = None


@dataclasses.dataclass(frozen=True)
class LabFile:
    """All of ``lab.md``: its front matter and its cells in order."""

    path: Path
    title: str
    total: float
    minutes: int
    cells: tuple[LabCell, ...]

    def of_kind(self, kind: Kind) -> list[LabCell]:
        return [cell for cell in self.cells if cell.kind == kind]

    @property
    def total_line(self) -> int:
        """The line that says how many points there are."""
        lines = self.path.read_text("utf-8").splitlines()
        return next((n for n, text in enumerate(lines, 1) if text.startswith("total:")), 1)


def read(path: Path) -> LabFile:
    """Parse a ``lab.md``.

    Raises:
        LabError: if a marker, an option or the front matter is not what it should be.
    """
    text = path.read_text("utf-8")
    try:
        notebook = read_myst_markdown_notebook(text, add_source_map=True, path=path)
    except MystMetadataParsingError as error:
        found = re.search(r"at line (\d+)", str(error))
        raise LabError(str(error), path, int(found[1]) if found else 1) from None
    lines = text.splitlines()
    starts: list[int] = notebook.metadata.pop("source_map")
    cells: list[LabCell] = []
    for raw, start in zip(notebook.cells, starts, strict=True):
        if raw.cell_type == "code":
            cells.append(_Options(dict(raw.metadata), path, lines, start).cell(raw.source))
        elif raw.cell_type == "markdown":
            while start < len(lines) and not lines[start].strip():
                start += 1
            cells.append(_text_cell(raw.source, dict(raw.metadata), path, start + 1))
        else:
            raise LabError("a lab has no raw cells", path, start)
    _check_answers(cells, path)
    header = notebook.metadata
    return LabFile(
        path=path,
        title=str(_field(header, "title", str, path)),
        total=float(_field(header, "total", (int, float), path)),
        minutes=int(_field(header, "minutes", int, path)),
        cells=tuple(cells),
    )


def _field(header: dict[str, Any], name: str, types: Any, path: Path) -> Any:
    value = header.get(name)
    if not isinstance(value, types) or isinstance(value, bool):
        wanted = "a text" if types is str else "a number"
        raise LabError(f"the front matter needs `{name}:`, {wanted}", path, 1)
    return value


class _Options:
    """The options of one code cell, each with the line that it stands in."""

    def __init__(self, options: dict[str, Any], path: Path, lines: list[str], fence: int) -> None:
        self.options, self.path, self.lines, self.fence = options, path, lines, fence

    def line(self, option: str) -> int:
        for number in range(self.fence + 1, len(self.lines) + 1):
            if self.lines[number - 1].lstrip().startswith(f":{option}:"):
                return number
        return self.fence  # the options are written as a block of YAML

    def error(self, message: str, option: str) -> LabError:
        return LabError(message, self.path, self.line(option))

    def cell(self, source: str) -> LabCell:
        for option in self.options:
            if option not in OPTIONS:
                known = ", ".join(OPTIONS)
                raise self.error(f"unknown option `:{option}:`; there are {known}", option)
        kinds = [marker for marker in MARKERS if marker in self.options]
        if not kinds:
            for option in self.options:
                raise self.error(f"`:{option}:` needs `:exercise:` beside it", option)
            return LabCell("code", source, self.fence)
        kind, body = kinds[0], source.strip()
        if len(kinds) > 1:
            raise self.error(f"a cell is `:{kind}:` or `:{kinds[1]}:`, not both", kinds[1])
        if kind == "train" and not body:
            raise self.error("a `:train:` cell needs the code that trains", kind)
        if kind != "train" and body:
            raise self.error(f"an `:{kind}:` cell is generated and has no code of its own", kind)
        names = tuple(part.strip() for part in str(self.options[kind]).split(","))
        if not all(name.isidentifier() for name in names):
            raise self.error(f"`:{kind}: {self.options[kind]}` does not name anything", kind)
        if kind == "provided":
            return LabCell(kind, "", self.line(kind), names=names)
        if len(names) > 1:
            raise self.error(f"`:{kind}:` takes one name", kind)
        return LabCell(
            kind,
            body,
            self.line(kind),
            name=names[0],
            difficulty=self.number("difficulty"),
            importance=self.number("importance"),
            minutes=self.number("minutes"),
        )

    def number(self, name: str) -> int | None:
        if name not in self.options:
            return None
        text = str(self.options[name]).strip()
        highest = 5 if name in RATINGS else 600
        if not text.isdecimal() or not 1 <= int(text) <= highest:
            raise self.error(f"`:{name}: {text}` should be from 1 to {highest}", name)
        return int(text)


def _text_cell(source: str, metadata: dict[str, Any], path: Path, line: int) -> LabCell:
    if metadata == {"audience": "instructor"}:
        return LabCell("answer", source, line)
    if metadata.keys() == {"question", "points"}:
        slug, points = metadata["question"], metadata["points"]
        if not isinstance(slug, str) or not SLUG.fullmatch(slug):
            raise LabError(f"the question's name {slug!r} is not a slug", path, line)
        if not isinstance(points, int | float) or points <= 0:
            raise LabError(f"question `{slug}` needs a number of points", path, line)
        return LabCell("question", source, line, name=slug, points=float(points))
    if metadata:
        raise LabError(
            'a `+++` line holds {"question": "slug", "points": N} or {"audience": "instructor"}',
            path,
            line,
        )
    return LabCell("prose", source, line)


def _check_answers(cells: list[LabCell], path: Path) -> None:
    """Every question is followed by its model answer, and there are no others."""
    for index, cell in enumerate(cells):
        after = cells[index + 1].kind if index + 1 < len(cells) else None
        if cell.kind == "question" and after != "answer":
            raise LabError(
                f'question `{cell.name}` needs its model answer after it: +++ {{"audience": '
                '"instructor"}',
                path,
                cell.line,
            )
        if cell.kind == "answer" and (index == 0 or cells[index - 1].kind != "question"):
            raise LabError("text for instructors stands right after a question", path, cell.line)
