"""Makes pages that need nothing beside them: one file, one named script, one named style sheet."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from autograder.handed_in import printable

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """Return a page from ``templates/``.

    Its content policy allows our own script and style sheet, by their digests, and nothing else.
    Values are escaped; ``shown`` in a template also replaces characters that cannot be seen, such
    as those that turn the direction of text.
    """
    parts: dict[str, Any] = {}
    for name in ("report.js", "report.css"):
        text = (TEMPLATES / name).read_text("utf-8").strip()
        kind = name.rpartition(".")[2]
        parts[kind] = Markup(text)  # our own file, named in the page's content policy
        digest = hashlib.sha256(text.encode()).digest()
        parts[f"{kind}_hash"] = base64.b64encode(digest).decode()
    return _environment().get_template(template).render(parts | values)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = printable
    environment.filters["percent"] = lambda share: "–" if share is None else f"{100 * share:.0f} %"
    environment.filters["decimal"] = lambda value: "–" if value is None else f"{value:.2f}"
    return environment
