"""
All that a resumed run needs, as one .safetensors file: `last/training.safetensors`.

Tensors (see snapshots.py) of where training stands, and of the last good state where that is an earlier one,
so that a resumed run would go back to the same; the positions as JSON in the header. Never pickle, never
torch.load.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from lmgen.errors import ModelError
from lmgen.models.model_file import load_tensors, save_tensors
from lmgen.training import snapshots
from lmgen.training.loop import Position, Trainer
from lmgen.training.snapshots import Snapshot

GOOD = "good."
"""What the names of the last good state's tensors begin with."""


def save_checkpoint(path: Path, trainer: Trainer) -> None:
    """
    Write where training stands, whole or not at all.

    Raises:
        LmgenError: the file cannot be written.
    """
    now = snapshots.view(trainer)
    header = {"kind": "training", "position": asdict(now.position)}
    tensors = dict(now.tensors)
    if trainer.good.position.step != now.position.step:
        header["good"] = asdict(trainer.good.position)
        tensors |= {GOOD + name: tensor for name, tensor in trainer.good.tensors.items()}
    save_tensors(path, {name: tensor.cpu().numpy() for name, tensor in tensors.items()}, header)


def load_checkpoint(path: Path, trainer: Trainer) -> None:
    """
    Put a new trainer of the same run where the saved one stood.

    Raises:
        ModelError: the file is missing, damaged, or of a run with other settings.
    """
    header, arrays = load_tensors(path)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    try:
        snapshots.restore(trainer, Snapshot(_position(header["position"]), tensors))
        trainer.good = snapshots.take(trainer)
        if "good" in header:
            trainer.good = Snapshot(_position(header["good"]), snapshots.under(GOOD, tensors))
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{path} does not fit this run ({error}); train again with --overwrite, or restore the file"
        ) from error


def _position(saved: dict[str, Any]) -> Position:
    """
    Where training stood, every value of the type that it has at the start.

    Raises:
        TypeError: it is something else.
    """
    position = Position(**saved)
    for name, start in asdict(Position()).items():
        value = getattr(position, name)
        kinds = int | float if isinstance(start, float | list) else int
        numbers = value if isinstance(start, list) else [value]
        if not isinstance(numbers, list) or not all(isinstance(number, kinds) for number in numbers):
            raise TypeError(f"its {name} is {str(value)[:60]!r}")
    return position
