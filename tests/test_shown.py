"""Nothing that a student wrote acts where it is shown; a browser's own parser is the judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import nbformat
import nh3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode
from playwright.sync_api import Browser, Page

from autograder import markup, notebook_pages, shown
from autograder.markup import formula, safe_html
from autograder.notebook_pages import FeedbackExporter
from autograder.results import SubmissionResult
from autograder.shown import safe_output, show
from tests import xss

VECTORS = [(kind, text) for kind, texts in xss.HTML.items() for text in texts]


@pytest.fixture(scope="module")
def blank(browser: Browser) -> Iterator[Page]:
    """An empty page whose parser judges; nothing leaves it."""
    context = browser.new_context(offline=True)
    yield context.new_page()
    context.close()


def acting(page: Page, clean: Callable[[str], str]) -> list[str]:
    """The vectors that still do something after ``clean``."""
    texts = [text for _, text in VECTORS]
    seen = xss.faults(page, [clean(text) for text in texts])
    return [text for text, found in zip(texts, seen, strict=True) if found]


def markdown(source: str) -> str:
    return notebook_pages._rendered(source, {})


@pytest.mark.needs("chromium")
def test_every_vector_is_seen_when_nothing_is_cleaned(blank: Page) -> None:
    assert len(VECTORS) >= 120
    assert acting(blank, str) == [text for _, text in VECTORS]


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("clean", [safe_html, markdown], ids=["html", "markdown"])
def test_no_vector_acts(blank: Page, clean: Callable[[str], str]) -> None:
    assert acting(blank, clean) == []


@pytest.mark.needs("chromium")
def test_no_markdown_acts(blank: Page) -> None:
    seen = xss.faults(blank, [markdown(text) for text in xss.MARKDOWN])
    assert [(text, found) for text, found in zip(xss.MARKDOWN, seen, strict=True) if found] == []


WEAKER: dict[str, dict[str, object]] = {
    "scripts": {"tags": markup.TAGS | {"script"}, "clean_content_tags": {"style"}},
    "frames": {"tags": markup.TAGS | {"iframe"}},
    "styles": {
        "tags": markup.TAGS | {"style"},
        "clean_content_tags": {"script"},
        "filter_style_properties": None,
    },
    "forms": {"tags": markup.TAGS | {"form", "button"}},
    "handlers": {"attributes": {"*": {"onclick", "onerror", "onmouseover"}}},
    "ids": {"attributes": {"*": {"id"}}},
    "any data": {"generic_attribute_prefixes": {"data-"}},
    "any class": {"attributes": {"*": {"class"}}, "allowed_classes": None},
    "any style": {"filter_style_properties": None},
    "any picture": {"attribute_filter": None},
    "links into the server": {"attribute_filter": None, "url_relative": "pass_through"},
    "windows that are left open": {"link_rel": None},
}


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("how", WEAKER)
def test_a_weaker_sanitizer_is_seen(blank: Page, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    made = nh3.Cleaner
    monkeypatch.setattr(nh3, "Cleaner", lambda **options: made(**(options | WEAKER[how])))
    assert acting(blank, markup._cleaner().clean)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Vectors in one another, with pieces of markup thrown in."""
    texts = [text for _, text in VECTORS] + list(xss.MARKDOWN)
    text = draw(st.sampled_from(texts))
    for piece in draw(st.lists(st.sampled_from((*texts, *xss.PIECES)), max_size=5)):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + piece + text[at + draw(st.integers(0, 3)) :]
    return text


@pytest.mark.needs("chromium")
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(texts=st.lists(mutated(), min_size=8, max_size=8))
def test_no_mutation_acts(blank: Page, texts: list[str]) -> None:
    cleaned = [clean(text) for text in texts for clean in (safe_html, markdown)]
    assert [found for found in xss.faults(blank, cleaned) if found] == []


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("<script>x</script>", ""),
        ("<img src=x onerror=alert(1)>", "<img>"),
        ("<img src='https://e/x.png' alt=y>", '<img alt="y">'),
        ("<img src='data:image/png;base64,aa=='>", '<img src="data:image/png;base64,aa==">'),
        ('<div style="background:url(//e);color:red">z</div>', '<div style="color:red">z</div>'),
        ("<b class='k btn'>a</b><span class='k btn'>b</span>", '<b>a</b><span class="k">b</span>'),
        ("I wonder what <textarea> does & why 1 < 2", "I wonder what  does &amp; why 1 &lt; 2"),
    ],
)
def test_what_is_harmless_stays(text: str, clean: str) -> None:
    assert safe_html(text) == clean


def test_a_table_of_pandas_stays_one() -> None:
    table = (
        "<div>\n<style scoped>\n.dataframe tbody tr th { vertical-align: top; }\n</style>\n"
        '<table border="1" class="dataframe"><thead><tr style="text-align: right;"><th></th>'
        "<th>mean</th></tr></thead><tbody><tr><th>0</th><td>1.5</td></tr></tbody></table></div>"
    )
    clean = safe_html(table)
    assert '<table class="dataframe"><thead><tr style="text-align:right">' in clean
    assert "vertical-align" not in clean


def test_a_link_to_elsewhere_opens_beside_the_page() -> None:
    link = safe_html("<a href='https://gymnasium.farama.org'>docs</a>")
    assert 'href="https://gymnasium.farama.org"' in link
    assert 'target="_blank"' in link
    assert 'rel="noopener noreferrer nofollow"' in link


