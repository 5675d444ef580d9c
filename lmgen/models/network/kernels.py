"""
Kernels: fast inference for a layer with numpy, with few calls, no copies, and each stream as a column.

Inference takes one small matrix product per layer and token, and then about a dozen elementwise operations on
a few hundred numbers, where numpy's overhead per call exceeds the arithmetic. A kernel therefore

- computes all gates with one matrix product, including the input product where the equations allow it;
- computes all logistic functions of a layer with one tanh, by σ(a) = tanh(a / 2) / 2 + 1 / 2: the inner
  factors of 1/2 are folded into the weights, and the gates that need them are adjacent;
- writes into a workspace that is reused for every token.

`kernel` chooses by the type of the layer and its cell. A layer without a special kernel uses its `step`. A
test compares every kernel with that.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from lmgen.arrays import Float32Array
from lmgen.models.network import cells
from lmgen.models.network.attention import NEVER, Attention
from lmgen.models.network.cells import EPSILON, Step
from lmgen.models.network.layer import Layer
from lmgen.models.network.normalization import LayerNormalization
from lmgen.models.network.recurrent import Recurrent

Arrays = Mapping[str, Float32Array]
ColumnState = tuple[Float32Array, ...]
"""
The parts of a layer's state with a column for each stream, each (size, B), in the order of the layer; after
them those that only its kernel keeps (`state_sizes`).
"""

Workspace = Any
"""A kernel's buffers for B streams; their contents are not kept between steps."""

HALF = np.array(0.5, np.float32)
ZERO = np.array(0.0, np.float32)
ONE = np.array(1.0, np.float32)


class Kernel(Protocol):
    """A layer with its parameters prepared for fast steps."""

    def workspace(self, streams: int) -> Workspace:
        """Allocate buffers for B streams, which threads must not share."""

    def step(
        self, values: Float32Array, state: ColumnState, space: Workspace
    ) -> tuple[Float32Array, ColumnState]:
        """
        Compute one step for each of B streams.

        Args:
            values: input of the layer, (n, B).
            state: previous state; not modified.
            space: workspace for B streams.

        Returns:
            The output of the layer, (m, B), and the next state.
        """


class ProjectingKernel(Kernel, Protocol):
    """A kernel of a recurrent layer, whose input product can be computed in advance."""

    def project(self, values: Float32Array) -> Float32Array:
        """Compute W v + b for inputs v as rows: (N, n) -> (N, G*m), for `step_projected`."""

    def project_one_hot(self) -> Float32Array:
        """The same of each of the n one-hot inputs, (n, G*m), without multiplying by any zero."""

    def step_projected(
        self, projected: Float32Array, state: ColumnState, space: Workspace
    ) -> tuple[Float32Array, ColumnState]:
        """Compute a step as `step` does, from the result of `project` as columns, (G*m, B)."""


def kernel(layer: Layer, arrays: Arrays) -> Kernel:
    """
    Build the fastest kernel for a layer of any kind.

    Args:
        layer: the layer.
        arrays: parameters of the layer, by their names without its prefix.
    """
    if isinstance(layer, Attention):
        return _AttentionKernel(layer, arrays)
    if isinstance(layer, LayerNormalization):
        return _LayerNormalizationKernel(arrays)
    if not isinstance(layer, Recurrent):
        return _StepKernel(layer, arrays)
    found = recurrent_kernel(layer, arrays)
    return _ResidualKernel(found) if layer.residual else found


def state_sizes(layer: Layer) -> tuple[int, ...]:
    """
    Size of each part of the state that the kernel of a layer takes, per stream; all are 0 at the start.

    They are the layer's, and for attention also the keys W_k h of the K hidden states that it remembers.
    """
    if isinstance(layer, Attention):
        return *layer.state_sizes, layer.reach * layer.inputs
    return layer.state_sizes


def recurrent_kernel(layer: Recurrent, arrays: Arrays) -> ProjectingKernel:
    """Build the fastest kernel for a recurrent layer, ignoring its residual connection."""
    make = KERNELS.get(layer.cell.step)
    return _EquationsKernel(layer, arrays) if make is None else make(arrays)


