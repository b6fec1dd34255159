"""The ``{film} name`` directive: a small animation with a caption and a way to pause it.

Each film is a module here with a function ``film()``, which returns one drawing or several that
stand side by side, made when the site is built. Its ``facts()``, if it has any, end the caption.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

STYLE = "css/films.css"
TOOLS = {"reel"}
PAUSE = (
    '<label class="film-pause"><input type="checkbox" aria-label="Pause the film: {title}"> Pause'
    "</label>"
)


def films() -> list[str]:
    """Return the names of the films that there are."""
    return sorted({module.name for module in pkgutil.iter_modules(__path__)} - TOOLS)


class Film(SphinxDirective):
    """``{film} name``; the body is its caption."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if name not in films():
            raise self.error(f"there is no film {name!r}; there is {', '.join(films())}")
        module = importlib.import_module(f"course_site.films.{name}")
        self.env.note_reread()  # what it draws may change while its page doesn't
        self.env.metadata[self.env.docname]["films"] = True
        words = [*self.content, module.facts()] if hasattr(module, "facts") else self.content
        text, messages = self.state.inline_text(" ".join(words), self.lineno)
        panels = "".join(module.film())
        start = f'<div class="film"><div class="film-panels">{panels}</div><div class="film-bar">'
        pause = PAUSE.format(title=name.replace("_", " "))
        return [
            nodes.raw("", start, format="html"),
            nodes.paragraph("", "", *text),
            nodes.raw("", f"{pause}</div></div>", format="html"),
            *messages,
        ]


def add_style(app: Sphinx, pagename: str, *_: Any) -> None:
    """Only a page with a film asks for their style sheet."""
    if app.env.metadata.get(pagename, {}).get("films"):
        app.add_css_file(STYLE)


def setup(app: Sphinx) -> None:
    app.add_directive("film", Film)
    app.connect("html-page-context", add_style)
