"""
Which learning rate? One short run tries them all, from far too low to far too high (Smith 2017).

The rate rises exponentially while a network trains from its beginning; the loss first falls, then rises. What
is suggested is half of the rate in the middle of the valley, the geometric mean of the rates with nearly the
lowest loss. That was chosen by measurement (benchmarks/results/learning-rate.md). The usual choice is where
the loss falls most steeply: there a network learns how frequent each token is, which takes far less.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import geometric_mean

from lmgen.errors import NumericalError
from lmgen.training.config import TrainingConfig
from lmgen.training.events import RangePoint, RangeTest, Stepped
from lmgen.training.loop import Trainer

SPAN = 100.0
"""The rates are from the default divided by this to the default times this."""

MOST_UPDATES, FEWEST_UPDATES = 200, 50
"""How many rates are tried, one an update."""

SHARE = 0.1
"""How much of the budget the test may take beyond the fewest updates; it is not counted as spent."""

TIMED_UPDATES = 5
"""The first ones, at the lowest rate: they tell how long an update takes."""

ENDLESS_EPOCHS = 1e9

DIVERGED = 2.0
"""The test ends where the loss, smoothed, is so many times its lowest."""

VALLEY = 1.05
"""The valley is where the loss, smoothed, is at most so many times its lowest."""

SUGGESTED = 0.5
"""The suggestion's share of the valley's middle."""


def range_test(trainer: Trainer) -> RangeTest:
    """
    Train at rising rates until the loss diverges.

    Args:
        trainer: a fresh one, with the budget that bounds the test; it is used up.

    Raises:
        NumericalError: the loss is not finite even at the lowest rates.
    """
    default = trainer.highest_rate
    trainer.highest_rate = default / SPAN
    count = _updates(trainer)
    trainer.config = _endless(trainer.config)
    trainer.position.crossed = False  # there are no evaluations in a test
    rates: list[float] = []
    losses: list[float] = []
    for event in trainer.run():
        if not isinstance(event, Stepped) or _diverged(losses, count):
            break
        rates.append(trainer.highest_rate)
        losses.append(event.nats_per_token)
        if len(losses) == count:
            break
        trainer.highest_rate = default * SPAN ** (2 * len(losses) / (count - 1) - 1)
    if not losses:
        raise NumericalError(f"the loss is no finite number even at a learning rate of {default / SPAN:.2g}")
    return _result(rates, losses, count)


def _updates(trainer: Trainer) -> int:
    """How many updates the budget allows, by the time that the first ones take."""
    share = 1.0
    for event in trainer.run():
        if not isinstance(event, Stepped):
            break
        if event.step == TIMED_UPDATES:
            share = event.progress
            break
    return int(min(MOST_UPDATES, max(FEWEST_UPDATES, TIMED_UPDATES / share * SHARE)))


def _endless(config: TrainingConfig) -> TrainingConfig:
    """The same without a budget, and without anything that moves the learning rate."""
    constant = replace(config, schedule="constant", warmup=0.0, patience=None)
    return replace(constant, epochs=ENDLESS_EPOCHS, steps=None, minutes=None)


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
    """Means over an update and its neighbours, a fortieth of the test to either side."""
    reach = count // 40
    around = [losses[max(0, place - reach) : place + reach + 1] for place in range(len(losses))]
    return [sum(part) / len(part) for part in around]
