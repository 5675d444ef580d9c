"""The fast way to the contexts of attention computes what the layer says."""

import pytest
import torch

from lmgen.models.network.attention import contexts
from lmgen.training.layers.attention import banded_contexts


@pytest.mark.parametrize(("reach", "steps"), [(1, 1), (1, 6), (3, 6), (9, 2), (5, 5)])
def test_banded_products_are_the_sums_of_states_times_their_shares(reach: int, steps: int) -> None:
    torch.manual_seed(0)
    shares = torch.rand(reach, steps, 2, dtype=torch.float64, requires_grad=True)
    seen = torch.randn(reach + steps, 2, 4, dtype=torch.float64, requires_grad=True)
    ours, theirs = banded_contexts(shares, seen), contexts(shares, seen)
    weights = torch.randn_like(theirs)

    torch.testing.assert_close(ours, theirs)
    for found, expected in zip(
        torch.autograd.grad((ours * weights).sum(), (shares, seen)),
        torch.autograd.grad((theirs * weights).sum(), (shares, seen)),
        strict=True,
    ):
        torch.testing.assert_close(found, expected)
