"""Marks after formulas: each goes with its own formula, and no other one moves."""

import sys
from pathlib import Path

from docutils import nodes
from docutils.utils import new_document

sys.path.insert(0, str(Path(__file__).parents[1] / "book" / "_ext"))
from course_site.katex import keep_marks


def test_a_full_stop_goes_with_the_formula_before_it_and_no_other_one_does() -> None:
    document = new_document("page")
    paragraph = nodes.paragraph()
    document += paragraph
    # MyST splits at line ends, so that equal texts stand in one paragraph.
    paragraph += [
        nodes.strong("", "Fig. 1"),
        nodes.Text("."),
        nodes.Text("\n"),
        nodes.Text("Then "),
        nodes.math("", "c = 1"),
        nodes.Text("."),
    ]
    keep_marks(None, document, "page")  # type: ignore[arg-type]
    formula = next(document.findall(nodes.math))
    assert formula["mark"] == "."
    assert [str(text) for text in paragraph.children[1:4]] == [".", "\n", "Then "]
    assert str(paragraph.children[5]) == ""
