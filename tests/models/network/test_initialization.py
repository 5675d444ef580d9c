"""Initial weights as they were asked for, and drawn from the same random numbers otherwise."""

from typing import Any

import numpy as np
import pytest

from lmgen.errors import ConfigError
from lmgen.models.network.cells import CELLS
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters, with_frequencies
from lmgen.models.network.initializers import Start
from lmgen.models.network.layer import arrays_of
from lmgen.models.network.layers import network_layers
from lmgen.runs.config import RunConfig

CONFIG = NetworkConfig(cell="gru-reset-before", layers=2, hidden_size=20, embedding_size=9)


def test_uniform_weights_fill_their_range() -> None:
    drawn = initial_parameters(CONFIG, 11, None, 0, Start(init="uniform", scale=0.3))

    for name in ("layers.0.weight_input", "layers.1.weight_gates", "layers.1.weight_candidate"):
        assert 0.25 < np.abs(drawn[name]).max() <= 0.3
        assert abs(drawn[name].mean()) < 0.05
    assert not drawn["layers.0.bias"].any()
    usual = initial_parameters(CONFIG, 11, None, 0, Start(init="uniform"))
    assert np.abs(usual["layers.0.weight_input"]).max() <= 0.08


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_scaled_orthogonal_matrices_stretch_every_vector_alike(factor: float) -> None:
    plain = initial_parameters(CONFIG, 11, None, 0)
    drawn = initial_parameters(CONFIG, 11, None, 0, Start(scale=factor))

    matrix = drawn["layers.0.weight_candidate"]
    np.testing.assert_allclose(matrix.T @ matrix, factor**2 * np.eye(20), atol=1e-5)
    for name, array in plain.items():
        expected = factor * array if "weight_gates" in name or "weight_candidate" in name else array
        np.testing.assert_allclose(drawn[name], expected, rtol=1e-6)


@pytest.mark.parametrize("cell", [name for name, cell in CELLS.items() if cell.keeps])
def test_with_a_memory_each_unit_forgets_after_a_number_of_tokens_of_its_own(cell: str) -> None:
    config, longest, H = NetworkConfig(cell=cell, hidden_size=200), 50, 200
    drawn = initial_parameters(config, 11, None, 0, Start(memory=longest))

    gates, keeps = CELLS[cell].gates, CELLS[cell].keeps
    biases = dict(zip(gates, drawn["layers.0.bias"].reshape(len(gates), H), strict=True))
    lasting = [keep * biases[name] for name, keep in keeps.items()]
    for bias in lasting:  # the share that is left after u + 1 tokens is near 1/e
        u = np.exp(bias)
        assert u.min() >= 1
        assert u.max() <= longest - 1
        assert u.mean() == pytest.approx(longest / 2, rel=0.1)
        left = (1 / (1 + np.exp(-bias))) ** (u + 1)
        assert ((left > 0.2) & (left < 0.4)).all()
        np.testing.assert_array_equal(bias, lasting[0])
    for name in set(gates) - set(keeps):
        assert not biases[name].any()
    plain = initial_parameters(config, 11, None, 0)
    np.testing.assert_array_equal(drawn["layers.0.weight_input"], plain["layers.0.weight_input"])


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"cell": "rnn"}, "the cell rnn has none"),
        ({"cell": "dsgu"}, "the cell dsgu has none"),
        ({"layers": 0, "dense_layers": 1}, "--layers is 0"),
    ],
)
def test_a_memory_needs_gates_that_keep(network: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RunConfig.from_settings({**network, "init_memory": 100}, "test")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("init", "uniform"),
        ("init_scale", 2.0),
        ("init_memory", 100),
        ("init_output", "zeros"),
        ("init_embedding", "random"),
    ],
)
def test_weights_that_are_there_have_no_start(name: str, value: Any) -> None:
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(ConfigError, match=f"{flag} is for new weights"):
        RunConfig.from_settings({"from": "demo", name: value}, "the command line")


def test_an_output_that_starts_with_frequencies_predicts_them() -> None:
    counts = np.array([5, 0, 94, 7, 1])
    output = network_layers(NetworkConfig(hidden_size=6), 5).output
    drawn = initial_parameters(NetworkConfig(hidden_size=6), 5, None, 0)

    started = with_frequencies(drawn, output, counts)

    predicted = np.exp(output.log_probabilities(arrays_of(output, started), np.zeros(6, np.float32)))
    np.testing.assert_allclose(predicted, (counts + 1) / (107 + 5), rtol=1e-6)
    assert {name for name in drawn if not np.array_equal(drawn[name], started[name])} == {"output.bias"}


def test_an_adaptive_output_starts_with_the_frequencies_of_its_head_and_clusters() -> None:
    config = NetworkConfig(hidden_size=6, output="adaptive", cutoffs="2,4")
    counts = np.array([50, 30, 10, 10, 3, 2, 1])
    output = network_layers(config, 7).output

    started = with_frequencies(initial_parameters(config, 7, None, 0), output, counts)

    predicted = np.exp(output.log_probabilities(arrays_of(output, started), np.zeros(6, np.float32)))
    smoothed = (counts + 1) / (106 + 7)
    np.testing.assert_allclose(predicted[:2], smoothed[:2], rtol=1e-6)
    np.testing.assert_allclose(predicted[2:4], smoothed[2:4].mean(), rtol=1e-6)
    np.testing.assert_allclose(predicted[4:], smoothed[4:].mean(), rtol=1e-6)
