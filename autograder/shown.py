"""What a graded notebook shows: verdicts of the referee, and what its cells printed, made safe.

A student's HTML would run in the browser of whoever looks at it: the instructor in formgrader, the
student in the feedback.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterable
from typing import Any

import bleach
import nbformat
from bleach.css_sanitizer import CSSSanitizer
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert.exporters import HTMLExporter, TemplateExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.filters.widgetsdatatypefilter import WidgetsDataTypeFilter
from nbformat import NotebookNode
from nbgrader import utils

from autograder.markup import as_html
from autograder.results import ExerciseResult, SubmissionResult

Resources = dict[str, Any]

SHOWN_TYPES = ("text/plain", "text/latex", "image/png", "image/jpeg")
# fmt: off
TAGS = frozenset(bleach.sanitizer.ALLOWED_TAGS) | {
    "p", "br", "hr", "div", "span", "pre", "table", "thead", "tbody", "tfoot", "tr", "td",
    "th", "caption", "colgroup", "col", "img", "sub", "sup", "dl", "dt", "dd", "h1", "h2",
    "h3", "h4", "h5", "h6", "del", "s", "details", "summary", "figure", "figcaption", "kbd",
    "small",
}
# fmt: on
# A picture from elsewhere would tell its server who reads the page, and when.
ATTRIBUTES: dict[str, Any] = {
    "*": ["class", "style", "title", "align"],
    "a": ["href", "id"],
    "img": lambda _tag, name, value: (
        name in ("alt", "width", "height") or (name == "src" and value.startswith("data:image/"))
    ),
    "td": ["colspan", "rowspan"],
    "th": ["colspan", "rowspan", "scope"],
    "h1": ["id"],
    "h2": ["id"],
    "h3": ["id"],
    "h4": ["id"],
}
PROTOCOLS = frozenset(("http", "https", "mailto", "data"))
STYLES = CSSSanitizer(
    allowed_css_properties=["color", "background-color", "font-weight", "text-align", "width"]
)
PICTURE = re.compile(r"<img(?![^>]*\balt=)")
MATHJAX = re.compile(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", re.DOTALL)
MAX_SHOWN_CHARS = 100_000
MAX_PICTURE_CHARS = 8 << 20


def exercise_of(cell: NotebookNode) -> str | None:
    """Return the exercise that a test cell is about; None for any other cell."""
    if not utils.is_grade(cell) or utils.is_solution(cell):
        return None
    grade_id: str = cell.metadata.nbgrader.grade_id
    return grade_id.removeprefix("test-")


def show(nb: NotebookNode, result: SubmissionResult, notes: Iterable[str]) -> None:
    """Write into the notebook what its cells printed and how the referee judged them."""
    verdicts = {item.name: item for item in result.exercises}
    for index, cell in enumerate(nb.cells):
        if cell.cell_type != "code":
            continue
        cell.execution_count = None
        name = exercise_of(cell)
        if name is None:
            key = cell.metadata.get("nbgrader", {}).get("grade_id") or str(index)
            cell.outputs = [safe for o in result.outputs.get(key, []) if (safe := safe_output(o))]
        else:
            none = ExerciseResult(name, 0.0, float(cell.metadata.nbgrader.points), "missing")
            cell.outputs = [verdict(verdicts.get(name, none))]
    nb.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    if notes := list(notes):
        items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
        text = f"**About what you handed in**\n\n<ul>{items}</ul>"
        top = {"cell_type": "markdown", "id": "about", "metadata": {}, "source": text}
        nb.cells.insert(0, nbformat.from_dict(top))  # type: ignore[no-untyped-call]


def verdict(item: ExerciseResult) -> NotebookNode:
    """Return the output of a test cell: the score, which nbgrader reads, and what led to it."""
    rows = "".join(
        f"<tr><td>{'✓' if group.ok else '✗'}</td><td>{html.escape(group.name)}</td>"
        f"<td>{group.passed} of {group.total}</td><td>{as_html(group.message[:500])}</td></tr>"
        for group in item.groups
    )
    head = "<tr><th></th><th>cases</th><th>passed</th><th>what differs</th></tr>"
    text = f"<p><b>{item.points:g} of {item.max_points:g} points</b> ({item.status})</p>"
    if item.status != "ok" and item.message:
        text += f"<p>{as_html(item.message)}</p>"
    if item.hint:
        text += f"<p><b>Hint:</b> {as_html(item.hint)}</p>"
    if rows:
        text += f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
    node: NotebookNode = nbformat.from_dict(  # type: ignore[no-untyped-call]
        {
            "output_type": "execute_result",
            "execution_count": None,
            "metadata": {},
            "data": {"text/plain": repr(float(item.points)), "text/html": text},
        }
    )
    return node


def safe_output(output: dict[str, Any]) -> NotebookNode | None:
    """Return an output that an instructor's browser can show without running anything of it."""
    kind = output.get("output_type")
    if kind == "stream":
        name = output.get("name") if output.get("name") in ("stdout", "stderr") else "stdout"
        return _output(kind, name=name, text=_text(output.get("text")))
    if kind == "error":
        lines = output.get("traceback")
        traceback = [_text(line) for line in lines[:200]] if isinstance(lines, list) else []
        ename, evalue = _text(output.get("ename"))[:200], _text(output.get("evalue"))[:2000]
        return _output(kind, ename=ename, evalue=evalue, traceback=traceback)
    data = output.get("data")
    if kind not in ("display_data", "execute_result") or not isinstance(data, dict):
        return None
    kept = {mime: _text(data[mime], MAX_PICTURE_CHARS) for mime in SHOWN_TYPES if mime in data}
    if "text/html" in data:
        kept["text/html"] = safe_html(_text(data["text/html"]))
    return _output("display_data", data=kept, metadata={}) if kept else None


