"""
Cut token ids into training windows: inputs and targets, each (T, B).

A text of N ids is folded into B contiguous streams of equal length; the remainder at the end (fewer than B
ids) is not used. Each window is a slice of T steps across all streams:

    text  a b c d e f g h i j k l m n o p q r     B = 3 streams, T = 2 steps, "·" is the start token

                     window 0     window 1     window 2
    targets         ┌ a  b ┐     ┌ c  d ┐     ┌ e  f ┐      stream 0
                    │ g  h │     │ i  j │     │ k  l │      stream 1
                    └ m  n ┘     └ o  p ┘     └ q  r ┘      stream 2

    inputs          ┌ ·  a ┐     ┌ b  c ┐     ┌ d  e ┐      the token before each target
                    │ f  g │     │ h  i │     │ j  k │      in the text; before the first
                    └ l  m ┘     └ n  o ┘     └ p  q ┘      one, the start token

Stateful training (`carry`) reads the windows in this order and carries each stream's state from one to the
next, so that only gradients are truncated at window boundaries; in a long text a stream occasionally restarts
from a zero state (RESTART_WINDOWS). Stateless training (`reset`) cuts the text into
N / T separate windows, reshuffles them every epoch, and starts each from a zero state.

Stateful windows may vary in length. Their boundaries then move from epoch to epoch, so that gradients can
sometimes reach what a token depends on even if it is close to a boundary of equal windows (Merity, Keskar and
Socher 2017, section 4.1). Every token is still read once per epoch.

Memory does not grow with the text: where windows end is worked out as they come, and of a text with very many
windows so is their order (permutation.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lmgen.arrays import BoolArray, Int64Array, in_short
from lmgen.data.batches import Batch
from lmgen.data.permutation import Permutation
from lmgen.data.token_file import Tokens
from lmgen.errors import CorpusError

HALVED = 0.05
"""Probability that a varied window's mean length is T / 2 instead of T."""

DEVIATION = 5.0
"""Standard deviation of the length of a varied window, in steps."""

SHORTEST = 5
"""Minimum length of a varied window, in steps (T if that is less)."""

LONGEST_ABOVE = 10
"""Maximum steps that a varied window exceeds T by, to bound memory: with T = 70, at most 80."""

DRAWN_TOGETHER = 1 << 16
"""How many lengths are drawn at a time."""

MOST_SHUFFLED = 1 << 22
"""
More separate windows than this are not shuffled as an array, but by a computed permutation.

An array of that many takes 64 MB with its shuffled copy.
"""

RESTART_WINDOWS = 250
"""
After this many batches a carried stream of a long text restarts from a state of zeros, as texts begin in use.

Streams do so in turns, beginning with the first batches. The end of an epoch restarts all of them, but in a
long text it may never come. A network that has not seen the start of a text for hundreds of updates can fail
at one: its cells saturate in a way that they never did in training, and stay so for thousands of tokens
(benchmarks/results/presets.md).
"""

SHORT_EPOCH = 1000
"""Streams of no more windows restart often enough where an epoch ends."""


