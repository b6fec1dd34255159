"""What every page gets at the end: a description, its font early, names for screen readers.

The theme's pages have faults that axe finds and carry 2,000 icons of which we use twenty; both are
mended in the HTML that Sphinx wrote, so that the theme itself stays as pip installed it.
"""

from __future__ import annotations

import html
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import pydata_sphinx_theme
from docutils import nodes
from fontTools import subset
from PIL import Image
from sphinx.application import Sphinx

logging.getLogger("fontTools").setLevel(logging.WARNING)

DESCRIPTION_LENGTH = 155
FONT = "_static/vendor/inter/latin.woff2"
ICON_RULE = re.compile(r"([^{}]*\.fa-[^{}]*)\{([^{}]*)\}")
ICON_CODE = re.compile(r'"(?:\\([ef][0-9a-f]{3})|([\ue000-\uf8ff]))"')  # escaped, or as it is

MENDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # The name that is read must contain the words that are seen.
        (r'(<button class="btn search-button-field[^>]*?) aria-label="Search"', r"\1"),
        # Two search buttons, two theme names: one is enough.
        (r'(<i class="theme-switch [^>]*?) title="[^"]*"', r'\1 aria-hidden="true"'),
        (r'<summary aria-label="Toggle hidden content">', "<summary>"),
        (
            r'<summary><span class="toctree-toggle"',
            '<summary aria-label="Pages under this one"><span class="toctree-toggle"',
        ),
        # All content lies within landmarks, and those have names.
        (
            r'<div id="pst-primary-sidebar" class=',
            '<div id="pst-primary-sidebar" role="complementary" aria-label="Course" class=',
        ),
        (
            r'<div id="pst-secondary-sidebar" class=',
            '<div id="pst-secondary-sidebar" role="complementary" aria-label="On this page" class=',
        ),
        (r'<div role="list" class="citation-list">', '<div class="citation-list">'),
        (r' role="doc-biblioentry"', ""),
        (r"<th([^>]*)></th>", r"<td\1></td>"),
        (r"<th([^>]*)><p></p></th>", r"<td\1></td>"),
        # What scrolls can be reached by keyboard.
        (r'<div class="highlight"><pre>', '<div class="highlight"><pre tabindex="0">'),
        (
            r'<div class="pst-scrollable-table-container">',
            '<div class="pst-scrollable-table-container" tabindex="0" role="group"'
            ' aria-label="Table">',
        ),
        # The icons are letters of a small font (below): no script draws them.
        (r'<script defer src="[^"]*fontawesome\.js[^"]*"></script>', ""),
        # Scripts wait for the text. documentation_options.js stays: what follows reads it.
        (
            r'<script ((?:data-[^ ]+ )?src="(?:[^"]*/)?(?:doctools|sphinx_highlight|clipboard\.min|'
            r"copybutton|togglebutton|design-tabs|sphinx-book-theme|searchtools|language_data|"
            r'searchindex)\.js[^"]*")>',
            r"<script defer \1>",
        ),
    )
)


def describe(doctree: nodes.document) -> str:
    """Return a page's first paragraph, cut at a word to what search engines show."""
    first = next((node.astext() for node in doctree.findall(nodes.paragraph)), "")
    text = " ".join(first.split())
    if len(text) > DESCRIPTION_LENGTH:
        text = text[:DESCRIPTION_LENGTH].rsplit(" ", 1)[0] + " …"
    return text


def mend(page: str) -> str:
    """Return the page's HTML without the theme's faults; mending twice changes nothing more."""
    for pattern, replacement in MENDS:
        page = pattern.sub(replacement, page)
    return page


def with_sizes(page: str, folder: Path) -> str:
    """Give pictures their width and height, so that the text doesn't jump when they arrive."""

    def sized(tag: re.Match[str]) -> str:
        source = folder / tag["src"]
        if " width=" in tag[0] or not source.is_file() or source.suffix == ".svg":
            return tag[0]
        with Image.open(source) as picture:
            width, height = picture.size
        return tag[0].replace("<img ", f'<img width="{width}" height="{height}" loading="lazy" ', 1)

    return re.sub(r'<img [^>]*src="(?P<src>[^":]+)"[^>]*>', sized, page)


def used_icons(css: str, pages: str) -> set[int]:
    """Return the code points of the icons that the pages name or the theme's own rules draw."""
    names = set(re.findall(r"\bfa-[a-z0-9-]+", pages))
    codes: set[int] = set()
    for selector, rules in ICON_RULE.findall(css):
        if names & set(re.findall(r"\.(fa-[a-z0-9-]+):+before", selector)):
            codes |= icon_codes(rules)
    return codes | icon_codes(ICON_RULE.sub("", css))


def icon_codes(css: str) -> set[int]:
    """Return the code points of all icons that are drawn by rules, escaped there or not."""
    return {int(escaped, 16) if escaped else ord(icon) for escaped, icon in ICON_CODE.findall(css)}


def shrink_icons(static: Path, pages: str) -> None:
    """Keep only the used icons of the theme's icon fonts, and drop its other formats."""
    css = "".join(path.read_text("utf-8") for path in sorted(static.rglob("*.css")))
    codes = used_icons(css, pages)
    theme = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
    for font in static.glob("vendor/fontawesome/webfonts/*"):
        if font.suffix == ".ttf":
            font.unlink()
            continue
        options = subset.Options(flavor="woff2", ignore_missing_unicodes=True)
        # Cut from the theme's own file: the one here may be cut already.
        loaded = subset.load_font(str(theme / font.relative_to(static)), options)
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=codes)
        cutter.subset(loaded)
        subset.save_font(loaded, str(font), options)


def add_metadata(
    app: Sphinx,
    pagename: str,
    template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    font = context["pathto"](FONT, 1)
    tags = f'<link rel="preload" as="font" type="font/woff2" crossorigin href="{font}">'
    if doctree is not None and (text := describe(doctree)):
        tags += f'\n<meta name="description" content="{html.escape(text)}">'
    context["metatags"] = f"{context.get('metatags', '')}\n{tags}"


def finish(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    written = [path for path in out.rglob("*.html") if "_static" not in path.parts]
    pages = []
    for path in written:
        before = path.read_text("utf-8")
        after = with_sizes(mend(before), path.parent)
        if after != before:
            path.write_text(after, "utf-8")
        pages.append(after)
    start = app.config.root_doc
    shutil.copy(out / f"{start}.html", out / "index.html")  # where a browser begins, without a hop
    static = out / "_static"
    scripts = [path.read_text("utf-8") for path in static.glob("scripts/*theme.js")]
    shrink_icons(static, "".join(pages + scripts))
    for unused in [*static.rglob("*.map"), static / "scripts" / "fontawesome.js"]:
        unused.unlink(missing_ok=True)


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_metadata, priority=600)
    app.connect("build-finished", finish, priority=900)
