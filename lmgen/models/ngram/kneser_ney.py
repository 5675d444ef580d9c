"""
Interpolated modified Kneser-Ney: the probabilities of all n-grams of a training text.

Discounts are those of Chen and Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling"
(1998), equation 26. Counts follow Heafield et al., "Scalable Modified Kneser-Ney Language Model Estimation"
(2013), as KenLM's lmplz implements it, so that results agree with lmplz.

With a(g) the adjusted count of an n-gram g = h w, h' the context h without its first token, and D the
discounts of g's order (D(1), D(2), and D(3) for all counts from 3 up):

    P(w | h) = (a(h w) - D(a(h w))) / sum_v a(h v)  +  weight(h) P(w | h')
    weight(h) = sum_v D(a(h v)) / sum_v a(h v)

Unigrams are interpolated with the uniform distribution, 1 / V.

A pruned n-gram gives its whole count to the order below: D(a(g)) = a(g). Discounts of the other n-grams are
estimated from the counts of all n-grams, pruned or not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lmgen.arrays import BoolArray, Float32Array, Float64Array, FloatArray, IdArray, Int64Array, in_short
from lmgen.errors import ConfigError, CorpusError
from lmgen.models.ngram.config import HIGHEST_ORDER
from lmgen.models.ngram.packed_table import AnyTable
from lmgen.models.ngram.table import NO_ROW, NgramTable, RowArray
from lmgen.models.ngram.words import Words

Discounts = tuple[float, float, float]
"""D(1), D(2), D(3): subtracted from an adjusted count of 1, of 2, and of 3 or more."""

FALLBACK_DISCOUNTS: Discounts = (0.5, 1.0, 1.5)
"""Used for an order whose counts give no valid discounts, as by lmplz's --discount_fallback."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The tables of an n-gram model for orders 1 .. N, with the discounts used and notes for the user."""

    tables: tuple[AnyTable, ...]
    discounts: tuple[Discounts, ...]
    notes: tuple[str, ...]


def estimate(
    ids: IdArray,
    order: int,
    vocabulary_size: int,
    sentence_end: int | None,
    prune: Sequence[int] = (),
    words: Words | None = None,
) -> Estimate:
    """
    Estimate an n-gram model of order N from a whole training text.

    Args:
        ids: the text, (T,), of any integer type; may be memory-mapped.
        order: N, 1 to 100; may be larger than the text is long.
        vocabulary_size: V; ids are 0 .. V - 1. Ids that are not in the text share the discounted mass of the
            unigrams.
        sentence_end: `<s>` precedes the first token, and every token after one of this id, as context only;
            None: it precedes the first token alone.
        prune: thresholds as for lmplz's `--prune`: n-grams of order n that occur at most `prune[n - 1]` times
            in the text (plain counts, not adjusted ones) are left out. The last threshold holds for higher
            orders too. Thresholds must not decrease, and the first is 0: all unigrams are kept.
        words: the ids that the model has, as for lmplz's `--limit_vocab_file`; None: all. n-grams with others
            are counted, and then left out.

    Raises:
        ConfigError: the order or a threshold is out of range.
        CorpusError: the text is empty.

    Needs `bytes_in_memory` while it works, and 16 bytes an n-gram for the result.
    """
    thresholds = thresholds_of(prune, order)
    if not len(ids):
        raise CorpusError("the training text has no tokens to count n-grams of; give a longer text")
    ids = np.asarray(ids)
    smoothing = _Smoothing(words or Words.all_of(vocabulary_size))
    counted = count_ngrams(ids, order, vocabulary_size, sentence_end)
    ngrams = next(counted)
    for threshold, longer in zip(thresholds, counted, strict=False):
        smoothing.add(ngrams, _left_extensions(ngrams, longer), threshold)
        ngrams = longer
    smoothing.add(ngrams, ngrams.occurrences, thresholds[-1])
    return smoothing.finish()


def bytes_in_memory(tokens: int, vocabulary_size: int) -> int:
    """The bytes of memory that `estimate` needs for so many tokens, about."""
    return 110 * tokens + 40 * vocabulary_size


