"""
The equations of every recurrent cell, each written once, for numpy and torch arrays alike.

A recurrent layer computes W v + b from its input v, for all steps of a window at once, and leaves the rest to
its cell:

    x = W v + b                  weight_input (G*H, I), bias (G*H)
    state' = step(x, state, multiply, vectors)

W and b hold the cell's G gates as blocks of H rows, in the order of `Cell.gates`. `x` is (B, G*H), the state
a tuple of arrays, (B, H), whose first is always the hidden state h. The cell itself says what its recurrent
matrices multiply: `multiply("weight_recurrent", h)` is U h for each stream. A cell may do so at any place of
its equations, with any number of matrices, or not at all. What else it learns are vectors, which the step
finds in `vectors` by name, together with b as `bias`.

A new cell is a function and an entry in CELLS; everything else, from `--cell` to the count of parameters,
derives from the entry. A step uses `+ - * / **`, slices, `blocks`, `normalise` and functions.py, and changes
nothing in place; `gate` names what its gates are for whoever looks inside. It may do anything else that both
numpy's and torch's arrays can, such as `abs`, but then it trains more slowly, by torch's autograd.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lmgen.errors import ConfigError
from lmgen.models.network.functions import Array, gate, relu, sigmoid, tanh
from lmgen.models.network.initializers import Initializer, orthogonal

CellState = tuple[Array, ...]
"""Each (B, H); h comes first."""

Multiply = Callable[[str, Array], Array]
"""Name of a matrix U, (O, H), and values v, (B, H) -> U v of each stream, (B, O)."""

Vectors = Mapping[str, Array]

Step = Callable[[Array, CellState, Multiply, Vectors], CellState]
"""x, the state before, `multiply` and the vectors -> the state after."""

EPSILON = 1e-5
"""ε: what keeps `normalise` from dividing by nothing."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A recurrent matrix of a cell: `blocks` square blocks on top of each other, (blocks * H, H)."""

    blocks: int = 1
    start: Initializer = orthogonal
    """How each block starts."""


@dataclass(frozen=True, slots=True)
class Vector:
    """A vector that a cell learns, (blocks * H)."""

    blocks: int = 1
    start: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cell:
    """A recurrent cell: what it learns, what it remembers, and its equations."""

    gates: tuple[str, ...]
    """The blocks of W and b, in the order they are stored."""

    states: tuple[str, ...]
    """The parts of the state; the first one is the output."""

    step: Step

    matrices: Mapping[str, Matrix] | None = None
    """What the step may multiply by; None: `weight_recurrent` alone, with a block for each gate."""

    vectors: Mapping[str, Vector] = field(default_factory=dict)

    bias: Mapping[str, float] = field(default_factory=dict)
    """What b starts from in some gates; 0 in the others."""

    @property
    def recurrent(self) -> Mapping[str, Matrix]:
        """The recurrent matrices by name, the default written out."""
        return {"weight_recurrent": Matrix(len(self.gates))} if self.matrices is None else self.matrices


