"""The ``{course-map}`` directive: the twelve chapters, and which of them can be read today."""

from __future__ import annotations

import html
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def course_map(chapters: list[dict[str, str]], ready: set[str]) -> str:
    """Return the chapters as an ordered list in HTML; those in ``ready`` are links."""
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
    return f'<ol class="course-map">{"".join(items)}</ol>'


def unplanned(page: Path) -> dict[str, str]:
    """Return the entry of a chapter that ``course.yml`` lacks: its first heading is its title."""
    headings = (line[2:] for line in page.read_text("utf-8").splitlines() if line.startswith("# "))
    return {"topic": page.stem, "title": next(headings, page.stem), "build": ""}


class CourseMap(SphinxDirective):
    """``{course-map}``, from ``course.yml`` and the chapters that exist."""

    def run(self) -> list[nodes.Node]:
        source = Path(self.env.srcdir)
        self.env.note_dependency(str(source / "course.yml"))
        self.env.note_reread()
        chapters = yaml.safe_load((source / "course.yml").read_text("utf-8"))
        written = sorted((source / "chapters").glob("*.md"))
        ready = {page.stem for page in written}
        planned = {chapter["topic"] for chapter in chapters}
        chapters += [unplanned(page) for page in written if page.stem not in planned]
        return [nodes.raw("", course_map(chapters, ready), format="html")]


def setup(app: Sphinx) -> None:
    app.add_directive("course-map", CourseMap)
