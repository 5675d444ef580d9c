"""Adagrad for embedding and output, AdamW for the layers, and gradients that hold a few rows."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from lmgen.training.optimization.optimizers import SHARE
from lmgen.training.optimization.rows import ADAGRAD, AdamWAdagrad


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The Adagrad of torch asks whoever uses it to say whether sparse tensors are to be checked."""
    with torch.sparse.check_sparse_tensor_invariants(False):  # type: ignore[no-untyped-call]
        yield


def parameters(seed: int = 0) -> tuple[nn.Parameter, nn.Parameter]:
    """A layer's, (3, 2), and a table of tokens', (10, 3)."""
    torch.manual_seed(seed)
    return nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(10, 3))


def optimizer_of(layer: nn.Parameter, table: nn.Parameter) -> AdamWAdagrad:
    """AdamW at 0.01 for the layer, Adagrad at 0.2 for the table."""
    rows: dict[str, Any] = {"params": [table], "lr": 0.2, SHARE: 20.0, ADAGRAD: True}
    return AdamWAdagrad([{"params": [layer]}, rows], lr=0.01, weight_decay=0.1)


def lose(layer: nn.Parameter, table: nn.Parameter, ids: list[int], *, sparse: bool) -> None:
    """Leave gradients of a loss that looks at some rows of the table, some of them twice."""
    rows = functional.embedding(torch.tensor(ids), table, sparse=sparse)
    more = functional.embedding(torch.tensor(ids[:1]), table, sparse=sparse)
    loss = (rows @ layer).tanh().sum() + (more**2).sum()
    loss.backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("sparse", [False, True])
def test_it_is_torchs_adamw_and_torchs_adagrad(sparse: bool) -> None:
    """Step by step the same, whichever rows a step uses."""
    ours, theirs = parameters(), parameters()
    optimizer = optimizer_of(*ours)
    expected = [
        torch.optim.AdamW(theirs[:1], lr=0.01, weight_decay=0.1),
        torch.optim.Adagrad(theirs[1:], lr=0.2),
    ]
    for ids in ([1, 2, 1], [5], [1, 9, 9, 0], [2]):
        optimizer.zero_grad()
        lose(*ours, ids, sparse=sparse)
        optimizer.step()
        for each in expected:
            each.zero_grad()
        lose(*theirs, ids, sparse=False)
        for each in expected:
            each.step()

        for found, wanted in zip(ours, theirs, strict=True):
            torch.testing.assert_close(found, wanted)


def test_rows_that_are_not_used_stay_as_they_are() -> None:
    layer, table = parameters()
    before = table.detach().clone()
    optimizer = optimizer_of(layer, table)
    lose(layer, table, [4, 7], sparse=True)
    optimizer.step()

    changed = (table != before).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [4, 7]


def test_the_learning_rate_of_the_tokens_follows_that_of_the_layers() -> None:
    moved = []
    for share in (1.0, 0.5):
        layer, table = parameters()
        before = table.detach().clone()
        optimizer = optimizer_of(layer, table)
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * share * group.get(SHARE, 1.0)
        lose(layer, table, [4], sparse=True)
        optimizer.step()
        moved.append((table.detach() - before).abs().max().item())

    assert moved == pytest.approx([0.2, 0.1], rel=1e-5)  # Adagrad's first step is its learning rate


def test_a_saved_state_goes_on_as_it_would_have() -> None:
    first, second = parameters(), parameters()
    one = optimizer_of(*first)
    lose(*first, [1, 2], sparse=True)
    one.step()
    with torch.no_grad():
        for theirs, ours in zip(second, first, strict=True):
            theirs.copy_(ours)
    two = optimizer_of(*second)
    two.load_state_dict(deepcopy(one.state_dict()))
    for optimizer, pair in ((one, first), (two, second)):
        optimizer.zero_grad()
        lose(*pair, [2, 3], sparse=True)
        optimizer.step()

    assert all(torch.equal(ours, theirs) for ours, theirs in zip(first, second, strict=True))


def test_a_parameter_without_a_gradient_is_left_alone() -> None:
    layer, table = parameters()
    before = [each.detach().clone() for each in (layer, table)]
    optimizer = optimizer_of(layer, table)
    optimizer.step()

    assert all(torch.equal(now, then) for now, then in zip((layer, table), before, strict=True))
