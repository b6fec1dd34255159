"""The built website in a real browser: every page, light and dark, on a desk and on a phone."""

from __future__ import annotations

import dataclasses
import gzip
import html.parser
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import SITE, Watch, figure_on, watch

pytestmark = pytest.mark.long(8)

ROOT = Path(__file__).parents[1]
AXE = ROOT / "build" / "web" / "node_modules" / "axe-core" / "axe.min.js"
CHAPTER = "chapters/02_q_learning_sarsa.html"
HEAVIEST = 600_000
COLOUR_RULES = ["color-contrast", "link-in-text-block"]  # what a theme can break
COMPRESSED = {".html", ".js", ".css", ".svg", ".json", ".mjs"}

MakePage: TypeAlias = Callable[..., tuple[Page, Watch]]
chromium = pytest.mark.needs("chromium")


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """The website, as the sources say it should be."""
    subprocess.run([sys.executable, ROOT / "book" / "build.py"], check=True)


def pages() -> list[str]:
    """Every page, by its path in the site."""
    found = (path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
    return sorted(path for path in found if not path.startswith("_static/"))


@dataclasses.dataclass
class Visit:
    """What was seen on one page.

    Attributes:
        violations: axe's, with where: width and theme.
        faults: console errors, and requests to elsewhere.
        sideways: pixels that the page is wider than its window.
        weight: bytes that came over the line, compressed as servers do.
    """

    violations: list[str] = dataclasses.field(default_factory=list)
    faults: list[str] = dataclasses.field(default_factory=list)
    sideways: int = 0
    weight: int = 0


def weight(address: str, site: Path = SITE) -> int:
    """Return how many bytes a file of the site takes on the line."""
    path = site / unquote(urlsplit(address).path).lstrip("/")
    content = path.read_bytes()
    return len(gzip.compress(content)) if path.suffix in COMPRESSED else len(content)


def read_through(page: Page) -> None:
    """Scroll to the end and back, so that everything that waits to be seen arrives."""
    page.evaluate(
        """async () => {
          for (let y = 0; y < document.body.scrollHeight; y += innerHeight) {
            scrollTo(0, y);
            await new Promise(requestAnimationFrame);
          }
          scrollTo(0, 0);
          const figures = [...document.querySelectorAll(".widget")];
          const ready = () => figures.every((figure) => "ready" in figure.dataset);
          while (!ready()) await new Promise(requestAnimationFrame);
          await document.fonts.ready;
          await new Promise(requestAnimationFrame);
        }"""
    )


def thin_out(page: Page) -> None:
    """Leave of the words that look alike in a formula, or in a piece of code, the first.

    A page has been judged whole in one theme when axe looks at its colours in the other one, and
    what it says of one word's contrast it says of all that look like it, background included.
    Beside a link all words stay, since a link is judged by its neighbours. From pictures go the
    shapes, which have no words.
    """
    page.evaluate(
        """() => {
          const own = ["color", "opacity", "fontSize", "fontWeight", "textShadow", "filter"];
          const behind = ["backgroundColor", "backgroundImage", "opacity", "filter"];
          const isText = (node) => node.nodeType === Node.TEXT_NODE;
          const wordsOf = (part) =>
            [...part.childNodes].filter(isText).map((text) => text.data).join("").trim();
          const isInline = (part) => getComputedStyle(part).display.startsWith("inline");
          const around = (part) => (isInline(part) ? around(part.parentElement) : part);
          for (const block of document.querySelectorAll(".katex-html, pre")) {
            if (around(block).querySelector("a")) continue;
            const seen = new Set();
            const stay = new Set();
            for (const word of block.querySelectorAll("*")) {
              if (!wordsOf(word)) continue;
              const look = own.map((name) => getComputedStyle(word)[name]);
              look.push(wordsOf(word).length > 1); // axe judges no single letters
              for (let at = word; at !== block; at = at.parentElement)
                look.push(...behind.map((name) => getComputedStyle(at)[name]));
              if (seen.has(look.join())) continue;
              seen.add(look.join());
              for (let at = word; at !== block; at = at.parentElement) stay.add(at);
            }
            for (const part of block.querySelectorAll("*")) if (!stay.has(part)) part.remove();
          }
          for (const shape of document.querySelectorAll("svg *"))
            if (!shape.textContent.trim()) shape.remove();
        }"""
    )


def show(page: Page, theme: str) -> None:
    """Show a page in a theme."""
    page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)


