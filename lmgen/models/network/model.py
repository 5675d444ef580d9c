"""
The stacked recurrent language model in use: numpy only. Training has the same model as a torch network.

    id ──► embedding ──► layer 0 ──► ... ──► layer L-1 ──► output ──► log-probabilities of the next id
             (E)          (H)                  (H)           (V)

How a layer steps is in kernels.py. Here every stream is a column, and streams go in tiles of 16:

    streams   0 ... 15 | 16 ... 31 | 32 ... 39 + 8 of padding

Matrix products round differently with the number of columns, and may round the same column differently at
another place. A product of exactly 16 columns treats all of them alike (held by a test), and takes as long as
one of two. So `advance` and `predict` work tile by tile, and what a stream says does not depend on which
others run beside it, or ran until `select` left them out. A state that `start(1)` began is a matrix-vector
product, several times faster, and rounds in its own way; `score` takes the widest product that there is.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lmgen.errors import ModelError
from lmgen.models.base import FloatArray, IdArray
from lmgen.models.network.cells import cell_named
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.kernels import ColumnState, Kernel, Workspace, kernel
from lmgen.models.network.outputs import log_probabilities, log_probabilities_of, log_softmax, top
from lmgen.settings import from_mapping, to_mapping

Float32Array = npt.NDArray[np.float32]
Parameters = Mapping[str, Float32Array]

TILE = 16
"""Streams that are computed together."""

PROJECTED_FLOATS = 4_000_000
"""The first layer's products with all tokens are computed in advance if they are no more numbers."""

OUTPUT_FLOATS = 250_000
"""Scores of so many tokens times V are computed at once: they stay in the cache ..."""
OUTPUT_ROWS = 64
"""... but of at least so many tokens, for the output layer's weights have to be read each time."""


@dataclass(frozen=True, slots=True)
class ParameterShape:
    """One trainable array: its name in the model file, its shape, and the shape in letters."""

    name: str
    shape: tuple[int, ...]
    formula: str

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


def parameter_shapes(config: NetworkConfig, vocabulary_size: int) -> list[ParameterShape]:
    """Every trainable array of a network, in the order data flows through them."""
    cell = cell_named(config.cell)
    V, E, G = vocabulary_size, config.embedding_width, len(cell.gates)
    gates = "" if G == 1 else f"{G} "
    shapes = [ParameterShape("embedding", (V, E), "V E")]
    width, letter = E, "E"
    for layer, H in enumerate(config.layer_sizes):
        h = "H" if config.hidden_size == H else "H'"  # a last layer of its own size
        shapes += [
            ParameterShape(f"layers.{layer}.weight_input", (G * H, width), f"{gates}{h} {letter}"),
            *(
                ParameterShape(
                    f"layers.{layer}.{name}",
                    (matrix.blocks * H, H),
                    f"{h} {h}" if matrix.blocks == 1 else f"{matrix.blocks} {h} {h}",
                )
                for name, matrix in cell.recurrent.items()
            ),
            ParameterShape(f"layers.{layer}.bias", (G * H,), f"{gates}{h}"),
        ]
        shapes += [
            ParameterShape(
                f"layers.{layer}.{name}",
                (vector.blocks * H,),
                h if vector.blocks == 1 else f"{vector.blocks} {h}",
            )
            for name, vector in cell.vectors.items()
        ]
        width, letter = H, h
    if starts := config.cluster_starts(V):
        return [*shapes, *_cluster_shapes(config, V, starts, letter)]
    if config.projected:
        shapes.append(ParameterShape("output.projection", (E, width), f"E {letter}"))
    if not config.tied:
        shapes.append(ParameterShape("output.weight", (V, width), f"V {letter}"))
    return [*shapes, ParameterShape("output.bias", (V,), "V")]


