"""
Interpolated modified Kneser-Ney: from a training text to the probabilities of all its n-grams.

The discounts are those of Chen and Goodman, "An Empirical Study of Smoothing Techniques for Language
Modeling" (1998), equation 26; what is counted, and where, follows Heafield et al., "Scalable Modified
Kneser-Ney Language Model Estimation" (2013), as KenLM's lmplz does it, so that the figures agree with it.

With a(g) the adjusted count of an n-gram g = h w, h' the context h without its first token, and D the
discounts of g's order (D(1), D(2), and D(3) for all counts from 3 up):

    P(w | h) = (a(h w) - D(a(h w))) / sum_v a(h v)  +  weight(h) P(w | h')
    weight(h) = sum_v D(a(h v)) / sum_v a(h v)

and below the unigrams lies the uniform distribution, 1 / V.

Of n-grams that are pruned all is taken off: their D(a(g)) is a(g), and goes to the order below. The discounts
of the others come from the counts of all n-grams, pruned or not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from lmgen.errors import ConfigError, CorpusError
from lmgen.models.base import FloatArray, IdArray
from lmgen.models.ngram.config import HIGHEST_ORDER
from lmgen.models.ngram.table import NO_ROW, NgramTable, RowArray

Discounts = tuple[float, float, float]
"""What is taken off an adjusted count of 1, of 2, and of 3 or more."""

FALLBACK_DISCOUNTS: Discounts = (0.5, 1.0, 1.5)
"""Used for an order whose counts of counts give none that are valid; lmplz's --discount_fallback."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An n-gram model's tables, for orders 1 .. N, and how they came about."""

    tables: tuple[NgramTable, ...]
    discounts: tuple[Discounts, ...]
    notes: tuple[str, ...]


def estimate(
    ids: IdArray,
    order: int,
    vocabulary_size: int,
    sentence_end: int | None,
    prune: Sequence[int] = (),
) -> Estimate:
    """
    Estimate an n-gram model of order N from a whole training text.

    Args:
        ids: the text, (T,), of any integer type; may be memory-mapped.
        order: N, 1 to 100; may be larger than the text is long.
        vocabulary_size: V; ids are 0 .. V - 1. Those that the text lacks share what the unigrams leave over.
        sentence_end: `<s>` stands before the first token and after each token of this id, as context only;
            None: before the first token alone.
        prune: thresholds as for lmplz's `--prune`: of order n, what occurs at most `prune[n - 1]` times in
            the text (its plain count, not the adjusted one) is left out. The last threshold is that of all
            higher orders too. They must not fall, and the first is 0: all unigrams are kept.

    Raises:
        ConfigError: the order or a threshold is out of range.
        CorpusError: the text is empty.

    Takes some 110 bytes a token while it works, and 16 bytes an n-gram for the result.
    """
    thresholds = _thresholds(prune, order)
    if not len(ids):
        raise CorpusError("the training text has no tokens to count n-grams of; give a longer text")
    ids = np.asarray(ids)
    smoothing = _Smoothing(vocabulary_size)
    counted = count_ngrams(ids, order, vocabulary_size, sentence_end)
    ngrams = next(counted)
    for threshold, longer in zip(thresholds, counted, strict=False):
        smoothing.add(ngrams, _left_extensions(ngrams, longer), threshold)
        ngrams = longer
    smoothing.add(ngrams, ngrams.occurrences, thresholds[-1])
    return smoothing.finish()


def _thresholds(prune: Sequence[int], order: int) -> list[int]:
    """The pruning threshold of each order, 1 to `order`."""
    if order < 1:
        raise ConfigError(f"the order of an n-gram model is {order}, but has to be at least 1")
    if order > HIGHEST_ORDER:
        raise ConfigError(f"the order of an n-gram model is {order}, but has to be at most {HIGHEST_ORDER}")
    given = list(prune) or [0]
    if given[0] != 0 or given != sorted(given) or len(given) > order:
        raise ConfigError(
            f"prune is {','.join(map(str, given))}, but has to begin with 0, must not fall, and has at most "
            f"one threshold for each of the {order} orders, such as 0,0,1"
        )
    return given + given[-1:] * (order - len(given))


@dataclass(frozen=True, slots=True)
class CountedNgrams:
    """The distinct n-grams of one order, R of them, sorted as in an `NgramTable`."""

    keys: npt.NDArray[np.int64]
    contexts: RowArray
    """The row of the first n - 1 tokens, one order below, (R,)."""
    suffixes: RowArray
    """The row of the last n - 1 tokens, one order below, (R,)."""
    occurrences: RowArray
    """How often each stands in the text, (R,)."""
    sentence_starts: int
    """The first row of those that begin with `<s>`; they come last, for `<s>` has the highest id."""


def count_ngrams(
    ids: IdArray, order: int, vocabulary_size: int, sentence_end: int | None
) -> Iterator[CountedNgrams]:
    """Count the n-grams of orders 1 .. `order`; of order 1 all ids are listed, and `<s>`, seen or not."""
    yield _count_unigrams(ids, vocabulary_size)
    starts = sentence_starts(ids, sentence_end)
    rows: RowArray = ids
    first_row = vocabulary_size
    row_type: type[np.signedinteger] = np.int32 if len(ids) + vocabulary_size < 2**31 else np.int64
    for n in range(2, order + 1):
        # The n-gram that ends at a token is the one before it, of order n - 1, and the token.
        contexts = np.empty(len(ids), row_type)
        contexts[1:] = rows[:-1]
        contexts[starts] = vocabulary_size if n == 2 else NO_ROW
        ngrams, rows = _count_longer(ids, contexts, rows, vocabulary_size, first_row)
        first_row = ngrams.sentence_starts
        yield ngrams


def sentence_starts(ids: IdArray, sentence_end: int | None) -> RowArray:
    """The places of the tokens that `<s>` stands before."""
    if sentence_end is None:
        return np.zeros(1, np.intp)
    return np.concatenate([[0], np.flatnonzero(ids[:-1] == sentence_end) + 1])


def _count_unigrams(ids: IdArray, vocabulary_size: int) -> CountedNgrams:
    occurrences = np.bincount(ids, minlength=vocabulary_size + 1)
    if len(occurrences) > vocabulary_size + 1 or occurrences[vocabulary_size]:
        raise ValueError(f"the highest id is {ids.max()}, but the vocabulary has {vocabulary_size} ids")
    no_context = np.zeros(vocabulary_size + 1, np.intp)
    rows = np.arange(vocabulary_size + 1)
    return CountedNgrams(rows, no_context, no_context, occurrences, sentence_starts=vocabulary_size)


def _count_longer(
    ids: IdArray, contexts: RowArray, rows: RowArray, vocabulary_size: int, first_row: int
) -> tuple[CountedNgrams, RowArray]:
    """
    Count the n-grams of one order more.

    Args:
        ids: the text, (T,).
        contexts: the row of the n-gram before each token, one order below; NO_ROW: none in its sentence.
        rows: the row of the n-gram that ends at each token, one order below.
        vocabulary_size: V.
        first_row: where the n-grams that begin with `<s>` start, one order below.

    Returns:
        The n-grams; and the row of the one that ends at each token, NO_ROW if there is none, (T,).
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
        contexts=contexts[examples],
        suffixes=rows[examples],
        occurrences=np.diff(runs, append=len(keys)),
        sentence_starts=int(np.searchsorted(keys[runs], first_row * vocabulary_size)),
    )
    return ngrams, longer_rows