def violations(page: Page, theme: str, rules: Sequence[str] = ()) -> list[str]:
    """Return what axe says of a page in one theme, by all rules or some, with its width."""
    show(page, theme)
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = page.evaluate("options => axe.run(document, options)", options)
    assert page.viewport_size
    return [
        f"{page.viewport_size['width']} {theme}: {violation['id']}: {node['html'][:120]}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def visit(browser: Browser, address: str) -> Visit:
    """Look at a page in light and dark, on a desk and on a phone."""
    seen = Visit()
    requests: set[str] = set()
    for width in (1280, 390):
        context = browser.new_context(viewport={"width": width, "height": 900})
        page = context.new_page()
        watched = watch(page)
        page.emulate_media(color_scheme="light")
        page.goto(address, wait_until="load")
        read_through(page)
        page.add_style_tag(content="* { transition: none !important }")  # colours change at once
        page.evaluate(AXE.read_text("utf-8"))
        seen.violations += violations(page, "light")
        for theme in ("light", "dark"):
            show(page, theme)
            sticks_out = "() => document.documentElement.scrollWidth - innerWidth"
            seen.sideways = max(seen.sideways, page.evaluate(sticks_out))
        thin_out(page)
        seen.violations += violations(page, "dark", COLOUR_RULES)
        seen.faults += watched.faults
        requests |= set(watched.requests)
        context.close()
    if address.startswith("http"):
        seen.weight = sum(map(weight, requests))
    return seen


@pytest.fixture(scope="module")
def visits(built: None, browser: Browser, site: str) -> dict[str, Visit]:
    """One visit to each page."""
    return {path: visit(browser, f"{site}/{path}") for path in pages()}


@chromium
class TestEveryPage:
    def test_there_are_the_pages_that_a_reader_needs(self, visits: dict[str, Visit]) -> None:
        needed = {"index.html", CHAPTER, "labs/lab02_q_learning_sarsa.html", "glossary.html"}
        assert needed <= set(visits)

    def test_axe_finds_nothing(self, visits: dict[str, Visit]) -> None:
        assert {path: v.violations for path, v in visits.items() if v.violations} == {}

    def test_no_error_and_no_request_to_elsewhere(self, visits: dict[str, Visit]) -> None:
        assert {path: v.faults for path, v in visits.items() if v.faults} == {}

    def test_nothing_sticks_out_sideways_on_a_phone(self, visits: dict[str, Visit]) -> None:
        assert {path: v.sideways for path, v in visits.items() if v.sideways > 0} == {}

    def test_a_page_is_light(self, visits: dict[str, Visit]) -> None:
        weights = {path: v.weight for path, v in visits.items()}
        assert min(weights.values()) > 50_000, "the pages' parts were not counted"
        assert {path: w for path, w in weights.items() if w > HEAVIEST} == {}


@chromium
def test_a_faulty_page_is_seen(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "faulty.html"
    page.write_text(
        "<!doctype html><html lang=en><title>x</title><main><h1>x</h1><img src='data:,'>"
        "<p style='color:#bbb;background:#fff'>pale</p><div style='width:900px'>wide</div>"
    )
    seen = visit(browser, page.as_uri())
    assert any("image-alt" in violation for violation in seen.violations)
    assert any("color-contrast" in violation for violation in seen.violations)
    assert seen.sideways > 400


@chromium
@pytest.mark.parametrize(
    ("content", "rule", "themes"),
    [
        ("<p class=katex-html><i>max</i><i class=pale>min</i></p>", "color-contrast", "both"),
        ("<p class=katex-html><i class=pale>x</i><i class=pale>min</i></p>",
         "color-contrast", "both"),
        ("<p class=katex-html><b><i>max</i></b><b class=grey><i>min</i></b></p>",
         "color-contrast", "both"),
        ("<pre><i>def</i> <i>one</i>\n<i class=pale>if</i></pre>", "color-contrast", "both"),
        ("<pre><i>def</i> <i class=fades>two</i></pre>", "color-contrast", "dark"),
        ("<pre><i><i>def</i></i> <i class=fades>if <i class=plain>two</i></i></pre>",
         "color-contrast", "dark"),
        ("<p><i class=katex-html><i>max</i><i>min</i><i>exp</i></i> <a class=bare href=x>three</a>",
         "link-in-text-block", "dark"),
        (f"<pre class=narrow><i>a</i>{'<i>b</i>' * 500}</pre>", "scrollable-region-focusable", ""),
        (f"<p class=narrow><i class=katex-html><i>a</i>{'<i>b</i>' * 500}</i></p>",
         "scrollable-region-focusable", ""),
        ("<svg role=img></svg>", "svg-img-alt", ""),
    ],
)  # fmt: skip
def test_a_fault_among_many_words_that_look_alike_is_seen(
    browser: Browser, tmp_path: Path, content: str, rule: str, themes: str
) -> None:
    page = tmp_path / "faulty.html"
    page.write_text(
        """<!doctype html><html lang=en><title>x</title><style>
        body { color: #111; background: #fff }
        [data-theme=dark] body { color: #eee; background: #111 }
        .pale { color: #888 } [data-theme=dark] .pale { color: #444 }
        .grey { background: #777 } [data-theme=dark] .fades { color: #333 }
        [data-theme=dark] .plain { color: #eee }
        .bare { color: #06c } [data-theme=dark] .bare { color: #ddd; text-decoration: none }
        .narrow { width: 50px; overflow: auto; white-space: nowrap }
        </style><main><h1>x</h1>"""
        + content
    )
    seen = visit(browser, page.as_uri()).violations
    faults = {" ".join(violation.split()[1:3]) for violation in seen}
    shown = {"both": ["light", "dark"], "dark": ["dark"], "": ["light"]}[themes]
    assert faults == {f"{theme}: {rule}:" for theme in shown}


@chromium
def test_opened_from_disk_a_figure_says_what_it_would_show(browser: Browser) -> None:
    page = browser.new_page()
    page.goto((SITE / CHAPTER).as_uri())
    for box in page.locator(".widget").all():
        expect(box).to_contain_text("make serve")
        expect(box).to_contain_text(box.get_attribute("aria-label") or "no label")
    page.close()


@chromium
class TestTheCliff:
    @pytest.fixture
    def figure(self, page: MakePage, site: str, request: pytest.FixtureRequest) -> Any:
        reader, seen = page(width=request.param)
        yield figure_on(reader, site, CHAPTER, "cliff")
        assert seen.faults == []

    widths = pytest.mark.parametrize("figure", [1280, 390], indirect=True)

    @widths
    def test_training_changes_the_picture_and_the_words(self, figure: Any) -> None:
        grid = figure.locator("[data-grid=qlearning]")
        before = grid.evaluate("canvas => canvas.toDataURL()")
        for _ in range(5):
            figure.get_by_role("button", name="+100 episodes").click()
        assert grid.evaluate("canvas => canvas.toDataURL()") != before
        expect(figure.locator(".widget-says")).to_contain_text("After 500 episodes")
        expect(figure.locator(".widget-says")).to_contain_text(
            "Q-learning reaches the goal in 13 steps, along the edge"
        )
        expect(grid).to_have_attribute(
            "aria-label",
            "Q-learning on the cliff; its greedy walk reaches the goal in 13 steps, along the edge",
        )

    @widths
    def test_the_page_does_not_move_when_the_figure_arrives_or_speaks(self, figure: Any) -> None:
        reserved = figure.evaluate("box => parseFloat(getComputedStyle(box).minHeight)")
        for _ in range(3):
            figure.get_by_role("button", name="+100 episodes").click()
            assert figure.evaluate("box => box.offsetHeight") == reserved

    @pytest.mark.parametrize("figure", [1280, 700, 640], indirect=True)
    def test_what_stands_side_by_side_begins_at_the_same_height(self, figure: Any) -> None:
        tops = figure.locator("canvas").evaluate_all(
            "all => all.map((canvas) => Math.round(canvas.getBoundingClientRect().top))"
        )
        assert len(tops) == 4
        assert tops[0] == tops[1] < tops[2] == tops[3]

    @widths
    def test_keys_turn_the_knobs_and_train(self, figure: Any) -> None:
        knob = figure.locator("[name=epsilon]")
        knob.focus()
        for _ in range(10):
            figure.page.keyboard.press("ArrowLeft")
        expect(knob).to_have_value("0")
        expect(figure.locator("output").first).to_have_text("0.00")
        figure.locator("[name=speed]").focus()
        figure.page.keyboard.press("End")
        figure.get_by_role("button", name="Train").focus()
        figure.page.keyboard.press("Space")
        expect(figure.get_by_role("button", name="Pause")).to_be_focused()
        expect(figure.locator("[data-facts=sarsa]")).not_to_contain_text("episode 0")
        figure.page.keyboard.press("Space")
        figure.get_by_role("button", name="Start over").click()
        expect(figure.locator("[data-facts=sarsa]")).to_contain_text("episode 0")

    @widths
    def test_exploring_less_makes_q_learning_earn_more(self, figure: Any) -> None:
        def earned() -> float:
            figure.get_by_role("button", name="Start over").click()
            for _ in range(3):
                figure.get_by_role("button", name="+100 episodes").click()
            words = figure.locator(".widget-says").inner_text()
            return float(words.rsplit("Q-learning ", 1)[1].rstrip(".").replace("−", "-"))

        exploring = earned()
        figure.locator("[name=epsilon]").fill("0")
        assert earned() > exploring + 20


@chromium
def test_a_self_test_works_by_keyboard_and_without_javascript(browser: Browser, site: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/{CHAPTER}")
    quiz = page.locator(".quiz").first
    wrong, right = quiz.locator(".quiz-wrong").first, quiz.locator(".quiz-right")
    expect(right).to_have_count(1)
    for option, verdict in ((wrong, "Tempting, but no."), (right, "Right.")):
        expect(option.get_by_text(verdict)).not_to_be_visible()
        option.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(option.get_by_text(verdict)).to_be_visible()
    still = page.locator(".widget .widget-still").first
    expect(still).to_contain_text("What it shows")
    context.close()


@chromium
def test_films_stand_still_for_who_asks_for_that(browser: Browser, site: str) -> None:
    running = "film => film.getAnimations({ subtree: true }).length"
    for wish, moving in (("no-preference", True), ("reduce", False)):
        context = browser.new_context(reduced_motion=wish)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"{site}/intro.html")
        films = page.locator(".film").all()
        assert len(films) > 1
        for film in films:
            assert (film.evaluate(running) > 0) is moving
            expect(film.get_by_role("checkbox")).to_have_count(int(moving))
        context.close()


@chromium
def test_each_film_can_be_paused_by_keyboard(page: MakePage, site: str) -> None:
    states = """film =>
      [...new Set(film.getAnimations({ subtree: true }).map((part) => part.playState))]"""
    reader, _ = page(width=390)
    reader.goto(f"{site}/intro.html")
    for film in reader.locator(".film").all():
        assert film.evaluate(states) == ["running"]
        film.get_by_role("checkbox").focus()
        reader.keyboard.press("Space")
        assert film.evaluate(states) == ["paused"]


@chromium
def test_search_finds_the_chapter(page: MakePage, site: str) -> None:
    reader, seen = page()
    reader.goto(f"{site}/search.html?q=bootstrapping")
    expect(reader.locator(f'#search-results a[href*="{CHAPTER}"]').first).to_be_visible()
    assert seen.faults == []


class _Links(html.parser.HTMLParser):
    """Collects where a page leads and what it can be led to."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.targets.add(value)
            if name in ("href", "src") and value:
                self.links.add(value)


def parsed(path: Path) -> _Links:
    links = _Links()
    links.feed(path.read_text("utf-8"))
    return links


def broken_links(site: Path) -> Iterator[str]:
    """Yield links within the site that lead to no file, or to no place in one."""
    seen = {path: parsed(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    for page, content in seen.items():
        for link in sorted(content.links):
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            path = (page.parent / unquote(address.path)).resolve() if address.path else page
            if not path.is_file():
                yield f"{page.relative_to(site)}: {link} leads to no file"
            elif path in seen and unquote(address.fragment) not in seen[path].targets | {""}:
                yield f"{page.relative_to(site)}: {link} leads to no place on that page"


def test_no_link_within_the_site_is_broken() -> None:
    assert list(broken_links(SITE.resolve())) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#here">x</a><a href="b.html#gone">x</a>')
    (tmp_path / "b.html").write_text('<p id="here"><img src="gone.png">')
    assert len(list(broken_links(tmp_path))) == 2


def test_a_second_build_does_nothing() -> None:
    before = {path: path.stat().st_mtime_ns for path in SITE.rglob("*.html")}
    subprocess.run([sys.executable, ROOT / "book" / "build.py"], check=True)
    assert {path: path.stat().st_mtime_ns for path in SITE.rglob("*.html")} == before
