"""What holds on a GPU. Skipped where torch finds none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lmgen
from lmgen.models.network.cells import CELLS
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.training.events import Stepped
from lmgen.training.using import on_device

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here"),
]

TEXT = "the cat sat on the mat and the dog lay on the log\n" * 200
SMALL: dict[str, Any] = {"hidden_size": 32, "batch_size": 4, "window_length": 16, "steps": 60, "threads": 1}


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_predicts_as_on_a_cpu(cell: str) -> None:
    config = NetworkConfig(cell=cell, layers=2, hidden_size=24, embedding_size=8)
    model = RecurrentModel(config, 11, 0, initial_parameters(config, 11, unknown=None, seed=1), None)
    ids = np.random.default_rng(2).integers(0, 11, (50, 3))

    here, _ = model.score(model.start(3), ids)
    there = on_device(model, "cuda")
    found, _ = there.score(there.start(3), ids)

    np.testing.assert_allclose(found, here, atol=1e-4)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "lstm-layernorm"])
def test_training_is_that_of_a_cpu(tmp_path: Path, cell: str) -> None:
    losses = {}
    for device in ("cpu", "cuda"):
        model = lmgen.train(
            TEXT, out=tmp_path / device, device=device, cell=cell, precision="float64", **SMALL
        )
        losses[device] = model.training["valid_nats_per_token"]

    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=1e-6)


@pytest.mark.parametrize(
    "settings",
    [{}, {"state": "reset"}, {"optimizer": "sgd"}, {"variational": True}, {"precision": "bfloat16"}],
)
def test_a_run_resumes_bit_for_bit(tmp_path: Path, settings: dict[str, Any]) -> None:
    settings = {**SMALL, "device": "cuda", "dropout": 0.3, **settings}
    steps: list[Stepped] = []

    def note(event: object) -> None:
        if isinstance(event, Stepped):
            steps.append(event)

    whole = lmgen.train(TEXT, out=tmp_path / "whole", **settings)
    lmgen.train(
        TEXT, out=tmp_path / "halves", on_event=note, should_stop=lambda: len(steps) >= 30, **settings
    )
    assert len(steps) == 30
    halves = lmgen.resume(tmp_path / "halves")

    for name, array in whole.tensors.items():
        np.testing.assert_array_equal(halves.tensors[name], array)


@pytest.mark.parametrize("precision", ["tf32", "bfloat16", "float16"])
def test_fewer_bits_learn_nearly_as_well(tmp_path: Path, precision: str) -> None:
    nats = {}
    for name in ("float32", precision):
        model = lmgen.train(
            TEXT, out=tmp_path / name, device="cuda", precision=name, **{**SMALL, "steps": 300}
        )
        nats[name] = model.training["valid_nats_per_token"]

    assert nats[precision] == pytest.approx(nats["float32"], abs=0.05)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_batches_are_normalised_in_fewer_bits(tmp_path: Path, precision: str) -> None:
    settings = {**SMALL, "device": "cuda", "normalization": "batch", "layers": 2}
    nats = {
        name: lmgen.train(TEXT, out=tmp_path / name, precision=name, **settings).training[
            "valid_nats_per_token"
        ]
        for name in ("float32", precision)
    }

    assert nats[precision] == pytest.approx(nats["float32"], abs=0.05)


@pytest.mark.parametrize(("first", "then"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_run_goes_on_elsewhere(tmp_path: Path, first: str, then: str) -> None:
    lmgen.train(TEXT, out=tmp_path / "run", device=first, **SMALL)

    model = lmgen.resume(tmp_path / "run", device=then, steps=120)

    assert model.training["steps"] == 120
    assert model.training["valid_nats_per_token"] < 1.0


def test_sampling_and_scoring_are_those_of_a_cpu(tmp_path: Path) -> None:
    model = lmgen.train(TEXT, out=tmp_path / "run", device="cuda", **SMALL)
    there = model.on_device("cuda")

    assert there.sample("the ", length=40, seed=1, temperature=0.01) == model.sample(
        "the ", length=40, seed=1, temperature=0.01
    )
    [here, *_], [found, *_] = model.perplexity(TEXT), there.perplexity(TEXT)
    assert found.nats == pytest.approx(here.nats, rel=1e-4)


def test_adapting_on_a_gpu_learns_as_on_a_cpu(tmp_path: Path) -> None:
    model = lmgen.train(TEXT, out=tmp_path / "run", device="cuda", **SMALL)

    here, found = (each.perplexity(TEXT, adapt=True) for each in (model, model.on_device("cuda")))

    assert [score.nats for score in found] == pytest.approx([score.nats for score in here], rel=1e-3)
