"""A trained network in use with torch, as on a GPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lmgen
from lmgen.errors import ConfigError, ModelError
from lmgen.text_model import TextModel
from lmgen.training import using
from tests import process

TEXT = "the cat sat on the mat and the dog lay on the log\n" * 40


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("using") / "run"
    lmgen.train(TEXT, out=folder, hidden_size=12, steps=30, batch_size=4, window_length=16)
    return folder


@pytest.fixture
def on_torch(run: Path, monkeypatch: pytest.MonkeyPatch) -> TextModel:
    """The run's model as on a GPU, which torch's CPU plays here."""
    monkeypatch.setattr(using, "open_device", lambda _: torch.device("cpu"))
    return lmgen.load(run).on_device("cuda")


def test_it_scores_as_without_torch(run: Path, on_torch: TextModel) -> None:
    here = lmgen.load(run).perplexity(TEXT, mix=True)
    there = on_torch.perplexity(TEXT, mix=True)

    assert [score.model for score in there] == [score.model for score in here]
    assert [score.nats for score in there] == pytest.approx([score.nats for score in here], rel=1e-5)


def test_it_writes_the_same_text(run: Path, on_torch: TextModel) -> None:
    settings: dict[str, Any] = {"length": 60, "temperature": 0.01, "seed": 1}

    assert on_torch.sample("the ", **settings) == lmgen.load(run).sample("the ", **settings)
    assert on_torch.sample("the ", num=3, **settings) == lmgen.load(run).sample("the ", num=3, **settings)


def test_it_learns_there_from_what_it_reads(
    run: Path, on_torch: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lmgen.training import adapting

    devices = []
    made = adapting.AdaptingNetwork.__init__

    def noted(self: object, model: object, config: object, device: str, on_note: object) -> None:
        devices.append(device)
        made(self, model, config, "cpu", on_note)  # type: ignore[arg-type]

    monkeypatch.setattr(adapting.AdaptingNetwork, "__init__", noted)
    here = lmgen.load(run).perplexity(TEXT, adapt=True)
    there = on_torch.perplexity(TEXT, adapt=True)

    assert [score.nats for score in there] == pytest.approx([score.nats for score in here], rel=1e-4)
    assert set(devices) == {"cpu", "cuda"}
    assert "cuda" in devices


def test_its_network_is_the_same(run: Path, on_torch: TextModel) -> None:
    for name, array in lmgen.load(run).tensors.items():
        np.testing.assert_array_equal(on_torch.tensors[name], array)


def test_on_a_cpu_it_is_the_model_itself(run: Path, on_torch: TextModel) -> None:
    model = lmgen.load(run)

    assert model.on_device("cpu") is model
    assert type(on_torch.on_device("cpu").model) is type(model.model)
    assert on_torch.on_device("cpu").device == on_torch.with_tensors({}).device == "cpu"


def test_other_devices_are_refused(run: Path) -> None:
    with pytest.raises(ConfigError, match="device is 'tpu', but has to be one of cpu, cuda"):
        lmgen.load(run).on_device("tpu")


def test_only_networks_compute_on_a_gpu(run: Path) -> None:
    with pytest.raises(ModelError, match="ngram-7 is not a network, and only networks compute on a GPU"):
        lmgen.load(run / "ngram.safetensors").on_device("cuda")


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("command", ["sample", "perplexity"])
def test_without_a_gpu_the_command_says_so(run: Path, command: str) -> None:
    result = process.lmgen(command, str(run), "--device", "cuda", cwd=run.parent)

    assert result.returncode == 2
    assert result.stderr == (
        "error: torch finds no GPU here; use --device cpu, or install a torch that supports yours\n"
    )
