"""
Inference with the recurrent language model, in numpy. Training runs the same layers on torch.

    id ──► embedding ──► layer 0 ──► ... ──► layer N-1 ──► output ──► log-probabilities of the next id
             (n)          (m)                  (m)           (V)

layers.py lists the layers, kernels.py computes their steps fast, and tiles.py explains why streams are
computed in tiles of 16 columns.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lmgen.arrays import Float32Array, FloatArray, IdArray, in_short
from lmgen.errors import ModelError
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.embedding_kernels import EmbeddingKernel, embedding_kernel
from lmgen.models.network.functions import recorded_gates
from lmgen.models.network.kernels import (
    Kernel,
    ProjectingKernel,
    Workspace,
    kernel,
    state_sizes,
    to_columns,
    to_rows,
)
from lmgen.models.network.layer import arrays_of
from lmgen.models.network.layers import network_layers
from lmgen.models.network.output_kernels import OutputKernel, output_kernel
from lmgen.models.network.parameters import Parameters, check_parameters
from lmgen.models.network.recurrent import Recurrent
from lmgen.models.network.tiles import Columns, RecurrentState, joined, split, tiled
from lmgen.settings import from_mapping, shown, to_mapping

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

PROJECTED_FLOATS = 4_000_000
"""Maximum size of a table of the first layer's input products for all tokens, computed in advance."""

SINCE_VERSION_3 = ("dense_layers", "dense_size", "dense_activation")
"""Settings of format 3, omitted from files without dense layers so that older versions can read these."""

SINCE_VERSION_4 = ("convolution", "convolution_activation", "normalization", "attention")
"""Settings of format 4, omitted from files of networks that have none of these, for the same reason."""

SINCE_VERSION_5 = ("ngram_embedding", "ngram_rows", "dropout_ngrams")
"""Settings of format 5, omitted where there is no n-gram embedding."""


@dataclass(frozen=True, slots=True)
class Reading:
    """States and gates of a recurrent layer while it read T tokens of B streams."""

    layer: str
    """Name of the layer, such as `layers.0`."""
    states: dict[str, Float32Array]
    """Each part of the state after each token, (T, B, H), by its name in the cell; h comes first."""
    gates: dict[str, Float32Array]
    """Each gate that the cell's equations name, at each token, (T, B, H)."""

    __repr__ = in_short


_Step = tuple[tuple[Float32Array, ...], dict[str, Float32Array]]
"""The state of a layer after one step, each part (B, H), and its gates in that step by name."""


