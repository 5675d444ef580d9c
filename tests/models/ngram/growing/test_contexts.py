import numpy as np
import pytest

from lmgen.models.ngram.growing.contexts import NOTHING, Contexts, WordRule

V, ORDER = 12, 4
LETTERS = WordRule(np.array([0, 0, *range(5, V + 3)], np.uint64), np.array([True, True, *[False] * (V - 2)]))
"""Tokens 0 and 1 stand between words."""

IDS = np.random.default_rng(0).integers(0, V, 400)


def lengths_of(seen: list[int], sentence_end: int | None, order: int) -> list[tuple[int, ...]]:
    """The last 0, 1, ... tokens of a sentence."""
    if sentence_end in seen:
        seen = seen[len(seen) - seen[::-1].index(sentence_end) :]
    padded = [NOTHING] * order + seen
    return [tuple(padded[len(padded) - n :]) for n in range(order)]


def words_of(seen: list[int], sentence_end: int | None) -> list[tuple[object, ...]]:
    """The last token with the word so far, and with one and two words before it."""
    words: list[tuple[int, ...]] = [()]
    for token in seen:
        if token in (0, 1):
            words += [()] if words[-1] else []
        else:
            words[-1] += (token,)
    last = seen[-1] if seen and seen[-1] != sentence_end else NOTHING
    so_far, *before = [*reversed(words), (), ()][:3]
    return [(last, so_far), (last, so_far, before[0]), (last, so_far, *before)]


@pytest.mark.parametrize("order", [1, 2, ORDER])
@pytest.mark.parametrize("sentence_end", [None, 3])
def test_equal_contexts_and_no_others_have_equal_keys(sentence_end: int | None, order: int) -> None:
    contexts = Contexts(order, sentence_end, LETTERS)

    keys, _ = contexts.keys(contexts.start(), IDS)

    known: dict[object, int] = {}
    for place, column in enumerate(keys.T.tolist()):
        seen = IDS[:place].tolist()
        lengths, words = lengths_of(seen, sentence_end, order), words_of(seen, sentence_end)
        expected = [*enumerate(lengths), *enumerate(words, start=order)]
        for context, key in zip(expected, column, strict=True):
            assert known.setdefault(context, key) == key
    assert len(set(known.values())) == len(known)


@pytest.mark.parametrize("order", [1, 2, ORDER])
@pytest.mark.parametrize("sentence_end", [None, 3])
@pytest.mark.parametrize("words", [None, LETTERS])
def test_keys_do_not_depend_on_how_a_text_is_cut(
    sentence_end: int | None, words: WordRule | None, order: int
) -> None:
    contexts = Contexts(order, sentence_end, words)
    whole, end = contexts.keys(contexts.start(), IDS)

    random, place, first = np.random.default_rng(1), contexts.start(), 0
    while first < len(IDS):
        part = IDS[first : first + int(random.integers(0, 7))]
        keys, place = contexts.keys(place, part)
        assert (keys == whole[:, first : first + len(part) + 1]).all()
        first += len(part)

    assert place.words == end.words
    assert place.recent.tolist() == end.recent.tolist()


def test_an_order_of_one_has_one_context() -> None:
    contexts = Contexts(1, None)

    keys, _ = contexts.keys(contexts.start(), IDS)

    assert len(np.unique(keys)) == 1
