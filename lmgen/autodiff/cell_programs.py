"""
The programs that compute a cell's equations, and those that take gradients back through them.

Forward, a step is cut where it multiplies by a recurrent matrix: a stage is a few products and the program
that may read them. Of a stage's results those that the backward pass needs are kept for all steps, as
residuals.

A gradient is a sum of products: of a gradient that comes in from the step after, and a factor that does not
depend on it. So the backward pass has two parts. `factors` computes the factors of several steps at once,
from states and residuals. `backward` takes gradients through a single step, with little left to do. It too is
cut into stages where a gradient goes back through a matrix: with respect to the operand of a product it is
that with respect to the product, times the matrix.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from lmgen.autodiff.formulas import (
    Blocks,
    CannotTrace,
    Columns,
    Formula,
    Product,
    array,
    gradients,
    leaves_of,
    parts_of,
    product,
)
from lmgen.autodiff.printing import Names, expression
from lmgen.autodiff.programs import Program
from lmgen.models.network.cells import Cell


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What can be computed of a step between products with recurrent matrices."""

    products: Sequence[Formula]
    """The products to make before the program runs."""

    program: Program

    fresh: Sequence[tuple[int, Formula]]
    """
    The slices of products that the program is given first, each with the number of its product, counted
    through all stages.
    """

    @property
    def others(self) -> Sequence[Formula]:
        """What the program is given after the slices of products."""
        return self.program.given[len(self.fresh) :]


class Written(NamedTuple):
    """A gradient that the backward pass writes to an array of the caller, for all steps."""

    width: int
    blocks: Blocks


@dataclass(slots=True)
class _Plan:
    """What a stage is to compute."""

    products: list[Formula] = field(default_factory=list)
    wanted: list[Formula] = field(default_factory=list)
    """What has to be there after it."""
    written: list[Formula] = field(default_factory=list)
    """What goes to arrays of the caller."""
    kept: list[Formula] = field(default_factory=list)
    """What the caller reads after each step."""
    results: dict[str, Formula] = field(default_factory=dict)

    @property
    def targets(self) -> list[Formula]:
        """All that the stage is there for."""
        return [*self.written, *self.wanted, *self.kept]


class Equations(NamedTuple):
    """A cell's step, traced: the formulas of the state after it, and the arrays that they are made of."""

    x: Formula
    before: Sequence[Formula]
    vectors: Sequence[Formula]
    after: Sequence[Formula]


def trace(cell: Cell, hidden_size: int, vectors: Iterable[tuple[str, int]] = ()) -> Equations:
    """
    Follow a cell's step with formulas in place of arrays.

    Args:
        cell: whose equations.
        hidden_size: H.
        vectors: name and length of each vector that the step may read.

    Raises:
        CannotTrace: the step does something that has no formula.
    """
    x = array("x", len(cell.gates) * hidden_size)
    before = tuple(array(name, hidden_size) for name in cell.states)
    named = {name: array(name, length, is_fixed=True) for name, length in vectors}

    def multiply(name: str, values: Formula) -> Formula:
        if values.width != hidden_size:
            raise CannotTrace("a recurrent matrix multiplies arrays of the hidden size")
        return product(name, values, cell.recurrent[name].blocks * hidden_size)

    try:
        after = cell.step(x, before, multiply, named)
        widths = [formula.width for formula in after]
    except Exception as error:
        # Whatever it was that formulas do not support. If the cell itself is wrong, arrays will show it too.
        raise CannotTrace(f"the equations do what formulas cannot follow: {error}") from error
    if widths != [hidden_size] * len(before):
        raise CannotTrace("the state after a step is not of the shape of the one before")
    return Equations(x, before, list(named.values()), after)


