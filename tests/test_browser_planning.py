"""A reader turns the knobs of the figures of chapters 1 and 3, on a desk and on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import Watch, figure_on
from tests.test_site import AXE, COLOUR_RULES

pytestmark = [pytest.mark.long(3), pytest.mark.needs("chromium")]

MakePage: TypeAlias = Callable[..., tuple[Page, Watch]]
PAGES = {
    "bandit": "chapters/01_rl_basics.html",
    "value-iteration": "chapters/01_rl_basics.html",
    "mcts": "chapters/03_planning_mcts.html",
}
# What a screen reader would say: the new text of every live region, whenever it changes.
LISTEN = """box => {
  box.heard = [];
  new MutationObserver(changes => changes.forEach(({ target }) => {
    const element = target.nodeType === 1 ? target : target.parentElement;
    if (element?.closest("[aria-live]")?.getAttribute("aria-live") === "polite")
      box.heard.push(element.textContent);
  })).observe(box, { childList: true, characterData: true, subtree: true });
}"""


@pytest.fixture(params=[1280, 390])
def figure(
    page: MakePage, site: str, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Locator]]:
    """``figure(name)`` is a figure on its page; whatever the test does, nothing may go wrong."""
    reader, seen = page(width=request.param)
    boxes: list[Locator] = []

    def find(name: str) -> Locator:
        boxes.append(figure_on(reader, site, PAGES[name], name))
        return boxes[-1]

    yield find
    assert seen.faults == []
    assert reader.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    for box in boxes:
        reserved = box.evaluate("box => parseFloat(getComputedStyle(box).minHeight)")
        assert box.evaluate("box => box.offsetHeight") == reserved, "the page moved"


def press(box: Locator, words: str, times: int = 1) -> None:
    for _ in range(times):
        box.get_by_role("button", name=words, exact=True).click()


def picture(canvas: Locator) -> str:
    content: str = canvas.evaluate("canvas => canvas.toDataURL()")
    return content


def finished_rows(box: Locator, count: int) -> list[list[float]]:
    """Wait until so many curves are complete; return each one's reward and share of best arms."""
    rows = box.locator("tbody tr")
    expect(rows).to_have_count(count)
    expect(box.locator("tbody")).not_to_contain_text("…", timeout=60_000)
    words = [row.locator("td").all_inner_texts() for row in rows.all()]
    return [[float(reward), float(share.rstrip("%"))] for reward, share in words]


class TestBandit:
    def test_two_clicks_show_that_exploring_pays(self, figure: Callable[[str], Locator]) -> None:
        box = figure("bandit")
        charts = [box.locator(f"[data-chart={name}]") for name in ("rewards", "optimal")]
        before = [picture(chart) for chart in charts]
        press(box, "Greedy")
        press(box, "ε = 0.1")
        (greedy, best_of_greedy), (exploring, best_of_exploring) = finished_rows(box, 2)
        assert exploring > greedy + 0.2
        assert best_of_exploring > best_of_greedy + 30
        assert all(picture(chart) != old for chart, old in zip(charts, before, strict=True))
        expect(box.locator(".widget-says")).to_contain_text(f"ε = 0.1 earns {exploring:.2f}")

    def test_knobs_make_another_curve(self, figure: Callable[[str], Locator]) -> None:
        box = figure("bandit")
        box.locator("[name=count]").fill("100")
        box.locator("[name=epsilon]").focus()
        for _ in range(10):
            box.page.keyboard.press("ArrowRight")
        press(box, "Run with these knobs")
        box.locator("[name=method]").select_option("ucb")
        expect(box.locator("[name=epsilon]")).to_be_disabled()
        expect(box.locator("[name=c]")).to_be_enabled()
        box.get_by_label("true values drift").check()
        press(box, "Run with these knobs")
        finished_rows(box, 2)
        names = box.locator("tbody th").all_inner_texts()
        assert names == ["ε = 0.2", "UCB, c = 2, drifting"]
        press(box, "Start over")
        expect(box.locator("tbody tr")).to_have_count(0)

    def test_at_most_five_curves_stay(self, figure: Callable[[str], Locator]) -> None:
        box = figure("bandit")
        box.locator("[name=count]").fill("100")
        for words in ("Greedy", "ε = 0.01", "ε = 0.1", "Optimistic", "UCB", "Gradient", "UCB"):
            press(box, words)
        finished_rows(box, 5)
        assert box.locator("tbody th").first.inner_text() == "ε = 0.01"

    def test_one_bandit_is_pulled_by_hand_and_by_the_agent(
        self, figure: Callable[[str], Locator]
    ) -> None:
        box = figure("bandit")
        arms = box.locator("[data-arms]")
        box.get_by_role("button", name="Pull arm 3", exact=True).focus()
        box.page.keyboard.press("Enter")
        expect(arms).to_have_attribute("aria-label", re.compile(r"; 3: worth .*?, 1 pulls;"))
        expect(box.locator("[data-one]")).to_contain_text("Arm 3 paid")
        before = picture(arms)
        press(box, "+100")
        expect(box.locator("[data-one]")).to_contain_text("101 pulls")
        assert picture(arms) != before
        box.get_by_label("show true values").uncheck()
        expect(arms).not_to_have_attribute("aria-label", re.compile("worth"))


