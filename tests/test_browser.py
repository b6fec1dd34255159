"""A reader's way through what `make` built: the site, its figure, the lab's page, the report."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Watch

pytestmark = pytest.mark.needs("chromium")

MakePage: TypeAlias = Callable[..., tuple[Page, Watch]]
CHAPTER = "chapters/02_q_learning_sarsa.html"
LAB = "labs/lab02_q_learning_sarsa.html"


def test_a_reader_goes_from_the_start_page_to_the_chapter_to_the_lab(
    page: MakePage, site: str
) -> None:
    reader, seen = page()
    reader.goto(site + "/index.html")
    reader.locator(f'article a[href$="{CHAPTER}"]').first.click()
    expect(reader).to_have_title(re.compile("SARSA"))
    reader.locator(f'article a[href$="{LAB}"]').first.click()
    expect(reader.locator("article h1").first).to_contain_text("SARSA")
    with reader.expect_download() as download:
        reader.locator('article a[href$=".zip"]').first.click()
    assert download.value.suggested_filename == "lab02_q_learning_sarsa.zip"
    assert download.value.failure() is None
    assert seen.faults == []


def test_the_figure_moves(page: MakePage, site: str) -> None:
    reader, seen = page()
    reader.goto(f"{site}/{CHAPTER}")
    figure = reader.locator(".widget[data-widget=cliff]")
    figure.scroll_into_view_if_needed()
    says = figure.locator(".widget-says")
    facts = figure.locator("[data-facts=sarsa]")
    expect(facts).not_to_be_empty()
    before = facts.inner_text(), says.inner_text(), pixels(reader)
    figure.get_by_role("button", name="+100 episodes").click()
    expect(facts).not_to_have_text(before[0])
    expect(says).not_to_have_text(before[1])
    assert pixels(reader) != before[2]
    knob = figure.locator("input[type=range]").first
    shown = knob.locator("xpath=ancestor::label").locator("output")
    value = shown.inner_text()
    knob.focus()
    reader.keyboard.press("ArrowRight")
    expect(shown).not_to_have_text(value)
    assert seen.faults == []


def pixels(page: Page) -> str:
    """What the figure's learning curves look like."""
    content: str = page.locator("[data-curve]").evaluate("canvas => canvas.toDataURL()")
    return content


def test_the_report_opens_from_disk(page: MakePage, report: Path) -> None:
    reader, seen = page()
    reader.goto(report.as_uri())
    expect(reader.locator("h1").first).to_be_visible()
    expect(reader.locator("body")).to_contain_text("lab02_q_learning_sarsa")
    assert reader.locator("svg, canvas, img, table").count() > 0
    assert seen.faults == []
    assert seen.requests == [report.as_uri()]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("<script>null.x</script>", "null"),
        ("<script>console.error('broken')</script>", "broken"),
        ("<img src='https://example.org/pixel.png'>", "https://example.org/pixel.png"),
        ("<script>fetch('http://example.org/').catch(() => 0)</script>", "http://example.org/"),
    ],
)
def test_a_faulty_page_is_caught(page: MakePage, tmp_path: Path, content: str, fault: str) -> None:
    path = tmp_path / "faulty.html"
    path.write_text(f"<!doctype html><title>x</title>{content}<p>text</p>")
    reader, seen = page()
    reader.goto(path.as_uri(), wait_until="networkidle")
    assert any(fault in entry for entry in seen.faults), seen.faults
