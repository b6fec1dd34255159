"""The ``{course-map}`` directive: the course's chapters, and which of them can be read today."""

from __future__ import annotations

import html
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

COUNTS = ["no", "one", "two", "three", "four", "five", "six", "seven"]
COUNTS += ["eight", "nine", "ten", "eleven", "twelve"]


def readiness(chapters: list[dict[str, str]], ready: set[str]) -> str:
    """Return one sentence on what is there: the chapters in ``ready``, by their numbers."""
    numbers = [int(chapter["topic"][:2]) for chapter in chapters if chapter["topic"] in ready]
    missing = len(chapters) - len(numbers)
    if not missing:
        return "Every chapter and its lab are ready."
    rest = f"the other {COUNTS[missing]} follow" if missing > 1 else "one more follows"
    if len(numbers) < 2:
        subject = f"Chapter {numbers[0]} and its lab are" if numbers else "No chapter is"
    else:
        in_a_row = len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1
        between = [numbers[0], numbers[-1]] if in_a_row else numbers
        first = ", ".join(map(str, between[:-1]))
        subject = f"Chapters {first} {'to' if in_a_row else 'and'} {numbers[-1]} and their labs are"
    return f"{subject} ready; {rest} in the same form."


def course_map(chapters: list[dict[str, str]], ready: set[str]) -> str:
    """Return what is ready, and the chapters as a list in HTML; those in ``ready`` are links."""
    items = []
    for chapter in chapters:
        topic, title = chapter["topic"], html.escape(chapter["title"])
        is_ready = topic in ready
        heading = f'<a href="chapters/{topic}.html">{title}</a>' if is_ready else title
        state = "ready" if is_ready else "planned"
        items.append(
            f'<li class="map-{state}"><span class="map-title">{heading}'
            f' <span class="map-state">{state}</span></span>'
            f'<span class="map-build">{html.escape(chapter["build"])}</span></li>'
        )
    state = f"<p>{readiness(chapters, ready)}</p>"
    return f'{state}<ol class="course-map">{"".join(items)}</ol>'


def unplanned(page: Path) -> dict[str, str]:
    """Return the entry of a chapter that ``course.yml`` lacks: its first heading is its title."""
    headings = (line[2:] for line in page.read_text("utf-8").splitlines() if line.startswith("# "))
    return {"topic": page.stem, "title": next(headings, page.stem), "build": ""}


def chapters_of(book: Path) -> tuple[list[dict[str, str]], set[str]]:
    """Return the chapters that are planned or written, and the topics of those written."""
    chapters = yaml.safe_load((book / "course.yml").read_text("utf-8"))
    written = sorted((book / "chapters").glob("*.md"))
    planned = {chapter["topic"] for chapter in chapters}
    chapters += [unplanned(page) for page in written if page.stem not in planned]
    return chapters, {page.stem for page in written}


class CourseMap(SphinxDirective):
    """``{course-map}``, from ``course.yml`` and the chapters that exist."""

    def run(self) -> list[nodes.Node]:
        source = Path(self.env.srcdir)
        self.env.note_dependency(str(source / "course.yml"))
        self.env.note_reread()
        return [nodes.raw("", course_map(*chapters_of(source)), format="html")]


def setup(app: Sphinx) -> None:
    app.add_directive("course-map", CourseMap)
