"""Products come out the same, whichever library makes them."""

import pytest
import torch

from lmgen.training.layers import products
from lmgen.training.layers.products import linear, product, repeated_product, single_product, weight_gradient

EITHER_LIBRARY = pytest.mark.parametrize("multiplications", [0, 1 << 60])


@EITHER_LIBRARY
def test_product_is_left_times_right_transposed(
    multiplications: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With operands as they are, and as transposed views."""
    monkeypatch.setattr(products, "ONEDNN_MULTIPLICATIONS", multiplications)
    left, right, bias = torch.randn(5, 70), torch.randn(33, 70), torch.randn(33)
    expected = (left.double() @ right.double().T).float()
    turned = left.T.contiguous().T, right.T.contiguous().T
    torch.testing.assert_close(product(left, right), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(product(*turned), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(product(left, right, bias), expected + bias, atol=1e-4, rtol=1e-4)


@EITHER_LIBRARY
@pytest.mark.parametrize("numpy_weight", [0, 1 << 60])
def test_repeated_product_multiplies_by_the_same_weight(
    multiplications: int, numpy_weight: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "ONEDNN_MULTIPLICATIONS", multiplications)
    monkeypatch.setattr(products, "NUMPY_WEIGHT", numpy_weight)
    weight = torch.randn(70, 33)
    for matrix in (weight, weight.T):
        multiply = repeated_product(matrix, 5)
        for _ in range(3):
            values = torch.randn(5, matrix.shape[1])
            found = torch.from_numpy(multiply(values.numpy()))
            torch.testing.assert_close(found, values @ matrix.T, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("numbers", [1, 33 * 20, 1 << 20])
def test_single_product_multiplies_one_row_by_the_same_weight_in_either_direction(
    threads: int, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "BLOCK_NUMBERS", numbers)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    weight = torch.randn(70, 33)
    for matrix in (weight, weight.T, weight[::2]):
        multiply = single_product(matrix)
        values = torch.randn(1, matrix.shape[1])
        found = [torch.from_numpy(multiply(values.numpy()).copy()) for _ in range(3)]
        torch.testing.assert_close(found[0], values @ matrix.T, atol=1e-4, rtol=1e-4)
        assert torch.equal(found[0], found[1])
        assert torch.equal(found[0], found[2])


@EITHER_LIBRARY
@pytest.mark.parametrize("threads", [1, 2])
def test_weight_gradient_is_gradients_transposed_times_values(
    multiplications: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "ONEDNN_MULTIPLICATIONS", multiplications)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    gradients, values = torch.randn(40, 7), torch.randn(40, 9)
    found = weight_gradient(gradients, values)

    assert found.is_contiguous()
    torch.testing.assert_close(found, gradients.T @ values, atol=1e-4, rtol=1e-4)


@EITHER_LIBRARY
def test_linear_has_the_gradients_of_a_linear_layer(
    multiplications: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "ONEDNN_MULTIPLICATIONS", multiplications)
    values, weight, bias = (torch.randn(shape, requires_grad=True) for shape in ((3, 4, 20), (30, 20), (30,)))
    ours, theirs = linear(values, weight, bias), values @ weight.T + bias
    upstream = torch.randn(3, 4, 30)

    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    for mine, right in zip(
        torch.autograd.grad(ours, (values, weight, bias), upstream),
        torch.autograd.grad(theirs, (values, weight, bias), upstream),
        strict=True,
    ):
        assert mine.is_contiguous()
        torch.testing.assert_close(mine, right, atol=1e-4, rtol=1e-4)


def test_double_precision_stays_double() -> None:
    left, right = torch.randn(200, 200, dtype=torch.float64), torch.randn(200, 200, dtype=torch.float64)
    torch.testing.assert_close(product(left, right), left @ right.T, atol=1e-12, rtol=1e-12)
    repeated = torch.from_numpy(repeated_product(right, 200)(left.numpy()))
    torch.testing.assert_close(repeated, left @ right.T, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(weight_gradient(left, right), left.T @ right, atol=1e-12, rtol=1e-12)
