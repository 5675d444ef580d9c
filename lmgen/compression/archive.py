"""
The file that `lmgen compress` writes.

    magic, version                          9 bytes
    how many bytes the text has             8
    its SHA-256                             32
    how many symbols, in how many streams   8 + 2
    what predicts them                      1: 0 for a model, else the number of the preset
      with a model: its SHA-256, the length of its name, its name (UTF-8)
      from nothing: which of the 256 bytes occur, a bit each
    the symbols, coded
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

VERSION = 1

BYTES = 256

MOST_STREAMS = 1024

WITH_MODEL = 0

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
class Archive:
    """All that a file holds."""

    length: int
    """Bytes of the text."""
    sha256: bytes
    """Of the text."""
    symbols: int
    """How many."""
    streams: int
    predicted_by: ModelReference | FromNothing
    coded: bytes

    def to_bytes(self) -> bytes:
        """The file."""
        by = self.predicted_by
        if isinstance(by, ModelReference):
            preset, name = WITH_MODEL, by.name.encode("utf-8", "surrogateescape")
            how = _MODEL.pack(by.sha256, len(name)) + name
        else:
            preset = by.preset
            how = np.packbits(np.isin(np.arange(BYTES), by.alphabet)).tobytes()
        start = _START.pack(MAGIC, VERSION, self.length, self.sha256, self.symbols, self.streams, preset)
        whole = start + how + self.coded
        return whole + _CHECK.pack(zlib.crc32(whole))


def read_archive(path: Path) -> Archive:
    """
    Read an archive.

    Raises:
        CorpusError: it cannot be read, is none, is damaged, or is of a newer version.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror}; name a file of `lmgen compress`") from error
    if content[: len(MAGIC)] != MAGIC[: max(len(content), 1)]:
        raise CorpusError(f"{path} is no archive of `lmgen compress`; decompress it with what wrote it")
    if len(content) < _START.size + _CHECK.size:
        raise _damaged(path)
    _, version, length, sha256, symbols, streams, preset = _START.unpack_from(content)
    if version > VERSION:
        raise CorpusError(
            f"{path} is an archive of version {version}, known here is {VERSION}: upgrade lmgen"
        )
    body, check = content[: -_CHECK.size], content[-_CHECK.size :]
    if _CHECK.unpack(check)[0] != zlib.crc32(body) or not 1 <= streams <= MOST_STREAMS:
        raise _damaged(path)
    rest = body[_START.size :]
    by: ModelReference | FromNothing
    if preset == WITH_MODEL:
        if len(rest) < _MODEL.size:
            raise _damaged(path)
        model, size = _MODEL.unpack_from(rest)
        name, coded = rest[_MODEL.size :][:size], rest[_MODEL.size + size :]
        by = ModelReference(model, name.decode("utf-8", "surrogateescape"))
    else:
        present, coded = np.frombuffer(rest[: BYTES // 8], np.uint8), rest[BYTES // 8 :]
        by = FromNothing(preset, np.flatnonzero(np.unpackbits(present)))
        if symbols and not len(by.alphabet):
            raise _damaged(path)
    if len(coded) % 4:
        raise _damaged(path)
    return Archive(length, sha256, symbols, streams, by, coded)


def _damaged(path: Path) -> CorpusError:
    return CorpusError(f"{path} is cut off or damaged; copy it again, or compress the text again")
