"""
The fast ways that numpy has for a layer: few calls, no copies, every stream a column.

Using a model is one small matrix product a layer and token, and then a dozen passes over a few hundred
numbers, where numpy's cost of a call outweighs the arithmetic. So a kernel

- computes all gates, and where the equations allow both products, by one matrix product;
- makes all logistic functions of a layer one tanh, by σ(a) = tanh(a / 2) / 2 + 1 / 2: the halves are in the
  weights, the gates that need them are neighbours;
- writes into a workspace that is used again for every token.

`kernel` chooses by what a layer is. A layer without a kernel of its own computes what its `step` says. A test
holds every kernel equal to that.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from lmgen.arrays import Float32Array
from lmgen.models.network import cells
from lmgen.models.network.cells import Step
from lmgen.models.network.layer import Layer
from lmgen.models.network.recurrent import Recurrent

Arrays = Mapping[str, Float32Array]
ColumnState = tuple[Float32Array, ...]
"""The parts of a layer's state, each (size, B)."""

Workspace = Any
"""A kernel's buffers for B streams. What they hold matters only within a step."""

HALF = np.array(0.5, np.float32)
ZERO = np.array(0.0, np.float32)


class Kernel(Protocol):
    """A layer, ready to step."""

    def workspace(self, streams: int) -> Workspace:
        """Buffers for B streams; not to be shared by threads."""

    def step(
        self, values: Float32Array, state: ColumnState, space: Workspace
    ) -> tuple[Float32Array, ColumnState]:
        """
        Read one token a stream.

        Args:
            values: what the layer reads, (n, B).
            state: before; left as it is.
            space: a workspace for B streams.

        Returns:
            What the layer gives, (m, B), and the state after.
        """


class ProjectingKernel(Kernel, Protocol):
    """A recurrent layer, whose product with its input can be computed before any state is known."""

    def project(self, values: Float32Array) -> Float32Array:
        """Of inputs, (N, n), what they contribute to the gates: (N, G*m) for `step_projected`."""

    def project_one_hot(self) -> Float32Array:
        """The same of each of the n one-hot inputs, (n, G*m), without multiplying by any zero."""

    def step_projected(
        self, projected: Float32Array, state: ColumnState, space: Workspace
    ) -> tuple[Float32Array, ColumnState]:
        """The same as `step`, for an input of which `project` has made a column, (G*m, B)."""


def kernel(layer: Layer, arrays: Arrays) -> Kernel:
    """
    The fastest kernel for a layer.

    Args:
        layer: of any kind.
        arrays: its parameters, by their names without its prefix.
    """
    if not isinstance(layer, Recurrent):
        return _Steps(layer, arrays)
    found = recurrent_kernel(layer, arrays)
    return _Residual(found) if layer.residual else found


def recurrent_kernel(layer: Recurrent, arrays: Arrays) -> ProjectingKernel:
    """The fastest kernel for a recurrent layer, without a residual connection."""
    make = KERNELS.get(layer.cell.step)
    return _Equations(layer, arrays) if make is None else make(arrays)


class _Sum:
    """
    A kernel whose gates depend on W v + U h + b alone: one product of [W U] with v and h stacked.

    The first `logistic` blocks of rows are halved; `order` says which stored block comes where.
    """

    def __init__(self, arrays: Arrays, order: Sequence[int], logistic: int) -> None:
        self._hidden = arrays["weight_recurrent"].shape[1]
        self._input, self._recurrent, self._bias = (
            _arranged(arrays[name], order, logistic) for name in ("weight_input", "weight_recurrent", "bias")
        )
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

    def project_one_hot(self) -> Float32Array:
        projected: Float32Array = np.add(self._input.T, self._bias, order="C")
        return projected

    def _views(self, gates: Float32Array) -> tuple[Float32Array, ...]:
        """The parts of the gates that `_activated` works on."""
        return (gates,)

    def step(
        self, values: Float32Array, state: ColumnState, space: Workspace
    ) -> tuple[Float32Array, ColumnState]:
        gates, views, stacked, upper, lower = space
        upper[...] = values
        lower[...] = state[0]
        np.matmul(self._both, stacked, out=gates)
        np.add(gates, self._column, out=gates)
        return self._activated(views, state)

    def step_projected(
        self, projected: Float32Array, state: ColumnState, space: Workspace
    ) -> tuple[Float32Array, ColumnState]:
        gates, views, *_ = space
        np.matmul(self._recurrent, state[0], out=gates)
        np.add(gates, projected, out=gates)
        return self._activated(views, state)

    def _activated(
        self, views: tuple[Float32Array, ...], state: ColumnState
    ) -> tuple[Float32Array, ColumnState]:
        """What the layer gives and the state after, from W v + U h + b in the parts that `_views` made."""
        raise NotImplementedError


