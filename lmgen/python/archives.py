"""Compress files with the probabilities of models, and decompress them."""

from os import PathLike
from pathlib import Path
from typing import Literal

from lmgen.calls import in_python_words
from lmgen.compression import files
from lmgen.compression.files import Compressed, OnCoding


def compress(
    file: str | PathLike[str],
    model: str | PathLike[str] | None = None,
    *,
    out: str | PathLike[str],
    preset: Literal["quick", "good"] | None = None,
    overwrite: bool = False,
    on_progress: OnCoding | None = None,
) -> Compressed:
    """
    Compress a file by arithmetic coding with the probabilities of a model.

    The archive is decompressed and compared with the file before it gets its name. One that no model of its
    own makes smaller, like random bytes, is stored as it is.

    Args:
        file: path of the file; `-` is standard input.
        model: a run folder or model file, which decompressing needs again; None: a model is made while the
            file is read, and once more when it is decompressed.
        out: path of the archive; `-` is standard output.
        preset: without a model, how much work each byte takes: `quick`, counts of contexts; `good`, a
            network, too, which imports torch. None: `good`.
        overwrite: replace an existing file.
        on_progress: called after each step.

    Raises:
        ConfigError: the preset is unknown, or given with a model.
        CorpusError: the file cannot be read, or would not come back from the model's tokens as it is.
        MissingExtraError: the extra `compress` is not installed.
        ModelError: there is no such model, or `out` exists.
        WriteError: the archive cannot be written.
    """
    with in_python_words():
        return files.compress(
            Path(file),
            None if model is None else Path(model),
            Path(out),
            preset=preset,
            overwrite=overwrite,
            on_progress=on_progress,
        )


def decompress(
    file: str | PathLike[str],
    *,
    out: str | PathLike[str],
    model: str | PathLike[str] | None = None,
    overwrite: bool = False,
    on_progress: OnCoding | None = None,
) -> Compressed:
    """
    Write the file that `compress` made an archive of, byte for byte.

    Args:
        file: path of the archive; `-` is standard input.
        out: path of the file; `-` is standard output.
        model: where the model is now that the archive was made with; None: where it was then, from here or
            from the archive's folder.
        overwrite: replace an existing file.
        on_progress: called after each step.

    Raises:
        ConfigError: a model is given for an archive that was made without one.
        CorpusError: the file is no archive, is damaged, or comes from a machine that computes in another way.
        MissingExtraError: the extra `compress` is not installed.
        ModelError: the model is not there or is another one, or `out` exists.
        WriteError: the file cannot be written.
    """
    with in_python_words():
        return files.decompress(
            Path(file),
            Path(out),
            model=None if model is None else Path(model),
            overwrite=overwrite,
            on_progress=on_progress,
        )
