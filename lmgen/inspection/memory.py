"""
How much of what came before a model uses: its loss as a function of the tokens of context that it was given.

    n = 0      start state                     ──►  the token
    n = 2      start state, w(t-2) w(t-1)      ──►  the token
    n = 4      start state, w(t-4) ... w(t-1)  ──►  the token

The same tokens w(t), from anywhere in the text, are predicted with each n; with n = 0 as if each were the
first of a text. Where the curve goes flat, more context no longer helps: an n-gram model of order 5 from
n = 4 on, a recurrent network as far back as it remembers (Khandelwal, He, Qi and Jurafsky 2018, section 4).
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lmgen.arrays import Float64Array, Int64Array
from lmgen.errors import ConfigError, CorpusError, NumericalError
from lmgen.inspection.texts import spread
from lmgen.models.base import LanguageModel, nats_of

CONTEXTS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)
"""The n, if no others are given."""

POSITIONS = 512
"""How many tokens are predicted, if no other number is given."""

SIDE_BY_SIDE = 64
"""Tokens that are predicted together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextLoss:
    """The loss of a model that was given so many tokens of context."""

    context: int
    """n, in tokens."""
    model: str
    tokens: int
    """How many tokens were predicted."""
    nats_per_token: float
    perplexity: float

    def values(self) -> dict[str, Any]:
        """The values by the names of the columns."""
        return asdict(self)


def context_losses(
    models: Sequence[LanguageModel],
    ids: Int64Array,
    *,
    contexts: Iterable[int] = CONTEXTS,
    positions: int = POSITIONS,
) -> list[ContextLoss]:
    """
    The loss of each model with each context.

    Args:
        models: of the same tokens.
        ids: the tokens of a text, (N,), more than the longest context.
        contexts: the n.
        positions: how many tokens at most are predicted; they are spread evenly over the text.

    Raises:
        ConfigError: a number is below its minimum.
        CorpusError: the text is too short.
        NumericalError: a score is not a finite number.
    """
    wanted = sorted(set(contexts))
    if not wanted or wanted[0] < 0 or positions < 1:
        raise ConfigError(
            f"contexts are {', '.join(map(str, wanted)) or 'none'} and positions {positions}; give contexts "
            "of at least 0 tokens and 1 position"
        )
    longest = wanted[-1]
    if len(ids) <= longest:
        raise CorpusError(
            f"too few tokens for {longest:,} of context: the text has {len(ids):,}; give one of at least "
            f"{longest + 1:,}, or smaller --contexts"
        )
    at = spread(longest, len(ids), positions)
    found = []
    for context in wanted:
        for model in models:
            groups = np.array_split(at, -(-len(at) // SIDE_BY_SIDE))
            nats = np.concatenate([_nats(model, ids, group, context) for group in groups])
            if not np.isfinite(nats).all():
                raise NumericalError(f"{model.name} gave a probability that is not a number; is it damaged?")
            mean = float(nats.mean())
            found.append(
                ContextLoss(
                    context=context,
                    model=model.name,
                    tokens=len(at),
                    nats_per_token=mean,
                    perplexity=float(np.exp(mean)),
                )
            )
    return found


def _nats(model: LanguageModel, ids: Int64Array, at: Int64Array, context: int) -> Float64Array:
    """The nats of the tokens at some positions, each after `context` tokens, (B,)."""
    read = ids[at - context + np.arange(context)[:, None]]  # (n, B)
    predicted = model.predict(model.advance(model.start(len(at)), read))
    return nats_of(predicted[np.arange(len(at)), ids[at]])
