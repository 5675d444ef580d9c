"""
The interface of a tokenizer: text to token ids and back.

A text can be encoded line by line: `encode(a + b)` is `encode(a)` followed by `encode(b)` if `a` ends in a
line end. Everything that streams relies on this, above all `encode_stream`.
"""

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt

from lmgen.arrays import BoolArray, IdArray, in_short
from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.text.chunks import line_blocks
from lmgen.text.config import ReadingConfig
from lmgen.text.counts import TextCounts
from lmgen.text.units import UNIT_END, Unit
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.edges import Edge
from lmgen.tokenizers.pieces import escape

Chunks = Callable[[], Iterable[str]]
"""A text that can be read from its start any number of times, in chunks that may end anywhere."""

Encoding = Callable[[Iterable[str]], Iterator[tuple[str, IdArray]]]
"""Passes blocks of a text on with their ids."""

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class EncodedBlock:
    """A part of a text with its token ids."""

    text: str
    ids: IdArray
    position: int
    """Where the part begins in the text, in characters."""
    closes: bool = False
    """Whether `ids` is only the end of a last line or unit that the text itself does not end."""

    __repr__ = in_short


class Decoder(ABC):
    """Decodes token ids incrementally; returns text as soon as later ids can no longer change it."""

    @abstractmethod
    def push(self, ids: Iterable[int]) -> str:
        """
        Decode the next tokens; return the text that is now final, which may be empty.

        Raises:
            CorpusError: an id is not in the vocabulary.
        """

    @abstractmethod
    def finish(self) -> str:
        """Return the rest of the text, such as the bytes of a character that was never completed."""