class _ArrangedKernel:
    """Weights with their gates in another order, and the input products that need nothing else."""

    def __init__(self, arrays: Arrays, order: Sequence[int], logistic: int) -> None:
        self._input, self._recurrent, self._bias = (
            _arranged(arrays[name], order, logistic) for name in ("weight_input", "weight_recurrent", "bias")
        )

    def project(self, values: Float32Array) -> Float32Array:
        projected: Float32Array = values @ self._input.T + self._bias
        return projected

    def project_one_hot(self) -> Float32Array:
        projected: Float32Array = np.add(self._input.T, self._bias, order="C")
        return projected


class _SummedGatesKernel(_ArrangedKernel):
    """
    Base of kernels for cells whose gates depend only on W v + U h + b: one product of [W U] and [v; h].

    `order` lists the stored blocks in the order that the kernel uses; the first `logistic` of them are
    halved.
    """

    def __init__(self, arrays: Arrays, order: Sequence[int], logistic: int) -> None:
        super().__init__(arrays, order, logistic)
        self._hidden = arrays["weight_recurrent"].shape[1]
        self._both = np.concatenate([self._input, self._recurrent], axis=1)
        self._column = self._bias[:, None]

    def workspace(self, streams: int) -> Workspace:
        rows, width = self._both.shape
        gates = np.empty((rows, streams), np.float32)
        stacked = np.empty((width, streams), np.float32)
        return gates, self._views(gates), stacked, stacked[: -self._hidden], stacked[-self._hidden :]

    def _views(self, gates: Float32Array) -> tuple[Float32Array, ...]:
        """Slice the buffer of the gates into the views that `_activated` works on."""
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
        """Compute the output and the next state, from W v + U h + b in the views that `_views` made."""
        raise NotImplementedError


class _LstmKernel(_SummedGatesKernel):
    """Kernel of `cells.lstm`, with the blocks reordered to i, f, o, g."""

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


class _GruKernel(_ArrangedKernel):
    """Kernel of `cells.gru`, with two products, because the candidate needs them separately."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__(arrays, range(3), 2)
        self._bias_recurrent = arrays["bias_recurrent"][:, None]

    def workspace(self, streams: int) -> Workspace:
        x, r = (np.empty((len(self._bias), streams), np.float32) for _ in range(2))
        gates = len(self._bias) // 3 * 2
        return x, r, r[:gates], *np.split(r, 3)

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


class _RnnKernel(_SummedGatesKernel):
    """Kernel of `cells.rnn`."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__(arrays, order=(0,), logistic=0)

    def _activated(
        self,
        views: tuple[Float32Array, ...],
        state: ColumnState,  # noqa: ARG002
    ) -> tuple[Float32Array, ColumnState]:
        h = np.tanh(views[0])
        return h, (h,)


class _RnnReluKernel(_RnnKernel):
    """Kernel of `cells.rnn_relu`."""

    def _activated(
        self,
        views: tuple[Float32Array, ...],
        state: ColumnState,  # noqa: ARG002
    ) -> tuple[Float32Array, ColumnState]:
        h = np.maximum(views[0], ZERO)
        return h, (h,)