def needed_tokens(streams: int, length: int, *, carried: bool) -> int:
    """Minimum number of tokens for one window: a token per stream if carried, otherwise T for one stream."""
    return streams if carried else length


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """
    A source of batches (see `Batches`) that cuts one text into windows of T steps across B streams.

    Raises:
        CorpusError: the text is too short for one window.
    """

    ids: Tokens
    """The whole text, (N,): an array, or a token file, of which only windows are read."""

    start_token: int
    streams: int
    """Number of streams B."""
    length: int
    """Window length T, in steps."""
    carried: bool
    """Whether each stream continues from window to window, with its state carried over."""
    varied: bool = False
    """Whether each epoch draws new random lengths around T for carried windows."""
    seed: int = 0
    unit_end: None = None
    """The text is one document."""
    answers: None = None
    """All of it is scored."""

    __repr__ = in_short

    def __post_init__(self) -> None:
        needed = needed_tokens(self.streams, self.length, carried=self.carried)
        if len(self.ids) < needed:
            raise CorpusError(f"{len(self.ids)} tokens are too few: one window needs at least {needed}")

    def count(self, epoch: int) -> int:
        """Number of windows in an epoch."""
        if not self.carried:
            return -(-(len(self.ids) // self.length) // self.streams)
        if self.varied:
            return _varied_count(self._stream_length, self.length, self.seed, epoch)
        return -(-self._stream_length // self.length)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the windows of an epoch from number `first`, determined by the seed and the epoch."""
        if self.carried:
            begins = self._stream_begins()
            for number, begin, end in self._spans(epoch, first):
                yield self._window(begins + begin, end - begin, self._restarting(number))
        else:
            windows = len(self.ids) // self.length
            order = _order(windows, self.seed, epoch)
            for number in range(first, self.count(epoch)):
                places = np.arange(number * self.streams, min((number + 1) * self.streams, windows))
                yield self._window(order(places) * self.length, self.length)

    def learning_rate_share(self, batch: Batch) -> float:
        """
        Length of a varied window divided by T; 1 for windows of equal length.

        The loss is a mean over the window, so without this factor a token in a short window would count more
        than one in a long window (Merity, Keskar and Socher 2017, section 4.1).
        """
        return len(batch.targets) / self.length if self.varied else 1.0

    @property
    def _stream_length(self) -> int:
        return len(self.ids) // self.streams

    def _stream_begins(self) -> Int64Array:
        return np.arange(self.streams) * self._stream_length

    def _spans(self, epoch: int, first: int) -> Iterator[tuple[int, int, int]]:
        """Number, begin and end within their streams of carried windows, from number `first` on."""
        if not self.varied:
            for number in range(first, self.count(epoch)):
                begin = number * self.length
                yield number, begin, min(begin + self.length, self._stream_length)
            return
        number = begin = 0
        for ends in _varied_ends(self._stream_length, self.length, self.seed, epoch):
            for end in ends.tolist():
                if number >= first:
                    yield number, begin, end
                number, begin = number + 1, end

    def _restarting(self, number: int) -> BoolArray | None:
        """The streams that restart from zeros at this window of an epoch; None if there are none."""
        if not number or self._stream_length <= SHORT_EPOCH * self.length:
            return None
        since = number - np.arange(self.streams) * RESTART_WINDOWS // self.streams
        restarting: BoolArray = (since >= 0) & (since % RESTART_WINDOWS == 0)
        return restarting if restarting.any() else None

    def _window(self, begins: Int64Array, length: int, restarting: BoolArray | None = None) -> Batch:
        """Cut a window: stream b's targets start at `begins[b]`; an input is the token before its target."""
        rows = [self.ids[max(begin - 1, 0) : begin + length].astype(np.int64) for begin in begins.tolist()]
        rows = [
            row if begin else np.concatenate([[self.start_token], row])
            for row, begin in zip(rows, begins.tolist(), strict=True)
        ]
        columns = np.stack(rows, axis=1)  # (T + 1, B)
        return Batch(np.ascontiguousarray(columns[:-1]), np.ascontiguousarray(columns[1:]), begins=restarting)


def _order(windows: int, seed: int, epoch: int) -> Callable[[Int64Array], Int64Array]:
    """A function from places in the order of an epoch to separate windows, by their numbers."""
    if windows > MOST_SHUFFLED:
        return Permutation(windows, seed, epoch)
    return np.random.default_rng([seed, epoch]).permutation(np.arange(windows)).__getitem__


@lru_cache(maxsize=2)  # because training asks for the number of windows after every update
def _varied_count(stream_length: int, length: int, seed: int, epoch: int) -> int:
    return sum(map(len, _varied_ends(stream_length, length, seed, epoch)))


def _varied_ends(stream_length: int, length: int, seed: int, epoch: int) -> Iterator[Int64Array]:
    """
    End offsets of windows with random lengths around T, some at a time; the last ends with the stream.

    The generator first gives a number for the mean of each window that there may be, then the lengths. Two
    copies of it, one of them that far ahead, give both side by side.
    """
    shortest = min(SHORTEST, length)
    most = -(-stream_length // shortest)
    means, lengths = np.random.PCG64([seed, epoch]), np.random.PCG64([seed, epoch]).advance(most)
    uniform, normal = np.random.Generator(means).random, np.random.Generator(lengths).normal
    before = drawn = 0
    while before < stream_length:
        count = min(DRAWN_TOGETHER, most - drawn)
        centres = np.where(uniform(count) < HALVED, length / 2, length)
        steps = normal(centres, DEVIATION).astype(np.int64).clip(shortest, length + LONGEST_ABOVE)
        ends = before + np.cumsum(steps)
        before, drawn = int(ends[-1]), drawn + count
        yield ends if before < stream_length else np.append(ends[ends < stream_length], stream_length)
