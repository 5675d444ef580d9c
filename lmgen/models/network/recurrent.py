"""
A recurrent layer: at each step its cell reads an input v and the state that the step before has left.

    x = W v + b                                  W (G*m, n), b (G*m), for the cell's G gates
    state' = step(x, state, multiply, vectors)   the cell's equations, cells.py
    y = h'                                       or h' + v: a residual connection (Wu et al. 2016, sec. 3.1)
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lmgen.models.network.cells import Cell, cell_named
from lmgen.models.network.functions import Array, linear, stack
from lmgen.models.network.initializers import block_values, constant, each_block, glorot
from lmgen.models.network.layer import Arrays, Factors, LayerState, Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrent:
    """A layer of `outputs` units of some cell."""

    number: int
    """Its place among the recurrent layers, from 0."""
    cell_name: str
    inputs: int
    """n."""
    outputs: int
    """m = H: how many units."""
    residual: bool = False
    """Whether what it reads is added to its hidden states; both have the same length then."""

    borrowed = ()

    @property
    def kind(self) -> str:
        """The name of its cell."""
        return self.cell_name

    @property
    def prefix(self) -> str:
        """`layers.0.` for the first."""
        return f"layers.{self.number}."

    @property
    def cell(self) -> Cell:
        """Its cell."""
        return cell_named(self.cell_name)

    @property
    def formula(self) -> str:
        """
        G(nm + m² + m), with what the cell has beside W, b and one recurrent block a gate.

        An LSTM's is 4(nm + m² + m), with peepholes 4(nm + m² + m) + 3m.
        """
        gates = len(self.cell.gates)
        blocks = sum(matrix.blocks for matrix in self.cell.recurrent.values())
        usual = blocks == gates
        inside = "nm + m² + m" if usual else "nm + m"
        terms = [inside if gates == 1 else f"{gates}({inside})"]
        if not usual and blocks:
            terms.append(_times(blocks, "m²"))
        if vectors := sum(vector.blocks for vector in self.cell.vectors.values()):
            terms.append(_times(vectors, "m"))
        return " + ".join(terms)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """
        W, the cell's recurrent matrices, b, and the cell's vectors.

        Of W each gate's block starts uniform (`glorot`) by its own sizes, and b from 0, unless the cell says
        otherwise; it says how the others start.
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
    def state_sizes(self) -> tuple[int, ...]:
        """Each part of the cell's state has m numbers; h comes first."""
        return (self.outputs,) * len(self.cell.states)

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """One step: (B, n) -> (B, m)."""
        after = self.step_projected(arrays, self.project(arrays, values), state)
        return self.connected(after[0], values), after

    def window(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """T steps: (T, B, n) -> (T, B, m). All inputs are multiplied by W at once."""
        hidden, last = run_equations(self.cell, arrays, values, state)
        return self.connected(hidden, values), last

    def project(self, arrays: Arrays, values: Array) -> Array:
        """X = W v + b, which depends on no state: (..., n) -> (..., G*m)."""
        return _projected(arrays, values)

    def step_projected(self, arrays: Arrays, x: Array, state: LayerState) -> LayerState:
        """The cell's state after a step, from x, (B, G*m)."""
        return _after(self.cell, arrays, x, state)

    def connected(self, hidden: Array, values: Array) -> Array:
        """What the layer gives, from its hidden states and what it has read."""
        return hidden + values if self.residual else hidden


def run_equations(cell: Cell, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
    """
    A cell over a window, step by step as its equations stand.

    Args:
        cell: whose equations.
        arrays: weight_input, bias, the recurrent matrices and vectors, by name.
        values: (T, B, n).
        state: before the window, each part (B, m).

    Returns:
        The hidden states, (T, B, m), and the state after the window.
    """
    hidden = []
    for x in _projected(arrays, values):
        state = _after(cell, arrays, x, state)
        hidden.append(state[0])
    return stack(hidden), state


def _projected(arrays: Arrays, values: Array) -> Array:
    """X = W v + b: (..., n) -> (..., G*m)."""
    return linear(values, arrays["weight_input"]) + arrays["bias"]


def _after(cell: Cell, arrays: Arrays, x: Array, state: LayerState) -> LayerState:
    """The state after a step."""
    return cell.step(x, state, lambda name, values: linear(values, arrays[name]), arrays)


def recurrent_layers(
    cell_name: str, inputs: int, sizes: tuple[int, ...], *, residual: bool = False
) -> Iterator[Recurrent]:
    """
    Layers of these sizes, each reading what the one before it gives.

    With `residual`, each layer but the first has a residual connection if it is as wide as the one before.
    """
    for number, size in enumerate(sizes):
        connected = residual and number > 0 and size == inputs
        yield Recurrent(number=number, cell_name=cell_name, inputs=inputs, outputs=size, residual=connected)
        inputs = size


def _factors(blocks: int, *others: tuple[str, int]) -> Factors:
    return others if blocks == 1 else ((str(blocks), blocks), *others)


def _times(count: int, letters: str) -> str:
    return letters if count == 1 else f"{count}{letters}"
