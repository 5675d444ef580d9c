"""
Pieces of words are tokens, chosen by SentencePiece: by byte-pair encoding or by a unigram language model.

Any text comes back exactly. Blanks and runs of blanks are parts of pieces; a line end is a token of its own,
which no piece spans; whatever no piece covers is spelled by the bytes of its UTF-8 (as are U+2581, which
SentencePiece takes for a blank, and NUL). So there is no unknown token: the one that SentencePiece insists on
has its id 0, and all ids here are one less than SentencePiece's.

    0           line end
    1 to 256    the bytes 0 to 255
    257 on      pieces

Sources: Sennrich et al. 2016 (https://arxiv.org/abs/1508.07909), Kudo 2018 (https://arxiv.org/abs/1804.10959),
Kudo and Richardson 2018 (https://arxiv.org/abs/1808.06226).
"""

import base64
import io
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lmgen.errors import ConfigError, CorpusError
from lmgen.text.counts import utf8_bytes
from lmgen.text.sources import line_blocks
from lmgen.tokenizers.base import Chunks, Decoder, IdArray, Tokenizer, damaged, saved_value
from lmgen.tokenizers.bytes import Utf8Decoder, character_of_each_byte
from lmgen.tokenizers.characters import SURROGATES, code_points, count_characters, most_frequent, text_of
from lmgen.tokenizers.config import SUBWORD_VOCABULARY_SIZE, TokenizerConfig
from lmgen.tokenizers.sentencepiece_model import (
    BYTE,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    Piece,
    model_of,
    read_pieces,
)

TRAINING_CHARACTERS = 1 << 24
"""Of a longer text SentencePiece sees about so many characters, in passages spread evenly over it."""

PASSAGE_LENGTH = 1 << 10
"""Characters of a passage at most; SentencePiece skips what is longer than 4,192 bytes."""

CHARACTER_COVERAGE = 0.9995
"""The share of the text whose characters get pieces; the rarest characters are left to their bytes."""

LARGEST_SCORE = 1e9
"""No piece's score is further from 0: sums over a whole text stay numbers."""

LINE_END = 0
FIRST_PIECE = 257
SMALLEST_VOCABULARY = FIRST_PIECE + 1
"""The blank always has a piece: SentencePiece could spell it only by the bytes of U+2581."""

_LITERAL = re.compile("([\n\0▁\ud800-\udfff]+)")
"""What is not left to SentencePiece but spelled byte by byte; the line end has its own id."""

_RESERVED = [ord(character) for character in "\n\0▁▅"]
"""Characters that never get a piece: those of _LITERAL and the one that is SentencePiece's unknown mark."""

_BYTE_IDS = [2 + byte if byte != ord("\n") else 1 for byte in range(256)]
"""SentencePiece's ids for _LITERAL's bytes."""


