"""One step of each cell, worked out by hand: with H = 1 the equations are a line of arithmetic."""

from math import exp, sqrt, tanh

import numpy as np
import pytest

from lmgen.errors import ConfigError
from lmgen.models.network.cells import CELLS, Multiply, blocks, cell_named, normalise


def sigmoid(a: float) -> float:
    return 1 / (1 + exp(-a))


def product(r: np.ndarray) -> Multiply:
    """A recurrent product that is r, whatever the state is."""
    return lambda name, values: r


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float64)


def test_one_lstm_step() -> None:
    x, r = row(0.1, 0.2, 0.3, 0.4), row(1.0, -1.0, 0.5, 0.0)
    h, c = CELLS["lstm"].step(x, (row(0.7), row(-0.6)), product(r), {})

    expected_c = sigmoid(0.2 - 1.0) * -0.6 + sigmoid(0.1 + 1.0) * tanh(0.3 + 0.5)
    assert c.item() == pytest.approx(expected_c, rel=1e-14)
    assert h.item() == pytest.approx(sigmoid(0.4) * tanh(expected_c), rel=1e-14)


def test_one_peephole_lstm_step() -> None:
    x, r = row(0.1, 0.2, 0.3, 0.4), row(1.0, -1.0, 0.5, 0.0)
    peepholes = {"peephole_input": 0.5, "peephole_forget": -2.0, "peephole_output": 3.0}
    vectors = {name: np.array([weight]) for name, weight in peepholes.items()}
    h, c = CELLS["lstm-peephole"].step(x, (row(0.7), row(-0.6)), product(r), vectors)

    forget, written = sigmoid(0.2 - 1.0 - 2.0 * -0.6), sigmoid(0.1 + 1.0 + 0.5 * -0.6)
    expected_c = forget * -0.6 + written * tanh(0.3 + 0.5)
    assert c.item() == pytest.approx(expected_c, rel=1e-14)
    assert h.item() == pytest.approx(sigmoid(0.4 + 3.0 * expected_c) * tanh(expected_c), rel=1e-14)


def test_one_layer_normalised_lstm_step() -> None:
    """With H = 1 the gates are normalised over four numbers, and the cell state over one: to nothing."""
    products, r, b = [3.0, 1.0, 1.0, 3.0], row(0.0, 8.0, 0.0, 0.0), np.array([0.1, 0.2, 0.3, 0.4])
    vectors = {
        "bias": b,
        "gain_input": np.array([1.0, 2.0, 3.0, 4.0]),
        "gain_recurrent": np.array([0.5, 0.5, 0.5, 0.5]),
        "gain_cell": np.array([7.0]),
        "bias_cell": np.array([0.6]),
    }
    h, c = CELLS["lstm-layernorm"].step(row(*products) + b, (row(0.7), row(-0.6)), product(r), vectors)

    # N(3 1 1 3) = (1 -1 -1 1); N(0 8 0 0) = (-2 6 -2 -2) / sqrt(12)
    small, large = 0.5 * -2 / sqrt(12), 0.5 * 6 / sqrt(12)
    i, f, g, o = 1 + small + 0.1, -2 + large + 0.2, -3 + small + 0.3, 4 + small + 0.4
    assert c.item() == pytest.approx(sigmoid(f) * -0.6 + sigmoid(i) * tanh(g), rel=1e-4)
    assert h.item() == pytest.approx(sigmoid(o) * tanh(0.6), rel=1e-4)


def test_normalising_gives_mean_0_and_variance_1_whatever_the_scale() -> None:
    array = np.random.default_rng(0).normal(3, 20, (4, 50))
    normal = normalise(array)

    np.testing.assert_allclose(normal.mean(-1), 0, atol=1e-12)
    np.testing.assert_allclose(normal.var(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(normalise(7 * array + 2), normal, rtol=1e-6)


def test_one_gru_step() -> None:
    x, r = row(0.1, 0.2, 0.3), row(1.0, -1.0, 0.5)
    (h,) = CELLS["gru"].step(x, (row(0.7),), product(r), {"bias_recurrent": np.array([0.25])})

    update = sigmoid(0.2 - 1.0)
    candidate = tanh(0.3 + sigmoid(0.1 + 1.0) * (0.5 + 0.25))
    assert h.item() == pytest.approx((1 - update) * candidate + update * 0.7, rel=1e-14)


@pytest.mark.parametrize(
    ("cell", "expected"), [("rnn", tanh(-0.4)), ("rnn-relu", 0.0), ("rnn-sigmoid", sigmoid(-0.4))]
)
def test_one_vanilla_step(cell: str, expected: float) -> None:
    (h,) = CELLS[cell].step(row(0.1), (row(0.7),), product(row(-0.5)), {})

    assert h.item() == pytest.approx(expected, rel=1e-14)


def test_relu_passes_what_is_positive() -> None:
    (h,) = CELLS["rnn-relu"].step(row(0.1), (row(0.0),), product(row(0.5)), {})

    assert h.item() == pytest.approx(0.6)


def test_extreme_inputs_overflow_nowhere() -> None:
    """Warnings are errors in the tests, so an overflow in an exponential would fail here."""
    for cell in CELLS.values():
        large = np.full((1, len(cell.gates)), 1e4, np.float32)
        vectors = {name: np.ones(vector.blocks, np.float32) for name, vector in cell.vectors.items()}
        vectors["bias"] = np.ones_like(large[0])
        state = tuple(np.zeros((1, 1), np.float32) for _ in cell.states)
        for sign in (1, -1):
            after = cell.step(sign * large, state, product(large * 0), vectors)
            assert all(np.isfinite(part).all() for part in after)


def test_blocks_cut_the_last_axis() -> None:
    first, second = blocks(np.arange(8).reshape(2, 4), 2)

    assert first.tolist() == [[0, 1], [4, 5]]
    assert second.tolist() == [[2, 3], [6, 7]]


def test_an_unknown_cell_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match="no cell 'lstn'; known are lstm, gru"):
        cell_named("lstn")
