"""Files compressed and decompressed: `lmgen compress` and `lmgen decompress`."""

import bz2
import hashlib
import lzma
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lmgen.arrays import IdArray
from lmgen.compression import coder
from lmgen.compression.archive import Archive, FromNothing, ModelReference, Stored, read_archive
from lmgen.compression.coder import OnProgress, Progress
from lmgen.compression.presets import DEFAULT_PRESET, Preset, preset_named, preset_numbered
from lmgen.compression.with_model import ModelPredictor, bytes_of, streams_for, tokens_of
from lmgen.data.run_folder import files_with, find_model
from lmgen.errors import ConfigError, CorpusError, ModelError, WriteError
from lmgen.files import behind_links, refuse_existing, refuse_input, refuse_unwritable, replacing
from lmgen.models.base import LanguageModel
from lmgen.models.model_file import SavedModel, load_model

Phase = Literal["compressing", "checking", "decompressing"]

STANDARD_STREAM = "-"
"""Stands for standard input or output in place of a path."""

TRIED_BYTES = 4096
"""Shorter files are compressed to see whether they get smaller; longer ones if bzip2 or xz can do it."""


@dataclass(frozen=True, slots=True)
class CodingProgress:
    """How far compressing or decompressing is."""

    phase: Phase
    share: float
    """Of the text, above 0 and up to 1."""
    bits_per_byte: float
    """So far."""
    bits_per_character: float | None
    """So far; None for a text that is not UTF-8, or not known yet."""


OnCoding = Callable[[CodingProgress], None]


@dataclass(frozen=True, slots=True)
class Compressed:
    """Sizes of a text and its archive."""

    out: str
    """The file that was written."""
    bytes: int
    """Of the text."""
    archive_bytes: int
    characters: int | None
    """Of the text; None if it is not UTF-8."""
    stored: bool
    """Whether the archive holds the text as it is, since no model makes it smaller."""

    @property
    def bits_per_byte(self) -> float | None:
        """Bits of the archive for each byte of the text; None for an empty text."""
        return self.archive_bytes * 8 / self.bytes if self.bytes else None

    @property
    def bits_per_character(self) -> float | None:
        """Bits of the archive for each character; None if the text has none or is not UTF-8."""
        return self.archive_bytes * 8 / self.characters if self.characters else None

    def to_json(self) -> dict[str, Any]:
        """As `lmgen compress --json` prints it."""
        return {
            "out": self.out,
            "bytes": self.bytes,
            "archive_bytes": self.archive_bytes,
            "characters": self.characters,
            "bits_per_byte": self.bits_per_byte,
            "bits_per_character": self.bits_per_character,
            "stored": self.stored,
        }


def compress(
    path: Path,
    model: Path | None,
    out: Path,
    *,
    preset: str | None = None,
    overwrite: bool = False,
    on_progress: OnCoding | None = None,
) -> Compressed:
    """
    Compress a file; the archive is decompressed and compared before it gets its name.

    A file that gets no smaller without a model is stored as it is; with one, its size is what the model makes
    of it.

    Args:
        path: the file; `-` is standard input.
        model: a run folder or model file, which decompressing needs again; None: a model is made while the
            file is read, here and when it is decompressed.
        out: the archive to write; `-` is standard output.
        preset: how much work goes into a model from nothing; None: DEFAULT_PRESET.
        overwrite: replace an existing file.
        on_progress: called after each step.

    Raises:
        ConfigError: there is no such preset, or a preset and a model; or `out` is the file or the model.
        CorpusError: the file cannot be read, or would not come back from the model's tokens.
        MissingExtraError: a package that this needs is not installed.
        ModelError: there is no such model, or `out` exists.
        WriteError: the archive cannot be written.
    """
    if model is not None and preset is not None:
        raise ConfigError("--preset is for compressing without a model; leave one of them out")
    chosen = preset_named(preset or DEFAULT_PRESET)
    _refuse(out, path, overwrite=overwrite)
    if model is not None:
        refuse_input(out, "--out", find_model(model))  # without its model no archive comes back
    content = _content(path)
    archive = stored = Archive.stored(content, _sha256(content))
    if model is not None or not _incompressible(content):
        archive = _coded(content, path, model, chosen, on_progress)
    if model is None and len(archive.to_bytes()) >= len(stored.to_bytes()):
        archive = stored
    _write(out, archive.to_bytes())
    return _compressed(out, content, archive)