class TestValueIteration:
    def cell(self, box: Locator, row: int, column: int) -> Locator:
        return box.get_by_role("button", name=f"row {row}, column {column}:")

    def test_a_sweep_spreads_what_is_known(self, figure: Callable[[str], Locator]) -> None:
        box = figure("value-iteration")
        before = picture(box.locator("[data-errors]"))
        press(box, "Sweep once")
        label = "row 3, column 7: value 0.80, best down"  # 0.8 of the steps arrive and are paid
        expect(self.cell(box, 3, 7)).to_have_attribute("aria-label", label)
        expect(self.cell(box, 1, 1)).to_have_attribute("aria-label", "row 1, column 1: value 0.00")
        expect(box.locator(".widget-says")).to_contain_text("no value by more than 0.800")
        press(box, "Sweep once")
        # 0.8 (1 + 0) + 0.1 times what the cell itself and 0.1 times what its neighbour were worth
        expect(self.cell(box, 3, 7)).to_have_attribute("aria-label", re.compile("value 0.87"))
        assert picture(box.locator("[data-errors]")) != before

    def test_run_ends_with_optimal_arrows(self, figure: Callable[[str], Locator]) -> None:
        box = figure("value-iteration")
        box.locator("[name=gamma]").fill("0.95")
        arrows = {}
        for slip in ("0", "0.2"):
            box.locator("[name=slip]").fill(slip)
            press(box, "Run")
            expect(box.locator(".widget-says")).to_contain_text("optimal since", timeout=60_000)
            expect(box.get_by_role("button", name="Run", exact=True)).to_be_visible(timeout=60_000)
            label = self.cell(box, 3, 1).get_attribute("aria-label") or ""
            arrows[slip] = label.rsplit(" ", 1)[1]
        assert arrows == {"0": "right", "0.2": "up"}  # who may slip keeps away from the pits

    def test_walls_are_built_by_hand_and_by_key(self, figure: Callable[[str], Locator]) -> None:
        box = figure("value-iteration")
        self.cell(box, 3, 1).click()
        expect(self.cell(box, 3, 1)).to_have_attribute("aria-label", re.compile("wall"))
        box.page.keyboard.press("ArrowUp")
        box.page.keyboard.press("ArrowUp")
        expect(self.cell(box, 1, 1)).to_be_focused()
        box.page.keyboard.press("Enter")
        expect(self.cell(box, 1, 1)).to_have_attribute("aria-label", re.compile("wall"))
        expect(self.cell(box, 1, 1)).to_be_focused()
        box.page.keyboard.press("Space")
        expect(self.cell(box, 1, 1)).to_have_attribute("aria-label", re.compile("value"))
        self.cell(box, 3, 7).click()  # the only way to the goal
        press(box, "Sweep once", 2)
        expect(self.cell(box, 2, 7)).to_have_attribute("aria-label", re.compile("value 0.00"))

    def test_policy_iteration_is_done_in_few_steps(self, figure: Callable[[str], Locator]) -> None:
        box = figure("value-iteration")
        box.locator("[name=map]").select_option("textbook")
        box.locator("[name=method]").select_option("policies")
        press(box, "Value, improve", 6)
        expect(box.locator(".widget-says")).to_contain_text("policy iteration is done")

    def test_the_random_policy_is_worth_less(self, figure: Callable[[str], Locator]) -> None:
        box = figure("value-iteration")
        box.locator("[name=method]").select_option("random")
        press(box, "Sweep once", 3)
        expect(self.cell(box, 3, 3)).to_have_attribute("aria-label", re.compile("value −0"))


