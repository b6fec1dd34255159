"""Matplotlib figures as SVG inside the page, in the colours of the reader's theme."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.pyplot as plt
from IPython.display import HTML
from matplotlib.figure import Figure

from labkit.plots import COLOURS, INK, STYLE

THEMES = {  # labkit's colour: on a light page, on a dark one
    INK: ("#4d5660", "#b3bcc5"),
    COLOURS[0]: ("#0064b0", "#6cb8f5"),
    COLOURS[1]: ("#b84a00", "#f7a35c"),
    COLOURS[2]: ("#00755a", "#5cd3ad"),
    COLOURS[3]: ("#a2417c", "#e3a3c8"),
}
SIZES = {"font.size": 11, "axes.titlesize": 11, "legend.fontsize": 10, "lines.linewidth": 1.8}


class Text(str):
    """A string that shows itself without quotes, so that `glue` can put it into a sentence."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@contextmanager
def drawing(width: float, height: float, **subplots: object) -> Iterator[tuple[Figure, object]]:
    """Open a figure in the course's style, as ``plt.subplots`` would; it is closed afterwards.

    Args:
        width, height: in inches. On a phone the page is about 3.7 inches wide.
        subplots: arguments of ``plt.subplots``.
    """
    with plt.rc_context({**STYLE, **SIZES, "svg.hashsalt": "figures"}):
        figure, axes = plt.subplots(figsize=(width, height), layout="constrained", **subplots)
        try:
            yield figure, axes
        finally:
            plt.close(figure)


def inline(figure: Figure, name: str, alt: str) -> HTML:
    """Return the figure as an SVG element that follows the theme.

    Args:
        figure: drawn inside `drawing`.
        name: unlike any other on the page; the element's ids start with it.
        alt: what the figure shows, for who can't see it.
    """
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", bbox_inches="tight", pad_inches=0.04, metadata={"Date": None}
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--[^>]*-->", "", text, flags=re.S)
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r'"[^"]*"', lambda found: re.sub(r"(\.\d)\d+", r"\1", found[0]), text)
    end = text.index(">") + 1
    text = _opening(text[:end], name, alt) + text[end:]
    for number, colour in enumerate(THEMES):
        text = re.sub(colour, f"var(--figure-{number})", text, flags=re.I)
    text = re.sub(r"(font: [^;\"']*)'[^;\"]*", r"\1inherit", text)
    return HTML(re.sub(r"\s*\n\s*", "\n", _themes(name) + text))


def _opening(tag: str, name: str, alt: str) -> str:
    view = re.search(r'viewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"', tag)
    assert view is not None
    width = float(view[1]) * 4 / 3  # points to pixels
    return (
        f'<svg class="{name}" {view[0]} xmlns="http://www.w3.org/2000/svg"'
        f' xmlns:xlink="http://www.w3.org/1999/xlink" role="img" aria-label="{html.escape(alt)}"'
        f' style="display:block;width:100%;max-width:{1.15 * width:.0f}px;height:auto;margin:auto">'
    )


def _themes(name: str) -> str:
    light, dark = (
        ";".join(f"--figure-{n}:{pair[theme]}" for n, pair in enumerate(THEMES.values()))
        for theme in (0, 1)
    )
    return (
        f"<style>svg.{name}{{{light}}}"
        f'html[data-theme="dark"] svg.{name}{{{dark}}}'
        # the theme puts a light card behind what a cell prints; these figures need none
        f"html[data-theme] .bd-content div.cell_output div.text_html:has(svg.{name})"
        "{background:none;padding:0}"
        "span.pasted-text{font-weight:inherit}"  # numbers that `glue` puts into sentences
        "</style>"
    )
