"""The training state: snapshots are complete, independent, and refused where they do not fit."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from lmgen.data.run_folder import RunFolder
from lmgen.training.checkpoints import load_checkpoint, save_checkpoint
from lmgen.training.config import OPTIMIZER_NAMES
from lmgen.training.network import Network
from lmgen.training.state import Snapshot, TrainingState, random_states, restore_random_states
from tests.training.test_loop import trainer

LONG: dict[str, Any] = {"streams": 4, "epochs": 99.0, "dropout": 0.5}


@pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
def test_going_on_from_a_snapshot_again_and_again_gives_the_same(optimizer: str) -> None:
    """A snapshot of before the first update, without any moments, and one of later."""
    for updates in (0, 5):
        training = trainer(optimizer=optimizer, **LONG)
        for _, _ in zip(range(updates), training.run(), strict=False):
            pass
        kept = training.state.copy()
        results = []
        for _ in range(3):
            training.state.restore(kept)
            for _, _ in zip(range(6), training.run(), strict=False):
                pass
            results.append((training.state.network.arrays(), training.state.position.nats))

        assert results[0][1] == results[1][1] == results[2][1]
        for name, array in results[0][0].items():
            assert np.array_equal(array, results[2][0][name])


def test_a_snapshot_of_another_network_is_refused() -> None:
    training = trainer(**LONG)
    next(training.run())
    kept = training.state.copy()
    names = sorted(name for name in kept.tensors if name.startswith("optimizer.0."))
    wrong = {name: torch.zeros(3) if name == names[0] else tensor for name, tensor in kept.tensors.items()}

    with pytest.raises(ValueError, match=r"of parameter 0 has shape \(3,\)"):
        training.state.restore(Snapshot(kept.position, wrong))


class FakeGpu:
    """The generator of a GPU, where there is none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = torch.arange(16, dtype=torch.uint8)
        self.seed: int | None = None
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: self.state)
        monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state: setattr(self, "state", state))
        monkeypatch.setattr(torch.cuda, "manual_seed", lambda seed: setattr(self, "seed", seed))


class TestDevices:
    CPU, CUDA = torch.device("cpu"), torch.device("cuda")

    def test_a_network_on_a_gpu_restores_both_generators(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gpu = FakeGpu(monkeypatch)
        kept = {name: state.clone() for name, state in random_states(self.CUDA).items()}
        gpu.state = torch.zeros(16, dtype=torch.uint8)
        torch.rand(3)
        restore_random_states(kept, self.CUDA)

        assert torch.equal(gpu.state, torch.arange(16, dtype=torch.uint8))
        assert torch.equal(torch.get_rng_state(), kept["random.cpu"])
        assert gpu.seed is None

    def test_a_network_on_a_cpu_has_no_state_of_a_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        FakeGpu(monkeypatch)

        assert list(random_states(self.CPU)) == ["random.cpu"]
        assert "random.cuda" not in trainer(**LONG).state.copy().tensors

    def test_from_a_gpu_to_a_cpu(self) -> None:
        kept = {**random_states(self.CPU), "random.cuda": torch.arange(16, dtype=torch.uint8)}
        torch.rand(3)
        restore_random_states(kept, self.CPU)

        assert torch.equal(torch.get_rng_state(), kept["random.cpu"])

    def test_from_a_cpu_to_a_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its generator is seeded: differently for other states of the CPU's, equally for the same."""
        kept = random_states(self.CPU)
        gpu, seeds = FakeGpu(monkeypatch), []
        for states in (kept, kept, None):
            torch.rand(3)
            restore_random_states(states or random_states(self.CPU), self.CUDA)
            seeds.append(gpu.seed)

        assert seeds[0] == seeds[1] is not None
        assert seeds[2] != seeds[0]

    @pytest.mark.parametrize("devices", ["cpu cuda", "cuda cpu", "cuda cuda"])
    def test_a_checkpoint_resumes_on_another_device(
        self, devices: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only the generators are faked: weights, moments and carried state are those of the CPU."""
        run = RunFolder(tmp_path)
        run.last.parent.mkdir()
        FakeGpu(monkeypatch)
        before, after = map(torch.device, devices.split())
        training = trainer(**LONG)
        for _, _ in zip(range(3), training.run(), strict=False):
            pass
        with monkeypatch.context() as patch:
            patch.setattr(TrainingState, "device", before)
            save_checkpoint(run, training.state, {})
        resumed = trainer(**LONG)
        with monkeypatch.context() as patch:
            patch.setattr(TrainingState, "device", after)
            load_checkpoint(run, resumed.state, print)

        ours, theirs = training.state.tensors(), resumed.state.tensors()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


class Remembering(nn.Module):
    """A network with a layer that remembers vectors, one that remembers nothing, and one with a memory."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def initial_state(self, streams: int) -> tuple[tuple[torch.Tensor, ...], ...]:
        return (torch.zeros(streams, 2), torch.zeros(streams, 3)), (), (torch.zeros(streams, 5, 2),)


def test_layers_may_remember_anything_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Remembering()
    state = TrainingState(cast(Network, network), torch.optim.SGD(network.parameters()), streams=2)
    state.carried = tuple(tuple(part + 1 for part in layer) for layer in state.carried)
    kept = state.copy()
    state.begin_epoch()
    state.restore(kept)

    names = [name for name in kept.tensors if name.startswith("carried.")]
    assert names == ["carried.0.0", "carried.0.1", "carried.2.0"]
    assert all(part.all() for layer in state.carried for part in layer)
    for part in (part for layer in state.starting_state(np.array([True, False])) for part in layer):
        assert not part[0].any()
        assert part[1].all()
