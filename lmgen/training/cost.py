"""
What a run will cost, measured on its own first updates: so it costs nothing and changes nothing.

Time is that of updates alone, as everywhere; evaluations come on top of it.
"""

import sys
from dataclasses import dataclass

import torch

from lmgen.training import snapshots
from lmgen.training.events import CostMeasured, Evaluated, RolledBack, Stepped
from lmgen.training.loop import Trainer

UPDATES, SECONDS = 20, 1.0
"""Measured are so many updates, and for so long, after a first one that is slower than all others ..."""

MOST_SECONDS = 3.0
"""... but only for so long where updates are slow."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far training was at a moment."""

    step: int
    epochs: float
    tokens: int
    seconds: float
    progress: float


class CostMeter:
    """Listens to a trainer's events until it knows."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._begin = self._warm = _mark(trainer)
        self._known = False

    def after(self, event: Stepped | Evaluated | RolledBack) -> CostMeasured | None:
        """The cost, once: after enough updates, or at the first evaluation if that comes before."""
        if self._known:
            return None
        now = _mark(self._trainer)
        if isinstance(event, RolledBack):
            self._begin = self._warm = now
        if now.step == self._begin.step:
            return None
        if self._warm is self._begin:
            self._warm = now
        seconds = now.seconds - self._warm.seconds
        enough = now.step - self._warm.step >= UPDATES and seconds >= SECONDS
        if not (enough or seconds >= MOST_SECONDS or isinstance(event, Evaluated)):
            return None
        self._known = True
        return _cost(self._trainer, self._warm if now.step > self._warm.step else self._begin, now)


def _mark(trainer: Trainer) -> _Mark:
    position = trainer.position
    return _Mark(position.step, trainer.epochs, position.tokens, position.seconds, trainer.progress)


def _cost(trainer: Trainer, before: _Mark, now: _Mark) -> CostMeasured:
    """All that is left will go as the updates between the two marks."""
    seconds = now.seconds - before.seconds
    left = (1 - now.progress) / (now.progress - before.progress)
    return CostMeasured(
        parameters=trainer.network.parameter_count,
        memory_bytes=_memory_bytes(trainer),
        tokens_per_second=(now.tokens - before.tokens) / seconds,
        steps=round(now.step + left * (now.step - before.step)),
        epochs=now.epochs + left * (now.epochs - before.epochs),
        seconds=now.seconds + left * seconds,
        seconds_left=left * seconds,
    )


def _memory_bytes(trainer: Trainer) -> int | None:
    """
    The most memory that training will have used: what it has, and what good states are going to take.

    Two of them are held for a moment, each as large as a checkpoint; as yet there is one of weights alone.
    """
    tensors = snapshots.view(trainer).tensors
    state = sum(tensor.nbytes for tensor in tensors.values())
    weights = sum(tensor.nbytes for tensor in snapshots.under("parameters.", tensors).values())
    used = _used_bytes(trainer.network.device)
    return None if used is None else used + 2 * state - weights


def _used_bytes(device: torch.device) -> int | None:
    """The most memory used so far: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