def _cluster_shapes(
    config: NetworkConfig, vocabulary_size: int, starts: Sequence[int], h: str
) -> list[ParameterShape]:
    """The arrays of an adaptive output, whose clusters begin at `starts`; `h` is the letter of its input."""
    V, H, C, entries = vocabulary_size, config.layer_sizes[-1], starts[0], len(starts)
    shapes = [
        ParameterShape("output.weight", (C + entries, H), f"(C0 + {entries}) {h}"),
        ParameterShape("output.bias", (C + entries,), f"C0 + {entries}"),
    ]
    for index, (first, end) in enumerate(zip(starts, [*starts[1:], V], strict=True)):
        name, D, letter = f"output.clusters.{index}", config.cluster_width(index), f"D{index}"
        size = f"C{index + 1}" if end < V else "V"
        shapes += [
            ParameterShape(f"{name}.projection", (D, H), f"{letter} {h}"),
            ParameterShape(f"{name}.weight", (end - first, D), f"({size} - C{index}) {letter}"),
        ]
    return shapes


class RecurrentState(NamedTuple):
    """What B streams remember: all layers' states for one stream alone, or for each tile of 16."""

    streams: int
    tiles: tuple[tuple[ColumnState, ...], ...]
    alone: bool
    """Whether it is one stream that never had others beside it, in a tile of its own width."""


