"""The pairs that word vectors are trained on."""

from hypothesis import given
from hypothesis import strategies as st

from lmgen.vectors.pairs import cbow_pairs, skip_gram_pairs


def test_pairs_are_those_of_the_slide() -> None:
    """Each word with the two before and after it."""
    pairs = list(skip_gram_pairs(["the", "quick", "brown", "fox", "jumps"], 2))

    assert [pair for pair in pairs if pair[0] == "the"] == [("the", "quick"), ("the", "brown")]
    assert [pair for pair in pairs if pair[0] == "brown"] == [
        ("brown", "the"),
        ("brown", "quick"),
        ("brown", "fox"),
        ("brown", "jumps"),
    ]
    assert list(cbow_pairs(["a", "b", "c"], 1)) == [("a", ("b",)), ("b", ("a", "c")), ("c", ("b",))]


def test_a_word_alone_has_no_pairs() -> None:
    assert list(skip_gram_pairs(["a"], 5)) == []
    assert list(cbow_pairs([], 5)) == []


@given(st.lists(st.text(min_size=1)), st.integers(1, 6))
def test_if_a_word_is_in_the_window_of_another_so_is_the_other_in_its_own(
    words: list[str], window: int
) -> None:
    pairs = list(skip_gram_pairs(words, window))

    assert sorted(pairs) == sorted((context, centre) for centre, context in pairs)
