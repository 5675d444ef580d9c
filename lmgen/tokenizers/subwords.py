"""
Tokens are pieces of words, chosen by SentencePiece with byte-pair encoding or a unigram language model.

Decoding restores any text exactly. Pieces may contain spaces, but no line end, which is a token of its own.
Characters without a piece are spelled by their UTF-8 bytes; so are NUL and U+2581, which is SentencePiece's
symbol for a space. So no text is unknown. SentencePiece reserves its id 0 for an unknown token nevertheless,
and every id here is SentencePiece's id minus one.

    0           line end
    1 to 256    the bytes 0 to 255
    257 ...     pieces

Sources: Sennrich et al. 2016 (https://arxiv.org/abs/1508.07909), Kudo 2018 (https://arxiv.org/abs/1804.10959),
Kudo and Richardson 2018 (https://arxiv.org/abs/1808.06226).
"""

import io
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lmgen.arrays import IdArray, Int64Array
from lmgen.errors import ConfigError, CorpusError
from lmgen.text.chunks import line_blocks
from lmgen.text.counts import utf8_bytes
from lmgen.tokenizers.base import Chunks, Decoder, TrainedTokenizer, damaged, saved_bytes, written_bytes
from lmgen.tokenizers.bytes import Utf8Decoder, character_of_each_byte
from lmgen.tokenizers.characters import SURROGATES, code_points, count_characters, most_frequent, text_of
from lmgen.tokenizers.config import SUBWORD_VOCABULARY_SIZE, TokenizerConfig
from lmgen.tokenizers.edges import LONGEST_REST, Edge, PiecesRest, Spellings, late_token
from lmgen.tokenizers.sentencepiece_model import (
    BPE,
    BYTE,
    NORMAL,
    UNIGRAM,
    UNKNOWN,
    USER_DEFINED,
    Piece,
    Settings,
    processor_of,
    read_pieces,
)

TRAINING_CHARACTERS = 1 << 24
"""SentencePiece trains on about this many characters at most, in passages spread evenly over the text."""

PASSAGE_LENGTH = 1 << 10
"""Longest passage, in characters; SentencePiece skips passages of more than 4,192 bytes."""

CHARACTER_COVERAGE = 0.9995
"""Share of the text that is covered by characters with a piece; rarer characters are spelled by bytes."""

LARGEST_SCORE = 1e9
"""Largest absolute score of a piece in a saved model, so that sums over a text stay finite."""

LINE_END = 0
"""The id of the line end."""

FIRST_PIECE = 257
"""The id of the first piece, after the line end and the bytes."""

_SETTINGS = Settings(byte_fallback=True, add_dummy_prefix=False, remove_extra_blanks=False)
"""Those with which `train` trains, but for the type of the model: every text is encoded as it is."""

SMALLEST_VOCABULARY = FIRST_PIECE + 1
"""One piece is needed, for the space: SentencePiece would spell it by the bytes of U+2581."""

_LITERAL = re.compile("([\n\0▁\ud800-\udfff]+)")
"""Characters that are encoded here, not by SentencePiece: byte by byte, but for the line end."""

_RESERVED = [ord(character) for character in "\n\0▁▅"]
"""Characters that never get a piece: those of _LITERAL, and ▅, SentencePiece's mark for unknown text."""

_BYTE_IDS = [2 + byte if byte != ord("\n") else 1 for byte in range(256)]
"""SentencePiece's id of each byte; for the byte of a line end, that of the line-end token."""


