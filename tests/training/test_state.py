"""The training state: snapshots are complete, independent, and refused where they do not fit."""

from typing import Any

import numpy as np
import pytest
import torch

from lmgen.training.config import OPTIMIZER_NAMES
from lmgen.training.state import Snapshot
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