def decompress(
    path: Path,
    out: Path,
    *,
    model: Path | None = None,
    overwrite: bool = False,
    on_progress: OnCoding | None = None,
) -> Compressed:
    """
    Write the file that an archive was made of.

    Args:
        path: the archive; `-` is standard input.
        out: the file to write; `-` is standard output.
        model: where the archive's model is now; None: where it was, from here or from the archive's folder.
        overwrite: replace an existing file.
        on_progress: called after each step.

    Raises:
        ConfigError: a model is given for an archive that needs none, or `out` is the archive.
        CorpusError: the archive cannot be read, is damaged, or computed elsewhere in another way.
        MissingExtraError: a package that this needs is not installed.
        ModelError: the model is not there or is another one, or `out` exists.
        WriteError: the file cannot be written.
    """
    _refuse(out, path, overwrite=overwrite)
    archive = read_archive(_content(path), path)
    by = archive.predicted_by
    if isinstance(by, ModelReference):
        saved = _found_model(by, path, model, out)
    elif model is not None:
        raise ConfigError(f"{path} was compressed without a model; leave --model out")
    else:
        saved = None
    content = archive.coded
    if not isinstance(by, Stored):
        content = _Coding(archive, saved).read(archive, _told(on_progress, "decompressing", archive))
    if len(content) != archive.length or _sha256(content) != archive.sha256:
        raise coder.other_arithmetic()
    _write(out, content)
    return _compressed(out, content, archive)


def _coded(
    content: bytes, path: Path, model: Path | None, preset: Preset, on_progress: OnCoding | None
) -> Archive:
    """The archive of a text that a model predicts, after it has been decompressed and compared."""
    saved: SavedModel[LanguageModel] | None = None
    if model is None:
        alphabet: IdArray
        symbols: IdArray
        alphabet, symbols = np.unique(_numbers(content), return_inverse=True)
        by: ModelReference | FromNothing = FromNothing(preset.number, alphabet)
        streams = preset.streams_for(len(symbols))
    else:
        sha256, saved = _loaded(find_model(model))
        by = ModelReference(sha256, str(model))
        symbols = tokens_of(content, saved.tokenizer, str(path))
        streams = streams_for(len(symbols))
    archive = Archive(len(content), _sha256(content), len(symbols), streams, by, b"")
    characters = _characters(content)
    coding = _Coding(archive, saved)
    archive = replace(
        archive, coded=coding.written(symbols, _told(on_progress, "compressing", archive, characters))
    )
    if coding.read(archive, _told(on_progress, "checking", archive, characters)) != content:
        raise CorpusError(
            f"{path} did not come back as it was: this machine computes in another way each time; "
            "nothing was written"
        )
    return archive


class _Coding:
    """The model of an archive, from which its text is coded as often as asked."""

    def __init__(self, archive: Archive, saved: SavedModel[LanguageModel] | None) -> None:
        self._archive, self._saved = archive, saved

    def written(self, symbols: IdArray, on_progress: OnProgress) -> bytes:
        predictor = self._predictor()
        with coder.one_thread():
            return coder.written(symbols, predictor, self._archive.streams, on_progress)

    def read(self, archive: Archive, on_progress: OnProgress) -> bytes:
        predictor = self._predictor()
        with coder.one_thread():
            symbols = coder.read(archive.coded, archive.symbols, predictor, archive.streams, on_progress)
        if self._saved is not None:
            return bytes_of(symbols, self._saved.tokenizer, archive.length)
        assert isinstance(archive.predicted_by, FromNothing)
        return archive.predicted_by.alphabet[symbols].astype(np.uint8).tobytes()

    def _predictor(self) -> coder.Predictor:
        by, streams = self._archive.predicted_by, self._archive.streams
        if self._saved is not None:
            return ModelPredictor(self._saved.model, streams)
        assert isinstance(by, FromNothing)
        return preset_numbered(by.preset).predictor(by.alphabet, streams)


