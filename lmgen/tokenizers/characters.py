"""
Each character is a token: 0 is <unk>, then the characters of the training text by code point, then those that
the vocabulary was extended by.

A character here is a Unicode code point, as Python counts them; combining marks and joiners are characters.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lmgen.errors import CorpusError
from lmgen.tokenizers.base import Chunks, Decoder, IdArray, Tokenizer, damaged, plain_ids, saved_value
from lmgen.tokenizers.config import TokenizerConfig

CODE_POINTS = 0x110000
"""How many code points Unicode has."""

SURROGATES = slice(0xD800, 0xE000)
"""Code points that are no characters; in a Python str they stand for bytes that are not UTF-8."""

UNKNOWN = 0


class CharacterTokenizer(Tokenizer):
    """
    Characters to ids by one table look-up.

    Args:
        characters: the vocabulary without <unk>, in the order of the ids, each once.
        lowercase: read every capital letter as its small one (one character each: İ is read as i).
    """

    name = "char"
    settings = frozenset({"vocab_size", "min_count", "lowercase"})
    special_ids = frozenset({UNKNOWN})

    def __init__(self, characters: str, *, lowercase: bool = False) -> None:
        self.characters = characters
        self.lowercase = lowercase
        self.vocabulary_size = 1 + len(characters)
        self.unknown = UNKNOWN
        codes = code_points(characters)
        self._ids = np.zeros(CODE_POINTS, np.int64)
        self._ids[codes] = np.arange(1, self.vocabulary_size)
        if lowercase:
            self._ids = self._ids[_small_letters()]
        self.line_end = int(self._ids[ord("\n")]) or None

    @property
    def start(self) -> int:
        """The line end, else the blank, else <unk>: the first that the vocabulary has."""
        return self.line_end or int(self._ids[ord(" ")]) or UNKNOWN

    @classmethod
    def train(cls, chunks: Chunks, config: TokenizerConfig) -> Self:
        """Count the characters of the text; keep those that the settings allow."""
        counts = _count_read(chunks(), lowercase=config.lowercase)
        counts[counts < config.min_count] = 0
        most = None if config.vocab_size is None else config.vocab_size - 1
        codes = most_frequent(counts, most)
        if not len(codes):
            raise CorpusError(f"no character occurs {config.min_count} times; lower --min-count")
        return cls(text_of(np.sort(codes)), lowercase=config.lowercase)

    def missing(self, chunks: Chunks) -> dict[str, int]:
        """Characters, by code point."""
        counts = _count_read(chunks(), lowercase=self.lowercase)
        counts[code_points(self.characters)] = 0
        return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}

    def extended(self, tokens: Sequence[str]) -> Self:
        """With more characters."""
        return type(self)(self.characters + "".join(tokens), lowercase=self.lowercase)

    def encode(self, text: str) -> IdArray:
        """One id a character; lone surrogates are unknown."""
        ids: IdArray = self._ids[code_points(text)]
        return ids

    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        """One id a character, at offsets 0, 1, 2, ..."""
        return self.encode(text), np.arange(len(text))

    def piece(self, token: int) -> str:
        """The character itself."""
        return "<unk>" if token == UNKNOWN else self.characters[token - 1]

    def decoder(self) -> Decoder:
        """A decoder that writes U+FFFD, the replacement character, for <unk>."""
        return _CharacterDecoder("\ufffd" + self.characters)

    def to_json(self) -> dict[str, Any]:
        """The characters as one string, in the order of their ids."""
        return {"tokenizer": self.name, "characters": self.characters, "lowercase": self.lowercase}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Rebuild it; each character has to be there once."""
        characters = saved_value(saved, "characters", str)
        codes = code_points(characters)
        if len(np.unique(codes)) < len(codes):
            raise damaged("one of its characters is there twice")
        if ((codes >= SURROGATES.start) & (codes < SURROGATES.stop)).any():
            raise damaged("one of its characters is a lone surrogate")
        return cls(characters, lowercase=saved_value(saved, "lowercase", bool))


class _CharacterDecoder(Decoder):
    """Each token is one character, whatever stands before it."""

    def __init__(self, characters: str) -> None:
        self._characters = characters

    def push(self, ids: Iterable[int]) -> str:
        """One character a token."""
        return "".join(map(self._characters.__getitem__, plain_ids(ids, len(self._characters))))

    def finish(self) -> str:
        """Nothing: no character waits for another."""
        return ""


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """The code points of a text: `"Aé"` -> `[65, 233]`; lone surrogates keep theirs."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def text_of(codes: IdArray) -> str:
    """Undo `code_points`: `[65, 233]` -> `"Aé"`."""
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def count_characters(chunks: Iterable[str]) -> npt.NDArray[np.int64]:
    """How often each code point occurs in a text; as much memory for a long text as for a short one."""
    counts = np.zeros(CODE_POINTS, np.int64)
    for chunk in chunks:
        np.add.at(counts, code_points(chunk), 1)
    return counts


def _count_read(chunks: Iterable[str], *, lowercase: bool) -> npt.NDArray[np.int64]:
    """
    How often each code point occurs in a text as the tokenizer reads it.

    Raises:
        CorpusError: the text is empty.
    """
    counts = count_characters(chunks)
    if not counts.any():
        raise CorpusError("the training text is empty; give one with some characters")
    if lowercase:
        capitals, counts = counts, np.zeros_like(counts)
        np.add.at(counts, _small_letters(), capitals)
    counts[SURROGATES] = 0
    return counts


def most_frequent(counts: npt.NDArray[np.int64], most: int | None) -> npt.NDArray[np.int64]:
    """The positions of the `most` largest counts above 0, largest first; equal ones in their own order."""
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    return order[:most]


def _small_letters() -> npt.NDArray[np.int64]:
    """For each code point that of its small letter, one for one; most are their own."""
    small = np.arange(CODE_POINTS)
    capitals = [code for code in range(0x20000) if chr(code).lower() != chr(code)]  # there are none beyond
    small[capitals] = [ord(chr(code).lower()[0]) for code in capitals]
    return small
