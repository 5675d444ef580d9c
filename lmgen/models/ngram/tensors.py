"""
The tables of an n-gram model packed into small tensors for a file; and read back from untrusted ones.

For each n-gram the file stores only the last token. Its context follows from the number of n-grams that
begin with each row of the table below. For n = 1 .. N, with R rows of order n:

    order.n.log_probs   float32, (R,)
    order.n.last_ids    unsigned, (R,); not for n = 1, whose rows are the ids themselves and `<s>`
    order.n.followers   unsigned, (R,): how many n-grams of order n + 1 begin with each; not for n = N
    order.n.backoffs    float32, (R,); not for n = N
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from lmgen.arrays import Float32Array, Int64Array, Tensors
from lmgen.errors import ModelError
from lmgen.models.ngram.packed_table import LARGEST, AnyTable, Begun, PackedTable
from lmgen.models.ngram.table import NgramTable

UNSIGNED = (np.uint8, np.uint16, np.uint32)
FLOAT32 = (np.float32,)

LARGE_BYTES = 1 << 28
"""Tables of so many bytes are used as the file has them, in place, instead of being read and made faster."""


def pack_tables(tables: Sequence[AnyTable]) -> dict[str, npt.NDArray[Any]]:
    """The tables of orders 1 .. N as tensors."""
    tensors: dict[str, npt.NDArray[Any]] = {"order.1.log_probs": tables[0].log_probs}
    for n, (lower, table) in enumerate(pairwise(tables), start=1):
        if isinstance(table, PackedTable):
            tensors[f"order.{n}.backoffs"] = lower.backoffs[: len(lower)]
            tensors[f"order.{n}.followers"] = table.begun.followers
            tensors[f"order.{n + 1}.last_ids"] = table.last_ids
            tensors[f"order.{n + 1}.log_probs"] = table.log_probs
            continue
        contexts, last_ids = np.divmod(table.keys, table.vocabulary_size)
        followers = np.bincount(contexts, minlength=len(lower))
        tensors[f"order.{n}.backoffs"] = lower.backoffs[:-1]
        tensors[f"order.{n}.followers"] = followers.astype(np.min_scalar_type(followers.max(initial=0)))
        tensors[f"order.{n + 1}.last_ids"] = last_ids.astype(np.min_scalar_type(table.vocabulary_size - 1))
        tensors[f"order.{n + 1}.log_probs"] = table.log_probs
    return tensors


def unpack_tables(tensors: Tensors, order: int, vocabulary_size: int) -> tuple[AnyTable, ...]:
    """
    The tables of orders 1 .. `order` from tensors; large ones stay as they are, and may be mapped.

    Raises:
        ModelError: a tensor is missing, has another type or shape, or holds impossible values. The values of
            large ones are looked at when they are used.
    """
    if sum(tensor.nbytes for tensor in tensors.values()) >= LARGE_BYTES:
        return _packed_tables(tensors, order, vocabulary_size)
    _tensor(tensors, "order.1.log_probs", FLOAT32, vocabulary_size + 1)  # checked before V is allocated
    keys = np.arange(vocabulary_size + 1)
    tables = []
    for n in range(1, order + 1):
        log_probs = _log_probs(tensors, n, len(keys))
        if n == order:
            tables.append(NgramTable(vocabulary_size, keys, log_probs, np.empty(0, np.float32)))
        else:
            backoffs = _logarithms(tensors, f"order.{n}.backoffs", len(keys))
            tables.append(NgramTable(vocabulary_size, keys, log_probs, np.append(backoffs, np.float32(0))))
            keys = _longer_keys(tensors, n, len(keys), vocabulary_size)
    return tuple(tables)


def _packed_tables(tensors: Tensors, order: int, vocabulary_size: int) -> tuple[PackedTable, ...]:
    """The tables as they are in the file; only their sizes are checked, and the n-grams of order 1."""
    rows = vocabulary_size + 1
    log_probs = _log_probs(tensors, 1, rows)
    last_ids, begun = np.empty(0, np.uint8), Begun(np.empty(0, np.uint8))
    tables = []
    for n in range(1, order + 1):
        backoffs = np.empty(0, np.float32)
        if n < order:
            backoffs = _tensor(tensors, f"order.{n}.backoffs", FLOAT32, rows)
        tables.append(PackedTable(vocabulary_size, log_probs, backoffs, last_ids, begun))
        if n < order:
            begun = Begun(_tensor(tensors, f"order.{n}.followers", UNSIGNED, rows))
            rows = begun.total
            last_ids = _tensor(tensors, f"order.{n + 1}.last_ids", UNSIGNED, rows)
            log_probs = _tensor(tensors, f"order.{n + 1}.log_probs", FLOAT32, rows)
    return tuple(tables)


def _longer_keys(tensors: Tensors, n: int, rows: int, vocabulary_size: int) -> Int64Array:
    """The keys of the n-grams of order n + 1; `rows` is the number of n-grams of order n."""
    followers = _tensor(tensors, f"order.{n}.followers", UNSIGNED, rows)
    longer = int(followers.sum(dtype=np.uint64))
    last_ids = _tensor(tensors, f"order.{n + 1}.last_ids", UNSIGNED, longer)
    _tensor(tensors, f"order.{n + 1}.log_probs", FLOAT32, longer)  # checked before keys are allocated
    keys: Int64Array = np.repeat(np.arange(rows), followers) * vocabulary_size + last_ids
    if (last_ids >= vocabulary_size).any() or (keys[1:] <= keys[:-1]).any():
        raise ModelError(f"its tensor order.{n + 1}.last_ids is out of order, or holds ids that do not exist")
    return keys


def _log_probs(tensors: Tensors, n: int, rows: int) -> Float32Array:
    """The log-probabilities of order n, checked."""
    log_probs = _logarithms(tensors, f"order.{n}.log_probs", rows)
    if log_probs.max(initial=-LARGEST) > 0:
        raise ModelError(f"its tensor order.{n}.log_probs holds probabilities above 1")
    return log_probs


def _logarithms(tensors: Tensors, name: str, rows: int) -> Float32Array:
    """
    A tensor of logarithms, (rows,).

    Raises:
        ModelError: as `_tensor`, or a logarithm is NaN or too large.
    """
    tensor = _tensor(tensors, name, FLOAT32, rows)
    if not -LARGEST <= tensor.min(initial=0) <= tensor.max(initial=0) <= LARGEST:
        raise ModelError(
            f"its tensor {name} holds values that are not finite numbers, or beyond ±{LARGEST:g}"
        )
    return tensor


def _tensor(tensors: Tensors, name: str, types: tuple[type, ...], rows: int) -> npt.NDArray[Any]:
    """
    A tensor of one of the types, (rows,).

    Raises:
        ModelError: it is missing, or has another type or shape.
    """
    if name not in tensors:
        raise ModelError(f"its tensor {name} is missing")
    tensor = tensors[name]
    if tensor.dtype not in types or tensor.shape != (rows,):
        wanted = " or ".join(kind.__name__ for kind in types)
        raise ModelError(
            f"its tensor {name} is {tensor.dtype} {tensor.shape}, but has to be {wanted} {(rows,)}"
        )
    return tensor
