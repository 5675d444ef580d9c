"""
Each byte of the UTF-8 text is a token: 256 ids, nothing to learn, nothing unknown.

Bytes that are not UTF-8 pass through a str as Python's surrogateescape holds them (U+DC80 to U+DCFF), so
that a file of any kind comes back byte for byte.
"""

import codecs
from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np

from lmgen.errors import CorpusError
from lmgen.text.counts import utf8_bytes
from lmgen.tokenizers.base import Chunks, Decoder, IdArray, Tokenizer, plain_ids
from lmgen.tokenizers.characters import code_points
from lmgen.tokenizers.config import TokenizerConfig


class ByteTokenizer(Tokenizer):
    """The ids are the bytes."""

    name = "byte"
    settings = frozenset()
    reading_errors = "surrogateescape"
    vocabulary_size = 256
    unknown = None
    line_end = ord("\n")

    @property
    def start(self) -> int:
        """The byte of a line end."""
        return self.line_end

    @classmethod
    def train(cls, chunks: Chunks, config: TokenizerConfig) -> Self:  # noqa: ARG003 - no settings
        """Make sure that there is a text; there is nothing to learn from it."""
        if not any(chunks()):
            raise CorpusError("the training text is empty; give one with some characters")
        return cls()

    def encode(self, text: str) -> IdArray:
        """The UTF-8 bytes of the text."""
        return np.frombuffer(utf8_bytes(text), np.uint8).astype(np.int64)

    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        """The bytes, and for each the character that it belongs to."""
        return self.encode(text), character_of_each_byte(text)

    def piece(self, token: int) -> str:
        """The character, or what surrogateescape makes of a byte that is only a part of one."""
        return bytes([token]).decode("utf-8", "surrogateescape")

    def decoder(self) -> Decoder:
        """A decoder that never cuts a character in two."""
        return Utf8Decoder(self.vocabulary_size, bytes)

    def to_json(self) -> dict[str, Any]:
        """The name alone."""
        return {"tokenizer": self.name}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:  # noqa: ARG003 - there is nothing to read
        """The same tokenizer always."""
        return cls()


class Utf8Decoder(Decoder):
    """
    Tokens that stand for bytes: text comes out character by whole character.

    Args:
        vocabulary_size: V; ids are checked against it.
        spell: gives the bytes of a list of tokens.
        errors: what becomes of bytes that are not UTF-8: `surrogateescape` keeps them so that they can be
            written as they are, `replace` writes U+FFFD.
    """

    def __init__(
        self, vocabulary_size: int, spell: Callable[[list[int]], bytes], errors: str = "surrogateescape"
    ) -> None:
        self._vocabulary_size = vocabulary_size
        self._spell = spell
        self._characters = codecs.getincrementaldecoder("utf-8")(errors)

    def push(self, ids: Iterable[int]) -> str:
        """The characters that are complete by now."""
        return self._characters.decode(self._spell(plain_ids(ids, self._vocabulary_size)))

    def finish(self) -> str:
        """The bytes of a character that was never completed."""
        return self._characters.decode(b"", final=True)


def character_of_each_byte(text: str) -> IdArray:
    """
    For each byte of the text's UTF-8, the position of its character: `"aé"` -> `[0, 1, 1]`.
    """
    codes = code_points(text)
    lengths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    lengths[(codes >= 0xDC80) & (codes <= 0xDCFF)] = 1  # a byte in disguise
    return np.repeat(np.arange(len(codes)), lengths)
