"""
The file that `lmgen compress` writes.

    magic, version                          9 bytes
    how many bytes the text has             8
    its SHA-256                             32
    how many symbols, in how many streams   8 + 2
    what predicts them                      1: 0 for a model, 255 for nothing, else the number of the preset
      with a model: its SHA-256, the length of its name, its name (UTF-8)
      from nothing: which of the 256 bytes occur, a bit each
    the symbols, coded; the text itself where nothing predicts it
    CRC-32 of all before                    4

Numbers are little-endian.
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmgen.arrays import IdArray
from lmgen.errors import CorpusError

MAGIC = b"\x89lmgen\r\n"
"""With a byte that is no text and a line end, both of which careless copying changes."""

VERSION = 2
"""Of the format, and of what the presets compute."""

BYTES = 256

MOST_STREAMS = 1024

WITH_MODEL, STORED = 0, 255

_START = struct.Struct("<8sBQ32sQHB")
_MODEL = struct.Struct("<32sH")
_CHECK = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class ModelReference:
    """Which model predicts."""

    sha256: bytes
    """Of its file."""
    name: str
    """What it was called when it was used: a path."""


@dataclass(frozen=True, slots=True)
class FromNothing:
    """A model that is made while the text is read."""

    preset: int
    """Its number; not 0."""
    alphabet: IdArray
    """The bytes that occur, in their order."""


@dataclass(frozen=True, slots=True)
class Stored:
    """No model: the text is kept as it is."""


@dataclass(frozen=True, slots=True)
class Archive:
    """All that a file holds."""

    length: int
    """Bytes of the text."""
    sha256: bytes
    """Of the text."""
    symbols: int
    """How many."""
    streams: int
    predicted_by: ModelReference | FromNothing | Stored
    coded: bytes

    @classmethod
    def stored(cls, content: bytes, sha256: bytes) -> "Archive":
        """An archive that is a little longer than its text."""
        return cls(len(content), sha256, 0, 1, Stored(), content)

    def to_bytes(self) -> bytes:
        """The file."""
        by = self.predicted_by
        if isinstance(by, ModelReference):
            preset, name = WITH_MODEL, by.name.encode("utf-8", "surrogateescape")
            how = _MODEL.pack(by.sha256, len(name)) + name
        elif isinstance(by, Stored):
            preset, how = STORED, b""
        else:
            preset = by.preset
            how = np.packbits(np.isin(np.arange(BYTES), by.alphabet)).tobytes()
        start = _START.pack(MAGIC, VERSION, self.length, self.sha256, self.symbols, self.streams, preset)
        whole = start + how + self.coded
        return whole + _CHECK.pack(zlib.crc32(whole))


def read_archive(content: bytes, path: Path) -> Archive:
    """
    Take an archive apart.

    Args:
        content: what `Archive.to_bytes` gave.
        path: where it stood, for messages.

    Raises:
        CorpusError: it is none, is damaged, or is of another version.
    """
    if content[: len(MAGIC)] != MAGIC[: max(len(content), 1)]:
        raise CorpusError(f"{path} is no archive of `lmgen compress`; decompress it with what wrote it")
    if len(content) < _START.size + _CHECK.size:
        raise _damaged(path)
    _, version, length, sha256, symbols, streams, preset = _START.unpack_from(content)
    if version != VERSION:
        raise CorpusError(
            f"{path} is an archive of version {version}, known here is {VERSION}: "
            f"{'upgrade lmgen' if version > VERSION else 'decompress it with the lmgen that made it'}"
        )
    body, check = content[: -_CHECK.size], content[-_CHECK.size :]
    if _CHECK.unpack(check)[0] != zlib.crc32(body) or not 1 <= streams <= MOST_STREAMS:
        raise _damaged(path)
    by, coded = _predicted_by(path, preset, body[_START.size :])
    if len(coded) != length if preset == STORED else len(coded) % 4:
        raise _damaged(path)
    if isinstance(by, FromNothing) and (symbols != length or bool(symbols) != bool(len(by.alphabet))):
        raise _damaged(path)
    return Archive(length, sha256, symbols, streams, by, coded)


def _predicted_by(
    path: Path, preset: int, rest: bytes
) -> tuple[ModelReference | FromNothing | Stored, bytes]:
    """What predicts, and the bytes after it."""
    if preset == STORED:
        return Stored(), rest
    if preset == WITH_MODEL:
        model, size = _MODEL.unpack_from(rest) if len(rest) >= _MODEL.size else (b"", len(rest))
        name, coded = rest[_MODEL.size :][:size], rest[_MODEL.size + size :]
        if len(name) < size or b"\0" in name:
            raise _damaged(path)
        return ModelReference(model, name.decode("utf-8", "surrogateescape")), coded
    present, coded = np.frombuffer(rest[: BYTES // 8], np.uint8), rest[BYTES // 8 :]
    return FromNothing(preset, np.flatnonzero(np.unpackbits(present))), coded


def _damaged(path: Path) -> CorpusError:
    return CorpusError(f"{path} is cut off or damaged; copy it again, or compress the text again")