def _left_extensions(ngrams: CountedNgrams, longer: CountedNgrams) -> RowArray:
    """
    The adjusted counts of all orders but the highest: how many distinct tokens stand before each n-gram.

    Nothing stands before `<s>`: n-grams that begin with it keep their number of occurrences.
    """
    counts = np.bincount(longer.suffixes, minlength=len(ngrams.keys))
    counts[ngrams.sentence_starts :] = ngrams.occurrences[ngrams.sentence_starts :]
    return counts


class _Smoothing:
    """Turns adjusted counts into probabilities, order by order from 1 up."""

    def __init__(self, vocabulary_size: int) -> None:
        self.vocabulary_size = vocabulary_size
        self.discounts: list[Discounts] = []
        self.fallback_orders: list[int] = []
        self.keys: list[npt.NDArray[np.int64]] = []
        self.log_probs: list[npt.NDArray[np.float32]] = []
        self.backoffs: list[npt.NDArray[np.float32]] = []  # of order 0, the empty context, and up
        # P(last token | context) of each n-gram one order below; under the unigrams, the uniform one.
        self.lower: FloatArray = np.array([1 / vocabulary_size])
        # Which n-grams one order below are kept; None: all.
        self.kept: npt.NDArray[np.bool_] | None = None

    def add(self, ngrams: CountedNgrams, counts: RowArray, threshold: int = 0) -> None:
        """Estimate one order more, from its adjusted counts; keep what occurs more often than `threshold`."""
        taken_off = np.array([0.0, *self._discounts(counts)])[np.minimum(counts, 3)]
        kept = ngrams.occurrences > threshold if threshold else None
        if kept is not None:
            taken_off = np.where(kept, taken_off, counts)
        totals = np.bincount(ngrams.contexts, weights=counts, minlength=len(self.lower))
        weights = np.bincount(ngrams.contexts, weights=taken_off, minlength=len(self.lower))
        # Where nothing follows the context, all is left to the order below: a weight of 1.
        weights = np.divide(weights, totals, out=np.ones(len(self.lower)), where=totals > 0)
        probabilities = (counts - taken_off) / totals[ngrams.contexts]
        probabilities += weights[ngrams.contexts] * self.lower[ngrams.suffixes]
        self.keys.append(self._keys(ngrams) if kept is None else self._keys(ngrams)[kept])
        self.log_probs.append(_log(probabilities if kept is None else probabilities[kept]))
        self.backoffs.append(_log(np.append(weights if self.kept is None else weights[self.kept], 1)))
        self.lower = probabilities
        self.kept = kept

    def finish(self) -> Estimate:
        """Put the tables together."""
        self.log_probs[0][-1] = 0  # <s> is never predicted; ARPA files give it this
        backoffs = [*self.backoffs[1:], np.empty(0, np.float32)]
        columns = zip(self.keys, self.log_probs, backoffs, strict=True)
        tables = tuple(NgramTable(self.vocabulary_size, *column) for column in columns)
        return Estimate(tables, tuple(self.discounts), self._notes())

    def _keys(self, ngrams: CountedNgrams) -> npt.NDArray[np.int64]:
        """The keys with the contexts' rows among those that are kept; a kept n-gram's context is kept too."""
        if self.kept is None:
            return ngrams.keys
        rows = np.cumsum(self.kept) - 1
        return rows[ngrams.contexts] * self.vocabulary_size + ngrams.keys % self.vocabulary_size

    def _discounts(self, counts: RowArray) -> Discounts:
        discounts = discounts_of(counts)
        if discounts is None:
            self.fallback_orders.append(len(self.discounts) + 1)
        self.discounts.append(discounts or FALLBACK_DISCOUNTS)
        return self.discounts[-1]

    def _notes(self) -> tuple[str, ...]:
        if not self.fallback_orders:
            return ()
        orders = _ranges(self.fallback_orders)
        fallback = ", ".join(f"{discount:g}" for discount in FALLBACK_DISCOUNTS)
        return (f"n-gram counts of order {orders} give no valid Kneser-Ney discounts: {fallback} are used",)


