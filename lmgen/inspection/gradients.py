"""
How far back gradients reach: the norms of d loss(t) / d h(t-k) and d loss(t) / d c(t-k) for k = 0 .. K.

loss(t) = -log p(token after t), and h(t-k), c(t-k) are what a layer's state is after the token t-k. A
gradient is the derivative by all ways that lead from it to the loss: through the layer's own later steps, and
through the layers above. That with respect to c counts the way by h of the same step.

    t-K-W ... t-K-1     the model reads these W tokens from its start state
    t-K ... t           K + 1 steps forward, then back, in double precision
    t+1                 the token of the loss

The norm is that of the vector over a layer's units (L2), for one t; what is given is the mean over many t,
spread evenly over the text, which are the streams of one batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmgen.arrays import BoolArray, Float64Array, Int64Array
from lmgen.errors import ConfigError, CorpusError, NumericalError
from lmgen.inspection.attention import AttentionStep
from lmgen.inspection.backward import LayerStep, Taken, loss_gradient
from lmgen.inspection.texts import spread
from lmgen.models.network.attention import Attention
from lmgen.models.network.layer import arrays_of
from lmgen.models.network.model import RecurrentModel
from lmgen.models.network.recurrent import Recurrent
from lmgen.models.network.tiles import RecurrentState, joined

LONGEST_DISTANCE = 100
"""K, if no other is given."""

POSITIONS = 64
"""How many positions t gradients are averaged over, if no other number is given."""

SIDE_BY_SIDE = 16
"""Positions whose windows are in memory together, with all that the way back needs of their steps."""

WARM_UP = 256
"""W: tokens that are read before the window, fewer in a short text."""

Layers = list[tuple[Float64Array, ...]]
"""For each layer the parts of its state, or gradients with respect to them, each (B, size)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientNorm:
    """The mean norm of the gradient of a loss with respect to a state so many tokens before it."""

    distance: int
    """k, in tokens."""
    layer: str
    """Such as `layers.0`."""
    cell: str
    """The name of the cell, such as `lstm`."""
    state: str
    """The part of the state: `h`, and with an LSTM `c`."""
    norm: float

    def values(self) -> dict[str, Any]:
        """The values by the names of the columns."""
        return {name: getattr(self, name) for name in ("distance", "layer", "cell", "state", "norm")}