class _AttentionKernel:
    """
    Kernel of attention, which computes the key of each hidden state once and keeps it.

    The oldest state and key are dropped by copying the others one place up. Writing the newest over the
    oldest in place would change the state before, which others may still go on from.
    """

    def __init__(self, layer: Attention, arrays: Arrays) -> None:
        self._reach, self._size = layer.reach, layer.inputs
        names = ("weight_query", "weight_hidden", "weight_key")
        self._products = np.concatenate([arrays[name] for name in names])
        self._context, self._score = arrays["weight_context"], arrays["score"]
        self._bias = arrays["bias"][:, None]

    def workspace(self, streams: int) -> Workspace:
        products = np.empty((3 * self._size, streams), np.float32)
        rows = np.empty((self._reach, self._size, streams), np.float32)
        return products, np.split(products, 3), rows, np.ones((1, streams), np.float32)

    def step(
        self, values: Float32Array, state: ColumnState, space: Workspace
    ) -> tuple[Float32Array, ColumnState]:
        memory, marks, keys = state
        products, (query, joined, key), rows, mark = space
        np.matmul(self._products, values, out=products)
        np.add(keys.reshape(rows.shape), query, out=rows)
        np.tanh(rows, out=rows)
        shares = self._shares(np.matmul(self._score, rows), marks)
        context = np.einsum("kb,kmb->mb", shares, memory.reshape(rows.shape))
        y = np.matmul(self._context, context)
        np.add(y, joined, out=y)
        np.add(y, self._bias, out=y)
        np.tanh(y, out=y)
        return y, (_moved_up(memory, values), _moved_up(marks, mark), _moved_up(keys, key))

    def _shares(self, scores: Float32Array, marks: Float32Array) -> Float32Array:
        """Compute the softmax of scores, (K, B), over the states that exist; overwrites the scores."""
        scores += NEVER * (ONE - marks)
        scores -= scores.max(axis=0)
        np.exp(scores, out=scores)
        scores *= marks
        scores /= np.maximum(scores.sum(axis=0), ONE)  # 0 before any exists, otherwise at least exp(0)
        return scores


class _LayerNormalizationKernel:
    """Kernel of layer normalisation, with means over the rows of each column."""

    def __init__(self, arrays: Arrays) -> None:
        self._gain, self._bias = arrays["gain"][:, None], arrays["bias"][:, None]
        self._share = np.float32(1 / len(self._gain))

    def workspace(self, streams: int) -> Workspace:
        return np.empty((len(self._gain), streams), np.float32)

    def step(
        self, values: Float32Array, state: ColumnState, space: Workspace
    ) -> tuple[Float32Array, ColumnState]:
        centred = np.subtract(values, np.add.reduce(values) * self._share)
        np.square(centred, out=space)
        variance = np.add.reduce(space) * self._share
        np.divide(self._gain, np.sqrt(variance + np.float32(EPSILON)), out=space)
        np.multiply(centred, space, out=centred)
        return np.add(centred, self._bias, out=centred), state


class _StepKernel:
    """Kernel of any layer that calls the layer's `step`, with streams transposed to rows."""

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
        given, after = self._layer.step(self._arrays, values.T, to_rows(state))
        return np.ascontiguousarray(given.T), to_columns(after)


class _EquationsKernel:
    """Kernel of a recurrent layer with any cell that evaluates its equations, with streams as rows."""

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
        after = to_columns(self._layer.step_projected(self._arrays, projected.T, to_rows(state)))
        return after[0], after


class _ResidualKernel:
    """Wraps a kernel and adds the input of the layer to its output."""

    def __init__(self, inner: Kernel) -> None:
        self._inner = inner
        self.workspace = inner.workspace

    def step(
        self, values: Float32Array, state: ColumnState, space: Workspace
    ) -> tuple[Float32Array, ColumnState]:
        given, after = self._inner.step(values, state, space)
        return given + values, after


KERNELS: dict[Step, Callable[[Arrays], ProjectingKernel]] = {
    cells.lstm: _LstmKernel,
    cells.gru: _GruKernel,
    cells.rnn: _RnnKernel,
    cells.rnn_relu: _RnnReluKernel,
}
"""Kernels of recurrent layers, by the cell's step function."""


def _arranged(array: Float32Array, order: Sequence[int], logistic: int) -> Float32Array:
    """Reorder blocks of rows, and halve the first `logistic` of them."""
    blocks = np.split(array, len(order))
    return np.concatenate(
        [blocks[block] * (HALF if place < logistic else 1) for place, block in enumerate(order)]
    )


def _moved_up(rows: Float32Array, newest: Float32Array) -> Float32Array:
    """Drop as many of the first rows as are put at the end."""
    return np.concatenate([rows[len(newest) :], newest])


def to_rows(state: ColumnState) -> tuple[Float32Array, ...]:
    """Transpose each part of a state, so that streams are rows."""
    return tuple(part.T for part in state)


def to_columns(state: tuple[Float32Array, ...]) -> ColumnState:
    """Transpose each part of a state back into contiguous arrays with streams as columns."""
    return tuple(np.ascontiguousarray(part.T) for part in state)
