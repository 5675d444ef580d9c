"""
Each byte of the UTF-8 text is a token: 256 ids, no training, no unknown token.

Bytes that are not UTF-8 are represented in a str by Python's surrogateescape (U+DC80 to U+DCFF), so that any
file survives encoding and decoding byte for byte.
"""

import codecs
from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np

from lmgen.arrays import IdArray
from lmgen.errors import CorpusError
from lmgen.text.counts import utf8_bytes
from lmgen.tokenizers.base import Chunks, Decoder, TrainedTokenizer, plain_ids
from lmgen.tokenizers.characters import code_points
from lmgen.tokenizers.config import TokenizerConfig


class ByteTokenizer(TrainedTokenizer):
    """Tokenizer whose ids are the bytes of the UTF-8 text."""

    name = "byte"
    settings = frozenset()
    reading_errors = "surrogateescape"
    vocabulary_size = 256
    unknown = None
    line_end = ord("\n")

    @property
    def start(self) -> int:
        """The line end, byte 10."""
        return self.line_end

    @classmethod
    def train(cls, chunks: Chunks, config: TokenizerConfig) -> Self:  # noqa: ARG003 - no settings
        """Check that the text is not empty; there is nothing to learn from it."""
        if not any(chunks()):
            raise CorpusError("the training text is empty; give one with some characters")
        return cls()

    def encode(self, text: str) -> IdArray:
        """The UTF-8 bytes of the text, as int64."""
        return np.frombuffer(utf8_bytes(text), np.uint8).astype(np.int64)

    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        """The bytes, and for each byte the position of its character."""
        return self.encode(text), character_of_each_byte(text)

    def piece(self, token: int) -> str:
        """The ASCII character; for a byte that is only part of a character, its surrogate escape."""
        return bytes([token]).decode("utf-8", "surrogateescape")

    def decoder(self) -> Decoder:
        """A decoder that returns only whole characters."""
        return Utf8Decoder(self.vocabulary_size, bytes)

    def to_json(self) -> dict[str, Any]:
        """The name of the tokenizer, since there is nothing else to save."""
        return {"tokenizer": self.name}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:  # noqa: ARG003 - nothing was saved
        """A byte tokenizer; they are all the same."""
        return cls()


class Utf8Decoder(Decoder):
    """
    Decoder for tokens that are sequences of bytes; returns only whole characters.

    Args:
        vocabulary_size: V, to check ids against.
        spell: returns the bytes of a list of tokens.
        errors: how to decode bytes that are not UTF-8: `surrogateescape` preserves them, `replace` turns them
            into U+FFFD.
    """

    def __init__(
        self, vocabulary_size: int, spell: Callable[[list[int]], bytes], errors: str = "surrogateescape"
    ) -> None:
        self._vocabulary_size = vocabulary_size
        self._spell = spell
        self._characters = codecs.getincrementaldecoder("utf-8")(errors)

    def push(self, ids: Iterable[int]) -> str:
        """The characters that these ids complete."""
        return self._characters.decode(self._spell(plain_ids(ids, self._vocabulary_size)))

    def finish(self) -> str:
        """The bytes of a last character that was never completed, decoded as `errors` says."""
        return self._characters.decode(b"", final=True)


def character_of_each_byte(text: str) -> IdArray:
    """
    For each UTF-8 byte of a text, the position of its character: `"aé"` -> `[0, 1, 1]`.
    """
    codes = code_points(text)
    lengths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    lengths[(codes >= 0xDC80) & (codes <= 0xDCFF)] = 1  # a surrogate escape is one byte
    return np.repeat(np.arange(len(codes)), lengths)
