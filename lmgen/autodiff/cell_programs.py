"""
The programs by which a cell's equations are computed, and by which gradients go back through them.

A gradient is a sum of products: of a gradient that comes in from the step after, and a factor that does not
depend on it. So there are three programs. `forward` computes a step, and leaves behind what factors are made
of; `factors` computes those of several steps at once; `back` passes gradients through a single step, with
little left to do.
"""

from collections.abc import Container, Iterable
from functools import cache

from lmgen.autodiff.formulas import Formula, array, gradients, parts_of
from lmgen.autodiff.programs import Program
from lmgen.models.network.cells import Cell


class CellPrograms:
    """What to compute in each step of a window."""

    def __init__(self, cell: Cell, hidden_size: int, vectors: Iterable[tuple[str, int]]) -> None:
        """
        Follow the equations forward, and the chain rule back.

        Args:
            cell: whose equations.
            hidden_size: H.
            vectors: name and length of each vector that the step may read.
        """
        gates = len(cell.gates) * hidden_size
        self.x, r = array("x", gates), array("r", gates)
        self.before = [array(name, hidden_size) for name in cell.states]
        named = {name: array(name, length, is_fixed=True) for name, length in vectors}
        self.vectors = list(named.values())

        def multiply(name: str, values: Formula) -> Formula:
            assert (name, values) == ("weight_recurrent", self.before[0]), "only U h is known here"
            return r

        self.after = cell.step(self.x, tuple(self.before), multiply, named)
        incoming = [array(f"gradient of {name}", hidden_size, is_gradient=True) for name in cell.states]
        found = gradients(self.after, incoming)
        of_x, of_r = found.get(self.x, {}), found.get(r, {})
        self.written = [of_r] if of_x == of_r else [of_r, of_x]
        """
        The gradients of r and x, which are one where the equations know no more than x + r.

        As below these are of blocks of columns; columns in no block have no influence.
        """
        self.of_state = [found.get(formula, {}) for formula in self.before]
        self.of_vectors = [found.get(formula, {}) for formula in self.vectors]

        written = [formula for blocks in self.written for formula in blocks.values()]
        kept = [formula for blocks in (*self.of_state, *self.of_vectors) for formula in blocks.values()]
        needed = parts_of([*written, *kept], lambda formula: formula.is_gradient)
        factors = [formula for formula in needed if not (formula.is_gradient or formula.is_number)]
        self.back = Program([*incoming, *factors], written, kept)

        arrays = {self.x, r, *self.before, *self.vectors}
        computed = {f for f in parts_of(self.after) if not (f.is_number or f.is_slice)} - arrays
        read = _leaves(factors, arrays | computed)
        self.left = list(dict.fromkeys(f.root for f in read if f.root in (computed | {r}) - {*self.after}))
        """What the steps leave behind for the factors, beside the states: r itself, where they read it."""
        self.factors = Program(read, [], factors)

        given = _leaves([*self.after, *self.left], arrays)
        self.products = [formula for formula in given if formula.root is r]
        """The slices of r that a step reads: the first that `forward` is given."""
        others = [formula for formula in given if formula.root is not r]
        self.forward = Program([*self.products, *others], [*self.after, *self.left])


def _leaves(formulas: Iterable[Formula], known: Container[Formula]) -> list[Formula]:
    """The slices of known formulas that others are made of; these themselves may be known too."""
    return [f for f in parts_of(formulas, lambda f: f.root not in known) if f.root in known]


@cache
def programs_of(cell: Cell, hidden_size: int, vectors: tuple[tuple[str, int], ...]) -> CellPrograms:
    """`CellPrograms`, found once."""
    return CellPrograms(cell, hidden_size, vectors)
