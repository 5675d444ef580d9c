"""
Partial derivatives of a cell's equations, as a list of numpy calls drawn up from the equations themselves.

Most cells leave each hidden unit to itself. What a step depends on are then a few numbers a unit, and its
derivatives as many arrays as there are pairs of a next state and an array that it depends on. Evaluating the
equations once with a `Variable` in place of each array finds the formulas of them all (forward-mode automatic
differentiation: Wengert 1964); what occurs in several of them is computed once.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from lmgen.models.cells import Array, Cell, relu, sigmoid, tanh


class Source(NamedTuple):
    """H columns of an array that a step reads."""

    name: str
    """`x`, `r`, or the name of a state or vector of the cell."""
    column: int
    """The first one."""


@cache
def derivatives_of(
    cell: Cell, hidden_size: int, vectors: tuple[tuple[str, int], ...]
) -> "Derivatives | None":
    """
    The derivatives of a cell's step.

    Args:
        cell: whose step to differentiate.
        hidden_size: H.
        vectors: name and length of each vector that the step may read.

    Returns:
        None if the equations do what a `Variable` cannot, such as taking a mean over units.
    """
    try:
        return Derivatives(cell, hidden_size, vectors)
    except (AttributeError, TypeError):
        return None


class Derivatives:
    """How each part of a cell's next state changes with what it depends on, ready to be computed."""

    def __init__(self, cell: Cell, hidden_size: int, vectors: Iterable[tuple[str, int]]) -> None:
        """Find the formulas. See `derivatives_of`."""
        gates = len(cell.gates) * hidden_size
        after = cell.step(
            Variable.array("x", gates),
            Variable.array("r", gates),
            tuple(Variable.array(name, hidden_size) for name in cell.states),
            {name: Variable.array(name, length) for name, length in vectors},
        )
        known = {part.value: after_step(name) for part, name in zip(after, cell.states, strict=True)}
        formulas = _in_order((partial for part in after for partial in part.partials.values()), known)
        numbers = {formula: number for number, formula in enumerate(formulas)}
        self.partials = [
            {source: numbers[partial] for source, partial in part.partials.items()} for part in after
        ]
        """Of each part of the next state: the number of the derivative for each source that matters."""
        self.results = {number for part in self.partials for number in part.values()}
        """The numbers of all derivatives."""
        self._calls = _calls(formulas, known, self.results)
        self.reads = {operands[0] for function, operands, _ in self._calls if function is None}
        """The names of the arrays that they are computed from."""

    def compute(self, arrays: Mapping[str, Array]) -> list[Array]:
        """
        The derivatives under their numbers; what else is in the list is of no use.

        Args:
            arrays: those that `reads` names. They may hold many steps, one after the other on a first axis
                that all but the vectors have.
        """
        values: list[Array] = []
        for function, operands, spent in self._calls:
            if function is None:
                values.append(arrays.get(operands[0], operands[0]))
            else:
                values.append(function(*[values[operand] for operand in operands]))
            for number in spent:
                values[number] = None  # its memory serves the next call while it is in the cache
        return values


def after_step(state: str) -> str:
    """The name of a state's array after the step, which is known by the time derivatives are computed."""
    return f"next {state}"


class Formula:
    """A function of the values of other formulas. No two are the same: `_formula` makes them."""

    def __init__(self, function: Callable[..., Array] | None, operands: tuple[Any, ...]) -> None:
        """Without a function it is what `operands` holds: a constant, or the name of an array."""
        self.function = function
        self.operands = operands

    def __add__(self, other: "Formula") -> "Formula":
        return _formula(np.add, self, other)

    def __sub__(self, other: "Formula") -> "Formula":
        return _formula(np.subtract, self, other)

    def __mul__(self, other: "Formula") -> "Formula":
        if self is ONE:
            return other
        return self if other is ONE else _formula(np.multiply, self, other)

    def columns(self, first: int, end: int) -> "Formula":
        """A slice of the last axis."""
        return self if self is ONE else _formula(_Columns(first, end), self)


class _Columns(NamedTuple):
    """The function that takes a slice of the last axis."""

    first: int
    end: int

    def __call__(self, array: Array) -> Array:
        return array[..., self.first : self.end]


@cache
def _formula(function: Callable[..., Array] | None, *operands: Any) -> Formula:
    return Formula(function, operands)


