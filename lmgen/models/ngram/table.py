"""
The n-grams of one order with their probabilities: how they are kept, and found by the million.

The tables of orders 1 .. N are a trie that reads from left to right. An n-gram is a row of its table; its
first n - 1 tokens, the context, are a row of the table one order below. Where the probabilities come from
is the business of kneser_ney.py, what they are used for that of ngram.py.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

RowArray = npt.NDArray[np.integer[Any]]
"""Rows of a table; NO_ROW where there is no such n-gram."""

NO_ROW = -1


@dataclass(frozen=True, slots=True, eq=False)
class NgramTable:
    """
    All n-grams of one order, R rows; rows are sorted by context, then by last token.

    The table of order 1 has a row for each id, 0 .. V - 1, and row V for `<s>`.
    """

    vocabulary_size: int
    """V. `<s>` is not one of the ids: no n-gram ends in it."""

    keys: npt.NDArray[np.int64]
    """context's row * V + last token, (R,), strictly ascending."""

    log_probs: npt.NDArray[np.float32]
    """log P(last token | context), (R,)."""

    backoffs: npt.NDArray[np.float32]
    """
    (R + 1,): what is added to the log-probability of a token that does not follow this n-gram; the last, 0,
    is what NO_ROW meets. Of the highest order there are none, (0,).
    """

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, contexts: RowArray, ids: RowArray) -> RowArray:
        """The rows of the n-grams made of a context, a row of the table below, and a last token."""
        if not len(self.keys):
            return np.full(ids.shape, NO_ROW)
        # A context of NO_ROW makes a negative key, which no n-gram has.
        wanted = contexts * self.vocabulary_size + ids
        rows = np.searchsorted(self.keys, wanted)
        return np.where(self.keys.take(rows, mode="clip") == wanted, rows, NO_ROW)

    def followers(self, contexts: RowArray) -> tuple[RowArray, RowArray, RowArray]:
        """
        Every n-gram that goes on from one of the contexts, (B,).

        Returns:
            Three arrays of one length: which of the contexts (0 .. B - 1), the last token, the row.
        """
        first, end = np.searchsorted(
            self.keys, [contexts * self.vocabulary_size, (contexts + 1) * self.vocabulary_size]
        )
        lengths = end - first
        streams = np.repeat(np.arange(len(contexts)), lengths)
        # Count on within each run of rows: the run's first row, then one more each.
        rows = np.arange(len(streams)) + np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
        return streams, self.keys[rows] % self.vocabulary_size, rows
