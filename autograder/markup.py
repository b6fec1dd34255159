"""Words for a page: escaped, with what stands between backticks as code."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

CODE = re.compile(r"`([^`\n]+)`")


def as_html(text: str) -> Markup:
    """Return text as HTML that shows just this text."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))