def _loaded(file: Path) -> tuple[bytes, SavedModel[LanguageModel]]:
    """
    The SHA-256 of a model file, and its model.

    Raises:
        ModelError: the file cannot be read, or another one took its place meanwhile.
    """
    before = file.stat()
    sha256, saved = _sha256_of(file), load_model(file)
    after = file.stat()
    if (before.st_ino, before.st_size, before.st_mtime_ns) != (
        after.st_ino,
        after.st_size,
        after.st_mtime_ns,
    ):
        raise ModelError(f"{file} was replaced while it was read, as a run does with its model; try again")
    return sha256, saved


def _found_model(
    reference: ModelReference, archive: Path, given: Path | None, out: Path
) -> SavedModel[LanguageModel]:
    """
    The model of an archive, if it is the same still.

    Raises:
        ConfigError: it would be replaced by what is written.
        ModelError: it is not there, is another, or was replaced while it was read.
    """
    named = Path(reference.name)
    places = [given] if given is not None else [named, archive.parent / named]
    there = [file for place in places if (file := _file(place)) is not None]
    for file in there:
        if _sha256_of(file) == reference.sha256:
            refuse_input(out, "--out", *files_with(file))
            sha256, saved = _loaded(file)
            if sha256 == reference.sha256:
                return saved
    what = f"{there[0]} is another one" if there else f"there is none at {places[0]}"
    raise ModelError(
        f"{archive} was compressed with the model {reference.name} of SHA-256 {reference.sha256.hex()}, and "
        f"{what}; say where it is with --model"
    )


def _file(model: Path) -> Path | None:
    try:
        return find_model(model)
    except ModelError:
        return None


def _incompressible(content: bytes) -> bool:
    """Whether a file is like random bytes, which takes far less time to find out than coding it."""
    size = len(content)
    return size >= TRIED_BYTES and len(bz2.compress(content)) >= size and len(lzma.compress(content)) >= size


def _refuse(out: Path, read: Path, *, overwrite: bool) -> None:
    """
    Check before all the work that something can be written.

    Raises:
        ConfigError: it would replace the file that is read.
        ModelError: there is a file already.
        WriteError: nothing can be written there.
    """
    if str(out) == STANDARD_STREAM:
        if sys.stdout.isatty():
            raise WriteError("this is not for a terminal; name a file (--out) or redirect standard output")
        return
    refuse_existing(out, overwrite=overwrite, read=[read])
    refuse_unwritable(out)


def _content(path: Path) -> bytes:
    if str(path) == STANDARD_STREAM:
        if sys.stdin is None:
            raise CorpusError("standard input is closed; pipe a file in, or name one")
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror}; name a file") from error


def _write(out: Path, content: bytes) -> None:
    if str(out) == STANDARD_STREAM:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    with replacing(behind_links(out)) as temporary:
        temporary.write_bytes(content)


def _compressed(out: Path, content: bytes, archive: Archive) -> Compressed:
    stored = isinstance(archive.predicted_by, Stored)
    return Compressed(str(out), len(content), len(archive.to_bytes()), _characters(content), stored)


def _numbers(content: bytes) -> IdArray:
    return np.frombuffer(content, np.uint8).astype(np.int64)


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _sha256_of(file: Path) -> bytes:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()


def _characters(content: bytes) -> int | None:
    try:
        return len(content.decode())
    except UnicodeDecodeError:
        return None


def _told(
    on_progress: OnCoding | None, phase: Phase, archive: Archive, characters: int | None = None
) -> OnProgress:
    """Pass the coder's progress on, in bytes and characters of the text."""
    if on_progress is None:
        return lambda _: None

    def tell(coded: Progress) -> None:
        share = coded.done / coded.total
        per_character = coded.bits / (share * characters) if characters else None
        on_progress(CodingProgress(phase, share, coded.bits / (share * archive.length), per_character))

    return tell
