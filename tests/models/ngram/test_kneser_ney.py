from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.errors import ConfigError, CorpusError
from lmgen.models.ngram.kneser_ney import FALLBACK_DISCOUNTS, Discounts, discounts_of, estimate
from lmgen.models.ngram.model import NgramModel

A, B, C, D = range(4)


def probabilities_after(model: NgramModel, ids: Sequence[int]) -> list[float]:
    """P(each id | the text so far)."""
    state = model.advance(model.start(1), np.array(ids, int).reshape(-1, 1))
    return np.exp(model.predict(state)[0]).tolist()  # type: ignore[no-any-return]


def test_probabilities_of_a_b_a_c_worked_by_hand() -> None:
    """Order 2 over four ids, of which d is not in the text; too little text for discounts of its own."""
    model = NgramModel.fit(np.array([A, B, A, C]), order=2, vocabulary_size=4)
    # Unigrams are counted by the tokens before them: a after <s> and b; b after a; c after a. 4 in all.
    left = (1 + 0.5 + 0.5) / 4
    a, b, c, d = (2 - 1) / 4 + left / 4, (1 - 0.5) / 4 + left / 4, (1 - 0.5) / 4 + left / 4, left / 4
    # a is followed by b once and by c once; b by a; <s> by a; c by nothing.
    after_a = [0.5 * a, (1 - 0.5) / 2 + 0.5 * b, (1 - 0.5) / 2 + 0.5 * c, 0.5 * d]
    assert probabilities_after(model, [A]) == pytest.approx(after_a)
    assert probabilities_after(model, [B]) == pytest.approx(
        [(1 - 0.5) / 1 + 0.5 * a, 0.5 * b, 0.5 * c, 0.5 * d]
    )
    assert probabilities_after(model, []) == probabilities_after(model, [B])
    assert probabilities_after(model, [C]) == pytest.approx([a, b, c, d])
    assert probabilities_after(model, [D]) == pytest.approx([a, b, c, d])


def test_unigrams_with_discounts_of_their_own_worked_by_hand() -> None:
    """Four ids occur once, two twice, one three times, one four times; the ninth is unseen."""
    ids = np.repeat(np.arange(8), [1, 1, 1, 1, 2, 2, 3, 4])
    model = NgramModel.fit(ids, order=1, vocabulary_size=9)
    y = 4 / (4 + 2 * 2)
    one, two, three = 1 - 2 * y * 2 / 4, 2 - 3 * y * 1 / 2, 3 - 4 * y * 1 / 1
    left = (4 * one + 2 * two + 2 * three) / 15
    expected = [(1 - one) / 15] * 4 + [(2 - two) / 15] * 2 + [(3 - three) / 15, (4 - three) / 15, 0]
    assert model.discounts == ((one, two, three),)
    assert model.notes == ()
    assert probabilities_after(model, []) == pytest.approx([p + left / 9 for p in expected])


def test_ngrams_that_begin_a_sentence_keep_their_number_of_occurrences() -> None:
    """Nothing can stand before `<s>`; all others count the distinct tokens before them."""
    end = A
    model = NgramModel.fit(
        np.array([B, end, B, end, C, B, end]), order=3, vocabulary_size=3, sentence_end=end
    )
    # Unigrams: </s> after b; b after <s> and c; c after <s>. 4 in all.
    left = (0.5 + 1 + 0.5) / 4
    p_end, p_b, p_c = (1 - 0.5) / 4 + left / 3, (2 - 1) / 4 + left / 3, (1 - 0.5) / 4 + left / 3
    # Bigrams after <s>: b twice, c once.
    left = (1 + 0.5) / 3
    expected = [left * p_end, (2 - 1) / 3 + left * p_b, (1 - 0.5) / 3 + left * p_c]
    assert probabilities_after(model, []) == pytest.approx(expected)
    assert probabilities_after(model, [C, B, end]) == probabilities_after(model, [])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([1, 1, 1, 1, 2, 2, 3, 4], (1 - 2 / 2 * 2 / 4, 2 - 3 / 2 * 1 / 2, 3 - 4 / 2 * 1 / 1)),
        ([1, 1, 1, 1, 2, 2, 3, 5], (1 / 2, 5 / 4, 3.0)),
        ([0, 0, 1, 1, 1, 1, 2, 2, 3, 5], (1 / 2, 5 / 4, 3.0)),
        ([1, 1, 2, 2, 2, 2], None),
        ([2, 2, 3, 4], None),
        ([1, 2, 3, 3], None),  # D(2) = 2 - 3 * 1/3 * 2 = 0
        ([1, 2, 3, 3, 3], None),  # D(2) = 2 - 3 * 1/3 * 3 < 0
        ([], None),
    ],
)
def test_discounts_follow_counts_of_counts(counts: list[int], expected: Discounts | None) -> None:
    assert discounts_of(np.array(counts, int)) == expected


