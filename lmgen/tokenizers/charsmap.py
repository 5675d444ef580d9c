"""
The replacements of SentencePiece's normalisation, such as those of NFKC: which texts become which.

A `precompiled_charsmap` is the size of a trie in bytes, the trie, and the replacements as UTF-8 texts that
end in NUL. The trie is a double array of darts-clone (https://github.com/s-yata/darts-clone): 32-bit units,
the root first. A node at i has its children at `base ^ byte`, with `base = i ^ offset(unit)`; if a key ends
at the node, the unit at `base` holds the position of its replacement. SentencePiece follows a trie without
looking where the array ends, so one of unknown origin is checked here before.
"""

import numpy as np
import numpy.typing as npt

LARGEST_CHARSMAP = 1 << 22
"""In bytes; that of `nmt_nfkc_cf` has 250,000."""

LONGEST_REPLACEMENT = 1 << 10
"""In bytes; the longest of NFKC has 33."""

MOST_KEYS_IN_ONE = 32
"""SentencePiece has room for this many keys that begin at one character, each the beginning of the next."""

DEEPEST = 256
"""The longest key, in bytes."""

Units = npt.NDArray[np.uint32]


def check_charsmap(charsmap: bytes) -> None:
    """
    Check that SentencePiece can follow all of a map, on any text.

    Raises:
        ValueError: it cannot.
    """
    if not charsmap:
        return
    if len(charsmap) > LARGEST_CHARSMAP:
        raise ValueError("its normalisation rules are too large")
    units, replacements = _parts(charsmap)
    depth, base, is_end = _walked(units)
    ends = np.flatnonzero((depth >= 0) & is_end)
    values = (units[base[ends]] & 0x7FFFFFFF).astype(np.int64)
    texts = replacements.split(b"\0")
    if texts.pop() or max(map(len, texts), default=0) > LONGEST_REPLACEMENT:
        raise ValueError("a replacement of its normalisation rules does not end")
    replacements.decode("utf-8")  # a UnicodeDecodeError is a ValueError
    starts = np.cumsum([0, *(len(text) + 1 for text in texts)])[:-1]
    if not np.isin(values, starts).all():
        raise ValueError("its normalisation rules point outside their replacements")


def keeps(charsmap: bytes, byte: int) -> bool:
    """Whether a map, which has been checked, has no key that is this byte alone."""
    if not charsmap:
        return True
    units, _ = _parts(charsmap)
    base = _offsets(units)
    child = int(base[0]) ^ byte
    unit = int(units[child])
    return unit & 0x800000FF != byte or not unit >> 8 & 1


def _parts(charsmap: bytes) -> tuple[Units, bytes]:
    """The units of the trie, and the replacements."""
    size = int.from_bytes(charsmap[:4], "little")
    if size % 1024 or not 0 < size < len(charsmap) - 4:
        raise ValueError("the size of its normalisation rules is wrong")
    return np.frombuffer(charsmap, "<u4", size // 4, 4), charsmap[4 + size :]


def _offsets(units: Units) -> npt.NDArray[np.int64]:
    """For each unit the position from which its children are found."""
    wide = units.astype(np.int64)
    return np.arange(len(units)) ^ (wide >> 10 << ((wide & 0x200) >> 6))


def _walked(units: Units) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """
    Walk from the root along all keys.

    Returns:
        For each unit: the most keys that end on the way to it, -1 if no way leads there; where its children
        begin; whether a key ends there.

    Raises:
        ValueError: a way leads out of the array, is too long, or passes too many ends.
    """
    base = _offsets(units)
    is_end = (units >> 8 & 1).astype(bool)
    is_node = units >> 31 == 0
    parent_base = np.arange(len(units)) ^ (units & 0xFF).astype(np.int64)
    inside = (base | 0xFF) < len(units)
    ends_at = np.full(len(units), -1)  # at a unit
    ends_before = np.full(len(units), -1)  # at children that begin here
    if not inside[0]:
        raise ValueError("its normalisation rules lead nowhere")
    ends_before[base[0]] = 0
    for _ in range(DEEPEST):
        before = ends_before[parent_base]
        now = np.where(is_node & (before >= 0), before + is_end, -1)
        changed = np.flatnonzero(now > ends_at)
        if not len(changed):
            return ends_at, base, is_end
        if not inside[changed].all() or now.max() > MOST_KEYS_IN_ONE:
            break
        ends_at = np.maximum(ends_at, now)
        np.maximum.at(ends_before, base[changed], now[changed])
    raise ValueError("its normalisation rules lead nowhere")
