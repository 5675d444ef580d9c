"""
What training reads: batches of B token streams over T steps, from any source that gives them epoch by epoch.

windows.py cuts a text into batches. Other sources (lines of different lengths with padding, prompts of which
only the answer counts) give weights too: a position of weight 0 is read but not scored.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmgen.arrays import Float32Array, IdArray, Int64Array


@dataclass(frozen=True, slots=True)
class Batch:
    """Input tokens, the targets they are to predict, and how much each prediction counts; each (T, B)."""

    inputs: Int64Array
    targets: Int64Array
    weights: Float32Array | None = None
    """At least 0; 0 means that the position is not scored. None: every position counts 1."""

    @property
    def scored(self) -> int:
        """How many positions are scored."""
        return self.targets.size if self.weights is None else int(np.count_nonzero(self.weights))


class Batches(Protocol):
    """A source of training batches. An epoch is one pass over the training text."""

    @property
    def start_token(self) -> int:
        """The id that every text is taken to follow."""

    @property
    def ids(self) -> IdArray:
        """All token ids of the training text, (N,), for counting how frequent each token is."""

    @property
    def streams(self) -> int:
        """B, of a full batch."""

    @property
    def carried(self) -> bool:
        """Whether stream b of a batch continues stream b of the batch before, so that its state is kept."""

    def count(self, epoch: int) -> int:
        """How many batches an epoch has."""

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """
        The batches of an epoch from number `first` on.

        The same epoch always gives the same batches, so that training can continue from any of them.
        """

    def learning_rate_share(self, batch: Batch) -> float:
        """Factor on the learning rate for a batch; below 1 where a batch holds less than usual."""
