"""
Training batches: B token streams over T steps, from any source that yields them epoch by epoch.

windows.py cuts one long text into batches. Other sources, such as padded lines or prompts with a scored
answer, also set weights: the model reads a position of weight 0, but its prediction adds nothing to the loss.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmgen.arrays import BoolArray, Float32Array, Int64Array, in_short
from lmgen.data.answers import Answers
from lmgen.data.token_file import Tokens


@dataclass(frozen=True, slots=True)
class Batch:
    """Input tokens, the target to predict at each position, and the weight of each prediction; all (T, B)."""

    inputs: Int64Array
    targets: Int64Array
    weights: Float32Array | None = None
    """At least 0; a position of weight 0 is not scored. None: every weight is 1."""
    begins: BoolArray | None = None
    """The streams that begin a text here, from a zero state, (B,); None: none of those that are carried."""
    text: BoolArray | None = None
    """The positions of the text, scored or not, (T, B): the others are padding. None: all are."""

    __repr__ = in_short

    @property
    def scored(self) -> int:
        """Number of positions with a weight above 0."""
        return self.targets.size if self.weights is None else int(np.count_nonzero(self.weights))


class Batches(Protocol):
    """A source of training batches. An epoch is one pass over the training text."""

    @property
    def start_token(self) -> int:
        """Id of the token read before the first token of a text."""

    @property
    def ids(self) -> Tokens:
        """All token ids of the training text, (N,), for counting token frequencies."""

    @property
    def unit_end(self) -> int | None:
        """Id of the token that ends a unit; None if the text is one document."""

    @property
    def answers(self) -> Answers | None:
        """How the answers are found that alone are scored; None if every token is."""

    @property
    def streams(self) -> int:
        """Number of streams B of the first batch."""

    @property
    def carried(self) -> bool:
        """Whether streams continue from the previous batch, unless `Batch.begins` says otherwise."""

    def count(self, epoch: int) -> int:
        """Number of batches in an epoch."""

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """
        Yield the batches of an epoch, starting at batch number `first`.

        An epoch always has the same batches, so that training can resume at any of them.
        """

    def learning_rate_share(self, batch: Batch) -> float:
        """Factor on the learning rate for a batch; below 1 for one with fewer steps than usual."""
