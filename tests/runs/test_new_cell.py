"""A cell is a function and an entry: nothing else has to know it for it to train, sample and resume."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import lmgen
from lmgen.data.run_folder import RunFolder
from lmgen.models.network.cells import CELLS, Cell, CellState, Matrix, Multiply, Vectors, blocks
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.functions import Array, sigmoid, tanh
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.runs import run
from lmgen.runs.events import Finished, Interrupted
from lmgen.training.layers import run_recurrent
from lmgen.training.network import Network, TorchLanguageModel
from tests.runs.test_run import TINY, config, metrics, stop_after, text

pytestmark = pytest.mark.slow

__all__ = ["text"]  # a fixture


def published_gru(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:
    """Cho et al. 2014, equations 5 to 8: the candidate multiplies what the reset gate leaves of h."""
    (h,) = state
    x_r, x_z, x_n = blocks(x, 3)
    r, z = blocks(multiply("weight_gates", h), 2)
    n = tanh(x_n + multiply("weight_candidate", sigmoid(x_r + r) * h))
    z = sigmoid(x_z + z)
    return (z * h + (1 - z) * n,)


def minimal(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:
    """A gated unit whose gates see only the input."""
    f, n = blocks(x, 2)
    return (state[0] + sigmoid(f) * (tanh(n) - state[0]),)


def absolute(x: Array, state: CellState, multiply: Multiply, vectors: Vectors) -> CellState:
    """With a function that has no formula."""
    return (tanh(abs(x) - multiply("weight_recurrent", state[0])),)


NEW_CELLS = {
    "absolute": Cell(step=absolute, gates=("hidden",), states=("h",)),
    "published": Cell(
        step=published_gru,
        gates=("reset", "update", "candidate"),
        states=("h",),
        matrices={"weight_gates": Matrix(2), "weight_candidate": Matrix()},
    ),
    "minimal": Cell(step=minimal, gates=("forget", "candidate"), states=("h",), matrices={}),
}


@pytest.fixture(params=NEW_CELLS)
def cell(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cell:
    monkeypatch.setitem(CELLS, "mine", NEW_CELLS[request.param])
    return CELLS["mine"]


def test_it_trains_and_samples(cell: Cell, text: Path, tmp_path: Path) -> None:
    settings = {**TINY, "cell": "mine", "layers": 2, "steps": 120, "learning_rate": 0.01}
    model = lmgen.train(text, out=tmp_path / "run", **settings)

    losses = [line["valid_nats_per_token"] for line in metrics(tmp_path / "run")]
    assert losses[-1] < losses[0] - 0.1
    assert len(model.sample("ein ", length=20, seed=1)) >= 20


def test_it_resumes_as_if_it_had_not_stopped(cell: Cell, text: Path, tmp_path: Path) -> None:
    settings = {"cell": "mine", "layers": 2, "weight_drop": 0.2}
    list(run.train(config(text, **settings), tmp_path / "whole"))
    *_, stopped = run.train(config(text, **settings), tmp_path / "cut", should_stop=stop_after(8))
    *_, finished = run.resume(tmp_path / "cut")

    assert isinstance(stopped, Interrupted)
    assert isinstance(finished, Finished)
    whole, cut = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")
    assert cut.model.read_bytes() == whole.model.read_bytes()


def test_torch_and_numpy_agree(cell: Cell) -> None:
    shape = NetworkConfig(cell="mine", layers=2, hidden_size=7, embedding_size=5)
    parameters = initial_parameters(shape, 11, None, seed=0)
    ids = np.random.default_rng(1).integers(0, 11, (20, 3))
    in_numpy = RecurrentModel(shape, 11, 0, parameters)
    in_torch = TorchLanguageModel(Network(shape, 11, parameters), 0)

    ours, _ = in_numpy.score(in_numpy.start(3), ids)
    theirs, _ = in_torch.score(in_torch.start(3), ids)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_its_gradients_are_right(cell: Cell) -> None:
    shape = NetworkConfig(cell="mine", hidden_size=3, embedding_size=2)
    drawn = initial_parameters(shape, 5, None, seed=0)
    named = {
        name.removeprefix("layers.0."): torch.from_numpy(array).double().requires_grad_()
        for name, array in drawn.items()
        if name.startswith("layers.0.")
    }
    values, state = (
        torch.randn(size, dtype=torch.float64, requires_grad=True) for size in ((4, 2, 2), (2, 3))
    )

    def layer(values: Tensor, state: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        hidden, last = run_recurrent(cell, dict(zip(named, parameters, strict=True)), values, (state,))
        return hidden, *last

    assert torch.autograd.gradcheck(layer, (values, state, *named.values()))
