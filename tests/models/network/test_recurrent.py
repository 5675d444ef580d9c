"""Recurrent layers: what they are made of, and how they are connected."""

import re

import numpy as np
import pytest

from lmgen.models.network.cells import CELLS
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.layers import network_layers
from lmgen.models.network.recurrent import CellDescription, Recurrent, described_cells


def connections(**settings: object) -> list[bool]:
    """Which layers of a network of three have a residual connection."""
    config = NetworkConfig(layers=3, hidden_size=2, residual=True, **settings)  # type: ignore[arg-type]
    return [layer.residual for layer in network_layers(config, 9).hidden if isinstance(layer, Recurrent)]


def test_residual_connections_are_where_widths_agree() -> None:
    assert connections() == [False, True, True]
    assert connections(last_hidden_size=1) == [False, True, False]


def test_a_layer_adds_what_it_has_read() -> None:
    layer = Recurrent(number=1, cell_name="rnn", inputs=2, outputs=2, residual=True)
    nothing = {"weight_input": np.zeros((2, 2)), "weight_recurrent": np.zeros((2, 2)), "bias": np.zeros(2)}
    values = np.array([[3.0, -4.0]])
    given, state = layer.step(nothing, values, (np.zeros((1, 2)),))

    assert given.tolist() == values.tolist()
    assert state[0].tolist() == [[0, 0]]


@pytest.mark.parametrize("cell", CELLS)
def test_a_window_is_its_steps(cell: str) -> None:
    layer, random = Recurrent(number=0, cell_name=cell, inputs=3, outputs=4), np.random.default_rng(0)
    arrays = {
        parameter.name.removeprefix(layer.prefix): random.normal(0, 0.5, parameter.shape)
        for parameter in layer.parameters
    }
    values = random.normal(size=(5, 2, 3))
    blank = tuple(np.zeros((2, size)) for size in layer.state_sizes)
    together, last = layer.window(arrays, values, blank)

    state = blank
    for v, expected in zip(values, together, strict=True):
        given, state = layer.step(arrays, v, state)
        np.testing.assert_allclose(given, expected, rtol=1e-12)
    for part, wanted in zip(state, last, strict=True):
        np.testing.assert_allclose(part, wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("cell", "formula"),
    [
        ("lstm", "4(nm + m² + m)"),
        ("gru", "3(nm + m² + m) + m"),
        ("rnn", "nm + m² + m"),
        ("lstm-peephole", "4(nm + m² + m) + 3m"),
        ("lstm-layernorm", "4(nm + m² + m) + 10m"),
    ],
)
def test_parameters_are_counted_in_the_form_of_the_lectures(cell: str, formula: str) -> None:
    assert Recurrent(number=0, cell_name=cell, inputs=5, outputs=7).formula == formula


@pytest.mark.parametrize("cell", CELLS)
def test_the_formula_in_letters_gives_the_number_of_parameters(cell: str) -> None:
    layer = Recurrent(number=0, cell_name=cell, inputs=5, outputs=7)
    expression = layer.formula.replace("nm", "n*m").replace("m²", "m*m").replace("(", "*(").lstrip("*")
    for digit in range(20, 0, -1):
        expression = expression.replace(f"{digit}m", f"{digit}*m")

    assert eval(expression, {"n": 5, "m": 7}) == sum(one.count for one in layer.parameters)  # noqa: S307


@pytest.mark.parametrize("cell", described_cells(), ids=lambda cell: cell.name)
def test_a_cell_is_described_by_its_equations_and_its_parameters(cell: CellDescription) -> None:
    """The formula holds for real layers of several sizes."""
    assert cell.summary.endswith(".")
    assert all("=" in line for line in cell.equations)
    assert any(character.isdigit() for character in cell.source)
    for n, m in ((3, 5), (7, 2)):
        layer = Recurrent(number=0, cell_name=cell.name, inputs=n, outputs=m)
        formula = re.sub(r"(?<=[\dnm²)])(?=[(nm])", "*", cell.parameters.replace("²", "**2"))
        count = eval(formula.replace("nm", "n*m"), {"n": n, "m": m})  # noqa: S307 - of our own making
        assert count == sum(parameter.count for parameter in layer.parameters)
