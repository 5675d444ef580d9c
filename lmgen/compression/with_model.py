"""A text as the tokens of a model, which predicts each of them."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from lmgen.arrays import Float64Array, IdArray
from lmgen.errors import CorpusError
from lmgen.models.base import LanguageModel
from lmgen.text.counts import utf8_bytes
from lmgen.tokenizers.base import Tokenizer

MOST_STREAMS = 16

SHORTEST_PART = 2048
"""Tokens of a stream at least: each stream begins without any context."""


class ModelPredictor:
    """A language model that stays as it is; S streams."""

    def __init__(self, model: LanguageModel, streams: int) -> None:
        self._model = model
        self._state = model.start(streams)

    def predict(self) -> Float64Array:
        """Probabilities of the next tokens, (S, V)."""
        return np.exp(self._model.predict(self._state).astype(np.float64))

    def read(self, symbols: IdArray) -> None:
        """Go on by a token a stream, (S,)."""
        self._state = self._model.advance(self._state, symbols[None])


def streams_for(tokens: int) -> int:
    """S: in how many parts a text of so many tokens is cut."""
    return min(max(tokens // SHORTEST_PART, 1), MOST_STREAMS)


def tokens_of(content: bytes, tokenizer: Tokenizer, name: str) -> IdArray:
    """
    The tokens of a text, from which exactly its bytes come back, perhaps with a line end after them.

    Args:
        content: the bytes of the text.
        tokenizer: splits it.
        name: of the text, for messages.

    Raises:
        CorpusError: something else would come back.
    """
    way_out = "compress it without a model, or with one of bytes (lmgen train --tokenizer byte)"
    try:
        text = content.decode("utf-8", tokenizer.reading_errors)
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"byte {error.start:,} of {name} is not UTF-8, and the model has tokens for characters only; "
            f"{way_out}"
        ) from error
    found = list(tokenizer.encode_stream([text]))
    ids = np.concatenate(found) if found else np.zeros(0, np.int64)
    back = tokenizer.decode(ids)
    if not back.startswith(text):
        pairs = enumerate(zip_longest(back, text))
        same = next(place for place, (returned, wanted) in pairs if returned != wanted)
        raise CorpusError(
            f"{name} would not come back from the model's tokens as it is: they have no {text[same]!r} as at "
            f"character {same + 1:,}; {way_out}"
        )
    return ids


def bytes_of(tokens: Sequence[int] | IdArray, tokenizer: Tokenizer, length: int) -> bytes:
    """The first bytes of the text of tokens."""
    return utf8_bytes(tokenizer.decode(tokens))[:length]
