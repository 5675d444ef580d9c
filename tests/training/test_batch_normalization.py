"""Batch normalisation in training, and the plain network that it leaves behind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError, ModelError
from lmgen.inspection.untrained import untrained_network
from lmgen.models.network.cells import CELLS, EPSILON
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.training.batch_normalization import DECAY, BatchNormalization
from lmgen.training.checkpoints import load_checkpoint, save_checkpoint
from lmgen.training.events import Evaluated, RolledBack
from lmgen.training.network import Network, TorchLanguageModel
from tests.training.test_loop import trainer
from tests.training.test_recovery import fault_at

T, B, N, M, V = 5, 3, 4, 6, 9

LONG: dict[str, Any] = {"streams": 4, "epochs": 99.0, "dropout": 0.5, "normalization": "batch"}


def doubles(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(1, 2, shape))


def layer(inputs: int = N) -> tuple[BatchNormalization, dict[str, Tensor]]:
    """Normalisation with a gain of its own for every product, and the arrays of a layer."""
    ours = BatchNormalization(M).double()
    ours.gain.data = doubles(M, seed=1)
    return ours, {"weight_input": doubles(M, inputs, seed=2), "bias": doubles(M, seed=3), "other": doubles(1)}


def product(arrays: dict[str, Tensor], values: Tensor) -> Tensor:
    return values @ arrays["weight_input"].T + arrays["bias"]


@pytest.mark.parametrize("inputs", [1, N, M, M + 3])
def test_it_is_the_batch_norm_of_torch(inputs: int) -> None:
    """Products, gradients and what is remembered, whichever way the statistics are computed."""
    ours, arrays = layer(inputs)
    theirs = torch.nn.BatchNorm1d(M, eps=EPSILON, momentum=1.0).double()
    theirs.weight.data, theirs.bias.data = ours.gain.data.clone(), arrays["bias"].clone()
    values, weight = doubles(T, B, inputs), arrays["weight_input"].clone()
    upstream = doubles(T * B, M, seed=4)
    for tensor in (values, weight, arrays["weight_input"], arrays["bias"]):
        tensor.requires_grad_()

    found = product(ours(arrays, values), values).flatten(0, 1)
    expected = theirs((values @ weight.T).flatten(0, 1))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.mean, theirs.running_mean)
    torch.testing.assert_close(ours.variance, theirs.running_var)

    ours_inputs = [values, arrays["weight_input"], arrays["bias"], ours.gain]
    mine = torch.autograd.grad(found, ours_inputs, upstream)
    wanted = torch.autograd.grad(expected, [values, weight, theirs.bias, theirs.weight], upstream)
    for gradient, right in zip(mine, wanted, strict=True):
        torch.testing.assert_close(gradient, right, rtol=1e-8, atol=1e-8)

    found = product(ours.eval()(arrays, values), values).flatten(0, 1)
    torch.testing.assert_close(found, theirs.eval()((values @ weight.T).flatten(0, 1)))


def test_moving_averages_forget_the_first_batches() -> None:
    """Of three batches each counts 0.9 times as much as the one after it."""
    ours, arrays = layer()
    means, variances = [], []
    for seed in range(3):
        values = doubles(T, B, N, seed=10 + seed)
        ours(arrays, values)
        products = (values @ arrays["weight_input"].T).flatten(0, 1)
        means.append(products.mean(0))
        variances.append(products.var(0))

    shares = torch.tensor([DECAY**2, DECAY, 1.0], dtype=torch.float64)
    shares /= shares.sum()
    torch.testing.assert_close(ours.mean, (shares[:, None] * torch.stack(means)).sum(0))
    torch.testing.assert_close(ours.variance, (shares[:, None] * torch.stack(variances)).sum(0))


def test_positions_that_do_not_count_change_nothing() -> None:
    (ours, arrays), values = layer(), doubles(T, B, N)
    counted = torch.ones(T, B, dtype=torch.bool)
    counted[3:, 1] = False
    first = ours(arrays, values, counted)
    noise = torch.where(counted[..., None], values, 1e6)
    second = ours(arrays, noise, counted)

    torch.testing.assert_close(second["weight_input"], first["weight_input"], rtol=0, atol=0)
    assert not torch.equal(ours(arrays, values)["weight_input"], first["weight_input"])
    assert first["other"] is arrays["other"]


def test_statistics_are_those_of_all_bits_where_the_rest_is_computed_in_sixteen() -> None:
    ours, arrays = BatchNormalization(M), {"weight_input": torch.ones(M, N), "bias": torch.zeros(M)}
    values = 200 * torch.arange(T * B * N).reshape(T, B, N).bfloat16()  # squares that float16 cannot hold
    with torch.autocast("cpu", torch.float16):
        ours(arrays, values.half())
    products = values.half().float().sum(-1).flatten()

    torch.testing.assert_close(ours.mean, products.mean().expand(M))
    torch.testing.assert_close(ours.variance, products.var().expand(M))


@pytest.mark.parametrize("count", [0, 1])
def test_without_two_positions_the_moving_averages_are_used_and_stay(count: int) -> None:
    (ours, arrays), values = layer(), doubles(T, B, N)
    ours(arrays, values)
    before = {name: buffer.clone() for name, buffer in ours.named_buffers()}
    counted = torch.zeros(T, B, dtype=torch.bool)
    counted[0, :count] = True
    found = ours(arrays, values, counted)

    torch.testing.assert_close(found["bias"], ours.eval()(arrays, values)["bias"])
    assert all(torch.equal(buffer, before[name]) for name, buffer in ours.named_buffers())


@pytest.mark.parametrize(
    "shape",
    [
        *({"cell": name} for name, cell in CELLS.items() if not cell.normalises),
        {"layers": 3, "residual": True, "dropout": 0.2},
        {"embedding_size": 0, "attention": 3, "convolution": "2x5", "dense_layers": 1},
        {"tied": True, "embedding_size": None, "last_hidden_size": 5},
    ],
    ids=str,
)
def test_the_saved_network_is_a_plain_one_that_computes_the_same(shape: dict[str, Any]) -> None:
    settings = {"hidden_size": 6, "embedding_size": 4, "layers": 2, **shape}
    config = NetworkConfig(**settings, normalization="batch")
    network = Network(config, V, initial_parameters(config, V, None, 0)).train()
    ids = np.random.default_rng(1).integers(0, V, (12, 4))
    for each in network.batch_normalization:
        each.get_parameter("gain").data.uniform_(0.5, 2)
    for _ in range(3):
        network(torch.from_numpy(ids), network.initial_state(4))

    theirs = TorchLanguageModel(network, 0)
    ours = theirs.as_network()
    assert ours.config == NetworkConfig(**settings)
    assert theirs.format_version == ours.format_version
    assert network.parameter_count == ours.describe()["parameters"]
    expected, _ = theirs.score(theirs.start(4), ids)
    np.testing.assert_allclose(ours.score(ours.start(4), ids)[0], expected, atol=1e-5)
    plain = TorchLanguageModel(Network(ours.config, V, ours.parameters), 0)
    np.testing.assert_allclose(plain.score(plain.start(4), ids)[0], expected, atol=1e-5)


def test_scoring_leaves_the_statistics_alone() -> None:
    training = trainer(**LONG)
    next(training.run())
    before = {name: tensor.clone() for name, tensor in training.state.network.state_dict().items()}
    training.evaluate()

    assert before["batch_normalization.1.batches"] == 1
    after = training.state.network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_a_checkpoint_holds_the_statistics(tmp_path: Path) -> None:
    """A run that goes on from one is bit for bit the run that did not stop."""
    run = RunFolder(tmp_path)
    run.last.parent.mkdir(exist_ok=True)
    whole, halved, resumed = (trainer(ema=0.8, **LONG) for _ in range(3))
    for updates, training in ((9, whole), (4, halved)):
        torch.manual_seed(0)
        for _, _ in zip(range(updates), training.run(), strict=False):
            pass
    save_checkpoint(run, halved.state, {})
    load_checkpoint(run, resumed.state, print)
    for _, _ in zip(range(5), resumed.run(), strict=False):
        pass

    expected, found = whole.state.tensors(), resumed.state.tensors()
    assert expected.keys() == found.keys()
    assert "parameters.batch_normalization.0.variance" in found
    assert "average.module.batch_normalization.0.variance" in found
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name


def test_a_rollback_restores_the_statistics() -> None:
    training = trainer(**{**LONG, "steps": 40, "evaluations": 4, "schedule": "constant"})
    kept: dict[str, Tensor] = {}
    for event in fault_at(training, {17}):
        if isinstance(event, Evaluated) and event.step == 10:
            kept = {name: tensor.clone() for name, tensor in training.state.network.state_dict().items()}
        if isinstance(event, RolledBack):
            break

    state = training.state.network.state_dict()
    assert state["batch_normalization.0.batches"] == 10
    assert all(torch.equal(tensor, kept[name]) for name, tensor in state.items())


def test_averaged_weights_have_averaged_statistics() -> None:
    training = trainer(ema=0.5, **LONG)
    seen = []
    for _, _ in zip(range(3), training.run(), strict=False):
        seen.append(training.state.network.get_buffer("batch_normalization.0.mean").clone())
    expected = (seen[0] + 2 * seen[1] + 4 * seen[2]) / 7

    torch.testing.assert_close(training.state.result.get_buffer("batch_normalization.0.mean"), expected)


def test_statistics_that_are_not_finite_are_refused_where_no_validation_text_would_show_them() -> None:
    training = trainer(**LONG)
    training.validation = None
    training.state.network.get_buffer("batch_normalization.0.mean").fill_(float("nan"))

    with pytest.raises(Exception, match="no longer finite"):
        training.evaluate()


def test_a_model_in_use_has_it_in_its_weights() -> None:
    config = NetworkConfig(normalization="batch")
    with pytest.raises(ModelError, match="normalization is batch"):
        RecurrentModel(config, V, 0, initial_parameters(config, V, None, 0))
    with pytest.raises(ConfigError, match="takes its statistics from training"):
        untrained_network(config, CharacterTokenizer("\nabc"))