class SubwordTokenizer(TrainedTokenizer):
    """
    Tokenizer that encodes with a SentencePiece model; its subclasses differ only in their names.

    Args:
        model: a serialized SentencePiece model, as made by `train`.

    Raises:
        ModelError: the model is damaged or was not made by `train`.
    """

    settings = frozenset({"vocab_size"})
    unknown = None
    line_end = LINE_END

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._pieces = _checked_pieces(model)
        self._spellings = _spellings(self._pieces)
        self.vocabulary_size = len(self._spellings)

    @property
    def start(self) -> int:
        """The id of the line end."""
        return self.line_end

    @classmethod
    def train(cls, chunks: Chunks, config: TokenizerConfig) -> Self:
        """
        Train SentencePiece on the text; the same text and settings always give the same pieces.

        Raises:
            ConfigError: the vocabulary size is too small to spell every text.
            CorpusError: the text is empty, or too small for the requested vocabulary size.
        """
        size = config.vocab_size or SUBWORD_VOCABULARY_SIZE
        if size < SMALLEST_VOCABULARY:
            raise ConfigError(
                f"--vocab-size is {size}, but {cls.name} needs at least {SMALLEST_VOCABULARY}: "
                "256 bytes, the line end and the space"
            )
        counts = count_characters(chunks())
        if not counts.any():
            raise CorpusError("the training text is empty; give one with some characters")
        stride = -(-int(counts.sum()) // TRAINING_CHARACTERS)
        covered = _covered_characters(counts, size - SMALLEST_VOCABULARY)
        tokenizer = cls(_train_model(cls.name, _passages(chunks(), covered, stride), size))
        if config.vocab_size and tokenizer.vocabulary_size < config.vocab_size:
            raise CorpusError(
                f"the training text has too few different pieces for a {cls.name} vocabulary of {size}; "
                f"ask for --vocab-size {tokenizer.vocabulary_size} or less"
            )
        return tokenizer

    def encode(self, text: str) -> IdArray:
        """The pieces that SentencePiece splits each line into, and bytes for characters without a piece."""
        ids: list[int] = []
        for block in line_blocks([text]):  # so that long lines are cut where encode_stream cuts them
            parts = _LITERAL.split(block)
            encoded = self._processor.encode(parts[::2], num_threads=1)
            for pieces, literal in zip(encoded, [*parts[1::2], ""], strict=True):
                ids += pieces
                ids += map(_BYTE_IDS.__getitem__, utf8_bytes(literal))
        shifted = np.array(ids, np.int64) - 1
        if shifted.min(initial=0) < 0:
            raise damaged("it lacks some bytes")
        return shifted

    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        """As `encode`; the position of a byte is that of its character."""
        ids = self.encode(text)
        ends = self._byte_lengths[ids].cumsum()
        characters = character_of_each_byte(text)
        if len(ids) and ends[-1] != len(characters):
            raise damaged("its pieces do not spell the text")
        return ids, characters[ends - self._byte_lengths[ids]]

    def edge(self, text: str) -> Edge:
        """The tokens up to the last boundary that no piece spans: usually those before the last word."""
        boundary = self._by_spelling.last_boundary(text)
        if len(text) - boundary > LONGEST_REST:
            _, offsets = self.encode_with_offsets(text[boundary:])
            boundary += late_token(offsets, len(text) - boundary)
        ids, rest = self.encode(text[:boundary]), text[boundary:]
        if not rest:
            return Edge(ids)
        return Edge(ids, PiecesRest(utf8_bytes(rest), self.encode(rest), self._by_spelling))

    def piece(self, token: int) -> str:
        """The text of a piece; for a byte that is only part of a character, its surrogate escape."""
        return self._spellings[token].decode("utf-8", "surrogateescape")

    def decoder(self) -> Decoder:
        """A decoder that returns only whole characters, and does not need SentencePiece."""
        return Utf8Decoder(self.vocabulary_size, self._spell, errors="replace")

    def to_json(self) -> dict[str, Any]:
        """The serialized SentencePiece model, in base64."""
        return {"tokenizer": self.name, "model": written_bytes(self._model)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Rebuild a tokenizer; checks the pieces, but does not load SentencePiece before it is needed."""
        return cls(saved_bytes(saved, "model"))

    @cached_property
    def _processor(self) -> Any:
        """SentencePiece, loaded on the first encoding, with a new model made from the checked pieces."""
        try:
            kind = UNIGRAM if self.name == "unigram" else BPE
            return processor_of(self._pieces, _SETTINGS._replace(model_type=kind))
        except ValueError as error:
            raise damaged("SentencePiece cannot read its model") from error

    @cached_property
    def _by_spelling(self) -> Spellings:
        return Spellings(self._spellings)

    @cached_property
    def _byte_lengths(self) -> Int64Array:
        return np.array([len(spelling) for spelling in self._spellings])

    def _spell(self, ids: list[int]) -> bytes:
        return b"".join(map(self._spellings.__getitem__, ids))


class BpeTokenizer(SubwordTokenizer):
    """Byte-pair encoding: repeatedly merges the most frequent pair of neighbouring pieces into one."""

    name = "bpe"


class UnigramTokenizer(SubwordTokenizer):
    """Unigram language model: pieces under which the text, as independent draws, is most probable."""

    name = "unigram"


def _covered_characters(counts: Int64Array, most: int) -> npt.NDArray[np.bool_]:
    """Mask of the code points that get a piece: the space, and at most `most` others, the most frequent."""
    counts = counts.copy()
    counts[[*_RESERVED, ord(" ")]] = 0
    counts[SURROGATES] = 0
    frequent = most_frequent(counts, most)
    enough = np.searchsorted(counts[frequent].cumsum(), CHARACTER_COVERAGE * counts.sum()) + 1
    covered = np.zeros(len(counts), np.bool_)
    covered[frequent[:enough]] = True
    covered[ord(" ")] = True
    return covered


def _passages(chunks: Iterable[str], covered: npt.NDArray[np.bool_], stride: int) -> Iterator[str]:
    """
    Yield SentencePiece's training data: a space, then every `stride`-th passage of the text.

    Characters that get no piece are replaced by line ends, which like them are never inside a piece.
    """
    yield " "
    for number, block in enumerate(line_blocks(chunks, PASSAGE_LENGTH)):
        if number % stride == 0:
            codes = code_points(block)
            yield text_of(np.where(covered[codes], codes, ord("\n")))


def _train_model(name: str, passages: Iterator[str], size: int) -> bytes:
    """Train SentencePiece; an exception raised while reading the passages is passed on unchanged."""
    failures: list[BaseException] = []

    def watched() -> Iterator[str]:
        try:
            yield from passages
        except BaseException as error:
            failures.append(error)  # SentencePiece turns all into RuntimeError, even Ctrl-C
            raise

    try:
        return _run_trainer(name, watched(), size)
    except RuntimeError as error:
        if failures:
            raise failures[0] from None
        message = f"SentencePiece cannot train a {name} vocabulary of {size} on this text: {error}"
        raise CorpusError(message) from error


def _run_trainer(name: str, passages: Iterator[str], size: int) -> bytes:
    """Run SentencePiece's trainer on one thread: with several, sums would depend on the machine."""
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=passages,
        model_writer=model,
        model_type=name,
        vocab_size=size + 1,  # one more for the unknown token
        hard_vocab_limit=False,
        character_coverage=1.0,  # `_covered_characters` has applied CHARACTER_COVERAGE
        byte_fallback=True,
        user_defined_symbols=["\n"],
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        num_threads=1,
        minloglevel=3,
    )
    return model.getvalue()


def _checked_pieces(model: bytes) -> list[Piece]:
    """
    Read the pieces of an untrusted SentencePiece model; check all that SentencePiece relies on.

    Raises:
        ModelError: `train` cannot have made these pieces.
    """
    try:
        pieces = read_pieces(model)
    except ValueError as error:
        raise damaged(f"its SentencePiece model cannot be read ({error})") from error
    expected = [("<unk>", UNKNOWN), ("\n", USER_DEFINED), *((f"<0x{byte:02X}>", BYTE) for byte in range(256))]
    texts = [piece.text for piece in pieces]
    kinds = {piece.kind for piece in pieces[len(expected) :]}
    if [piece[:2] for piece in pieces[: len(expected)]] != expected or kinds != {NORMAL}:
        raise damaged("the special pieces of its SentencePiece model are not those of lmgen")
    if any("\0" in text or "\n" in text for text in texts[2:]):
        raise damaged("a piece of its SentencePiece model contains a line end or NUL")
    if not all(abs(piece.score) <= LARGEST_SCORE for piece in pieces):
        raise damaged("a piece of its SentencePiece model has a score that is NaN or out of range")
    if len(set(texts)) < len(texts) or "" in texts or "▁" not in texts:
        raise damaged("its SentencePiece model has a repeated or empty piece, or none for the space")
    return pieces


def _spellings(pieces: list[Piece]) -> list[bytes]:
    """The bytes that each id is decoded to."""
    return [
        b"\n",
        *(bytes([byte]) for byte in range(256)),
        *(piece.text.replace("▁", " ").encode("utf-8") for piece in pieces[1 + FIRST_PIECE :]),
    ]
