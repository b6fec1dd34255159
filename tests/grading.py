"""A toy course to grade in, and the sample class as it was graded."""

from __future__ import annotations

import argparse
import html.parser
import re
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from autograder import discover, sample
from autograder.course import Course
from autograder.discover import LoadedLab
from autograder.sample_class import Case, cases

TOY = Path(__file__).parent / "toy" / "solutions"
LAB = "lab00_toy"
NOTEBOOK = f"{LAB}.ipynb"


@pytest.fixture(scope="session")
def toy_lab() -> LoadedLab:
    """The lab with an exercise of every kind."""
    return discover.load(LAB, TOY)


@pytest.fixture(scope="session")
def toy_course(tmp_path_factory: pytest.TempPathFactory, toy_lab: LoadedLab) -> Course:
    """A course directory in which the toy lab is released; for reading only."""
    course = Course(tmp_path_factory.mktemp("toy") / "course")
    course.assign(toy_lab)
    return course


@pytest.fixture
def course(tmp_path: Path, toy_course: Course) -> Course:
    """A course directory of one's own, with the toy lab and nobody's grades."""
    shutil.copytree(toy_course.root, tmp_path / "course")
    return Course(tmp_path / "course")


@pytest.fixture(scope="session")
def toy_cases(toy_lab: LoadedLab, toy_course: Course) -> dict[str, Case]:
    """The toy lab's sample class by what is the matter with each submission."""
    return {case.name: case for case in cases(toy_lab, toy_course)}


class Threads:
    """A pool in this very process, where what workers do can be replaced."""

    def __init__(
        self, workers: int, scheduler: str | None = None, libraries: Sequence[str] = ()
    ) -> None:
        assert scheduler is None
        self.width = workers
        self._threads = ThreadPoolExecutor(workers)

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def submit(self, function: Callable[[Any], Any], argument: Any) -> Future[Any]:
        return self._threads.submit(function, argument)

    def start(self, function: Callable[[Any], Any], argument: Any) -> dict[str, Future[Any]]:
        return {"the only worker": self.submit(function, argument)}

    def deaths(self, error: BaseException) -> int:
        return 0

    def check(self) -> None:
        """Threads don't go."""


def hand_in(folder: Path, student_id: str, files: dict[str, bytes]) -> Path:
    """Write what a student hands in, in nbgrader's layout, and return its folder."""
    target = folder / student_id / LAB
    target.mkdir(parents=True)
    for name, raw in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(raw)
    return target


class _Fetched(html.parser.HTMLParser):
    """Collects what a page has its reader fetch, in one pass: there are hundreds of pages."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.styles: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        for name, value in attrs:
            if name in ("src", "srcset", "poster", "data") or (tag, name) == ("link", "href"):
                self.addresses.append(value or "")
            if name == "style":
                self.styles.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles.append(data)


def fetched_from_elsewhere(page: str) -> list[str]:
    """Return what a browser would ask other machines for when it opens this HTML."""
    parser = _Fetched()
    parser.feed(page)
    parser.close()
    asked = parser.addresses
    for style in parser.styles:
        asked += fetched_by_style(style)
    return [address for address in asked if urlsplit(address).netloc]


@lru_cache
def fetched_by_style(style: str) -> list[str]:
    """Return the addresses in a style sheet; most pages have the same ones."""
    rules = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    return re.findall(r"""(?:url\(|@import)\s*["']?([^"')\s]+)""", rules)


def sample_class() -> Path:
    """Return the folder of the graded sample class; graded afresh if any source is newer."""
    home = sample.HOME
    made = [sample.grades(name) / "report.html" for name in discover.lab_names()]
    sources = [
        path
        for folder in ("autograder", "solutions", "labs/labkit")
        for path in (discover.ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".txt") and "egg-info" not in str(path)
    ]
    newest = max(path.stat().st_mtime for path in sources)
    if not all(path.exists() and path.stat().st_mtime > newest for path in made):
        assert sample.run(argparse.Namespace()) == 0
    return home
