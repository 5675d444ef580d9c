"""
Equations as formulas, and the formulas of their gradients.

A `Formula` goes into a cell's equations in place of an array, and records what is done to it. The chain rule,
from the end of that record to its start, gives the gradients as formulas too (reverse-mode differentiation:
Speelpenning 1980). How formulas are computed is up to programs.py; when, and of how many steps, to
cell_programs.py.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import count, pairwise
from typing import Any, NamedTuple

import numpy as np

from lmgen.models.network.functions import Array

Function = Callable[..., object]
"""It takes its operands, and after them the array that its result is to go to."""

_HALF, _ZERO = np.float32(0.5), np.float32(0.0)
"""numpy's own numbers start faster than Python's, and leave float64 what it is."""


class Columns(NamedTuple):
    """A slice of the last axis."""

    first: int
    end: int

    def of(self, array: Array) -> Array:
        """Take it."""
        return array[..., self.first : self.end]


class Formula:
    """
    What function of which other formulas an array is.

    It stands for an array (B, width), or (steps, B, width); a width of 1 goes with any other.
    Two formulas of the same function and operands are one: they are made by `array` and from each other.

    Sums and products keep to one form where gradients are concerned: a gradient that comes in, times a factor
    that holds all else, so that factors can be computed before any gradient is known.
    """

    def __init__(self, function: "Function | Columns | None", operands: tuple[Any, ...], width: int) -> None:
        """Without a function it is a number, or an array of some name: the only operand."""
        self.function = function
        self.operands = operands
        self.width = width
        self.place = next(_places)
        """In the order in which formulas can be computed: after the operands'."""
        self.is_gradient = function is not None and any(operand.is_gradient for operand in operands)
        """Whether it depends on gradients that come in."""
        self.is_fixed: bool = self.is_slice and operands[0].is_fixed
        """Whether it is a vector or a slice of one, and so the same at all steps."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The last axis alone; equations ask for no other."""
        return (self.width,)

    @property
    def root(self) -> "Formula":
        """What it is a slice of, or itself."""
        return self.operands[0].root if self.is_slice else self

    @property
    def is_slice(self) -> bool:
        """Whether it is columns of another."""
        return isinstance(self.function, Columns)

    @property
    def is_number(self) -> bool:
        """Whether it is the same number whatever the arrays are."""
        return self.function is None and isinstance(self.operands[0], float)

    def __add__(self, other: "Formula | float") -> "Formula":
        other = _as_formula(other)
        (gradient, factor), (another, its_factor) = self._factored(), other._factored()
        if self.is_gradient and gradient is another:
            return gradient * (factor + its_factor)
        if its_factor is _MINUS_ONE:
            return self - another
        return _formula(np.add, self, other)

    def __sub__(self, other: "Formula | float") -> "Formula":
        return _formula(np.subtract, self, _as_formula(other))

    def __rsub__(self, other: float) -> "Formula":
        return _as_formula(other) - self

    def __mul__(self, other: "Formula | float") -> "Formula":
        other = _as_formula(other)
        if self is ONE or other is ONE:
            return other if self is ONE else self
        if self is other and not self.is_gradient:
            return _formula(np.square, self)
        first, second = sorted((self, other), key=lambda formula: (not formula.is_gradient, formula.place))
        if first.is_gradient:
            gradient, factor = first._factored()
            return _formula(np.multiply, gradient, factor * second)
        return _formula(np.multiply, first, second)

    def __truediv__(self, other: "Formula") -> "Formula":
        return self * _formula(np.reciprocal, other)

    def __pow__(self, exponent: float) -> "Formula":
        return _formula(np.power, self, _as_formula(exponent))

    __radd__ = __add__
    __rmul__ = __mul__

    def __getitem__(self, index: tuple[Any, slice]) -> "Formula":
        """A slice of the last axis."""
        first, end, _ = index[-1].indices(self.width)
        columns = Columns(first, end)
        return _formula(columns, self, width=columns.end - columns.first)

    def tanh(self) -> "Formula":
        """What the function of that name in functions.py asks for; so do the next two."""
        return _formula(np.tanh, self)

    def sigmoid(self) -> "Formula":
        """See `tanh`."""
        return _formula(sigmoid, self)

    def relu(self) -> "Formula":
        """See `tanh`."""
        return _formula(relu, self)

    def mean(self, axis: int, *, keepdims: bool) -> "Formula":
        """The mean of the last axis, which is kept."""
        assert (axis, keepdims) == (-1, True), "no other mean is known here"
        return _formula(mean, self, width=1)

    def _factored(self) -> "tuple[Formula, Formula]":
        """A gradient and its factor."""
        if self.is_gradient and self.function is np.multiply:
            gradient, factor = self.operands
            return gradient, factor
        return self, ONE


