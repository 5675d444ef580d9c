"""
The gradients of a cell's equations, ready to be computed.

Each is a sum of products: of a gradient that comes in from the step after, and a factor that does not depend
on it. So there are two programs. One computes the factors of many steps at once; the other passes gradients
through a single step, for which little is left to do.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from lmgen.models.cells import Array, Cell
from lmgen.training.formulas import Formula, Function, array, gradients, parts_of


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
        gates = len(cell.gates) * hidden_size
        state = {name: array(name, hidden_size) for name in cell.states}
        fixed = {name: array(name, length, is_fixed=True) for name, length in vectors}
        read = {"x": array("x", gates), "r": array("r", gates), **state, **fixed}
        after = cell.step(read["x"], read["r"], tuple(state.values()), fixed)
        incoming = [array(f"gradient of {name}", hidden_size, is_gradient=True) for name in cell.states]
        found = gradients(after, incoming)

        results = [gradient for formula in read.values() for gradient in found.get(formula, {}).values()]
        needed = parts_of(results, lambda formula: formula.is_gradient)
        factors = [formula for formula in needed if not formula.is_gradient]
        self._step = _Program(results, [*incoming, *factors])
        self.blocks = {
            name: [
                Block(*columns, self._step.places[part]) for columns, part in found.get(formula, {}).items()
            ]
            for name, formula in read.items()
        }
        """By the name of each array that is read; columns in no block have no influence."""

        names = {formula: name for name, formula in read.items()}
        names |= {formula: after_step(name) for name, formula in zip(cell.states, after, strict=True)}
        known = [formula for formula in parts_of(factors, lambda f: f not in names) if formula in names]
        self.reads = [names[formula] for formula in known]
        """The names of the arrays that the factors are made of."""
        self._factors = _Program(factors, known)
        self._kept = [(self._factors.places[formula], formula.is_fixed) for formula in factors]

    def factors(self, arrays: Mapping[str, Array]) -> list[Array]:
        """
        All that does not depend on gradients.

        Args:
            arrays: those of `reads`. All but the vectors are of several steps, one after the other.
        """
        values = self._factors.run([arrays[name] for name in self.reads])
        return [values[place] for place, _ in self._kept]

    def step(self, incoming: Sequence[Array], factors: Sequence[Array], index: int) -> list[Array]:
        """
        The gradients before a step, at the places that `blocks` names.

        Args:
            incoming: the gradients of the parts of the state after it, each (B, H).
            factors: as computed for this step and others.
            index: which of these steps it is.
        """
        of_step = [
            factor if is_fixed else factor[index]
            for factor, (_, is_fixed) in zip(factors, self._kept, strict=True)
        ]
        return self._step.run([*incoming, *of_step])


@cache
def gradients_of(cell: Cell, hidden_size: int, vectors: tuple[tuple[str, int], ...]) -> Gradients:
    """`Gradients`, found once."""
    return Gradients(cell, hidden_size, vectors)


def after_step(state: str) -> str:
    """The name of what a part of the state becomes, which is known by the time gradients are computed."""
    return f"next {state}"


class _Program:
    """Formulas in the order in which they are computed."""

    def __init__(self, results: Sequence[Formula], given: Sequence[Formula]) -> None:
        """What leads to the results from what is given."""
        self.places = {formula: place for place, formula in enumerate(given)}
        """Where values stand, those that are given first."""
        formulas = [f for f in parts_of(results, lambda f: f not in self.places) if f not in self.places]
        self.places |= {formula: place for place, formula in enumerate(formulas, len(given))}
        self._calls: list[tuple[Function | None, tuple[Any, ...], set[int]]] = []
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
