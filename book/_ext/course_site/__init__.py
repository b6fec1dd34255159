"""Sphinx extension of the course's website: formulas, figures, self-tests, cards of labs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PARTS = (
    "katex",
    "numbering",
    "widget",
    "quiz",
    "labs",
    "overview",
    "films",
    "reference",
    "results",
    "pages",
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register every part; each has its own ``setup``."""
    for part in PARTS:
        # Here, not above: book/build.py needs one part of them, and no Sphinx.
        importlib.import_module(f"course_site.{part}").setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