@cache
def array(name: str, width: int, *, is_gradient: bool = False, is_fixed: bool = False) -> Formula:
    """An array that is there from the start."""
    formula = Formula(None, (name,), width)
    formula.is_gradient, formula.is_fixed = is_gradient, is_fixed
    return formula


def gradients(
    results: Sequence[Formula], incoming: Sequence[Formula]
) -> dict[Formula, dict[Columns, Formula]]:
    """
    The gradients of the arrays that formulas are made of.

    Args:
        results: the formulas.
        incoming: their gradients.

    Returns:
        Of each array: the gradients of blocks of its columns. Columns in no block have no influence.
    """
    found: dict[Formula, dict[Columns, Formula]] = {}

    def add(formula: Formula, columns: Columns, gradient: Formula) -> None:
        blocks = found.setdefault(formula, {})
        blocks[columns] = blocks[columns] + gradient if columns in blocks else gradient

    for result, gradient in zip(results, incoming, strict=True):
        add(result, _all(result), gradient)
    formulas = parts_of(results)
    for formula in reversed(formulas):
        for operand, columns, gradient in _passed_on(formula, found[formula]):
            add(operand, columns, gradient)
    return {formula: _apart(formula, found[formula]) for formula in formulas if formula.function is None}


def parts_of(
    formulas: Iterable[Formula], inside: Callable[[Formula], bool] = lambda _: True
) -> list[Formula]:
    """Formulas and all that they are made of, operands first; without the parts of those not `inside`."""
    found = set()
    waiting = list(formulas)
    while waiting:
        formula = waiting.pop()
        if formula not in found:
            found.add(formula)
            if formula.function is not None and inside(formula):
                waiting += formula.operands
    return sorted(found, key=lambda formula: formula.place)


def _passed_on(
    formula: Formula, blocks: Mapping[Columns, Formula]
) -> Iterator[tuple[Formula, Columns, Formula]]:
    """The chain rule: what each operand gets of a formula's gradient."""
    function, operands = formula.function, formula.operands
    if function is None:
        return
    if _all(formula) in blocks:
        blocks = {_all(formula): _whole(formula, blocks)}
    if all(operand.width == formula.width for operand in operands) and function in _COLUMN_BY_COLUMN:
        for columns, gradient in blocks.items():  # blocks that came apart may be needed apart
            for operand, derivative in zip(operands, _DERIVATIVES[function](formula, *operands), strict=True):
                yield operand, columns, gradient * _slice(_as_formula(derivative), columns)
        return
    if isinstance(function, Columns):
        for columns, gradient in blocks.items():
            yield operands[0], Columns(function.first + columns.first, function.first + columns.end), gradient
        return
    gradient = _whole(formula, blocks)
    for operand, derivative in zip(operands, _DERIVATIVES[function](formula, *operands), strict=True):
        yield operand, _all(operand), _narrowed(gradient * derivative, formula.width, operand.width)


def _narrowed(gradient: Formula, width: int, operand_width: int) -> Formula:
    """Summed over the columns, if the operand is one column that was repeated for all of them."""
    if operand_width >= width:
        return gradient
    return _formula(total, gradient, width=1) if gradient.width == width else gradient * float(width)


def _whole(formula: Formula, blocks: Mapping[Columns, Formula]) -> Formula:
    """The gradient of all columns together."""
    everything = _all(formula)
    if blocks.keys() == {everything}:
        return blocks[everything]
    covered = sorted(blocks.keys() - {everything})
    borders = [Columns(0, 0), *covered, Columns(formula.width, formula.width)]
    gaps = [Columns(one.end, other.first) for one, other in pairwise(borders) if one.end != other.first]
    parts = [
        _filled(formula, columns, blocks[columns]) if columns in blocks else _zeros(formula, columns)
        for columns in sorted([*covered, *gaps])
    ]
    joined = _formula(join, *parts, width=formula.width)
    return joined + blocks[everything] if everything in blocks else joined


