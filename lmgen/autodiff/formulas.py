"""
Equations as formulas, and the formulas of their gradients.

A `Formula` goes into a cell's equations in place of an array, and records what is done to it. The chain rule,
from the end of that record to its start, gives the gradients as formulas too (reverse-mode differentiation:
Speelpenning 1980). How formulas are computed is up to programs.py; when, and of how many steps, to
cell_programs.py.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import count, pairwise
from numbers import Real
from typing import Any, NamedTuple, NoReturn

import numpy as np

from lmgen.autodiff.arrays import join, maximum, mean, minimum, relu, sigmoid, total
from lmgen.models.network.functions import Array

Function = Callable[..., object]
"""It takes its operands, and after them the array that its result is to go to."""


class CannotTrace(Exception):  # noqa: N818 - it is no fault: such equations are left to others
    """Equations do something to an array that has no formula here."""


class Columns(NamedTuple):
    """A slice of the last axis."""

    first: int
    end: int

    def of(self, array: Array) -> Array:
        """These columns of an array, as a view."""
        return array[..., self.first : self.end]


class Product(NamedTuple):
    """A recurrent matrix times its operand, for each stream: computed between programs, not in them."""

    matrix: str


Blocks = Mapping[Columns, "Formula"]
"""The gradient with respect to an array, by blocks of its columns. Columns in no block have no influence."""


class _StreamCount:
    """The number of streams in the shape of a formula, which no equation may depend on."""

    def __repr__(self) -> str:
        return "B"


_STREAMS = _StreamCount()


class Formula:
    """
    What function of which other formulas an array is.

    It stands for an array (B, width), or (steps, B, width); a width of 1 goes with any other.
    Two formulas of the same function and operands are one: they are made by `array` and from each other.

    Sums and products keep to one form where gradients are concerned: a gradient that comes in, times a factor
    that holds all else, so that factors can be computed before any gradient is known.
    """

    __array_ufunc__ = None  # numpy leaves arithmetic with its numbers to the operators below

    def __init__(
        self, function: "Function | Columns | Product | None", operands: tuple[Any, ...], width: int
    ) -> None:
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
    def shape(self) -> tuple[Any, ...]:
        """A vector's length, or a number of streams that nobody knows yet and the width."""
        return (self.width,) if self.is_fixed else (_STREAMS, self.width)

    @property
    def root(self) -> "Formula":
        """What it is a slice of, or itself."""
        return self.operands[0].root if self.is_slice else self

    @property
    def is_slice(self) -> bool:
        """Whether it is columns of another."""
        return isinstance(self.function, Columns)

    @property
    def is_product(self) -> bool:
        """Whether it is a recurrent matrix times another."""
        return isinstance(self.function, Product)

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

    def __neg__(self) -> "Formula":
        return self * -1.0

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

    def __truediv__(self, other: "Formula | float") -> "Formula":
        other = _as_formula(other)
        if not other.is_number:
            return self * _formula(np.reciprocal, other)
        (number,) = other.operands
        if number == 0:
            raise CannotTrace("a division by 0 is left to the library that knows what it gives")
        return self * float(1.0 / number)

    def __rtruediv__(self, other: float) -> "Formula":
        return _as_formula(other) / self

    def __pow__(self, exponent: float) -> "Formula":
        power = _number_of(exponent)
        if power is ONE:
            return self
        return self * self if power is _TWO else _formula(np.power, self, power)

    __radd__ = __add__
    __rmul__ = __mul__

    def _in_place(self, _other: object) -> NoReturn:
        """Other names of the same array would not see the change."""
        raise CannotTrace("an array is changed in place")

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = _in_place

    def __bool__(self) -> bool:
        raise CannotTrace("a condition depends on what is in an array")

    def __eq__(self, other: object) -> bool:
        """A formula is itself; whether numbers in arrays are equal is not known here."""
        if self is not other:
            raise CannotTrace("arrays are compared")
        return True

    __hash__ = object.__hash__

    def __getitem__(self, index: Any) -> "Formula":
        """A slice of the last axis."""
        match index:
            case (others, slice(step=None | 1) as last) if others is Ellipsis or others == slice(None):
                first, end, _ = last.indices(self.width)
            case _:
                raise CannotTrace("only slices of the last axis have a formula")
        if first >= end:
            raise CannotTrace("a slice is empty")
        return _formula(Columns(first, end), self, width=end - first)

    def tanh(self) -> "Formula":
        """The hyperbolic tangent. The methods here are those that functions.py calls."""
        return _formula(np.tanh, self)

    def sigmoid(self) -> "Formula":
        """The logistic function."""
        return _formula(sigmoid, self)

    def relu(self) -> "Formula":
        """The rectifier max(0, a)."""
        return _formula(relu, self)

    def exp(self) -> "Formula":
        """The exponential function."""
        return _formula(np.exp, self)

    def expm1(self) -> "Formula":
        """exp(a) - 1, exact near 0."""
        return _formula(np.expm1, self)

    def sqrt(self) -> "Formula":
        """The square root."""
        return _formula(np.sqrt, self)

    def clamp(self, min: float | None = None, max: float | None = None) -> "Formula":  # noqa: A002 - torch's
        """The array with what is below `min` or above `max` set to that number."""
        clamped = self if min is None else _formula(maximum, self, _number_of(min))
        return clamped if max is None else _formula(minimum, clamped, _number_of(max))

    def logaddexp(self, other: "Formula") -> "Formula":
        """log(exp(a) + exp(b)), without overflow."""
        return _formula(np.logaddexp, self, _as_formula(other))

    def mean(self, axis: int, *, keepdims: bool) -> "Formula":
        """The mean of the last axis, which is kept."""
        if (axis, keepdims) != (-1, True):
            raise CannotTrace("only the mean of the last axis, kept, has a formula")
        return _formula(mean, self, width=1)

    def _factored(self) -> "tuple[Formula, Formula]":
        """A gradient and its factor."""
        if self.is_gradient and self.function is np.multiply:
            gradient, factor = self.operands
            return gradient, factor
        return self, ONE


