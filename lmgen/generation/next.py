"""The distribution over the next token, P(v | w1 ... wk)."""

from dataclasses import dataclass
from math import exp, log

import numpy as np

from lmgen.errors import NumericalError
from lmgen.generation.prompts import read
from lmgen.models.base import LanguageModel, nats_of
from lmgen.tokenizers.base import Tokenizer


@dataclass(frozen=True, slots=True)
class NextToken:
    """A token that may come next."""

    token: str
    """The token's spelling, as the tokenizer's `piece` gives it."""
    probability: float
    log10: float
    """log10 of the probability."""
    token_id: int


def next_tokens(model: LanguageModel, tokenizer: Tokenizer, text: str, top: int = 10) -> list[NextToken]:
    """
    The tokens likeliest to come after a text, best first; of equals, the lower id first.

    Args:
        model: any `LanguageModel`.
        tokenizer: the one that the model was trained with.
        text: the text so far; empty: the start of a text.
        top: number of tokens, at least 1; all if the vocabulary is smaller. The unknown token may be among
            them.

    Raises:
        NumericalError: the model gives NaN, or probabilities above 1.
    """
    state = read(model, model.start(1), tokenizer.encode(text)[:, None])
    nats = nats_of(model.predict(state)[0])
    if np.isnan(nats).any():
        raise NumericalError(
            "the model gives NaN or probabilities above 1: it may be damaged, train it again"
        )
    best = np.argsort(nats, kind="stable")[:top]
    return [
        NextToken(tokenizer.piece(token), exp(log_p), log_p / log(10), token)
        for token, log_p in zip(best.tolist(), (0.0 - nats[best]).tolist(), strict=True)
    ]