class CellPrograms:
    """What to compute in each step of a window, forward and backward. `print` shows it."""

    def __init__(self, equations: Equations) -> None:
        """Derive the gradients, and cut both directions into stages."""
        self.x, self.before, self.vectors, self.after = equations
        self.products = [formula for formula in parts_of(self.after) if formula.is_product]
        self._names = Names([self.x, *self.before, *self.vectors])
        self._names |= {p: f"r{number or ''}" for number, p in enumerate(self.products)}
        self._derive()
        self._plan_backward()
        self._plan_forward()

    def __str__(self) -> str:
        """The lines of all programs, and the products between them."""
        names, lines = self._names, ["forward:"]
        for stage in self.forward:
            lines += [f"{names[p]} = {expression(p, names)}" for p in stage.products]
            lines += [str(stage.program)]
        lines += ["factors:", str(self.factors), "backward:"]
        for stage in self.backward:
            lines += [
                f"{names[self.through[p]]} = {matrix_of(p)}.T @ grad_{names[p]}" for p in stage.products
            ]
            lines += [str(stage.program)]
        for p in self.products:
            if p not in self.through:
                lines.append(f"grad_{names[p.operands[0]]} += {matrix_of(p)}.T @ grad_{names[p]}")
        return "\n".join(line for line in lines if line)

    def _derive(self) -> None:
        """The gradients with respect to everything, as formulas."""
        states = {formula: number for number, formula in enumerate(self.before)}
        self.incoming = [
            array(f"grad_{self._names[formula]}'", formula.width, is_gradient=True) for formula in self.before
        ]
        self.through = {
            p: array(f"grad_operand_of_{self._names[p]}", p.operands[0].width, is_gradient=True)
            for p in self.products
            if p.operands[0] not in states
        }
        """
        By product, what stands for the gradient with respect to its operand. An operand that is a part of the
        state needs none: the gradient goes straight to the step before.
        """
        found = gradients(self.after, self.incoming, self.through)
        self.into_states = [(p, states[p.operands[0]]) for p in self.products if p.operands[0] in states]
        """The products of a part of the state, and which part."""
        self.written: dict[str, Written] = {}
        """
        The gradients with respect to products and x by name: one for several where they are the same, as they
        are with equations that know no more than x + r.
        """
        same: dict[object, str] = {}
        self._array_of: dict[str, str] = {}
        for formula, name in [*((p, f"grad_{self._names[p]}") for p in self.products), (self.x, "grad_x")]:
            gradient = Written(formula.width, found.get(formula, {}))
            key = formula.width, *((columns, id(f)) for columns, f in gradient.blocks.items())
            self._array_of[name] = same.setdefault(key, name)
            self.written.setdefault(same[key], gradient)
        self.state_gradients = [found.get(formula, {}) for formula in self.before]
        """With respect to the state before, but for what comes through products of it."""
        self.vector_gradients = [found.get(formula, {}) for formula in self.vectors]

    def gradient_of(self, formula: Formula) -> str:
        """In which array of `written` the gradient with respect to x or a product is."""
        return self._array_of["grad_x" if formula is self.x else f"grad_{self._names[formula]}"]

    def _plan_backward(self) -> None:
        kept = [
            formula
            for blocks in (*self.state_gradients, *self.vector_gradients)
            for formula in blocks.values()
        ]
        written = [formula for gradient in self.written.values() for formula in gradient.blocks.values()]
        needed = parts_of([*written, *kept], lambda formula: formula.is_gradient)
        factors = [formula for formula in needed if not (formula.is_gradient or formula.is_number)]

        stage_of: dict[Formula, int] = {}
        """After which stage the gradient with respect to a product can go through its matrix."""
        for p in reversed(self.products):
            blocks = self.written[self.gradient_of(p)].blocks
            parts = set(parts_of(blocks.values(), lambda formula: formula.is_gradient))
            later = [stage_of[q] + 1 for q, through in self.through.items() if through in parts]
            stage_of[p] = max(later, default=0)
        inner = [p for p in self.products if p in self.through]
        plans = [_Plan() for _ in range(max((stage_of[p] for p in inner), default=-1) + 2)]
        for p in inner:
            plans[stage_of[p] + 1].products.append(p)
        self.written_by: list[list[tuple[str, Columns]]] = [[] for _ in plans]
        """What each stage writes, in the order of its program: columns of which of `written`."""
        for name, (_, blocks) in self.written.items():
            number = min((stage_of[p] for p in inner if self.gradient_of(p) == name), default=-1)
            plans[number].written += blocks.values()
            plans[number].results |= _labelled(name, blocks)
            self.written_by[number] += [(name, columns) for columns in blocks]
        for formulas, found in ((self.before, self.state_gradients), (self.vectors, self.vector_gradients)):
            for formula, blocks in zip(formulas, found, strict=True):
                plans[-1].results |= _labelled(f"grad_{self._names[formula]}", blocks)
        plans[-1].kept = kept
        self.backward = _stages([*self.incoming, *factors], plans, self._names, lambda p: self.through[p])
        self._factors = factors

    def _plan_forward(self) -> None:
        level: dict[Formula, int] = {}
        for p in self.products:
            level[p] = 1 + max((level[q] for q in parts_of(p.operands) if q.is_product), default=0)
        plans = [_Plan() for _ in range(max(level.values(), default=0) + 1)]
        for p, number in level.items():
            plans[number].products.append(p)
            plans[number - 1].wanted += p.operands
        plans[-1].written = list(self.after)
        states = zip(self.before, self.after, strict=True)
        plans[-1].results = {f"{self._names[before]}'": after for before, after in states}

        arrays = {self.x, *self.before, *self.vectors}
        computed = _computed(arrays | level.keys(), plans)
        stage_of = {formula: number for number, formulas in enumerate(computed) for formula in formulas}
        stage_of |= level
        read = leaves_of(self._factors, {*arrays, *stage_of})
        multiplied = [p.operands[0].root for p in self.products]
        roots = [
            *(root for root in multiplied if root in stage_of),
            *(formula.root for formula in read if formula.root in stage_of.keys() - {*self.after}),
        ]
        self.residuals = list(dict.fromkeys(roots))
        """What the steps leave for the backward pass, beside the states; products too, if it reads them."""
        for formula in self.residuals:
            plans[stage_of[formula]].written.append(formula)
        self.forward = _stages(arrays, plans, self._names, lambda p: p)
        self.factors = Program(read, [], self._factors, names=self._names)


