"""Pages in a real browser: Debian's Chromium, driven by playwright."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to show the page"),
]


@contextmanager
def started_browser() -> Iterator[Any]:
    """Chromium, which opens pages until the end of the block."""
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def watched_page(browser: Any, may_ask: Callable[[str], bool], **options: Any) -> Iterator[Any]:
    """
    A page that may complain about nothing and ask for no other addresses than it may.

    Args:
        browser: as `started_browser` gives it.
        may_ask: whether the page may ask for an address.
        options: of the page, such as its `viewport`.
    """
    page = browser.new_page(**options)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    assert complaints == []
    assert asked
    assert [url for url in asked if not url.startswith("data:,") and not may_ask(url)] == []
    page.close()
