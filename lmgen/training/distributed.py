"""
Several processes that train one model, by torch.distributed: what they tell each other, and when.

    torchrun --nproc-per-node 2 -m lmgen train ...

Each process has the whole network, and the next columns of each batch for its own:

    batch of B = 4 streams      process 0: │ 0 1 │     its gradient, times its share of what is scored
                                process 1: │ 2 3 │     the sum of both is the gradient of the batch

So a stream stays with one process, which carries its state. All see whole batches and do the same accounts;
only forward and backward passes are divided. After each backward pass all gradients are added up, as one
buffer, with the loss; clipping and the optimiser then do the same in each process. What depends on a clock
or a signal is agreed on after each update. Process 0 alone prepares, prints and writes; meanwhile the others
wait for word from it, however long that takes.

A `Group` is a process on its own, for which all of this is nothing.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from lmgen.data.batches import Batch
from lmgen.errors import ConfigError, LostProcessError, lacks_memory
from lmgen.training import processes
from lmgen.training.processes import Place, own_place

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

UPDATE_TIMEOUT = timedelta(minutes=30)
"""The longest that one process may keep the others waiting between two updates, for a checkpoint, say."""

POLL = 0.1
"""Seconds after which a process that waits for word from the first one looks again."""

PARTING = 2.0
"""The most seconds that process 0 stays after an error, where the others look at it for what has happened."""

ENDED = "ended"
"""Key of the number of processes that have ended by an error or a signal."""

NONE, DENSE = -1, -2
"""What stands for no gradient and for a dense one, in place of the number of rows of a sparse one."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Part:
    """What a process computes of a batch."""

    batch: Batch
    share: float
    """Of the weights of all the batch's positions."""
    later_share: float
    """Of the weights of all positions but those of the first step."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What all processes know after an update."""

    seconds: float
    """How long it took the slowest."""
    stop: bool = False
    """Whether one of them was asked to stop."""
    save: bool = False
    """Whether a checkpoint is due."""


