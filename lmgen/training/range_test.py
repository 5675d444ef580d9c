"""
The learning-rate range test: one short run tries all rates, from far too low to far too high (Smith 2017).

The rate rises exponentially while a network trains from its beginning; the loss first falls, then rises. The
valley is where the loss is nearly lowest. The suggestion is half of the geometric mean of the rates in it,
which was chosen by measurement (benchmarks/results/learning-rate.md). The usual choice is where the loss
falls most steeply, but there a network only learns how frequent each token is, which takes far less.
"""

from collections.abc import Sequence
from statistics import geometric_mean

from lmgen.errors import NumericalError
from lmgen.training.budget import Budget
from lmgen.training.events import RangePoint, RangeTest, Stepped
from lmgen.training.loop import Trainer
from lmgen.training.optimization.schedules import scheduled

SPAN = 100.0
"""The rates lie between the default divided by this and the default times this."""

MOST_UPDATES, FEWEST_UPDATES = 200, 50
"""Bounds on how many rates are tried, one an update."""

SHARE = 0.1
"""Share of the budget that the test may take, if that is more than `FEWEST_UPDATES`."""

TIMED_UPDATES = 5
"""Updates at the lowest rate, before the test, that tell which share of the budget an update takes."""

DIVERGED = 2.0
"""The test ends when the smoothed loss is this many times its lowest value."""

VALLEY = 1.05
"""The valley is where the smoothed loss is at most this many times its lowest value."""

SUGGESTED = 0.5
"""The suggestion as a share of the middle of the valley."""


def range_test(trainer: Trainer) -> RangeTest:
    """
    Train at rising rates until the loss diverges.

    Args:
        trainer: before its first update; it is used up. Its budget bounds the test.

    Raises:
        NumericalError: the loss is not finite even at the lowest rates.
    """
    default = trainer.highest_rate
    lowest = default / SPAN
    count = _updates(trainer.planned(scheduled(trainer.config, lowest)))
    rates = [lowest, *(default * SPAN ** (2 * place / (count - 1) - 1) for place in range(1, count))]
    first = trainer.progress.step
    rising = trainer.planned(lambda step, _spent, _nats: rates[step - first], Budget())
    losses: list[float] = []
    for event in rising.run():
        if not isinstance(event, Stepped) or _diverged(losses, count):
            break
        losses.append(event.nats_per_token)
        if len(losses) == count:
            break
    if not losses:
        raise NumericalError(f"the loss is no finite number even at a learning rate of {lowest:.2g}")
    return _result(rates[: len(losses)], losses, count)


def _updates(trainer: Trainer) -> int:
    """How many updates the test takes, by the share of the budget that the first ones take."""
    share = 1.0
    for event in trainer.run():
        if not isinstance(event, Stepped):
            break
        if event.step == TIMED_UPDATES:
            share = event.progress
            break
    return int(min(MOST_UPDATES, max(FEWEST_UPDATES, TIMED_UPDATES / share * SHARE)))


def _diverged(losses: Sequence[float], count: int) -> bool:
    smoothed = _smoothed(losses, count)
    return bool(smoothed) and smoothed[-1] > DIVERGED * min(smoothed)


def _result(rates: Sequence[float], losses: Sequence[float], count: int) -> RangeTest:
    smoothed = _smoothed(losses, count)
    valley = [rate for rate, nats in zip(rates, smoothed, strict=True) if nats <= VALLEY * min(smoothed)]
    return RangeTest(
        points=tuple(map(RangePoint, rates, losses, smoothed)),
        learning_rate=float(f"{SUGGESTED * geometric_mean(valley):.2g}"),
    )


def _smoothed(losses: Sequence[float], count: int) -> list[float]:
    """Means of each loss and its neighbours, a fortieth of the test to either side."""
    reach = count // 40
    around = [losses[max(0, place - reach) : place + reach + 1] for place in range(len(losses))]
    return [sum(part) / len(part) for part in around]