def _computed(arrays: Iterable[Formula], plans: Iterable[_Plan]) -> list[list[Formula]]:
    """What each stage computes that no stage before it has."""
    known, computed = set(arrays), []
    for plan in plans:
        given = {*leaves_of(plan.targets, known)}
        parts = parts_of(plan.targets, lambda formula: formula not in given)  # noqa: B023 - used at once
        computed.append([f for f in parts if f not in given and not (f.is_number or f.is_slice)])
        known |= {*computed[-1]}
    return computed


def _stages(
    arrays: Iterable[Formula], plans: Sequence[_Plan], names: Names, result: Callable[[Formula], Formula]
) -> list[Stage]:
    """
    The stages, without a first one that has nothing to do.

    Args:
        arrays: what is there from the start.
        plans: what to compute in each.
        names: for printing.
        result: what formulas call the result of a product.
    """
    arrays, results = set(arrays), [result(p) for plan in plans for p in plan.products]
    numbers = {formula: number for number, formula in enumerate(results)}
    computed = _computed(arrays | numbers.keys(), plans)
    given, known = [], arrays
    for plan, formulas in zip(plans, computed, strict=True):
        known = known | {result(p) for p in plan.products}
        given.append(leaves_of(plan.targets, known))
        known = known | {*formulas}

    stages = []
    for number, (plan, formulas, leaves) in enumerate(zip(plans, computed, given, strict=True)):
        later = {formula.root for others in given[number + 1 :] for formula in others}
        kept = [f for f in formulas if f in later and f not in {*plan.written}]
        fresh = [formula for formula in leaves if formula.root in numbers]
        others = [formula for formula in leaves if formula.root not in numbers]
        program = Program(
            [*fresh, *others],
            plan.written,
            [*kept, *plan.kept],
            names=names,
            results=plan.results,
        )
        stages.append(Stage(plan.products, program, [(numbers[f.root], f) for f in fresh]))
    return stages[1:] if len(stages) > 1 and stages[0].program.is_empty else stages


def _labelled(name: str, blocks: Blocks) -> Iterator[tuple[str, Formula]]:
    """What to call the blocks of a gradient."""
    for columns, formula in blocks.items():
        yield name if len(blocks) == 1 else f"{name}[{columns.first}:{columns.end}]", formula


def matrix_of(p: Formula) -> str:
    """The name of a product's matrix."""
    assert isinstance(p.function, Product)
    return p.function.matrix


@cache
def programs_of(cell: Cell, hidden_size: int, vectors: tuple[tuple[str, int], ...]) -> CellPrograms | None:
    """The programs of a cell, found once; None if its equations cannot be traced."""
    try:
        equations = trace(cell, hidden_size, vectors)
    except CannotTrace:
        return None
    return CellPrograms(equations)