def array(name: str, width: int, *, is_gradient: bool = False, is_fixed: bool = False) -> Formula:
    """A new array that is there from the start; its name is for readers."""
    formula = Formula(None, (name,), width)
    formula.is_gradient, formula.is_fixed = is_gradient, is_fixed
    return formula


def product(matrix: str, operand: Formula, width: int) -> Formula:
    """The matrix of that name times an operand: `width` columns."""
    return _formula(Product(matrix), operand, width=width)


def gradients(
    results: Sequence[Formula],
    incoming: Sequence[Formula],
    through: Mapping[Formula, Formula],
    inner: Iterable[Formula] = (),
) -> dict[Formula, Blocks]:
    """
    The gradients with respect to arrays and to recurrent products.

    Args:
        results: the formulas to differentiate.
        incoming: the gradients with respect to them.
        through: for a product U v the array that stands for the gradient with respect to v, which is that
            with respect to the product times U. Of products that are not listed none goes on to the operand.
        inner: formulas in between whose gradients are wanted too, by all ways from them to a result.

    Returns:
        By array, product or inner formula. One that is missing has no influence.
    """
    found: dict[Formula, dict[Columns, Formula]] = {}

    def add(formula: Formula, columns: Columns, gradient: Formula) -> None:
        blocks = found.setdefault(formula, {})
        blocks[columns] = blocks[columns] + gradient if columns in blocks else gradient

    for result, gradient in zip(results, incoming, strict=True):
        add(result, _all(result), gradient)
    wanted = [f for f in parts_of(results) if f.is_product or (f.function is None and not f.is_number)]
    for formula in reversed(parts_of(results)):
        if formula.is_product:
            if formula in through:
                (operand,) = formula.operands
                add(operand, _all(operand), through[formula])
        elif formula in found:
            for operand, columns, gradient in _passed_on(formula, found[formula]):
                add(operand, columns, gradient)
    return {f: _apart(f, found[f]) for f in dict.fromkeys([*wanted, *inner]) if f in found}


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


def leaves_of(formulas: Iterable[Formula], known: Container[Formula]) -> list[Formula]:
    """Known formulas, and slices of them, that others are made of; these themselves may be known too."""

    def is_leaf(formula: Formula) -> bool:
        return formula in known or formula.root in known

    return [formula for formula in parts_of(formulas, lambda f: not is_leaf(f)) if is_leaf(formula)]


def _passed_on(formula: Formula, blocks: Blocks) -> Iterator[tuple[Formula, Columns, Formula]]:
    """The chain rule: what each operand gets of the gradient with respect to a formula."""
    function, operands = formula.function, formula.operands
    if function is None:
        return
    if _all(formula) in blocks:
        blocks = {_all(formula): _whole(formula, blocks)}
    if isinstance(function, Columns):
        for columns, gradient in blocks.items():
            yield operands[0], Columns(function.first + columns.first, function.first + columns.end), gradient
        return
    derivatives = _DERIVATIVES[function](formula, *operands)
    if all(operand.width == formula.width for operand in operands) and function in _COLUMN_BY_COLUMN:
        for columns, gradient in blocks.items():  # blocks that came apart may be needed apart
            for operand, derivative in zip(operands, derivatives, strict=True):
                yield operand, columns, gradient * _slice(_as_formula(derivative), columns)
        return
    gradient = _whole(formula, blocks)
    for operand, derivative in zip(operands, derivatives, strict=True):
        if not operand.is_number:
            yield operand, _all(operand), _narrowed(gradient * derivative, formula.width, operand.width)


