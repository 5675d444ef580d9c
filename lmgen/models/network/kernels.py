"""
The equations of cells.py arranged for numpy: few calls, no copies, every stream a column.

Using a model is one small matrix product a layer and token, and then a dozen passes over a few hundred
numbers, where numpy's cost of a call outweighs the arithmetic. So a kernel

- computes all gates, and where the equations allow both products, by one matrix product;
- makes all logistic functions of a layer one tanh, by σ(a) = tanh(a / 2) / 2 + 1 / 2: the halves are in the
  weights, the gates that need them are neighbours;
- writes into a workspace that is used again for every token.

A cell without an entry in KERNELS steps through its equations. A test holds every kernel equal to them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lmgen.models.network import cells
from lmgen.models.network.cells import Cell, Step

Float32Array = npt.NDArray[np.float32]
ColumnState = tuple[Float32Array, ...]
"""The parts of a layer's state, h first, each (H, B)."""

Workspace = Any
"""A kernel's buffers for B streams. What they hold matters only within a step."""

HALF = np.array(0.5, np.float32)
ZERO = np.array(0.0, np.float32)


class Kernel(Protocol):
    """One recurrent layer, ready to step."""

    def workspace(self, streams: int) -> Workspace:
        """Buffers for B streams; not to be shared by threads."""

    def project(self, values: Float32Array) -> Float32Array:
        """What inputs, (N, I), contribute to the gates before any state is known: (N, G*H) for `step`."""

    def step(
        self, values: Float32Array, projected: bool, state: ColumnState, space: Workspace
    ) -> ColumnState:
        """
        Read one token a stream.

        Args:
            values: the input, (I, B); or (G*H, B), what `project` made of it.
            projected: which of the two.
            state: before; left as it is.
            space: a workspace for B streams.
        """


class _Sum:
    """
    A kernel whose gates depend on W v + U h + b alone: one product of [W U] with v and h stacked.

    The first `logistic` blocks of rows are halved; `order` says which stored block comes where.
    """

    def __init__(
        self, cell: Cell, layer: Mapping[str, Float32Array], order: Sequence[int], logistic: int
    ) -> None:
        count = len(cell.gates)
        self._hidden = layer["weight_recurrent"].shape[1]
        self._input = _arranged(layer["weight_input"], order, logistic, count)
        self._recurrent = _arranged(layer["weight_recurrent"], order, logistic, count)
        self._bias = _arranged(layer["bias"], order, logistic, count)
        self._both = np.concatenate([self._input, self._recurrent], axis=1)
        self._column = self._bias[:, None]

    def workspace(self, streams: int) -> Workspace:
        rows, width = self._both.shape
        gates = np.empty((rows, streams), np.float32)
        stacked = np.empty((width, streams), np.float32)
        return gates, self._views(gates), stacked, stacked[: -self._hidden], stacked[-self._hidden :]

    def project(self, values: Float32Array) -> Float32Array:
        projected: Float32Array = values @ self._input.T + self._bias
        return projected

    def _views(self, gates: Float32Array) -> tuple[Float32Array, ...]:
        """The parts of the gates that `step` works on."""
        return (gates,)

    def _gates(
        self, values: Float32Array, projected: bool, h: Float32Array, space: Workspace
    ) -> tuple[Float32Array, ...]:
        """W v + U h + b, into the workspace; what `_views` made of it."""
        gates, views, stacked, upper, lower = space
        if projected:
            np.matmul(self._recurrent, h, out=gates)
            np.add(gates, values, out=gates)
        else:
            upper[...] = values
            lower[...] = h
            np.matmul(self._both, stacked, out=gates)
            np.add(gates, self._column, out=gates)
        return views  # type: ignore[no-any-return]


class _Lstm(_Sum):
    """`cells.lstm`: blocks i, f, o, g."""

    def __init__(self, cell: Cell, layer: Mapping[str, Float32Array]) -> None:
        super().__init__(cell, layer, order=(0, 1, 3, 2), logistic=3)

    def step(
        self, values: Float32Array, projected: bool, state: ColumnState, space: Workspace
    ) -> ColumnState:
        h, c = state
        gates, logistic, i, f, o, g = self._gates(values, projected, h, space)
        np.tanh(gates, out=gates)
        np.multiply(logistic, HALF, out=logistic)
        np.add(logistic, HALF, out=logistic)
        np.multiply(i, g, out=g)
        c = np.multiply(f, c)
        np.add(c, g, out=c)
        np.tanh(c, out=g)
        return np.multiply(o, g), c

    def _views(self, gates: Float32Array) -> tuple[Float32Array, ...]:
        return (gates, gates[: 3 * self._hidden], *np.split(gates, 4))


