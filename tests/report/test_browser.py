"""The page of a report in a real browser: hover, keyboard, switches, dark mode, a phone, paper."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lmgen
from tests.browsing import MARKS, watched_page
from tests.report import runs
from tests.report.test_page import HOSTILE

pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
pytest.importorskip("jinja2", reason="the extra `report` is not installed")

pytestmark = MARKS

LARGEST = 2_000_000
"""Bytes of a page about one run and a text of 50,000 characters."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page about two runs, of characters and of words, and a text that would like to be a script."""
    out = tmp_path_factory.mktemp("report") / "page.html"
    lmgen.write_report(runs.run(), runs.run(tokenizer="word"), out=out, text=HOSTILE + runs.text(3))
    return out


@pytest.fixture
def page(browser: Any, file: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page, which may complain about nothing and fetch nothing."""
    options = getattr(request, "param", {})
    with watched_page(browser, lambda url: url == file.as_uri(), **options) as opened:
        opened.goto(file.as_uri())
        opened.wait_for_selector('body[data-ready="0"]')
        yield opened


def shown(page: Any) -> str:
    """What the bubble says."""
    return str(page.locator("#bubble").inner_text())


def brightness(page: Any, selector: str, what: str) -> float:
    """That of a colour of an element, 0 to 1."""
    colour = page.locator(selector).first.evaluate(f"each => getComputedStyle(each).{what}")
    return sum(map(float, colour.removeprefix("rgb(").removesuffix(")").split(","))) / 765


def test_a_token_under_the_pointer_tells_surprisal_rank_and_guesses(page: Any) -> None:
    assert page.locator("#bubble").is_hidden()
    page.locator("#heat u").nth(4).hover()
    said = shown(page).split("\n")

    assert said[0] == "T"
    assert said[1].startswith("lstm: ")
    assert ", rank " in said[1]
    assert page.locator("#bubble li").count() == 5
    page.get_by_role("heading", name="The text, token by token").hover()
    assert page.locator("#bubble").is_hidden()


def test_a_token_that_cannot_be_seen_is_told_by_its_code(browser: Any, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    lmgen.write_report(runs.run(), out=out, text="o\u200b\re\u0301 \n")
    page = browser.new_page()
    page.goto(out.as_uri())
    page.wait_for_selector('body[data-ready="0"]')
    page.locator("#heat").focus()
    page.keyboard.press("Home")

    said = []
    for _ in range(7):
        said.append(shown(page).split("\n")[0])
        page.keyboard.press("ArrowRight")
    page.close()
    assert said == ["o", "U+200B", "U+000D", "e", "U+0301", "\u2423", "\u21b5"]


def test_the_keyboard_goes_from_token_to_token_and_from_model_to_model(page: Any) -> None:
    page.locator('#model-switch input[value="0"]').focus()
    page.keyboard.press("Tab")
    assert shown(page).split("\n")[0] == "o"
    for key, token in (("ArrowRight", "n"), ("ArrowRight", "e"), ("ArrowLeft", "n"), ("Home", "o")):
        page.keyboard.press(key)
        assert shown(page).split("\n")[0] == token
    page.keyboard.press("ArrowDown")
    assert page.evaluate("Number(document.querySelector('#heat .now').dataset.i)") > 20
    page.keyboard.press("End")
    assert shown(page).split("\n")[0] == "↵"
    page.keyboard.press("Escape")
    assert page.locator("#bubble").is_hidden()

    before = page.locator("#heat").evaluate("box => box.innerHTML")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    assert page.locator('#model-switch input[value="1"]').is_checked()
    assert page.locator("#heat").evaluate("box => box.innerHTML") != before
    page.keyboard.press("ArrowRight")
    assert "lstm better" in page.locator("#heat-legend").inner_text()


def test_the_switch_shows_the_other_run_and_its_tokens(page: Any) -> None:
    assert page.locator("#heat").inner_text().startswith("one Two </script>")
    page.locator('label:has(input[name="run"][value="1"])').click()
    page.wait_for_selector('body[data-ready="1"]')

    assert page.locator("#heat u").nth(1).inner_text() == "Two "
    assert page.locator("section#what .of-run:visible").count() == 1
    assert "word, V = " in page.locator("section#what .of-run:visible").inner_text()
    assert page.locator("#picture-gates").is_hidden()
    assert page.locator("#picture-gates-2").is_visible()
    assert page.locator("#picture-loss").is_visible()


def test_a_unit_is_chosen_and_a_word_leads_into_the_text(page: Any) -> None:
    first = page.locator("#cell-text u").first.get_attribute("style")
    page.locator("#unit").select_option(index=1)
    page.locator("#cell-text u").first.hover()
    assert "unit " in shown(page)
    assert page.locator("#cell-text u").first.get_attribute("style") != first or first is not None

    link = page.locator("#predicts a[data-token]:visible").first
    word = str(link.inner_text())
    link.click()
    at = page.evaluate("Number(document.querySelector('#heat .now').dataset.i)")
    letters = "".join(page.locator("#heat u").all_inner_texts()[at : at + 40])
    assert letters.strip().startswith(word)


def test_a_text_with_a_script_shows_it_and_does_not_run_it(page: Any) -> None:
    assert HOSTILE.strip() in page.locator("#heat").inner_text()
    assert page.title() != "run"


@pytest.mark.parametrize("page", [{"color_scheme": "dark"}, {"color_scheme": "light"}], indirect=True)
def test_page_and_pictures_are_as_light_or_dark_as_the_reader_wants(page: Any) -> None:
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    for selector in ("#picture-loss svg text", "body"):
        text = "fill" if "text" in selector else "color"
        assert (brightness(page, selector, text) > 0.7) == is_dark
    assert (brightness(page, "body", "backgroundColor") < 0.2) == is_dark
    assert (brightness(page, "#loss-patch_1 path", "fill") < 0.2) == is_dark


@pytest.mark.parametrize(
    "page", [{"viewport": {"width": 360, "height": 700}, "has_touch": True}], indirect=True
)
def test_on_a_phone_nothing_sticks_out_and_a_tap_tells_of_a_token(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.locator("#heat u").nth(1).tap()
    box = page.locator("#bubble").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360


@pytest.mark.parametrize("page", [{"color_scheme": "dark"}], indirect=True)
def test_on_paper_the_whole_text_is_coloured_and_nothing_is_cut_off(page: Any) -> None:
    drawn = page.locator("#heat u").count()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")

    assert page.locator("#heat u").count() == len(HOSTILE + runs.text(3)) >= drawn
    assert page.locator("nav").is_hidden()
    for selector in ("h1", "#what dd", "#heat", "#what td"):
        assert brightness(page, selector, "color") < 0.3
    assert page.evaluate("(b => b.scrollHeight <= b.clientHeight + 1)(document.getElementById('heat'))")
    assert page.pdf()[:4] == b"%PDF"


def test_a_long_text_fits_and_is_drawn_as_it_is_read(browser: Any, tmp_path: Path) -> None:
    text = (runs.text(3) + runs.text(4) + runs.text(6)) * 2
    assert len(text) > 50_000
    written = lmgen.write_report(runs.run(), out=tmp_path / "long.html", text=text)

    assert written.bytes < LARGEST
    page = browser.new_page()
    page.goto((tmp_path / "long.html").as_uri())
    page.wait_for_selector("body[data-ready]")
    assert page.locator("#heat u").count() < 10_000
    page.locator("#heat").focus()
    page.keyboard.press("End")
    assert page.evaluate("document.getElementById('heat').scrollTop") > 1000
    page.close()
