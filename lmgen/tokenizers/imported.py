r"""
Tokens are those of a SentencePiece model that was made elsewhere: BPE, unigram, words or characters.

Each line is split exactly as SentencePiece splits it with that model, by its normalisation and all, and every
id is SentencePiece's own. So texts come back as the model normalises them, and what it has no piece for is
unknown, unless it falls back to bytes.

SentencePiece splits line by line and says nothing about the ends of the lines. A line ends in

- the piece "\n" if the model has it, else
- the byte <0x0A> if it falls back to bytes and its normalisation keeps "\n": these two are what SentencePiece
  itself makes of "\n";
- else </s>, as by `spm_encode --extra_options=eos`;
- else, in a model without </s>, an id of its own after all others.

A line of more than 2^18 characters is split as several lines without ends.

The line end is spelled "\n", whichever it is. Control symbols, which no text contains, are spelled as in the
model, with a backslash where they would be taken for one of ours: \<s>.

The model file is of unknown origin: see sentencepiece_model.py.
"""

import codecs
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from lmgen.arrays import IdArray
from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.text.chunks import line_blocks
from lmgen.tokenizers.base import (
    Chunks,
    Decoder,
    TrainedTokenizer,
    damaged,
    plain_ids,
    saved_bytes,
    written_bytes,
)
from lmgen.tokenizers.bytes import character_of_each_byte
from lmgen.tokenizers.charsmap import check_charsmap, keeps
from lmgen.tokenizers.config import IMPORTED, TokenizerConfig
from lmgen.tokenizers.edges import LONGEST_REST, Edge, PiecesRest, Spellings, late_token
from lmgen.tokenizers.pieces import escape
from lmgen.tokenizers.sentencepiece_model import (
    BYTE,
    CHAR,
    CONTROL,
    NORMAL,
    UNIGRAM,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    WORD,
    Piece,
    Settings,
    model_of,
    processor_of,
    read_pieces,
    read_settings,
    tokens_of,
)
from lmgen.tokenizers.subwords import LARGEST_SCORE

LARGEST_FILE = 1 << 26
"""In bytes; models of 256,000 pieces have 5 million."""

LONGEST_PIECE = 8000
"""SentencePiece refuses pieces of this many bytes."""

MOST_SYMBOLS_IN_ONE = 60
"""SentencePiece has room for this many user-defined symbols of which each is the beginning of the next."""

_MORE = "x"
"""Stands for more text while an unfinished one is normalised: a letter that is always kept as it is."""

_TEXT_KINDS = (NORMAL, USER_DEFINED, UNUSED)
"""The types of pieces that stand for their own text."""

