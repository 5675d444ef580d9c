"""Gradients through a window, by numpy alone, are what finite differences say."""

import doctest
from collections.abc import Callable

import numpy as np
import pytest

from lmgen import autodiff
from lmgen.arrays import FloatArray
from lmgen.autodiff import BackwardPass, CellPrograms, Window, multiplier, trace
from lmgen.models.network.cells import CELLS, Cell, CellState, Matrix, Multiply, Vectors, blocks
from lmgen.models.network.functions import Array, sigmoid, tanh

T, B, H = 4, 2, 3


def two_products(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:
    """One of the state, and one of a formula that needs the first."""
    (h,) = state
    r, n = blocks(x, 2)
    kept = sigmoid(r + multiply("u", h)) * h
    return (tanh(n + multiply("v", kept) + multiply("v", h)),)


ALL = {
    **CELLS,
    "two-products": Cell(
        gates=("r", "n"), states=("h",), step=two_products, matrices={"u": Matrix(), "v": Matrix()}
    ),
}


def test_the_example_of_the_folder_is_true() -> None:
    assert doctest.testmod(autodiff).failed == 0


@pytest.mark.parametrize("cell", ALL.values(), ids=ALL)
def test_gradients_match_finite_differences(cell: Cell) -> None:
    random = np.random.default_rng(0)
    vectors = {"bias": len(cell.gates)} | {name: vector.blocks for name, vector in cell.vectors.items()}
    programs = CellPrograms(trace(cell, H, [(name, count * H) for name, count in vectors.items()]))
    arrays: dict[str, FloatArray] = {"x": random.normal(size=(T, B, len(cell.gates) * H))}
    arrays |= {name: random.normal(size=(B, H)) for name in cell.states}
    arrays |= {name: random.normal(size=count * H) for name, count in vectors.items()}
    arrays |= {name: random.normal(size=(m.blocks * H, H)) for name, m in cell.recurrent.items()}
    of_hidden, *of_last = random.normal(size=(T, B, H)), *random.normal(size=(len(cell.states), B, H))
    matrices = {name: arrays[name] for name in cell.recurrent}

    def run() -> Window:
        window = Window.begin(
            programs,
            arrays["x"],
            [arrays[name] for name in cell.states],
            [arrays[name] for name in vectors],
        )
        window.run(multiplier(matrices))
        return window

    def loss() -> float:
        hidden, last = run().states[0][1:], [part[-1] for part in run().states]
        return float(np.sum(hidden * of_hidden) + sum(map(np.sum, np.multiply(last, of_last))))

    backward = BackwardPass(run(), of_last)
    backward.run(multiplier(matrices, transposed=True), of_hidden)
    found = dict(zip([*cell.states, *vectors], [*backward.state, *backward.vectors], strict=True))
    for name, gradient in {**found, **backward.matrices(), "x": backward.x}.items():
        np.testing.assert_allclose(gradient, differences(loss, arrays[name]), atol=1e-7, rtol=1e-5)


def differences(function: Callable[[], float], array: FloatArray, step: float = 1e-5) -> FloatArray:
    """The gradient of a function that reads an array, number by number."""
    gradient = np.empty_like(array)
    for place in np.ndindex(array.shape):
        value = array[place]
        array[place] = value + step
        above = function()
        array[place] = value - step
        gradient[place] = (above - function()) / (2 * step)
        array[place] = value
    return gradient
