"""
All that a resumed run needs, as one .safetensors file: `last/training.safetensors`.

Weights, their average, the optimiser's moments, torch's random state and the carried hidden state as
tensors; where training stands (`Position`) as JSON in the header. Never pickle, never torch.load.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmgen.errors import ModelError
from lmgen.models.model_file import load_tensors, save_tensors
from lmgen.training.averaging import average_tensors, restored_average
from lmgen.training.loop import Position, Trainer

Arrays = Mapping[str, np.ndarray]


def save_checkpoint(path: Path, trainer: Trainer) -> None:
    """
    Write where training stands, whole or not at all.

    Raises:
        LmgenError: the file cannot be written.
    """
    header = {"kind": "training", "position": asdict(trainer.position)}
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in _tensors(trainer).items()}
    save_tensors(path, tensors, header)


def load_checkpoint(path: Path, trainer: Trainer) -> None:
    """
    Put a new trainer of the same run where the saved one stood.

    Raises:
        ModelError: the file is missing, damaged, or of a run with other settings.
    """
    header, arrays = load_tensors(path)
    try:
        _restore(trainer, header, arrays)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{path} does not fit this run ({error}); train again with --overwrite, or restore the file"
        ) from error


def _tensors(trainer: Trainer) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    tensors |= {f"parameters.{name}": value for name, value in trainer.network.named_parameters()}
    for index, moments in trainer.optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer.{index}.{name}": value for name, value in moments.items() if isinstance(value, Tensor)
        }
    tensors |= {f"average.{name}": value for name, value in average_tensors(trainer.average).items()}
    for layer, parts in enumerate(trainer.carried):
        tensors |= {f"carried.{layer}.{part}": value for part, value in enumerate(parts)}
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    return tensors


def _restore(trainer: Trainer, header: Mapping[str, Any], arrays: Arrays) -> None:
    device = trainer.network.embedding.device
    trainer.position = Position(**header["position"])
    trainer.network.load_state_dict(
        {name: torch.from_numpy(array) for name, array in _under("parameters.", arrays).items()}
    )
    _restore_optimizer(trainer.optimizer, _under("optimizer.", arrays))
    averaged = {name: torch.from_numpy(array) for name, array in _under("average.", arrays).items()}
    trainer.average = restored_average(averaged, trainer.network, trainer.config.ema)
    trainer.carried = tuple(
        tuple(_fitting(arrays[f"carried.{layer}.{part}"], zeros) for part, zeros in enumerate(parts))
        for layer, parts in enumerate(trainer.network.initial_state(trainer.windows.streams))
    )
    torch.set_rng_state(torch.from_numpy(arrays["random.cpu"]))
    if device.type == "cuda":
        torch.cuda.set_rng_state(torch.from_numpy(arrays["random.cuda"]))


def _restore_optimizer(optimizer: torch.optim.Optimizer, arrays: Arrays) -> None:
    moments: dict[int, dict[str, Any]] = {}
    for name, array in arrays.items():
        index, _, key = name.partition(".")
        moments.setdefault(int(index), {})[key] = torch.from_numpy(array)
    saved = optimizer.state_dict()
    saved["state"] = moments
    optimizer.load_state_dict(saved)


def _fitting(array: np.ndarray, like: Tensor) -> Tensor:
    """The array as a tensor of the same shape, type and device as `like`."""
    if array.shape != like.shape:
        raise ValueError(f"a carried state has shape {array.shape} where {tuple(like.shape)} is needed")
    return torch.from_numpy(array).to(like)


def _under(prefix: str, arrays: Arrays) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
