"""
One set of counts that S streams grow together, a token of each at a time.

GrowingCounts (model.py) keeps the streams apart, reads long blocks of each, and its states can be used again.
Here a stream sees what the others have read, and reading changes the counts in place.
"""

import numpy as np

from lmgen.arrays import IdArray
from lmgen.models.ngram.growing.contexts import NOTHING, WORD_CONTEXTS, Contexts
from lmgen.models.ngram.growing.counts import CONTINUATION, PLAIN, CountTable, seen_so_far
from lmgen.models.ngram.growing.model import Both, counted, opinions_of, shortest_of
from lmgen.models.opinions import Opinions


class SharedCounts:
    """Counts that begin from nothing."""

    def __init__(self, contexts: Contexts, vocabulary_size: int, streams: int) -> None:
        """
        Args:
            contexts: what is counted; without an end of sentences.
            vocabulary_size: V.
            streams: S.
        """
        self._contexts = contexts
        self._vocabulary_size = vocabulary_size
        self._table = CountTable.empty(contexts.count)
        self._recent = np.full((max(contexts.order - 1, 1), streams), NOTHING)
        self._words = np.zeros((WORD_CONTEXTS, streams), np.uint64)
        self._keys = contexts.keys_side_by_side(self._recent, self._words)

    @property
    def experts(self) -> int:
        """K: opinions on each token."""
        return self._contexts.count - shortest_of(self._contexts.order)

    @property
    def signals(self) -> int:
        """F: numbers that tell how far to trust them."""
        return self.experts

    def opinions(self) -> Opinions:
        """On all tokens that may come next: (S, V, K); signals (S, F)."""
        seen = seen_so_far([self._table], self._keys, self._vocabulary_size)
        found = opinions_of(
            Both(seen[PLAIN], seen[CONTINUATION]), self._contexts.order, self._vocabulary_size
        )
        return Opinions(found.probabilities, found.signals[:, 0])

    def read(self, ids: IdArray) -> None:
        """Count the next token of each stream, (S,)."""
        counted([self._table], self._keys, ids, self._contexts.order)
        self._recent = np.roll(self._recent, 1, axis=0)
        self._recent[0] = ids
        self._words = self._contexts.words_after(self._words, ids)
        self._keys = self._contexts.keys_side_by_side(self._recent, self._words)