class _Gru:
    """`cells.gru`: the candidate keeps its two products apart."""

    def __init__(self, cell: Cell, layer: Mapping[str, Float32Array]) -> None:
        count = len(cell.gates)
        self._input, self._recurrent, self._bias = (
            _arranged(layer[name], range(count), 2, count)
            for name in ("weight_input", "weight_recurrent", "bias")
        )
        self._bias_recurrent = layer["bias_recurrent"][:, None]

    def workspace(self, streams: int) -> Workspace:
        x, r = (np.empty((len(self._bias), streams), np.float32) for _ in range(2))
        gates = len(self._bias) // 3 * 2
        return x, r, r[:gates], *np.split(r, 3)

    def project(self, values: Float32Array) -> Float32Array:
        projected: Float32Array = values @ self._input.T + self._bias
        return projected

    def step(
        self, values: Float32Array, projected: bool, state: ColumnState, space: Workspace
    ) -> ColumnState:
        (h,) = state
        x, r, gates, s, z, n = space
        if projected:
            x = values
        else:
            np.matmul(self._input, values, out=x)
            np.add(x, self._bias[:, None], out=x)
        np.matmul(self._recurrent, h, out=r)
        np.add(gates, x[: len(gates)], out=gates)
        np.tanh(gates, out=gates)
        np.multiply(gates, HALF, out=gates)
        np.add(gates, HALF, out=gates)
        np.add(n, self._bias_recurrent, out=n)
        np.multiply(n, s, out=n)
        np.add(n, x[len(gates) :], out=n)
        np.tanh(n, out=n)
        h = np.subtract(h, n)
        np.multiply(h, z, out=h)
        np.add(h, n, out=h)
        return (h,)


class _Rnn(_Sum):
    """`cells.rnn`."""

    def __init__(self, cell: Cell, layer: Mapping[str, Float32Array]) -> None:
        super().__init__(cell, layer, order=(0,), logistic=0)

    def step(
        self, values: Float32Array, projected: bool, state: ColumnState, space: Workspace
    ) -> ColumnState:
        (gates,) = self._gates(values, projected, state[0], space)
        return (np.tanh(gates),)


class _RnnRelu(_Rnn):
    """`cells.rnn_relu`."""

    def step(
        self, values: Float32Array, projected: bool, state: ColumnState, space: Workspace
    ) -> ColumnState:
        (gates,) = self._gates(values, projected, state[0], space)
        return (np.maximum(gates, ZERO),)


class _Equations:
    """Any cell, by its equations: each gets its arrays turned, since there a stream is a row."""

    def __init__(self, cell: Cell, layer: Mapping[str, Float32Array]) -> None:
        self._cell = cell
        self._layer = layer

    def workspace(self, streams: int) -> Workspace:  # noqa: ARG002 - it needs none
        return None

    def project(self, values: Float32Array) -> Float32Array:
        projected: Float32Array = values @ self._layer["weight_input"].T + self._layer["bias"]
        return projected

    def step(
        self,
        values: Float32Array,
        projected: bool,
        state: ColumnState,
        space: Workspace,  # noqa: ARG002
    ) -> ColumnState:
        x = values if projected else self._layer["weight_input"] @ values + self._layer["bias"][:, None]
        after = self._cell.step(x.T, tuple(part.T for part in state), self._multiply, self._layer)
        return tuple(np.ascontiguousarray(part.T) for part in after)

    def _multiply(self, name: str, values: Float32Array) -> Float32Array:
        product: Float32Array = (self._layer[name] @ values.T).T
        return product


KERNELS: dict[Step, Callable[[Cell, Mapping[str, Float32Array]], Kernel]] = {
    cells.lstm: _Lstm,
    cells.gru: _Gru,
    cells.rnn: _Rnn,
    cells.rnn_relu: _RnnRelu,
}
"""By the equations that they compute."""


def kernel(cell: Cell, layer: Mapping[str, Float32Array]) -> Kernel:
    """
    The kernel of a layer.

    Args:
        cell: whose equations to compute.
        layer: its arrays by the names of `parameter_shapes`, without their prefix.
    """
    return KERNELS.get(cell.step, _Equations)(cell, layer)


def _arranged(array: Float32Array, order: Sequence[int], logistic: int, count: int) -> Float32Array:
    """Blocks of rows in another order, the first `logistic` of them halved."""
    blocks = np.split(array, count)
    return np.concatenate(
        [blocks[block] * (HALF if place < logistic else 1) for place, block in enumerate(order)]
    )
