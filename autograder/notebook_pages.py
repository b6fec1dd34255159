"""Pages that show a graded notebook: a student's feedback, and what formgrader shows.

Both take prose, formulas and code through the same filters. What those cost is bounded, whatever a
student wrote: a cell or notebook beyond the bounds is shown as plain text.
"""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import escape
from nbconvert.exporters import HTMLExporter, TemplateExporter
from nbconvert.filters.markdown_mistune import (
    InvalidNotebook,
    IPythonRenderer,
    MarkdownWithMath,
)
from nbconvert.filters.widgetsdatatypefilter import WidgetsDataTypeFilter
from nbformat import NotebookNode
from nbgrader.preprocessors import GetGrades
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import Python3Lexer

from autograder.markup import formula, safe_html

Resources = dict[str, Any]

# Markdown's rules take time in the square of what they read, 0.9 s for the worst 10,000 characters.
MAX_PROSE_CHARS = 10_000
MAX_OPENERS = 100
MAX_CODE_CHARS = 20_000
MAX_RENDERED_CHARS = 200_000  # of a notebook
# IPython's own lexer takes time in the square of a line's length; this one only marks magics less.
CODE, MARKUP = Python3Lexer(), HtmlFormatter(cssclass=" highlight hl-python3")
PASTED = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+")
OPENERS = re.compile(r"\\\\\[|\\\\\(|\\begin\{")  # for each one the rest is searched for its end
PICTURE = re.compile(r'<img (?=(?:(?:src|width|height|title)="[^"]*"\s*)+>)')
MATHJAX = re.compile(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", re.DOTALL)
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:"
HEAD = f"""<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">"""
CHARSET = '<meta charset="utf-8" />'
STYLE = """<style>
.rendered_html table { margin: .5em 0; } summary { display: list-item; cursor: pointer; }
.rendered_html th, .rendered_html td { padding: .2em .8em .2em 0; vertical-align: top; }
.rendered_html th { text-align: left; }
.rendered_html img { max-width: 100%; } .highlight .err { border: 0; } math { font-size: 1.1em; }
div.output_area pre, .rendered_html pre { overflow-x: auto; }
.nbgrader_cell .panel-heading { height: auto !important; min-height: 37px; overflow: hidden; }
@media (max-width: 700px) {
  .container, #notebook-container { padding: 0 .3em; } .panel-body { padding: .4em; }
}
@media print { .container { width: 100%; } pre { white-space: pre-wrap; } }
</style>"""
FONT = re.compile(r"@font-face\s*\{[^}]*\}")  # Bootstrap's, which lie beside it on a server
MODEL_ANSWER = "<details><summary><b>Model answer</b></summary>{}</details>"
SCORE = re.compile(r"<h4>[^<]* \(Score: [-\d.]+ / [\d.]+")
CONTENTS = re.compile(r'(<a href="#(?:test-)?([^"]+)">)(?:Test cell|Coding free-response)</a>')


@pass_context
def safe_markdown(context: Context, source: str) -> str:
    """The filter ``markdown2html``: safe HTML, formulas as MathML."""
    attachments = context.get("cell", {}).get("attachments", {})
    pasted: list[str] = []
    text = PASTED.sub(lambda found: _put_aside(found[0], pasted), source)
    if len(text) > MAX_PROSE_CHARS or len(OPENERS.findall(text)) > MAX_OPENERS:
        return _plain(source)
    if attachments or pasted:
        return _rendered(text, attachments, pasted)
    return _rendered_prose(text)


def _put_aside(picture: str, pasted: list[str]) -> str:
    """Take a picture out of the text in which it was pasted; return what stands for it."""
    pasted.append(picture)
    return f"pasted-picture-{len(pasted) - 1}"


def _plain(source: str) -> str:
    return f"<pre>{escape(source)}</pre>"


class Renderer(IPythonRenderer):
    """Puts formulas aside, so that they aren't taken for HTML by what cleans the rest."""

    def __init__(self, attachments: Mapping[str, Any]) -> None:
        super().__init__(escape=False, attachments=dict(attachments), exclude_anchor_links=True)
        self.formulas: list[str] = []
        self.mark = f"formula-{secrets.token_hex(8)}"  # nobody can write what stands for a formula

    def _embed_image_or_attachment(self, src: str) -> str:
        try:
            return str(super()._embed_image_or_attachment(src))
        except InvalidNotebook:  # a picture that isn't there is no reason to show nothing at all
            return ""

    def inline_math(self, body: str) -> str:
        return self._aside(body, display=False)

    def block_math(self, body: str) -> str:
        return self._aside(body, display=True)

    def latex_environment(self, name: str, body: str) -> str:
        starred = name if name.endswith("*") or name == "equation" else f"{name}*"
        return self._aside(rf"\begin{{{starred}}}{body}\end{{{starred}}}", display=True)

    def _aside(self, tex: str, *, display: bool) -> str:
        self.formulas.append(formula(tex, display=display))
        return f'<code class="{self.mark}">{len(self.formulas) - 1}</code>'


def _rendered(source: str, attachments: Mapping[str, Any], pasted: Sequence[str] = ()) -> str:
    renderer = Renderer(attachments)
    try:
        made = MarkdownWithMath(renderer=renderer).render(source)
    except RecursionError:
        return _plain(source)
    for index in reversed(range(len(pasted))):
        made = made.replace(f"pasted-picture-{index}", pasted[index])
    place = re.compile(rf'<code class="{renderer.mark}">(\d+)</code>')
    return place.sub(lambda at: renderer.formulas[int(at[1])], safe_html(made, renderer.mark))


@functools.lru_cache(maxsize=500)
def _rendered_prose(source: str) -> str:
    """Most cells are the lab's own, the same for every student."""
    return _rendered(source, {})


@functools.lru_cache(maxsize=300)
def _highlighted(source: str) -> str:
    """Code as nbconvert marks it up; most of a lab's cells are the same for every student."""
    return str(highlight(source or " ", CODE, MARKUP))


class PageExporter(HTMLExporter):
    """nbconvert's page with safe filters, without what it fetches and without its last step.

    That step parses the whole page again for two details and takes as long as all the rest; of the
    details, pictures still get an alternative text.
    """

    def model_answers(self, resources: Resources) -> dict[str, str]:
        """What is shown below a written answer, by the cell's grade id: nothing, to a student."""
        return {}

    def from_notebook_node(  # type: ignore[override]  # as in nbconvert itself
        self, nb: NotebookNode, resources: Resources | None = None, **options: Any
    ) -> tuple[str, Resources]:
        """Return the page of a notebook."""
        this: Any = self
        of_output: Any = WidgetsDataTypeFilter
        resources = this._init_resources(resources)
        widgets = of_output(notebook_metadata=this._nb_metadata, parent=self, resources=resources)
        left = MAX_RENDERED_CHARS
        answers = self.model_answers(resources)

        def highlighted(source: str, **_: Any) -> str:
            nonlocal left
            left -= len(source)
            if len(source) > MAX_CODE_CHARS or left < 0:
                return f'<div class="highlight">{_plain(source)}</div>'
            return _highlighted(source)

        @pass_context
        def rendered(context: Context, source: str) -> str:
            nonlocal left
            left -= len(PASTED.sub("", source))
            text = safe_markdown(context, source) if left >= 0 else _plain(source)
            cell = context.get("cell")  # none where a comment is shown
            answer = cell and answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
            return f"{text}{MODEL_ANSWER.format(_rendered_prose(answer))}" if answer else text

        this.register_filter("filter_data_type", widgets)
        this.register_filter("highlight_code", highlighted)
        this.register_filter("markdown2html", rendered)
        page, made = TemplateExporter.from_notebook_node(self, nb, resources, **options)
        page = MATHJAX.sub("", page, count=1).replace("</head>", f"{STYLE}\n</head>", 1)
        return PICTURE.sub('<img alt="a picture without a description" ', page), made

    def _preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Take the steps, without nbconvert's second copy and its check after each of them."""
        for step in self._preprocessors:
            nb, resources = step(nb, resources)
        return nb, resources


class Grades(GetGrades):  # type: ignore[misc]
    """Tells the page of a student's feedback what was given, and what nobody has looked at yet."""

    def _get_score(self, cell: NotebookNode, resources: Resources) -> None:
        super()._get_score(cell, resources)
        grade_id = cell.metadata.nbgrader.grade_id
        grade = self.gradebook.find_grade(
            grade_id, self.notebook_id, self.assignment_id, self.student_id
        )
        if grade.needs_manual_grade and grade.manual_score is None and grade.auto_score is None:
            resources.setdefault("waiting", []).append(grade_id)


class FeedbackExporter(PageExporter):
    """A student's feedback: one file that loads nothing and runs nothing."""

    def from_notebook_node(  # type: ignore[override]
        self, nb: NotebookNode, resources: Resources | None = None, **options: Any
    ) -> tuple[str, Resources]:
        """Return the page of a notebook."""
        page, made = super().from_notebook_node(nb, resources, **options)
        head, end, body = page.partition("</head>")
        page = FONT.sub("", head) + end + body
        page = page.replace("<html>", '<html lang="en">', 1)
        page = page.replace(CHARSET, f"{CHARSET}\n{HEAD}", 1)
        page = CONTENTS.sub(r"\1<code>\2</code></a>", page)
        if penalty := made.get("nbgrader", {}).get("late_penalty", 0):
            page = SCORE.sub(rf"\g<0>, {penalty:.4g} taken off for coming late", page, count=1)
        for grade_id in made.get("waiting", ()):
            place = re.compile(
                rf'(<a (?:href="#|name="){re.escape(grade_id)}">(?:Written response)?</a>[^#]*?)'
                r"Score: [\d.]+ / ([\d.]+)"
            )
            page = place.sub(r"\1not graded yet, \2 points", page)
        return page, made
