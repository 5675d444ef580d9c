"""
How a run folder comes to be, so that a kill at any moment leaves the old run, the new one, or what can go on.

    .new/config.toml         first: from it alone a killed preparation is begun again
    .new/data/...            then the token files, prepared.json last
                             an old run that is to be replaced is there until now; then it goes, and
    .new/data/ ──► data/
    .new/config.toml ──► config.toml

Only the process that holds the folder's lock calls these.
"""

import shutil
from contextlib import suppress

from lmgen.data.run_folder import RunFolder
from lmgen.errors import ModelError
from lmgen.files import remains, rename, unwritable

UNFINISHED_TENSORS = ".tmp??????"
"""What safetensors calls a file until it is complete."""


def check_free(run: RunFolder, *, overwrite: bool) -> None:
    """
    Refuse a folder that is in use: a run without `overwrite`, anything else always.

    Raises:
        ModelError: the message says which of the two, and what to do.
    """
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


def put_in_place(run: RunFolder) -> None:
    """
    Move a run from `.new` to where it belongs, over the one that is there, once its data are complete.

    What a killed process had begun of this is finished; where there is nothing to do nothing is done.

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
    Delete a run's own files, and nothing else that may lie beside them.

    Raises:
        WriteError: the folder cannot be written to.
    """
    try:
        for file in (run.model, run.ngram, run.mixture, run.config, run.metrics):
            file.unlink(missing_ok=True)
        for folder in (run.last.parent, run.data):
            if folder.exists():
                shutil.rmtree(folder)
    except OSError as error:
        raise unwritable(run.folder, error) from error


def discard_new(run: RunFolder) -> None:
    """Delete what was prepared of a run that is not to be."""
    discard_new_data(run)
    shutil.rmtree(run.new.folder, ignore_errors=True)


def discard_new_data(run: RunFolder) -> None:
    """Delete the token files that were prepared, but not the settings, from which they can be made again."""
    with suppress(OSError):
        run.new.prepared.unlink()  # first: what is left when this is killed must not be taken for whole
    shutil.rmtree(run.new.data, ignore_errors=True)


def discard_remains(run: RunFolder) -> None:
    """Delete half-written files that killed processes left behind."""
    half_written = [run.unfinished]
    for file in (run.model, run.ngram, run.config, run.metrics, run.last, run.unfinished):
        half_written += remains(file)
    for folder in (run.folder, run.last.parent):
        half_written += folder.glob(UNFINISHED_TENSORS)
    for file in half_written:
        with suppress(OSError):  # there is none, or it is a folder, which is nobody's half-written file
            file.unlink()
