"""Chapters are numbered by their files: ``02_...`` is chapter 2, with or without chapter 1."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

CHAPTER = re.compile(r"chapters/(\d+)_")

Number = tuple[int, ...]


def renumbered(number: Number, chapter: int) -> Number:
    """Return the number of a section or figure as part of a chapter."""
    return (chapter, *number[1:])


def number_by_file(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Give sections, figures and their entries in tables of contents their chapter's number."""
    for page in env.found_docs:
        match = CHAPTER.match(page)
        if match is None:
            continue
        chapter = int(match[1])
        sections = env.toc_secnumbers.get(page, {})
        for anchor, number in sections.items():
            sections[anchor] = renumbered(number, chapter)
        for numbers in env.toc_fignumbers.get(page, {}).values():
            for figure, number in numbers.items():
                numbers[figure] = renumbered(number, chapter)
        for title in (env.titles.get(page), env.longtitles.get(page)):
            if title is not None and "secnumber" in title:
                title["secnumber"] = renumbered(title["secnumber"], chapter)
        for link in env.tocs[page].findall(nodes.reference):
            if link.get("secnumber"):
                link["secnumber"] = renumbered(link["secnumber"], chapter)
    return []


def setup(app: Sphinx) -> None:
    app.connect("env-get-updated", number_by_file, priority=900)
