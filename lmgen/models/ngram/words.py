"""
A limit on the vocabulary of an n-gram model: words that are counted, and then left out.

As for lmplz's `--limit_vocab_file`, the counts of the other words are those of the whole text, and so are the
discounts: what n-grams with words that are left out have is given to the orders below, as for all that are
pruned.
"""

from dataclasses import dataclass

import numpy as np

from lmgen.arrays import BoolArray, IdArray, Int64Array
from lmgen.models.ngram.table import RowArray


@dataclass(frozen=True, slots=True)
class Words:
    """Which ids of a text a model has, and the ids that it gives them: 0, 1, ... in the same order."""

    kept: BoolArray | None
    """(V + 1,), with `<s>`, which is always kept; None: all are."""

    new_ids: Int64Array
    """The id in the model, (V + 1,); of no use where an id is left out."""

    size: int
    """How many ids the model has, without `<s>`."""

    @classmethod
    def all_of(cls, vocabulary_size: int) -> "Words":
        """All ids of a vocabulary."""
        return cls(None, np.arange(vocabulary_size + 1), vocabulary_size)

    @classmethod
    def some_of(cls, kept: BoolArray) -> "Words":
        """Those that are kept, of V ids."""
        with_start = np.append(kept, True)
        return cls(with_start, np.cumsum(with_start) - 1, int(np.count_nonzero(kept)))

    def keep(
        self, occurrences: RowArray, threshold: int, last_ids: IdArray, below: BoolArray | None
    ) -> BoolArray | None:
        """
        Which n-grams are not pruned, (R,); None: all.

        Args:
            occurrences: how often each occurs, (R,).
            threshold: those that occur at most so often are pruned.
            last_ids: the last token of each, (R,).
            below: whether the context of each is kept, (R,); None: all are.
        """
        kept = occurrences > threshold if threshold else None
        if self.kept is None:
            return kept
        known = self.kept[last_ids]
        for other in (kept, below):
            if other is not None:
                known &= other
        return known