def thresholds_of(prune: Sequence[int], order: int) -> list[int]:
    """The pruning threshold of each order, 1 to `order`."""
    if order < 1:
        raise ConfigError(f"the order of an n-gram model is {order}, but has to be at least 1")
    if order > HIGHEST_ORDER:
        raise ConfigError(f"the order of an n-gram model is {order}, but has to be at most {HIGHEST_ORDER}")
    given = list(prune) or [0]
    if given[0] != 0 or given != sorted(given) or len(given) > order:
        raise ConfigError(
            f"--prune is {','.join(map(str, given))}, but has to begin with 0, must not fall, and has at "
            f"most one threshold for each of the {order} orders, such as 0,0,1"
        )
    return given + given[-1:] * (order - len(given))


@dataclass(frozen=True, slots=True)
class CountedNgrams:
    """The distinct n-grams of one order, R of them, sorted as in an `NgramTable`."""

    keys: Int64Array
    last_ids: IdArray
    """The last token; of order 1 also `<s>`, V, (R,)."""
    contexts: RowArray
    """The row of the first n - 1 tokens, one order below, (R,)."""
    suffixes: RowArray
    """The row of the last n - 1 tokens, one order below, (R,)."""
    occurrences: RowArray
    """Number of times each occurs in the text, (R,)."""
    sentence_starts: int
    """First row of the n-grams that begin with `<s>`; they are last, since `<s>` has the highest id."""

    __repr__ = in_short


def count_ngrams(
    ids: IdArray, order: int, vocabulary_size: int, sentence_end: int | None
) -> Iterator[CountedNgrams]:
    """Count the n-grams of orders 1 .. `order`. Order 1 lists all ids and `<s>`, seen or not."""
    yield _count_unigrams(ids, vocabulary_size)
    starts = sentence_starts(ids, sentence_end)
    rows: RowArray = ids
    first_row = vocabulary_size
    row_type: type[np.signedinteger] = np.int32 if len(ids) + vocabulary_size < 2**31 else np.int64
    for n in range(2, order + 1):
        # The n-gram that ends at a token is the (n - 1)-gram that ends before it, plus the token.
        contexts = np.empty(len(ids), row_type)
        contexts[1:] = rows[:-1]
        contexts[starts] = vocabulary_size if n == 2 else NO_ROW
        ngrams, rows = _count_longer(ids, contexts, rows, vocabulary_size, first_row)
        first_row = ngrams.sentence_starts
        yield ngrams


def sentence_starts(ids: IdArray, sentence_end: int | None) -> RowArray:
    """The places of the tokens that `<s>` precedes."""
    if sentence_end is None:
        return np.zeros(1, np.intp)
    return np.concatenate([[0], np.flatnonzero(ids[:-1] == sentence_end) + 1])


def _count_unigrams(ids: IdArray, vocabulary_size: int) -> CountedNgrams:
    occurrences = np.bincount(ids, minlength=vocabulary_size + 1)
    if len(occurrences) > vocabulary_size + 1 or occurrences[vocabulary_size]:
        raise ValueError(f"the highest id is {ids.max()}, but the vocabulary has {vocabulary_size} ids")
    no_context = np.zeros(vocabulary_size + 1, np.intp)
    rows = np.arange(vocabulary_size + 1)
    return CountedNgrams(rows, rows, no_context, no_context, occurrences, sentence_starts=vocabulary_size)


