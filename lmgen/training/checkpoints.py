"""
A training state as one .safetensors file, `last/training.safetensors`: all that a resumed run needs.

It holds the tensors of the state (state.py), and those of the last good state where that is an earlier one,
so that a resumed run would roll back to the same; the positions are JSON in the header. Never pickle, never
torch.load.

A new checkpoint is written beside the last one, read back, and takes its place; the last one becomes
`previous.safetensors`. At every moment one of the two is whole, which a checksum over its content shows.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from math import inf, isfinite
from pathlib import Path
from sys import float_info
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open

from lmgen.data.run_folder import RunFolder
from lmgen.errors import ModelError, WriteError
from lmgen.files import checksum, rename
from lmgen.models.model_file import load_tensors, save_tensors
from lmgen.settings import shown
from lmgen.training.position import Position
from lmgen.training.state import Snapshot, TrainingState, part_of, processes_of, under, whole

GOOD = "good."
"""Prefix of the names of the last good state's tensors."""

CHECKED = ("position", "good", "files")
"""The parts of the header that the checksum covers, besides all tensors."""

LARGEST_COUNT = 2**63
"""The largest count in a position."""

Arrays = Mapping[str, npt.NDArray[Any]]


def save_checkpoint(run: RunFolder, state: TrainingState, files: Mapping[str, int]) -> None:
    """
    Write a checkpoint, whole or not at all, and keep the one before it.

    Where several processes train together, the others call `gather_checkpoint` meanwhile.

    Args:
        run: the run folder to write to.
        state: between two updates.
        files: checksums of the run's other files, which `load_checkpoint` returns.

    Raises:
        WriteError: the file cannot be written.
    """
    header: dict[str, Any] = {"kind": "training", "position": asdict(state.position), "files": dict(files)}
    if _has_earlier_good(state):
        header["good"] = asdict(state.good.position)
    tensors = gather_checkpoint(state)
    _write(run, header, {name: tensor.cpu().numpy() for name, tensor in tensors.items()})


def note_file(run: RunFolder, file: Path) -> None:
    """
    Note the checksum of a file of the run, written since the last checkpoint, in that checkpoint.

    Raises:
        ModelError: the checkpoint is missing or damaged.
        WriteError: it cannot be written anew.
    """
    header, arrays = _read(run.last)
    _write(run, {**header, "files": {**header.get("files", {}), file.name: checksum(file)}}, arrays)


