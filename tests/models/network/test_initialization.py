"""Initial weights as they were asked for, and drawn from the same random numbers otherwise."""

import numpy as np
import pytest

from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters

CONFIG = NetworkConfig(cell="gru-reset-before", layers=2, hidden_size=20, embedding_size=9)


def test_uniform_weights_fill_their_range() -> None:
    drawn = initial_parameters(CONFIG, 11, None, 0, "uniform", 0.3)

    for name in ("layers.0.weight_input", "layers.1.weight_gates", "layers.1.weight_candidate"):
        assert 0.25 < np.abs(drawn[name]).max() <= 0.3
        assert abs(drawn[name].mean()) < 0.05
    assert not drawn["layers.0.bias"].any()
    assert np.abs(initial_parameters(CONFIG, 11, None, 0, "uniform")["layers.0.weight_input"]).max() <= 0.08


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_scaled_orthogonal_matrices_stretch_every_vector_alike(factor: float) -> None:
    plain = initial_parameters(CONFIG, 11, None, 0)
    drawn = initial_parameters(CONFIG, 11, None, 0, scale=factor)

    matrix = drawn["layers.0.weight_candidate"]
    np.testing.assert_allclose(matrix.T @ matrix, factor**2 * np.eye(20), atol=1e-5)
    for name, array in plain.items():
        expected = factor * array if "weight_gates" in name or "weight_candidate" in name else array
        np.testing.assert_allclose(drawn[name], expected, rtol=1e-6)
