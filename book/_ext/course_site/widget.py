"""The ``{widget}`` directive: an interactive figure from ``book/widgets/<name>.js``.

The module exports ``render(element, options)`` and states the height that it needs in a comment,
``// height: 560 wide, 1100 narrow`` (pixels), so that the page doesn't move when it arrives.
"""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any, ClassVar

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

HEIGHT = re.compile(r"^// height: (\d+) wide, (\d+) narrow$", re.M)


def reserved_height(source: str) -> tuple[int, int]:
    """Return the height that a module asks for, (wide, narrow) in pixels.

    Raises:
        ValueError: the module doesn't say.
    """
    found = HEIGHT.search(source)
    if found is None:
        raise ValueError('say how tall the figure is: "// height: 560 wide, 1100 narrow"')
    return int(found[1]), int(found[2])


def placeholder(
    name: str, alt: str, height: tuple[int, int], url: str, options: dict[str, Any]
) -> str:
    """Return the box that the module fills."""
    wide, narrow = height
    return (
        f'<div class="widget" role="group" aria-label="{html.escape(alt)}"'
        f' data-widget="{html.escape(name)}" data-module="{html.escape(url)}"'
        f' data-options="{html.escape(json.dumps(options))}"'
        f' style="--wide:{wide}px;--narrow:{narrow}px">'
        # stays where no module can be loaded: without JavaScript, and on a page opened from disk
        '<p class="widget-still">This figure moves where JavaScript is on and a server sends the '
        f"page, as <code>make serve</code> does. What it shows: {html.escape(alt)}</p></div>"
    )


class Widget(SphinxDirective):
    """``{widget} name`` with ``:alt:``, ``:title:`` (the caption), ``:height:`` and ``:name:``.

    The body, if any, is YAML with the options that the module's ``render`` gets.
    """

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "alt": directives.unchanged_required,
        "title": directives.unchanged_required,
        "height": directives.positive_int,
        "name": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        source = Path(self.env.srcdir) / "widgets" / f"{name}.js"
        if not source.is_file():
            raise self.error(f"no interactive figure {name!r}: {source} is missing")
        if "alt" not in self.options:
            raise self.error(f"interactive figure {name!r} needs :alt:")
        self.env.note_dependency(str(source))
        wide, narrow = reserved_height(source.read_text("utf-8"))
        height = max(wide, self.options.get("height", 0)), narrow
        root = "../" * self.env.docname.count("/")
        box = placeholder(
            name,
            " ".join(self.options["alt"].split()),
            height,
            f"{root}_static/widgets/{name}.js",
            yaml.safe_load("\n".join(self.content)) or {},
        )
        figure = nodes.figure("", nodes.raw("", box, format="html"), classes=["widget-figure"])
        self.set_source_info(figure)
        if title := self.options.get("title"):
            inline, messages = self.state.inline_text(title, self.lineno)
            figure += nodes.caption(title, "", *inline)
            figure += messages
        if "name" in self.options:
            self.add_name(figure)
        return [figure]


def copy_modules(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        target = Path(app.outdir) / "_static" / "widgets"
        target.mkdir(parents=True, exist_ok=True)
        for source in (Path(app.srcdir) / "widgets").glob("*.js"):
            shutil.copy(source, target)


def setup(app: Sphinx) -> None:
    app.add_directive("widget", Widget)
    app.connect("build-finished", copy_modules)