class SubwordTokenizer(Tokenizer):
    """
    What `bpe` and `unigram` have in common, which is all but their names.

    Args:
        model: a SentencePiece model that `train` made.

    Raises:
        ModelError: it is damaged or was made otherwise.
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
        """The line end."""
        return self.line_end

    @classmethod
    def train(cls, chunks: Chunks, config: TokenizerConfig) -> Self:
        """
        Let SentencePiece choose the pieces; the same text and settings always give the same ones.

        Raises:
            ConfigError: the vocabulary size is too small to spell every text.
            CorpusError: the text is empty, or has fewer pieces than the vocabulary size asks for.
        """
        size = config.vocab_size or SUBWORD_VOCABULARY_SIZE
        if size < SMALLEST_VOCABULARY:
            raise ConfigError(
                f"vocab_size is {size}, but {cls.name} needs at least {SMALLEST_VOCABULARY}: "
                "256 bytes, the line end and the blank"
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
        """SentencePiece's pieces of each line, bytes where it has none."""
        ids: list[int] = []
        for block in line_blocks([text]):  # cuts endless lines where encode_stream does
            parts = _LITERAL.split(block)
            encoded = self._processor.encode(parts[::2], num_threads=1)
            for pieces, literal in zip(encoded, [*parts[1::2], ""], strict=True):
                ids += pieces
                ids += map(_BYTE_IDS.__getitem__, utf8_bytes(literal))
        shifted = np.array(ids, np.int64) - 1
        if shifted.min(initial=0) < 0:
            raise damaged("it does not know every byte")
        return shifted

    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        """As `encode`; a byte begins where its character does."""
        ids = self.encode(text)
        ends = self._byte_lengths[ids].cumsum()
        characters = character_of_each_byte(text)
        if len(ids) and ends[-1] != len(characters):
            raise damaged("its pieces do not spell the text")
        return ids, characters[ends - self._byte_lengths[ids]]

    def piece(self, token: int) -> str:
        """The piece with its blanks as blanks; a byte that is no character as surrogateescape holds it."""
        return self._spellings[token].decode("utf-8", "surrogateescape")

    def decoder(self) -> Decoder:
        """A decoder that never cuts a character in two, and does not need SentencePiece."""
        return Utf8Decoder(self.vocabulary_size, self._spell, errors="replace")

    def to_json(self) -> dict[str, Any]:
        """SentencePiece's own model, in base64."""
        return {"tokenizer": self.name, "model": base64.b64encode(self._model).decode("ascii")}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Rebuild it; the pieces are read and checked, SentencePiece waits until it is needed."""
        try:
            model = base64.b64decode(saved_value(saved, "model", str), validate=True)
        except ValueError as error:
            raise damaged("its SentencePiece model is not base64") from error
        return cls(model)

    @cached_property
    def _processor(self) -> Any:
        """SentencePiece itself, which only encoding needs; of the model it gets the pieces and no more."""
        from sentencepiece import SentencePieceProcessor

        try:
            return SentencePieceProcessor(model_proto=model_of(self._pieces, unigram=self.name == "unigram"))
        except RuntimeError as error:
            raise damaged("SentencePiece cannot read its model") from error

    @cached_property
    def _byte_lengths(self) -> npt.NDArray[np.int64]:
        return np.array([len(spelling) for spelling in self._spellings])

    def _spell(self, ids: list[int]) -> bytes:
        return b"".join(map(self._spellings.__getitem__, ids))


class BpeTokenizer(SubwordTokenizer):
    """Byte-pair encoding: the most frequent neighbours become one piece, again and again."""

    name = "bpe"


class UnigramTokenizer(SubwordTokenizer):
    """Pieces under which the text is most probable, each drawn by itself."""

    name = "unigram"


def _covered_characters(counts: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.bool_]:
    """Which code points get a piece: the blank, and the most frequent others, `most` of them at most."""
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
    What SentencePiece learns from: every `stride`-th passage of the text, and a blank.

    Characters that get no piece are line ends here: they too separate words.
    """
    yield " "
    for number, block in enumerate(line_blocks(chunks, PASSAGE_LENGTH)):
        if number % stride == 0:
            codes = code_points(block)
            yield text_of(np.where(covered[codes], codes, ord("\n")))


def _train_model(name: str, passages: Iterator[str], size: int) -> bytes:
    """Train SentencePiece; an error in reading the passages comes out as it went in."""
    failures: list[BaseException] = []

    def watched() -> Iterator[str]:
        try:
            yield from passages
        except BaseException as error:
            failures.append(error)  # SentencePiece would make a RuntimeError of it, even of Ctrl-C
            raise

    try:
        return _run_trainer(name, watched(), size)
    except RuntimeError as error:
        if failures:
            raise failures[0] from None
        message = f"SentencePiece finds no {name} vocabulary of {size} in the training text: {error}"
        raise CorpusError(message) from error


def _run_trainer(name: str, passages: Iterator[str], size: int) -> bytes:
    """SentencePiece in silence, and on one thread: several would add up in another order on each machine."""
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=passages,
        model_writer=model,
        model_type=name,
        vocab_size=size + 1,  # and the unknown token
        hard_vocab_limit=False,
        character_coverage=1.0,  # `passages` has done that
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
    The pieces of a SentencePiece model, which are such that SentencePiece can do no harm with them.

    Raises:
        ModelError: these are not the pieces that `train` makes.
    """
    try:
        pieces = read_pieces(model)
    except ValueError as error:
        raise damaged(f"its SentencePiece model cannot be read ({error})") from error
    expected = [("<unk>", UNKNOWN), ("\n", USER_DEFINED), *((f"<0x{byte:02X}>", BYTE) for byte in range(256))]
    texts = [piece.text for piece in pieces]
    kinds = {piece.kind for piece in pieces[len(expected) :]}
    if [piece[:2] for piece in pieces[: len(expected)]] != expected or kinds != {NORMAL}:
        raise damaged("its SentencePiece model has other special pieces than lmgen's")
    if any("\0" in text or "\n" in text for text in texts[2:]):
        raise damaged("a piece of its SentencePiece model holds a character that ends pieces")
    if not all(abs(piece.score) <= LARGEST_SCORE for piece in pieces):
        raise damaged("a piece of its SentencePiece model has a score that is no number, or out of all range")
    if len(set(texts)) < len(texts) or "" in texts or "▁" not in texts:
        raise damaged("its SentencePiece model has a piece twice, an empty one or no blank")
    return pieces


def _spellings(pieces: list[Piece]) -> list[bytes]:
    """The bytes that each id stands for."""
    return [
        b"\n",
        *(bytes([byte]) for byte in range(256)),
        *(piece.text.replace("▁", " ").encode("utf-8") for piece in pieces[1 + FIRST_PIECE :]),
    ]
