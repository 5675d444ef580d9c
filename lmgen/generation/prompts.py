"""Read a prompt: the model state and the decoder after it, its end, and the parts of it that are unknown."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lmgen.arrays import IdArray
from lmgen.generation.ways import Ways, find_ways
from lmgen.models.base import LanguageModel, State
from lmgen.text.reading import read_text
from lmgen.tokenizers.base import Decoder, Tokenizer
from lmgen.tokenizers.edges import Edge

BLOCK_STEPS = 256
"""Time steps per call of the model: many enough to be fast, few enough to need little memory."""


@dataclass(slots=True)
class Prompt:
    """A text to complete, shared by all its completions."""

    text: str
    edge: Edge
    """Its tokens, and how it ends."""
    ways: Ways | None = None
    """The ways to go on from its last tokens, found when the model has read those before."""

    def ways_after(self, model: LanguageModel, state: State, stream: int) -> Ways:
        """The ways, given the model's state before the rest, that of one of its streams."""
        if self.ways is None:
            assert self.edge.rest is not None
            self.ways = find_ways(model, model.select(state, [stream]), self.edge.rest)
        return self.ways


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


def unknown_parts(tokenizer: Tokenizer, prompt: str, *, finished: bool = False) -> list[str]:
    """
    The distinct characters or words of a prompt that are not in the vocabulary, in order of appearance.

    Args:
        tokenizer: the model's.
        prompt: the text.
        finished: count a last word that begins words of the vocabulary, though it would be completed.
    """
    if tokenizer.unknown is None:
        return []
    text = read_text(prompt, tokenizer.reading)
    ids, offsets = tokenizer.encode_with_offsets(text)
    unknown = np.flatnonzero(tokenizer.unknown_among(text, ids))
    rest = tokenizer.edge(text).rest if len(unknown) and not finished else None
    certain = len(text) - (len(rest.spelling.decode("utf-8", "surrogateescape")) if rest else 0)
    ends = np.append(offsets[1:], len(text))
    parts = (text[offsets[index] : ends[index]] for index in unknown if offsets[index] < certain)
    return list(dict.fromkeys(part.strip() or part for part in parts))