def _narrowed(gradient: Formula, width: int, operand_width: int) -> Formula:
    """Summed over the columns, if the operand is one column that was repeated for all of them."""
    if operand_width >= width:
        return gradient
    return _formula(total, gradient, width=1) if gradient.width == width else gradient * float(width)


def _whole(formula: Formula, blocks: Blocks) -> Formula:
    """The gradient with respect to all columns together."""
    everything = _all(formula)
    if blocks.keys() == {everything}:
        return blocks[everything]
    parts = _disjoint({columns: blocks[columns] for columns in blocks if columns != everything})
    borders = [Columns(0, 0), *parts, Columns(formula.width, formula.width)]
    gaps = [Columns(one.end, other.first) for one, other in pairwise(borders) if one.end != other.first]
    filled = [
        _filled(formula, columns, parts[columns]) if columns in parts else _zeros(formula, columns)
        for columns in sorted([*parts, *gaps])
    ]
    joined = _formula(join, *filled, width=formula.width)
    return joined + blocks[everything] if everything in blocks else joined


def _apart(formula: Formula, blocks: Blocks) -> Blocks:
    """Blocks that do not overlap, each gradient as wide as its block."""
    if _all(formula) in blocks:
        return {_all(formula): _filled(formula, _all(formula), _whole(formula, blocks))}
    parts = _disjoint(blocks)
    return {columns: _filled(formula, columns, gradient) for columns, gradient in parts.items()}


def _disjoint(blocks: Blocks) -> Blocks:
    """The same gradient by blocks in order, cut where others that they overlap with begin or end."""
    if all(one.end <= other.first for one, other in pairwise(sorted(blocks))):
        return {columns: blocks[columns] for columns in sorted(blocks)}
    parts = {}
    for piece in (Columns(*ends) for ends in pairwise(sorted({end for block in blocks for end in block}))):
        gradients = [
            _slice(gradient, Columns(piece.first - block.first, piece.end - block.first))
            for block, gradient in sorted(blocks.items(), key=lambda item: item[0])
            if block.first <= piece.first and piece.end <= block.end
        ]
        if gradients:
            parts[piece] = sum(gradients[1:], start=gradients[0])
    return parts


def _filled(formula: Formula, columns: Columns, gradient: Formula) -> Formula:
    """The gradient with respect to some columns of a formula, repeated if it is narrower than they are."""
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


_places = count()


@cache
def _formula(function: Function | Columns | Product, *operands: Formula, width: int | None = None) -> Formula:
    return Formula(function, operands, max(part.width for part in operands) if width is None else width)


@cache
def _number(value: float) -> Formula:
    return Formula(None, (value,), 1)


def _as_formula(value: object) -> Formula:
    return value if isinstance(value, Formula) else _number_of(value)


def _number_of(value: object) -> Formula:
    if not isinstance(value, Real):
        raise CannotTrace(f"a number is needed here, not {type(value).__name__}")
    return _number(float(value))


ONE, _MINUS_ONE, _TWO = _number(1.0), _number(-1.0), _number(2.0)


def _power_derivative(base: Formula, exponent: float) -> Formula | float:
    """That of a^b: b a^(b - 1), and 0 for b = 0 even where a is 0."""
    return 0.0 if exponent == 0 else exponent * base ** (exponent - 1.0)


_DERIVATIVES: dict[Any, Callable[..., tuple[Formula | float, ...]]] = {
    np.add: lambda _y, _a, _b: (1.0, 1.0),
    np.subtract: lambda _y, _a, _b: (1.0, -1.0),
    np.multiply: lambda _y, a, b: (b, a),
    np.square: lambda _y, a: (a * 2.0,),
    np.reciprocal: lambda y, _a: (y * y * -1.0,),
    np.power: lambda _y, a, b: (_power_derivative(a, b.operands[0]), 0.0),
    np.sqrt: lambda y, _a: (0.5 / y,),
    np.exp: lambda y, _a: (y,),
    np.expm1: lambda y, _a: (y + 1.0,),
    np.logaddexp: lambda _y, a, b: ((a - b).sigmoid(), (b - a).sigmoid()),
    maximum: lambda _y, a, b: (_formula(np.greater_equal, a, b), 0.0),
    minimum: lambda _y, a, b: (_formula(np.less_equal, a, b), 0.0),
    np.tanh: lambda y, _a: (1.0 - y * y,),
    sigmoid: lambda y, _a: (y - y * y,),
    relu: lambda y, _a: (_formula(np.sign, y),),
    mean: lambda _y, a: (1.0 / a.width,),
}
"""Of y = f(a) or y = f(a, b): the derivative with respect to each operand."""

_COLUMN_BY_COLUMN = (np.add, np.square, np.tanh, sigmoid, relu, np.exp, np.expm1, np.sqrt)
"""Of these a slice has the gradient of a slice."""
