"""The page at / in a real browser: typing, completing, the keyboard, dark mode, a phone, and hostile text."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmgen.models.model_file import save_model
from tests.browsing import MARKS, playwright, watched_page
from tests.serving.models import model, tokenizer
from tests.serving.test_process import served

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

pytestmark = MARKS

HOSTILE = (
    "worker 3 <script>document.title='run'</script><img src=x onerror=\"document.title='run'\">&amp; job"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("models")
    for kind, tokens in (("ngram", "char"), ("mixture", "bpe"), ("ngram", "word")):
        save_model(folder / f"{tokens}.safetensors", model(kind, tokens), tokenizer(tokens))
    with served(folder, *(f"{tokens}.safetensors" for tokens in ("char", "bpe", "word"))) as (url, _):
        yield url


@pytest.fixture
def page(browser: Any, server: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page, which may complain about nothing and ask nobody but its server."""
    options = getattr(request, "param", {})
    with watched_page(browser, lambda url: url.startswith(f"{server}/"), **options) as opened:
        opened.goto(f"{server}/")
        opened.locator("#next li").first.wait_for()
        yield opened


def shown_tokens(page: Any, count: int) -> None:
    """Wait until the heat map has so many tokens."""
    playwright.expect(page.locator("#tokens span")).to_have_count(count)


def test_typing_shows_what_comes_next_and_where_the_model_is_surprised(page: Any) -> None:
    page.locator("#text").press_sequentially("worker 3 finished jxb")
    shown_tokens(page, 21)

    assert page.locator("#tokens").inner_text() == "worker 3 finished jxb"
    assert page.locator("#next li").count() == 10
    shares = [float(text.split()[0]) for text in page.locator("#next .percent").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    page.locator("#tokens span").nth(19).hover()
    detail = page.locator("#detail").inner_text()
    assert re.match(r"x \d+\.\d\d bits, p = [\d.e-]+, .*Expected: o", detail), detail


def test_a_text_is_completed_stopped_and_taken_back(page: Any) -> None:
    page.fill("#text", "worker ")
    page.fill("#seed", "3")
    page.locator("#text").press("Control+Enter")
    playwright.expect(page.locator("#status")).to_contain_text("100 tokens")
    text = page.input_value("#text")
    assert len(text) == 107
    page.click("#undo")
    assert page.input_value("#text") == "worker "
    page.click("#complete")
    playwright.expect(page.locator("#status")).to_contain_text("100 tokens")
    assert page.input_value("#text") == text
    page.fill("#stop", "job")
    page.click("#complete")
    playwright.expect(page.locator("#status")).to_contain_text("tokens, ")


def test_the_keyboard_reaches_everything(page: Any) -> None:
    page.fill("#text", "worker 3")
    shown_tokens(page, 8)
    page.locator("#model").focus()
    reached = []
    for _ in range(24):
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        page.keyboard.press("Tab")
    controls = ["model", "text", "temperature", "top_p", "max_tokens", "seed", "stop", "complete"]
    assert [each for each in reached if each != "BODY"][:19] == [*controls, *["BUTTON"] * 10, "tokens"]
    page.locator("#tokens").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#tokens .current").get_attribute("data-index") == "6"
    page.locator("#next button").first.press("Enter")
    assert len(page.input_value("#text")) == 9


def test_a_text_is_never_run(page: Any) -> None:
    page.fill("#text", HOSTILE)
    shown_tokens(page, len(HOSTILE))
    page.locator("#tokens span").nth(12).hover()

    assert page.locator("#tokens").inner_text() == HOSTILE
    assert page.title() == "lmgen"
    assert page.locator("#tokens script, #tokens img, #next script, #detail script").count() == 0


def test_other_models_are_asked_in_their_tokens(page: Any) -> None:
    page.fill("#text", "worker 3 finished 👍 jo")
    page.select_option("#model", "bpe.safetensors")
    playwright.expect(page.locator("#tokens .open")).to_have_count(1)
    assert page.locator("#tokens").inner_text() == "worker 3 finished 👍 jo"
    page.select_option("#model", "word.safetensors")
    playwright.expect(page.locator("#next button")).to_have_count(0)
    assert page.locator("#tokens").inner_text() == "worker 3 finished 👍 jo"


@pytest.mark.parametrize(
    "page",
    [
        {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
        for width in (360, 800, 1600)
        for scheme in ("light", "dark")
    ],
    indirect=True,
)
def test_it_fits_a_phone_and_dark_mode(page: Any) -> None:
    page.fill("#text", "worker 3 finished a job of " + "x" * 300)
    shown_tokens(page, 327)

    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") == 0
    back, text = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    lightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (back, text)]
    assert (lightness[0] < lightness[1]) is is_dark


def test_with_a_key_the_page_asks_for_it(browser: Any, tmp_path: Path) -> None:
    save_model(tmp_path / "char.safetensors", model("ngram", "char"), tokenizer("char"))
    with served(tmp_path, "char.safetensors", "--api-key", "secret") as (url, _):
        page = browser.new_page()
        page.goto(f"{url}/")
        page.fill("#key", "secret")
        page.locator("#key").press("Enter")
        page.locator("#next li").first.wait_for()
        assert page.locator("#key-form").is_hidden()
        page.close()
