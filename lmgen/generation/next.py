"""The most likely next tokens after a text, P(v | w1 ... wk)."""

from dataclasses import dataclass
from math import exp, log

import numpy as np

from lmgen.errors import NumericalError
from lmgen.generation.prompts import read
from lmgen.models.base import LanguageModel, nats_of
from lmgen.tokenizers.base import Tokenizer


@dataclass(frozen=True, slots=True)
class NextToken:
    """A possible next token with its probability."""

    token: str
    """Spelling of the token, from `Tokenizer.piece`."""
    probability: float
    log10: float
    """log10 of the probability."""
    token_id: int


def next_tokens(model: LanguageModel, tokenizer: Tokenizer, text: str, top: int = 10) -> list[NextToken]:
    """
    List the most likely next tokens after a text, in falling order; ties are sorted by id.

    Args:
        model: any `LanguageModel`.
        tokenizer: tokenizer of the model.
        text: text so far; may be empty.
        top: maximum number of tokens, at least 1. The unknown token may be among them.

    Raises:
        NumericalError: the model returns NaN or probabilities above 1.
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