def lstm(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """
    Long short-term memory with a forget gate.

    r = U h
    i = σ(x_i + r_i)   f = σ(x_f + r_f)   g = tanh(x_g + r_g)   o = σ(x_o + r_o)
    c' = f c + i g     h' = o tanh(c')

    Hochreiter and Schmidhuber 1997; the forget gate: Gers, Schmidhuber and Cummins 2000, equations 3 to 6.
    """
    h, c = state
    i, f, g, o = blocks(x + multiply("weight_recurrent", h), 4)
    c = gate("forget", sigmoid(f)) * c + gate("input", sigmoid(i)) * gate("candidate", tanh(g))
    return gate("output", sigmoid(o)) * tanh(c), c


def lstm_peephole(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:
    """
    LSTM whose gates see the cell state: input and forget gate the one before, the output gate the new one.

    i = σ(x_i + r_i + p_i c)   f = σ(x_f + r_f + p_f c)   o = σ(x_o + r_o + p_o c')   the rest as in `lstm`

    Gers and Schmidhuber 2000.
    """
    h, c = state
    i, f, g, o = blocks(x + multiply("weight_recurrent", h), 4)
    i = gate("input", sigmoid(i + vectors["peephole_input"] * c))
    f = gate("forget", sigmoid(f + vectors["peephole_forget"] * c))
    c = f * c + i * gate("candidate", tanh(g))
    return gate("output", sigmoid(o + vectors["peephole_output"] * c)) * tanh(c), c


def lstm_layernorm(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:
    """
    LSTM with layer normalisation N (see `normalise`) of both products, over all gates together, and of c'.

    a = α_x N(W v) + α_r N(U h) + b   c' = σ(a_f) c + σ(a_i) tanh(a_g)   h' = σ(a_o) tanh(α_c N(c') + β_c)

    Ba, Kiros and Hinton 2016, supplementary material, where each product has a shift of its own too: here
    they are part of b. The α are the gains, β_c is `bias_cell`.
    """
    h, c = state
    b = vectors["bias"]
    normal = vectors["gain_input"] * normalise(x - b) + vectors["gain_recurrent"] * normalise(
        multiply("weight_recurrent", h)
    )
    i, f, g, o = blocks(normal + b, 4)
    c = gate("forget", sigmoid(f)) * c + gate("input", sigmoid(i)) * gate("candidate", tanh(g))
    return gate("output", sigmoid(o)) * tanh(vectors["gain_cell"] * normalise(c) + vectors["bias_cell"]), c


def gru(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:
    """
    Gated recurrent unit, with the reset gate after the recurrent product (as cuDNN and torch compute it).

    r = U h
    s = σ(x_s + r_s)   z = σ(x_z + r_z)   n = tanh(x_n + s (r_n + b_n))   h' = (1 - z) n + z h

    Cho et al. 2014, equations 5 to 8, in the version 1406.1078v1 of the candidate: the product comes first,
    so that all three gates are one matrix product. b_n is `bias_recurrent`.
    """
    (h,) = state
    x_s, x_z, x_n = blocks(x, 3)
    r_s, r_z, r_n = blocks(multiply("weight_recurrent", h), 3)
    z = gate("update", sigmoid(x_z + r_z))
    s = gate("reset", sigmoid(x_s + r_s))
    n = gate("candidate", tanh(x_n + s * (r_n + vectors["bias_recurrent"])))
    return (n + z * (h - n),)


def rnn(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """Vanilla recurrent network: h' = tanh(x + U h). Elman 1990."""
    return (tanh(x + multiply("weight_recurrent", state[0])),)


def rnn_relu(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """Rectified recurrent network: h' = max(0, x + U h). Le, Jaitly and Hinton 2015."""
    return (relu(x + multiply("weight_recurrent", state[0])),)


def rnn_sigmoid(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """Recurrent network with the logistic function: h' = σ(x + U h). Mikolov et al. 2010, equation 2."""
    return (sigmoid(x + multiply("weight_recurrent", state[0])),)


_LSTM: dict[str, Any] = {
    "gates": ("input", "forget", "candidate", "output"),
    "states": ("h", "c"),
    "bias": {
        "forget": 1.0
    },  # it remembers until it learns otherwise: Gers et al. 2000; Jozefowicz et al. 2015
}

CELLS = {
    "lstm": Cell(step=lstm, **_LSTM),
    "gru": Cell(
        step=gru,
        gates=("reset", "update", "candidate"),
        states=("h",),
        vectors={"bias_recurrent": Vector()},
    ),
    "rnn": Cell(step=rnn, gates=("hidden",), states=("h",)),
    "rnn-relu": Cell(step=rnn_relu, gates=("hidden",), states=("h",)),
    "rnn-sigmoid": Cell(step=rnn_sigmoid, gates=("hidden",), states=("h",)),
    "lstm-peephole": Cell(
        step=lstm_peephole,
        vectors={"peephole_input": Vector(), "peephole_forget": Vector(), "peephole_output": Vector()},
        **_LSTM,
    ),
    "lstm-layernorm": Cell(
        step=lstm_layernorm,
        vectors={
            "gain_input": Vector(4, 1.0),
            "gain_recurrent": Vector(4, 1.0),
            "gain_cell": Vector(1, 1.0),
            "bias_cell": Vector(),
        },
        **_LSTM,
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
