"""
Training batches of units: lines or records, each of which is a text of its own and starts from a zero state.

Units of similar length are read side by side, one a stream; shorter ones are padded, and the padding has
weight 0. With B streams of T steps asked for, a batch holds about B * T tokens, so the shorter its units the
more there are. A unit longer than T carries its state on to the next batch, with the others of its group:

    units, "·" is the start token, "$" the end of a unit       B = 2, T = 4: 8 tokens a batch

    abcdef$  ghijk$               ab$  cd$                      e$  f$  g$  h$
    batch 0      batch 1          batch 2                       batch 3
    · a b c      d e f            · a b                         · e
    · g h i      j k              · c d                         · f
                                                                · g
                                                                · h

Where units are questions with answers, the tokens of questions have weight 0, too (data/answers.py). Units
with labels (data/labels.py) are read whole, end and all, since a layer may see what follows; a batch has at
most B of them, and about B * T tokens.

In memory are the place and length of each unit, and while an epoch is put in order a little more: about 50
bytes a unit in all. Of tokens there are only those of a batch; where answers alone are scored, a byte each.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from lmgen.arrays import BoolArray, Int64Array
from lmgen.data.answers import Answers
from lmgen.data.batches import Batch
from lmgen.data.token_file import Tokens, places_of
from lmgen.errors import CorpusError

BUCKETS_PER_DOUBLING = 8
"""Units of one bucket differ in length by less than a ninth (2^(1/8) is 1.09)."""


def whole_units(ids: Tokens, unit_end: int, limit: int) -> int:
    """How many tokens the first units have that hold the first `limit` tokens of a text."""
    if limit >= len(ids):
        return len(ids)
    return 1 + next(int(places[0]) for places in places_of(ids, unit_end, limit) if len(places))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitBatches:
    """
    A source of batches (see `Batches`) whose streams are units.

    Raises:
        CorpusError: the text has no unit.
    """

    ids: Tokens
    """The units one after another, (N,), each with its end: an array, or a token file."""

    unit_end: int
    """Id of the token that ends a unit."""
    start_token: int
    streams: int
    """B; a batch has B * T tokens, padding included, and as many streams as units of its length fit."""
    length: int
    """T: steps of a batch, at most."""
    targets: Tokens | None = None
    """What is to be predicted at each of `ids`, 0: nothing, k: label k - 1; None: the token itself."""
    carried: bool
    """Whether a unit longer than T carries its state on; otherwise each of its batches begins from zeros."""
    seed: int = 0
    answers: Answers | None = None
    """How the answers are found that alone are scored; None: every token is."""
    _in_answer: BoolArray | None = field(init=False, repr=False, default=None)
    """Which tokens are of answers, (N,)."""
    _scored_share: float = field(init=False, repr=False, default=1.0)
    """The share of all tokens that is scored."""
    _begins: Int64Array = field(init=False, repr=False)
    _lengths: Int64Array = field(init=False, repr=False)
    _groups: dict[int, list[Int64Array]] = field(init=False, repr=False, default_factory=dict)
    _counts: dict[int, int] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        ends = np.concatenate([np.zeros(0, np.int64), *places_of(self.ids, self.unit_end)]) + 1
        if not len(ends) or ends[-1] < len(self.ids):
            ends = np.append(ends, len(self.ids))
        if not len(self.ids):
            raise CorpusError("the training text has no units to learn from")
        begins = np.concatenate([[0], ends[:-1]])
        object.__setattr__(self, "_begins", begins)
        object.__setattr__(self, "_lengths", ends - begins)
        if self.answers is not None:
            in_answer = self.answers.among(self.ids)
            object.__setattr__(self, "_in_answer", in_answer)
            object.__setattr__(self, "_scored_share", float(in_answer.mean()))

    def count(self, epoch: int) -> int:
        """Number of batches in an epoch."""
        if epoch not in self._counts:  # asked for after every update
            self._counts.clear()
            self._counts[epoch] = sum(map(self._windows, self._grouped(epoch)))
        return self._counts[epoch]

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number `first`, determined by the seed and the epoch."""
        number = 0
        for units in self._grouped(epoch):
            for window in range(self._windows(units)):
                if number >= first:
                    yield self._batch(units, window)
                number += 1

    def learning_rate_share(self, batch: Batch) -> float:
        """
        Scored tokens divided by those of a full batch, so that the tokens of a small one count no more.

        A full batch has B * T tokens, and scores as large a share of them as is scored of the whole text. Of
        units with labels it is their number divided by B.
        """
        if self.targets is not None:
            return len(batch.inputs[0]) / self.streams
        return min(1.0, batch.scored / (self.streams * self.length * self._scored_share))

    def _windows(self, units: Int64Array) -> int:
        """Number of batches that the longest of some units takes."""
        return 1 if self.targets is not None else -(-int(self._lengths[units].max()) // self.length)

    def _grouped(self, epoch: int) -> list[Int64Array]:
        """The units that are read side by side, in the order of an epoch."""
        if epoch not in self._groups:
            self._groups.clear()  # an epoch is asked for many times, those before never again
            random = np.random.default_rng([self.seed, epoch])
            groups = self._by_length(random)
            self._groups[epoch] = [groups[place] for place in random.permutation(len(groups))]
        return self._groups[epoch]

    def _by_length(self, random: np.random.Generator) -> list[Int64Array]:
        """Groups of units of similar length; which of them meet is random."""
        buckets = (BUCKETS_PER_DOUBLING * np.log2(self._lengths)).astype(np.int64)
        order = np.lexsort((random.random(len(buckets)), -buckets))
        longest = np.zeros(buckets.max() + 1, np.int64)
        np.maximum.at(longest, buckets, self._lengths)
        groups = []
        place = 0
        while place < len(order):
            steps = int(longest[buckets[order[place]]])
            groups.append(order[place : place + self._streams_of(steps)])
            place += len(groups[-1])
        return groups

    def _streams_of(self, steps: int) -> int:
        """How many units of some length are read side by side."""
        if self.targets is None:
            return self.streams * self.length // min(steps, self.length)
        return max(1, min(self.streams, self.streams * self.length // steps))

    def _batch(self, units: Int64Array, window: int) -> Batch:
        """The steps of one window of some units."""
        if self.targets is not None:
            return self._labelled_batch(units, self.targets)
        lengths, first = self._lengths[units], window * self.length
        steps = first + np.arange(min(self.length, int(lengths.max()) - first))[:, None]
        within: BoolArray = steps < lengths  # (T, B)
        places = np.where(within, self._begins[units] + steps, 0)
        targets = np.where(within, self.ids[places], 0).astype(np.int64)
        inputs = np.where(within & (steps > 0), self.ids[places - 1], 0).astype(np.int64)
        scored = within if self._in_answer is None else within & self._in_answer[places]
        if window == 0:
            inputs[0] = self.start_token
        return Batch(
            inputs,
            targets,
            None if scored.all() else scored.astype(np.float32),
            np.full(len(units), window == 0 or not self.carried),
            None if within.all() else within,
        )

    def _labelled_batch(self, units: Int64Array, targets: Tokens) -> Batch:
        """Some units from beginning to end, with what is to be predicted at their tokens."""
        lengths = self._lengths[units]
        steps = np.arange(int(lengths.max()))[:, None]
        inside: BoolArray = steps < lengths  # (T, B)
        places = np.where(inside, self._begins[units] + steps, 0)
        numbers = np.where(inside, targets[places], 0).astype(np.int64)
        return Batch(
            np.where(inside, self.ids[places], 0).astype(np.int64),
            np.maximum(numbers - 1, 0),
            (numbers > 0).astype(np.float32),
            np.full(len(units), True),
            None if inside.all() else inside,
        )