class Tokenizer(ABC):
    """
    Turns text into ids 0 .. V - 1 and back.

    No text can produce the id of a special token by containing its name; only in word models <unk> is the
    unknown token in a text, too.
    """

    name: str
    """Its name on the command line and in saved models."""

    reads_lines: bool = False
    """Whether every line ends in a line-end token, the last line too if the text lacks its line end."""

    tokens_are_words: bool = False
    """Whether every token is a word between white space, or the end of a line or unit."""

    reading_errors: str = "strict"
    """How files are decoded for it: "strict" UTF-8, or "surrogateescape" to accept any bytes."""

    format_version: int = 1
    """The oldest format of model files that knows such tokenizers (models/model_file.py)."""

    reading: ReadingConfig = ReadingConfig()
    """How texts are read before they are split."""

    end: int | None = None
    """The id of the token that ends every unit; None for documents, whose end is not predicted."""

    answer_mark: int | None = None
    """The id of the first mark in a unit, after which its answer begins; None if all of a unit is scored."""

    notes: tuple[str, ...] = ()
    """What a user should know about the text that it was just trained on; not saved."""

    special_ids: frozenset[int] = frozenset()
    """The ids whose `piece` is a name such as <unk>, not text."""

    vocabulary_size: int
    """V, the number of ids."""

    unknown: int | None
    """The id of everything outside the vocabulary; None if the tokenizer can spell any text."""

    line_end: int | None
    """The id of the line end; None if the vocabulary has none."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} V = {self.vocabulary_size}>"

    @property
    @abstractmethod
    def start(self) -> int:
        """The id that serves as context before a text's first token: a line end if the vocabulary has one."""

    @abstractmethod
    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        """The ids of a text, and the position in it where each token begins, in characters."""

    @abstractmethod
    def piece(self, token: int) -> str:
        """The spelling of one token, for display. Joined spellings need not give the text: see `decode`."""

    @abstractmethod
    def decoder(self) -> Decoder:
        """A decoder for a new text."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything that `registry.tokenizer_from_json` needs, as JSON values."""

    def missing(self, chunks: Chunks) -> dict[str, int]:  # noqa: ARG002 - most tokenizers can spell any text
        """
        Count the tokens of a text that are not in the vocabulary.

        Returns:
            The number of occurrences of each, in the order in which `train` would give them ids.
        """
        return {}

    def extended(self, tokens: Sequence[str]) -> Self:  # noqa: ARG002
        """
        A copy of this tokenizer with more tokens. Existing ids stay the same; the new ones follow them.

        Args:
            tokens: tokens that `missing` returned.

        Raises:
            ConfigError: this kind of tokenizer can spell any text, so its vocabulary cannot be extended.
        """
        raise ConfigError(
            f"a {self.name} vocabulary cannot be extended, and need not be: it can spell any text; leave "
            "--extend-vocabulary out"
        )

    def limited_to(self, words: Set[str]) -> tuple[Self, BoolArray]:  # noqa: ARG002
        """
        A copy with only those of its words that are among some words, in the same order.

        Returns:
            The copy, and which of the ids it has, (V,): special ones, and those of these words.

        Raises:
            ConfigError: this kind of tokenizer does not split a text into words.
        """
        raise ConfigError(
            f"--limit-vocab-file lists words, and the text is split into {self.name} tokens: take "
            "--tokenizer word"
        )

    def encode(self, text: str) -> IdArray:
        """The ids of a text; no line end is added after an unfinished last line."""
        return self.encode_with_offsets(text)[0]

    def edge(self, text: str) -> Edge:
        """
        Where an unfinished text ends: its tokens as far as they are certain, and the rest of it (edges.py).

        Without a rest, where every text may end between two tokens.
        """
        return Edge(self.encode(text))

    @property
    def unit(self) -> Unit:
        """What one text is."""
        return cast(Unit, self.reading.unit)

    @property
    def sentence_end(self) -> int | None:
        """The id after which a text begins anew for an n-gram model; None if a text is one long sentence."""
        return self.line_end if self.reads_lines and self.end is None else self.end

    def closed(self, counts: TextCounts) -> TextCounts:
        """The lengths of a text; its last unit's end counts as a character even where the text lacks it."""
        if self.end is None:
            return counts
        return counts + TextCounts(characters=counts.open_lines, bytes=counts.open_lines)

    def answer_characters(self, text: str) -> npt.NDArray[np.bool_]:
        """Which characters of whole units are scored, (N,): those of answers, and the ends after them."""
        return np.ones(len(text), np.bool_)

    def unknown_among(self, text: str, ids: IdArray) -> npt.NDArray[np.bool_]:  # noqa: ARG002
        """
        Which of the ids that `encode(text)` gave stand for something that is not in the vocabulary, (N,).

        They have the id `unknown`, which a text may also spell itself, as <unk>; that is no unknown token.
        """
        return np.zeros(len(ids), np.bool_) if self.unknown is None else ids == self.unknown

    def encode_blocks(
        self, chunks: Iterable[str], encoding: Encoding | None = None
    ) -> Iterator[EncodedBlock]:
        """
        Encode a text of any length, block by block.

        A text whose last line or unit lacks its end gets the token for it, where models learn to predict it
        (`sentence_end`). A run without white space that is longer than a block (see `line_blocks`) becomes
        more than one word.

        Args:
            chunks: the text, in chunks that may end anywhere.
            encoding: encodes blocks as `encode` does, but perhaps several at a time; None: one after another.
        """
        position = 0
        is_open = False
        closing = self.sentence_end
        for block, ids in (encoding or self._encoded)(self._blocks(chunks)):
            is_open = not block.endswith(UNIT_END if self.unit == "record" else "\n")
            yield EncodedBlock(block, ids, position)
            position += len(block)
        if closing is not None and is_open:
            yield EncodedBlock("", np.array([closing]), position, closes=True)

    def _encoded(self, blocks: Iterable[str]) -> Iterator[tuple[str, IdArray]]:
        return ((block, self.encode(block)) for block in blocks)

    def _blocks(self, chunks: Iterable[str]) -> Iterator[str]:
        """The text in blocks, each of which can be encoded without the others."""
        return line_blocks(chunks)

    def encode_stream(self, chunks: Iterable[str]) -> Iterator[IdArray]:
        """Yield the ids of a text of any length, as `encode_blocks`; never none."""
        return (block.ids for block in self.encode_blocks(chunks) if len(block.ids))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of a sequence of ids that starts at the beginning of a text."""
        decoder = self.decoder()
        return decoder.push(ids) + decoder.finish()

    def escaped_piece(self, token: int) -> str:
        """The spelling of one token without white space or control characters; see pieces.py."""
        piece = self.piece(token)
        return piece if token in self.special_ids else escape(piece)


class TrainedTokenizer(Tokenizer):
    """A tokenizer whose vocabulary comes from a training text, one of `registry.TOKENIZERS`."""

    settings: frozenset[str]
    """The fields of TokenizerConfig that it uses; setting any other is an error."""

    @classmethod
    @abstractmethod
    def train(cls, chunks: Chunks, config: TokenizerConfig) -> Self:
        """
        Choose the vocabulary from a training text.

        Args:
            chunks: the text; it may be read more than once.
            config: the vocabulary size and the like.

        Raises:
            CorpusError: the text is empty, or too small for the requested vocabulary size.
        """

    @classmethod
    @abstractmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """
        Rebuild a tokenizer from the result of `to_json`.

        Raises:
            ModelError: a value is missing, of the wrong type or inconsistent with the others.
        """


def plain_ids(ids: Iterable[int], vocabulary_size: int) -> list[int]:
    """
    Convert ids to a list of plain ints and check their range, so that they are safe to use as indices.

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
    Get one value of a saved tokenizer and check that its type is exactly `kind`.

    Raises:
        ModelError: it is missing or of another type.
    """
    value = saved.get(key)
    if type(value) is not kind:
        what = "is missing" if key not in saved else f"is not of type {kind.__name__}"
        raise damaged(f"{key!r} {what}")
    return value


def saved_bytes(saved: dict[str, Any], key: str) -> bytes:
    """
    Get bytes of a saved tokenizer, as `written_bytes` wrote them.

    Raises:
        ModelError: they are missing, or are not base64.
    """
    try:
        return base64.b64decode(saved_value(saved, key, str), validate=True)
    except ValueError as error:
        raise damaged(f"{key!r} is not base64") from error


def written_bytes(value: bytes) -> str:
    """Bytes as a JSON value: base64."""
    return base64.b64encode(value).decode("ascii")


def damaged(what: str) -> ModelError:
    """The error for a saved tokenizer that is damaged; `what` says in what way."""
    return ModelError(f"the saved tokenizer is damaged: {what}; copy the model again or train a new one")