def _count_longer(
    ids: IdArray, contexts: RowArray, rows: RowArray, vocabulary_size: int, first_row: int
) -> tuple[CountedNgrams, RowArray]:
    """
    Count the n-grams of one order more.

    Args:
        ids: the text, (T,).
        contexts: row of the n-gram before each token, one order below; NO_ROW if its sentence has none.
        rows: row of the n-gram that ends at each token, one order below.
        vocabulary_size: V.
        first_row: first row of the n-grams that begin with `<s>`, one order below.

    Returns:
        The n-grams; and the row of the n-gram that ends at each token, NO_ROW if there is none, (T,).
    """
    places = np.flatnonzero(contexts != NO_ROW)
    # Before numpy 2 an int32 array times an int64 number stays int32, and would overflow.
    keys = contexts[places].astype(np.int64) * vocabulary_size + ids[places]
    by_key = np.argsort(keys)
    keys = keys[by_key]
    places = places[by_key]
    is_new = np.ones(len(keys), bool)
    np.not_equal(keys[1:], keys[:-1], out=is_new[1:])
    longer_rows = np.full(len(ids), NO_ROW, contexts.dtype)
    longer_rows[places] = np.cumsum(is_new, dtype=contexts.dtype) - 1
    runs = np.flatnonzero(is_new)
    examples = places[runs]
    ngrams = CountedNgrams(
        keys=keys[runs],
        last_ids=ids[examples],
        contexts=contexts[examples],
        suffixes=rows[examples],
        occurrences=np.diff(runs, append=len(keys)),
        sentence_starts=int(np.searchsorted(keys[runs], first_row * vocabulary_size)),
    )
    return ngrams, longer_rows


def _left_extensions(ngrams: CountedNgrams, longer: CountedNgrams) -> RowArray:
    """
    The adjusted counts of all orders but the highest: the number of distinct tokens that precede each n-gram.

    Nothing precedes `<s>`: n-grams that begin with it keep their number of occurrences.
    """
    counts = np.bincount(longer.suffixes, minlength=len(ngrams.keys))
    counts[ngrams.sentence_starts :] = ngrams.occurrences[ngrams.sentence_starts :]
    return counts


class DiscountsUsed:
    """The discounts of orders 1, 2, ..., and which of them the counts did not give."""

    def __init__(self) -> None:
        self.discounts: list[Discounts] = []
        self.fallback_orders: list[int] = []

    def add(self, having: Int64Array) -> Discounts:
        """The discounts of the next order, by how many of its n-grams have the adjusted counts 0 .. 4."""
        discounts = discounts_from(having)
        if discounts is None:
            self.fallback_orders.append(len(self.discounts) + 1)
        self.discounts.append(discounts or FALLBACK_DISCOUNTS)
        return self.discounts[-1]

    def notes(self) -> tuple[str, ...]:
        """What a user should know of them."""
        if not self.fallback_orders:
            return ()
        orders = _ranges(self.fallback_orders)
        fallback = ", ".join(f"{discount:g}" for discount in FALLBACK_DISCOUNTS)
        return (f"n-gram counts of order {orders} give no valid Kneser-Ney discounts: {fallback} are used",)


def smoothed(
    counts: RowArray,
    kept: BoolArray | None,
    contexts: RowArray,
    number: int,
    discounts: Discounts,
    lower: FloatArray,
) -> tuple[Float64Array, Float64Array]:
    """
    The equations of the module for all n-grams of some contexts.

    Args:
        counts: adjusted counts, (R,).
        kept: which n-grams are not pruned, (R,); None: all.
        contexts: the context of each, (R,), 0 .. C - 1.
        number: C.
        discounts: of the order.
        lower: P(last token | context without its first token) of each, (R,).

    Returns:
        P(last token | context) of each, (R,), of no use where it is pruned; the weight of each context, (C,).
    """
    subtracted = np.array([0.0, *discounts])[np.minimum(counts, 3)]
    if kept is not None:
        subtracted = np.where(kept, subtracted, counts)
    totals = np.bincount(contexts, weights=counts, minlength=number)
    taken = np.bincount(contexts, weights=subtracted, minlength=number)
    # A context that nothing follows leaves all probability to the order below: a weight of 1.
    weights = np.divide(taken, totals, out=np.ones(number), where=totals > 0)
    probabilities: Float64Array = (counts - subtracted) / totals[contexts]
    probabilities += weights[contexts] * lower
    return probabilities, weights


