"""
The n-grams of a text beyond memory, order by order, with the rows that kneser_ney.py gives them.

An n-gram is the row of its context, one order below, and its last token. For each token of the text both are
written down by ranges of contexts, with which about as many n-grams of the text begin each. A range is sorted
in memory, its distinct n-grams are the next rows of the table, and each token gets the row of the n-gram that
ends at it, from which the next order goes on. A context that is too frequent for that is counted in a list of
all tokens that may follow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lmgen.arrays import IdArray, Int64Array, let_go
from lmgen.models.ngram.on_disk.columns import Column, Numbers, Scratch
from lmgen.models.ngram.on_disk.ranges import Ranges, balanced_ranges
from lmgen.models.ngram.table import NO_ROW, RowArray


@dataclass(frozen=True, slots=True)
class NgramColumns:
    """The distinct n-grams of one order, sorted as in an `NgramTable`: what `CountedNgrams` has, on disk."""

    contexts: Column
    last_ids: Column
    """Of order 1 also `<s>`, V."""
    suffixes: Column
    occurrences: Column
    sentence_starts: int
    """First row of the n-grams that begin with `<s>`."""

    def __len__(self) -> int:
        return len(self.contexts)

    def close(self) -> None:
        """Give the space back."""
        for column in (self.contexts, self.last_ids, self.suffixes, self.occurrences):
            column.close()


class NgramCounter:
    """Counts the n-grams of orders 1, 2, ... of one text."""

    def __init__(
        self, ids: IdArray, vocabulary_size: int, sentence_end: int | None, scratch: Scratch
    ) -> None:
        self.ids = ids
        self.vocabulary_size = vocabulary_size
        self.sentence_end = sentence_end
        self.scratch = scratch
        self.row_type = np.int32 if len(ids) + vocabulary_size < 2**31 else np.int64
        self.id_type = np.min_scalar_type(vocabulary_size)

    def count(self, order: int) -> Iterator[NgramColumns]:
        """The n-grams of orders 1 .. `order`. Order 1 lists all ids and `<s>`, seen or not."""
        occurrences = self._count_ids()
        ngrams = self._empty(self.vocabulary_size)
        nothing = np.zeros(self.vocabulary_size + 1, np.int64)
        self._append(ngrams, nothing, np.arange(self.vocabulary_size + 1), nothing, occurrences)
        yield ngrams
        rows = None
        for n in range(2, order + 1):
            if n == 2:
                occurrences[self.vocabulary_size] = self._sentences
                begun = iter([occurrences])
            else:
                begun = ngrams.occurrences.blocks(self.scratch.block)
            ngrams, rows = self._count_longer(n, rows, begun, ngrams.sentence_starts, is_last=n == order)
            yield ngrams

    def _count_ids(self) -> Int64Array:
        """How often each id occurs, and 0 for `<s>`; notes the number of sentences."""
        occurrences = np.zeros(self.vocabulary_size + 1, np.int64)
        self._sentences = 1
        for tokens in self._tokens():
            counts = np.bincount(tokens)
            if len(counts) > self.vocabulary_size:
                raise ValueError(
                    f"the highest id is {tokens.max()}, but the vocabulary has {self.vocabulary_size} ids"
                )
            occurrences[: len(counts)] += counts
            if self.sentence_end is not None:
                self._sentences += int(np.count_nonzero(tokens == self.sentence_end))
        return occurrences

    def _tokens(self) -> Iterator[IdArray]:
        """The text, a block at a time. Of a mapped file, no more is kept in memory."""
        for first in range(0, len(self.ids), self.scratch.block):
            tokens = np.array(self.ids[first : first + self.scratch.block])
            let_go(self.ids)
            yield tokens

    def _places(self, n: int, rows: Column | None) -> Iterator[tuple[IdArray, RowArray, RowArray]]:
        """
        What order n is made of, a block of the text at a time.

        Args:
            n: the order, from 2 up.
            rows: row of the n-gram that ends at each token, one order below; None for the tokens themselves.

        Yields:
            The tokens; the row of the n-gram before each, one order below, NO_ROW if its sentence has none;
            the row of the n-gram that ends at each, one order below.
        """
        last, is_start, first = NO_ROW, True, 0
        for tokens in self._tokens():
            ends = tokens if rows is None else rows.read(first, first + len(tokens))
            contexts: RowArray = np.empty(len(tokens), self.row_type)
            contexts[0], contexts[1:] = last, ends[:-1]
            no_context = self.vocabulary_size if n == 2 else NO_ROW
            if is_start:
                contexts[0] = no_context
            if self.sentence_end is not None:
                contexts[np.flatnonzero(tokens[:-1] == self.sentence_end) + 1] = no_context
            yield tokens, contexts, ends
            last, is_start, first = ends[-1], tokens[-1] == self.sentence_end, first + len(tokens)

    def _count_longer(
        self, n: int, rows: Column | None, begun: Iterator[RowArray], first_start: int, *, is_last: bool
    ) -> tuple[NgramColumns, Column | None]:
        """
        Count the n-grams of order n, from 2 up.

        Args:
            n: the order.
            rows: row of the n-gram that ends at each token, one order below; None for the tokens themselves.
                It is closed.
            begun: how many n-grams begin with each n-gram one order below, at most.
            first_start: first row of the n-grams that begin with `<s>`, one order below.
            is_last: whether no higher order follows.

        Returns:
            The n-grams; and the row of the n-gram that ends at each token, NO_ROW if there is none, unless
            it is the last order.
        """
        ranges = balanced_ranges(begun, self.scratch.block)
        keys, found = self.scratch.column(np.int64), self.scratch.column(self.row_type)
        for tokens, contexts, ends in self._places(n, rows):
            places = slice(None) if n == 2 else np.flatnonzero(contexts != NO_ROW)
            own = contexts[places]
            # Before numpy 2 an int32 array times an int64 number stays int32, and would overflow.
            wide = own.astype(np.int64) * self.vocabulary_size + tokens[places]
            ranges.put(own, [(keys, wide), (found, ends[places])])
        ngrams = self._empty(0)
        starts = 0
        for k in range(len(ranges)):
            first, end = ranges.places(k)
            if end - first > self.scratch.block:
                contexts = self._count_one_context(ngrams, ranges, k, keys, found)
            else:
                contexts = self._count_range(ngrams, keys, found, first, end)
            starts += int(np.count_nonzero(contexts < first_start))
        keys.close()
        longer = None if is_last else self._rows_of_text(n, rows, ranges, found)
        found.close()
        if rows is not None:
            rows.close()
        return (
            NgramColumns(ngrams.contexts, ngrams.last_ids, ngrams.suffixes, ngrams.occurrences, starts),
            longer,
        )

    def _count_range(
        self, ngrams: NgramColumns, keys: Column, found: Column, first: int, end: int
    ) -> RowArray:
        """
        Add the n-grams of one range to the table, and put their rows in the place of those of their suffixes.

        Returns:
            The contexts of the n-grams.
        """
        ordered, order = _sorted(keys.read(first, end))
        suffixes = found.read(first, end)
        is_new = np.ones(len(ordered), bool)
        np.not_equal(ordered[1:], ordered[:-1], out=is_new[1:])
        runs = np.flatnonzero(is_new)
        rows = np.empty(len(ordered), self.row_type)
        rows[order] = np.cumsum(is_new, dtype=self.row_type) + (len(ngrams) - 1)
        found.write(first, rows)
        contexts, last_ids = np.divmod(ordered[runs], self.vocabulary_size)
        occurrences = np.diff(runs, append=len(ordered))
        self._append(ngrams, contexts, last_ids, suffixes[order[runs]], occurrences)
        return contexts

    def _count_one_context(
        self, ngrams: NgramColumns, ranges: Ranges, k: int, keys: Column, found: Column
    ) -> RowArray:
        """What `_count_range` does, for a range of one context that is too frequent to be sorted."""
        context = int(ranges.bounds[k])
        occurrences = np.zeros(self.vocabulary_size, np.int64)
        suffixes = np.zeros(self.vocabulary_size, self.row_type)
        chunks = list(ranges.chunks(k, self.scratch.block))
        for first, end in chunks:
            last_ids = keys.read(first, end) - context * self.vocabulary_size
            occurrences += np.bincount(last_ids, minlength=self.vocabulary_size)
            suffixes[last_ids] = found.read(first, end)
        distinct = np.flatnonzero(occurrences)
        rows = np.cumsum(occurrences > 0) + (len(ngrams) - 1)
        for first, end in chunks:
            found.write(first, rows[keys.read(first, end) - context * self.vocabulary_size])
        contexts = np.full(len(distinct), context)
        self._append(ngrams, contexts, distinct, suffixes[distinct], occurrences[distinct])
        return contexts

    def _rows_of_text(self, n: int, rows: Column | None, ranges: Ranges, found: Column) -> Column:
        """The row of the n-gram of order n that ends at each token, from the rows that the ranges found."""
        longer = self.scratch.column(self.row_type)
        for _, contexts, _ in self._places(n, rows):
            places = slice(None) if n == 2 else np.flatnonzero(contexts != NO_ROW)
            ends = np.full(len(contexts), NO_ROW, self.row_type)
            ends[places] = ranges.take(contexts[places], found)
            longer.append(ends)
        return longer

    def _empty(self, sentence_starts: int) -> NgramColumns:
        column = self.scratch.column
        return NgramColumns(
            contexts=column(self.row_type),
            last_ids=column(self.id_type),
            suffixes=column(self.row_type),
            occurrences=column(self.row_type),
            sentence_starts=sentence_starts,
        )

    def _append(self, ngrams: NgramColumns, *columns: Numbers) -> None:
        """Add rows: contexts, last ids, suffixes, occurrences."""
        contexts, last_ids, suffixes, occurrences = columns
        ngrams.last_ids.append(last_ids)
        ngrams.suffixes.append(suffixes)
        ngrams.occurrences.append(occurrences)
        ngrams.contexts.append(contexts)


def _sorted(keys: Int64Array) -> tuple[Int64Array, npt.NDArray[Any]]:
    """Keys in ascending order, and the order that sorts them."""
    if not len(keys):
        return keys, np.empty(0, np.intp)
    lowest = keys.min()
    keys = keys - lowest
    bits = len(keys).bit_length()
    if int(keys.max()).bit_length() + bits > 63:
        order = np.argsort(keys)
        return keys[order] + lowest, order
    # Numbers are sorted several times faster than found in order: each key takes its place along.
    keys <<= bits
    keys |= np.arange(len(keys))
    keys.sort()
    order = keys & ((1 << bits) - 1)
    keys >>= bits
    keys += lowest
    return keys, order
