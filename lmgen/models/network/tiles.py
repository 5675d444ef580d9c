"""
Streams in tiles of 16 columns, so that what a stream says does not depend on those beside it.

    streams   0 ... 15 | 16 ... 31 | 32 ... 39 + 8 of padding

Matrix products round differently with the number of columns, and may round the same column differently at
another place. A product of exactly 16 columns treats all of them alike (held by a test), and takes as long as
one of two. A single stream that never had others beside it is a tile of one column: its products are
matrix-vector products, several times faster, and round in their own way.
"""

from typing import NamedTuple

import numpy as np

from lmgen.arrays import IdArray
from lmgen.models.network.kernels import ColumnState

TILE = 16
"""Streams that are computed together."""

Columns = tuple[ColumnState, ...]
"""What each layer remembers, and last what the output layer reads next, a column a stream."""


class RecurrentState(NamedTuple):
    """What B streams remember: all layers' states for one stream alone, or for each tile of 16."""

    streams: int
    tiles: tuple[Columns, ...]
    alone: bool
    """Whether it is one stream that never had others beside it, in a tile of its own width."""


def tiled(ids: IdArray, state: RecurrentState) -> list[IdArray]:
    """The columns of `ids`, (T, B), tile by tile; the last is filled up with id 0."""
    if state.alone:
        return [ids]
    padded = np.zeros((len(ids), len(state.tiles) * TILE), np.intp)
    padded[:, : state.streams] = ids
    return np.split(padded, len(state.tiles), axis=1)


def joined(state: RecurrentState) -> Columns:
    """All streams side by side: of each layer the parts of its state, (size, B)."""
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
    """Undo `joined`; the padding is zeros."""
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