class _Smoothing:
    """Estimates probabilities from adjusted counts, order by order from 1 up."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.used = DiscountsUsed()
        self.keys: list[Int64Array] = []
        self.log_probs: list[Float32Array] = []
        self.backoffs: list[Float32Array] = []  # of order 0, the empty context, and up
        # P(last token | context) of each n-gram one order below; below the unigrams, 1 / V.
        self.lower: FloatArray = np.array([1 / words.size])
        # Which n-grams one order below are kept; None: all.
        self.kept: BoolArray | None = None

    def add(self, ngrams: CountedNgrams, counts: RowArray, threshold: int = 0) -> None:
        """Estimate the next order from its adjusted counts; keep n-grams with counts above `threshold`."""
        last_ids = ngrams.last_ids
        below = None
        if self.kept is not None and self.words.kept is not None:
            below = self.kept[ngrams.contexts]
        kept = self.words.keep(ngrams.occurrences, threshold, last_ids, below)
        probabilities, weights = smoothed(
            counts,
            kept,
            ngrams.contexts,
            len(self.lower),
            self.used.add(low_counts(counts)),
            self.lower[ngrams.suffixes],
        )
        keys = self._keys(ngrams)
        self.keys.append(keys if kept is None else keys[kept])
        self.log_probs.append(log_of(probabilities if kept is None else probabilities[kept]))
        self.backoffs.append(log_of(np.append(weights if self.kept is None else weights[self.kept], 1)))
        self.lower = probabilities
        self.kept = kept

    def finish(self) -> Estimate:
        """The tables of all orders that were added."""
        self.log_probs[0][-1] = 0  # <s> is never predicted; in ARPA files its log-probability is 0
        backoffs = [*self.backoffs[1:], np.empty(0, np.float32)]
        columns = zip(self.keys, self.log_probs, backoffs, strict=True)
        tables = tuple(NgramTable(self.words.size, *column) for column in columns)
        return Estimate(tables, tuple(self.used.discounts), self.used.notes())

    def _keys(self, ngrams: CountedNgrams) -> Int64Array:
        """Keys by the rows that contexts have after pruning; the context of a kept n-gram is kept too."""
        if not self.keys:
            return self.words.new_ids
        if self.kept is None:
            return ngrams.keys
        rows = np.cumsum(self.kept) - 1
        return rows[ngrams.contexts] * self.words.size + self.words.new_ids[ngrams.last_ids]


def _ranges(numbers: list[int]) -> str:
    """Ascending numbers with runs of three or more as ranges: `[1, 2, 4, 5, 6]` -> "1, 2, 4-6"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    return ", ".join(
        f"{each[0]}-{each[-1]}" if len(each) > 2 else ", ".join(map(str, each)) for each in ranges
    )


def low_counts(counts: RowArray) -> Int64Array:
    """How many n-grams have the adjusted counts 0 .. 4, of which discounts are made, (5,)."""
    return np.bincount(np.minimum(counts, 5), minlength=6)[:5]


def discounts_of(counts: RowArray) -> Discounts | None:
    """The discounts estimated from the adjusted counts of one order; None if they are not valid."""
    return discounts_from(low_counts(counts))


def discounts_from(having: Int64Array) -> Discounts | None:
    """
    The discounts of an order by how many n-grams have the adjusted counts 0 .. 4; None if they are not valid.

    D(k) has to be above 0 and at most k. lmplz allows 0 too, but then a context whose counts are all k would
    give probability 0 to the tokens not seen after it.
    """
    _, n1, n2, n3, n4 = having.tolist()
    if not (n1 and n2 and n3):
        return None
    y = Fraction(n1, n1 + 2 * n2)  # exact, so that a discount of 0 is seen to be 0
    one, two, three = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
    if not (0 < one <= 1 and 0 < two <= 2 and 0 < three <= 3):
        return None
    return float(one), float(two), float(three)


def log_of(probabilities: FloatArray) -> Float32Array:
    """Natural logarithms; a probability that rounding has put above 1 counts as 1."""
    return np.log(np.minimum(probabilities, 1)).astype(np.float32)