class RecurrentModel:
    """
    A `LanguageModel` (models/base.py) made of embedding, hidden layers and output.

    A state holds the states of all layers after the last token, and the input of the output layer. `start` is
    the state after reading the start token from a zero state.
    """

    kind = "recurrent"
    reads_in_order = False
    in_threads = True

    def __init__(
        self,
        config: NetworkConfig,
        vocabulary_size: int,
        start_token: int,
        parameters: Parameters,
        unit_end: int | None = None,
    ) -> None:
        """
        Build a model from trained parameters, which are not copied.

        Args:
            config: shape of the network.
            vocabulary_size: V.
            start_token: id of the token read before the first token of a text.
            parameters: float32 arrays with the names and shapes of `Layers.parameters`.
            unit_end: id of the token that ends a text, after which the next begins from `start`; None: a text
                never ends.

        Raises:
            ModelError: an array is missing, unexpected, of the wrong shape or type, or not finite.
        """
        for name, token in (("start", start_token), ("end", unit_end)):
            if token is not None and not 0 <= token < vocabulary_size:
                raise ModelError(f"the {name} token {token} is not one of the {vocabulary_size} ids")
        if config.normalization == "batch":
            raise ModelError("its normalization is batch, which a model in use has in its weights")
        self.layers = network_layers(config, vocabulary_size)
        check_parameters(parameters, self.layers.parameters)
        self.config = config.resolved(vocabulary_size)
        self.vocabulary_size = vocabulary_size
        self.start_token = start_token
        self.unit_end = unit_end
        self.parameters = dict(parameters)
        self._spaces = _Workspaces()
        self._starts: dict[bool, Columns] = {}

    def __str__(self) -> str:
        return self.config.in_short

    def __repr__(self) -> str:
        return f"<RecurrentModel {self}, V = {self.vocabulary_size}>"

    @property
    def name(self) -> str:
        """The cell's name; without recurrent layers `convolution` or `dense`."""
        return self.config.name

    @property
    def format_version(self) -> int:
        """The oldest file format that supports it: 1 knows an embedding and recurrent layers."""
        if self.config.ngram_embedding is not None:
            return 5
        if self.unit_end is not None or self._has_parts_of_version_4 or not self.config.layers:
            return 4
        recurrent = all(isinstance(layer, Recurrent) for layer in self.layers.hidden)
        return 1 if recurrent and self.layers.embedding.parameters else 3

    @property
    def resets_at(self) -> int | None:
        """The token that ends a text."""
        return self.unit_end

    def start(self, streams: int) -> RecurrentState:
        """State of B streams after the start token."""
        layers = tuple(
            tuple(np.zeros((size, streams), np.float32) for size in state_sizes(layer))
            for layer in self.layers.in_state
        )
        unread = np.zeros((self.layers.output.inputs, streams), np.float32)
        state = split((*layers, (unread,)), alone=streams == 1)
        ids = np.full((1, streams), self.start_token)
        tiles = zip(state.tiles, tiled(ids, state), strict=True)
        return state._replace(tiles=tuple(self._step(tile, rows[0]) for tile, rows in tiles))

    def predict(self, state: RecurrentState) -> FloatArray:
        """Log-probabilities of the next token, (B, V)."""
        if state.alone:
            return self._log_probabilities(state.tiles[0])
        return np.concatenate([self._log_probabilities(tile) for tile in state.tiles])[: state.streams]

    def advance(self, state: RecurrentState, ids: IdArray) -> RecurrentState:
        """State after reading `ids`, (T, B)."""
        tiles = []
        for tile, columns in zip(state.tiles, tiled(ids, state), strict=True):
            for row in columns:
                tile = self._begun_anew(self._step(tile, row), row)
            tiles.append(tile)
        return RecurrentState(state.streams, tuple(tiles), state.alone)

    def score(self, state: RecurrentState, ids: IdArray) -> tuple[FloatArray, RecurrentState]:
        """Log-probability of each of `ids`, (T, B), and the state after them."""
        before, after = self.read_before(state, ids)
        return self.chosen(before, ids), after

    def predict_each(self, state: RecurrentState, ids: IdArray) -> tuple[FloatArray, RecurrentState]:
        """Log-probabilities of all tokens before each of `ids`, (T, B, V), and the state after them."""
        before, after = self.read_before(state, ids)
        found = self._output.log_probabilities(np.ascontiguousarray(before.reshape(-1, before.shape[-1]).T))
        return found.reshape(*ids.shape, -1), after

    def read_before(self, state: RecurrentState, ids: IdArray) -> tuple[Float32Array, RecurrentState]:
        """What the output layer multiplies to predict each of `ids`, (T, B, n), and the state after them."""
        layers = joined(state)
        before = np.empty((*ids.shape, self._output.size), np.float32)
        for hidden, row in zip(before, ids, strict=True):
            hidden[...] = self._output.prepare(layers[-1][0]).T
            layers = self._begun_anew(self._step(layers, row), row)
        return before, split(layers, alone=state.alone)

    def read_by_output(self, state: RecurrentState) -> Float32Array:
        """What the output layer multiplies with its weights to predict the next token, (B, n)."""
        return self._output.prepare(joined(state)[-1][0]).T

    def chosen(self, before: Float32Array, ids: IdArray) -> FloatArray:
        """Log-probability of each of `ids`, (T, B), from what `read_before` gave."""
        chosen = self._output.chosen(before.reshape(-1, before.shape[-1]), ids.ravel())
        return chosen.reshape(ids.shape)

    def select(self, state: RecurrentState, streams: Sequence[int]) -> RecurrentState:
        """State of the listed streams, in that order; a stream may be listed more than once."""
        chosen = list(streams)
        layers = tuple(tuple(part[:, chosen] for part in layer) for layer in joined(state))
        return split(layers, alone=state.alone and len(chosen) == 1)

    def join(self, states: Sequence[RecurrentState]) -> RecurrentState:
        """State of the streams of several states, one after another."""
        each = zip(*(joined(state) for state in states), strict=True)
        layers = tuple(
            tuple(np.concatenate(parts, axis=1) for parts in zip(*layer, strict=True)) for layer in each
        )
        return split(layers, alone=False)

    def read(self, ids: IdArray, state: RecurrentState) -> tuple[list[Reading], RecurrentState]:
        """
        Read `ids`, (T, B), and return the states and gates of every recurrent layer at each of them.

        Slower than `advance`, because every recurrent layer computes its `step`.
        """
        *layers, embedded, (unread,) = joined(state)
        seen: list[list[_Step]] = [[] for _ in layers]
        arrays = [arrays_of(layer, self.parameters) for layer in self.layers.hidden]
        spaces = self._spaces.of(self._kernels, ids.shape[1])
        for row in ids:
            vectors, embedded = self._embedding.step(row, embedded)
            values = vectors.T
            for place, layer in enumerate(self.layers.hidden):
                if isinstance(layer, Recurrent):
                    with recorded_gates() as gates:
                        values, after = layer.step(arrays[place], values, to_rows(layers[place]))
                    seen[place].append((after, gates))
                    layers[place] = to_columns(after)
                else:
                    given, layers[place] = self._kernels[place].step(values.T, layers[place], spaces[place])
                    values = given.T
            *layers, embedded, (unread,) = self._begun_anew((*layers, embedded, (values.T,)), row)
        readings = [
            _reading(layer, steps, ids.shape[1])
            for layer, steps in zip(self.layers.hidden, seen, strict=True)
            if isinstance(layer, Recurrent)
        ]
        return readings, split((*layers, embedded, (np.ascontiguousarray(unread),)), alone=state.alone)

    def describe(self) -> dict[str, Any]:
        """Settings under `network`, and parameter counts as in `Layers.describe`; JSON values."""
        return {
            "name": self.name,
            "vocabulary_size": self.vocabulary_size,
            "network": to_mapping(self.config),
            **self.layers.describe(),
        }

    def as_network(self) -> "RecurrentModel":
        """Return this model, which can be fine-tuned."""
        return self

    def as_ngrams(self) -> None:
        """Return None, because a network has no n-gram tables."""

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, Float32Array]]:
        """Contents of a model file: the configuration as JSON values, and arrays by name."""
        network = to_mapping(self.config)
        unused: set[str] = set() if self.config.dense_layers else set(SINCE_VERSION_3)
        if not self._has_parts_of_version_4:
            unused |= set(SINCE_VERSION_4)
        if self.config.ngram_embedding is None:
            unused |= set(SINCE_VERSION_5)
        network = {name: value for name, value in network.items() if name not in unused}
        config = {
            "vocabulary_size": self.vocabulary_size,
            "start_token": self.start_token,
            "network": network,
        }
        if self.unit_end is not None:
            config["unit_end"] = self.unit_end
        return config, self.parameters

    @classmethod
    def from_tensors(cls, config: Mapping[str, Any], tensors: Parameters) -> "RecurrentModel":
        """
        Rebuild a model from the result of `to_tensors`.

        Raises:
            ModelError: the configuration is incomplete, or the tensors do not fit it.
        """
        match config:
            case {"vocabulary_size": int(size), "start_token": int(start), "network": dict(network)} if (
                type(size) is type(start) is int  # excludes bool
            ):
                shape = from_mapping(NetworkConfig, network, "the model's configuration")
                hidden = shape.layers + shape.dense_layers + len(shape.convolutions)
                parts = hidden + len(shape.given_cutoffs())
                if parts > len(tensors):  # before building a list of all claimed layers
                    raise ModelError(f"it claims {parts} layers and clusters, but has {len(tensors)} tensors")
                end = config.get("unit_end")
                if end is not None and type(end) is not int:
                    raise ModelError(f"its unit_end is {shown(end)}, but has to be a token id")
                return cls(shape, size, start, tensors, end)
            case _:
                raise ModelError("its configuration lacks vocabulary_size, start_token or network")

    @property
    def _has_parts_of_version_4(self) -> bool:
        config = self.config
        parts = config.convolution is not None or config.attention is not None
        return parts or config.normalization != "none"

    @cached_property
    def _kernels(self) -> list[Kernel]:
        """Kernels of the hidden layers; built on first use, because not every command runs the model."""
        return [kernel(layer, arrays_of(layer, self.parameters)) for layer in self.layers.hidden]

    @cached_property
    def _embedding(self) -> EmbeddingKernel:
        """Kernel of the embedding, built on first use."""
        return embedding_kernel(self.layers.embedding, self.parameters)

    @cached_property
    def _output(self) -> OutputKernel:
        """Kernel of the output layer, built on first use."""
        return output_kernel(self.layers.output, arrays_of(self.layers.output, self.parameters))

    @cached_property
    def _first(self) -> ProjectingKernel | None:
        """Kernel of the first layer if its input products are tabulated, or None if they are too many."""
        first, embedding = self.layers.hidden[0], self.layers.embedding
        if not isinstance(first, Recurrent) or first.residual or embedding.state_sizes:
            return None
        gates = len(self.parameters[f"{first.prefix}bias"])
        if embedding.parameters and self.vocabulary_size * gates > PROJECTED_FLOATS:
            return None
        return cast(ProjectingKernel, self._kernels[0])

    @cached_property
    def _projected(self) -> Float32Array:
        """Input product W e + b of the first layer for each token, (V, G*H)."""
        assert self._first is not None
        if self.layers.embedding.parameters:
            return self._first.project(self.parameters["embedding"])
        return self._first.project_one_hot()

    @cached_property
    def _projected_columns(self) -> Float32Array:
        """`_projected` with a column for each token, (G*H, V)."""
        return np.ascontiguousarray(self._projected.T)

    def _step(self, layers: Columns, ids: IdArray) -> Columns:
        """Advance all columns by one token each; `ids` is (B,)."""
        spaces = self._spaces.of(self._kernels, len(ids))
        after = []
        hidden = zip(self._kernels, layers, spaces, strict=False)
        embedded = layers[-2]
        if self._first is None:
            values, embedded = self._embedding.step(ids, embedded)
        else:
            _, before, space = next(hidden)
            values, state = self._first.step_projected(self._input_products(ids), before, space)
            after.append(state)
        for each, before, space in hidden:
            values, state = each.step(values, before, space)
            after.append(state)
        return (*after, embedded, (values,))

    def _begun_anew(self, layers: Columns, ids: IdArray) -> Columns:
        """Put the streams whose unit ended with the last of the tokens read, (B,), back to the start."""
        if self.unit_end is None or not (ended := ids == self.unit_end).any():
            return layers
        return tuple(
            tuple(np.where(ended, begun, part) for begun, part in zip(layer_begun, layer, strict=True))
            for layer_begun, layer in zip(self._start_columns(len(ids)), layers, strict=True)
        )

    def _start_columns(self, columns: int) -> Columns:
        """The state of `start` as one column, rounded as that of a stream alone or among others."""
        alone = columns == 1
        if alone not in self._starts:
            state = self.start(1 if alone else 2)
            self._starts[alone] = tuple(tuple(part[:, :1] for part in layer) for layer in joined(state))
        return self._starts[alone]

    def _input_products(self, ids: IdArray) -> Float32Array:
        """Input products of the first layer for `ids` as columns, (G*H, B)."""
        if len(ids) == 1:
            return self._projected[ids[0], :, None]  # no copy
        return np.take(self._projected_columns, ids, axis=1)  # three times as fast as transposing rows

    def _log_probabilities(self, layers: Columns) -> FloatArray:
        """Log-probabilities of the next token for each column, (B, V)."""
        return self._output.log_probabilities(self._output.prepare(layers[-1][0]))


