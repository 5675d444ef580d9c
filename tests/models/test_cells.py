"""One step of each cell, worked out by hand: with H = 1 the equations are a line of arithmetic."""

from math import exp, tanh

import numpy as np
import pytest

from lmgen.errors import ConfigError
from lmgen.models.cells import CELLS, blocks, cell_named


def sigmoid(a: float) -> float:
    return 1 / (1 + exp(-a))


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float64)


def test_one_lstm_step() -> None:
    x, r = row(0.1, 0.2, 0.3, 0.4), row(1.0, -1.0, 0.5, 0.0)
    h, c = CELLS["lstm"].step(x, r, (row(0.7), row(-0.6)), {})

    expected_c = sigmoid(0.2 - 1.0) * -0.6 + sigmoid(0.1 + 1.0) * tanh(0.3 + 0.5)
    assert c.item() == pytest.approx(expected_c, rel=1e-14)
    assert h.item() == pytest.approx(sigmoid(0.4) * tanh(expected_c), rel=1e-14)


def test_one_gru_step() -> None:
    x, r = row(0.1, 0.2, 0.3), row(1.0, -1.0, 0.5)
    (h,) = CELLS["gru"].step(x, r, (row(0.7),), {"bias_recurrent": np.array([0.25])})

    update = sigmoid(0.2 - 1.0)
    candidate = tanh(0.3 + sigmoid(0.1 + 1.0) * (0.5 + 0.25))
    assert h.item() == pytest.approx((1 - update) * candidate + update * 0.7, rel=1e-14)


@pytest.mark.parametrize(
    ("cell", "expected"), [("rnn", tanh(-0.4)), ("rnn-relu", 0.0), ("rnn-sigmoid", sigmoid(-0.4))]
)
def test_one_vanilla_step(cell: str, expected: float) -> None:
    (h,) = CELLS[cell].step(row(0.1), row(-0.5), (row(0.7),), {})

    assert h.item() == pytest.approx(expected, rel=1e-14)


def test_relu_passes_what_is_positive() -> None:
    (h,) = CELLS["rnn-relu"].step(row(0.1), row(0.5), (row(0.0),), {})

    assert h.item() == pytest.approx(0.6)


def test_extreme_inputs_overflow_nowhere() -> None:
    """Warnings are errors in the tests, so an overflow in an exponential would fail here."""
    for cell in CELLS.values():
        large = np.full((1, len(cell.gates)), 1e4, np.float32)
        vectors = {name: np.zeros(1, np.float32) for name in cell.vectors}
        state = tuple(np.zeros((1, 1), np.float32) for _ in cell.states)
        for sign in (1, -1):
            after = cell.step(sign * large, large * 0, state, vectors)
            assert all(np.isfinite(part).all() for part in after)


def test_blocks_cut_the_last_axis() -> None:
    first, second = blocks(np.arange(8).reshape(2, 4), 2)

    assert first.tolist() == [[0, 1], [4, 5]]
    assert second.tolist() == [[2, 3], [6, 7]]


def test_an_unknown_cell_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match="no cell 'lstn'; known are lstm, gru"):
        cell_named("lstn")
