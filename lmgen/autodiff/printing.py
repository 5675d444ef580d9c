"""Programs as lines to read: `a = x + r`."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import count, product
from string import ascii_lowercase
from typing import Any

import numpy as np

from lmgen.autodiff.formulas import Columns, Formula, Product

OPERATORS: dict[Any, str] = {np.add: "+", np.subtract: "-", np.multiply: "*", np.power: "**"}


class Names(dict[Formula, str]):
    """What formulas are called. One that is asked for without having a name gets the next free letter."""

    def __init__(self, arrays: Iterable[Formula] = ()) -> None:
        """Keep the names of arrays free."""
        super().__init__({array: array.operands[0] for array in arrays})
        self._letters = map("".join, (pair for n in count(1) for pair in product(ascii_lowercase, repeat=n)))

    def __missing__(self, formula: Formula) -> str:
        if isinstance(formula.function, Columns):
            return f"{self[formula.operands[0]]}[{formula.function.first}:{formula.function.end}]"
        if formula.function is None:
            (name,) = formula.operands
            return f"{name:g}" if formula.is_number else str(name)
        taken = set(self.values())
        self[formula] = next(letter for letter in self._letters if letter not in taken)
        return self[formula]


def assignments(computed: Iterable[Formula], results: Mapping[str, Formula], names: Names) -> Iterator[str]:
    """
    A line for each formula that is computed, and for each result that is a copy.

    Args:
        computed: in order, operands first.
        results: what some formulas are to be called.
        names: of all formulas; those of the results are added.
    """
    computed = [formula for formula in computed if not (formula.is_number or formula.is_slice)]
    for name, formula in results.items():
        if formula in set(computed):
            names.setdefault(formula, name)
    for formula in computed:
        yield f"{names[formula]} = {expression(formula, names)}"
    for name, formula in results.items():
        if names[formula] != name:
            yield f"{name} = {names[formula]}"


def expression(formula: Formula, names: Names) -> str:
    """The function of a formula, and the names of its operands: `x + r`, `tanh(a)`, `weight @ h`."""
    operands = [names[operand] for operand in formula.operands]
    if isinstance(formula.function, Product):
        return f"{formula.function.matrix} @ {operands[0]}"
    if formula.function in OPERATORS:
        return f" {OPERATORS[formula.function]} ".join(operands)
    return f"{getattr(formula.function, '__name__', '')}({', '.join(operands)})"
