"""One step of each cell, worked out by hand: with H = 1 the equations are a line of arithmetic."""

from math import exp, log, sqrt, tanh

import numpy as np
import pytest

from lmgen.errors import ConfigError
from lmgen.models.network.cells import CELLS, Cell, Multiply, blocks, cell_named, normalise
from lmgen.models.network.functions import hard_sigmoid


def sigmoid(a: float) -> float:
    return 1 / (1 + exp(-a))


def product(r: np.ndarray) -> Multiply:
    """A recurrent product that is r, whatever the state is."""
    return lambda name, values: r


def products(**r: np.ndarray) -> Multiply:
    """Recurrent products by the name of the matrix."""
    return lambda name, values: r[name]


def times(**u: float) -> Multiply:
    """Recurrent products with matrices of one number each."""
    return lambda name, values: u[name] * values


def zeros_of(cell: Cell) -> Multiply:
    """Recurrent products that are 0."""
    return lambda name, values: np.zeros((1, cell.recurrent[name].blocks), np.float32)


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
    ("cell", "expected"),
    [
        ("rnn", tanh(-0.4)),
        ("rnn-relu", 0.0),
        ("rnn-sigmoid", sigmoid(-0.4)),
        ("rnn-leaky-relu", -0.004),
        ("rnn-elu", exp(-0.4) - 1),
        ("rnn-softplus", log(1 + exp(-0.4))),
    ],
)
def test_one_vanilla_step(cell: str, expected: float) -> None:
    (h,) = CELLS[cell].step(row(0.1), (row(0.7),), product(row(-0.5)), {})

    assert h.item() == pytest.approx(expected, rel=1e-14)


def test_relu_passes_what_is_positive() -> None:
    (h,) = CELLS["rnn-relu"].step(row(0.1), (row(0.0),), product(row(0.5)), {})

    assert h.item() == pytest.approx(0.6)


def test_one_step_of_the_first_lstm_forgets_nothing() -> None:
    x, r = row(0.1, 0.3, 0.4), row(1.0, 0.5, 0.0)
    h, c = CELLS["lstm-1997"].step(x, (row(0.7), row(-0.6)), product(r), {})

    expected_c = -0.6 + sigmoid(0.1 + 1.0) * tanh(0.3 + 0.5)
    assert c.item() == pytest.approx(expected_c, rel=1e-14)
    assert h.item() == pytest.approx(sigmoid(0.4) * tanh(expected_c), rel=1e-14)


def test_one_step_with_coupled_gates() -> None:
    x, r = row(0.1, 0.3, 0.4), row(1.0, 0.5, 0.0)
    h, c = CELLS["lstm-coupled"].step(x, (row(0.7), row(-0.6)), product(r), {})

    forget = sigmoid(0.1 + 1.0)
    expected_c = forget * -0.6 + (1 - forget) * tanh(0.3 + 0.5)
    assert c.item() == pytest.approx(expected_c, rel=1e-14)
    assert h.item() == pytest.approx(sigmoid(0.4) * tanh(expected_c), rel=1e-14)


def test_gates_scaled_to_root_mean_square_one() -> None:
    """With H = 2 each gate's two sums are scaled together: (3, 1) by 1 / sqrt(5)."""
    b, sums = np.arange(6) / 10, np.array([[3.0, 1.0, -2.0, 2.0, 4.0, 0.0]])
    vectors = {"bias": b, "gain": np.array([1.0, 2.0, 1.0, 1.0, 1.0, 3.0])}
    before = np.array([[0.7, 0.5]]), np.array([[-0.6, 0.2]])
    h, c = CELLS["lstm-coupled-rmsnorm"].step(sums + b - 1, before, product(np.ones((1, 6))), vectors)

    forget = [sigmoid(3 / sqrt(5)), sigmoid(2 / sqrt(5) + 0.1)]
    candidate = [tanh(-1 + 0.2), tanh(1 + 0.3)]
    output = [sigmoid(4 / sqrt(8) + 0.4), sigmoid(0.5)]
    for unit, old in enumerate((-0.6, 0.2)):
        new = forget[unit] * old + (1 - forget[unit]) * candidate[unit]
        assert c[0, unit] == pytest.approx(new, rel=1e-4)
        assert h[0, unit] == pytest.approx(output[unit] * tanh(new), rel=1e-4)


