"""Gradients, sparse ones too, are clipped to a joint norm."""

import pytest
import torch
from torch import nn

from lmgen.training.optimization.clipping import clip_gradients
from tests.training.optimization.test_rows import lose, parameters


@pytest.mark.parametrize("limit", [1e-3, 1.0, 1e9, float("inf")])
def test_sparse_gradients_are_clipped_as_whole_ones(limit: float) -> None:
    """A row that was used twice counts once, with the sum of its two gradients."""
    whole, sparse = parameters(), parameters()
    lose(*whole, [1, 2, 1, 7], sparse=False)
    lose(*sparse, [1, 2, 1, 7], sparse=True)
    expected = nn.utils.clip_grad_norm_(whole, limit)
    norm = clip_gradients(sparse, limit)

    torch.testing.assert_close(norm, expected)
    for wanted, found in zip(whole, sparse, strict=True):
        assert wanted.grad is not None
        assert found.grad is not None
        torch.testing.assert_close(found.grad.to_dense(), wanted.grad)


@pytest.mark.parametrize("limit", [1e-3, 0.5, float("inf")])
@pytest.mark.parametrize("largest", [1e-4, 0.01, 1e9])
def test_each_number_is_cut_before_the_norm(limit: float, largest: float) -> None:
    whole, sparse = parameters(), parameters()
    lose(*whole, [1, 2, 1, 7], sparse=False)
    lose(*sparse, [1, 2, 1, 7], sparse=True)
    before = nn.utils.clip_grad_norm_(whole, float("inf"))
    nn.utils.clip_grad_value_(whole, largest)
    nn.utils.clip_grad_norm_(whole, limit)

    torch.testing.assert_close(clip_gradients(sparse, limit, largest), before)
    for wanted, found in zip(whole, sparse, strict=True):
        assert wanted.grad is not None
        assert found.grad is not None
        torch.testing.assert_close(found.grad.to_dense(), wanted.grad)
