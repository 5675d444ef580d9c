"""Number formats of GPUs, played on a CPU, which has autocast and scales of the loss too."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

import lmgen
from lmgen.data.batches import Batch
from lmgen.errors import ConfigError, NumericalError
from lmgen.training.distributed import Group, Part
from lmgen.training.events import RolledBack
from lmgen.training.loop import Trainer
from lmgen.training.precision import Precision, loss_scaler
from tests.training.test_loop import trainer

LONG: dict[str, Any] = {"streams": 4, "epochs": 99.0, "evaluations": 1}
CPU = torch.device("cpu")


def scaled(**settings: Any) -> Trainer:
    """A trainer that scales its loss, as one of float16 on a GPU does."""
    training = trainer(**LONG, **settings)
    training.state.precision.scaler = loss_scaler(CPU, enabled=True)
    return training


def updated(training: Trainer, updates: int) -> Trainer:
    for _, _ in zip(range(updates), training.run(), strict=False):
        pass
    return training


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "adamw-adagrad"])
def test_a_scale_changes_nothing_but_the_size_of_gradients_on_the_way(optimizer: str) -> None:
    plain = updated(trainer(**LONG, optimizer=optimizer), 8).state
    found = updated(scaled(optimizer=optimizer), 8).state

    assert found.position.gradient_norm == pytest.approx(plain.position.gradient_norm, rel=1e-6)
    for name, array in plain.network.arrays().items():
        np.testing.assert_allclose(found.network.arrays()[name], array, atol=1e-6)


def test_where_the_scale_is_too_large_it_halves_and_weights_stay() -> None:
    training = scaled()
    scale = training.state.precision.scaler.get_scale()
    bias = training.state.network.get_parameter("output.bias")
    bias.register_hook(lambda gradient: gradient * torch.inf)  # type: ignore[no-untyped-call]
    before = training.state.network.arrays()
    updated(training, 2)

    assert training.state.precision.scaler.get_scale() == scale / 4
    assert training.state.position.rollbacks == 0
    for name, array in training.state.network.arrays().items():
        np.testing.assert_array_equal(array, before[name])


def test_gradients_that_are_never_finite_fail_in_the_end() -> None:
    training = scaled()
    bias = training.state.network.get_parameter("output.bias")
    bias.register_hook(lambda gradient: gradient * torch.nan)  # type: ignore[no-untyped-call]
    updates = [event for event, _ in zip(training.run(), range(40), strict=False)]

    assert any(isinstance(event, RolledBack) for event in updates)
    assert training.state.position.rollbacks == 3


def test_a_loss_that_is_not_finite_fails_whatever_the_scale() -> None:
    training = scaled()
    with torch.no_grad():
        training.state.network.get_parameter("output.bias").fill_(torch.nan)

    with pytest.raises(NumericalError, match="the loss is no longer a finite number"):
        training.learner.learn(next(training.batches.epoch(0)), 1e-3)


class WithoutStreams(Group):
    """The second of two processes, where the first batch has a stream for the first one alone."""

    rank, size = 1, 2

    def part(self, batch: Batch) -> Part:
        return Part(Batch(batch.inputs[:, :0], batch.targets[:, :0]), share=0.0, later_share=0.0)

    def combine(self, parameters: Sequence[Parameter], nats: Tensor, *, sparse: bool) -> Tensor:
        assert not sparse
        for parameter in parameters:
            parameter.grad = torch.full_like(parameter, 2.0**16)
        return nats + 1.0


def test_a_process_without_a_part_of_the_first_batch_unscales_the_gradients_of_the_others() -> None:
    training = scaled()
    learner = replace(training.learner, group=WithoutStreams())

    assert learner.learn(next(training.batches.epoch(0)), 1e-3) == 1.0
    numbers = sum(parameter.numel() for parameter in training.state.network.parameters())
    assert training.state.position.gradient_norm == pytest.approx(numbers**0.5)


def test_a_snapshot_keeps_the_scale() -> None:
    training = updated(scaled(), 3)
    kept = training.state.copy()
    other = scaled().state
    other.precision.scaler = torch.amp.GradScaler("cpu", init_scale=8.0, enabled=True)
    other.restore(kept)

    assert other.precision.scaler.state_dict() == training.state.precision.scaler.state_dict()
    assert other.precision.scaler.state_dict()["_growth_tracker"] == 3


def test_a_run_with_a_scale_goes_on_without_one() -> None:
    kept = updated(scaled(), 3).state.copy()
    plain = trainer(**LONG)
    plain.state.restore(kept)

    assert "scaler.scale" in kept.tensors
    assert "scaler.scale" not in plain.state.tensors()


def has_short_lstm() -> bool:
    """Whether torch has LSTMs of 16 bits on this processor."""
    try:
        with torch.autocast("cpu", torch.bfloat16):
            torch.nn.LSTM(4, 4)(torch.zeros(2, 1, 4))
    except RuntimeError:
        return False
    return True


@pytest.mark.skipif(not has_short_lstm(), reason="this processor has no LSTMs of 16 bits")
def test_in_sixteen_bits_it_learns_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = updated(trainer(**LONG), 40).state.position
    short = trainer(**LONG)
    monkeypatch.setattr(short.state.precision, "_short", torch.bfloat16)
    losses = [event.nats_per_token for event, _ in zip(short.run(), range(40), strict=False)]  # type: ignore[union-attr]

    assert all(part.dtype == torch.float32 for layer in short.state.carried for part in layer)
    assert losses[-1] == pytest.approx(plain.nats / plain.summed_tokens, abs=0.3)
    assert all(array.dtype == torch.float32 for array in short.state.network.parameters())
    assert losses[-1] < losses[0]


def test_on_a_cpu_the_formats_of_gpus_are_float32() -> None:
    for name in ("tf32", "bfloat16", "float16"):
        precision = Precision(name, CPU)
        with precision.autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
        assert precision.tensors() == {}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_new_run_without_a_gpu_refuses_its_formats(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="precision bfloat16 is for GPUs, and training is on cpu"):
        lmgen.train("the cat sat\n" * 90, out=tmp_path / "run", precision="bfloat16")
    assert not (tmp_path / "run").exists()
