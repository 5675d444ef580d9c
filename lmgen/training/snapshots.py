"""
Where training stands, as tensors: what a checkpoint writes down and what a rollback goes back to.

A snapshot is complete: going on from it gives, bit for bit, what going on gave when it was taken.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmgen.training.optimization.averaging import average_tensors, restored_average

if TYPE_CHECKING:
    from lmgen.training.loop import Position, Trainer


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A moment between two updates."""

    position: "Position"
    tensors: Mapping[str, Tensor]
    """Weights, their average, the optimiser's moments, carried state and torch's random state, by name."""


def view(trainer: "Trainer") -> Snapshot:
    """Where a trainer stands now; its tensors are the trainer's own and change with the next update."""
    tensors: dict[str, Tensor] = {}
    tensors |= {f"parameters.{name}": value.detach() for name, value in trainer.network.named_parameters()}
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
    return Snapshot(trainer.position, tensors)


def take(trainer: "Trainer") -> Snapshot:
    """A copy of where a trainer stands now, on the device where it trains."""
    now = view(trainer)
    return Snapshot(deepcopy(now.position), _copies(now.tensors))


def restore(trainer: "Trainer", snapshot: Snapshot) -> None:
    """
    Put a trainer where the snapshot was taken; the snapshot can be used again.

    Raises:
        KeyError, IndexError, ValueError, RuntimeError: it is of a run with other settings.
    """
    tensors = _copies(snapshot.tensors)  # an optimiser works on the very tensors that it is given
    trainer.position = deepcopy(snapshot.position)
    trainer.network.load_state_dict(under("parameters.", tensors))
    _restore_optimizer(trainer.optimizer, under("optimizer.", tensors))
    trainer.average = restored_average(under("average.", tensors), trainer.network, trainer.config.ema)
    trainer.carried = tuple(
        tuple(_fitting(tensors[f"carried.{layer}.{part}"], zeros) for part, zeros in enumerate(parts))
        for layer, parts in enumerate(trainer.network.initial_state(trainer.windows.streams))
    )
    torch.set_rng_state(tensors["random.cpu"])
    if trainer.network.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random.cuda"])


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        if tensor.ndim and tensor.shape != parameters[int(index)].shape:  # fused kernels would not notice
            raise ValueError(f"{key} of parameter {index} has shape {tuple(tensor.shape)}")
        moments.setdefault(int(index), {})[key] = tensor
    saved = optimizer.state_dict()
    saved["state"] = moments
    optimizer.load_state_dict(saved)


def _fitting(tensor: Tensor, like: Tensor) -> Tensor:
    """The tensor on the device of `like`, whose shape it has to have."""
    if tensor.shape != like.shape:
        raise ValueError(
            f"a carried state has shape {tuple(tensor.shape)} where {tuple(like.shape)} is needed"
        )
    return tensor.to(like)
