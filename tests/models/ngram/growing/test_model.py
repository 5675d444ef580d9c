"""Counts that grow, against the same counted by hand, token by token."""

from collections import Counter

import numpy as np
import pytest

from lmgen.arrays import Float64Array, IdArray
from lmgen.models.ngram.growing.contexts import Contexts, WordRule
from lmgen.models.ngram.growing.model import GrowingCounts
from lmgen.models.ngram.kneser_ney import FALLBACK_DISCOUNTS

V, ORDER = 5, 4
IDS = np.random.default_rng(3).choice(V, 600, p=[0.4, 0.3, 0.15, 0.1, 0.05])
LETTERS = WordRule(np.array([0, 1, 2, 3, 4], np.uint64), np.array([True, False, False, False, False]))


class ByHand:
    """The opinion of the highest order, from dictionaries."""

    def __init__(self) -> None:
        self.counts = [
            Counter[tuple[tuple[int, ...], int]]() for _ in range(ORDER)
        ]  # by length of the context
        self.seen: list[int] = [-1] * ORDER

    def probabilities(self) -> Float64Array:
        lower = np.full(V, 1 / V)
        for n in range(ORDER):
            counts = self.counts[n] if n == ORDER - 1 else self._continuation(n)
            lower = self._interpolated(counts, self._context(n), lower)
        return lower

    def read(self, token: int) -> None:
        for n in range(ORDER):
            self.counts[n][self._context(n), token] += 1
        self.seen.append(token)

    def _context(self, n: int) -> tuple[int, ...]:
        return tuple(self.seen[len(self.seen) - n :])

    def _continuation(self, n: int) -> "Counter[tuple[tuple[int, ...], int]]":
        return Counter((context[1:], token) for context, token in self.counts[n + 1])

    def _interpolated(
        self, counts: "Counter[tuple[tuple[int, ...], int]]", context: tuple[int, ...], lower: Float64Array
    ) -> Float64Array:
        n1, n2, n3, n4 = (sum(count == k for count in counts.values()) for k in (1, 2, 3, 4))
        discounts = FALLBACK_DISCOUNTS
        if n1 and n2 and n3:
            share = n1 / (n1 + 2 * n2)
            found = (1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3)
            if all(0 < each <= k for k, each in enumerate(found, start=1)):
                discounts = found
        followers = np.array([counts[context, token] for token in range(V)])
        if not followers.sum():
            return lower
        taken = np.array([discounts[min(count, 3) - 1] if count else 0 for count in followers])
        mixed: Float64Array = (followers - taken + taken.sum() * lower) / followers.sum()
        return mixed


def test_the_highest_order_is_kneser_ney_on_all_tokens_before() -> None:
    model, expected = GrowingCounts(Contexts(ORDER, None), V), ByHand()

    opinions, _ = model.score(model.start(1), IDS[:, None])

    for token, found in zip(IDS.tolist(), opinions.probabilities[:, 0, -1].tolist(), strict=True):
        assert found == pytest.approx(expected.probabilities()[token], abs=1e-12)
        expected.read(token)


@pytest.mark.parametrize("training", [None, IDS[:250]])
@pytest.mark.parametrize("sentence_end", [None, 2])
def test_opinions_on_all_tokens_sum_to_one_and_agree_with_scores(
    training: IdArray | None, sentence_end: int | None
) -> None:
    model = GrowingCounts(Contexts(ORDER, sentence_end, LETTERS), V, training)
    scored, end = model.score(model.start(1), IDS[250:330, None])

    state = model.start(1)
    for place, token in enumerate(IDS[250:330].tolist()):
        opinions = model.opinions(state)
        assert opinions.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-12)
        assert opinions.probabilities[0, token] == pytest.approx(scored.probabilities[place, 0], abs=1e-12)
        assert opinions.signals[0].tolist() == scored.signals[place, 0].tolist()
        state = model.advance(state, np.array([[token]]))

    assert (model.opinions(state).probabilities == model.opinions(end).probabilities).all()


@pytest.mark.parametrize("words", [None, LETTERS])
@pytest.mark.parametrize("training", [0, 100])
def test_opinions_at_many_places_at_once_are_those_of_each(words: WordRule | None, training: int) -> None:
    counts = GrowingCounts(Contexts(ORDER, sentence_end=1, words=words), V, IDS[:training])
    ids = IDS[100:300].reshape(2, 100).T

    at_once, after = counts.opinions_each(counts.start(2), ids)

    state = counts.start(2)
    for place, row in enumerate(ids):
        opinions = counts.opinions(state)
        assert at_once.probabilities[place] == pytest.approx(opinions.probabilities, abs=1e-12)
        assert at_once.signals[place] == pytest.approx(opinions.signals, abs=1e-12)
        state = counts.advance(state, row[None])
    again, expected = counts.opinions(after), counts.opinions(state)
    assert again.probabilities == pytest.approx(expected.probabilities, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, ORDER])
@pytest.mark.parametrize("words", [None, LETTERS])
def test_opinions_depend_on_the_past_alone_however_a_text_is_cut(order: int, words: WordRule | None) -> None:
    model = GrowingCounts(Contexts(order, None, words), V, IDS[:100])
    text = IDS[100:300, None]
    other = text.copy()
    other[150:] = (other[150:] + 1) % V

    whole, _ = model.score(model.start(1), text)
    changed, _ = model.score(model.start(1), other)
    state, pieces = model.start(1), []
    for first in range(0, len(text), 7):
        piece, state = model.score(state, text[first : first + 7])
        pieces.append(piece.probabilities)

    assert (changed.probabilities[:150] == whole.probabilities[:150]).all()
    assert np.concatenate(pieces) == pytest.approx(whole.probabilities, abs=1e-12)


def test_counts_of_a_training_text_are_as_if_it_had_just_been_read() -> None:
    fresh = GrowingCounts(Contexts(1, None), V)
    begun = GrowingCounts(Contexts(1, None), V, IDS[:300])

    expected, _ = fresh.score(fresh.advance(fresh.start(1), IDS[:300, None]), IDS[300:, None])
    found, _ = begun.score(begun.start(1), IDS[300:, None])

    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-12)


def test_an_older_state_still_says_what_it_said() -> None:
    model = GrowingCounts(Contexts(ORDER, None, LETTERS), V)
    state = model.advance(model.start(1), IDS[:100, None])
    before = model.opinions(state).probabilities

    later = model.advance(state, IDS[100:200, None])
    other = model.advance(state, IDS[300:400, None])

    assert (model.opinions(state).probabilities == before).all()
    assert (model.opinions(later).probabilities != model.opinions(other).probabilities).any()
    again = model.advance(model.start(1), np.concatenate([IDS[:100], IDS[300:400]])[:, None])
    assert (model.opinions(other).probabilities == model.opinions(again).probabilities).all()


def test_nothing_is_counted_of_tokens_that_are_context_only() -> None:
    model = GrowingCounts(Contexts(1, None), V, IDS[:50])
    state = model.start(1)

    after = model.follow(state, IDS[50:90, None])

    assert (model.opinions(after).probabilities == model.opinions(state).probabilities).all()


def test_streams_do_not_see_each_other() -> None:
    model = GrowingCounts(Contexts(ORDER, None, LETTERS), V, IDS[:100])

    both, _ = model.score(model.start(2), IDS[100:300].reshape(2, 100).T)

    for stream in range(2):
        alone, _ = model.score(model.start(1), IDS[100 + 100 * stream : 200 + 100 * stream, None])
        assert (both.probabilities[:, stream] == alone.probabilities[:, 0]).all()
