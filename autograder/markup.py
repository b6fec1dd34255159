"""Text, HTML and TeX of other people as HTML that can be shown: escaped, sanitized, converted.

What is kept is a list; everything else goes. Nothing kept can run, load, send or look like a part
of the page around it: no scripts, forms, frames, event handlers, ids, names or free classes, no
links into the server that shows the page, no pictures but those that are in the text itself.
"""

from __future__ import annotations

import re

import nh3
from latex2mathml.converter import convert
from markupsafe import Markup, escape
from pygments.token import STANDARD_TYPES

CODE = re.compile(r"`([^`\n]+)`")
# fmt: off
TAGS = {
    "a", "abbr", "acronym", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd",
    "del", "details", "div", "dl", "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4",
    "h5", "h6", "hr", "i", "img", "kbd", "li", "ol", "p", "pre", "s", "small", "span", "strong",
    "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
}
# Their content goes too; what stands in any other element that is not kept stays, as text.
DROPPED = {"math", "script", "style", "svg", "template"}
ATTRIBUTES = {
    "*": {"style", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan", "scope"},
}
STYLES = {"color", "background-color", "font-weight", "text-align", "width"}
FORMULA_TAGS = {
    "math", "menclose", "merror", "mfrac", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded",
    "mphantom", "mprescripts", "mroot", "mrow", "mspace", "msqrt", "mstyle", "msub", "msubsup",
    "msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover",
}
FORMULA_ATTRIBUTES = {
    "accent", "accentunder", "columnalign", "columnspacing", "display", "displaystyle", "fence",
    "form", "linethickness", "mathvariant", "movablelimits", "notation", "rowspacing",
    "scriptlevel", "separator", "stretchy",
}
# fmt: on
PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+")
LINK = re.compile(r"(?:https?://|mailto:)[^\\]*", re.IGNORECASE)  # browsers read \ as /
MAX_TEX_CHARS = 2_000
DEFINES = re.compile(r"\\(?:def|newcommand|renewcommand|let)\b")  # each could double what it has
WORDS = re.compile(r"\\(?:text|mbox)\w*\s*\{[^{}]*\}")
LESS = "\ue000"  # for < within words, which the converter writes as markup


def as_html(text: str) -> Markup:
    """Return text as HTML that shows just this text, with what stands in backticks as code."""
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair can't be written
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))


def _attribute(tag: str, name: str, value: str) -> str | None:
    """What is kept of an attribute that the tag may have."""
    if name == "src":  # a picture from elsewhere would tell its server who reads the page, and when
        return value if PICTURE.fullmatch(value) else None
    if name == "href":
        return value if LINK.fullmatch(value) else None
    return value


def _cleaner(*placeholders: str) -> nh3.Cleaner:
    """A sanitizer; an element of class ``placeholder`` keeps that class."""
    return nh3.Cleaner(
        tags=TAGS,
        clean_content_tags=DROPPED,
        attributes=ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto", "data"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        filter_style_properties=STYLES,
        allowed_classes={
            "code": set(placeholders),
            "div": {"highlight"},
            "span": {name for name in STANDARD_TYPES.values() if name},
            "table": {"dataframe"},
        },
    )


HTML = _cleaner()
FORMULA = nh3.Cleaner(tags=FORMULA_TAGS, attributes={"*": FORMULA_ATTRIBUTES})


def safe_html(text: str, placeholder: str = "") -> str:
    """Return HTML with nothing in it that acts.

    Args:
        text: HTML that nobody vouches for.
        placeholder: ``<code>`` may have this class.
    """
    return (_cleaner(placeholder) if placeholder else HTML).clean(text)


def formula(tex: str, *, display: bool) -> str:
    """Return TeX as MathML, which every browser shows by itself; what can't be read, as code.

    Args:
        tex: without the dollar signs.
        display: on a line of its own.
    """
    if len(tex) <= MAX_TEX_CHARS and not DEFINES.search(tex):
        try:
            read = WORDS.sub(lambda words: words[0].replace("<", LESS), tex.replace(LESS, ""))
            made = convert(read, display="block" if display else "inline")
            return FORMULA.clean(made).replace(LESS, "&lt;")
        except Exception:  # the converter meets half-written TeX with errors of every kind
            pass
    mark = "$$" if display else "$"
    return f"<code>{escape(mark + tex + mark)}</code>"