ONE = _formula(None, 1.0)
MINUS_ONE = _formula(None, -1.0)


class Variable:
    """An array in a cell's equations: its formula, and that of its derivative by each source."""

    def __init__(self, value: Formula, partials: Mapping[Source, Formula], width: int) -> None:
        """`width`: the length of the last axis, the only one that equations know of."""
        self.value = value
        self.partials = partials
        self.shape = (width,)

    @classmethod
    def array(cls, name: str, width: int) -> "Variable":
        """One that the equations read."""
        return cls(_formula(None, name), {Source(name, 0): ONE}, width)

    def __getitem__(self, index: tuple[Any, slice]) -> "Variable":
        """A slice of the last axis."""
        first, end = index[-1].start, index[-1].stop
        partials = {
            Source(name, column + first): partial.columns(first, end)
            for (name, column), partial in self.partials.items()
        }
        return Variable(self.value.columns(first, end), partials, end - first)

    def __add__(self, other: "Variable | float") -> "Variable":
        other = _variable(other)
        return Variable(self.value + other.value, _sum(self.partials, other.partials), self._width(other))

    def __sub__(self, other: "Variable | float") -> "Variable":
        other = _variable(other)
        partials = _sum(self.partials, _scaled(other.partials, MINUS_ONE))
        return Variable(self.value - other.value, partials, self._width(other))

    def __mul__(self, other: "Variable | float") -> "Variable":
        other = _variable(other)
        partials = _sum(_scaled(self.partials, other.value), _scaled(other.partials, self.value))
        return Variable(self.value * other.value, partials, self._width(other))

    def __rsub__(self, other: float) -> "Variable":
        return _variable(other) - self

    __radd__ = __add__
    __rmul__ = __mul__

    def tanh(self) -> "Variable":
        """The tanh y, with the derivative 1 - y²."""
        y = _formula(tanh, self.value)
        return self._function(y, ONE - y * y)

    def sigmoid(self) -> "Variable":
        """The logistic function y, with the derivative y - y²."""
        y = _formula(sigmoid, self.value)
        return self._function(y, y - y * y)

    def relu(self) -> "Variable":
        """The positive part, with the derivative 1 where there is one and 0 elsewhere."""
        y = _formula(relu, self.value)
        return self._function(y, _formula(np.sign, y))

    def _function(self, value: Formula, derivative: Formula) -> "Variable":
        """A function of this array alone, by the chain rule."""
        return Variable(value, _scaled(self.partials, derivative), *self.shape)

    def _width(self, other: "Variable") -> int:
        return max(self.shape + other.shape)


def _variable(operand: Variable | float) -> Variable:
    return operand if isinstance(operand, Variable) else Variable(_formula(None, operand), {}, 1)


def _scaled(partials: Mapping[Source, Formula], factor: Formula) -> dict[Source, Formula]:
    return {source: partial * factor for source, partial in partials.items()}


def _sum(left: Mapping[Source, Formula], right: Mapping[Source, Formula]) -> dict[Source, Formula]:
    both = {source: left[source] + right[source] for source in left if source in right}
    return {**left, **right, **both}


def _in_order(results: Iterable[Formula], known: Mapping[Formula, str]) -> list[Formula]:
    """The formulas that lead to the results from what is `known`, each after its operands."""
    ordered: dict[Formula, None] = {}

    def add(formula: Formula) -> None:
        if formula not in ordered:
            if formula.function is not None and formula not in known:
                for operand in formula.operands:
                    add(operand)
            ordered[formula] = None

    for result in results:
        add(result)
    return list(ordered)


_Call = tuple[Callable[..., Array] | None, tuple[Any, ...], set[int]]
"""A function, the numbers of its operands, and those of them that nothing needs any more."""


def _calls(formulas: list[Formula], known: Mapping[Formula, str], results: set[int]) -> list[_Call]:
    numbers = {formula: number for number, formula in enumerate(formulas)}
    calls: list[_Call] = []
    needed = set(results)
    for formula in reversed(formulas):
        if formula in known:
            calls.append((None, (known[formula],), set()))
        elif formula.function is None:
            calls.append((None, formula.operands, set()))
        else:
            operands = tuple(numbers[operand] for operand in formula.operands)
            calls.append((formula.function, operands, set(operands) - needed))
            needed.update(operands)
    return calls[::-1]
