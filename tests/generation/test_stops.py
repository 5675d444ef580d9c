"""A stop text ends the text before it; nothing of it is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.generation.stops import StopWatch

texts = st.text("ab\n", max_size=30)
stop_texts = st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3)


def watched(pieces: list[str], stops: list[str]) -> tuple[list[str], str | None]:
    """What is shown of a text after each of its pieces, and which stop text ended it."""
    watch = StopWatch(stops)
    shown = []
    for piece in pieces:
        shown.append(watch.push(piece))
        if watch.found is not None:
            return shown, watch.found
    return [*shown, watch.finish("")], watch.found


@given(texts, stop_texts, st.data())
def test_the_text_before_the_first_stop_is_shown_however_it_is_cut(
    text: str, stops: list[str], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=10)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    shown, found = watched(pieces, stops)
    first = min([text.find(stop) for stop in stops if stop in text], default=len(text))
    assert "".join(shown) == text[:first]
    assert (found is not None) == any(stop in text for stop in stops)


def test_what_may_become_a_stop_is_held_back_and_no_more() -> None:
    assert watched(["x", "EN", "x", "E", "N", "D!"], ["END"]) == (["x", "", "ENx", "", "", ""], "END")


def test_what_only_began_is_shown_at_the_end() -> None:
    assert watched(["one E", "N"], ["END"]) == (["one ", "", "EN"], None)


def test_the_stop_that_begins_first_ends_the_text() -> None:
    """`bc` is whole before `abcd` is, but begins later: whether `abcd` comes has to be seen first."""
    assert watched(["a", "bc", "d"], ["bc", "abcd"]) == (["", "", ""], "abcd")
    assert watched(["a", "bc", "x"], ["bc", "abcd"]) == (["", "", "a"], "bc")
    assert watched(["a", "bc"], ["bc", "abcd"]) == (["", "", "a"], "bc")


@pytest.mark.parametrize("stops", [["\n", "\n\n"], ["\n\n", "\n"]])
def test_of_two_that_begin_together_the_shorter_counts(stops: list[str]) -> None:
    assert watched(["a\n\n"], stops) == (["a"], "\n")


def test_without_stops_all_is_shown_at_once() -> None:
    assert watched(["a", "b"], []) == (["a", "b", ""], None)
