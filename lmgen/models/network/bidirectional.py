"""
The bidirectional recurrent layer: one cell reads a text from its start, another from its end.

    h_t = cell(v_t, h_(t-1))          forwards, from zeros before the first step
    k_t = cell'(v_t, k_(t+1))         backwards, from zeros after the last step of the text
    y_t = [h_t; k_t]                  or y_t + v_t: a residual connection

Each output has seen the whole text (Schuster and Paliwal 1997). So the layer reads whole texts, not token by
token, and is of no use to a language model, which must not see the token that it predicts.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from lmgen.models.network.cells import Cell
from lmgen.models.network.functions import Array, along_steps, backwards, concatenate, zeros_like
from lmgen.models.network.layer import Arrays, LayerState, Parameter
from lmgen.models.network.recurrent import Recurrent, run_equations

DIRECTIONS = ("forwards", "backwards")
"""The names of the two cells in the names of parameters, in the order of their outputs."""

Run = Callable[[Cell, Arrays, Array, LayerState], tuple[Array, LayerState]]
"""Runs a cell over a window, as `run_equations` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bidirectional:
    """Two recurrent layers with the same kind of cell, which read a text in opposite directions."""

    number: int
    """Index among the recurrent layers, from 0."""
    cell_name: str
    inputs: int
    """Input size n."""
    units: int
    """Number of units H of each direction."""
    residual: bool = False
    """Whether the input is added to the output; requires n = 2H."""

    borrowed = ()
    state_sizes = ()

    @property
    def kind(self) -> str:
        """Kind of layer for people: `bidirectional lstm`."""
        return f"bidirectional {self.cell_name}"

    @property
    def prefix(self) -> str:
        """Prefix of parameter names: `layers.0.` for the first recurrent layer."""
        return self._one.prefix

    @property
    def outputs(self) -> int:
        """Output size m = 2H."""
        return 2 * self.units

    @property
    def formula(self) -> str:
        """Parameter count: that of a recurrent layer with m / 2 units, twice."""
        return f"2({self._one.formula.replace('m', 'H')})"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those of a recurrent layer of H units, for each direction."""
        return tuple(
            replace(
                one,
                name=f"{self.prefix}{direction}.{one.name.removeprefix(self.prefix)}",
                factors=tuple((letter.replace("m", "H"), number) for letter, number in one.factors),
            )
            for direction in DIRECTIONS
            for one in self._one.parameters
        )

    @property
    def recurrent(self) -> tuple[str, ...]:
        """Names of the matrices that are multiplied with the state, without the prefix."""
        return tuple(f"{direction}.{name}" for direction in DIRECTIONS for name in self._one.recurrent)

    def step(self, arrays: Arrays, values: Array, state: LayerState) -> tuple[Array, LayerState]:
        """Texts of a single token each: (B, n) -> (B, m)."""
        given, after = self.window(arrays, values[None], state)
        return given[0], after

    def window(
        self,
        arrays: Arrays,
        values: Array,
        state: LayerState,
        order: Array | None = None,
        run: Run = run_equations,
        passed: Array | None = None,
    ) -> tuple[Array, LayerState]:
        """
        Read B whole texts: (T, B, n) -> (T, B, m).

        Args:
            arrays: parameters of this layer, by their names without the prefix.
            values: input, (T, B, n).
            state: empty; every text is read from its start.
            order: which step is read in place of each, backwards, (T, B), as `backward_order` gives it; None:
                every text has T steps.
            run: how a cell is run over a window.
            passed: what a residual connection adds; None: `values`.
        """

        def turned(steps: Array) -> Array:
            return backwards(steps) if order is None else along_steps(steps, order)

        start = (zeros_like(values, values.shape[1], self.units),) * len(self._one.state_sizes)
        forwards, _ = run(self._one.cell, _of("forwards", arrays), values, start)
        from_end, _ = run(self._one.cell, _of("backwards", arrays), turned(values), start)
        outputs = concatenate([forwards, turned(from_end)], axis=-1)
        return (outputs + (values if passed is None else passed) if self.residual else outputs), state

    @property
    def _one(self) -> Recurrent:
        """The recurrent layer that either direction is."""
        return Recurrent(number=self.number, cell_name=self.cell_name, inputs=self.inputs, outputs=self.units)


def _of(direction: str, arrays: Arrays) -> dict[str, Array]:
    """The parameters of one direction, by their names in a recurrent layer."""
    prefix = f"{direction}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def backward_order(ids: Array, unit_end: int) -> Array:
    """
    Which step of its text is read in place of each, backwards; padding after a text stays in its place.

    For a text of three tokens in a window of five steps that is 2, 1, 0, 3, 4. Each text reaches to the first
    of its `unit_end` tokens.

    Args:
        ids: the texts with their padding, (T, B), of numpy or torch.
        unit_end: id of the token that ends a text.

    Returns:
        Numbers of steps, (T, B).
    """
    ends = ids == unit_end
    inside = ends.cumsum(0) - ends * 1 == 0
    steps = (inside | ~inside).cumsum(0) - 1
    return steps + inside * (inside.sum(0) - 1 - 2 * steps)
