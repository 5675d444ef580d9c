"""
How this process asks for memory.

A training step allocates and frees the same large arrays every time. Left to itself the C library returns
them to the system in between, and the system hands them out again page by page, each cleared and mapped when
it is first touched: up to a fifth of a GRU's training time.
"""

import ctypes
import sys

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keep_freed_memory() -> None:
    """From now on keep memory that is freed for what is allocated next; where the C library is glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            mallopt(parameter, 2**31 - 1)
