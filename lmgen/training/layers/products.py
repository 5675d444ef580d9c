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

Product = Callable[[FloatArray], FloatArray]
"""Values, (B, I) -> their products with a matrix, (B, O)."""

ONEDNN_MULTIPLICATIONS = 1 << 20
"""From how many multiplications on a product goes to oneDNN; one core makes as many in some 15 µs."""

NUMPY_WEIGHT = 1 << 16
"""Weights of more numbers do not go to numpy, whose library rearranges them again for every product."""

NUMPY_MULTIPLICATIONS = 1 << 22
"""Nor do products of more multiplications than this, divided by the threads that torch has."""

BLOCK_NUMBERS = 1 << 18
"""Numbers of a weight that a product with one row of values reads at once: a fraction of a core's cache."""


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


def repeated_product(weight: Tensor, rows: int) -> Product:
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


def single_product(weight: Tensor) -> Product:
    """
    `values @ weight.T` as a function of a single row, (1, I). What it returns holds until it is called again.

    All its time goes into reading the weight, step after step. What is read from beginning to end, and does
    not fit in a core's cache, has left the cache by the time it is read again. So the weight is read in
    blocks, and each product begins with the block that the last one ended with.

    Args:
        weight: (O, I), or a transposed view of such a matrix, which is not copied.
    """
    is_turned = not weight.is_contiguous()
    weight = weight.detach()
    length = weight.shape[1 if is_turned else 0]
    size = max(1, BLOCK_NUMBERS * length // weight.numel())
    places = [slice(first, first + size) for first in range(0, length, size)]
    if is_turned:  # one sum of a block of columns each
        results = weight.new_empty(len(places), len(weight))
        parts = [(weight[:, place], place, result) for place, result in zip(places, results, strict=True)]
    else:
        results = weight.new_empty(1, len(weight))
        parts = [(weight[place], slice(None), results[0, place]) for place in places]
    return _alternating(parts, results)


def _alternating(parts: list[tuple[Tensor, slice, Tensor]], results: Tensor) -> Product:
    """
    Products of blocks of a matrix, in turns from the first to the last and back.

    Args:
        parts: each block, the part of the row that it is multiplied by, and where the product is put.
        results: made of those places, (N, O); the product is the sum of these rows.
    """
    found = results.numpy()
    total = found if len(found) == 1 else np.empty_like(found[:1])

    def multiply(values: FloatArray) -> FloatArray:
        row = values[0]
        if arrays:
            for block, place, result in arrays:
                np.dot(block, row[place], result)
            arrays.reverse()
        else:
            given = torch.from_numpy(row)
            for matrix, place, product in parts:
                torch.mv(matrix, given[place], out=product)
            parts.reverse()
        return total if total is found else found.sum(axis=0, keepdims=True, out=total)

    # With one thread numpy's library starts faster, with several they should be torch's, as all others are.
    one_thread = torch.get_num_threads() == 1
    arrays = [(block.numpy(), place, out.numpy()) for block, place, out in parts] if one_thread else []
    return multiply


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
