"""
Each character is a token. Id 0 is <unk>, then come the characters of the training text by code point, then
those added later by extending the vocabulary.

A character is a Unicode code point, as in Python's str; combining marks and joiners are characters too.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lmgen.arrays import IdArray, Int64Array
from lmgen.errors import CorpusError
from lmgen.tokenizers.base import Chunks, Decoder, TrainedTokenizer, damaged, plain_ids, saved_value
from lmgen.tokenizers.config import TokenizerConfig

CODE_POINTS = 0x110000
"""Number of Unicode code points."""

SURROGATES = slice(0xD800, 0xE000)
"""Code points that are not characters; surrogateescape represents undecodable bytes by some of them."""

MANY = 1 << 14
"""Characters that are counted together."""

UNKNOWN = 0
"""The id of <unk>."""


class CharacterTokenizer(TrainedTokenizer):
    """
    Tokenizer whose ids are characters, found by one table look-up.

    Args:
        characters: the distinct characters of the vocabulary in the order of their ids, without <unk>.
        lowercase: encode each upper-case letter as its lower-case one, always a single character: İ as i.
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
            self._ids = self._ids[_lower_case()]
        self.line_end = int(self._ids[ord("\n")]) or None

    @property
    def start(self) -> int:
        """The line end, or the space if the vocabulary has no line end, or <unk> if it has neither."""
        return self.line_end or int(self._ids[ord(" ")]) or UNKNOWN

    @classmethod
    def train(cls, chunks: Chunks, config: TokenizerConfig) -> Self:
        """Count the characters of the text; keep those that occur often enough, at most `vocab_size` - 1."""
        counts = _count_encoded(chunks(), lowercase=config.lowercase)
        counts[counts < config.min_count] = 0
        most = None if config.vocab_size is None else config.vocab_size - 1
        codes = most_frequent(counts, most)
        if not len(codes):
            raise CorpusError(f"no character occurs {config.min_count} times; lower --min-count")
        return cls(text_of(np.sort(codes)), lowercase=config.lowercase)

    def missing(self, chunks: Chunks) -> dict[str, int]:
        """The counts of the characters that are not in the vocabulary, by code point."""
        counts = _count_encoded(chunks(), lowercase=self.lowercase)
        counts[code_points(self.characters)] = 0
        return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}

    def extended(self, tokens: Sequence[str]) -> Self:
        """A copy with more characters, whose ids follow the existing ones."""
        return type(self)(self.characters + "".join(tokens), lowercase=self.lowercase)

    def encode(self, text: str) -> IdArray:
        """One id per character; lone surrogates are encoded as <unk>."""
        ids: IdArray = self._ids[code_points(text)]
        return ids

    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        """One id per character, at offsets 0, 1, 2, ..."""
        return self.encode(text), np.arange(len(text))

    def piece(self, token: int) -> str:
        """The character, or <unk>."""
        return "<unk>" if token == UNKNOWN else self.characters[token - 1]

    def decoder(self) -> Decoder:
        """A decoder that turns <unk> into U+FFFD, the replacement character."""
        return _CharacterDecoder("\ufffd" + self.characters)

    def to_json(self) -> dict[str, Any]:
        """The characters as one string, in the order of their ids, and `lowercase`."""
        return {"tokenizer": self.name, "characters": self.characters, "lowercase": self.lowercase}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Rebuild a tokenizer; refuses repeated characters and lone surrogates."""
        characters = saved_value(saved, "characters", str)
        codes = code_points(characters)
        if len(np.unique(codes)) < len(codes):
            raise damaged("one of its characters occurs twice")
        if ((codes >= SURROGATES.start) & (codes < SURROGATES.stop)).any():
            raise damaged("one of its characters is a lone surrogate")
        return cls(characters, lowercase=saved_value(saved, "lowercase", bool))


class _CharacterDecoder(Decoder):
    """Decoder for tokens that are single characters, so that all text is final at once."""

    def __init__(self, characters: str) -> None:
        self._characters = characters

    def push(self, ids: Iterable[int]) -> str:
        """One character per token."""
        return "".join(map(self._characters.__getitem__, plain_ids(ids, len(self._characters))))

    def finish(self) -> str:
        """Return nothing: `push` holds nothing back."""
        return ""


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """The code points of a text, lone surrogates included: `"Aé"` -> `[65, 233]`."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def text_of(codes: IdArray) -> str:
    """The text with these code points, the inverse of `code_points`: `[65, 233]` -> `"Aé"`."""
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def count_characters(chunks: Iterable[str]) -> Int64Array:
    """Count each code point of a text; the result has one entry per code point, `CODE_POINTS` in all."""
    counts = np.zeros(CODE_POINTS, np.int64)
    for chunk in chunks:
        codes = code_points(chunk)
        if len(codes) < MANY:
            np.add.at(counts, codes, 1)
        else:  # faster, but it takes time for every code up to the highest
            found = np.bincount(codes)
            counts[: len(found)] += found
    return counts


def _count_encoded(chunks: Iterable[str], *, lowercase: bool) -> Int64Array:
    """
    Count each code point of a text as the tokenizer encodes it: lower-cased if asked, surrogates not counted.

    Raises:
        CorpusError: the text is empty.
    """
    counts = count_characters(chunks)
    if not counts.any():
        raise CorpusError("the training text is empty; give one with some characters")
    if lowercase:
        unfolded, counts = counts, np.zeros_like(counts)
        np.add.at(counts, _lower_case(), unfolded)
    counts[SURROGATES] = 0
    return counts


def most_frequent(counts: Int64Array, most: int | None) -> Int64Array:
    """Indices of the `most` largest positive counts (None: of all), largest first, ties by lower index."""
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    return order[:most]


def _lower_case() -> Int64Array:
    """For each code point, the code point that it is lower-cased to; itself if it has no lower case."""
    lower = np.arange(CODE_POINTS)
    capitals = [
        code for code in range(0x20000) if chr(code).lower() != chr(code)
    ]  # no others have a lower case
    lower[capitals] = [ord(chr(code).lower()[0]) for code in capitals]
    return lower