class RecurrentModel:
    """
    A `LanguageModel` (models/base.py) of stacked recurrent layers.

    A state is what every layer remembers after reading the last token; `start` is the state after reading
    the token that a text is taken to follow, from zeros.
    """

    def __init__(
        self, config: NetworkConfig, vocabulary_size: int, start_token: int, parameters: Parameters
    ) -> None:
        """
        Take over trained parameters.

        Args:
            config: the shape of the network.
            vocabulary_size: V.
            start_token: the id that a text is taken to follow.
            parameters: float32 arrays by the names and shapes of `parameter_shapes`.

        Raises:
            ModelError: an array is missing, of another shape or not finite, or there is one too many.
        """
        if not 0 <= start_token < vocabulary_size:
            raise ModelError(f"the start token {start_token} is not one of the {vocabulary_size} ids")
        _check_parameters(parameters, parameter_shapes(config, vocabulary_size))
        self.config = config.resolved(vocabulary_size)
        self.start_token = start_token
        self.parameters = dict(parameters)
        self._cell = cell_named(config.cell)
        self._adds_input = [config.adds_input(layer) for layer in range(config.layers)]
        self._clusters = config.cluster_starts(vocabulary_size)
        self._spaces = _Workspaces()

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return len(self.parameters["embedding"])

    @property
    def name(self) -> str:
        """The cell's name."""
        return self.config.cell

    def start(self, streams: int) -> RecurrentState:
        """The state after the start token."""
        layers = tuple(
            tuple(np.zeros((size, streams), np.float32) for _ in self._cell.states)
            for size in self.config.layer_sizes
        )
        state = _split(layers, alone=streams == 1)
        return self.advance(state, np.full((1, streams), self.start_token))

    def predict(self, state: RecurrentState) -> FloatArray:
        """Log-probabilities of the next token, (B, V)."""
        if state.alone:
            return self._log_probabilities(self._top(state.tiles[0]))
        each = [self._log_probabilities(self._top(tile)) for tile in state.tiles]
        return np.concatenate(each)[: state.streams]

    def advance(self, state: RecurrentState, ids: IdArray) -> RecurrentState:
        """The state after reading `ids`, (T, B)."""
        tiles = []
        for tile, columns in zip(state.tiles, _tiled(ids, state), strict=True):
            for row in columns:
                tile = self._step(tile, row)
            tiles.append(tile)
        return RecurrentState(state.streams, tuple(tiles), state.alone)

    def score(self, state: RecurrentState, ids: IdArray) -> tuple[FloatArray, RecurrentState]:
        """Log-probability of each of `ids`, (T, B), and the state after them."""
        layers = _joined(state)
        before = np.empty((*ids.shape, self._output[0].shape[1]), np.float32)  # (T, B, H)
        for hidden, row in zip(before, ids, strict=True):
            hidden[...] = self._top(layers).T
            layers = self._step(layers, row)
        chosen = self._chosen(before.reshape(-1, before.shape[-1]), ids.ravel())
        return chosen.reshape(ids.shape), _split(layers, alone=state.alone)

    def select(self, state: RecurrentState, streams: Sequence[int]) -> RecurrentState:
        """The state of the listed streams."""
        chosen = list(streams)
        layers = tuple(tuple(part[:, chosen] for part in layer) for layer in _joined(state))
        return _split(layers, alone=state.alone and len(chosen) == 1)

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, Float32Array]]:
        """What a model file keeps: JSON values, and arrays by name."""
        config = {
            "vocabulary_size": self.vocabulary_size,
            "start_token": self.start_token,
            "network": to_mapping(self.config),
        }
        return config, self.parameters

    @classmethod
    def from_tensors(cls, config: Mapping[str, Any], tensors: Parameters) -> "RecurrentModel":
        """
        Rebuild a model from what `to_tensors` gave.

        Raises:
            ModelError: something is missing or does not fit.
        """
        match config:
            case {"vocabulary_size": int(size), "start_token": int(start), "network": dict(network)} if (
                type(size) is type(start) is int  # which a bool is not
            ):
                shape = from_mapping(NetworkConfig, network, "the model's configuration")
                parts = shape.layers + len(shape.given_cutoffs())
                if parts > len(tensors):  # before so many are listed one by one
                    raise ModelError(f"it claims {parts} layers and clusters, but has {len(tensors)} tensors")
                return cls(shape, size, start, tensors)
            case _:
                raise ModelError("its configuration lacks vocabulary_size, start_token or network")

    @cached_property
    def _kernels(self) -> list[Kernel]:
        """Of each layer; made at first use, for not every command uses a model."""
        return [kernel(self._cell, self._layer(layer)) for layer in range(self.config.layers)]

    @cached_property
    def _projected(self) -> Float32Array | None:
        """What each token contributes to the gates of the first layer, (V, G*H); None if it is too much."""
        embedding = self.parameters["embedding"]
        if len(embedding) * len(self.parameters["layers.0.bias"]) > PROJECTED_FLOATS:
            return None
        return self._kernels[0].project(embedding)

    @cached_property
    def _projected_columns(self) -> Float32Array:
        """The same with a column for each token, (G*H, V)."""
        assert self._projected is not None
        return np.ascontiguousarray(self._projected.T)

    @cached_property
    def _output(self) -> tuple[Float32Array, Float32Array]:
        """The output layer's weights, (V, H), and bias, (V, 1)."""
        weight = self.parameters.get("output.weight", self.parameters["embedding"])
        return weight, self.parameters["output.bias"][:, None]

    def _layer(self, layer: int) -> dict[str, Float32Array]:
        """A layer's arrays, by their names in it."""
        prefix = f"layers.{layer}."
        return {
            name.removeprefix(prefix): array
            for name, array in self.parameters.items()
            if name.startswith(prefix)
        }

    def _step(self, layers: tuple[ColumnState, ...], ids: IdArray) -> tuple[ColumnState, ...]:
        """All layers' states after one more token a column; `ids` is (B,)."""
        spaces = self._spaces.of(self._kernels, len(ids))
        projected = self._projected is not None
        values = self._inputs(ids)
        after = []
        for layer, (each, before, space) in enumerate(zip(self._kernels, layers, spaces, strict=True)):
            state = each.step(values, projected, before, space)
            values = state[0] + values if self._adds_input[layer] else state[0]
            projected = False
            after.append(state)
        return tuple(after)

    def _inputs(self, ids: IdArray) -> Float32Array:
        """What the first layer reads, a column for each of `ids`: (E, B), or (G*H, B) if projected."""
        tokens = self.parameters["embedding"] if self._projected is None else self._projected
        if len(ids) == 1:
            return tokens[ids[0], :, None]  # no copy
        if self._projected is None:
            return tokens[ids].T
        return np.take(self._projected_columns, ids, axis=1)  # three times as fast as turning rows

    def _top(self, layers: tuple[ColumnState, ...]) -> Float32Array:
        """What the output layer reads of the layers' states, (H, B), or (E, B) where it is projected."""
        hidden: Float32Array = top(layers, self.config)
        projection = self.parameters.get("output.projection")
        return hidden if projection is None else projection @ hidden

    def _log_probabilities(self, hidden: Float32Array) -> Float32Array:
        """Of the token after each column of `hidden`, (H, B): (B, V)."""
        if self._clusters:
            return log_probabilities(hidden.T, self.parameters, self._clusters)  # type: ignore[no-any-return]
        weight, bias = self._output
        scores = weight @ hidden
        np.add(scores, bias, out=scores)
        rows = scores.reshape(1, -1) if hidden.shape[1] == 1 else np.ascontiguousarray(scores.T)
        return log_softmax(rows)  # type: ignore[no-any-return]

    def _chosen(self, hidden: Float32Array, ids: IdArray) -> Float32Array:
        """Log-probability of each of `ids`, (N,), by the rows of `hidden`, (N, H)."""
        chosen = np.empty(len(ids), np.float32)
        size = max(OUTPUT_FLOATS // len(self._output[0]), OUTPUT_ROWS)
        for first in range(0, len(ids), size):
            rows = np.s_[first : first + size]
            chosen[rows] = self._chosen_at_once(hidden[rows], ids[rows])
        return chosen

    def _chosen_at_once(self, hidden: Float32Array, ids: IdArray) -> Float32Array:
        """The same for a few rows, whose scores are held all at the same time."""
        if self._clusters:
            return log_probabilities_of(ids, hidden, self.parameters, self._clusters)  # type: ignore[no-any-return]
        weight, bias = self._output
        scores = hidden @ weight.T
        np.add(scores, bias[:, 0], out=scores)
        scores -= scores.max(axis=1, keepdims=True)
        picked = scores[np.arange(len(scores)), ids]
        np.exp(scores, out=scores)
        chosen: Float32Array = picked - np.log(scores.sum(axis=1))
        return chosen


class _Workspaces(threading.local):
    """The kernels' workspaces for as many columns as were last in use; each thread has its own."""

    def __init__(self) -> None:
        self._columns = 0
        self._spaces: list[Workspace] = []

    def of(self, kernels: Sequence[Kernel], columns: int) -> list[Workspace]:
        if columns != self._columns:
            self._spaces = [each.workspace(columns) for each in kernels]
            self._columns = columns
        return self._spaces


def _tiled(ids: IdArray, state: RecurrentState) -> list[IdArray]:
    """The columns of `ids`, (T, B), tile by tile; the last is filled up with id 0."""
    if state.alone:
        return [ids]
    padded = np.zeros((len(ids), len(state.tiles) * TILE), np.intp)
    padded[:, : state.streams] = ids
    return np.split(padded, len(state.tiles), axis=1)


def _joined(state: RecurrentState) -> tuple[ColumnState, ...]:
    """All streams side by side: of each layer the parts of its state, (H, B)."""
    if state.alone:
        return state.tiles[0]
    return tuple(
        tuple(
            np.ascontiguousarray(np.concatenate(parts, axis=1)[:, : state.streams])
            for parts in zip(*layer, strict=True)
        )
        for layer in zip(*state.tiles, strict=True)
    )


def _split(layers: tuple[ColumnState, ...], *, alone: bool) -> RecurrentState:
    """Undo `_joined`; the padding is zeros."""
    streams = layers[0][0].shape[1]
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


def _check_parameters(parameters: Parameters, expected: list[ParameterShape]) -> None:
    """Refuse arrays that are not exactly those of `expected`."""
    names = {shape.name for shape in expected}
    if missing := sorted(names - set(parameters)):
        raise ModelError(f"its tensors {', '.join(missing)} are missing")
    if extra := sorted(set(parameters) - names):
        raise ModelError(f"its tensors {', '.join(extra)} belong to no layer of this network")
    for shape in expected:
        found = parameters[shape.name]
        if found.shape != shape.shape or found.dtype != np.float32:
            raise ModelError(
                f"its tensor {shape.name} is {found.dtype} {found.shape}, but has to be float32 {shape.shape}"
            )
        if not -inf < found.min() <= found.max() < inf:  # a NaN is nowhere
            raise ModelError(f"its tensor {shape.name} holds values that are not finite numbers")