class TestMcts:
    def test_a_simulation_has_four_phases(self, figure: Callable[[str], Locator]) -> None:
        box = figure("mcts")
        press(box, "+10")
        tree = box.locator("[data-tree]")
        told = box.locator(".mcts-phases li span")
        for phase in range(4):
            before = picture(tree)
            press(box, "Next phase")
            expect(box.locator(".mcts-phases li[data-now]")).to_have_count(1)
            words = told.all_inner_texts()
            assert [bool(text) for text in words] == [place <= phase for place in range(4)]
            assert picture(tree) != before
        expect(box.locator(".widget-says")).to_contain_text("After 11 simulations")

    @pytest.mark.parametrize(
        ("position", "move", "truth"),
        [("win", "top right", "X wins"), ("block", "top", "a draw")],
    )
    def test_it_finds_the_win_and_the_block(
        self, figure: Callable[[str], Locator], position: str, move: str, truth: str
    ) -> None:
        box = figure("mcts")
        box.locator("[name=position]").select_option(position)
        press(box, "+100")
        says = box.locator(".widget-says")
        expect(says).to_contain_text(f"would play {move}, visited")
        expect(says).to_contain_text(f"perfect play from here: {truth}. That move keeps it.")
        expect(box.locator("tr.best th")).to_have_text(f"{move} ✓")
        visits = box.locator("tbody td:nth-child(2)").all_inner_texts()
        assert sum(map(int, visits)) == 100

    def test_a_prior_adds_a_column_and_turns_the_search(
        self, figure: Callable[[str], Locator]
    ) -> None:
        box = figure("mcts")
        box.locator("[name=rule]").select_option("wrong")
        press(box, "1 simulation")
        expect(box.locator("thead")).to_contain_text("prior")
        expect(box.locator("tr.best th")).to_have_text("top ✓")  # an edge, which it likes most
        box.locator("[name=rule]").select_option("good")
        press(box, "1 simulation")
        expect(box.locator("tr.best th")).to_have_text("centre ✓")

    def test_it_plays_against_the_reader(self, figure: Callable[[str], Locator]) -> None:
        box = figure("mcts")
        box.get_by_label("it answers me").check()
        box.get_by_role("button", name="top: empty").focus()
        box.page.keyboard.press("Enter")
        expect(box.locator(".mcts-board")).to_have_text(re.compile("^[^XO]*X[^X]*$"))
        expect(box.locator(".mark-O")).to_have_count(1)
        expect(box.locator(".widget-says")).to_contain_text("O searched 500 times and plays")
        while box.locator(".mcts-board button:enabled").count():  # first free square, to the end
            box.locator(".mcts-board button:enabled").first.click()
        expect(box.locator(".widget-says")).to_contain_text(re.compile("O has won|a draw"))
        press(box, "Reset")
        expect(box.locator(".mcts-board button:enabled")).to_have_count(9)


def use(box: Locator, name: str) -> None:
    """Bring a figure to where most of it shows."""
    if name == "bandit":
        box.locator("[name=count]").fill("100")
        for words in ("Greedy", "ε = 0.1", "UCB", "+100"):
            press(box, words)
        finished_rows(box, 3)
    elif name == "value-iteration":
        press(box, "Sweep once", 20)
    else:
        box.locator("[name=position]").select_option("trap")
        box.locator("[name=rule]").select_option("good")
        press(box, "+100")
        press(box, "Next phase", 3)


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_in_a_figure_that_was_used(
    figure: Callable[[str], Locator], name: str
) -> None:
    box = figure(name)
    use(box, name)
    box.page.add_style_tag(content="* { transition: none !important }")  # colours change at once
    box.page.evaluate(AXE.read_text("utf-8"))
    for theme, rules in (("light", None), ("dark", COLOUR_RULES)):
        box.page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
        found = box.evaluate("(box, options) => axe.run(box, options)", options)
        nodes = [node["html"] for rule in found["violations"] for node in rule["nodes"]]
        assert nodes == [], [rule["id"] for rule in found["violations"]]


def test_a_screen_reader_hears_results_and_not_every_step(page: MakePage, site: str) -> None:
    reader, _ = page()
    box = figure_on(reader, site, PAGES["mcts"], "mcts")
    box.evaluate(LISTEN)
    press(box, "+1000")
    expect(box.locator(".widget-says")).to_contain_text("After 1000")
    heard = box.evaluate("box => box.heard")
    assert len(heard) == 1
    press(box, "Next phase")
    heard = box.evaluate("box => box.heard")
    assert any(text.startswith("Walks down") for text in heard)


@pytest.mark.parametrize("wish", ["no-preference", "reduce"])
def test_who_wants_no_motion_sees_the_end(browser: Browser, site: str, wish: str) -> None:
    context = browser.new_context(reduced_motion=wish)  # type: ignore[arg-type]
    reader = context.new_page()
    box = figure_on(reader, site, PAGES["value-iteration"], "value-iteration")
    box.evaluate(
        """box => {
          box.seen = new Set();
          new MutationObserver(() => box.seen.add(box.querySelector(".widget-says").textContent))
            .observe(box.querySelector(".widget-says"), { childList: true });
        }"""
    )
    press(box, "Run")
    expect(box.locator(".widget-says")).to_contain_text("optimal since", timeout=60_000)
    seen = [text for text in box.evaluate("box => [...box.seen]") if text.startswith("After")]
    assert (len(seen) == 1) is (wish == "reduce")
    box = figure_on(reader, site, PAGES["bandit"], "bandit")
    canvas = box.locator("[data-chart=optimal]")
    canvas.evaluate(
        """canvas => {
          canvas.times = 0;
          new MutationObserver(() => { canvas.times += 1; }).observe(canvas, { attributes: true });
        }"""
    )
    press(box, "Greedy")
    finished_rows(box, 1)
    times = canvas.evaluate("canvas => canvas.times")
    assert (times <= 2) is (wish == "reduce")
    context.close()
