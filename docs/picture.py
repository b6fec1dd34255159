"""Makes the README's picture of the site: ``python docs/picture.py`` after ``make``."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser import FLAGS, served  # noqa: E402
from tests.needs import chromium_path  # noqa: E402

PAGE = "chapters/02_q_learning_sarsa.html"
EPISODES = 3
COLOURS = 128


def screenshot(address: str) -> bytes:
    """The chapter's interactive figure after some training, as PNG.

    Args:
        address: of the site, without a slash at its end.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(f"{address}/{PAGE}")
        figure = page.locator(".widget").first
        figure.scroll_into_view_if_needed()
        for _ in range(EPISODES):
            figure.get_by_role("button", name="+100 episodes").click()
        figure.evaluate("element => window.scrollTo(0, element.offsetTop - 140)")
        picture = page.screenshot()
        browser.close()
    return picture


def main() -> None:
    """Write docs/site.png, with few colours: it is committed."""
    with served() as address:
        image = Image.open(io.BytesIO(screenshot(address)))
    target = ROOT / "docs" / "site.png"
    image.convert("P", palette=Image.Palette.ADAPTIVE, colors=COLOURS).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
