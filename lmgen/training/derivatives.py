"""
The gradients of a cell's equations, as numpy calls drawn up from the equations themselves.

Evaluating the equations once with a `Formula` in place of each array records them, and the chain rule from
their end to their start (reverse-mode differentiation: Speelpenning 1980) gives formulas of the gradients.
These are sums of products: of a gradient that comes in, and of factors that do not depend on it. The factors
are kept together, so that they can be computed for many steps at once; what is left for each step is little.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from lmgen.models.cells import Array, Cell, relu, sigmoid, tanh


class Block(NamedTuple):
    """The gradient of some columns of an array."""

    first: int
    end: int
    place: int
    """Where it stands among the values of `Gradients.step`."""


class Gradients:
    """
    The gradients of what a cell's step reads, from those of the state after it.

    `factors` are computed for some steps together, then `step` for each of these.
    """

    def __init__(self, cell: Cell, hidden_size: int, vectors: Iterable[tuple[str, int]]) -> None:
        """
        Find their formulas.

        Args:
            cell: whose equations to differentiate.
            hidden_size: H.
            vectors: name and length of each vector that the step may read.
        """
        width = len(cell.gates) * hidden_size
        state = {name: _leaf(name, hidden_size) for name in cell.states}
        fixed = {name: _leaf(name, length, stepped=False) for name, length in vectors}
        read = {"x": _leaf("x", width), "r": _leaf("r", width), **state, **fixed}
        after = cell.step(read["x"], read["r"], tuple(state.values()), fixed)
        incoming = [_leaf(f"gradient of {name}", hidden_size, incoming=True) for name in cell.states]
        found = _chain_rule(after, incoming)
        blocks = {name: _separate(formula, found.get(formula, {})) for name, formula in read.items()}

        results = [gradient for of_array in blocks.values() for gradient in of_array.values()]
        needed = _behind(results, lambda formula: formula.incoming)
        factors = [formula for formula in needed if not formula.incoming]
        self._steps = _Program(results, [*incoming, *factors])
        self.blocks = {
            name: [Block(*columns, self._steps.places[gradient]) for columns, gradient in of_array.items()]
            for name, of_array in blocks.items()
        }
        """By the name of each array that is read; columns in no block have no influence."""

        names = {formula: name for name, formula in read.items()}
        names |= {formula: after_step(name) for name, formula in zip(cell.states, after, strict=True)}
        given = [formula for formula in _behind(factors, lambda f: f not in names) if formula in names]
        self.reads = [names[formula] for formula in given]
        """The names of the arrays that the factors are made of."""
        self._factors = _Program(factors, given)
        self._kept = [(self._factors.places[formula], formula.stepped) for formula in factors]

    def factors(self, arrays: Mapping[str, Array]) -> list[Array]:
        """
        All that does not depend on gradients.

        Args:
            arrays: those of `reads`; all but the vectors of several steps, one after the other.
        """
        values = self._factors.run([arrays[name] for name in self.reads])
        return [values[place] for place, _ in self._kept]

    def step(self, gradients: Sequence[Array], factors: Sequence[Array], index: int) -> list[Array]:
        """
        The gradients before a step, at the places that `blocks` names.

        Args:
            gradients: of the parts of the state after it, each (B, H).
            factors: as computed for this step and others.
            index: which of these steps it is.
        """
        return self._steps.run(
            [
                *gradients,
                *[
                    factor[index] if stepped else factor
                    for factor, (_, stepped) in zip(factors, self._kept, strict=True)
                ],
            ]
        )


@cache
def gradients_of(cell: Cell, hidden_size: int, vectors: tuple[tuple[str, int], ...]) -> Gradients:
    """`Gradients`, found once."""
    return Gradients(cell, hidden_size, vectors)


def after_step(state: str) -> str:
    """The name of what a part of the state becomes: by the time gradients are computed it is known."""
    return f"next {state}"


class Formula:
    """
    A function of other formulas, or without a function a number or the name of an array.

    No two are the same: `_formula` makes them. Arrays are (B, width), or (width,) for vectors.
    """

    def __init__(self, function: Callable[..., Array] | None, operands: tuple[Any, ...], width: int) -> None:
        self.function = function
        self.operands = operands
        self.width = width
        self.number = next(_numbers)
        """Above those of its operands."""
        self.incoming = False
        """Whether it depends on a gradient that comes in."""
        self.stepped = False
        """Whether it is another one at each step."""
        if function is not None:
            self.incoming = any(operand.incoming for operand in operands)
            self.stepped = any(operand.stepped for operand in operands)

    @property
    def shape(self) -> tuple[int, ...]:
        """The last axis alone; equations ask for no other."""
        return (self.width,)

    def __add__(self, other: "Formula | float") -> "Formula":
        other = _as_formula(other)
        if self.incoming and other.incoming:
            (gradient, factor), (another, second) = self._factored(), other._factored()
            if gradient is another:
                return gradient * (factor + second)
        return _formula(np.add, self, other)

    def __sub__(self, other: "Formula | float") -> "Formula":
        return _formula(np.subtract, self, _as_formula(other))

    def __rsub__(self, other: float) -> "Formula":
        return _as_formula(other) - self

    def __mul__(self, other: "Formula | float") -> "Formula":
        other = _as_formula(other)
        if self is ONE or other is ONE:
            return other if self is ONE else self
        first, second = sorted((self, other), key=lambda formula: (not formula.incoming, formula.number))
        if not first.incoming:
            return _formula(np.multiply, first, second)
        gradient, factor = first._factored()
        return _formula(np.multiply, gradient, factor * second)

    def __truediv__(self, other: "Formula") -> "Formula":
        return self * _formula(np.reciprocal, other)

    def __pow__(self, exponent: float) -> "Formula":
        return _formula(np.power, self, _as_formula(exponent))

    __radd__ = __add__
    __rmul__ = __mul__

    def __getitem__(self, index: tuple[Any, slice]) -> "Formula":
        """A slice of the last axis."""
        columns = _Columns(index[-1].start, index[-1].stop)
        return _formula(columns, self, width=columns.end - columns.first)

    def tanh(self) -> "Formula":
        """The function of that name in cells.py; the next two likewise."""
        return _formula(tanh, self)

    def sigmoid(self) -> "Formula":
        """See `tanh`."""
        return _formula(sigmoid, self)

    def relu(self) -> "Formula":
        """See `tanh`."""
        return _formula(relu, self)

    def mean(self, axis: int, *, keepdims: bool) -> "Formula":
        """The mean of the last axis, which is kept."""
        assert (axis, keepdims) == (-1, True), "no other mean is known here"
        return _formula(_mean, self, width=1)

    def _factored(self) -> "tuple[Formula, Formula]":
        """A gradient, and the factor that it is multiplied by."""
        if self.incoming and self.function is np.multiply:
            gradient, factor = self.operands
            return gradient, factor
        return self, ONE


class _Columns(NamedTuple):
    """A slice of the last axis."""

    first: int
    end: int

    def __call__(self, array: Array) -> Array:
        return array[..., self.first : self.end]


def _mean(array: Array) -> Array:
    return array.mean(-1, keepdims=True)


def _sum(array: Array) -> Array:
    return array.sum(-1, keepdims=True)


def _joined(*arrays: Array) -> Array:
    return np.concatenate(arrays, axis=-1)


_numbers = count()


@cache
def _formula(function: Callable[..., Array] | None, *operands: Any, width: int | None = None) -> Formula:
    return Formula(function, operands, max(part.width for part in operands) if width is None else width)


@cache
def _leaf(name: str, width: int, *, stepped: bool = True, incoming: bool = False) -> Formula:
    """An array that is there from the start."""
    leaf = Formula(None, (name,), width)
    leaf.stepped, leaf.incoming = stepped, incoming
    return leaf


def _as_formula(value: Formula | float) -> Formula:
    return value if isinstance(value, Formula) else _formula(None, float(value), width=1)


ONE = _as_formula(1.0)

_DERIVATIVES: dict[Any, Callable[..., tuple[Formula | float, ...]]] = {
    np.add: lambda _y, _a, _b: (1.0, 1.0),
    np.subtract: lambda _y, _a, _b: (1.0, -1.0),
    np.multiply: lambda _y, a, b: (b, a),
    np.reciprocal: lambda y, _a: (y * y * -1.0,),
    np.power: lambda _y, a, b: (b * a ** (b.operands[0] - 1.0), 0.0),
    tanh: lambda y, _a: (1.0 - y * y,),
    sigmoid: lambda y, _a: (y - y * y,),
    relu: lambda y, _a: (_formula(np.sign, y),),
    _mean: lambda _y, a: (1.0 / a.width,),
}
"""Of y = f(a) or y = f(a, b): the derivative by each operand."""


def _chain_rule(
    results: Sequence[Formula], gradients: Sequence[Formula]
) -> dict[Formula, dict[_Columns, Formula]]:
    """The gradients of all that the results are made of, in blocks of columns."""
    found: dict[Formula, dict[_Columns, Formula]] = {}

    def add(formula: Formula, columns: _Columns, gradient: Formula) -> None:
        blocks = found.setdefault(formula, {})
        blocks[columns] = blocks[columns] + gradient if columns in blocks else gradient

    for result, gradient in zip(results, gradients, strict=True):
        add(result, _all(result), gradient)
    for formula in reversed(_behind(results)):
        function, operands = formula.function, formula.operands
        if isinstance(function, _Columns):
            add(operands[0], function, _whole(formula, found[formula]))
        elif function is np.add and operands[0].width == operands[1].width:
            for columns, gradient in found[formula].items():
                for operand in operands:
                    add(operand, columns, gradient)
        elif function is not None:
            gradient = _whole(formula, found[formula])
            for operand, derivative in zip(operands, _DERIVATIVES[function](formula, *operands), strict=True):
                part = gradient * derivative
                if operand.width < formula.width:
                    part = part * float(formula.width) if part.width == 1 else _formula(_sum, part, width=1)
                add(operand, _all(operand), part)
    return found


def _all(formula: Formula) -> _Columns:
    return _Columns(0, formula.width)


def _whole(formula: Formula, blocks: Mapping[_Columns, Formula]) -> Formula:
    """The gradient of all columns of a formula, of which there are blocks."""
    everything = _all(formula)
    if blocks.keys() == {everything}:
        return blocks[everything]
    parts, end = [], 0
    for columns in [*sorted(blocks.keys() - {everything}), _Columns(formula.width, formula.width)]:
        assert columns.first >= end, "blocks of columns overlap"
        if columns.first > end:
            parts.append(_zeros(formula, _Columns(end, columns.first)))
        if columns in blocks:
            parts.append(_filled(formula, columns, blocks[columns]))
        end = columns.end
    joined = _formula(_joined, *parts, width=formula.width)
    return joined + blocks[everything] if everything in blocks else joined


def _separate(formula: Formula, blocks: Mapping[_Columns, Formula]) -> dict[_Columns, Formula]:
    """Blocks of columns that do not overlap, each gradient as wide as its block."""
    if _all(formula) in blocks:
        blocks = {_all(formula): _whole(formula, blocks)}
    return {columns: _filled(formula, columns, blocks[columns]) for columns in sorted(blocks)}


def _filled(formula: Formula, columns: _Columns, gradient: Formula) -> Formula:
    """The gradient of some columns of a formula, as wide as these."""
    return gradient if gradient.width == columns.end - columns.first else gradient + _zeros(formula, columns)


def _zeros(formula: Formula, columns: _Columns) -> Formula:
    """Zeros of the shape that some columns of a formula have."""
    return formula[..., columns.first : columns.end] * 0.0


def _behind(results: Iterable[Formula], inside: Callable[[Formula], bool] = lambda _: True) -> list[Formula]:
    """What results are made of, operands first; what is not `inside` is not taken apart further."""
    found = set()
    waiting = list(results)
    while waiting:
        formula = waiting.pop()
        if formula not in found:
            found.add(formula)
            if formula.function is not None and inside(formula):
                waiting += formula.operands
    return sorted(found, key=lambda formula: formula.number)


class _Program:
    """Formulas in the order in which they are computed."""

    def __init__(self, results: Sequence[Formula], given: Sequence[Formula]) -> None:
        """What leads to the results from what is given."""
        self.places = {formula: place for place, formula in enumerate(given)}
        """Where values stand, those that are given first."""
        formulas = [f for f in _behind(results, lambda f: f not in self.places) if f not in self.places]
        self.places |= {formula: place for place, formula in enumerate(formulas, len(given))}
        self._calls: list[tuple[Callable[..., Array] | None, tuple[Any, ...], set[int]]] = []
        needed = {self.places[formula] for formula in results}
        for formula in reversed(formulas):
            operands, spent = formula.operands, set[int]()
            if formula.function is not None:
                operands = tuple(self.places[operand] for operand in operands)
                spent = set(operands) - needed
                needed |= spent
            self._calls.append((formula.function, operands, spent))
        self._calls.reverse()

    def run(self, given: Iterable[Array]) -> list[Array]:
        """The values of the results at their places; at others there is nothing of use."""
        values: list[Any] = [*given]
        for function, operands, spent in self._calls:
            if function is None:
                values.append(operands[0])
            else:
                values.append(function(*[values[place] for place in operands]))
            for place in spent:
                values[place] = None  # its memory serves the next call while it is in the cache
        return values
