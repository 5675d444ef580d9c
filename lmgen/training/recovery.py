"""
What counts as a failed update, and how training is rolled back from one.

Gradients can grow exponentially with the number of steps they flow back through (Bengio, Simard and Frasconi
1994). Clipping handles most of it. It cannot handle a loss or gradient that is NaN or infinite, nor weights
thrown so far off that the gradient is of another order of magnitude. Training then returns to its last good
state and continues with half the learning rate.
"""

from collections.abc import Sequence
from math import isfinite, log
from statistics import median

import torch

from lmgen.errors import NumericalError
from lmgen.training.network import Network
from lmgen.training.state import Snapshot, TrainingState

GOOD_STATE_STEPS = 100
"""Updates between two snapshots to roll back to. A snapshot costs less time than an update."""

EXPLODED = 100.0
"""
A gradient has exploded if its norm is above this, and above this many times the running median.

Over 300 updates of every cell, at learning rates up to a hundred times the best, no norm of a run that still
learned was more than 5 times the median.
"""

MEDIAN_NORMS = 100
"""How many of the last gradient norms the running median is of."""

FEWEST_NORMS = 20
"""Updates before a gradient can count as exploded: the first norms are larger than later ones."""


def check_update(nats: float, gradient_norm: float, norms: Sequence[float], place: str) -> None:
    """
    Refuse an update that would do harm.

    Args:
        nats: the loss of a batch, nats per token.
        gradient_norm: before clipping.
        norms: those of the updates before, `MEDIAN_NORMS` at most.
        place: when it happened, for the message.

    Raises:
        NumericalError: the loss or the gradient is not finite, or the gradient has exploded.
    """
    if not isfinite(nats):
        raise NumericalError(f"the loss is no longer a finite number {place}")
    if not isfinite(gradient_norm):
        raise NumericalError(f"the gradient is no longer a finite number {place}")
    if len(norms) < FEWEST_NORMS or gradient_norm <= EXPLODED:
        return
    usual = median(norms)
    if gradient_norm > EXPLODED * usual:
        raise NumericalError(f"the gradient is {gradient_norm / usual:,.0f} times as long as usual {place}")


def check_weights(network: Network, place: str) -> None:
    """
    Refuse to keep a network that predicts nothing, where no validation text would show it.

    Raises:
        NumericalError: a weight is not a finite number.
    """
    if not all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values()):
        raise NumericalError(f"the weights are no longer finite numbers {place}")


def is_good(nats: float, vocabulary_size: int) -> bool:
    """Whether a loss, nats per token, is not far above that of a uniform prediction, ln V."""
    return nats <= 2 * log(vocabulary_size)


def snapshot_if_due(state: TrainingState) -> Snapshot | None:
    """Every `GOOD_STATE_STEPS` updates a snapshot, which is good if the next update goes well."""
    step = state.position.step
    if step % GOOD_STATE_STEPS or step == state.good.position.step:
        return None
    return state.copy()


def rate_after(learning_rate: float, rollbacks: int) -> float:
    """A learning rate, halved for each rollback."""
    return learning_rate * 0.5**rollbacks


def roll_back(state: TrainingState) -> None:
    """Restore the last good state and count a rollback; the time and tokens that were undone stay spent."""
    undone = state.position
    state.restore(state.good)
    position = state.position
    position.seconds, position.tokens = undone.seconds, undone.tokens
    position.rollbacks = undone.rollbacks + 1
    position.crossed = False
