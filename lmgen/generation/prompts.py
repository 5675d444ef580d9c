"""From a prompt to the start of its completion: model state, decoder, unknown parts."""

from collections.abc import Iterable

import numpy as np

from lmgen.models.base import IdArray, LanguageModel, State
from lmgen.tokenizers.base import Decoder, Tokenizer

BLOCK_STEPS = 256
"""Steps that a model reads at once: many enough to be fast, few enough to need little memory."""


def read(model: LanguageModel, state: State, ids: IdArray) -> State:
    """The state after reading `ids`, (T, B), of any length."""
    for step in range(0, len(ids), BLOCK_STEPS):
        state = model.advance(state, ids[step : step + BLOCK_STEPS])
    return state


def decoder_after(tokenizer: Tokenizer, ids: Iterable[int]) -> Decoder:
    """
    A decoder that continues after some tokens and does not repeat their text.

    The last few hundred tokens of a text suffice: they determine how the next token is joined to it.
    """
    decoder = tokenizer.decoder()
    decoder.push(ids)
    decoder.finish()  # all of it is in the prompt, even if that ends in half a character
    return decoder


def ends_in_separator(tokenizer: Tokenizer, prompt: str, ids: IdArray) -> bool:
    """
    Whether a prompt ends in white space that only separates words, and so is in none of its tokens `ids`.

    The decoder of a word tokenizer would then write another blank before the next word.
    """
    return prompt[-1:].isspace() and len(tokenizer.encode(prompt.rstrip())) == len(ids)


def unknown_parts(tokenizer: Tokenizer, prompt: str) -> list[str]:
    """The characters or words of a prompt that are not in the vocabulary, each once, in order."""
    if tokenizer.unknown is None:
        return []
    ids, offsets = tokenizer.encode_with_offsets(prompt)
    ends = np.append(offsets[1:], len(prompt))
    unknown = np.flatnonzero(ids == tokenizer.unknown)
    parts = (prompt[offsets[index] : ends[index]] for index in unknown)
    return list(dict.fromkeys(part.strip() or part for part in parts))
