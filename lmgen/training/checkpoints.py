"""
All that a resumed run needs, as one .safetensors file: `last/training.safetensors`.

Tensors (see snapshots.py) of where training stands, and of the last good state where that is an earlier one,
so that a resumed run would go back to the same; the positions as JSON in the header. Never pickle, never
torch.load.

A new checkpoint is written beside the last one, read back, and takes its place; the last one becomes
`previous.safetensors`. At every moment one of the two is whole: a checksum over all of it tells.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open

from lmgen.data.run_folder import RunFolder
from lmgen.errors import ModelError, WriteError
from lmgen.files import rename
from lmgen.models.model_file import load_tensors, save_tensors
from lmgen.settings import shown
from lmgen.training import snapshots
from lmgen.training.loop import Position, Trainer
from lmgen.training.snapshots import Snapshot

GOOD = "good."
"""What the names of the last good state's tensors begin with."""

CHECKED = ("position", "good", "files")
"""The parts of the header that the checksum is of, beside all tensors."""

LARGEST = 2**63
"""Of the numbers of a position."""

Arrays = Mapping[str, npt.NDArray[Any]]


def save_checkpoint(run: RunFolder, trainer: Trainer, files: Mapping[str, int]) -> None:
    """
    Write where training stands, whole or not at all, and keep the checkpoint before.

    Args:
        run: where to.
        trainer: between two updates.
        files: checksums of the run's other files, for `load_checkpoint` to give back.

    Raises:
        WriteError: the file cannot be written.
    """
    now = snapshots.view(trainer)
    header: dict[str, Any] = {"kind": "training", "position": asdict(now.position), "files": dict(files)}
    tensors = dict(now.tensors)
    if trainer.good.position.step != now.position.step:
        header["good"] = asdict(trainer.good.position)
        tensors |= {GOOD + name: tensor for name, tensor in trainer.good.tensors.items()}
    arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
    new = run.unfinished
    value = _checksum(header, sorted(arrays.items()))
    save_tensors(new, arrays, {**header, "crc32": value})
    if not _holds(new, header, value):
        raise WriteError(f"{new} is not what was written to it; is the disk failing? Choose another place")
    if run.last.exists():
        rename(run.last, run.previous)
    rename(new, run.last)


def load_checkpoint(run: RunFolder, trainer: Trainer, tell: Callable[[str], None]) -> dict[str, int]:
    """
    Put a new trainer of the same run where the last whole checkpoint was made.

    Args:
        run: where the checkpoints are.
        trainer: before its first update.
        tell: hears of a damaged checkpoint, which is deleted: the one before it is as good, but older.

    Returns:
        The checksums of other files that it was saved with.

    Raises:
        ModelError: there is no whole one, or the run had other settings.
    """
    header, arrays = _newest(run, tell)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    try:
        snapshots.restore(trainer, Snapshot(_position(header["position"]), tensors))
        trainer.good = snapshots.take(trainer)
        if "good" in header:
            trainer.good = Snapshot(_position(header["good"]), snapshots.under(GOOD, tensors))
        return dict(header.get("files", {}))
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{run.last} does not fit this run ({error}); train again with --overwrite, or restore the file"
        ) from error


def _position(saved: dict[str, Any]) -> Position:
    """
    Where training stood, every value of the type that it has at the start, and of a size that it can have.

    Raises:
        TypeError, ValueError: it is something else.
    """
    position = Position(**saved)
    for name, start in asdict(Position()).items():
        value = getattr(position, name)
        kinds = int | float if isinstance(start, float | list) else int
        numbers = value if isinstance(start, list) else [value]
        if not isinstance(numbers, list) or not all(isinstance(number, kinds) for number in numbers):
            raise TypeError(f"its {name} is {shown(value)}")
        lowest = -LARGEST if isinstance(start, list) else start
        if not all(lowest <= number <= LARGEST for number in numbers):  # NaN is neither
            raise ValueError(f"its {name} is {shown(value)}")
    if position.lost > len(position.validation_nats):
        raise ValueError(
            f"its lost is {position.lost}, but there are {len(position.validation_nats)} evaluations"
        )
    return position


def _newest(run: RunFolder, tell: Callable[[str], None]) -> tuple[dict[str, Any], Arrays]:
    """Header and arrays of the last checkpoint, or of the one before it."""
    if not run.last.exists():  # a killed process had just renamed it
        return _read(run.previous)
    try:
        return _read(run.last)
    except ModelError:
        if not run.previous.exists():
            raise
    try:
        found = _read(run.previous)
    except ModelError as error:
        raise ModelError(
            f"{run.last} and {run.previous} are both damaged; restore one of them, or train again with "
            f"--overwrite: {run.model} is as it was"
        ) from error
    tell(f"{run.last} is damaged: training goes on from the checkpoint before it")
    run.last.unlink()
    return found


def _read(path: Path) -> tuple[dict[str, Any], Arrays]:
    """
    Header and arrays of a checkpoint.

    Raises:
        ModelError: it is missing or damaged.
    """
    header, arrays = load_tensors(path)
    saved = header.get("crc32")  # there is none in runs of the first lmgen
    if saved not in (None, _checksum(header, sorted(arrays.items()))):
        raise ModelError(f"{path} is damaged: its checksum is another; restore it, or train again")
    return header, arrays


def _holds(path: Path, header: Mapping[str, Any], value: int) -> bool:
    """Whether a file has the arrays that it should, looked at one by one: all of them take much memory."""
    try:
        with safe_open(path, framework="np") as file:
            names = sorted(file.keys())
            return value == _checksum(header, ((name, file.get_tensor(name)) for name in names))
    except (SafetensorError, OSError):
        return False


def _checksum(header: Mapping[str, Any], arrays: Iterable[tuple[str, npt.NDArray[Any]]]) -> int:
    """The CRC-32 of all that a checkpoint holds, its arrays in the order of their names."""
    checked = {name: header[name] for name in CHECKED if name in header}
    value = zlib.crc32(json.dumps(checked, sort_keys=True).encode())
    for name, array in arrays:
        value = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), value)
        value = zlib.crc32(np.ascontiguousarray(array).data, value)
    return value
