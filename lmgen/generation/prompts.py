"""How a completion takes over from its prompt: the model's state, the decoder, and what was unknown."""

from collections.abc import Iterable

import numpy as np

from lmgen.models.base import IdArray, LanguageModel, State
from lmgen.tokenizers.base import Decoder, Tokenizer

BLOCK_STEPS = 256
"""Steps that a model reads at once: enough to be fast, few enough to need little memory."""


def read(model: LanguageModel, state: State, ids: IdArray) -> State:
    """The state after reading `ids`, (T, B), however long."""
    for step in range(0, len(ids), BLOCK_STEPS):
        state = model.advance(state, ids[step : step + BLOCK_STEPS])
    return state


def decoder_after(tokenizer: Tokenizer, ids: Iterable[int]) -> Decoder:
    """
    A decoder that stands behind some tokens and will not repeat any of their text.

    The last few hundred tokens of a text are enough: they show what the next one is joined to.
    """
    decoder = tokenizer.decoder()
    decoder.push(ids)
    decoder.finish()  # the prompt has shown all of it, even where it ends in half a character
    return decoder


def ends_in_separator(tokenizer: Tokenizer, prompt: str, ids: IdArray) -> bool:
    """
    Whether a prompt ends in white space that only separates words and is not itself in its tokens, `ids`.

    Where it does, the decoder of a word tokenizer would write another blank before the next word.
    """
    return prompt[-1:].isspace() and len(tokenizer.encode(prompt.rstrip())) == len(ids)


def unknown_parts(tokenizer: Tokenizer, prompt: str) -> list[str]:
    """The characters or words of a prompt that the model never saw, each once, in order of appearance."""
    if tokenizer.unknown is None:
        return []
    ids, offsets = tokenizer.encode_with_offsets(prompt)
    ends = np.append(offsets[1:], len(prompt))
    unknown = np.flatnonzero(ids == tokenizer.unknown)
    parts = (prompt[offsets[index] : ends[index]] for index in unknown)
    return list(dict.fromkeys(part.strip() or part for part in parts))
