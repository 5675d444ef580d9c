"""
What every tokenizer is: text to token ids and back. What a token is, the siblings of this file say.

Encoding a text may be done line by line: `encode(a + b)` is `encode(a)` and then `encode(b)` wherever `a`
ends in a line end. Everything that streams rests on this, `encode_stream` first of all.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt

from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.text.sources import line_blocks
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.pieces import escape

IdArray = npt.NDArray[np.integer[Any]]
Chunks = Callable[[], Iterable[str]]
"""A text that can be read again and again, each time in pieces that are cut anywhere."""

V = TypeVar("V")


class Decoder(ABC):
    """Token ids to text, a few at a time: gives out text as soon as it cannot change any more."""

    @abstractmethod
    def push(self, ids: Iterable[int]) -> str:
        """
        Take the next tokens; return the text that is now certain (perhaps none).

        Raises:
            CorpusError: an id is not in the vocabulary.
        """

    @abstractmethod
    def finish(self) -> str:
        """Return what is left, such as half a character that will never be completed."""


class Tokenizer(ABC):
    """
    Turns text into ids 0 .. vocabulary_size - 1 and back.

    The tokenizer's own special tokens have ids that no text can produce by spelling them out.
    """

    name: ClassVar[str]
    """The word for it on the command line."""

    settings: ClassVar[frozenset[str]]
    """The settings of TokenizerConfig that mean something to it."""

    reads_lines: ClassVar[bool] = False
    """Whether each line ends in a token that is predicted, the last line too if its line end is missing."""

    reading_errors: ClassVar[str] = "strict"
    """How files are read for it: "strict" UTF-8, or "surrogateescape" where any bytes are a text."""

    special_ids: ClassVar[frozenset[int]] = frozenset()
    """The ids of tokens that stand for no text of their own; their `piece` is a name such as <unk>."""

    vocabulary_size: int
    """V: the number of ids."""

    unknown: int | None
    """The id of all that the vocabulary lacks; None where no text can be unknown."""

    line_end: int | None
    """The id that stands for a line end; None where the training text had no line end."""

    @property
    @abstractmethod
    def start(self) -> int:
        """The id that a text is taken to follow: the end of a line before it, where there is such an id."""

    @classmethod
    @abstractmethod
    def train(cls, chunks: Chunks, config: TokenizerConfig) -> Self:
        """
        Choose the vocabulary from a training text, read in as many passes as it takes.

        Raises:
            CorpusError: the text is empty, or too small for the vocabulary size asked for.
        """

    @abstractmethod
    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        """The ids of a text, and where in it each token begins, in characters."""

    @abstractmethod
    def piece(self, token: int) -> str:
        """How a token is spelled, to be shown; not always enough to rebuild the text (see `decode`)."""

    @abstractmethod
    def decoder(self) -> Decoder:
        """A decoder that stands before the first token."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs, as plain JSON values."""

    @classmethod
    @abstractmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """
        Rebuild a tokenizer from what `to_json` gave.

        Raises:
            ModelError: something is missing or does not fit.
        """

    def missing(self, chunks: Chunks) -> dict[str, int]:  # noqa: ARG002 - most tokenizers know every text
        """
        The tokens of a text that the vocabulary lacks, with how often each occurs.

        They come in the order in which `train` would give them ids.
        """
        return {}

    def extended(self, tokens: Sequence[str]) -> Self:  # noqa: ARG002
        """
        The same tokenizer with more tokens, whose ids follow the old ones: those stay what they are.

        Args:
            tokens: of those that `missing` found.

        Raises:
            ConfigError: no text has tokens that the vocabulary lacks.
        """
        raise ConfigError(
            f"a {self.name} vocabulary cannot be extended, and need not be: it spells every text; leave "
            "--extend-vocabulary out"
        )

    def encode(self, text: str) -> IdArray:
        """The ids of a text, as it stands: an open last line stays open."""
        return self.encode_with_offsets(text)[0]

    def encode_stream(self, chunks: Iterable[str]) -> Iterator[IdArray]:
        """
        The ids of a whole text of any length, block by block; a last line that is open is closed.

        Closing matters to tokenizers that read lines: they predict the end of each. A stretch without white
        space that is longer than a block (see `line_blocks`) is more than one word.
        """
        line_is_open = False
        for block in line_blocks(chunks):
            line_is_open = not block.endswith("\n")
            ids = self.encode(block)
            if len(ids):
                yield ids
        if self.reads_lines and line_is_open:
            yield np.array([self.line_end])

    def encode_stream_with_offsets(self, chunks: Iterable[str]) -> Iterator[tuple[IdArray, IdArray]]:
        """As `encode_stream`, and where in the whole text each token begins, in characters."""
        position = 0
        line_is_open = False
        for block in line_blocks(chunks):
            ids, offsets = self.encode_with_offsets(block)
            yield ids, offsets + position
            position += len(block)
            line_is_open = not block.endswith("\n")
        if self.reads_lines and line_is_open:
            yield np.array([self.line_end]), np.array([position])

    def decode(self, ids: Iterable[int]) -> str:
        """The text of a sequence of tokens from the start of a text."""
        decoder = self.decoder()
        return decoder.push(ids) + decoder.finish()

    def escaped_piece(self, token: int) -> str:
        """How a token is spelled where white space or control characters would do harm; see pieces.py."""
        piece = self.piece(token)
        return piece if token in self.special_ids else escape(piece)


def plain_ids(ids: Iterable[int], vocabulary_size: int) -> list[int]:
    """
    Ids from whatever holds them, as plain ints that are safe to look up.

    Raises:
        CorpusError: an id is not in the vocabulary.
    """
    plain: list[int] = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
    if plain and not 0 <= min(plain) <= max(plain) < vocabulary_size:
        wrong = next(token for token in plain if not 0 <= token < vocabulary_size)
        raise CorpusError(f"token id {wrong} is not in the vocabulary; ids are 0 to {vocabulary_size - 1}")
    return plain


def saved_value(saved: dict[str, Any], key: str, kind: type[V]) -> V:
    """
    One value of a saved tokenizer, whose type has to fit exactly.

    Raises:
        ModelError: it is missing or of another type.
    """
    value = saved.get(key)
    if type(value) is not kind:
        what = "is missing" if key not in saved else f"is not of type {kind.__name__}"
        raise damaged(f"{key!r} {what}")
    return value


def damaged(what: str) -> ModelError:
    """The error for a saved tokenizer that does not hold together."""
    return ModelError(f"the saved tokenizer is damaged: {what}; copy the model again or train a new one")
