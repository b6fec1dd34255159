"""The ``{quiz}`` directive: one question, options that open to say why; works without JavaScript.

Each option is a list item with what opens under it after ``:correct:`` or ``:why:``::

    - too high: the remaining cost disappears :correct: Being cut off looks like arriving.
    - too low: the agent is punished :why: Nothing is subtracted at the cut.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

MARK = re.compile(r"\s:(correct|why):(?:\s|$)")
VERDICT = {True: "Right.", False: "Tempting, but no."}


@dataclasses.dataclass(frozen=True)
class Option:
    """One answer, and what to tell who picks it."""

    text: str
    correct: bool
    reason: str


def parse(lines: list[str]) -> list[Option]:
    """Return the options of a list in Markdown.

    Raises:
        ValueError: an option without a mark, a wrong one without a reason, or not one right one.
    """
    items: list[str] = []
    for line in lines:
        if line.startswith(("- ", "* ")):
            items.append(line[2:])
        elif items:
            items[-1] += "\n" + line.strip()
        elif line.strip():
            raise ValueError(f"options are list items, got {line!r}")
    options = []
    for item in items:
        text, *marked = MARK.split(item, maxsplit=1)
        if not marked:
            raise ValueError(f"mark this option with :correct: or :why: {item!r}")
        kind, reason = marked
        if kind == "why" and not reason.strip():
            raise ValueError(f"say why this option tempts: {item!r}")
        options.append(Option(text.strip(), kind == "correct", reason.strip()))
    if sum(option.correct for option in options) != 1:
        raise ValueError("a question has one right option")
    return options


class quiz_box(nodes.General, nodes.Element):
    """The question and its options."""


class quiz_option(nodes.General, nodes.Element):
    """One option: its first child is what one reads, the rest is what opens."""


class quiz_choice(nodes.General, nodes.Element):
    """The line that opens an option."""


class Quiz(SphinxDirective):
    """``{quiz}`` with ``:question:`` and a list of options."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"question": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        if "question" not in self.options:
            raise self.error("a quiz needs :question:")
        try:
            options = parse(list(self.content))
        except ValueError as error:
            raise self.error(str(error)) from error
        box = quiz_box(number=self.env.new_serialno("quiz"))
        self.set_source_info(box)
        question = nodes.container(classes=["quiz-question"])
        question += self._parse(self.options["question"])
        box += question
        for option in options:
            node = quiz_option(correct=option.correct)
            choice = quiz_choice()
            # A summary holds phrases, not paragraphs.
            for child in self._parse(option.text):
                choice += child.children if isinstance(child, nodes.paragraph) else [child]
            node += choice
            verdict = nodes.strong("", VERDICT[option.correct])
            reason = self._parse(option.reason) or [nodes.paragraph()]
            reason[0].insert(0, [verdict, nodes.Text(" ")])
            node += reason
            box += node
        return [box]

    def _parse(self, text: str) -> list[nodes.Element]:
        holder = nodes.Element()
        source, line = self.get_source_info()
        lines = StringList(text.splitlines(), source)
        self.state.nested_parse(lines, line - 1, holder)
        return list(holder.children)  # type: ignore[arg-type]


def visit_box(translator: HTML5Translator, node: nodes.Element) -> None:
    translator.body.append('<div class="quiz" role="group" aria-label="Self-test question">')


def depart_box(translator: HTML5Translator, node: nodes.Element) -> None:
    translator.body.append("</div>\n")


def visit_option(translator: HTML5Translator, node: nodes.Element) -> None:
    kind = "right" if node["correct"] else "wrong"
    translator.body.append(f'<details class="quiz-option quiz-{kind}">')


def depart_option(translator: HTML5Translator, node: nodes.Element) -> None:
    translator.body.append("</details>\n")


def visit_choice(translator: HTML5Translator, node: nodes.Element) -> None:
    translator.body.append("<summary><span>")


def depart_choice(translator: HTML5Translator, node: nodes.Element) -> None:
    translator.body.append("</span></summary>")


def setup(app: Sphinx) -> None:
    app.add_node(quiz_box, html=(visit_box, depart_box))
    app.add_node(quiz_option, html=(visit_option, depart_option))
    app.add_node(quiz_choice, html=(visit_choice, depart_choice))
    app.add_directive("quiz", Quiz)
