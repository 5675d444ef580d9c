"""
The equations of every recurrent cell, each written once, for numpy and torch arrays alike.

A recurrent layer computes W v + b from its input v, for all steps of a window at once. The cell computes the
rest, step by step:

    x = W v + b                  weight_input (G*H, I), bias (G*H)
    state' = step(x, state, multiply, vectors)

W and b hold the cell's G gates as blocks of H rows, in the order of `Cell.gates`. `x` is (B, G*H), and the
state is a tuple of arrays, (B, H), starting with the hidden state h. The cell chooses what its recurrent
matrices multiply: `multiply("weight_recurrent", h)` computes U h for each stream. A step may multiply at any
point of its equations, by any number of matrices, or not at all. All other parameters are vectors: the step
gets them by name in `vectors`, along with b as `bias`.

A new cell is a function and an entry in CELLS; everything else, from `--cell` to parameter counts, derives
from the entry. A step may use `+ - * / **`, slices, `blocks`, `normalise` and functions.py, and must not
modify an array in place. It passes each gate through `gate`, which makes gates visible to
`RecurrentModel.read`. Any other operation that numpy and torch arrays share, such as `abs`, works too, but
training then falls back to torch's autograd, which is slower.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lmgen.errors import ConfigError
from lmgen.models.network.functions import Array, gate, relu, sigmoid, tanh
from lmgen.models.network.initializers import Initializer, orthogonal

CellState = tuple[Array, ...]
"""The parts of a cell's state, each (B, H); the hidden state h comes first."""

Multiply = Callable[[str, Array], Array]
"""Maps the name of a matrix U, (O, H), and values v, (B, H), to U v for each stream, (B, O)."""

Vectors = Mapping[str, Array]

Step = Callable[[Array, CellState, Multiply, Vectors], CellState]
"""Maps x, the previous state, `multiply` and the vectors to the next state."""

EPSILON = 1e-5
"""ε in `normalise`, which prevents division by zero."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A recurrent matrix of a cell: `blocks` square blocks stacked vertically, (blocks * H, H)."""

    blocks: int = 1
    start: Initializer = orthogonal
    """Initializer of each block."""


@dataclass(frozen=True, slots=True)
class Vector:
    """A parameter vector of a cell, (blocks * H), initialized to a constant."""

    blocks: int = 1
    start: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cell:
    """A recurrent cell: its parameters, the parts of its state, and its equations."""

    gates: tuple[str, ...]
    """Names of the blocks of W and b, in storage order."""

    states: tuple[str, ...]
    """Names of the parts of the state; the first is the output."""

    step: Step

    matrices: Mapping[str, Matrix] | None = None
    """The recurrent matrices by name; None: only `weight_recurrent`, with one block per gate."""

    vectors: Mapping[str, Vector] = field(default_factory=dict)

    bias: Mapping[str, float] = field(default_factory=dict)
    """Initial value of b for individual gates; 0 for the rest."""

    @property
    def recurrent(self) -> Mapping[str, Matrix]:
        """The recurrent matrices by name, with the default filled in."""
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
    LSTM with peepholes: input and forget gate also see c, the output gate sees c'.

    i = σ(x_i + r_i + p_i c)   f = σ(x_f + r_f + p_f c)   o = σ(x_o + r_o + p_o c')   the rest is as in `lstm`

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
    LSTM with layer normalisation N (see `normalise`) of both products, each over all gates at once, and of
    c'.

    a = α_x N(W v) + α_r N(U h) + b   c' = σ(a_f) c + σ(a_i) tanh(a_g)   h' = σ(a_o) tanh(α_c N(c') + β_c)

    Ba, Kiros and Hinton 2016, supplementary material. There each product also has its own shift; here b
    replaces both. The α are the gains, β_c is `bias_cell`.
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
    Gated recurrent unit, with the reset gate applied after the recurrent product (as in cuDNN and torch).

    r = U h
    s = σ(x_s + r_s)   z = σ(x_z + r_z)   n = tanh(x_n + s (r_n + b_n))   h' = (1 - z) n + z h

    Cho et al. 2014, equations 5 to 8, with the candidate as in arXiv:1406.1078v1: the product comes before
    the reset gate, so that one matrix product serves all three blocks. b_n is `bias_recurrent`.
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
    # Remember by default, so that gradients flow early in training: Gers et al. 2000; Jozefowicz et al. 2015.
    "bias": {"forget": 1.0},
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
    Look up a cell in `CELLS`.

    Raises:
        ConfigError: the name is unknown; the message lists all names.
    """
    try:
        return CELLS[name]
    except KeyError:
        raise ConfigError(f"there is no cell {name!r}; known are {', '.join(CELLS)}") from None


def blocks(array: Array, count: int) -> list[Array]:
    """Split the last axis into equal parts: (B, G*H) -> G times (B, H)."""
    size = array.shape[-1] // count
    return [array[..., part * size : (part + 1) * size] for part in range(count)]


def normalise(array: Array) -> Array:
    """Shift and scale to mean 0 and variance 1 along the last axis: (a - μ) / sqrt(σ² + ε)."""
    centred = array - array.mean(-1, keepdims=True)  # torch also accepts `keepdims`
    return centred / ((centred * centred).mean(-1, keepdims=True) + EPSILON) ** 0.5
