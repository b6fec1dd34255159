"""Which lab this notebook is, where its files are, and how far the student has come."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from labkit.rendering import Heading, Page, Text, page, show
from labkit.runtime import device, profile

PUBLIC_CASES = "public_cases.json"
Public = dict[str, Any]
"""A lab's ``public_cases.json``: exercises with public cases as data, never code."""


class LabNotFoundError(Exception):
    """The lab's files are not where this notebook looks; the message says what to do."""


@dataclasses.dataclass
class Session:
    """A lab in progress.

    Attributes:
        lab: its name, which is also the name of its folder and notebook.
        folder: where ``public_cases.json`` is.
        public: what that file holds.
        ready: the exercises checked so far, and whether they passed.
        failing: the first failing input of the latest check, as keyword arguments.
    """

    lab: str
    folder: Path
    public: Public
    ready: dict[str, bool] = dataclasses.field(default_factory=dict)
    failing: dict[str, Any] | None = None

    @property
    def names(self) -> list[str]:
        """The exercises, in the lab's order."""
        return [item["name"] for item in self.public["exercises"]]

    def item(self, name: str) -> dict[str, Any]:
        """Return what is public about an exercise.

        Raises:
            KeyError: if the lab has no such exercise.
        """
        for item in self.public["exercises"]:
            if item["name"] == name:
                return dict(item)
        raise KeyError(name)

    def progress(self) -> str:
        """Return a sentence on how many exercises pass and what they are worth."""
        items = self.public["exercises"]
        ready = [item for item in items if self.ready.get(item["name"])]
        points = sum(item["points"] for item in ready)
        total = self.public["total"]
        written = total - sum(item["points"] for item in items)
        text = f"{len(ready)} of {len(items)} exercises, {points:g} of {total:g} points"
        if len(ready) < len(items):
            return f"{text} within reach. The grader runs more cases than these."
        by_hand = f" {written:g} more for written answers, graded by hand." if written > 0 else ""
        return (
            f"{text} within reach: everything passes here.{by_hand} The grader runs more cases "
            "than these. Save the notebook, then run `labkit.submit()`."
        )


_current: Session | None = None


def current() -> Session:
    """Return the lab that was started, or the one whose files lie in the current folder.

    Raises:
        LabNotFoundError: if there is neither.
    """
    global _current
    if _current is None:
        if not (Path.cwd() / PUBLIC_CASES).is_file():
            raise LabNotFoundError(
                "No lab is started yet: run the notebook's first cell, then this one again."
            )
        _current = open_lab(None)
    return _current


def folder() -> Path:
    """Return the folder of the lab that was started, or the current one."""
    return Path.cwd() if _current is None else _current.folder


def open_lab(lab: str | None, start: Path | None = None) -> Session:
    """Find and read a lab's public cases.

    Args:
        lab: its name; None for the lab in the folder itself.
        start: where to look, there and in ``labs/`` below it; by default the current folder.

    Raises:
        LabNotFoundError: if there are none, or they cannot be read.
    """
    start = start or Path.cwd()
    folders = [start]
    if lab is not None:
        folders += [start / lab, start / "labs" / lab, start.parent / lab]
    damaged = ""
    for folder in folders:
        try:
            public = json.loads((folder / PUBLIC_CASES).read_bytes())
            if lab in (None, public["lab"]):
                return Session(public["lab"], folder, public)
        except OSError:
            continue
        except (ValueError, KeyError, TypeError, RecursionError):
            damaged = f"{PUBLIC_CASES} in {folder} is damaged: download the lab again."
    raise LabNotFoundError(
        damaged
        or f"The file {PUBLIC_CASES} of {lab or 'the lab'} is not in {start}. It lies next to the "
        "notebook in the lab's folder: download the whole folder, or open the notebook there."
    )


def start(lab: str) -> None:
    """Begin a lab: find its files and say in a line where it runs.

    While a submission is graded it says nothing: the grader brings its own cases.

    Args:
        lab: the lab's name, for example ``"lab02_q_learning_sarsa"``.
    """
    global _current
    if "NBGRADER_EXECUTION" in os.environ:
        with contextlib.suppress(LabNotFoundError):
            _current = open_lab(lab)
        return
    show(started(lab))


def started(lab: str) -> Page:
    """Make ``lab`` the current one and return what to say about it."""
    global _current
    notes = [Text(problem) for problem in _version_problems()]
    try:
        _current = open_lab(lab)
    except LabNotFoundError as error:
        _current = None
        return page(Heading("fail", f"`{lab}` is not complete here"), Text(str(error)), *notes)
    title = _current.public.get("title") or lab
    sizes = {"cpu": "small sizes", "gpu": "GPU sizes"}[profile()]
    ready = f"{title}: ready, on {device()} with {sizes} (profile `{profile()}`)"
    return page(Heading("note", ready), *notes)


def _version_problems() -> list[str]:
    """What is missing or too old, by the bounds that labkit itself was installed with."""
    problems: list[str] = []
    try:
        needed = importlib.metadata.requires("labkit") or []
        python = importlib.metadata.metadata("labkit").json.get("requires_python", "")
    except importlib.metadata.PackageNotFoundError:
        return problems
    if not SpecifierSet(str(python)).contains(platform.python_version(), prereleases=True):
        problems.append(f"Python {platform.python_version()} is too old: the labs need {python}.")
    for line in needed:
        try:
            requirement = Requirement(line)
            if requirement.marker is not None and not requirement.marker.evaluate():
                continue
            version = importlib.metadata.version(requirement.name)
        except InvalidRequirement:
            continue
        except importlib.metadata.PackageNotFoundError:
            problems.append(f"{requirement.name} is missing: run `pip install {requirement.name}`.")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wanted = f"{requirement.name}{requirement.specifier}"
            problems.append(
                f'{requirement.name} {version} is too old: run `pip install -U "{wanted}"`.'
            )
    return problems
