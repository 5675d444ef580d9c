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
from lmgen.models.network.functions import (
    Array,
    elu,
    gate,
    hard_sigmoid,
    leaky_relu,
    relu,
    sigmoid,
    softplus,
    tanh,
)
from lmgen.models.network.initializers import Initializer, orthogonal, zeros

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

    keeps: Mapping[str, int] = field(default_factory=dict)
    """Gates that decide how long the state lasts: 1 if an open one keeps it, -1 if it writes over it."""

    normalises: bool = False
    """Whether its equations normalise W v, and so use b apart from it."""

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


def lstm_1997(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """
    Long short-term memory as first published, without a forget gate: what c holds stays.

    r = U h
    i = σ(x_i + r_i)   g = tanh(x_g + r_g)   o = σ(x_o + r_o)
    c' = c + i g       h' = o tanh(c')

    Hochreiter and Schmidhuber 1997, whose squashing functions have other ranges.
    """
    h, c = state
    i, g, o = blocks(x + multiply("weight_recurrent", h), 3)
    c = c + gate("input", sigmoid(i)) * gate("candidate", tanh(g))
    return gate("output", sigmoid(o)) * tanh(c), c


def lstm_coupled(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """
    LSTM that writes as much as it forgets: the input gate is 1 - f.

    r = U h
    f = σ(x_f + r_f)   g = tanh(x_g + r_g)   o = σ(x_o + r_o)
    c' = f c + (1 - f) g     h' = o tanh(c')

    Greff et al. 2017, "coupled input and forget gate".
    """
    h, c = state
    f, g, o = blocks(x + multiply("weight_recurrent", h), 3)
    return _coupled(f, g, o, c)


def lstm_coupled_rmsnorm(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:
    """
    `lstm-coupled` with each gate's sum of products scaled to root mean square 1, then by a gain.

    a = W v + U h (without b)   f = σ(α_f N(a_f) + b_f)   g = tanh(α_g N(a_g) + b_g)   o = σ(α_o N(a_o) + b_o)
    N(a) = a / sqrt(mean(a²) + ε)     c' = f c + (1 - f) g     h' = o tanh(c')

    As in the LSTM of the compressors cmix and lstm-compress (Knoll); N: Zhang and Sennrich 2019. α is `gain`.
    """
    h, c = state
    b = vectors["bias"]
    sums = blocks(x - b + multiply("weight_recurrent", h), 3)
    scaled = zip(sums, blocks(vectors["gain"], 3), blocks(b, 3), strict=True)
    f, g, o = (gain * root_mean_square_one(a) + bias for a, gain, bias in scaled)
    return _coupled(f, g, o, c)


def _coupled(f: Array, g: Array, o: Array, c: Array) -> CellState:
    """The next state of an LSTM with coupled gates, from the gates before their activation."""
    f = gate("forget", sigmoid(f))
    g = gate("candidate", tanh(g))
    c = g + f * (c - g)
    return gate("output", sigmoid(o)) * tanh(c), c


def lstm_peephole_full(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """
    LSTM whose gates see all of c, by matrices P: W [c, h, v] on the lectures' slides.

    r = U h
    i = σ(x_i + r_i + P_i c)   f = σ(x_f + r_f + P_f c)   g = tanh(x_g + r_g)
    c' = f c + i g             o = σ(x_o + r_o + P_o c')   h' = o tanh(c')

    Gers and Schmidhuber 2000 have diagonal P, see `lstm-peephole`: 3m parameters in place of 3m².
    """
    h, c = state
    i, f, g, o = blocks(x + multiply("weight_recurrent", h), 4)
    i_c, f_c = blocks(multiply("peephole_gates", c), 2)
    c = gate("forget", sigmoid(f + f_c)) * c + gate("input", sigmoid(i + i_c)) * gate("candidate", tanh(g))
    return gate("output", sigmoid(o + multiply("peephole_output", c))) * tanh(c), c


def lstm_peephole(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:
    """
    LSTM with peepholes: input and forget gate also see c, the output gate sees c'.

    r = U h
    i = σ(x_i + r_i + p_i c)   f = σ(x_f + r_f + p_f c)   g = tanh(x_g + r_g)
    c' = f c + i g             o = σ(x_o + r_o + p_o c')   h' = o tanh(c')

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
    LSTM with layer normalisation N of both products, each over all gates at once, and of c'.

    a = α_x N(W v) + α_r N(U h) + b   N(a) = (a - mean(a)) / sqrt(variance(a) + ε)
    c' = σ(a_f) c + σ(a_i) tanh(a_g)   h' = σ(a_o) tanh(α_c N(c') + β_c)

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
    s = σ(x_s + r_s)   z = σ(x_z + r_z)   n = tanh(x_n + s (r_n + b_n))
    h' = (1 - z) n + z h

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


def gru_reset_before(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """
    Gated recurrent unit as the lectures write it: the reset gate acts before the recurrent product.

    s = σ(x_s + U_s h)   z = σ(x_z + U_z h)   n = tanh(x_n + U_n (s h))
    h' = (1 - z) h + z n

    Chung et al. 2014, section 3.2. The update gate z is 1 - z of `gru`. U_n is `weight_candidate`.
    """
    (h,) = state
    x_s, x_z, x_n = blocks(x, 3)
    r_s, r_z = blocks(multiply("weight_gates", h), 2)
    s, z = gate("reset", sigmoid(x_s + r_s)), gate("update", sigmoid(x_z + r_z))
    n = gate("candidate", tanh(x_n + multiply("weight_candidate", s * h)))
    return (h + z * (n - h),)


def dsgu(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """
    Deep simple gated unit: one gate, and a candidate that the input reaches only by multiplying h.

    k = tanh(U_k (x_n h))   n = σ(U_n (k h))   z = hard σ(x_z + U_z h)
    h' = (1 - z) h + z n

    Gao and Glowacka 2016, arXiv:1604.02910. hard σ(a) is 0.2 a + 0.5, cut off at 0 and 1.
    """
    (h,) = state
    x_n, x_z = blocks(x, 2)
    k = tanh(multiply("weight_inner", x_n * h))
    n = gate("candidate", sigmoid(multiply("weight_candidate", k * h)))
    z = gate("update", hard_sigmoid(x_z + multiply("weight_update", h)))
    return (h + z * (n - h),)


def rnn(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """
    Vanilla recurrent network.

    h' = tanh(x + U h)

    Elman 1990.
    """
    return (tanh(x + multiply("weight_recurrent", state[0])),)


def rnn_relu(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """
    Recurrent network with the rectifier.

    h' = max(0, x + U h)

    Le, Jaitly and Hinton 2015.
    """
    return (relu(x + multiply("weight_recurrent", state[0])),)


def rnn_sigmoid(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """
    Recurrent network with the logistic function.

    h' = σ(x + U h)

    Mikolov et al. 2010, equation 2.
    """
    return (sigmoid(x + multiply("weight_recurrent", state[0])),)


def rnn_leaky_relu(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """
    Recurrent network with the leaky rectifier.

    a = x + U h   h' = max(a, 0.01 a)

    Activation: Maas, Hannun and Ng 2013.
    """
    return (leaky_relu(x + multiply("weight_recurrent", state[0])),)


def rnn_elu(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """
    Recurrent network with the exponential linear unit.

    a = x + U h   h' = a where a > 0, exp(a) - 1 elsewhere

    Activation: Clevert, Unterthiner and Hochreiter 2016.
    """
    return (elu(x + multiply("weight_recurrent", state[0])),)


def rnn_softplus(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:  # noqa: ARG001
    """
    Recurrent network with the softplus.

    h' = log(1 + exp(x + U h))

    Activation: Dugas et al. 2001.
    """
    return (softplus(x + multiply("weight_recurrent", state[0])),)


_VANILLA: dict[str, Any] = {"gates": ("hidden",), "states": ("h",)}

_LSTM: dict[str, Any] = {
    "gates": ("input", "forget", "candidate", "output"),
    "states": ("h", "c"),
    # Remember by default, so that gradients flow early in training: Gers et al. 2000; Jozefowicz et al. 2015.
    "bias": {"forget": 1.0},
    "keeps": {"forget": 1, "input": -1},
}

_COUPLED: dict[str, Any] = {**_LSTM, "gates": ("forget", "candidate", "output"), "keeps": {"forget": 1}}

CELLS = {
    "lstm": Cell(step=lstm, **_LSTM),
    "gru": Cell(
        step=gru,
        gates=("reset", "update", "candidate"),
        states=("h",),
        vectors={"bias_recurrent": Vector()},
        keeps={"update": 1},
    ),
    "rnn": Cell(step=rnn, **_VANILLA),
    "rnn-relu": Cell(step=rnn_relu, **_VANILLA),
    "rnn-sigmoid": Cell(step=rnn_sigmoid, **_VANILLA),
    "rnn-leaky-relu": Cell(step=rnn_leaky_relu, **_VANILLA),
    "rnn-elu": Cell(step=rnn_elu, **_VANILLA),
    "rnn-softplus": Cell(step=rnn_softplus, **_VANILLA),
    "lstm-1997": Cell(step=lstm_1997, gates=("input", "candidate", "output"), states=("h", "c")),
    "lstm-coupled": Cell(step=lstm_coupled, **_COUPLED),
    "lstm-coupled-rmsnorm": Cell(
        step=lstm_coupled_rmsnorm, normalises=True, vectors={"gain": Vector(3, 1.0)}, **_COUPLED
    ),
    "lstm-peephole-full": Cell(
        step=lstm_peephole_full,
        matrices={
            "weight_recurrent": Matrix(4),
            # As in `lstm-peephole`. c has no bound, and orthogonal matrices make training unstable.
            "peephole_gates": Matrix(2, zeros),
            "peephole_output": Matrix(start=zeros),
        },
        **_LSTM,
    ),
    "gru-reset-before": Cell(
        step=gru_reset_before,
        gates=("reset", "update", "candidate"),
        states=("h",),
        matrices={"weight_gates": Matrix(2), "weight_candidate": Matrix()},
        keeps={"update": -1},
    ),
    "dsgu": Cell(
        step=dsgu,
        gates=("candidate", "update"),
        states=("h",),
        matrices={"weight_inner": Matrix(), "weight_candidate": Matrix(), "weight_update": Matrix()},
    ),
    "lstm-peephole": Cell(
        step=lstm_peephole,
        vectors={"peephole_input": Vector(), "peephole_forget": Vector(), "peephole_output": Vector()},
        **_LSTM,
    ),
    "lstm-layernorm": Cell(
        step=lstm_layernorm,
        normalises=True,
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


def root_mean_square_one(array: Array) -> Array:
    """Scale to root mean square 1 along the last axis: a / sqrt(mean(a²) + ε)."""
    return array / ((array * array).mean(-1, keepdims=True) + EPSILON) ** 0.5


def normalise(array: Array) -> Array:
    """Shift and scale to mean 0 and variance 1 along the last axis: (a - μ) / sqrt(σ² + ε)."""
    centred = array - array.mean(-1, keepdims=True)  # torch also accepts `keepdims`
    return centred / ((centred * centred).mean(-1, keepdims=True) + EPSILON) ** 0.5