def test_full_peepholes_are_matrices() -> None:
    x, r = row(0.1, 0.2, 0.3, 0.4), row(1.0, -1.0, 0.5, 0.0)
    peepholes = {"peephole_gates": row(0.5, -2.0), "peephole_output": row(0.9)}
    h, c = CELLS["lstm-peephole-full"].step(
        x, (row(0.7), row(-0.6)), products(weight_recurrent=r, **peepholes), {}
    )

    expected_c = sigmoid(0.2 - 1.0 - 2.0) * -0.6 + sigmoid(0.1 + 1.0 + 0.5) * tanh(0.3 + 0.5)
    assert c.item() == pytest.approx(expected_c, rel=1e-14)
    assert h.item() == pytest.approx(sigmoid(0.4 + 0.9) * tanh(expected_c), rel=1e-14)


def test_diagonal_matrices_are_peepholes() -> None:
    """P = diag(p) gives the same as p in the cell with vectors."""
    random = np.random.default_rng(0)
    x, r, p = random.normal(size=(1, 8)), random.normal(size=(1, 8)), random.normal(size=(3, 2))
    h, c = random.normal(size=(2, 1, 2))
    names = ("peephole_input", "peephole_forget", "peephole_output")
    diagonal = CELLS["lstm-peephole"].step(x, (h, c), product(r), dict(zip(names, p, strict=True)))

    def multiply(name: str, values: np.ndarray) -> np.ndarray:
        if name == "peephole_gates":
            return np.concatenate([p[0] * values, p[1] * values], axis=-1)
        return p[2] * values if name == "peephole_output" else r

    full = CELLS["lstm-peephole-full"].step(x, (h, c), multiply, {})
    np.testing.assert_allclose(full, diagonal, rtol=1e-12)


def test_one_gru_step_that_resets_before_the_product() -> None:
    x = row(0.1, 0.2, 0.3)

    def multiply(name: str, values: np.ndarray) -> np.ndarray:
        return row(1.0, -1.0) if name == "weight_gates" else 0.5 * values

    (h,) = CELLS["gru-reset-before"].step(x, (row(0.7),), multiply, {})

    update = sigmoid(0.2 - 1.0)
    candidate = tanh(0.3 + 0.5 * sigmoid(0.1 + 1.0) * 0.7)
    assert h.item() == pytest.approx((1 - update) * 0.7 + update * candidate, rel=1e-14)


def test_one_step_of_a_deep_simple_gated_unit() -> None:
    matrices = times(weight_inner=2.0, weight_candidate=-3.0, weight_update=0.5)
    (h,) = CELLS["dsgu"].step(row(0.4, 0.2), (row(0.7),), matrices, {})

    candidate = sigmoid(-3.0 * tanh(2.0 * 0.4 * 0.7) * 0.7)
    update = 0.2 * (0.2 + 0.5 * 0.7) + 0.5
    assert h.item() == pytest.approx((1 - update) * 0.7 + update * candidate, rel=1e-14)


def test_the_hard_logistic_function_is_cut_off() -> None:
    np.testing.assert_allclose(hard_sigmoid(np.array([-9, -2.5, 0, 1, 2.5, 9])), [0, 0, 0.5, 0.7, 1, 1])


def test_extreme_inputs_overflow_nowhere() -> None:
    """Warnings are errors in the tests, so an overflow in an exponential would fail here."""
    for cell in CELLS.values():
        large = np.full((1, len(cell.gates)), 1e4, np.float32)
        vectors = {name: np.ones(vector.blocks, np.float32) for name, vector in cell.vectors.items()}
        vectors["bias"] = np.ones_like(large[0])
        state = tuple(np.zeros((1, 1), np.float32) for _ in cell.states)
        for sign in (1, -1):
            after = cell.step(sign * large, state, zeros_of(cell), vectors)
            assert all(np.isfinite(part).all() for part in after)


def test_blocks_cut_the_last_axis() -> None:
    first, second = blocks(np.arange(8).reshape(2, 4), 2)

    assert first.tolist() == [[0, 1], [4, 5]]
    assert second.tolist() == [[2, 3], [6, 7]]


def test_an_unknown_cell_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match="no cell 'lstn'; known are lstm, gru"):
        cell_named("lstn")