_LINE_FEED = ("<0x0A>", BYTE)
"""Text and type of the byte of a line end."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class SentencePieceTokenizer(TrainedTokenizer):
    """
    Tokenizer that splits lines with a SentencePiece model made elsewhere.

    Args:
        model: the serialized model.

    Raises:
        ModelError: the model is damaged.
    """

    name = IMPORTED
    settings = frozenset({"tokenizer_file"})
    format_version = 4
    unknown = None
    line_end: int

    def __init__(self, model: bytes) -> None:
        try:
            self._pieces, self._settings = _checked(model)
        except ValueError as error:
            raise damaged(f"its SentencePiece model cannot be used ({error})") from error
        self.line_end = _line_end(self._pieces, self._settings)
        self.vocabulary_size = max(len(self._pieces), self.line_end + 1)
        self._spellings = [_spelling(piece) for piece in self._pieces]
        self._spellings[self.line_end : self.line_end + 1] = ["\n"]
        special = {token for token, piece in enumerate(self._pieces) if _is_special(piece)}
        self.special_ids = frozenset(special - {self.line_end})
        if not self._settings.byte_fallback:
            self.unknown = next(token for token, piece in enumerate(self._pieces) if piece.kind == UNKNOWN)

    @property
    def start(self) -> int:
        """The id of the line end."""
        return self.line_end

    @classmethod
    def train(cls, chunks: Chunks, config: TokenizerConfig) -> Self:
        """
        Read the model from `config.tokenizer_file`; there is nothing to learn from the text.

        Raises:
            ConfigError: no file is named.
            CorpusError: the text is empty.
            ModelError: the file is missing or is not a SentencePiece model.
        """
        if config.tokenizer_file is None:
            raise ConfigError(f"--tokenizer {IMPORTED} needs the model: --tokenizer-file FILE.model")
        tokenizer = cls(_read_file(Path(config.tokenizer_file)))
        if not any(chunks()):
            raise CorpusError("the training text is empty; give one with some characters")
        return tokenizer

    def extended(self, tokens: Sequence[str]) -> Self:  # noqa: ARG002
        """
        Refuse: the pieces of a SentencePiece model are chosen together.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "the vocabulary of a SentencePiece model cannot be extended; leave --extend-vocabulary out"
        )

    def encode(self, text: str) -> IdArray:
        """SentencePiece's ids of each line, and the line end between two lines."""
        ids: list[int] = []
        for block in line_blocks([text]):  # so that long lines are cut where encode_stream cuts them
            lines = _readable(block).split("\n")
            for number, line in enumerate(self._processor.encode(lines, num_threads=1)):
                if number:
                    ids.append(self.line_end)
                ids += line
        return np.array(ids, np.int64)

    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        """As `encode`; a blank that SentencePiece adds stands where the line begins or ends."""
        ids, offsets = [], []
        position = 0
        for block in line_blocks([text]):
            lines = _readable(block).split("\n")
            for number, line in enumerate(lines):
                if number:
                    ids.append([self.line_end])
                    offsets.append(np.array([position]))
                    position += 1
                if line:
                    tokens, begins = tokens_of(self._processor.encode(line, out_type="serialized_proto"))
                    characters = np.array([*character_of_each_byte(line), len(line)])[begins]
                    ids.append(tokens)
                    offsets.append(position + np.minimum(characters, len(line) - 1))
                    position += len(line)
        return _joined(ids), _joined(offsets)

    def edge(self, text: str) -> Edge:
        """
        The tokens up to the last boundary that no piece spans, in the last line as it is normalised.

        A last blank, which the normalisation may remove, counts: more text may follow it.
        """
        head, line_end, line = _readable(text).rpartition("\n")
        if not line:
            return Edge(self.encode(text))
        read = self._processor.normalize(line + _MORE).rpartition(_MORE)[0].replace("▁", " ")
        latest = len(
            read.rstrip(" ") if self._settings.remove_extra_blanks else read
        )  # the line may end here
        if self._settings.model_type == WORD:
            boundary = max(read.rfind(" ", 0, latest + 1), 0)
        else:
            boundary = self._by_spelling.last_boundary(read, latest)
        if len(read) - boundary > LONGEST_REST:
            _, begins = tokens_of(self._plain.encode(read[boundary:], out_type="serialized_proto"))
            boundary += late_token(character_of_each_byte(read[boundary:])[begins], len(read) - boundary)
        ids, rest = self._plain.encode([read[:boundary], read[boundary:]], num_threads=1)
        certain = np.concatenate([self.encode(head + line_end), np.array(ids, np.int64)])
        if boundary == len(read):
            return Edge(certain)
        return Edge(certain, PiecesRest(read[boundary:].encode(), np.array(rest), self._by_spelling))

    def piece(self, token: int) -> str:
        """The text of a piece, with a blank for ▁; for a byte that is part of a character, its escape."""
        return self._spellings[token]

    def decoder(self) -> Decoder:
        """A decoder that writes each line as SentencePiece does, but does not need SentencePiece."""
        return _PieceDecoder(self._pieces, self._settings, self.line_end)

    def to_json(self) -> dict[str, Any]:
        """The model, with all that encoding and decoding depend on, in base64."""
        model = model_of(self._pieces, self._settings)
        return {"tokenizer": self.name, "model": written_bytes(model)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Rebuild a tokenizer; checks the model, but does not load SentencePiece before it is needed."""
        return cls(saved_bytes(saved, "model"))

    @cached_property
    def _by_spelling(self) -> Spellings:
        """The pieces that stand for a text, by how they begin."""
        return Spellings(
            [
                b"" if piece.kind in (UNKNOWN, CONTROL) else spelling.encode("utf-8", "surrogateescape")
                for piece, spelling in zip(self._pieces, self._spellings, strict=False)
            ]
        )

    @cached_property
    def _plain(self) -> Any:
        """SentencePiece for a text that is normalised already."""
        return processor_of(
            self._pieces,
            self._settings._replace(charsmap=b"", add_dummy_prefix=False, remove_extra_blanks=False),
        )

    @cached_property
    def _processor(self) -> Any:
        """SentencePiece, loaded on the first encoding, with a new model made from what was checked."""
        try:
            return processor_of(self._pieces, self._settings)
        except ValueError as error:
            raise damaged(f"its SentencePiece model cannot be used ({error})") from error


class _PieceDecoder(Decoder):
    """
    Decoder that follows SentencePiece's `Decode` for each line, as soon as a piece is certain.

    Blanks that encoding adds in front of a line, or removes, are not written. Each byte that is not part of a
    character becomes U+FFFD.
    """

    def __init__(self, pieces: Sequence[Piece], settings: Settings, line_end: int) -> None:
        self._vocabulary_size = max(len(pieces), line_end + 1)
        self._line_end = line_end
        self._texts = [_written(piece, settings) for piece in pieces]
        self._bytes = {token: _byte(piece) for token, piece in enumerate(pieces) if piece.kind == BYTE}
        strips = settings.add_dummy_prefix or settings.remove_extra_blanks
        self._strips_more = settings.remove_extra_blanks
        self._with_blank = {
            token
            for token, piece in enumerate(pieces)
            if strips and piece.kind in _TEXT_KINDS and piece.text.startswith("▁")
        }
        self._characters = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._at_beginning = True

    def push(self, ids: Iterable[int]) -> str:
        """The text that is certain."""
        written: list[str] = []
        for token in plain_ids(ids, self._vocabulary_size):
            if token == self._line_end:
                written += [self._rest_of_bytes(), "\n"]
                self._at_beginning = True
            elif token in self._bytes:
                written.append(self._decoded(self._bytes[token]))
            else:
                written += [self._rest_of_bytes(), self._text(token)]
        return "".join(written)

    def finish(self) -> str:
        """The bytes of a last character that was never completed."""
        return self._rest_of_bytes()

    def _text(self, token: int) -> str:
        """The text of a token that is no byte, without its blank if that begins the line."""
        text = self._texts[token]
        if self._at_beginning and token in self._with_blank:
            text = text[1:]
            self._at_beginning = self._strips_more
        if text:
            self._at_beginning = False
        return text

    def _decoded(self, data: bytes, *, final: bool = False) -> str:
        text = _SURROGATE.sub("\ufffd", self._characters.decode(data, final))
        if text:
            self._at_beginning = False
        return text

    def _rest_of_bytes(self) -> str:
        """What is left of bytes that a token of another kind follows."""
        return self._decoded(b"", final=True)


def _read_file(path: Path) -> bytes:
    """
    The contents of a SentencePiece model file.

    Raises:
        ModelError: it is missing, cannot be read, or is something else; the message says what, if it shows.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ModelError(f"cannot read the tokenizer file {path}: {error.strerror}") from error
    try:
        if len(data) > LARGEST_FILE:
            raise ValueError(f"it has more than {LARGEST_FILE:,} bytes")
        processor_of(*_checked(data)).encode("a")
    except ValueError as error:
        raise ModelError(
            f"{path} is not a SentencePiece model ({_kind_of_file(data) or error}); give the FILE.model that "
            "spm_train or SentencePieceTrainer wrote"
        ) from error
    return data


def _kind_of_file(data: bytes) -> str | None:
    """What a file is that people take for a SentencePiece model; None if that does not show."""
    if not data:
        return "it is empty"
    if data.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; git lfs pull gets the file"
    if data.lstrip()[:1] == b"{":
        return "it is JSON, such as a tokenizer.json of other programs"
    first = data.split(b"\n", 1)[0].split(b"\t")
    if len(first) == 2 and re.fullmatch(rb"-?[0-9.e-]+", first[1].strip()):
        return "it is a list of pieces, such as the FILE.vocab beside a FILE.model"
    try:
        data[:1000].decode("utf-8")
    except UnicodeDecodeError as error:
        return "it is a text" if error.start > 990 else None
    return None if b"\0" in data[:1000] or re.search(rb"[\x01-\x08]", data[:1000]) else "it is a text"


def _checked(model: bytes) -> tuple[list[Piece], Settings]:
    """
    The pieces and settings of a model of unknown origin; checks all that SentencePiece relies on.

    Raises:
        ValueError: something is wrong with it.
    """
    pieces, settings = read_pieces(model), read_settings(model)
    if not UNIGRAM <= settings.model_type <= CHAR:
        raise ValueError(f"its model type is {settings.model_type}")
    kinds = [piece.kind for piece in pieces]
    if kinds.count(UNKNOWN) != 1 or not all(NORMAL <= kind <= BYTE for kind in kinds):
        raise ValueError("it has no unknown token, or more than one, or pieces of an unknown type")
    if not all(
        0 < len(piece.text.encode("utf-8")) < LONGEST_PIECE and "\0" not in piece.text for piece in pieces
    ):
        raise ValueError("a piece is empty or too long, or contains NUL")
    if not all(abs(piece.score) <= LARGEST_SCORE for piece in pieces):
        raise ValueError("the score of a piece is NaN or out of range")
    names = [(piece.kind in _TEXT_KINDS, piece.text) for piece in pieces]
    if len(set(names)) < len(names):
        raise ValueError("a piece occurs twice")
    in_order = sorted(piece.text for piece in pieces if piece.kind == BYTE)
    if in_order != ([f"<0x{byte:02X}>" for byte in range(256)] if settings.byte_fallback else []):
        raise ValueError("its bytes are not the 256 that there are")
    _check_symbols(sorted(piece.text for piece in pieces if piece.kind == USER_DEFINED))
    check_charsmap(settings.charsmap)
    return pieces, settings


def _check_symbols(in_order: list[str]) -> None:
    """Raise ValueError if too many user-defined symbols each begin with the one before."""
    nested: list[str] = []
    for symbol in in_order:
        while nested and not symbol.startswith(nested[-1]):
            nested.pop()
        nested.append(symbol)
        if len(nested) > MOST_SYMBOLS_IN_ONE:
            raise ValueError("too many of its user-defined symbols begin alike")


def _line_end(pieces: Sequence[Piece], settings: Settings) -> int:
    """The id of the line end, as the head of this file says."""
    ids = {(piece.text, piece.kind): token for token, piece in enumerate(pieces)}
    line_feed = ids.get(_LINE_FEED)
    keeps_it = line_feed is not None and keeps(settings.charsmap, ord("\n"))
    candidates = [
        ids.get(("\n", USER_DEFINED)),
        ids.get(("\n", NORMAL)),
        line_feed if keeps_it else None,
        ids.get((settings.end_piece, CONTROL)),
        len(pieces),
    ]
    return next(token for token in candidates if token is not None)


def _is_special(piece: Piece) -> bool:
    """Whether no text is split into this piece; so it is with the byte <0x0A> unless it is the line end."""
    return piece.kind in (UNKNOWN, CONTROL) or piece[:2] == _LINE_FEED


def _spelling(piece: Piece) -> str:
    """The spelling of one token, for display."""
    if piece.kind == UNKNOWN:
        return "<unk>"
    if _is_special(piece):
        return escape(piece.text)
    if piece.kind == BYTE:
        return _byte(piece).decode("utf-8", "surrogateescape")
    return piece.text.replace("▁", " ")


def _written(piece: Piece, settings: Settings) -> str:
    """What a token that is no byte is decoded to within a line."""
    if piece.kind == UNKNOWN:
        return settings.unknown_text.split("\0")[0]
    return "" if piece.kind == CONTROL else piece.text.replace("▁", " ")


def _byte(piece: Piece) -> bytes:
    """The byte of a piece such as <0x0A>."""
    return bytes([int(piece.text[3:5], 16)])


def _readable(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which UTF-8 cannot represent."""
    return _SURROGATE.sub("\ufffd", text)


def _joined(arrays: Sequence[Any]) -> IdArray:
    return np.concatenate([np.zeros(0, np.int64), *arrays]).astype(np.int64)