def _output(kind: str, **fields: Any) -> NotebookNode:
    node: NotebookNode = nbformat.from_dict({"output_type": kind, **fields})  # type: ignore[no-untyped-call]
    return node


def _text(value: Any, limit: int = MAX_SHOWN_CHARS) -> str:
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    text = value if isinstance(value, str) else ""
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")
    return text if len(text) <= limit else text[:limit] + "\n... Output truncated ..."


def safe_html(text: str) -> str:
    """Return HTML without scripts, forms, frames, event handlers and loose styles."""
    clean: str = bleach.clean(
        text,
        tags=TAGS,
        attributes=ATTRIBUTES,
        protocols=PROTOCOLS,
        css_sanitizer=STYLES,
        strip=True,
    )
    return clean


@pass_context
def safe_markdown(context: Context, source: str) -> str:
    """The ``markdown2html`` filter of formgrader, with safe HTML as its result."""
    return _markdown(context, source, tex=False)


@pass_context
def plain_markdown(context: Context, source: str) -> str:
    """The ``markdown2html`` filter of feedback: safe HTML, and formulas as TeX to read."""
    return _markdown(context, source, tex=True)


class TexRenderer(IPythonRenderer):
    """Shows formulas as they were written: MathJax would have to be fetched from somewhere."""

    def inline_math(self, body: str) -> str:
        return f"<code>{super().inline_math(body)}</code>"

    def block_math(self, body: str) -> str:
        return f"<code>{super().block_math(body)}</code>"

    def latex_environment(self, name: str, body: str) -> str:
        return f"<code>{super().latex_environment(name, body)}</code>"


def _markdown(context: Context, source: str, *, tex: bool) -> str:
    attachments = context.get("cell", {}).get("attachments", {})
    return _rendered(source, tex, attachments) if attachments else _rendered_prose(source, tex)


def _rendered(source: str, tex: bool, attachments: dict[str, Any]) -> str:
    renderer = (TexRenderer if tex else IPythonRenderer)(escape=False, attachments=attachments)
    return safe_html(MarkdownWithMath(renderer=renderer).render(source))


@functools.lru_cache(maxsize=500)
def _rendered_prose(source: str, tex: bool) -> str:
    """Most cells are the lab's own, the same for every student."""
    return _rendered(source, tex, {})


class FeedbackExporter(HTMLExporter):
    """nbconvert's page without what it fetches when it is opened, and without its last step.

    That step parses the whole page again for two details and takes as long as all the rest; of the
    details, pictures still get an alternative text.
    """

    def from_notebook_node(  # type: ignore[override]  # as in nbconvert itself
        self, nb: NotebookNode, resources: Resources | None = None, **options: Any
    ) -> tuple[str, Resources]:
        """Return the page of a notebook."""
        this: Any = self
        of_output: Any = WidgetsDataTypeFilter
        of_code: Any = Highlight2HTML
        resources = this._init_resources(resources)
        widgets = of_output(notebook_metadata=this._nb_metadata, parent=self, resources=resources)
        this.register_filter("filter_data_type", widgets)
        this.register_filter("highlight_code", of_code(pygments_lexer="ipython3", parent=self))
        this.register_filter("markdown2html", plain_markdown)
        page, made = TemplateExporter.from_notebook_node(self, nb, resources, **options)
        page = MATHJAX.sub("", page, count=1)
        return PICTURE.sub('<img alt="a picture without a description"', page), made
