"""A reader turns the knobs of PPO's clip, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Watch
from tests.test_site import AXE, COLOUR_RULES

pytestmark = pytest.mark.needs("chromium")

MakePage: TypeAlias = Callable[..., tuple[Page, Watch]]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_clip_answers_buttons_keys_and_a_finger(page: MakePage, site: str, width: int) -> None:
    reader, seen = page(width=width)
    reader.goto(f"{site}/chapters/06_trpo_ppo.html")
    box = reader.locator(".widget[data-widget=ppo-clip]")
    box.scroll_into_view_if_needed()
    expect(box).to_have_attribute("data-ready", "")
    says, cells = box.locator(".widget-says"), box.locator("tbody td")
    for words, told, numbers in (
        ("Good, enough", "no gradient: enough", ["1.50", "1.20", "1.20", "0.00"]),
        ("Good, made rarer", "brings the action back", ["0.50", "0.80", "0.50", "0.50"]),
        ("Bad, enough", "no gradient: enough", ["−0.50", "−0.80", "−0.80", "0.00"]),
        ("Bad, made likelier", "brings the action back", ["−1.50", "−1.20", "−1.50", "−1.50"]),
    ):
        box.get_by_role("button", name=words, exact=True).click()
        expect(says).to_contain_text(told)
        assert cells.all_inner_texts() == numbers
    box.locator("[name=epsilon]").focus()
    for _ in range(6):
        reader.keyboard.press("ArrowRight")
    expect(says).to_contain_text("inside the range")
    canvas = box.locator("canvas")
    before = canvas.evaluate("canvas => canvas.toDataURL()")
    place = canvas.bounding_box()
    assert place is not None
    reader.mouse.move(place["x"] + 0.5 * place["width"], place["y"] + 40)
    reader.mouse.down()
    reader.mouse.move(place["x"] + 0.1 * place["width"], place["y"] + 40)
    reader.mouse.up()
    expect(says).to_contain_text("no gradient: enough")
    assert canvas.evaluate("canvas => canvas.toDataURL()") != before
    assert seen.faults == []
    assert reader.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    reserved = box.evaluate("box => parseFloat(getComputedStyle(box).minHeight)")
    assert box.evaluate("box => box.offsetHeight") == reserved, "the page moved"
    reader.evaluate(AXE.read_text("utf-8"))
    for theme, rules in (("light", None), ("dark", COLOUR_RULES)):
        reader.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
        found = box.evaluate("(box, options) => axe.run(box, options)", options)
        assert [rule["id"] for rule in found["violations"]] == []