def _apart(formula: Formula, blocks: Mapping[Columns, Formula]) -> dict[Columns, Formula]:
    """Blocks that do not overlap, each gradient as wide as its block."""
    if _all(formula) in blocks:
        return {_all(formula): _filled(formula, _all(formula), _whole(formula, blocks))}
    assert all(one.end <= other.first for one, other in pairwise(sorted(blocks))), "slices overlap"
    return {columns: _filled(formula, columns, blocks[columns]) for columns in sorted(blocks)}


def _filled(formula: Formula, columns: Columns, gradient: Formula) -> Formula:
    """The gradient of some columns of a formula, repeated if it is narrower than they are."""
    return gradient if gradient.width == columns.end - columns.first else gradient + _zeros(formula, columns)


def _zeros(formula: Formula, columns: Columns) -> Formula:
    """As many as there are numbers in these columns."""
    return _slice(formula, columns) * 0.0


def _slice(formula: Formula, columns: Columns) -> Formula:
    """These columns of a formula, unless they are all or it is one number for all."""
    if formula.width in (1, columns.end - columns.first):
        return formula
    return formula[..., columns.first : columns.end]


def _all(formula: Formula) -> Columns:
    return Columns(0, formula.width)


# What numpy has no single function for. As with numpy's own, the last argument is where the result goes.


def sigmoid(values: Array, result: Array) -> None:
    """See functions.py."""
    np.multiply(values, _HALF, result)
    np.tanh(result, result)
    np.multiply(result, _HALF, result)
    np.add(result, _HALF, result)


def relu(values: Array, result: Array) -> None:
    """See functions.py."""
    np.maximum(values, _ZERO, out=result)


def mean(values: Array, result: Array) -> None:
    """Of the last axis."""
    np.matmul(values, _column(values.shape[-1], 1 / values.shape[-1], values.dtype), result)


def total(values: Array, result: Array) -> None:
    """The sum of the last axis."""
    np.matmul(values, _column(values.shape[-1], 1.0, values.dtype), result)


@cache
def _column(length: int, value: float, dtype: np.dtype[Any]) -> Array:
    """What to multiply a matrix with for the sums of its rows: thrice as fast as adding them up."""
    return np.full((length, 1), value, dtype)


def join(*blocks_and_result: Array) -> None:
    """Blocks of columns, side by side."""
    *blocks, result = blocks_and_result
    np.concatenate(blocks, -1, result)


_places = count()


@cache
def _formula(function: Function | Columns, *operands: Formula, width: int | None = None) -> Formula:
    return Formula(function, operands, max(part.width for part in operands) if width is None else width)


@cache
def _number(value: float) -> Formula:
    return Formula(None, (value,), 1)


def _as_formula(value: Formula | float) -> Formula:
    return value if isinstance(value, Formula) else _number(float(value))


ONE, _MINUS_ONE = _number(1.0), _number(-1.0)

_DERIVATIVES: dict[Any, Callable[..., tuple[Formula | float, ...]]] = {
    np.add: lambda _y, _a, _b: (1.0, 1.0),
    np.subtract: lambda _y, _a, _b: (1.0, -1.0),
    np.multiply: lambda _y, a, b: (b, a),
    np.square: lambda _y, a: (a * 2.0,),
    np.reciprocal: lambda y, _a: (y * y * -1.0,),
    np.power: lambda _y, a, b: (b * a ** (b.operands[0] - 1.0), 0.0),
    np.tanh: lambda y, _a: (1.0 - y * y,),
    sigmoid: lambda y, _a: (y - y * y,),
    relu: lambda y, _a: (_formula(np.sign, y),),
    mean: lambda _y, a: (1.0 / a.width,),
}
"""Of y = f(a) or y = f(a, b): the derivative by each operand."""

_COLUMN_BY_COLUMN = (np.add, np.square, np.tanh, sigmoid, relu)
"""Of these a slice has the gradient of a slice."""
