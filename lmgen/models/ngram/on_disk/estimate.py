"""Interpolated modified Kneser-Ney for texts beyond memory: the figures of kneser_ney.py, bit for bit."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lmgen.arrays import BoolArray, Float64Array, IdArray, Int64Array
from lmgen.errors import CorpusError
from lmgen.files import unwritable
from lmgen.models.ngram.kneser_ney import (
    DiscountsUsed,
    Estimate,
    log_of,
    low_counts,
    smoothed,
    thresholds_of,
)
from lmgen.models.ngram.on_disk.columns import Column, Scratch
from lmgen.models.ngram.on_disk.counting import NgramColumns, NgramCounter
from lmgen.models.ngram.on_disk.ranges import Questions
from lmgen.models.ngram.packed_table import Begun, PackedTable
from lmgen.models.ngram.table import RowArray
from lmgen.models.ngram.words import Words

LARGEST_BLOCK = 1 << 22
"""Numbers in memory at a time, at most: more would not make it faster."""

SMALLEST_BLOCK = 1 << 14
"""Fewer would take long: each step writes and reads a block of this many numbers, in pieces."""

BYTES_OF_BLOCK = 100
"""Bytes of memory for each number of a block, in the step that needs the most of them."""

BYTES_OF_TOKEN = 40
"""Bytes of memory for each token of the vocabulary."""


def estimate_on_disk(
    ids: IdArray,
    order: int,
    vocabulary_size: int,
    sentence_end: int | None,
    prune: Sequence[int] = (),
    words: Words | None = None,
    *,
    folder: Path | None,
    memory: int,
) -> Estimate:
    """
    Estimate an n-gram model with little memory: what `kneser_ney.estimate` does, with the same result.

    Needs some 100 bytes of disk a token while it works, in files without names, of which nothing is
    left when the process ends, however it ends. The tables of the result are in such files, too.

    Args:
        ids: the text, as for `kneser_ney.estimate`.
        order: N.
        vocabulary_size: V.
        sentence_end: the id that ends a sentence, or None.
        prune: thresholds.
        words: the ids that the model has; None: all.
        folder: where to make the files; None: the system's folder for temporary files.
        memory: bytes to use beside what the process has already, about; some megabytes and 40 bytes for each
            token of the vocabulary are always needed.

    Raises:
        ConfigError: the order or a threshold is out of range.
        CorpusError: the text is empty.
        WriteError: the disk is full, or the process may not open four files for each order.
    """
    thresholds = thresholds_of(prune, order)
    if not len(ids):
        raise CorpusError("the training text has no tokens to count n-grams of; give a longer text")
    block = (memory - BYTES_OF_TOKEN * vocabulary_size) // BYTES_OF_BLOCK
    try:
        with Scratch(folder, min(max(block, SMALLEST_BLOCK), LARGEST_BLOCK)) as scratch:
            return estimate_in_blocks(ids, vocabulary_size, sentence_end, thresholds, words, scratch)
    except OSError as error:
        where = folder or tempfile.gettempdir()
        raise unwritable(f"the n-grams counted so far in {where}", error) from error


def estimate_in_blocks(
    ids: IdArray,
    vocabulary_size: int,
    sentence_end: int | None,
    thresholds: Sequence[int],
    words: Words | None,
    scratch: Scratch,
) -> Estimate:
    """What `estimate_on_disk` does, with a threshold for each order, and with OSError for a full disk."""
    counter = NgramCounter(ids, vocabulary_size, sentence_end, scratch)
    smoothing = _Smoothing(words or Words.all_of(vocabulary_size), scratch)
    counted = counter.count(len(thresholds))
    ngrams, questions = next(counted), None
    for threshold, longer in zip(thresholds, counted, strict=False):
        asked = Questions(longer.suffixes, len(ngrams), scratch)
        smoothing.add(ngrams, _left_extensions(ngrams, asked, scratch), questions, threshold)
        ngrams, questions = longer, asked
    smoothing.add(ngrams, ngrams.occurrences, questions, thresholds[-1])
    return smoothing.finish()


def _left_extensions(ngrams: NgramColumns, asked: Questions, scratch: Scratch) -> Column:
    """The adjusted counts of all orders but the highest, as `kneser_ney.py` explains them."""
    counts = scratch.column(ngrams.occurrences.kind)
    for block in asked.counts():
        first = len(counts)
        starts = max(ngrams.sentence_starts - first, 0)
        if starts < len(block):
            block[starts:] = ngrams.occurrences.read(first + starts, first + len(block))
        counts.append(block)
    return counts


class _Smoothing:
    """Estimates probabilities from adjusted counts, order by order from 1 up."""

    def __init__(self, words: Words, scratch: Scratch) -> None:
        self.words = words
        self.scratch = scratch
        self.used = DiscountsUsed()
        self.orders: list[_Order] = []
        # P(last token | context) of each n-gram one order below; below the unigrams, 1 / V.
        self.lower = scratch.column(np.float64)
        self.lower.append(np.array([1 / words.size]))

    def add(self, ngrams: NgramColumns, counts: Column, questions: Questions | None, threshold: int) -> None:
        """
        Estimate the next order.

        Args:
            ngrams: its n-grams, closed.
            counts: their adjusted counts, closed.
            questions: their suffixes, sorted; None for unigrams.
            threshold: n-grams that occur at most so often are pruned.
        """
        having = sum(map(low_counts, counts.blocks(self.scratch.block)), np.zeros(5, np.int64))
        discounts = self.used.add(having)
        answers = None if questions is None else questions.answered(self.lower)
        is_pruned = threshold > 0 or self.words.kept is not None
        order = _Order(self.words.size, len(ngrams), self.scratch, is_pruned=is_pruned)
        probabilities = self.scratch.column(np.float64)
        for first, contexts in self._whole_contexts(ngrams.contexts):
            end = first + len(contexts)
            if questions is None or answers is None:
                lower = np.full(len(contexts), self.lower.read(0, 1))
            else:
                lower = questions.ranges.take(ngrams.suffixes.read(first, end), answers)
            low, number = int(contexts[0]), int(contexts[-1] - contexts[0]) + 1
            contexts -= low
            last_ids = ngrams.last_ids.read(first, end)
            below = self.orders[-1].kept(low, low + number) if self.orders else None
            kept = self.words.keep(
                ngrams.occurrences.read(first, end),
                threshold,
                last_ids,
                None if below is None else below[contexts],
            )
            found, weights = smoothed(counts.read(first, end), kept, contexts, number, discounts, lower)
            probabilities.append(found)
            if kept is not None:
                order.is_kept.append(kept)
                found, last_ids, contexts = found[kept], last_ids[kept], contexts[kept]
            order.log_probs.append(log_of(found))
            order.last_ids.append(self.words.new_ids[last_ids])
            if self.orders:
                self.orders[-1].add_contexts(low, weights, np.bincount(contexts, minlength=number))
        if self.orders:
            self.orders[-1].finish_contexts()
        ngrams.close()
        for column in (self.lower, answers, counts):
            if column is not None:
                column.close()
        self.lower = probabilities
        self.orders.append(order)

    def finish(self) -> Estimate:
        """The tables of all orders that were added."""
        self.orders[0].log_probs.write(self.words.size, np.zeros(1))  # as in kneser_ney.py
        tables: list[PackedTable] = []
        for n, order in enumerate(self.orders):
            table = PackedTable(self.words.size, order.log_probs.mapped(), order.backoffs.mapped())
            if n:
                begun = Begun(self.orders[n - 1].followers.mapped())
                table = replace(table, last_ids=order.last_ids.mapped(), begun=begun)
            tables.append(table)
        return Estimate(tuple(tables), tuple(self.used.discounts), self.used.notes())

    def _whole_contexts(self, contexts: Column) -> Iterator[tuple[int, RowArray]]:
        """The contexts of all rows, many at a time, but all rows of a context at once; with the first row."""
        first = 0
        while first < len(contexts):
            rows = contexts.read(first, first + self.scratch.block)
            while rows[0] == rows[-1] and first + len(rows) < len(contexts):
                rows = contexts.read(first, first + 2 * len(rows))
            if first + len(rows) < len(contexts):
                rows = rows[: np.searchsorted(rows, rows[-1])]
            yield first, rows
            first += len(rows)


class _Order:
    """The columns of one table, without the n-grams that are pruned."""

    def __init__(self, vocabulary_size: int, rows: int, scratch: Scratch, *, is_pruned: bool) -> None:
        self.log_probs = scratch.column(np.float32)
        self.last_ids = scratch.column(np.min_scalar_type(vocabulary_size - 1))
        self.backoffs = scratch.column(np.float32)
        self.followers = scratch.column(np.uint32)
        self.is_kept = scratch.column(np.bool_)
        self._rows = rows
        self._is_pruned = is_pruned
        self._scratch = scratch
        self._done = 0
        self._most_followers = 0

    def kept(self, first: int, end: int) -> BoolArray | None:
        """Which of some n-grams are not pruned; None: all."""
        return self.is_kept.read(first, end) if self._is_pruned else None

    def add_contexts(self, first: int, weights: Float64Array, followers: Int64Array) -> None:
        """
        Take what the order above gives to its contexts, n-grams of this order.

        Args:
            first: row of the first context; rows since the last call begin no n-gram.
            weights: weight of each context from then on.
            followers: how many n-grams that are kept begin with each.
        """
        while self._done < first:
            rows = min(first - self._done, self._scratch.block)
            self._add_contexts(np.ones(rows), np.zeros(rows, np.int64))
        self._add_contexts(weights, followers)

    def finish_contexts(self) -> None:
        """All contexts are added: the rest of the rows begin no n-gram."""
        self.add_contexts(self._rows, np.empty(0), np.empty(0, np.int64))
        self.is_kept.close()
        wide = self.followers
        self.followers = self._scratch.column(np.min_scalar_type(self._most_followers))
        for block in wide.blocks(self._scratch.block):
            self.followers.append(block)
        wide.close()

    def _add_contexts(self, weights: Float64Array, followers: Int64Array) -> None:
        first, self._done = self._done, self._done + len(weights)
        kept = self.kept(first, self._done)
        if kept is not None:
            weights, followers = weights[kept], followers[kept]
        self.backoffs.append(log_of(weights))
        self.followers.append(followers)
        self._most_followers = max(self._most_followers, int(followers.max(initial=0)))