def _ranges(numbers: list[int]) -> str:
    """Rising numbers, three or more that follow each other as a range: `[1, 2, 4, 5, 6]` -> "1, 2, 4-6"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    return ", ".join(
        f"{each[0]}-{each[-1]}" if len(each) > 2 else ", ".join(map(str, each)) for each in ranges
    )


def discounts_of(counts: RowArray) -> Discounts | None:
    """
    The discounts that the adjusted counts of one order suggest; None if they suggest none that are valid.

    Valid is above 0 and at most k for D(k). lmplz allows 0 as well, but then a context all of whose counts
    are k would leave nothing to the tokens not seen after it: their probability would be 0.
    """
    _, n1, n2, n3, n4 = np.bincount(np.minimum(counts, 5), minlength=6)[:5].tolist()
    if not (n1 and n2 and n3):
        return None
    y = Fraction(n1, n1 + 2 * n2)  # exact, so that a discount of 0 is seen to be 0
    one, two, three = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
    if not (0 < one <= 1 and 0 < two <= 2 and 0 < three <= 3):
        return None
    return float(one), float(two), float(three)


def _log(probabilities: FloatArray) -> npt.NDArray[np.float32]:
    """Natural logarithms; what rounding pushed above 1 is taken for 1."""
    return np.log(np.minimum(probabilities, 1)).astype(np.float32)
