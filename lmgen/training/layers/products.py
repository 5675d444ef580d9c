"""
Matrix products of training on a CPU, by the fastest of the libraries that torch and numpy bring.

torch computes float32 products with MKL, which leaves half of an AMD processor's AVX-512 unused. oneDNN does
not, but takes about 10 µs to start, so it gets the products that take longer than that. numpy starts fastest
and mostly has one thread (process.py), so it gets the small products and, where torch has one thread too,
those that run along the whole of a window.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lmgen.arrays import FloatArray

ONEDNN_MULTIPLICATIONS = 1 << 20
"""From how many multiplications on a product goes to oneDNN; one core makes as many in some 15 µs."""

NUMPY_WEIGHT = 1 << 16
"""Weights of more numbers do not go to numpy, whose library rearranges them again for every product."""

NUMPY_MULTIPLICATIONS = 1 << 22
"""Nor do products of more multiplications than this, divided by the threads that torch has."""


def linear(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """W v + b for all v at once, differentiable: (..., I), (O, I) and (O) -> (..., O)."""
    return _Linear.apply(values, weight, bias)  # type: ignore[no-any-return, no-untyped-call]


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """`left @ right.T + bias`: (N, K), (M, K) and (M) -> (N, M). Transposed views need no copy."""
    if _suits_onednn(left, left.shape[0] * right.numel()):
        return _onednn(left, right, bias)
    return left @ right.T if bias is None else torch.addmm(bias, left, right.T)


def weight_gradient(gradients: Tensor, values: Tensor) -> Tensor:
    """`gradients.T @ values`: (N, O) and (N, I) -> (O, I)."""
    if torch.get_num_threads() == 1:
        # Numbers that are not finite are for the caller to see, as with torch.
        with np.errstate(all="ignore"):
            return torch.from_numpy(np.dot(gradients.detach().numpy().T, values.detach().numpy()))
    return product(values.T, gradients.T).T.contiguous()


def repeated_product(weight: Tensor, rows: int) -> Callable[[FloatArray], FloatArray]:
    """
    `values @ weight.T` as a function of the values. What it returns holds until it is called again.

    Args:
        weight: (O, I). It is copied here where need be, into the order in which products read it fastest.
        rows: of the values, which are (rows, I).
    """
    multiplications = rows * weight.numel()
    if weight.numel() <= NUMPY_WEIGHT and multiplications * torch.get_num_threads() <= NUMPY_MULTIPLICATIONS:
        transposed = np.ascontiguousarray(weight.detach().numpy().T)
        result = np.empty((rows, len(weight)), transposed.dtype)
        return lambda values: np.dot(values, transposed, result)
    if _suits_onednn(weight, multiplications):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        return lambda values: _onednn(torch.from_numpy(values), packed).numpy()
    turned = weight.T.contiguous()
    return lambda values: torch.mm(torch.from_numpy(values), turned).numpy()


class _Linear(torch.autograd.Function):
    """`linear`, with the products of this file in both directions."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(values, weight)
        return product(_rows(values), weight, bias).view(*values.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        values, weight = ctx.saved_tensors
        rows = _rows(gradient)
        grad_values = product(rows, weight.T).view(values.shape) if ctx.needs_input_grad[0] else None
        return grad_values, weight_gradient(rows, _rows(values)), rows.sum(0)


def _rows(array: Tensor) -> Tensor:
    """(..., I) -> (N, I)."""
    return array.reshape(-1, array.shape[-1])


def _suits_onednn(matrix: Tensor, multiplications: int) -> bool:
    return (
        multiplications >= ONEDNN_MULTIPLICATIONS
        and matrix.dtype == torch.float32
        and matrix.device.type == "cpu"
        and _HAS_ONEDNN
    )


def _onednn(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise.default(left, right, bias, "none", [], "")  # type: ignore[no-any-return]


# The two operators are those that torch's own compiler calls; where they are missing, MKL does everything.
# Without AVX-512 oneDNN has nothing that MKL lacks.
_HAS_ONEDNN = (
    torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
)
