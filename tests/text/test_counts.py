from hypothesis import given
from hypothesis import strategies as st

from lmgen.text.counts import TextCounter, TextCounts, count

texts = st.text(st.sampled_from("ab \n\té\u2028\U0001f600\udcff"))


@given(st.lists(texts))
def test_counts_do_not_depend_on_where_the_text_is_cut(chunks: list[str]) -> None:
    text = "".join(chunks)

    assert count(chunks) == TextCounts(
        characters=len(text),
        bytes=len(text.encode("utf-8", "surrogateescape")),
        words=len(text.split()),
        line_ends=text.count("\n"),
        open_lines=int(bool(text) and not text.endswith("\n")),
    )


def test_counts_of_texts_add_up() -> None:
    assert count(["one two\n"]) + count(["three"]) == TextCounts(
        characters=13, bytes=13, words=3, line_ends=1, open_lines=1
    )


def test_a_counter_passes_the_text_on() -> None:
    counter = TextCounter()

    assert list(counter.counting(["on", "e\n"])) == ["on", "e\n"]
    assert counter.counts.words == 1
