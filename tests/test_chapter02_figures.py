"""Chapter 2's figures: exact values against a free optimum, and SVG that follows the theme."""

import re
from pathlib import Path

import pytest

from book.figures import bias, cliff
from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK
from solutions.lab02_q_learning_sarsa import reference

CHAPTER = Path(__file__).parent.parent / "book" / "chapters" / "02_q_learning_sarsa.md"


def test_without_exploring_a_row_is_worth_its_steps() -> None:
    assert [cliff.best_along(row, 0.0) for row in (2, 1, 0)] == pytest.approx([-13, -15, -17])


@pytest.mark.parametrize(("epsilon", "row"), [(0.005, 2), (0.05, 1), (0.1, 1), (0.2, 0), (0.3, 0)])
def test_the_best_row_is_the_best_policy(epsilon: float, row: int) -> None:
    P, R = cliff.model()
    value = reference.eps_soft_value
    best = reference.best_eps_soft(P, R, epsilon=epsilon, gamma=1.0, value=value)
    optimum = value(P, R, best, epsilon=epsilon, gamma=1.0)[cliff.START]
    along = {row: cliff.best_along(row, epsilon) for row in (2, 1, 0)}
    assert max(along, key=along.__getitem__) == row
    assert along[row] == pytest.approx(optimum)


def test_rows_are_worth_the_same_where_they_cross() -> None:
    edge, top = cliff.crossings()
    assert cliff.best_along(2, edge) == pytest.approx(cliff.best_along(1, edge), abs=0.05)
    assert cliff.best_along(1, top) == pytest.approx(cliff.best_along(0, top), abs=0.01)


def test_every_number_of_the_prose_exists_and_is_used() -> None:
    used = set(re.findall(r"\{glue:text\}`(\w+)`", CHAPTER.read_text(encoding="utf-8")))
    assert used == set(cliff.numbers()) | set(bias.numbers())


def test_an_inline_figure_keeps_words_and_loses_fixed_colours_and_shared_ids() -> None:
    with drawing(3, 2) as (figure, ax):
        ax.plot([0.0, 1.0], [0.0, 0.12345], color=COLOURS[0])
        ax.fill_between([0.0, 1.0], [0.0, 0.5], color=COLOURS[1])
        ax.text(0.5, 0.1, "0.157")
        pages = [inline(figure, name, 'a "line"').data for name in ("one", "two")]
    for page in pages:
        assert ">0.157</text>" in page
        assert 'aria-label="a &quot;line&quot;"' in page
        shapes = page[page.index("</style>") :]
        assert not any(colour.lower() in shapes.lower() for colour in (INK, *COLOURS[:2]))
        assert not re.search(r'\bd="[^"]*\.\d\d', shapes)
    first, second = (set(re.findall(r'\bid="([^"]+)"', page)) for page in pages)
    assert first and not first & second
    for page, ids in zip(pages, (first, second), strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= ids
