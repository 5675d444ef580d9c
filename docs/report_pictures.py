"""
Make the pictures of guides/report.md: `python -m docs.report_pictures checkpoints/demo`.

A page is written about the run and lmgen's own README.md, opened in Chromium and photographed; the files are
in docs/images.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import lmgen

IMAGES = Path(__file__).parent / "images"

WIDTH = 1180

TOKEN = 195
"""The token whose bubble is shown: one where the model is not sure."""


def main(run: str) -> None:
    """Photograph the beginning of the page, and the text with the bubble of a token."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        page_file = Path(folder) / "report.html"
        lmgen.write_report(run, out=page_file, text=IMAGES.parents[1] / "README.md")
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 960})
        page.goto(page_file.as_uri())
        page.wait_for_selector("body[data-ready]")
        page.locator("#learned").evaluate("section => scrollTo(0, section.offsetTop)")
        page.screenshot(path=IMAGES / "report-learned.png")
        page.set_viewport_size({"width": WIDTH, "height": 560})
        page.locator("#text").evaluate("section => scrollTo(0, section.offsetTop)")
        page.locator("#heat u").nth(TOKEN).hover()
        page.screenshot(path=IMAGES / "report-text.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
