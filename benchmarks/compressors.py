"""Compressors that others made, for tables beside lmgen's figures. PPMd needs the package pyppmd."""

import bz2
import importlib.util
import lzma
from collections.abc import Callable, Mapping
from importlib import import_module

PPMD_ORDER, PPMD_MEMORY = 6, 1 << 26


def xz(content: bytes) -> int:
    """Bytes that are left of a text."""
    return len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


def bzip2(content: bytes) -> int:
    """Bytes that are left of a text."""
    return len(bz2.compress(content, 9))


def ppmd(content: bytes) -> int:
    """Bytes that are left of a text."""
    encoder = import_module("pyppmd").Ppmd7Encoder(PPMD_ORDER, PPMD_MEMORY)
    return len(encoder.encode(content) + encoder.flush())


COMPRESSORS: Mapping[str, Callable[[bytes], int]] = {
    "xz -9e": xz,
    "bzip2 -9": bzip2,
    **({f"PPMd, order {PPMD_ORDER}": ppmd} if importlib.util.find_spec("pyppmd") else {}),
}
"""By name, those that are here."""