class _Workspaces(threading.local):
    """Workspaces of the kernels for the last number of columns used; each thread has its own."""

    def __init__(self) -> None:
        self._columns = 0
        self._spaces: list[Workspace] = []

    def of(self, kernels: Sequence[Kernel], columns: int) -> list[Workspace]:
        if columns != self._columns:
            self._spaces = [each.workspace(columns) for each in kernels]
            self._columns = columns
        return self._spaces


def with_parameters(model: RecurrentModel, changed: "Mapping[str, ArrayLike]") -> RecurrentModel:
    """
    The same network with other weights.

    Args:
        model: stays as it is.
        changed: arrays or nested lists by name; the others are kept.

    Raises:
        ModelError: one is unknown, no array of numbers, of the wrong shape, or not finite.
    """
    arrays = {}
    for name, values in changed.items():
        try:
            arrays[name] = np.array(values, np.float32)
        except (TypeError, ValueError) as error:
            raise ModelError(f"the tensor {name} is no array of numbers: {error}") from error
    try:
        return RecurrentModel(
            model.config,
            model.vocabulary_size,
            model.start_token,
            {**model.parameters, **arrays},
            model.unit_end,
        )
    except ModelError as error:
        raise ModelError(f"these weights do not fit the network {model}: {error}") from error


def _reading(layer: Recurrent, steps: "Sequence[_Step]", streams: int) -> Reading:
    """Stack a layer's states and gates of single steps into arrays, (T, B, H)."""
    nothing = np.empty((0, streams, layer.outputs), np.float32)
    names = steps[0][1] if steps else {}
    return Reading(
        layer.prefix.rstrip("."),
        {
            name: np.stack([state[part] for state, _ in steps]) if steps else nothing
            for part, name in enumerate(layer.cell.states)
        },
        {name: np.stack([gates[name] for _, gates in steps]) for name in names},
    )
