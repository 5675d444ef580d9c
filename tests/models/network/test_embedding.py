"""The embedding's kinds, on numpy and torch alike."""

from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lmgen.models.network.embedding import OneHot

V = 50


class LargestTensor(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the size in bytes of the largest tensor that an operation makes."""

    nbytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.nbytes = max(self.nbytes, made.nbytes)
        return made


def test_one_hot_vectors_of_numpy_and_torch_are_the_same() -> None:
    ids = np.array([[0, 3], [V - 1, 7]])
    ours, _ = OneHot(inputs=V).window({}, ids, ())
    theirs, _ = OneHot(inputs=V).window({}, torch.from_numpy(ids), ())

    np.testing.assert_array_equal(ours, np.eye(V, dtype=np.float32)[ids])
    np.testing.assert_array_equal(theirs, ours)
    assert theirs.dtype == torch.float32


def test_one_hot_vectors_are_made_in_four_bytes_a_number() -> None:
    """Not first in the eight bytes of an id, which would be three times the memory."""
    ids = torch.arange(6).view(3, 2)
    with LargestTensor() as largest:  # type: ignore[no-untyped-call]
        OneHot(inputs=V).window({}, ids, ())

    assert largest.nbytes == 6 * V * 4
