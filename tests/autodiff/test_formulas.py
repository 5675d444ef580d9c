"""Formulas follow what is done to arrays, and say so where they cannot."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from lmgen.autodiff import CannotTrace, CellPrograms, trace
from lmgen.autodiff.formulas import Columns, Formula, array, gradients
from lmgen.autodiff.programs import Program, Routine
from lmgen.models.network.cells import Cell, CellState, Matrix, Multiply, Vectors, blocks
from lmgen.models.network.functions import Array, sigmoid, tanh


def add_in_place(a: Any) -> Any:
    a += 1.0
    return a


@pytest.mark.parametrize(
    "operation",
    [
        lambda a: a[..., ::2],
        lambda a: a[0],
        lambda a: a[..., 2:2],
        lambda a: a[..., 0],
        lambda a: a.mean(0, keepdims=True),
        lambda a: a.mean(-1, keepdims=False),
        lambda a: a**a,
        lambda a: a / 0,
        lambda a: a + np.ones(4),
        lambda a: a * "2",
        lambda a: a.clamp(max=a),
        lambda a: a if a else -a,
        lambda a: (a == 0) * a,
        lambda a: (a != 0) * a,
        add_in_place,
    ],
)
def test_what_has_no_formula_is_refused(operation: Callable[[Formula], object]) -> None:
    with pytest.raises(CannotTrace):
        operation(array("a", 4))


@pytest.mark.parametrize(
    "operation", [lambda a: a > 0, abs, lambda a: np.ones(4) * a, lambda a: a / a.shape[0], np.sin, len, list]
)
def test_so_is_what_python_or_numpy_would_have_to_know(operation: Callable[[Any], object]) -> None:
    with pytest.raises((TypeError, CannotTrace)):
        operation(array("a", 4))


def test_numbers_of_numpy_are_numbers() -> None:
    a, half, two = array("a", 4), cast(Any, np.float32(0.5)), cast(Any, np.int64(2))

    assert half * a is a * 0.5
    assert a + two is a + 2.0


def test_gradients_of_slices_that_overlap_are_cut_apart() -> None:
    """5 columns: 0-2 read once, 1-3 read twice, and the last not at all."""
    a, upstream = array("a", 5), array("upstream", 1, is_gradient=True)
    result = (a[..., 0:3].tanh().mean(-1, keepdims=True)) + 2.0 * a[..., 1:4].mean(-1, keepdims=True)
    found = gradients([result], [upstream], {})[a]

    assert list(found) == [Columns(0, 1), Columns(1, 3), Columns(3, 4)]
    A, G = np.random.default_rng(0).normal(size=(2, 5)), np.ones((2, 1))
    slices = [a[..., 0:3]]
    routine = Routine(Program([a, upstream, *slices], [], list(found.values())), (2,), "float64")
    routine((A, G, A[:, 0:3]))
    expected = np.zeros((2, 5))
    expected[:, 0:3] += (1 - np.tanh(A[:, 0:3]) ** 2) / 3
    expected[:, 1:4] += 2 / 3
    for columns, formula in found.items():
        np.testing.assert_allclose(routine[formula], expected[:, columns.first : columns.end])


def test_a_program_prints_a_line_for_each_call() -> None:
    a, b = array("a", 4), array("b", 4)
    program = Program([a, b], [(a + b).tanh(), b], results={"y": (a + b).tanh(), "z": b})

    assert str(program) == "c = a + b\ny = tanh(c)\nz = b"


def test_programs_print_the_products_between_them() -> None:
    """The candidate of a gated unit as published: its matrix multiplies a formula."""

    def step(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:
        r, n = blocks(x, 2)
        return (tanh(n + multiply("U", sigmoid(r) * state[0])),)

    cell = Cell(gates=("r", "n"), states=("h",), step=step, matrices={"U": Matrix()})
    assert str(CellPrograms(trace(cell, 2))).splitlines() == [
        "forward:",
        "a = sigmoid(x[0:2])",
        "b = h * a",
        "r = U @ b",
        "c = x[2:4] + r",
        "h' = tanh(c)",
        "factors:",
        "d = square(h')",
        "e = 1 - d",
        "f = square(a)",
        "g = a - f",
        "i = h * g",
        "backward:",
        "grad_r = grad_h' * e",
        "grad_operand_of_r = U.T @ grad_r",
        "grad_h = grad_operand_of_r * a",
        "grad_x[0:2] = grad_operand_of_r * i",
        "grad_x[2:4] = grad_r",
    ]