class Group:
    """The processes that train one model; of this class, one on its own."""

    rank = 0
    """The number of this process; 0 prepares, prints and writes."""
    size = 1

    def columns(self, streams: int) -> slice:
        """Which of B streams are those of this process."""
        return slice(self.rank * streams // self.size, (self.rank + 1) * streams // self.size)

    def streams(self, streams: int) -> int:
        """How many of B streams are those of this process."""
        return len(range(streams)[self.columns(streams)])

    def part(self, batch: Batch) -> Part:
        """What this process computes of a batch."""
        return Part(batch, 1.0, 1.0)

    def combine(self, parameters: Sequence[nn.Parameter], nats: Tensor, *, sparse: bool) -> Tensor:  # noqa: ARG002
        """
        Add up gradients, in place, and losses.

        Args:
            parameters: all that are trained; one may have no gradient here, or nowhere.
            nats: this process's part of the loss.
            sparse: whether some gradients may be sparse.

        Returns:
            The loss.
        """
        return nats

    def agree(self, seconds: float, *, stop: Callable[[], bool], save: Callable[[], bool]) -> Agreed:  # noqa: ARG002
        """Settle what depends on a clock or a signal; a process on its own looks at them itself."""
        return Agreed(seconds)

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        return flag

    def sum(self, values: Sequence[float]) -> list[float]:
        """Each of these numbers, added up over all processes."""
        return list(values)

    def rows(self, tensor: Tensor) -> Tensor:
        """The rows of all processes, of which each may have another number, one after another."""
        return tensor

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Give tensors the values that they have in process 0."""

    def tell(self, message: Mapping[str, Any]) -> None:
        """Tell all others something, if this is process 0."""

    def told(self) -> dict[str, Any]:
        """What process 0 tells next, as soon as it does."""
        raise RuntimeError("a process on its own is told nothing")

    def meet(self) -> None:
        """Wait for all others."""


ALONE = Group()
"""A process on its own."""


class Processes(Group):
    """Several processes that have met."""

    def __init__(self, place: Place, store: "Store") -> None:
        """
        Args:
            place: of this process.
            store: where they leave messages.
        """
        self.rank, self.size = place.rank, place.size
        self._store = store
        self._messages = count()
        self._buffer = torch.empty(0)

    def part(self, batch: Batch) -> Part:
        """This process's streams of a batch, of which there may be none."""
        columns, weights = self.columns(batch.inputs.shape[1]), batch.weights
        mine = Batch(
            np.ascontiguousarray(batch.inputs[:, columns]),
            np.ascontiguousarray(batch.targets[:, columns]),
            None if weights is None else np.ascontiguousarray(weights[:, columns]),
            None if batch.begins is None else batch.begins[columns],
            None if batch.text is None else np.ascontiguousarray(batch.text[:, columns]),
        )
        if weights is None:
            share = mine.inputs.shape[1] / batch.inputs.shape[1]
            return Part(mine, share, share)
        return Part(mine, _share(weights, columns), _share(weights[1:], columns))

    def combine(self, parameters: Sequence[nn.Parameter], nats: Tensor, *, sparse: bool) -> Tensor:
        """
        Add up gradients, which become parts of one buffer that the next call uses again.

        Behind them in the buffer it is counted in how many processes each parameter has a gradient, since an
        optimiser leaves a parameter without one alone.
        """
        if sparse:
            parameters = self._combine_sparse(parameters)
        pieces = [_flat(parameter) for parameter in parameters]
        present = [float(parameter.grad is not None) for parameter in parameters]
        pieces += [nats.new_tensor(present), nats.detach().view(1)]
        if self._buffer.numel() != sum(map(len, pieces)):
            self._buffer = torch.cat(pieces)
        else:
            torch.cat(pieces, out=self._buffer)
        self._try(lambda: dist.all_reduce(self._buffer))
        *sums, counts, loss = torch.split(self._buffer, [len(piece) for piece in pieces])
        for parameter, total, holders in zip(parameters, sums, counts.tolist(), strict=True):
            parameter.grad = total.view_as(parameter) if holders else None
        return loss.clone()[0]

    def _combine_sparse(self, parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
        """Add up sparse gradients, row by row; the parameters that have none but dense ones."""
        kinds = torch.tensor([_rows_of(parameter) for parameter in parameters])
        by_process = self.rows(kinds[None]).unbind(1)
        dense = []
        for parameter, found in zip(parameters, by_process, strict=True):
            if bool((found == DENSE).any()):
                if parameter.grad is not None:
                    parameter.grad = parameter.grad.to_dense()
                dense.append(parameter)
            elif bool((found >= 0).any()):
                parameter.grad = self._combined_rows(parameter)
        return dense

    def _combined_rows(self, parameter: nn.Parameter) -> Tensor:
        """The sum of the sparse gradients of a parameter."""
        gradient = parameter.grad
        if gradient is None:
            places = torch.zeros(0, dtype=torch.int64, device=parameter.device)
            values = parameter.detach()[:0]
        else:
            places, values = gradient.indices()[0], gradient.values()
        places, values = self.rows(places), self.rows(values)
        gathered = torch.sparse_coo_tensor(places[None], values, parameter.shape, check_invariants=False)
        return gathered.coalesce()

    def agree(self, seconds: float, *, stop: Callable[[], bool], save: Callable[[], bool]) -> Agreed:
        """Take the largest time, and a yes of any process."""
        values = torch.tensor([seconds, stop(), save()], dtype=torch.float64)
        self._try(lambda: dist.all_reduce(values, dist.ReduceOp.MAX))
        longest, stops, saves = values.tolist()
        return Agreed(longest, bool(stops), bool(saves))

    def any(self, flag: bool) -> bool:
        """Ask all."""
        return self.sum([flag])[0] > 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Add up, in double precision."""
        total = torch.tensor(values, dtype=torch.float64)
        self._try(lambda: dist.all_reduce(total))
        return total.tolist()

    def rows(self, tensor: Tensor) -> Tensor:
        """Gather the rows of all, padded to the longest on the way."""
        own = torch.tensor([len(tensor)])
        lengths = [torch.zeros_like(own) for _ in range(self.size)]
        self._try(lambda: dist.all_gather(lengths, own))
        counts = [int(length) for length in lengths]
        padded = tensor.new_zeros(max(counts), *tensor.shape[1:])
        padded[: len(tensor)] = tensor
        found = [torch.empty_like(padded) for _ in range(self.size)]
        self._try(lambda: dist.all_gather(found, padded))
        return torch.cat([rows[:length] for rows, length in zip(found, counts, strict=True)])

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Broadcast from process 0, all tensors of a kind at once."""
        kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        for tensor in tensors:
            kinds.setdefault((tensor.dtype, tensor.device), []).append(tensor.detach())
        for alike in kinds.values():
            buffer = torch.cat([tensor.reshape(-1) for tensor in alike])
            self._try(partial(dist.broadcast, buffer, 0))
            values_of_each = torch.split(buffer, [each.numel() for each in alike])
            for tensor, values in zip(alike, values_of_each, strict=True):
                tensor.copy_(values.view_as(tensor))

    def tell(self, message: Mapping[str, Any]) -> None:
        """Leave a message for the others."""
        key = f"message {next(self._messages)}"
        self._try(lambda: self._store.set(key, json.dumps(message)))

    def told(self) -> dict[str, Any]:
        """
        Wait for the next message; preparing a text may take hours.

        Raises:
            LostProcessError: a process has ended meanwhile.
        """
        key = f"message {next(self._messages)}"
        while not self._try(lambda: self._store.check([key])):  # its own wait() logs every time-out
            if self._try(lambda: self._store.add(ENDED, 0)):
                raise _lost()
            sleep(POLL)
        message: dict[str, Any] = json.loads(self._try(lambda: self._store.get(key)))
        return message

    def meet(self) -> None:
        """Wait for all others, which may still be about to read a message."""
        self.sum([0.0])

    def is_first_to_end(self) -> bool:
        """Whether this process is the first that ends by an error: it is the one to report it."""
        try:
            return bool(self._store.add(ENDED, 1) == 1)
        except RuntimeError:  # process 0 kept the messages and is gone
            return self.rank == 1

    def wait_for_ends(self) -> None:
        """If this process keeps the messages, give the others the time to see that it ends by an error."""
        if self.rank or os.environ.get("TORCHELASTIC_USE_AGENT_STORE"):  # torchrun keeps them itself
            return
        until = monotonic() + PARTING
        with suppress(RuntimeError):
            while self._store.add(ENDED, 0) < self.size and monotonic() < until:
                sleep(POLL)

    def _try(self, communicate: Callable[[], Result]) -> Result:
        """Communicate; where that fails, a process has ended, or is out of reach."""
        try:
            return communicate()
        except RuntimeError as error:
            if lacks_memory(error):
                raise
            raise _lost() from error


@contextmanager
def joined() -> Iterator[Group]:
    """
    Meet the other processes that torchrun has started, while the block runs; ALONE if there are none.

    Raises:
        ConfigError: they cannot meet.
    """
    place = own_place()
    if place.size == 1:
        yield ALONE
        return
    processes.note_beginning()
    group = _met(place)
    try:
        yield group
    except BaseException:
        processes.note_end(reports=group.is_first_to_end())  # before the others find this one gone
        if dist.get_backend() == "gloo":  # NCCL would wait for the others
            dist.destroy_process_group()
        group.wait_for_ends()
        raise
    else:
        processes.note_end(reports=group.rank == 0)
        dist.destroy_process_group()


_meetings = count()


def _met(place: Place) -> Processes:
    """Join the group of all processes; GPUs communicate by NCCL, each process has the one of its number."""
    from torch.distributed import PrefixStore  # type: ignore[attr-defined] # some builds of torch lack it
    from torch.distributed.rendezvous import rendezvous

    backend = "gloo"
    if torch.cuda.is_available() and dist.is_nccl_available():
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(min(place.local_rank, torch.cuda.device_count() - 1))
    try:
        store, rank, size = next(rendezvous("env://", timeout=UPDATE_TIMEOUT))
        restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # torchrun's store outlives a restart
        store = PrefixStore(f"lmgen {restarts} {next(_meetings)}", store)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=UPDATE_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"the {place.size} processes of this training cannot meet ({error}); start them by torchrun, "
            "which sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, or unset WORLD_SIZE to train in one"
        ) from error
    return Processes(place, store)


def _lost() -> LostProcessError:
    return LostProcessError(
        "another process of this training has ended or is out of reach, and so all end; once the run has "
        "begun, `--resume` goes on from its last checkpoint"
    )


def _share(weights: np.ndarray[Any, Any], columns: slice) -> float:
    """The share of some columns in all weights; 0 where all are 0."""
    total = float(weights.sum(dtype=np.float64))
    return float(weights[:, columns].sum(dtype=np.float64)) / total if total else 0.0


def _flat(parameter: nn.Parameter) -> Tensor:
    """The gradient of a parameter as one row of numbers; zeros where it has none."""
    gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return gradient.detach().reshape(-1)


def _rows_of(parameter: nn.Parameter) -> int:
    """How many rows a sparse gradient has, each once; NONE or DENSE for others."""
    if parameter.grad is None:
        return NONE
    if not parameter.grad.is_sparse:
        return DENSE
    parameter.grad = parameter.grad.coalesce()
    return len(parameter.grad.values())