class _Lstm(_Sum):
    """`cells.lstm`: blocks i, f, o, g."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__(arrays, order=(0, 1, 3, 2), logistic=3)

    def _activated(
        self, views: tuple[Float32Array, ...], state: ColumnState
    ) -> tuple[Float32Array, ColumnState]:
        gates, logistic, i, f, o, g = views
        np.tanh(gates, out=gates)
        np.multiply(logistic, HALF, out=logistic)
        np.add(logistic, HALF, out=logistic)
        np.multiply(i, g, out=g)
        c = np.multiply(f, state[1])
        np.add(c, g, out=c)
        np.tanh(c, out=g)
        h = np.multiply(o, g)
        return h, (h, c)

    def _views(self, gates: Float32Array) -> tuple[Float32Array, ...]:
        return (gates, gates[: 3 * self._hidden], *np.split(gates, 4))


class _Gru:
    """`cells.gru`: the candidate keeps its two products apart."""

    def __init__(self, arrays: Arrays) -> None:
        self._input, self._recurrent, self._bias = (
            _arranged(arrays[name], range(3), 2) for name in ("weight_input", "weight_recurrent", "bias")
        )
        self._bias_recurrent = arrays["bias_recurrent"][:, None]

    def workspace(self, streams: int) -> Workspace:
        x, r = (np.empty((len(self._bias), streams), np.float32) for _ in range(2))
        gates = len(self._bias) // 3 * 2
        return x, r, r[:gates], *np.split(r, 3)

    def project(self, values: Float32Array) -> Float32Array:
        projected: Float32Array = values @ self._input.T + self._bias
        return projected

    def project_one_hot(self) -> Float32Array:
        projected: Float32Array = np.add(self._input.T, self._bias, order="C")
        return projected

    def step(
        self, values: Float32Array, state: ColumnState, space: Workspace
    ) -> tuple[Float32Array, ColumnState]:
        x = space[0]
        np.matmul(self._input, values, out=x)
        np.add(x, self._bias[:, None], out=x)
        return self.step_projected(x, state, space)

    def step_projected(
        self, projected: Float32Array, state: ColumnState, space: Workspace
    ) -> tuple[Float32Array, ColumnState]:
        (h,) = state
        _, r, gates, s, z, n = space
        np.matmul(self._recurrent, h, out=r)
        np.add(gates, projected[: len(gates)], out=gates)
        np.tanh(gates, out=gates)
        np.multiply(gates, HALF, out=gates)
        np.add(gates, HALF, out=gates)
        np.add(n, self._bias_recurrent, out=n)
        np.multiply(n, s, out=n)
        np.add(n, projected[len(gates) :], out=n)
        np.tanh(n, out=n)
        h = np.subtract(h, n)
        np.multiply(h, z, out=h)
        np.add(h, n, out=h)
        return h, (h,)


class _Rnn(_Sum):
    """`cells.rnn`."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__(arrays, order=(0,), logistic=0)

    def _activated(
        self,
        views: tuple[Float32Array, ...],
        state: ColumnState,  # noqa: ARG002
    ) -> tuple[Float32Array, ColumnState]:
        h = np.tanh(views[0])
        return h, (h,)


class _RnnRelu(_Rnn):
    """`cells.rnn_relu`."""

    def _activated(
        self,
        views: tuple[Float32Array, ...],
        state: ColumnState,  # noqa: ARG002
    ) -> tuple[Float32Array, ColumnState]:
        h = np.maximum(views[0], ZERO)
        return h, (h,)


class _Steps:
    """Any layer, by its `step`, where a stream is a row."""

    def __init__(self, layer: Layer, arrays: Arrays) -> None:
        self._layer, self._arrays = layer, arrays

    def workspace(self, streams: int) -> Workspace:  # noqa: ARG002 - it needs none
        return None

    def step(
        self,
        values: Float32Array,
        state: ColumnState,
        space: Workspace,  # noqa: ARG002
    ) -> tuple[Float32Array, ColumnState]:
        given, after = self._layer.step(self._arrays, values.T, _turned(state))
        return np.ascontiguousarray(given.T), _columns(after)


class _Equations:
    """A recurrent layer of any cell, by the cell's equations, where a stream is a row."""

    def __init__(self, layer: Recurrent, arrays: Arrays) -> None:
        self._layer, self._arrays = layer, arrays

    def workspace(self, streams: int) -> Workspace:  # noqa: ARG002 - it needs none
        return None

    def project(self, values: Float32Array) -> Float32Array:
        projected: Float32Array = values @ self._arrays["weight_input"].T + self._arrays["bias"]
        return projected

    def project_one_hot(self) -> Float32Array:
        projected: Float32Array = np.add(self._arrays["weight_input"].T, self._arrays["bias"], order="C")
        return projected

    def step(
        self, values: Float32Array, state: ColumnState, space: Workspace
    ) -> tuple[Float32Array, ColumnState]:
        return self.step_projected(self._layer.project(self._arrays, values.T).T, state, space)

    def step_projected(
        self,
        projected: Float32Array,
        state: ColumnState,
        space: Workspace,  # noqa: ARG002
    ) -> tuple[Float32Array, ColumnState]:
        after = _columns(self._layer.step_projected(self._arrays, projected.T, _turned(state)))
        return after[0], after


class _Residual:
    """A recurrent layer whose input is added to what it gives."""

    def __init__(self, inner: Kernel) -> None:
        self._inner = inner
        self.workspace = inner.workspace

    def step(
        self, values: Float32Array, state: ColumnState, space: Workspace
    ) -> tuple[Float32Array, ColumnState]:
        given, after = self._inner.step(values, state, space)
        return given + values, after


KERNELS: dict[Step, Callable[[Arrays], ProjectingKernel]] = {
    cells.lstm: _Lstm,
    cells.gru: _Gru,
    cells.rnn: _Rnn,
    cells.rnn_relu: _RnnRelu,
}
"""By the equations that they compute."""


def _arranged(array: Float32Array, order: Sequence[int], logistic: int) -> Float32Array:
    """Blocks of rows in another order, the first `logistic` of them halved."""
    blocks = np.split(array, len(order))
    return np.concatenate(
        [blocks[block] * (HALF if place < logistic else 1) for place, block in enumerate(order)]
    )


def _turned(state: ColumnState) -> tuple[Float32Array, ...]:
    """Columns as rows."""
    return tuple(part.T for part in state)


def _columns(state: tuple[Float32Array, ...]) -> ColumnState:
    """Rows as columns, laid out as such."""
    return tuple(np.ascontiguousarray(part.T) for part in state)
