"""What the files beside this one find out, as charts."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from lmgen.inspection.chart import Axis, Chart, Series
from lmgen.inspection.gates import GateShare
from lmgen.inspection.gradients import GradientNorm
from lmgen.inspection.memory import ContextLoss


def gradients_chart(found: Sequence[tuple[str, GradientNorm]]) -> Chart:
    """
    A line for each network, layer and part of the state; labels say what differs.

    Args:
        found: norms, each with the name of its network: a run folder, a file, or `untrained`.
    """
    several_layers = len({each.layer for _, each in found}) > 1
    names = list(dict.fromkeys(name for name, _ in found))
    short = dict(zip(names, short_names(names), strict=True))
    points = []
    for name, each in found:
        layer = [each.layer] if several_layers else []
        model = [f"({short[name]})"] if len(names) > 1 else []
        points.append((" ".join([each.cell, *layer, each.state, *model]), each.distance, each.norm))
    return Chart(
        title="How far back gradients reach",
        x=Axis(label="distance k, in tokens"),
        y=Axis(label="norm of d loss(t) / d state(t-k)", log=True),
        series=_series(points),
    )


def short_names(names: Sequence[str]) -> list[str]:
    """What models are called in legends: the names of files or folders, where those tell paths apart."""
    short = [PurePath(name).name for name in names]
    return short if len(set(short)) == len(short) else list(names)


def memory_chart(found: Iterable[ContextLoss]) -> Chart:
    """A line for each model."""
    return Chart(
        title="How much context a model uses",
        x=Axis(label="tokens of context (from 1 on)", log=True),
        y=Axis(label="nats per token"),
        series=_series((each.model, each.context, each.nats_per_token) for each in found),
    )


def gates_chart(shares: Iterable[GateShare]) -> Chart:
    """A point for each unit and gate (Karpathy, Johnson and Fei-Fei 2015, figure 3)."""
    return Chart(
        title="How often each unit's gates are open and closed",
        x=Axis(label="share of tokens above 0.9", limits=(0, 1)),
        y=Axis(label="share of tokens below 0.1", limits=(0, 1)),
        series=_series((f"{each.layer} {each.gate}", each.open, each.closed) for each in shares),
        as_points=True,
    )


def states_chart(rows: Iterable[Mapping[str, Any]]) -> Chart:
    """A line for each layer, name and unit of what `lmgen inspect states` prints."""
    return Chart(
        title="States and gates token by token",
        x=Axis(label="index of the token"),
        y=Axis(label="value"),
        series=_series(
            (f"{row['layer']} {row['name']} {row['unit']}", row["index"], row["value"]) for row in rows
        ),
    )


def _series(points: Iterable[tuple[str, float, float]]) -> list[Series]:
    """Points with the label of their series, in the order of the labels' first occurrence."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for label, x, y in points:
        xs, ys = found.setdefault(label, ([], []))
        xs.append(x)
        ys.append(y)
    return [Series(label, *place) for label, place in found.items()]