def test_orders_without_valid_discounts_fall_back_with_a_note() -> None:
    result = estimate(np.array([A, B, A, C]), 3, 4, None)
    assert result.discounts == (FALLBACK_DISCOUNTS,) * 3
    assert result.notes == (
        "n-gram counts of order 1-3 give no valid Kneser-Ney discounts: 0.5, 1, 1.5 are used",
    )


def test_counts_that_give_discounts_leave_no_note() -> None:
    result = estimate(np.repeat(np.arange(8), [1, 1, 1, 1, 2, 2, 3, 4]), 1, 9, None)
    assert result.notes == ()


def test_pruned_ngrams_leave_what_they_had_to_the_order_below_worked_by_hand() -> None:
    """Of a b a c a b, `a b` alone occurs twice; pruning the others empties the contexts b, c and `<s>`."""
    model = NgramModel.fit(np.array([A, B, A, C, A, B]), order=2, vocabulary_size=4, prune=[0, 1])
    # Unigrams are counted by the tokens before them: a after <s>, b and c; b after a; c after a. 5 in all.
    left = (1.5 + 0.5 + 0.5) / 5
    a, b, c, d = (3 - 1.5) / 5 + left / 4, (1 - 0.5) / 5 + left / 4, (1 - 0.5) / 5 + left / 4, left / 4
    # After a there is b twice, less 1, and c once, less all.
    left = (1 + 1) / 3
    assert model.counts == (5, 1)
    assert probabilities_after(model, [A]) == pytest.approx(
        [left * a, (2 - 1) / 3 + left * b, left * c, left * d]
    )
    for context in ([], [B], [C]):
        assert probabilities_after(model, context) == pytest.approx([a, b, c, d])


def test_pruning_goes_by_occurrences_not_by_adjusted_counts() -> None:
    """`b c` occurs twice, each time after a: its adjusted count is 1."""
    ids = np.array([A, B, C, A, B, C])
    assert NgramModel.fit(ids, order=3, vocabulary_size=3, prune=[0, 1, 1]).counts == (4, 2, 1)
    assert NgramModel.fit(ids, order=3, vocabulary_size=3, prune=[0, 0, 1]).counts == (4, 4, 1)


def test_the_last_threshold_is_that_of_higher_orders_too() -> None:
    ids = np.random.default_rng(0).integers(0, 3, 100)
    short = NgramModel.fit(ids, order=5, vocabulary_size=3, prune=[0, 2])
    whole = NgramModel.fit(ids, order=5, vocabulary_size=3, prune=[0, 2, 2, 2, 2])
    assert short.counts == whole.counts
    assert short.counts < NgramModel.fit(ids, order=5, vocabulary_size=3).counts


@pytest.mark.parametrize("prune", [[1], [0, 2, 1], [0, -1], [-1], [0, 0, 0, 1]])
def test_thresholds_that_fall_or_prune_unigrams_are_refused(prune: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"--prune is .* has to begin with 0, must not fall"):
        estimate(np.array([A]), 3, 4, None, prune)


def test_an_order_that_must_be_a_slip_is_refused() -> None:
    with pytest.raises(ConfigError, match="is 101, but has to be at most 100"):
        estimate(np.array([A]), 101, 4, None)


