"""
Runs that learn their text by heart: the loss on the training text falls, that on other text rises.

The model of the best evaluation is kept whatever happens later, so nothing is lost but time. A run goes on
all the same, since a falling learning rate may still help; whoever watches it is told.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmgen.runs.events import Overfitting
from lmgen.training.events import Evaluated, RolledBack, Stepped

LAST = 3
"""So many evaluations in a row have to be worse than the best one ..."""

RISEN = 1.05
"""... by this factor on its loss, which is more than luck or a high learning rate makes."""

FIGURES = ("epoch", "train_nats_per_token", "valid_nats_per_token")
"""What a line of `metrics.jsonl` has to have; without validation text, or damaged, it tells nothing."""


class OverfittingWatch:
    """Follows the events of a call and tells once in it that the run is long past its best."""

    def __init__(self, written: Iterable[Mapping[str, Any]] = ()) -> None:
        """Args: written, the lines of `metrics.jsonl` of a run that goes on, of models that it still has."""
        self._lines = list(written)
        self._has_told = False

    def after(self, event: Stepped | Evaluated | RolledBack) -> Overfitting | None:
        """What there is to tell after an event, once."""
        if isinstance(event, RolledBack):
            self._lines = [line for line in self._lines if line["step"] <= event.step]
        if self._has_told or not isinstance(event, Evaluated):
            return None
        self._lines.append(event.to_json())
        found = overfitting(self._lines)
        self._has_told = found is not None
        return found


def overfitting(evaluations: Sequence[Mapping[str, Any]]) -> Overfitting | None:
    """
    Whether a run is past its best, by its evaluations so far.

    It is if the last ones are all a good deal worse than the best one, while the training loss fell.

    Args:
        evaluations: lines of `metrics.jsonl`.
    """
    known = [line for line in evaluations if all(isinstance(line.get(name), float) for name in FIGURES)]
    if len(known) <= LAST:
        return None
    best = min(known, key=_valid)
    last = known[-LAST:]
    if min(map(_valid, last)) < RISEN * _valid(best) or _train(last[-1]) >= _train(best):
        return None
    return Overfitting(best["step"], best["epoch"], last[-1]["epoch"])


def _valid(line: Mapping[str, Any]) -> float:
    return float(line["valid_nats_per_token"])


def _train(line: Mapping[str, Any]) -> float:
    return float(line["train_nats_per_token"])
