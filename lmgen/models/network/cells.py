"""
The equations of every recurrent cell, each written once, for numpy and torch arrays alike.

A layer computes two matrix products and leaves the rest to its cell:

    x = W v + b    from its input v, for all steps of a window at once     weight_input (G*H, I), bias (G*H)
    r = U h        from its own hidden state h, one step after the other   weight_recurrent (G*H, H)

Both hold the cell's G gates as blocks of H rows, in the order of `Cell.gates`. The cell's `step` takes x and
r, (B, G*H), and the state, and returns the next state, whose first part is always the hidden state h. What a
cell learns beside W, U and b are vectors of length H, named in `Cell.vectors`, or of length G*H, named in
`Cell.gate_vectors`. The step finds these, and b as `bias`, in its last argument.

A new cell is a function and an entry in CELLS. The functions use only `+ - *`, slices, and the functions at
the end of this file, and change nothing in place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmgen.errors import ConfigError

Array = Any
"""A numpy array or a torch tensor."""

CellState = tuple[Array, ...]
"""Each (B, H); h comes first."""

LayerStates = tuple[CellState, ...]
"""Of each layer of a network."""

Step = Callable[[Array, Array, CellState, Mapping[str, Array]], CellState]

EPSILON = 1e-5
"""ε: what keeps `normalise` from dividing by nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A recurrent cell: what its blocks are called, and its equations."""

    gates: tuple[str, ...]
    """The blocks of W, U and b, in the order they are stored."""

    states: tuple[str, ...]
    """The parts of the state; the first one is the output."""

    step: Step

    vectors: tuple[str, ...] = ()
    """Further parameters, each of length H."""

    gate_vectors: tuple[str, ...] = ()
    """Further parameters, each of length G*H."""


def lstm(x: Array, r: Array, state: CellState, vectors: Mapping[str, Array]) -> CellState:  # noqa: ARG001
    """
    Long short-term memory with a forget gate.

    i = σ(x_i + r_i)   f = σ(x_f + r_f)   g = tanh(x_g + r_g)   o = σ(x_o + r_o)
    c' = f c + i g     h' = o tanh(c')

    Hochreiter and Schmidhuber 1997; the forget gate: Gers, Schmidhuber and Cummins 2000, equations 3 to 6.
    """
    _, c = state
    i, f, g, o = blocks(x + r, 4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def lstm_peephole(x: Array, r: Array, state: CellState, vectors: Mapping[str, Array]) -> CellState:
    """
    LSTM whose gates see the cell state: input and forget gate the one before, the output gate the new one.

    i = σ(x_i + r_i + p_i c)   f = σ(x_f + r_f + p_f c)   o = σ(x_o + r_o + p_o c')   the rest as in `lstm`

    Gers and Schmidhuber 2000.
    """
    _, c = state
    i, f, g, o = blocks(x + r, 4)
    i, f = sigmoid(i + vectors["peephole_input"] * c), sigmoid(f + vectors["peephole_forget"] * c)
    c = f * c + i * tanh(g)
    return sigmoid(o + vectors["peephole_output"] * c) * tanh(c), c


def lstm_layernorm(x: Array, r: Array, state: CellState, vectors: Mapping[str, Array]) -> CellState:
    """
    LSTM with layer normalisation N (see `normalise`) of both products, over all gates together, and of c'.

    a = α_x N(W v) + α_r N(U h) + b   c' = σ(a_f) c + σ(a_i) tanh(a_g)   h' = σ(a_o) tanh(α_c N(c') + β_c)

    Ba, Kiros and Hinton 2016, supplementary material, where each product has a shift of its own too: here
    they are part of b. The α are the gains, β_c is `bias_cell`.
    """
    _, c = state
    b = vectors["bias"]
    normal = vectors["gain_input"] * normalise(x - b) + vectors["gain_recurrent"] * normalise(r)
    i, f, g, o = blocks(normal + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(vectors["gain_cell"] * normalise(c) + vectors["bias_cell"]), c


def gru(x: Array, r: Array, state: CellState, vectors: Mapping[str, Array]) -> CellState:
    """
    Gated recurrent unit, with the reset gate after the recurrent product (as cuDNN and torch compute it).

    s = σ(x_s + r_s)   z = σ(x_z + r_z)   n = tanh(x_n + s (r_n + b_n))   h' = (1 - z) n + z h

    Cho et al. 2014, equations 5 to 8, in the version 1406.1078v1 of the candidate: the product comes first,
    so that all three gates are one matrix product. b_n is `bias_recurrent`.
    """
    (h,) = state
    x_s, x_z, x_n = blocks(x, 3)
    r_s, r_z, r_n = blocks(r, 3)
    z = sigmoid(x_z + r_z)
    n = tanh(x_n + sigmoid(x_s + r_s) * (r_n + vectors["bias_recurrent"]))
    return (n + z * (h - n),)


def rnn(x: Array, r: Array, state: CellState, vectors: Mapping[str, Array]) -> CellState:  # noqa: ARG001
    """Vanilla recurrent network: h' = tanh(x + r). Elman 1990."""
    return (tanh(x + r),)


def rnn_relu(x: Array, r: Array, state: CellState, vectors: Mapping[str, Array]) -> CellState:  # noqa: ARG001
    """Rectified recurrent network: h' = max(0, x + r). Le, Jaitly and Hinton 2015."""
    return (relu(x + r),)


def rnn_sigmoid(x: Array, r: Array, state: CellState, vectors: Mapping[str, Array]) -> CellState:  # noqa: ARG001
    """Recurrent network with the logistic function: h' = σ(x + r). Mikolov et al. 2010, equation 2."""
    return (sigmoid(x + r),)


_LSTM_GATES = ("input", "forget", "candidate", "output")

CELLS = {
    "lstm": Cell(gates=_LSTM_GATES, states=("h", "c"), step=lstm),
    "gru": Cell(gates=("reset", "update", "candidate"), states=("h",), step=gru, vectors=("bias_recurrent",)),
    "rnn": Cell(gates=("hidden",), states=("h",), step=rnn),
    "rnn-relu": Cell(gates=("hidden",), states=("h",), step=rnn_relu),
    "rnn-sigmoid": Cell(gates=("hidden",), states=("h",), step=rnn_sigmoid),
    "lstm-peephole": Cell(
        gates=_LSTM_GATES,
        states=("h", "c"),
        step=lstm_peephole,
        vectors=("peephole_input", "peephole_forget", "peephole_output"),
    ),
    "lstm-layernorm": Cell(
        gates=_LSTM_GATES,
        states=("h", "c"),
        step=lstm_layernorm,
        vectors=("gain_cell", "bias_cell"),
        gate_vectors=("gain_input", "gain_recurrent"),
    ),
}


def cell_named(name: str) -> Cell:
    """
    The cell of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    try:
        return CELLS[name]
    except KeyError:
        raise ConfigError(f"there is no cell {name!r}; known are {', '.join(CELLS)}") from None


def blocks(array: Array, count: int) -> list[Array]:
    """Cut the last axis into equal parts: (B, G*H) -> G times (B, H)."""
    size = array.shape[-1] // count
    return [array[..., part * size : (part + 1) * size] for part in range(count)]


def normalise(array: Array) -> Array:
    """Shifted and scaled to mean 0 and variance 1 along the last axis: (a - μ) / sqrt(σ² + ε)."""
    centred = array - array.mean(-1, keepdims=True)  # torch knows `keepdims` too
    return centred / ((centred * centred).mean(-1, keepdims=True) + EPSILON) ** 0.5


def tanh(array: Array) -> Array:
    """The hyperbolic tangent, element by element."""
    return np.tanh(array) if isinstance(array, np.ndarray) else array.tanh()


def sigmoid(array: Array) -> Array:
    """The logistic function 1 / (1 + exp(-a)), written so that no exponential can overflow."""
    return 0.5 * np.tanh(0.5 * array) + 0.5 if isinstance(array, np.ndarray) else array.sigmoid()


def relu(array: Array) -> Array:
    """max(0, a), element by element."""
    return np.maximum(array, 0) if isinstance(array, np.ndarray) else array.relu()