@pytest.mark.parametrize("order", [0, -3])
def test_an_order_below_1_is_refused(order: int) -> None:
    with pytest.raises(ConfigError, match=f"order of an n-gram model is {order}, but has to be at least 1"):
        estimate(np.array([A]), order, 4, None)


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(CorpusError, match="no tokens"):
        estimate(np.array([], np.uint8), 2, 4, None)


@pytest.mark.parametrize("stray", [4, 5, 200])
def test_an_id_outside_the_vocabulary_is_refused(stray: int) -> None:
    with pytest.raises(ValueError, match=f"highest id is {stray}"):
        estimate(np.array([A, stray], np.uint8), 2, 4, None)


class PlainKneserNey:
    """The formulas of kneser_ney.py's docstring, one n-gram at a time: slow and obvious."""

    def __init__(
        self,
        ids: list[int],
        order: int,
        vocabulary_size: int,
        sentence_end: int | None,
        prune: Sequence[int],
    ) -> None:
        self.order = order
        self.vocabulary_size = vocabulary_size
        self.sentence_end = sentence_end
        occurrences = Counter(
            (*context[len(context) - n :], token)
            for context, token in zip(self.contexts(ids), ids, strict=False)
            for n in range(min(order, len(context) + 1))
        )
        extensions = Counter(ngram[1:] for ngram in occurrences)
        self.counts = {
            ngram: count if len(ngram) == order or ngram[0] == vocabulary_size else extensions[ngram]
            for ngram, count in occurrences.items()
        }
        of_order: dict[int, list[int]] = defaultdict(list)
        self.following: dict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
        self.pruned = {
            ngram for ngram in occurrences if occurrences[ngram] <= prune[len(ngram) - 1] and len(ngram) > 1
        }
        for ngram, count in self.counts.items():
            of_order[len(ngram)].append(count)
            self.following[ngram[:-1]].append(ngram)
        self.discounts = [
            (0.0, *(discounts_of(np.array(of_order[n], int)) or FALLBACK_DISCOUNTS))
            for n in range(1, order + 1)
        ]

    def contexts(self, ids: list[int]) -> list[tuple[int, ...]]:
        """What stands before each token, and after the last: at most order - 1 tokens or `<s>` and fewer."""
        contexts, sentence = [], [self.vocabulary_size]
        for token in [*ids, None]:
            contexts.append(tuple(sentence[max(0, len(sentence) - self.order + 1) :]))
            if token is not None:
                sentence = [self.vocabulary_size] if token == self.sentence_end else [*sentence, token]
        return contexts

    def probability(self, context: tuple[int, ...], token: int) -> float:
        below = self.probability(context[1:], token) if context else 1 / self.vocabulary_size
        following = self.following.get(context)
        if not following:
            return below
        total = sum(self.counts[ngram] for ngram in following)
        left = total - sum(map(self.discounted, following))
        return (self.discounted((*context, token)) + left * below) / total

    def discounted(self, ngram: tuple[int, ...]) -> float:
        count = 0 if ngram in self.pruned else self.counts.get(ngram, 0)
        return count - self.discounts[len(ngram) - 1][min(count, 3)]


@settings(deadline=None, max_examples=60)
@given(data=st.data(), vocabulary_size=st.integers(1, 5), order=st.integers(1, 6), closed=st.booleans())
def test_every_probability_is_that_of_the_formulas(
    data: st.DataObject, vocabulary_size: int, order: int, closed: bool
) -> None:
    texts = st.lists(st.integers(0, vocabulary_size - 1), min_size=1, max_size=60)
    train, text = data.draw(texts), data.draw(texts)
    sentence_end = vocabulary_size - 1 if closed else None
    prune = [0, *sorted(data.draw(st.lists(st.integers(0, 3), min_size=order - 1, max_size=order - 1)))]
    model = NgramModel.fit(
        np.array(train),
        order=order,
        vocabulary_size=vocabulary_size,
        sentence_end=sentence_end,
        prune=prune,
    )
    plain = PlainKneserNey(train, order, vocabulary_size, sentence_end, prune)
    for length, context in enumerate(plain.contexts(text)):
        expected = [plain.probability(context, token) for token in range(vocabulary_size)]
        assert probabilities_after(model, text[:length]) == pytest.approx(expected, rel=1e-4)
