"""A reader turns the knobs of GAE's lambda and PPO's clip, on a desk and on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import Watch, figure_on
from tests.test_site import AXE, COLOUR_RULES

pytestmark = pytest.mark.needs("chromium")

MakePage: TypeAlias = Callable[..., tuple[Page, Watch]]


@pytest.fixture(params=[1280, 390])
def figure(
    page: MakePage, site: str, request: pytest.FixtureRequest
) -> Iterator[Callable[[str, str], Locator]]:
    """``figure(chapter, name)`` is a figure on its page; used, it breaks nothing and reads well."""
    reader, seen = page(width=request.param)
    boxes: list[Locator] = []

    def find(chapter: str, name: str) -> Locator:
        boxes.append(figure_on(reader, site, f"chapters/{chapter}.html", name))
        return boxes[-1]

    yield find
    (box,) = boxes
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


def picture(canvas: Locator) -> str:
    content: str = canvas.evaluate("canvas => canvas.toDataURL()")
    return content


def test_lambda_trades_bias_for_variance(figure: Callable[[str, str], Locator]) -> None:
    box = figure("05_policy_gradients", "gae")
    says = box.locator(".widget-says")
    bars, curves = box.locator("[data-errors]"), box.locator("[data-curves]")
    box.locator("[name=lambda]").fill("1")
    expect(says).to_contain_text("At λ = 1.00")
    high = picture(curves)
    box.locator("[name=lambda]").focus()
    box.page.keyboard.press("Home")
    expect(says).to_contain_text("At λ = 0.00")
    assert picture(curves) != high
    before = picture(bars)
    box.get_by_role("button", name="Other luck, other critic").click()
    assert picture(bars) != before
    box.locator("[name=c]").fill("0")
    expect(says).to_contain_text("the sum is least at λ = 0.00")
    box.locator("[name=mistake]").select_option("leak")
    expect(says).to_contain_text("choose another ending")
    box.locator("[name=ending]").select_option("limit")
    expect(says).to_contain_text("Errors of the next episode")
    box.locator("[name=mistake]").select_option("done")
    expect(says).to_contain_text("only the clock ran out")
    expect(bars).to_have_attribute("aria-label", re.compile("only the clock ran out"))


def test_the_clip_answers_buttons_keys_and_a_finger(
    figure: Callable[[str, str], Locator],
) -> None:
    box = figure("06_trpo_ppo", "ppo-clip")
    mouse = box.page.mouse
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
        box.page.keyboard.press("ArrowRight")
    expect(says).to_contain_text("inside the range")
    canvas = box.locator("canvas")
    before = picture(canvas)
    place = canvas.bounding_box()
    assert place is not None
    mouse.move(place["x"] + 0.5 * place["width"], place["y"] + 40)
    mouse.down()
    mouse.move(place["x"] + 0.1 * place["width"], place["y"] + 40)
    mouse.up()
    expect(says).to_contain_text("no gradient: enough")
    assert picture(canvas) != before
