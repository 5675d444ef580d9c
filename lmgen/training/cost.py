"""
What a run will cost, measured on its own first updates, so that measuring costs nothing and changes nothing.

Time is that of updates alone, without evaluations. The first update, slower than all others, is left out.
"""

import sys

import torch

from lmgen.training.budget import Progress
from lmgen.training.events import CostMeasured, Evaluated, RolledBack, Stepped
from lmgen.training.loop import Trainer
from lmgen.training.state import under

UPDATES, SECONDS = 20, 1.0
"""The measurement takes at least this many updates and this long."""

MOST_SECONDS = 3.0
"""The measurement ends after this time even if there were fewer updates."""


class CostMeter:
    """Follows a trainer's events until the cost of its run is known."""

    def __init__(self, trainer: Trainer) -> None:
        """Args: trainer, before its first update or about to continue."""
        self._trainer = trainer
        self._begin = self._warm = trainer.progress
        self._known = False

    def after(self, event: Stepped | Evaluated | RolledBack) -> CostMeasured | None:
        """The cost, once: after enough updates, or at the first regular evaluation if that comes earlier."""
        if self._known:
            return None
        now = self._trainer.progress
        if isinstance(event, RolledBack):
            self._begin = self._warm = now
        if now.step == self._begin.step:
            return None
        if self._warm is self._begin:
            self._warm = now
        seconds = now.seconds - self._warm.seconds
        enough = now.step - self._warm.step >= UPDATES and seconds >= SECONDS
        is_regular = isinstance(event, Evaluated) and not event.early
        if not (enough or seconds >= MOST_SECONDS or is_regular):
            return None
        self._known = True
        return _cost(self._trainer, self._warm if now.step > self._warm.step else self._begin, now)


def _cost(trainer: Trainer, before: Progress, now: Progress) -> CostMeasured:
    """Extrapolate from the updates between two moments to the end of the budget."""
    seconds = now.seconds - before.seconds
    left = (1 - now.spent) / (now.spent - before.spent)
    return CostMeasured(
        parameters=trainer.state.network.parameter_count,
        memory_bytes=_memory_bytes(trainer),
        tokens_per_second=(now.tokens - before.tokens) / seconds,
        steps=round(now.step + left * (now.step - before.step)),
        epochs=now.epochs + left * (now.epochs - before.epochs),
        seconds=now.seconds + left * seconds,
        seconds_left=left * seconds,
    )


def _memory_bytes(trainer: Trainer) -> int | None:
    """
    The peak memory of training: what has been used so far, and what snapshots to roll back to will add.

    Two snapshots exist for a moment, each as large as a checkpoint; so far there is one, of weights alone.
    """
    tensors = trainer.state.tensors()
    state = sum(tensor.nbytes for tensor in tensors.values())
    weights = sum(tensor.nbytes for tensor in under("parameters.", tensors).values())
    used = _used_bytes(trainer.state.device)
    return None if used is None else used + 2 * state - weights


def _used_bytes(device: torch.device) -> int | None:
    """Peak memory so far, of the GPU or of this process; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
