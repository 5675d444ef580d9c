"""
All there is to know between two updates: what a checkpoint writes down and what a rollback restores.

Weights, the optimiser's moments, averaged weights, the hidden state carried from batch to batch, the position
in the text with its running sums, and the state of the random number generators. Continuing from a snapshot
of it gives, bit for bit, what continuing gave when it was taken.

The names of its tensors, which are also those in `last/training.safetensors`:

    parameters.NAME         weights, and the running statistics of batch normalisation
    optimizer.INDEX.NAME    moments of the parameter with that index
    average.NAME            averaged weights and how many were averaged, once averaging has begun
    carried.LAYER.PART      hidden state
    random.cpu, random.cuda state of torch's generators; the second only where the network trains on a GPU
    scaler.NAME             the scale of the loss in 16 bits (precision.py)
    random.RANK.cpu, ...    those of the other processes, where several train together (distributed.py)

In a checkpoint `carried` has the streams of all processes. So it does not matter to it how many there are:
another number goes on from the same place, with other random numbers.
"""

import re
import zlib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from lmgen.arrays import BoolArray
from lmgen.models.network.layer import NetworkState
from lmgen.training.distributed import ALONE, Group
from lmgen.training.network import Network
from lmgen.training.optimization.averaging import average_tensors, begin_average, restored_average
from lmgen.training.position import Position
from lmgen.training.precision import Precision


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a training state."""

    position: Position
    tensors: Mapping[str, Tensor]
    """By the names at the top of state.py."""


class TrainingState:
    """
    Everything that an update changes.

    A trainer (loop.py) advances it; checkpoints.py saves and loads it.
    """

    def __init__(
        self,
        network: Network,
        optimizer: torch.optim.Optimizer,
        streams: int,
        average_decay: float | None = None,
        group: Group = ALONE,
        precision: str = "float32",
    ) -> None:
        """
        Start before the first update.

        Args:
            network: trained in place, on the device it is on.
            optimizer: of the network's parameters.
            streams: B of the first batch.
            average_decay: of a moving average of the weights, which begins with the first update; None: none.
            group: the processes that train together; this one carries its own streams.
            precision: the number format, by its name.
        """
        self.group = group
        self.network = network
        self.optimizer = optimizer
        self.precision = Precision(precision, self.device)
        self.average: AveragedModel | None = None
        self._streams = group.streams(streams)
        self.carried = network.initial_state(self._streams)
        self.position = Position()
        self._average_decay = average_decay
        self.good = self.copy()
        """What a rollback restores (recovery.py)."""

    @property
    def device(self) -> torch.device:
        """Where the network trains."""
        return next(self.network.parameters()).device

    @property
    def result(self) -> Network:
        """The network to evaluate and save: with averaged weights once averaging has begun."""
        return self.network if self.average is None else cast(Network, self.average.module)

    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by name, shared: those of the network and optimiser change with the next update."""
        tensors: dict[str, Tensor] = {}
        tensors |= {f"parameters.{name}": value for name, value in self.network.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {
                f"optimizer.{index}.{name}": value
                for name, value in moments.items()
                if isinstance(value, Tensor)
            }
        tensors |= {f"average.{name}": value for name, value in average_tensors(self.average).items()}
        for layer, parts in enumerate(self.carried):
            tensors |= {f"carried.{layer}.{part}": value for part, value in enumerate(parts)}
        tensors |= {f"scaler.{name}": value for name, value in self.precision.tensors().items()}
        return tensors | random_states(self.device)

    def copy(self) -> Snapshot:
        """A snapshot that later updates leave alone, its tensors on the device where they are."""
        return Snapshot(deepcopy(self.position), _clones(self.tensors()))

    def restore(self, snapshot: Snapshot) -> None:
        """
        Return to where a snapshot was taken, on this machine's device or another; it can be used again.

        Raises:
            KeyError, IndexError, ValueError, RuntimeError: the snapshot is of a run with other settings.
        """
        tensors = _clones(snapshot.tensors)  # an optimiser updates the very tensors that it is given
        self.position = deepcopy(snapshot.position)
        self.network.load_state_dict(under("parameters.", tensors))
        _restore_optimizer(self.optimizer, under("optimizer.", tensors))
        self.average = restored_average(under("average.", tensors), self.network, self._average_decay)
        self.carried = tuple(
            tuple(_fitting(tensors[f"carried.{layer}.{part}"], zeros) for part, zeros in enumerate(parts))
            for layer, parts in enumerate(self.network.initial_state(self._streams))
        )
        self.precision.restore(under("scaler.", tensors))
        restore_random_states(tensors, self.device)

    def equalize(self) -> None:
        """
        Take the weights and moments of process 0, where several train together.

        They are the same anyway on processors of one kind; others may round differently, and drift apart.
        """
        own = ("carried.", "random.")
        shared = [tensor for name, tensor in sorted(self.tensors().items()) if not name.startswith(own)]
        self.group.spread(shared)

    def starting_state(self, begins: BoolArray) -> NetworkState:
        """
        The hidden state that the next batch starts from.

        Args:
            begins: the streams of that batch that start from zeros, (B,); the others continue those before.
        """
        if begins.all():
            return self.network.initial_state(len(begins))
        if not begins.any():
            return self.carried
        restarting = torch.from_numpy(begins).to(self.device)
        return tuple(
            tuple(part.masked_fill(restarting.view(-1, *[1] * (part.ndim - 1)), 0.0) for part in layer)
            for layer in self.carried
        )

    def begin_epoch(self) -> None:
        """Go to the next epoch's first batch, from zeros: the end of a text says nothing of its start."""
        self.position.epoch += 1
        self.position.window = 0
        self.carried = self.network.initial_state(self._streams)

    def begin_average(self) -> None:
        """Average the weights from here on."""
        self.average = begin_average(self.network, self._average_decay)

    def update_average(self) -> None:
        """Add the weights after an update to their average; a moving average begins with the first."""
        if self.average is not None:
            self.average.update_parameters(self.network)
        elif self._average_decay is not None:
            self.begin_average()

    def forget_best(self) -> None:
        """Compare later evaluations no more with those so far: the best model is lost."""
        self.position.lost = len(self.position.validation_nats) - self.position.evaluated
        self.good.position.lost = len(self.good.position.validation_nats)


def whole(tensors: Mapping[str, Tensor], group: Group) -> dict[str, Tensor]:
    """
    The tensors of a state with what only other processes have of it: their streams and generators.

    All processes have to call this together.
    """
    found = dict(tensors)
    if group.size == 1:
        return found
    for name in [name for name in tensors if name.startswith("carried.")]:
        found[name] = group.rows(tensors[name])
    for name in [name for name in tensors if name.startswith("random.")]:
        kind = name.removeprefix("random.")
        first, *others = group.rows(tensors[name][None])
        found |= {name: first} | {f"random.{rank}.{kind}": each for rank, each in enumerate(others, start=1)}
    return found


def processes_of(tensors: Mapping[str, Tensor]) -> int:
    """How many processes a whole state is of."""
    return 1 + sum(re.fullmatch(r"random\.\d+\.cpu", name) is not None for name in tensors)


def part_of(tensors: Mapping[str, Tensor], group: Group) -> dict[str, Tensor]:
    """
    What this process has of a whole state.

    If it is of another number of processes, all but the first seed their generators from that of the first.
    """
    own = {name: tensor for name, tensor in tensors.items() if not re.match(r"random\.\d", name)}
    if group.size == 1:
        return own
    for name in [name for name in own if name.startswith("carried.")]:
        own[name] = own[name][group.columns(len(own[name]))]
    if group.rank and processes_of(tensors) == group.size:
        prefix = f"random.{group.rank}."
        return own | {f"random.{kind}": state for kind, state in under(prefix, tensors).items()}
    if group.rank and "random.cpu" in own:
        own.pop("random.cuda", None)
        seed = zlib.crc32(own["random.cpu"].numpy().tobytes(), group.rank)
        own["random.cpu"] = torch.Generator().manual_seed(seed).get_state()
    return own


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of the generators that training on a device draws from, by name."""
    states = {"random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["random.cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random_states(tensors: Mapping[str, Tensor], device: torch.device) -> None:
    """
    Restore what `random_states` gave, on a machine with a GPU or without.

    A run that comes from a CPU has no state for the GPU's generator, which is then seeded from the CPU's.

    Raises:
        KeyError: there is no state of the CPU's generator.
    """
    torch.set_rng_state(tensors["random.cpu"])
    if device.type != "cuda":
        return
    if "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"])
    else:
        torch.cuda.manual_seed(zlib.crc32(tensors["random.cpu"].numpy().tobytes()))


def _clones(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """
    Give an optimiser its moments, named `INDEX.NAME`; `load_state_dict` moves them to its parameters' device.

    Raises:
        IndexError, ValueError: they are of other parameters.
    """
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
    """
    The tensor on the device of `like`; the number of streams may differ from batch to batch.

    Raises:
        ValueError: their shapes differ otherwise.
    """
    if tensor.shape[1:] != like.shape[1:]:
        raise ValueError(
            f"a carried state has shape {tuple(tensor.shape)} where {tuple(like.shape)} is needed"
        )
    return tensor.to(like)
