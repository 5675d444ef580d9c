"""
The chain rule through one step of any layer but attention (attention.py), in double precision.

A layer's `step` is called once with formulas in place of arrays (autodiff/). Its matrices are stand-ins whose
products become formulas too, so W v, U h and all that the layer does with them is known:

    values, state before  ──►  output, state after

Formulas are then computed for given arrays, each once, as far as they are needed.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from lmgen.arrays import Float64Array, IdArray
from lmgen.autodiff.cell_programs import matrix_of
from lmgen.autodiff.formulas import (
    Blocks,
    CannotTrace,
    Columns,
    Formula,
    array,
    gradients,
    parts_of,
    product,
)
from lmgen.errors import ModelError
from lmgen.models.network.layer import Layer
from lmgen.models.network.output import AdaptiveSoftmax, Output, Softmax, log_softmax

State = tuple[Float64Array, ...]
"""The state of a layer, each part (B, size)."""


class Taken(Protocol):
    """A step that a layer has taken, with what the way back needs."""

    output: Float64Array
    after: State

    def backward(
        self, output: Float64Array, after: Sequence[Float64Array]
    ) -> tuple[State, Float64Array, State]:
        """
        Take gradients back through the step.

        Args:
            output: the gradient with respect to the output.
            after: that with respect to each part of the state after, by way of the steps that follow.

        Returns:
            The gradients with respect to each part of the state after by all ways, the output's and those
            within the step included (an LSTM's h' depends on c'); to the input; to the state before.
        """


class LayerStep:
    """One step of a layer, forward and backward."""

    def __init__(self, layer: Layer, arrays: Mapping[str, Float64Array]) -> None:
        """
        Trace a layer.

        Args:
            layer: any layer between embedding and output.
            arrays: its parameters by their names without the prefix.

        Raises:
            ModelError: its step does something that formulas cannot follow.
        """
        self._values = array("values", layer.inputs)
        self._before = tuple(array(f"state_{number}", size) for number, size in enumerate(layer.state_sizes))
        self._matrices = {name: each for name, each in arrays.items() if each.ndim == 2}
        stand_ins = {name: _Matrix(name, self._matrices) for name in [*self._matrices]}
        vectors = {
            name: array(name, len(each), is_fixed=True) for name, each in arrays.items() if each.ndim == 1
        }
        self._vectors = {formula: arrays[name] for name, formula in vectors.items()}
        try:
            output, after = layer.step({**vectors, **stand_ins}, self._values, self._before)
            self._results = [output, *after]
            self._incoming = [
                array(f"grad_{number}", each.width, is_gradient=True)
                for number, each in enumerate(self._results)
            ]
            products = [each for each in parts_of(self._results) if each.is_product]
            self._through = {
                array("grad_operand", each.operands[0].width, is_gradient=True): each for each in products
            }
            through = {each: stand_in for stand_in, each in self._through.items()}
            self._found = gradients(self._results, self._incoming, through, inner=after)
        except (CannotTrace, TypeError, AttributeError, KeyError, ValueError) as error:
            raise ModelError(
                f"gradients cannot be followed through a layer of kind {layer.kind}: {error}"
            ) from error

    def forward(self, values: Float64Array, before: State) -> "StepTaken":
        """The output and the state after a step from the input, (B, n), and the state before."""
        return StepTaken(self, values, before)

    def known(self, values: Float64Array, before: State) -> dict[Formula, Float64Array]:
        """The arrays that all formulas are made of."""
        return {self._values: values, **dict(zip(self._before, before, strict=True)), **self._vectors}

    @property
    def results(self) -> Sequence[Formula]:
        """The output, and the parts of the state after."""
        return self._results

    @property
    def incoming(self) -> Sequence[Formula]:
        """What stands for the gradients with respect to `results`."""
        return self._incoming

    @property
    def given(self) -> Sequence[Formula]:
        """The input, and the parts of the state before."""
        return [self._values, *self._before]

    def blocks(self, formula: Formula) -> Blocks:
        """The formulas of the gradient with respect to another, by blocks of columns."""
        return self._found.get(formula, {})

    def product_behind(self, formula: Formula) -> Formula | None:
        """The product whose operand's gradient a formula stands for; None for any other formula."""
        return self._through.get(formula)

    def matrix(self, p: Formula) -> Float64Array:
        """The matrix of a product."""
        return self._matrices[matrix_of(p)]


class StepTaken:
    """A step that a layer has taken, with what the way back needs."""

    def __init__(self, step: LayerStep, values: Float64Array, before: State) -> None:
        self._step = step
        self._streams = len(values)
        self._arrays = step.known(values, before)
        self.output, *after = (self._array(formula) for formula in step.results)
        self.after: State = tuple(after)

    def backward(
        self, output: Float64Array, after: Sequence[Float64Array]
    ) -> tuple[State, Float64Array, State]:
        """As `Taken.backward` says."""
        forward = dict(self._arrays)
        self._arrays |= dict(zip(self._step.incoming, [output, *after], strict=True))
        whole = tuple(self._gradient(formula) for formula in self._step.results[1:])
        values, *before = (self._gradient(formula) for formula in self._step.given)
        self._arrays = forward
        return whole, values, tuple(before)

    def _gradient(self, formula: Formula) -> Float64Array:
        found = np.zeros((self._streams, formula.width))
        for columns, gradient in self._step.blocks(formula).items():
            columns.of(found)[...] = self._array(gradient)
        return found

    def _array(self, formula: Formula) -> Float64Array:
        """What a formula is, computed when it is first asked for."""
        if formula not in self._arrays:
            self._arrays[formula] = self._computed(formula)
        return self._arrays[formula]

    def _computed(self, formula: Formula) -> Float64Array:
        if (p := self._step.product_behind(formula)) is not None:
            return self._gradient(p) @ self._step.matrix(p)
        if formula.is_number:
            return np.array(formula.operands)
        operands = [self._array(operand) for operand in formula.operands]
        if formula.is_product:
            return operands[0] @ self._step.matrix(formula).T
        if isinstance(formula.function, Columns):
            columns: Float64Array = formula.function.of(operands[0])
            return columns
        assert callable(formula.function)
        result = np.empty((self._streams, formula.width))
        formula.function(*operands, result)
        return result


class _Matrix:
    """Stands for a matrix in a layer's step, which multiplies by `values @ matrix.T` (functions.linear)."""

    def __init__(self, name: str, matrices: dict[str, Float64Array]) -> None:
        """Args: name, and matrices, all there are by name, to which blocks of rows are added."""
        self._name, self._matrices = name, matrices

    @property
    def T(self) -> "_Matrix":  # noqa: N802 - numpy's name
        return self

    def __getitem__(self, rows: slice) -> "_Matrix":
        block = f"{self._name}[{rows.start}:{rows.stop}]"
        self._matrices[block] = self._matrices[self._name][rows]
        return _Matrix(block, self._matrices)

    def __rmatmul__(self, values: Formula) -> Formula:
        return product(self._name, values, len(self._matrices[self._name]))


def loss_gradient(
    output: Output, arrays: Mapping[str, Float64Array], hidden: Float64Array, ids: IdArray
) -> Float64Array:
    """
    The gradient of -log p(id) with respect to the input of the output layer, (B, n), for one id a stream.

    Of a softmax it is (p - 1_id) W. An adaptive one adds that of the id's cluster.

    Raises:
        ModelError: the output layer is of another kind.
    """
    if isinstance(output, Softmax):
        through = _softmax_gradient(output.logits(arrays, hidden), ids) @ arrays["weight"]
        projection = arrays.get("projection")
        return through if projection is None else through @ projection
    if not isinstance(output, AdaptiveSoftmax):
        raise ModelError(f"gradients cannot be followed through an output of kind {output.kind}")
    cluster = np.searchsorted(output.starts, ids, side="right") - 1  # -1: a token of the head
    entries = np.where(cluster < 0, ids, output.starts[0] + cluster)
    found = _softmax_gradient(hidden @ arrays["weight"].T + arrays["bias"], entries) @ arrays["weight"]
    for index, first in enumerate(output.starts):
        members = cluster == index
        projection, weight = (arrays[f"clusters.{index}.{name}"] for name in ("projection", "weight"))
        scores = hidden[members] @ projection.T @ weight.T
        found[members] += _softmax_gradient(scores, ids[members] - first) @ weight @ projection
    return found


def _softmax_gradient(scores: Float64Array, ids: IdArray) -> Float64Array:
    """The gradient of -log softmax(scores)[id] with respect to the scores: p - 1_id."""
    found: Float64Array = np.exp(log_softmax(scores))
    found[np.arange(len(ids)), ids] -= 1
    return found
