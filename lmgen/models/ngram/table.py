"""
The n-grams of one order with their probabilities, stored so that millions are found at once.

The tables of orders 1 .. N are a trie, read from left to right. An n-gram is a row of its table; its first
n - 1 tokens, the context, are a row of the table one order below. kneser_ney.py and arpa.py make tables,
model.py uses them. packed_table.py has the same in less memory, for large models.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lmgen.arrays import Float32Array, Int64Array, in_short

RowArray = npt.NDArray[np.integer[Any]]
"""Rows of a table; NO_ROW for an n-gram that is not in it."""

NO_ROW = -1


@dataclass(frozen=True, slots=True, eq=False)
class NgramTable:
    """
    All n-grams of one order, R rows; rows are sorted by context, then by last token.

    The table of order 1 has a row for each id, 0 .. V - 1, and row V for `<s>`.
    """

    vocabulary_size: int
    """V. `<s>` is not one of the ids: no n-gram ends in it."""

    keys: Int64Array
    """row of the context * V + last token, (R,), strictly ascending."""

    log_probs: Float32Array
    """log P(last token | context), (R,)."""

    backoffs: Float32Array
    """
    log backoff(n-gram), (R + 1,): added to the log-probability of a token that does not follow the n-gram.

    The last value, 0, is for NO_ROW. The table of the highest order has no backoffs: (0,).
    """

    __repr__ = in_short

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, contexts: RowArray, ids: RowArray) -> RowArray:
        """The rows of n-grams, given by the row of the context in the table below and the last token."""
        if not len(self.keys):
            return np.full(ids.shape, NO_ROW)
        # A context of NO_ROW makes a negative key, which no n-gram has.
        wanted = contexts * self.vocabulary_size + ids
        rows = np.searchsorted(self.keys, wanted)
        return np.where(self.keys.take(rows, mode="clip") == wanted, rows, NO_ROW)

    def split(self, rows: RowArray) -> tuple[RowArray, RowArray]:
        """The rows of the contexts of some n-grams, in the table below, and their last tokens."""
        contexts, last_ids = np.divmod(self.keys[rows], self.vocabulary_size)
        return contexts, last_ids

    def log_prob(self, rows: RowArray) -> Float32Array:
        """The values log P(last token | context) of the n-grams in some rows."""
        return self.log_probs[rows]

    def backoff(self, rows: RowArray) -> Float32Array:
        """The values log backoff of the n-grams in some rows; 0 for NO_ROW."""
        return self.backoffs[rows]

    def followers(self, contexts: RowArray) -> tuple[RowArray, RowArray, RowArray]:
        """
        Every n-gram that begins with one of the contexts, (B,).

        Returns:
            For each such n-gram: the index of its context (0 .. B - 1), its last token, its row.
        """
        first, end = np.searchsorted(
            self.keys, [contexts * self.vocabulary_size, (contexts + 1) * self.vocabulary_size]
        )
        lengths = end - first
        streams = np.repeat(np.arange(len(contexts)), lengths)
        # The rows of a context are consecutive: its first row, plus 0, 1, 2, ...
        rows = np.arange(len(streams)) + np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
        return streams, self.keys[rows] % self.vocabulary_size, rows
