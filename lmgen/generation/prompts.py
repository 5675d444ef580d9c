"""Read a prompt: the model state and the decoder after it, and the parts of it that are unknown."""

from collections.abc import Iterable

import numpy as np

from lmgen.arrays import IdArray
from lmgen.models.base import LanguageModel, State
from lmgen.tokenizers.base import Decoder, Tokenizer

BLOCK_STEPS = 256
"""Time steps per call of the model: many enough to be fast, few enough to need little memory."""


def read(model: LanguageModel, state: State, ids: IdArray) -> State:
    """The model state after reading `ids`, (T, B), block by block."""
    for step in range(0, len(ids), BLOCK_STEPS):
        state = model.advance(state, ids[step : step + BLOCK_STEPS])
    return state


def decoder_after(tokenizer: Tokenizer, ids: Iterable[int]) -> Decoder:
    """
    A decoder that has already decoded `ids` and returns only the text of later tokens.

    The last few hundred tokens of a prompt suffice: the decoder needs them only to join the next token.
    """
    decoder = tokenizer.decoder()
    decoder.push(ids)
    decoder.finish()  # the prompt has been shown, even a partial character at its end
    return decoder


def ends_in_separator(tokenizer: Tokenizer, prompt: str, ids: IdArray) -> bool:
    """
    Whether a prompt, whose tokens are `ids`, ends in white space that no token represents.

    If so, the decoder of a word tokenizer would put another space before the next word.
    """
    return prompt[-1:].isspace() and len(tokenizer.encode(prompt.rstrip())) == len(ids)


def unknown_parts(tokenizer: Tokenizer, prompt: str) -> list[str]:
    """The distinct characters or words of a prompt that are not in the vocabulary, in order of appearance."""
    if tokenizer.unknown is None:
        return []
    ids, offsets = tokenizer.encode_with_offsets(prompt)
    ends = np.append(offsets[1:], len(prompt))
    unknown = np.flatnonzero(ids == tokenizer.unknown)
    parts = (prompt[offsets[index] : ends[index]] for index in unknown)
    return list(dict.fromkeys(part.strip() or part for part in parts))