def gradient_norms(
    model: RecurrentModel, ids: Int64Array, *, distance: int = LONGEST_DISTANCE, positions: int = POSITIONS
) -> list[GradientNorm]:
    """
    The norms at every distance, for each recurrent layer and part of its state.

    Args:
        model: trained or not.
        ids: the tokens of a text, (N,); N has to be at least `distance` + 2.
        distance: the largest, K.
        positions: how many t at most.

    Raises:
        ConfigError: a number is below its minimum.
        CorpusError: the text is too short.
        ModelError: the network has a layer that gradients cannot be followed through.
        NumericalError: a gradient is not a finite number.
    """
    if distance < 0 or positions < 1:
        raise ConfigError(
            f"distance is {distance} and positions {positions}; give at least 0 tokens and 1 position"
        )
    if len(ids) < distance + 2:
        raise CorpusError(
            f"too few tokens for gradients over {distance:,}: the text has {len(ids):,}; give one of "
            f"at least {distance + 2:,}, or a smaller --distance"
        )
    warm_up = min(WARM_UP, (len(ids) - 2 - distance) // 2)
    first = warm_up + distance
    at = spread(first, len(ids) - 1, positions)
    read = ids[at - first + np.arange(first + 2)[:, None]]  # (W + K + 2, B)
    groups = np.array_split(read, -(-len(at) // SIDE_BY_SIDE), axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.sum([_Window(model, each[:warm_up]).norms(each[warm_up:]) for each in groups], axis=0)
    parts = [(layer, name) for _, layer in _recurrent(model) for name in layer.cell.states]
    found = [
        GradientNorm(
            distance=k, layer=layer.prefix.rstrip("."), cell=layer.cell_name, state=name, norm=float(norm)
        )
        for k, norms in enumerate(sums / len(at))
        for (layer, name), norm in zip(parts, norms, strict=True)
    ]
    if not np.isfinite([each.norm for each in found]).all():
        raise NumericalError(
            "a gradient is too large for double precision; give smaller weights or distances"
        )
    return found


def _recurrent(model: RecurrentModel) -> list[tuple[int, Recurrent]]:
    """The recurrent layers with their places among the hidden layers."""
    return [(n, layer) for n, layer in enumerate(model.layers.hidden) if isinstance(layer, Recurrent)]


class _Window:
    """The steps of a network over a window of tokens, (B,) each."""

    def __init__(self, model: RecurrentModel, before: Int64Array) -> None:
        """Args: before, the tokens before the window, (W, B)."""
        self._model = model
        self._parameters = _doubled(model.parameters)
        self._steps = [
            AttentionStep(layer, arrays) if isinstance(layer, Attention) else LayerStep(layer, arrays)
            for layer in model.layers.hidden
            for arrays in [arrays_of(layer, self._parameters)]
        ]
        streams = before.shape[1]
        start = model.start(streams)
        self._start, self._embedded_start, self._unread_start = self._rows(start)
        self._state, self._embedded, self._unread = self._rows(model.advance(start, before))

    def norms(self, ids: Int64Array) -> Float64Array:
        """
        Read the window and the token after it, (K + 2, B), and go back.

        Returns:
            Sums over streams: for k = 0 .. K a row with a number for each recurrent layer and part of its
            state, (K + 1, P).
        """
        taken = [self._step(row) for row in ids[:-1]]
        model = self._model
        output = arrays_of(model.layers.output, self._parameters)
        from_output = loss_gradient(model.layers.output, output, self._unread, ids[-1])
        later: Layers = [tuple(np.zeros_like(part) for part in layer) for layer in self._state]
        places = [place for place, _ in _recurrent(model)]
        found = []
        while taken:
            steps, goes_on = taken.pop()
            values = _chosen(goes_on, from_output)
            later = [tuple(_chosen(goes_on, part) for part in layer) for layer in later]
            whole: Layers = [()] * len(steps)
            for place in reversed(range(len(steps))):
                whole[place], values, later[place] = steps[place].backward(values, later[place])
            found.append([np.linalg.norm(part, axis=1).sum() for place in places for part in whole[place]])
            from_output = np.zeros_like(from_output)
        return np.array(found)

    def _step(self, ids: Int64Array) -> tuple[list[Taken], BoolArray]:
        """Read a token; returns what each layer did, and in which streams the unit goes on."""
        vectors, embedded = self._model.layers.embedding.step(self._parameters, ids, self._embedded)
        values: Float64Array = vectors.astype(np.float64)
        taken: list[Taken] = []
        for step, before in zip(self._steps, self._state, strict=True):
            taken.append(step.forward(values, before))
            values = taken[-1].output
        goes_on: BoolArray = np.not_equal(ids, -1 if self._model.unit_end is None else self._model.unit_end)
        # After the end of a unit the next one begins from the start.
        self._unread = _chosen(goes_on, values, self._unread_start)
        self._embedded = tuple(
            _chosen(goes_on, *pair) for pair in zip(embedded, self._embedded_start, strict=True)
        )
        self._state = [
            tuple(_chosen(goes_on, *pair) for pair in zip(step.after, begun, strict=True))
            for step, begun in zip(taken, self._start, strict=True)
        ]
        return taken, goes_on

    def _rows(self, state: RecurrentState) -> tuple[Layers, tuple[Float64Array, ...], Float64Array]:
        """States of the layers, of the embedding, and the input of the output: rows in float64."""
        *states, (unread,) = joined(state)
        *layers, embedded = [
            tuple(part.T.astype(np.float64) for part in parts[: len(layer.state_sizes)])
            for layer, parts in zip(self._model.layers.in_state, states, strict=True)
        ]
        return layers, embedded, unread.T.astype(np.float64)


def _doubled(parameters: Mapping[str, Any]) -> dict[str, Float64Array]:
    return {name: each.astype(np.float64) for name, each in parameters.items()}


def _chosen(where: BoolArray, values: Float64Array, others: Float64Array | float = 0.0) -> Float64Array:
    """Rows of `values` where that is so, of `others` elsewhere."""
    return values if where.all() else np.where(where[:, None], values, others)
