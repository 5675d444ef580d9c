"""
Draw the next token of each completion, from the probabilities that the filters leave.

Each completion has a random generator of its own and uses one number per token, so what is drawn for it does
not depend on the completions beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Self

import numpy as np

from lmgen.arrays import Float64Array, FloatArray, IdArray
from lmgen.errors import NumericalError
from lmgen.generation.completion import Continuation
from lmgen.generation.config import SamplingConfig
from lmgen.generation.filters import NO_TOKEN, NOTHING_TO_DRAW, RECENT_TOKENS, candidates
from lmgen.generation.ways import Ways
from lmgen.tokenizers.base import Tokenizer

DIRECT_WEIGHTS = 2000
"""Up to this many weights are accumulated one by one; more are summed in blocks first, which is faster."""

BLOCK = 256
"""Number of weights in a block."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Draws tokens for completions that share their settings."""

    config: SamplingConfig
    unknown: int | None
    """The id of the unknown token, which is never drawn."""
    plain: bool
    """Whether to draw from the model's own distribution: no filter, temperature 1."""

    @classmethod
    def of(cls, config: SamplingConfig, tokenizer: Tokenizer) -> Self:
        """With given settings, for the tokens of a tokenizer."""
        return cls(config, tokenizer.unknown, config.plain)

    def choose(self, ways: Ways, stream: Continuation) -> int:
        """
        Draw a way to go on from the end of a prompt, as a token is drawn: with the same filters.

        The repetition penalty counts the token that goes beyond the prompt.
        """
        log_shares = ways.log_shares.copy()
        if self.unknown is not None:
            log_shares[ways.beyond == self.unknown] = -np.inf
        recent = list(stream.recent) if self._penalised else []
        repeated = np.append(np.flatnonzero(np.isin(ways.beyond, recent)), NO_TOKEN)
        kept = candidates(log_shares[None], self.config, repeated[None], None)
        [column] = draw(np.exp(kept.log_weights), [stream.random_way.random()])
        return int(kept.tokens(np.array([column]))[0])

    def extend(self, log_probabilities: FloatArray, streams: Sequence[Continuation]) -> IdArray:
        """Draw a token for each stream from log-probabilities (B, V), append it, and return all, (B,)."""
        drawn = self._draw(log_probabilities, streams)
        for stream, row, token in zip(streams, log_probabilities, drawn.tolist(), strict=True):
            stream.take(token, -row.item(token))
        return drawn

    def _draw(self, log_probabilities: FloatArray, streams: Sequence[Continuation]) -> IdArray:
        """Draw a token for each stream, (B,), from log-probabilities (B, V), after applying the filters."""
        uniforms = [stream.random.random() for stream in streams]
        if self.plain:
            weights = np.exp(log_probabilities)
            if self.unknown is not None:
                weights[:, self.unknown] = 0
            return np.array(draw(weights, uniforms))
        recent = _recent_tokens(streams) if self._penalised else None
        kept = candidates(log_probabilities, self.config, recent, self.unknown)
        return kept.tokens(np.array(draw(np.exp(kept.log_weights), uniforms)))

    @property
    def _penalised(self) -> bool:
        return self.config.repetition_penalty not in (None, 1)


def draw(weights: FloatArray, uniforms: Sequence[float]) -> list[int]:
    """
    Draw one token per stream by inverting its cumulative distribution.

    Args:
        weights: unnormalised probabilities, (B, V).
        uniforms: one number in [0, 1) per stream.

    Returns:
        For each stream the first id at which the cumulative weight exceeds the given share of the total; its
        weight is never 0.

    Raises:
        NumericalError: the weights of a row are all 0, or one is infinite or NaN.
    """
    if weights.shape[-1] > DIRECT_WEIGHTS:
        return [_draw_in_blocks(row, uniform) for row, uniform in zip(weights, uniforms, strict=True)]
    cumulative = np.add.accumulate(weights, axis=-1, dtype=np.float64)
    return [
        _first_above(row, uniform * row.item(-1)) for row, uniform in zip(cumulative, uniforms, strict=True)
    ]


def _draw_in_blocks(weights: FloatArray, uniform: float) -> int:
    """As `draw`, for the weights of one stream, (V,): finds the block of tokens, then the token in it."""
    sums = np.add.reduceat(weights, np.arange(0, len(weights), BLOCK))
    before = sums.cumsum(dtype=np.float64)
    share = uniform * before.item(-1)
    block = _first_above(before, share)
    inside = np.add.accumulate(weights[block * BLOCK : (block + 1) * BLOCK], dtype=np.float64)
    begin = before.item(block - 1) if block else 0.0
    return block * BLOCK + _first_above(inside, min(share - begin, inside.item(-1)))


def _first_above(cumulative: Float64Array, share: float) -> int:
    """The first index at which cumulative weights, (V,), exceed `share`, which is in their units."""
    total = cumulative.item(-1)
    if not 0 < total < inf:
        raise NumericalError(NOTHING_TO_DRAW)
    index = int(cumulative.searchsorted(share, "right"))
    # Rounding can make the share equal to the total: then take the last index with a positive weight.
    return index if index < len(cumulative) else int(cumulative.searchsorted(total))


def generator(*seeds: int) -> np.random.Generator:
    """The random generator for a seed and the number of a completion."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seeds)))


def _recent_tokens(streams: Sequence[Continuation]) -> IdArray:
    """The last tokens of each stream, (B, W), padded with `NO_TOKEN`."""
    recent = np.full((len(streams), RECENT_TOKENS), NO_TOKEN)
    for row, stream in zip(recent, streams, strict=True):
        row[: len(stream.recent)] = stream.recent
    return recent
