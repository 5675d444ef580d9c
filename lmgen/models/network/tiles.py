"""
Compute streams in tiles of 16 columns, so that a stream's result does not depend on the other streams.

    streams   0 ... 15 | 16 ... 31 | 32 ... 39 + 8 of padding

The rounding of a matrix product depends on the number of columns, and may depend on a column's position. With
exactly 16 columns all of them round alike (a test checks this), and a product takes no longer than with two.
A single stream that was never batched with others is a tile of one column: its matrix-vector products are
several times faster, but round differently.
"""

from typing import NamedTuple

import numpy as np

from lmgen.arrays import IdArray
from lmgen.models.network.kernels import ColumnState

TILE = 16
"""Number of streams computed together."""

Columns = tuple[ColumnState, ...]
"""
The state of each layer, in the order of a NetworkState, followed by the next input of the output layer; a
column per stream.
"""


class RecurrentState(NamedTuple):
    """State of B streams: all layers' states for each tile of 16, or for one stream alone."""

    streams: int
    tiles: tuple[Columns, ...]
    alone: bool
    """Whether this is a single stream that was never batched with others, in a tile of one column."""


def tiled(ids: IdArray, state: RecurrentState) -> list[IdArray]:
    """Split `ids`, (T, B), into tiles of columns; the last tile is padded with id 0."""
    if state.alone:
        return [ids]
    padded = np.zeros((len(ids), len(state.tiles) * TILE), np.intp)
    padded[:, : state.streams] = ids
    return np.split(padded, len(state.tiles), axis=1)


def joined(state: RecurrentState) -> Columns:
    """Join all tiles without the padding: for each layer the parts of its state, (size, B)."""
    if state.alone:
        return state.tiles[0]
    return tuple(
        tuple(
            np.ascontiguousarray(np.concatenate(parts, axis=1)[:, : state.streams])
            for parts in zip(*layer, strict=True)
        )
        for layer in zip(*state.tiles, strict=True)
    )


def split(layers: Columns, *, alone: bool) -> RecurrentState:
    """Split states into tiles, padding the last one with zeros; the inverse of `joined`."""
    streams = layers[-1][0].shape[1]
    if alone:
        return RecurrentState(1, (layers,), True)
    missing = -streams % TILE
    padded = [[np.pad(part, ((0, 0), (0, missing))) for part in layer] for layer in layers]
    tiles = tuple(
        tuple(
            tuple(np.ascontiguousarray(part[:, first : first + TILE]) for part in layer) for layer in padded
        )
        for first in range(0, streams, TILE)
    )
    return RecurrentState(streams, tiles, False)
