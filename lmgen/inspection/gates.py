"""
How often gates are nearly open or nearly closed over a text.

The figure of Karpathy, Johnson and Fei-Fei 2015 (section 4.3, "gate saturation"): for each gate and unit the
share of tokens at which it is above 0.9, and the share at which it is below 0.1. Each unit is a point. A
forget gate that is always open makes a unit that sums up; one that is always closed, a unit without memory.

What is written (`candidate`) is no gate, since it opens nothing; it is left out.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lmgen.arrays import Float64Array
from lmgen.errors import ModelError
from lmgen.inspection.states import StateReader
from lmgen.inspection.texts import Block

OPEN, CLOSED = 0.9, 0.1
"""A gate is nearly open above the one value, and nearly closed below the other."""

WRITTEN = "candidate"
"""The name of what is written, among the gates of the cells' equations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateShare:
    """How often a gate of one unit is nearly open or closed."""

    layer: str
    """Such as `layers.0`."""
    gate: str
    unit: int
    open: float
    """The share of tokens at which it is above 0.9."""
    closed: float
    """The share of tokens at which it is below 0.1."""
    mean: float

    def values(self) -> dict[str, Any]:
        """The values by the names of the columns."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSummary:
    """The same for all units of a gate."""

    layer: str
    gate: str
    units: int
    """How many units were looked at."""
    open: float
    """Mean of the units' shares."""
    closed: float
    mean: float
    always_open: int
    """How many units are nearly open at every token."""
    always_closed: int
    """How many are nearly closed at every token."""

    def values(self) -> dict[str, Any]:
        """The values by the names of the columns."""
        return asdict(self)


def gate_shares(reader: StateReader, blocks: Iterable[Block]) -> list[GateShare]:
    """
    How often each selected gate of each unit is nearly open or closed over a text.

    Raises:
        ModelError: no gate is selected, or the network has none.
    """
    names = [name for name in reader.units if name in reader.gates and not name.endswith(f".{WRITTEN}")]
    if not names:
        raise ModelError(
            "there are no gates among these states; vanilla networks have none, and the names of others are "
            "in `lmgen info --cells`"
        )
    tokens = 0
    sums = {name: np.zeros((3, len(reader.units[name]))) for name in names}
    for read in reader.read(blocks):
        tokens += len(read.block.ids)
        for name in names:
            sums[name] += _counted(read.series[name])
    return [
        GateShare(layer=layer, gate=gate, unit=unit, open=opened, closed=closed, mean=mean)
        for name in names
        for layer, _, gate in [name.rpartition(".")]
        for unit, (opened, closed, mean) in zip(
            reader.units[name], (sums[name] / tokens).T.tolist(), strict=True
        )
    ]


def summaries(shares: Iterable[GateShare]) -> list[GateSummary]:
    """For each layer and gate the mean over its units."""
    groups: dict[tuple[str, str], list[GateShare]] = {}
    for share in shares:
        groups.setdefault((share.layer, share.gate), []).append(share)
    return [
        GateSummary(
            layer=layer,
            gate=gate,
            units=len(group),
            open=float(np.mean([each.open for each in group])),
            closed=float(np.mean([each.closed for each in group])),
            mean=float(np.mean([each.mean for each in group])),
            always_open=sum(each.open == 1 for each in group),
            always_closed=sum(each.closed == 1 for each in group),
        )
        for (layer, gate), group in groups.items()
    ]


def _counted(values: Any) -> Float64Array:
    """How often values, (N, U), are open and closed, and their sum: (3, U)."""
    counted: Float64Array = np.array(
        [(values > OPEN).sum(0), (values < CLOSED).sum(0), values.sum(0, dtype=np.float64)], np.float64
    )
    return counted