def gather_checkpoint(state: TrainingState) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by name, gathered from all processes that train together."""
    tensors = whole(state.tensors(), state.group)
    if _has_earlier_good(state):
        good = whole(state.good.tensors, state.group)
        tensors |= {GOOD + name: tensor for name, tensor in good.items()}
    return tensors


def load_checkpoint(run: RunFolder, state: TrainingState, on_note: Callable[[str], None]) -> dict[str, int]:
    """
    Restore the last undamaged checkpoint of a run, made on this device or another.

    Args:
        run: the run folder with the checkpoints.
        state: of a network of the same run, before its first update.
        on_note: callback for a note that the last checkpoint is damaged, and that the one before it is used
            instead. The damaged file is deleted.

    Returns:
        The checksums of other files that were saved with it.

    Raises:
        ModelError: all checkpoints are damaged or missing, or they are of a run with other settings.
    """
    header, arrays = _newest(run, on_note)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    before, now = processes_of(tensors), state.group.size
    if before != now:
        on_note(
            f"the run was trained in {_counted(before)} until now and goes on in {_counted(now)}: the "
            "streams are shared out anew, and sums are rounded differently"
        )
    try:
        state.restore(Snapshot(_position(header["position"]), part_of(tensors, state.group)))
        state.good = state.copy()
        if "good" in header:
            good = part_of(under(GOOD, tensors), state.group)
            state.good = Snapshot(_position(header["good"]), good)
        return dict(header.get("files", {}))
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{run.last} does not fit this run ({error}); train again with --overwrite, or restore the file"
        ) from error


def _counted(processes: int) -> str:
    return "one process" if processes == 1 else f"{processes:,} processes"


def _has_earlier_good(state: TrainingState) -> bool:
    """Whether the last good state is not the present one."""
    return _place(state.good.position) != _place(state.position)


def _place(position: Position) -> tuple[int, int, int]:
    """Where in training a position is: batches without a scored token move it on without an update."""
    return position.step, position.epoch, position.window


def _position(saved: dict[str, Any]) -> Position:
    """
    A position from JSON, every value of the type that it has at the start and of a possible size.

    Raises:
        TypeError, ValueError: a value is missing, unknown, of another type or out of range.
    """
    position = Position(**saved)
    for name, start in asdict(Position()).items():
        value = getattr(position, name)
        kinds = int | float if isinstance(start, float | list) else int
        numbers = value if isinstance(start, list) else [value]
        if not isinstance(numbers, list) or not all(isinstance(number, kinds) for number in numbers):
            raise TypeError(f"its {name} is {shown(value)}")
        lowest = -inf if isinstance(start, list) else start
        largest = LARGEST_COUNT if kinds is int else float_info.max  # a loss that explodes may be large
        if not all(lowest <= number <= largest and isfinite(number) for number in numbers):
            raise ValueError(f"its {name} is {shown(value)}")
    for name, count in (("lost", position.lost), ("early", position.early)):
        if count > len(position.validation_nats):
            raise ValueError(
                f"its {name} is {count}, but there are {len(position.validation_nats)} evaluations"
            )
    return position


def _write(run: RunFolder, header: Mapping[str, Any], arrays: Arrays) -> None:
    """Write a checkpoint, and let it take the place of the last one."""
    new = run.unfinished
    value = _checksum(header, sorted(arrays.items()))
    save_tensors(new, arrays, {**header, "crc32": value})
    if not _holds(new, header, value):
        raise WriteError(f"{new} is not what was written to it; is the disk failing? Choose another place")
    if run.last.exists():
        rename(run.last, run.previous)
    rename(new, run.last)


def _newest(run: RunFolder, on_note: Callable[[str], None]) -> tuple[dict[str, Any], Arrays]:
    """Header and arrays of the last checkpoint, or of the one before it if the last is damaged."""
    if not run.last.exists():  # the process was killed between two renamings
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
    on_note(f"{run.last} is damaged: training goes on from the checkpoint before it")
    run.last.unlink()
    return found


def _read(path: Path) -> tuple[dict[str, Any], Arrays]:
    """
    Header and arrays of a checkpoint.

    Raises:
        ModelError: it is missing or damaged.
    """
    header, arrays = load_tensors(path)
    saved = header.get("crc32")  # checkpoints of version 0.1 have none
    if saved not in (None, _checksum(header, sorted(arrays.items()))):
        raise ModelError(f"{path} is damaged: its checksum is another; restore it, or train again")
    return header, arrays


def _holds(path: Path, header: Mapping[str, Any], value: int) -> bool:
    """Whether a file holds what its checksum says; arrays are read one by one, to save memory."""
    try:
        with safe_open(path, framework="np") as file:
            names = sorted(file.keys())
            return value == _checksum(header, ((name, file.get_tensor(name)) for name in names))
    except (SafetensorError, OSError):
        return False


def _checksum(header: Mapping[str, Any], arrays: Iterable[tuple[str, npt.NDArray[Any]]]) -> int:
    """The CRC-32 of a checkpoint's content, its arrays in the order of their names."""
    checked = {name: header[name] for name in CHECKED if name in header}
    value = zlib.crc32(json.dumps(checked, sort_keys=True).encode())
    for name, array in arrays:
        value = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), value)
        value = zlib.crc32(np.ascontiguousarray(array).data, value)
    return value
