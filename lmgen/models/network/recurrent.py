"""
The recurrent layer: at each step its cell reads an input v and the previous state.

    x = W v + b                                  W (G*m, n), b (G*m), for the cell's G gates
    state' = step(x, state, multiply, vectors)   the cell's equations, cells.py
    y = h'                                       or h' + v: a residual connection (Wu et al. 2016, sec. 3.1)
"""

from dataclasses import dataclass
from inspect import getdoc

from lmgen.models.network.cells import CELLS, Cell, cell_named
from lmgen.models.network.functions import Array, linear, stack
from lmgen.models.network.initializers import block_values, constant, each_block, glorot
from lmgen.models.network.layer import Arrays, Factors, LayerState, Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrent:
    """A recurrent layer with any cell."""

    number: int
    """Index among the recurrent layers, from 0."""
    cell_name: str
    inputs: int
    """Input size n."""
    outputs: int
    """Number of units m = H."""
    residual: bool = False
    """Whether the input is added to the hidden states; requires n = m."""

    borrowed = ()

    @property
    def kind(self) -> str:
        """Kind of layer for people: the name of the cell."""
        return self.cell_name

    @property
    def prefix(self) -> str:
        """Prefix of parameter names: `layers.0.` for the first recurrent layer."""
        return f"layers.{self.number}."

    @property
    def cell(self) -> Cell:
        """Entry of `CELLS` for `cell_name`."""
        return cell_named(self.cell_name)

    @property
    def formula(self) -> str:
        """
        Parameter count: G(nm + m² + m) for G gates with W, U and b, plus a term for other vectors.

        4(nm + m² + m) for an LSTM, 4(nm + m² + m) + 3m with peepholes. Recurrent blocks beyond one a gate are
        a term of their own, as are all where there are fewer.
        """
        gates = len(self.cell.gates)
        blocks = sum(matrix.blocks for matrix in self.cell.recurrent.values())
        inside = "nm + m² + m" if blocks >= gates else "nm + m"
        terms = [inside if gates == 1 else f"{gates}({inside})"]
        if more := blocks - gates if blocks >= gates else blocks:
            terms.append(_term(more, "m²"))
        if vectors := sum(vector.blocks for vector in self.cell.vectors.values()):
            terms.append(_term(vectors, "m"))
        return " + ".join(terms)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """
        W, the cell's recurrent matrices, b, and the cell's vectors.

        Each gate's block of W is initialized by `glorot`, and b to 0 except where `Cell.bias` has a value.
        The cell defines the initial values of its matrices and vectors.
        """
        cell, G, n, m = self.cell, len(self.cell.gates), self.inputs, self.outputs
        bias = block_values(tuple(cell.bias.get(gate, 0.0) for gate in cell.gates))
        found = [
            Parameter("weight_input", (G * m, n), _factors(G, ("n", n), ("m", m)), each_block(G, glorot))
        ]
        found += [
            Parameter(
                name,
                (matrix.blocks * m, m),
                _factors(matrix.blocks, ("m", m), ("m", m)),
                each_block(matrix.blocks, matrix.start),
            )
            for name, matrix in cell.recurrent.items()
        ]
        found.append(Parameter("bias", (G * m,), _factors(G, ("m", m)), bias))
        found += [
            Parameter(name, (vector.blocks * m,), _factors(vector.blocks, ("m", m)), constant(vector.start))
            for name, vector in cell.vectors.items()
        ]
        return tuple(Parameter(self.prefix + one.name, one.shape, one.factors, one.start) for one in found)

    @property
    def recurrent(self) -> tuple[str, ...]:
        """Names of the matrices that are multiplied with the state, without the prefix."""
        return tuple(self.cell.recurrent)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Size m for each part of the cell's state; h comes first."""
        return (self.outputs,) * len(self.cell.states)

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """One step: (B, n) -> (B, m)."""
        after = self.step_projected(arrays, self.project(arrays, values), state)
        return self.connected(after[0], values), after

    def window(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """T steps: (T, B, n) -> (T, B, m), with one input product for all of them."""
        hidden, last = run_equations(self.cell, arrays, values, state)
        return self.connected(hidden, values), last

    def project(self, arrays: Arrays, values: Array) -> Array:
        """Compute W v + b, which does not depend on the state: (..., n) -> (..., G*m)."""
        return _project(arrays, values)

    def step_projected(self, arrays: Arrays, x: Array, state: LayerState) -> LayerState:
        """Compute the next state of the cell from x = W v + b, (B, G*m)."""
        return _next_state(self.cell, arrays, x, state)

    def connected(self, hidden: Array, values: Array) -> Array:
        """Output of the layer: the hidden states, plus the input if there is a residual connection."""
        return hidden + values if self.residual else hidden


@dataclass(frozen=True, slots=True)
class CellDescription:
    """A cell in words and formulas. The fields are those of `lmgen info --cells --json`."""

    name: str
    summary: str
    equations: list[str]
    """A line each; x = W v + b is what the cell computes from its input v, a block x_i for each gate."""
    source: str
    parameters: str
    """Number of parameters as a formula of n inputs and m outputs."""


def described_cells() -> list[CellDescription]:
    """Every cell, from the docstring of its equations and the shapes of its parameters."""
    found = []
    for name, cell in CELLS.items():
        explained = getdoc(cell.step) or "\n\n\n\n"  # python -OO leaves no docstrings
        summary, equations, source = explained.split("\n\n", 2)
        layer = Recurrent(number=0, cell_name=name, inputs=1, outputs=1)
        found.append(
            CellDescription(
                name, _on_one_line(summary), equations.splitlines(), _on_one_line(source), layer.formula
            )
        )
    return found


def _on_one_line(text: str) -> str:
    return " ".join(text.replace("`", "").split())


def run_equations(cell: Cell, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
    """
    Run a cell over a window by evaluating its equations step by step.

    Args:
        cell: the cell.
        arrays: weight_input, bias, the recurrent matrices and vectors, by name.
        values: inputs, (T, B, n).
        state: state before the window, each part (B, m).

    Returns:
        The hidden states, (T, B, m), and the state after the window.
    """
    hidden = []
    for x in _project(arrays, values):
        state = _next_state(cell, arrays, x, state)
        hidden.append(state[0])
    return stack(hidden), state


def _project(arrays: Arrays, values: Array) -> Array:
    """Compute W v + b: (..., n) -> (..., G*m)."""
    return linear(values, arrays["weight_input"]) + arrays["bias"]


def _next_state(cell: Cell, arrays: Arrays, x: Array, state: LayerState) -> LayerState:
    """Compute the next state of a cell from x = W v + b."""
    return cell.step(x, state, lambda name, values: linear(values, arrays[name]), arrays)


def _factors(blocks: int, *others: tuple[str, int]) -> Factors:
    return others if blocks == 1 else ((str(blocks), blocks), *others)


def _term(count: int, letters: str) -> str:
    return letters if count == 1 else f"{count}{letters}"
