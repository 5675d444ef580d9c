"""
Threads and memory of a process that trains a model on a CPU.

A training step allocates and frees the same large arrays every time. By default the C library returns them to
the system in between, and the system hands them out again page by page, each cleared and mapped when first
touched. That took 7% of the training time of an LSTM of 256 units.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lmgen.errors import lacks_memory
from lmgen.processors import products_in_one_thread

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


@contextmanager
def computing(threads: int | None) -> Iterator[None]:
    """
    Compute in this many threads; None: as many as torch finds.

    numpy gets one thread, unless its library shares them with torch's (MKL): idle threads of the two would
    compete for the same processors, since both keep polling for work for a while. Freed memory is kept from
    now on.

    Raises:
        MemoryError: there is not enough memory; torch itself raises a RuntimeError.
    """
    keep_freed_memory()
    before = torch.get_num_threads()
    try:
        with products_in_one_thread(["openblas", "blis"]):
            torch.set_num_threads(threads or before)  # after the limit, which some libraries share with torch
            yield
    except RuntimeError as error:
        if lacks_memory(error):
            raise MemoryError(str(error)) from error
        raise
    finally:
        torch.set_num_threads(before)


def use_threads(threads: int) -> None:
    """Compute in this many threads from now on, until the end of `computing`."""
    torch.set_num_threads(threads)


def default_threads() -> int:
    """As many threads as torch takes by itself: the number of processor cores, or OMP_NUM_THREADS."""
    return torch.get_num_threads()


def keep_freed_memory() -> None:
    """Keep freed memory for later allocations from now on, where the C library is glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        if not mallopt(_M_MMAP_THRESHOLD, 2**31 - 1):
            mallopt(_M_MMAP_THRESHOLD, 2**25)  # the largest that older versions accept
