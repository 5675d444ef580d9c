"""
Creates a run folder in steps, so that a kill at any moment leaves the old run, the new one, or one to resume.

    .new/config.toml                    written first; enough to begin a killed preparation again
    .new/data/...                       then the token files, with prepared.json last
    .new/begun.json                     in between, where that takes long, how far it has come
    the old run, if it is replaced      deleted now, no earlier
    .new/data/ ──► data/
    .new/config.toml ──► config.toml

These functions are for the process that holds the folder's lock.
"""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError, ModelError
from lmgen.files import STDOUT, remains, rename, unwritable

UNFINISHED_TENSORS = ".tmp??????"
"""The names that safetensors gives to files which it has not finished writing."""


def check_free(run: RunFolder, *, overwrite: bool) -> None:
    """
    Refuse a folder that is in use: a run without `overwrite`, anything else always.

    Raises:
        ModelError: the message says which of the two, and what to do.
    """
    if str(run.folder) == STDOUT:
        raise ModelError("--out - would be stdout, and a run is a folder: give --out its name")
    if not run.folder.exists():
        return
    if not run.folder.is_dir():
        raise ModelError(f"{run.folder} is a file; give --out another folder")
    begun = {run.lock.name, run.new.folder.name}
    if all(file.name in begun for file in run.folder.iterdir()) and not run.new.prepared.exists():
        return
    if not (run.config.exists() or run.prepared.exists() or run.new.prepared.exists()):
        raise ModelError(f"{run.folder} is not empty and not a run; give --out another folder")
    if not overwrite:
        raise ModelError(
            f"there is a run in {run.folder} already; go on with it (--resume), replace it (--overwrite) or "
            "give another folder (--out)"
        )


def refuse_own_texts(run: RunFolder, texts: Iterable[str | None]) -> None:
    """
    Refuse to replace a run by one that reads its files.

    Args:
        run: where the new run goes.
        texts: what it reads: paths, names of corpora, fractions.

    Raises:
        ConfigError: a text is one of the files.
    """
    own = [path.resolve() for path in run.own]
    for text in filter(None, texts):
        with suppress(OSError):  # a text of a program can be too long for a file name
            file = Path(text)
            if file.is_file() and any(file.resolve().is_relative_to(path) for path in own):
                raise ConfigError(
                    f"--out {run.folder} would replace {text}, which is read; give another --out"
                )


def put_in_place(run: RunFolder) -> None:
    """
    Move a run from `.new` to its place, over the old one if there is one, once its data are complete.

    If a killed process has done a part of this, the rest is done; if there is nothing to do, nothing happens.

    Raises:
        WriteError: the folder cannot be written to.
    """
    if run.new.prepared.exists():
        discard_run(run)
        rename(run.new.data, run.data)
    if run.prepared.exists() and not run.config.exists() and run.new.config.exists():
        rename(run.new.config, run.config)
    if run.config.exists():
        discard_new(run)


def discard_run(run: RunFolder) -> None:
    """
    Delete a run's own files, and nothing else in its folder.

    Raises:
        WriteError: the folder cannot be written to.
    """
    try:
        for path in run.own:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(run.folder, error) from error


def discard_new(run: RunFolder) -> None:
    """Delete a prepared run that was not put in place."""
    discard_new_data(run)
    shutil.rmtree(run.new.folder, ignore_errors=True)


def discard_unless_begun(run: RunFolder) -> None:
    """Delete a run that was not put in place, unless its preparation can go on (data/unfinished.py)."""
    if not run.new.begun.exists():
        discard_new(run)


def discard_new_data(run: RunFolder) -> None:
    """Delete the prepared token files, but not the settings, from which they can be made again."""
    with suppress(OSError):
        run.new.prepared.unlink()  # first, so that nobody takes the rest for complete if this is killed
    shutil.rmtree(run.new.data, ignore_errors=True)


def discard_remains(run: RunFolder) -> None:
    """Delete half-written files that killed processes left behind."""
    half_written = [run.unfinished]
    lines = (run.metrics, run.samples)
    for file in (run.model, run.ngram, run.config, *lines, run.vectors, run.last, run.unfinished):
        half_written += remains(file)
    for folder in (run.folder, run.last.parent):
        half_written += folder.glob(UNFINISHED_TENSORS)
    for file in half_written:
        with suppress(OSError):  # there is none, or it is a folder, which is not a half-written file
            file.unlink()
