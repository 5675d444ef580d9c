"""
Token ids to training windows: inputs and targets, each (T, B).

A text of N ids is folded into B streams of equal length, each a contiguous part of it; what is left over at
the end (fewer than B ids) is not used. Windows are cut across all streams at once:

    text  a b c d e f g h i j k l m n o p q r     B = 3 streams, T = 2 steps, "·" is the start token

                     window 0     window 1     window 2
    targets         ┌ a  b ┐     ┌ c  d ┐     ┌ e  f ┐      stream 0
                    │ g  h │     │ i  j │     │ k  l │      stream 1
                    └ m  n ┘     └ o  p ┘     └ q  r ┘      stream 2

    inputs          ┌ ·  a ┐     ┌ b  c ┐     ┌ d  e ┐      each target's token before,
                    │ f  g │     │ h  i │     │ j  k │      in the text: the first one's
                    └ l  m ┘     └ n  o ┘     └ p  q ┘      is the start token

Stateful training (`carry`) reads the windows in this order and carries each stream's state from one to the
next, so that a stream is one long sequence of which only the gradients are cut; but in a long text a stream
restarts from zeros now and then (RESTART_WINDOWS in training/state.py). Stateless training (`reset`) cuts the
text into N / T separate windows, shuffles them anew in every epoch, and starts each from zeros.

Windows read in order may vary in length, so that they are cut at other places in every epoch, and each token
is at times far enough from a window's start for gradients to reach what it depends on (Merity, Keskar and
Socher 2017, section 4.1). Every token is read once an epoch all the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from lmgen.arrays import IdArray, Int64Array
from lmgen.data.batches import Batch
from lmgen.errors import CorpusError

HALVED = 0.05
"""Probability that a varied window's mean length is T / 2 instead of T."""

DEVIATION = 5.0
"""Standard deviation of the length of a varied window, in steps."""

SHORTEST = 5
"""The shortest varied window, in steps (T, where that is less)."""

LONGEST_ABOVE = 10
"""How many steps a varied window may be longer than T, to bound memory: 70 steps become at most 80."""


def needed_tokens(streams: int, length: int, *, carried: bool) -> int:
    """The fewest tokens that make a window: one for each stream, or a whole window of one."""
    return streams if carried else length


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """
    The batches of one text: it is cut into windows of T steps across B streams (see `Batches`).

    Raises:
        CorpusError: the text is too short for one window.
    """

    ids: IdArray
    """The whole text, (N,); a memory map will do."""

    start_token: int
    streams: int
    """B."""
    length: int
    """T."""
    carried: bool
    """Whether the state is carried from window to window."""
    varied: bool = False
    """Whether the lengths of carried windows are drawn around T, anew in every epoch."""
    seed: int = 0

    def __post_init__(self) -> None:
        needed = needed_tokens(self.streams, self.length, carried=self.carried)
        if len(self.ids) < needed:
            raise CorpusError(f"{len(self.ids)} tokens are too few: one window needs at least {needed}")

    def count(self, epoch: int) -> int:
        """Windows in an epoch."""
        if self.carried:
            return len(self._ends(epoch))
        return -(-(len(self.ids) // self.length) // self.streams)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The windows of an epoch in order, from number `first` on: the same for the same seed and epoch."""
        if self.carried:
            begins = self._stream_begins()
            for begin, end in list(pairwise([0, *self._ends(epoch).tolist()]))[first:]:
                yield self._window(begins + begin, end - begin)
        else:
            begins = self._shuffled_begins(epoch)
            for number in range(first, self.count(epoch)):
                yield self._window(begins[number * self.streams :][: self.streams], self.length)

    def learning_rate_share(self, batch: Batch) -> float:
        """
        In proportion to the steps of a window of varied length, otherwise 1.

        The loss is a mean, so a token in a short window would otherwise weigh more than one in a long window
        (Merity, Keskar and Socher 2017, section 4.1).
        """
        return len(batch.targets) / self.length if self.varied else 1.0

    @property
    def _stream_length(self) -> int:
        return len(self.ids) // self.streams

    def _stream_begins(self) -> Int64Array:
        return np.arange(self.streams) * self._stream_length

    def _ends(self, epoch: int) -> Int64Array:
        """Where in its stream each carried window ends."""
        stream_length = self._stream_length
        if self.varied:
            return _varied_ends(stream_length, self.length, self.seed, epoch)
        return _equal_ends(stream_length, self.length)

    def _shuffled_begins(self, epoch: int) -> Int64Array:
        begins = np.arange(len(self.ids) // self.length) * self.length
        return np.random.default_rng([self.seed, epoch]).permutation(begins)

    def _window(self, begins: Int64Array, length: int) -> Batch:
        """Targets from each of `begins` on, with the token before each as its input."""
        rows = [self.ids[max(begin - 1, 0) : begin + length].astype(np.int64) for begin in begins.tolist()]
        rows = [
            row if begin else np.concatenate([[self.start_token], row])
            for row, begin in zip(rows, begins.tolist(), strict=True)
        ]
        columns = np.stack(rows, axis=1)  # (T + 1, B)
        return Batch(np.ascontiguousarray(columns[:-1]), np.ascontiguousarray(columns[1:]))


# Cached, since the number of windows is asked for after every update.


@lru_cache(maxsize=2)
def _equal_ends(stream_length: int, length: int) -> Int64Array:
    """Where windows of T steps end, the last at the end of the stream."""
    return np.append(np.arange(length, stream_length, length), stream_length)


@lru_cache(maxsize=2)
def _varied_ends(stream_length: int, length: int, seed: int, epoch: int) -> Int64Array:
    """Where windows of lengths drawn around T end."""
    random = np.random.default_rng([seed, epoch])
    shortest = min(SHORTEST, length)
    most = -(-stream_length // shortest)
    centres = np.where(random.random(most) < HALVED, length / 2, length)
    lengths = random.normal(centres, DEVIATION).astype(np.int64)
    ends = np.cumsum(lengths.clip(shortest, length + LONGEST_ABOVE))
    return np.append(ends[ends < stream_length], stream_length)
