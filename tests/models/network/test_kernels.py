"""Kernels compute what the equations of their cells say."""

import numpy as np
import pytest

from lmgen.models.network.cells import CELLS, cell_named
from lmgen.models.network.kernels import kernel

H, E = 6, 5


@pytest.mark.parametrize("streams", [1, 4, 16])
@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_a_kernel_computes_its_cells_equations(name: str, projected: bool, streams: int) -> None:
    cell, random = cell_named(name), np.random.default_rng(0)
    gates = len(cell.gates) * H

    def array(*shape: int) -> np.ndarray:
        return random.normal(0, 1, shape).astype(np.float32)

    layer = {"weight_input": array(gates, E), "weight_recurrent": array(gates, H), "bias": array(gates)}
    layer |= {name: array(vector.blocks * H) for name, vector in cell.vectors.items()}
    values, state = array(E, streams), tuple(array(H, streams) for _ in cell.states)
    before = [part.copy() for part in state]

    ready = kernel(cell, layer)
    given = np.ascontiguousarray(ready.project(values.T).T) if projected else values
    after = ready.step(given, projected, state, ready.workspace(streams))

    x = values.T @ layer["weight_input"].T + layer["bias"]
    rows = tuple(part.T for part in state)
    expected = cell.step(x, rows, lambda name, values: values @ layer[name].T, layer)
    for part, wanted in zip(after, expected, strict=True):
        np.testing.assert_allclose(part.T, wanted, atol=2e-6)
    for part, kept in zip(state, before, strict=True):
        np.testing.assert_array_equal(part, kept)
