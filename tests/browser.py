"""Fixtures around a real browser: the built site on a local port, and pages that are watched."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    expect,
    sync_playwright,
)

from autograder import sample
from tests.needs import chromium_path

ROOT = Path(__file__).parents[1]
SITE = ROOT / "book/_build/html"
REPORT = sample.grades("lab02_q_learning_sarsa") / "report.html"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. One per module: while it runs, its event loop keeps others out of this thread."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield chromium
        chromium.close()


@dataclasses.dataclass
class Watch:
    """What a page did.

    Attributes:
        requests: every address that it asked for.
        errors: console errors and uncaught exceptions.
        outside: requests that would have left the machine; they are refused.
    """

    requests: list[str] = dataclasses.field(default_factory=list)
    errors: list[str] = dataclasses.field(default_factory=list)
    outside: list[str] = dataclasses.field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """What no page may do."""
        return self.errors + self.outside


def watch(page: Page) -> Watch:
    """Record a page's errors and refuse its requests to other machines."""
    seen = Watch()

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            seen.errors.append(f"{page.url}: {message.text}")

    def on_page_error(error: Error) -> None:
        seen.errors.append(f"{page.url}: {error}")

    def is_outside(url: str) -> bool:
        return url.startswith(("http:", "https:", "ws:", "wss:")) and not url.split("//", 1)[
            1
        ].startswith(("127.0.0.1:", "localhost:"))

    def on_request(request: Request) -> None:
        seen.requests.append(request.url)
        if is_outside(request.url):
            seen.outside.append(f"{page.url} asked for {request.url}")

    page.on("console", on_console)
    page.on("pageerror", on_page_error)
    page.on("request", on_request)
    page.route(is_outside, lambda route: route.abort())
    return seen


@pytest.fixture
def page(browser: Browser) -> Iterator[Callable[..., tuple[Page, Watch]]]:
    """Makes watched pages: ``page(width=1280, dark=False)`` gives a page and its `Watch`."""
    contexts = []

    def make(width: int = 1280, dark: bool = False) -> tuple[Page, Watch]:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
        )
        contexts.append(context)
        made = context.new_page()
        return made, watch(made)

    yield make
    for context in contexts:
        context.close()


@functools.lru_cache
def alone(path: str, name: str) -> str:
    """A page of the site, but below its headings only one interactive figure.

    A chapter has ten thousand elements, and a browser takes seconds to show them all.
    """
    page = BeautifulSoup((SITE / path).read_text("utf-8"), "html.parser")
    figure = page.select_one(f".widget[data-widget={name}]")
    assert figure is not None, f"{path} has no figure {name}"
    stay = {id(figure), *map(id, figure.parents)}
    for part in page.select("article section > *"):
        if part.name not in ("section", "h1", "h2", "h3") and id(part) not in stay:
            part.decompose()
    return str(page)


def figure_on(page: Page, site: str, path: str, name: str) -> Locator:
    """Go to an interactive figure, alone on its page of the site, and wait until it works."""
    address = f"{site}/{path}"
    page.route(
        address, lambda route: route.fulfill(body=alone(path, name), content_type="text/html")
    )
    page.goto(address)
    box = page.locator(f".widget[data-widget={name}]")
    box.scroll_into_view_if_needed()
    expect(box).to_have_attribute("data-ready", "")
    return box


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the test's output is the test's."""


@contextlib.contextmanager
def served(folder: Path = SITE) -> Iterator[str]:
    """Serve a folder on a free port; yields its address, without a slash at the end."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The address of the built site, without a slash at the end."""
    assert (SITE / "index.html").exists(), "the site is not built: run make book"
    with served() as address:
        yield address


@pytest.fixture(scope="session")
def report() -> Path:
    """The class report on the sample class."""
    assert REPORT.exists(), "the sample class is not graded: run make"
    return REPORT