# -- formulas ------------------------------------------------------------------------------------


def test_formulas_are_drawn_by_the_browser() -> None:
    assert formula("a<b", display=False) == (
        '<math display="inline"><mrow><mi>a</mi><mo>&lt;</mo><mi>b</mi></mrow></math>'
    )
    assert '<math display="block">' in formula(r"\sum_t \gamma^t r_t", display=True)
    assert "if&nbsp;a&lt;b" in formula(r"\text{if a<b}", display=False)


@pytest.mark.parametrize(
    "tex",
    [
        "{",
        r"\frac",
        r"\begin{align}",
        r"\frac{" * 900,
        "x" * 2001,
        r"\def\a{xx}\def\b{\a\a}\b",
        r"\newcommand{\a}{\a\a}\a",
    ],
)
def test_tex_that_cannot_be_read_is_shown_as_it_is(tex: str) -> None:
    assert formula(tex, display=False) == f"<code>${tex}$</code>"


def test_the_labs_formulas_can_all_be_read() -> None:
    from autograder import discover

    sources = [
        cell.source
        for name in discover.lab_names()
        for cell in nbformat.read(discover.LABS / name / f"{name}.ipynb", 4).cells  # type: ignore[no-untyped-call]
        if cell.cell_type == "markdown"
    ]
    assert sum(source.count("$") for source in sources) > 100
    assert not [source for source in sources if "<code>$" in markdown(source)]


# -- what a page costs ---------------------------------------------------------------------------


def notebook(*cells: NotebookNode) -> NotebookNode:
    made: NotebookNode = nbformat.v4.new_notebook(cells=list(cells))  # type: ignore[no-untyped-call]
    return made


def page_of(*cells: NotebookNode) -> str:
    exporter = FeedbackExporter(template_name="classic")  # type: ignore[no-untyped-call]
    return exporter.from_notebook_node(notebook(*cells))[0]


def written(source: str, **fields: object) -> NotebookNode:
    cell: NotebookNode = nbformat.v4.new_markdown_cell(source, **fields)  # type: ignore[no-untyped-call]
    return cell


def coded(source: str) -> NotebookNode:
    cell: NotebookNode = nbformat.v4.new_code_cell(source)  # type: ignore[no-untyped-call]
    return cell


def test_long_cells_are_shown_as_they_are() -> None:
    """IPython's lexer takes 9 s for these dots, mistune 4 s for these brackets, on two cores."""
    dots, brackets = "." * 30_000, "\\\\[" * 200
    page = page_of(coded(dots), written(brackets), written("**a** " * 2_000))
    assert f"<pre>{dots}</pre>" in page
    assert f"<pre>{brackets}</pre>" in page
    assert page.count("<strong>") == 0


def test_many_cells_are_shown_as_they_are_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook_pages, "MAX_RENDERED_CHARS", 100)
    page = page_of(*(written(f"**{index}** " * 9) for index in range(3)), coded("x = 1"))
    assert "<strong>0</strong>" in page
    assert "<strong>2</strong>" not in page
    assert "**2** **2**" in page
    assert "<pre>x = 1</pre>" in page


def test_a_picture_that_was_pasted_is_no_long_text() -> None:
    picture = f"data:image/png;base64,{'A' * 100_000}"
    page = page_of(written(f"**see**\n\n![my plot]({picture})"))
    assert "<strong>see</strong>" in page
    assert f'<img src="{picture}" alt="my plot">' in page


def test_a_picture_without_a_text_gets_one() -> None:
    page = page_of(written('<img src="data:image/png;base64,AA=="> <b title="<img x">x</b>'))
    assert '<img alt="a picture without a description" src="data:image/png;base64,AA==">' in page
    assert page.count("a picture without") == 1


def test_outputs_end_somewhere() -> None:
    cells = [coded("x") for _ in range(3)]
    long = {"output_type": "stream", "name": "stdout", "text": "y" * 90_000}
    result = SubmissionResult((), {str(i): [long] * 300 for i in range(3)})
    graded = notebook(*cells)
    show(graded, result, [])
    sizes = [sum(len(o.text) for o in cell.outputs) for cell in graded.cells]
    assert sizes[0] == sizes[1] == 27_000_000
    assert graded.cells[2].outputs == [
        {"output_type": "stream", "name": "stderr", "text": shown.TOO_MUCH}
    ]


def test_html_that_is_nested_deeply_is_cleaned() -> None:
    for text in ("<div>" * 5_000, "<b>" * 5_000, "<table><tr><td>" * 2_000):
        assert safe_html(text).count("<") > 4_000


def test_only_shown_types_leave_a_cell() -> None:
    data = {
        "text/html": "<b>x</b><script>alert(1)</script>",
        "text/markdown": "<script>alert(1)</script>",
        "image/svg+xml": "<svg onload=alert(1)>",
        "application/javascript": "alert(1)",
        "application/vnd.jupyter.widget-view+json": {"model_id": "x"},
        "text/latex": "$\\href{javascript:alert(1)}{x}$",
        "application/pdf": "x",
    }
    output = safe_output(
        {"output_type": "display_data", "data": data, "metadata": {"text/html": {"isolated": True}}}
    )
    assert output is not None
    assert output.data == {"text/latex": data["text/latex"], "text/html": "<b>x</b>"}
    assert output.metadata == {}
