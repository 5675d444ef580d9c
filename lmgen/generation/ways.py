"""
The ways in which a model may go on from an unfinished text, given that the text it makes begins with that.

A text with a rest r after its last certain boundary (tokenizers/edges.py) is spelled by tokens t1 ... tn of
which the last ends with r or goes beyond it. Of these ways, each has the probability

    P(t1 ... tn | the text begins with r) = P(t1 ... tn) / Σ over all ways of P(t1 ... tn)

with P the model's, after the tokens before r. The sum is the probability that the text goes on with r at all.
It is exact but for ways that begin too improbably to matter: see `IMPROBABLE`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, log

import numpy as np

from lmgen.arrays import Float64Array, IdArray
from lmgen.errors import NumericalError
from lmgen.generation.filters import NO_TOKEN
from lmgen.models.base import LanguageModel, State, nats_of
from lmgen.tokenizers.edges import Rest

NO_PROBABILITIES = "the model gives NaN or probabilities above 1: it may be damaged, train it again"

IMPROBABLE = log(1e-9)
"""A way is given up as soon as it has this log-probability, relative to the likeliest."""

MOST_WAYS = 64
"""At most this many are followed at the same number of tokens."""


@dataclass(slots=True)
class Within:
    """The tokens of a way that end within the rest, or with it."""

    tokens: tuple[int, ...]
    position: int
    """Where the last of them ends."""
    log_probability: float

    @property
    def last(self) -> int | None:
        """The last of them, if there is one."""
        return self.tokens[-1] if self.tokens else None


@dataclass(frozen=True)
class Ways:
    """All likely ways to spell the rest of a text, K in number."""

    rest: Rest
    within: Sequence[Within]
    """What the ways begin with, until a token goes beyond the rest."""
    beginnings: IdArray
    """The index in `within` for each way, (K,)."""
    beyond: IdArray
    """The last token of each way, which goes beyond the rest; NO_TOKEN if it ends with the rest, (K,)."""
    weights: Float64Array
    """The log-probability of each way's tokens, (K,)."""

    @cached_property
    def log_probability(self) -> float:
        """That the text goes on with the rest, log Σ P."""
        highest = float(self.weights.max(initial=-inf))
        return highest if highest == -inf else highest + log(np.exp(self.weights - highest).sum())

    @cached_property
    def log_shares(self) -> Float64Array:
        """The log-probability of each way given that the text goes on with the rest, (K,)."""
        return self.weights - self.log_probability

    def text_beyond(self, way: int) -> str:
        """What of a way's last token goes beyond the rest; for a special token nothing."""
        return self.rest.text_beyond(int(self.beyond[way]), self.within[self.beginnings[way]].position)


def find_ways(model: LanguageModel, state: State, rest: Rest) -> Ways:
    """
    Find the likely ways to spell the rest of a text.

    Args:
        model: any `LanguageModel`.
        state: of one stream, after the tokens before the rest.
        rest: the end of the text.

    Raises:
        NumericalError: the model returns NaN or probabilities above 1.
    """
    complete: list[_Complete] = []
    growing = [Within((), 0, 0.0)]
    state = model.select(state, _pair([0]))
    while growing:
        longer: list[tuple[Within, int]] = []
        predicted = model.predict(state)
        if np.isnan(nats_of(predicted)).any():
            raise NumericalError(NO_PROBABILITIES)
        for row, (way, log_probs) in enumerate(zip(growing, predicted, strict=False)):
            last = rest.beyond(way.position, way.last)
            if len(last):
                weights = way.log_probability + log_probs[last].astype(np.float64)
                complete.append(_Complete(way, last, weights))
            for token, position in rest.within(way.position, way.last):
                total = way.log_probability + float(log_probs[token])
                grown = Within((*way.tokens, token), position, total)
                if position < len(rest.spelling):
                    longer.append((grown, row))
                else:
                    complete.append(_Complete(grown, np.array([NO_TOKEN]), np.array([total])))
        likeliest = max((float(each.weights.max()) for each in complete), default=-inf)
        longer = _likely(longer, likeliest)
        growing = [way for way, _ in longer]
        if growing:
            rows = _pair([row for _, row in longer])
            ids = np.array([_pair([way.tokens[-1] for way in growing])])
            state = model.advance(model.select(state, rows), ids)
    if not any(np.isfinite(each.weights).any() for each in complete):
        return _own_tokens(rest)
    return Ways(
        rest,
        [each.within for each in complete],
        np.repeat(np.arange(len(complete)), [len(each.beyond) for each in complete]),
        np.concatenate([each.beyond for each in complete]),
        np.concatenate([each.weights for each in complete]),
    )


@dataclass(slots=True)
class _Complete:
    """The ways that begin with the same tokens within the rest; see `Ways`."""

    within: Within
    beyond: IdArray
    weights: Float64Array


def _likely(ways: list[tuple[Within, int]], likeliest: float) -> list[tuple[Within, int]]:
    """Those to follow further, likeliest first, given the likeliest that is complete."""
    ways = sorted(ways, key=lambda way: -way[0].log_probability)[:MOST_WAYS]
    least = max([likeliest, *(way.log_probability for way, _ in ways[:1])]) + IMPROBABLE
    return [(way, row) for way, row in ways if way.log_probability >= least and way.log_probability > -inf]


def _pair(of_streams: list[int]) -> list[int]:
    """What there is for each stream; for a single one twice, since one alone is rounded differently."""
    return of_streams * 2 if len(of_streams) == 1 else of_streams


def _own_tokens(rest: Rest) -> Ways:
    """The rest's own tokens as the only way: the model gives no way any probability."""
    own = Within(tuple(rest.ids.tolist()), len(rest.spelling), 0.0)
    return Ways(rest, [own], np.array([0]), np.array([NO_TOKEN]), np.array([0.0]))
