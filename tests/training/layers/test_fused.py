"""torch's fused kernels compute their cells' equations, and are called as cuDNN wants to be."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lmgen.models.network.cells import CELLS, Cell
from lmgen.training.layers import fused
from lmgen.training.layers.fused import FUSED, joined
from tests.training.layers.test_layers import by_equations, example, results

FUSED_CELLS = {name: cell for name, cell in CELLS.items() if cell.step in FUSED}
EACH = pytest.mark.parametrize("cell", FUSED_CELLS.values(), ids=FUSED_CELLS)
KERNELS = {"lstm": "lstm", "gru": "gru", "rnn": "rnn_tanh", "rnn-relu": "rnn_relu"}


@EACH
@pytest.mark.parametrize("for_cudnn", [False, True])
def test_a_kernel_computes_its_cells_equations(
    cell: Cell, for_cudnn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "_is_for_cudnn", lambda values: for_cudnn)
    inputs = example(cell, (6, 3, 4, 5))
    ours = results(lambda cell, *rest: FUSED[cell.step](*rest), cell, inputs)

    torch.testing.assert_close(ours, results(by_equations, cell, inputs), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_told_whether_gradients_are_wanted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backward pass of cuDNN fails after a forward pass that was not for training."""
    kernel, told = getattr(torch, KERNELS[name]), []

    def recorded(*arguments: Any) -> Any:
        _, _, weights, biases, layers, dropout, train, bidirectional, batch_first = arguments
        assert (len(weights), biases, layers, dropout) == (4, True, 1, 0.0)
        assert (bidirectional, batch_first) == (False, False)
        told.append(train)
        return kernel(*arguments)

    monkeypatch.setattr(torch, KERNELS[name], recorded)
    run, (parameters, values, state) = FUSED[CELLS[name].step], example(CELLS[name], (2, 3, 4, 5))
    run(parameters, values, state)
    fixed = {key: parameter.detach() for key, parameter in parameters.items()}
    run(fixed, values, tuple(part.detach() for part in state))
    run(fixed, values.detach(), tuple(part.detach() for part in state))
    with torch.no_grad():
        run(parameters, values, state)
    with torch.inference_mode():
        run(parameters, values, state)

    assert told == [True, True, False, False, False]


def test_cudnn_is_given_its_weights_in_one_piece_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order in which it finds them: matrices, then biases, from the beginning of a storage."""
    given: list[Tensor] = []

    def recorded(values: Tensor, state: Tensor, weights: list[Tensor], *settings: Any) -> Any:
        given.extend(weights)
        return kernel(values, state, weights, *settings)

    kernel = torch.gru
    monkeypatch.setattr(torch, "gru", recorded)
    monkeypatch.setattr(fused, "_is_for_cudnn", lambda values: True)
    FUSED[CELLS["gru"].step](*example(CELLS["gru"], (2, 3, 4, 5)))

    assert [tuple(weight.shape) for weight in given] == [(15, 4), (15, 5), (15,), (15,)]
    assert {weight.untyped_storage().data_ptr() for weight in given} == {given[0].data_ptr()}
    assert [weight.storage_offset() for weight in given] == [0, 60, 135, 150]
    assert given[0].untyped_storage().nbytes() == 165 * given[0].element_size()
    assert all(weight.is_contiguous() for weight in given)


def test_joined_weights_pass_their_gradients_on() -> None:
    weights = [torch.randn(shape, requires_grad=True) for shape in ((3, 2), (4,))]
    parts = joined(weights)
    (parts[0].sum() + (parts[1] ** 2).sum()).backward()  # type: ignore[no-untyped-call]

    assert weights[0].grad is not None
    assert weights[1].grad is not None
    torch.testing.assert_close(weights[0].grad, torch.ones(3, 2))
    torch.testing.assert_close(weights[1].grad, 2 * weights[1].detach())
