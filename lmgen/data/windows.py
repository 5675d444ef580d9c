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
begins from zeros again every so many windows (RESTART_WINDOWS in training/loop.py). Stateless training
(`reset`) cuts the text into N / T separate windows, shuffles them anew in every epoch, and starts each from
zeros.

Windows read in order may vary in length, so that they are cut at other places in every epoch, and each token
is at times far enough from a window's start for gradients to reach what it depends on (Merity, Keskar and
Socher 2017, section 4.1). Every token is read once an epoch all the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lmgen.errors import CorpusError
from lmgen.tokenizers.base import IdArray

Int64Array = npt.NDArray[np.int64]

HALVED = 0.05
"""Share of the windows of varied length that are drawn around half of T instead of T ..."""
DEVIATION = 5.0
"""... with this standard deviation, in steps ..."""
SHORTEST = 5
"""... not below this (or T, where that is less) ..."""
LONGEST_ABOVE = 10
"""... nor more than this above T, so that memory is bounded: the paper's 70 steps become at most 80."""


@dataclass(frozen=True, slots=True)
class Window:
    """Inputs and the targets they are to predict, each int64, (T, B)."""

    inputs: Int64Array
    targets: Int64Array


def needed_tokens(streams: int, length: int, *, carried: bool) -> int:
    """The fewest tokens that make a window: one for each stream, or a whole window of one."""
    return streams if carried else length


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """
    How a text is cut into the windows of an epoch.

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

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Window]:
        """The windows of an epoch in order, from number `first` on: the same for the same seed and epoch."""
        if self.carried:
            begins = self._stream_begins()
            for begin, end in list(pairwise([0, *self._ends(epoch).tolist()]))[first:]:
                yield self._window(begins + begin, end - begin)
        else:
            begins = self._shuffled_begins(epoch)
            for number in range(first, self.count(epoch)):
                yield self._window(begins[number * self.streams :][: self.streams], self.length)

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

    def _window(self, begins: Int64Array, length: int) -> Window:
        """Targets from each of `begins` on, with the token before each as its input."""
        rows = [self.ids[max(begin - 1, 0) : begin + length].astype(np.int64) for begin in begins.tolist()]
        rows = [
            row if begin else np.concatenate([[self.start_token], row])
            for row, begin in zip(rows, begins.tolist(), strict=True)
        ]
        columns = np.stack(rows, axis=1)  # (T + 1, B)
        return Window(np.ascontiguousarray(columns[:-1]), np.ascontiguousarray(columns[1:]))


# Cached, since the same is asked for after every update.


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
