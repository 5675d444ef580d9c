"""Products come out the same, whichever library makes them."""

import pytest
import torch

from lmgen.training import products
from lmgen.training.products import linear, product, repeated_product

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
def test_repeated_product_multiplies_by_the_same_weight(
    multiplications: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "ONEDNN_MULTIPLICATIONS", multiplications)
    weight = torch.randn(70, 33)
    for matrix in (weight, weight.T):
        multiply = repeated_product(matrix, 5)
        for _ in range(3):
            values = torch.randn(5, matrix.shape[1])
            torch.testing.assert_close(multiply(values), values @ matrix.T, atol=1e-4, rtol=1e-4)


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
    torch.testing.assert_close(repeated_product(right, 200)(left), left @ right.T, atol=1e-12, rtol=1e-12)
