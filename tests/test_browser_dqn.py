"""A reader takes replay and the target network away from a DQN, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import Watch, figure_on
from tests.test_site import AXE, COLOUR_RULES

pytestmark = pytest.mark.needs("chromium")

MakePage: TypeAlias = Callable[..., tuple[Page, Watch]]
FIGURE = "chapters/04_dqn.html", "replay-target"
LONG = 120_000  # milliseconds: the agents learn in the page


@pytest.mark.parametrize("width", [1280, 390])
def test_values_leave_the_world_without_a_target_network(
    page: MakePage, site: str, width: int
) -> None:
    reader, seen = page(width=width)
    box = figure_on(reader, site, *FIGURE)
    says, rows = box.locator(".widget-says"), box.locator("tbody tr")
    expect(says).to_contain_text("Nothing has run yet")
    box.locator("[name=batchSize]").select_option("8")
    box.get_by_role("button", name="Train", exact=True).click()
    expect(says).to_contain_text("replay and target, batch 8: in the end", timeout=LONG)
    expect(says).to_contain_text("of 100 that are possible")
    chart = box.locator("[data-chart=believed]")
    before = chart.evaluate("canvas => canvas.toDataURL()")
    box.get_by_label("target network").focus()
    reader.keyboard.press("Space")
    expect(box.locator("[name=syncEvery]")).to_be_disabled()
    box.get_by_role("button", name="Train", exact=True).focus()
    reader.keyboard.press("Enter")
    expect(says).to_contain_text("replay only, batch 8: in the end", timeout=LONG)
    expect(says).to_contain_text("more than the 100 that the world can pay")
    assert chart.evaluate("canvas => canvas.toDataURL()") != before
    assert rows.locator("th").all_inner_texts() == [
        "replay and target, batch 8",
        "replay only, batch 8",
    ]
    assert seen.faults == []
    assert reader.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    reserved = box.evaluate("box => parseFloat(getComputedStyle(box).minHeight)")
    assert box.evaluate("box => box.offsetHeight") == reserved, "the page moved"
    reader.add_style_tag(content="* { transition: none !important }")
    reader.evaluate(AXE.read_text("utf-8"))
    for theme, rules in (("light", None), ("dark", COLOUR_RULES)):
        reader.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
        found = box.evaluate("(box, options) => axe.run(box, options)", options)
        assert [rule["id"] for rule in found["violations"]] == []
    box.get_by_role("button", name="Start over", exact=True).click()
    expect(rows).to_have_count(0)


def test_who_wants_no_motion_sees_the_end(browser: Browser, site: str) -> None:
    context = browser.new_context(reduced_motion="reduce")
    box = figure_on(context.new_page(), site, *FIGURE)
    canvas = box.locator("[data-chart=off]")
    canvas.evaluate(
        """canvas => {
          canvas.times = 0;
          new MutationObserver(() => { canvas.times += 1; }).observe(canvas, { attributes: true });
        }"""
    )
    box.locator("[name=batchSize]").select_option("8")
    box.get_by_role("button", name="Train", exact=True).click()
    expect(box.locator(".widget-says")).to_contain_text("in the end", timeout=LONG)
    assert canvas.evaluate("canvas => canvas.times") <= 2
    context.close()
