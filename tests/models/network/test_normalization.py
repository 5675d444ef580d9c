"""Layer normalisation: torch's own, a case by hand, its place in a network, dropout, gradients through it."""

from typing import Any

import numpy as np
import pytest
import torch

from lmgen.inspection.gradients import gradient_norms
from lmgen.models.network.cells import EPSILON
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.layer import Layer, arrays_of
from lmgen.models.network.layers import network_layers
from lmgen.models.network.model import RecurrentModel
from lmgen.models.network.normalization import LayerNormalization
from lmgen.training.layers import run_window
from lmgen.training.network import Network

N, V = 6, 9
STREAM = np.random.default_rng(5).integers(0, V, 30)


def test_a_step_by_hand() -> None:
    """Mean 3 and variance 4 of (1, 5): -1 and 1, times the gain, plus the bias."""
    layer = LayerNormalization(number=0, inputs=2)
    arrays = {"gain": np.array([2.0, 3.0]), "bias": np.array([0.5, 0.25])}
    given, state = layer.step(arrays, np.array([[1.0, 5.0]]), ())

    shrunk = 2 / np.sqrt(4 + EPSILON)
    np.testing.assert_allclose(given, [[0.5 - 2 * shrunk, 0.25 + 3 * shrunk]], rtol=1e-12)
    assert state == ()


def test_it_is_the_layer_norm_of_torch() -> None:
    layer = LayerNormalization(number=0, inputs=N)
    random = np.random.default_rng(0)
    values = random.normal(2, 3, (7, 4, N))
    theirs = torch.nn.LayerNorm(N).double()
    for parameter in theirs.parameters():
        parameter.data = torch.from_numpy(random.normal(0, 1, N))
    arrays = {"gain": theirs.weight.detach(), "bias": theirs.bias.detach()}
    wanted = theirs(torch.from_numpy(values)).detach()

    own, _ = layer.window({name: each.numpy() for name, each in arrays.items()}, values, ())
    np.testing.assert_allclose(own, wanted, atol=1e-12)
    fast, _ = run_window(layer, arrays, torch.from_numpy(values), (), torch.from_numpy(values))
    torch.testing.assert_close(fast, wanted, atol=0, rtol=0)


def test_the_scale_of_what_it_reads_does_not_matter() -> None:
    layer = LayerNormalization(number=0, inputs=N)
    arrays = {"gain": np.ones(N), "bias": np.zeros(N)}
    values = np.random.default_rng(1).normal(0, 100, (5, N))
    given, _ = layer.step(arrays, values, ())
    louder, _ = layer.step(arrays, 8 * values + 3, ())

    np.testing.assert_allclose(louder, given, atol=1e-6)
    np.testing.assert_allclose(given.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(given.var(axis=1), 1, atol=1e-6)


def test_other_weights_start_as_without_it() -> None:
    plain, normalised = (
        initial_parameters(NetworkConfig(layers=2, hidden_size=N, normalization=kind), V, None, 3)
        for kind in ("none", "layer")
    )
    assert all(np.array_equal(normalised[name], array) for name, array in plain.items())
    added = {name: array.tolist() for name, array in normalised.items() if name not in plain}
    assert added == {
        f"normalization.{n}.{name}": [value] * N for n in (0, 1) for name, value in (("gain", 1), ("bias", 0))
    }


def test_it_follows_every_recurrent_layer_and_its_residual_connection() -> None:
    """With gain 0 all that the next layer reads is the bias, whatever came before."""
    config = NetworkConfig(layers=2, hidden_size=N, residual=True, normalization="layer")
    parameters = initial_parameters(config, V, None, 0)
    parameters["normalization.1.gain"][:] = 0
    model = RecurrentModel(config, V, 0, parameters)
    first, second = (model.predict(model.advance(model.start(1), np.array([[n]]))) for n in (1, 2))
    np.testing.assert_array_equal(first, second)

    parameters["normalization.1.gain"][:] = 1
    model = RecurrentModel(config, V, 0, parameters)
    first, second = (model.predict(model.advance(model.start(1), np.array([[n]]))) for n in (1, 2))
    assert not np.array_equal(first, second)


def test_dropout_comes_after_it() -> None:
    """Normalising what is left would undo the scale that dropout keeps."""
    config = NetworkConfig(layers=2, hidden_size=64, normalization="layer", dropout_hidden=0.5)
    parameters = initial_parameters(config, V, None, 0)
    network = Network(config, V, parameters).train()
    ids = torch.from_numpy(STREAM[:, None])
    seen = {}

    def noted(layer: Layer, arrays: Any, values: torch.Tensor, *others: Any) -> Any:
        seen[layer.prefix] = (values == 0).double().mean().item()
        return run_window(layer, arrays, values, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmgen.training.network.run_window", noted)
        network.read(ids, network.initial_state(1))
    assert seen["layers.1."] == pytest.approx(0.5, abs=0.1)
    assert seen["normalization.0."] == seen["normalization.1."] == 0


@pytest.mark.parametrize("residual", [False, True])
def test_gradients_through_it_are_those_of_torch(residual: bool) -> None:
    """The norms of d loss / d h, k steps back, for both layers."""
    config = NetworkConfig(
        cell="gru", layers=2, hidden_size=N, embedding_size=4, normalization="layer", residual=residual
    )
    random = np.random.default_rng(7)
    parameters = {
        one.name: random.normal(0.2, 0.5, one.shape).astype(np.float32)
        for one in network_layers(config, V).parameters
    }
    distance = 3
    found = gradient_norms(
        RecurrentModel(config, V, 0, parameters), STREAM[:5], distance=distance, positions=1
    )

    network = Network(config, V, parameters).double().eval()
    structure, named = network.structure, dict(network.named_parameters())
    ids = torch.from_numpy(np.concatenate([[0], STREAM[:5]]))
    states: list[list[torch.Tensor]] = []
    state = [tuple(torch.zeros(1, size).double() for size in each.state_sizes) for each in structure.hidden]
    for token in ids[:-1]:
        values, after = network.get_parameter("embedding")[token][None], []
        for layer, before in zip(structure.hidden, state, strict=True):
            values, last = layer.step(arrays_of(layer, named), values, before)
            for part in last:
                part.retain_grad()
            after.append(last)
        state = after
        states.append([last[0] for last in after if last])
    loss = -network.predict(values)[0, ids[-1]]
    loss.backward()  # type: ignore[no-untyped-call]
    for row in found:
        h = states[-1 - row.distance][int(row.layer.removeprefix("layers."))]
        assert h.grad is not None
        assert row.norm == pytest.approx(h.grad.norm().item(), rel=1e-5), row
