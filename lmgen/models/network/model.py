"""
The recurrent language model in use: numpy only. Training has the same model as a torch network.

    id ──► embedding ──► layer 0 ──► ... ──► layer N-1 ──► output ──► log-probabilities of the next id
             (n)          (m)                  (m)           (V)

Which layers there are is in layers.py, how each steps fast in kernels.py, and why streams go in tiles of 16
columns in tiles.py.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any, cast

import numpy as np

from lmgen.arrays import Float32Array, FloatArray, IdArray
from lmgen.errors import ModelError
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.functions import recorded_gates
from lmgen.models.network.kernels import Kernel, ProjectingKernel, Workspace, kernel
from lmgen.models.network.layer import NetworkState, Parameter, arrays_of
from lmgen.models.network.layers import network_layers
from lmgen.models.network.output_kernels import OutputKernel, output_kernel
from lmgen.models.network.recurrent import Recurrent
from lmgen.models.network.tiles import Columns, RecurrentState, joined, split, tiled
from lmgen.settings import from_mapping, to_mapping

Parameters = Mapping[str, Float32Array]

PROJECTED_FLOATS = 4_000_000
"""The first layer's products with all tokens are computed in advance if they are no more numbers."""

SINCE_VERSION_3 = ("dense_layers", "dense_size", "dense_activation")
"""Settings that files of older formats do not know; they are left out of networks that do not need them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a layer did while it read T tokens of B streams."""

    layer: str
    """The name of the layer, such as `layers.0`."""
    states: dict[str, Float32Array]
    """Each part of the state after each token, (T, B, H), by its name in the cell: h first."""
    gates: dict[str, Float32Array]
    """The cell's gates at each token, (T, B, H), as far as its equations name them."""


_Step = tuple[tuple[Float32Array, ...], dict[str, Float32Array]]
"""A layer's state after a step, each part (B, H), and its gates at that step by name."""


class RecurrentModel:
    """
    A `LanguageModel` (models/base.py) of embedding, hidden layers and output.

    A state is what every layer remembers after reading the last token, and what the output layer reads then;
    `start` is the state after reading the token that a text is taken to follow, from zeros.
    """

    kind = "recurrent"
    reads_in_order = False

    def __init__(
        self, config: NetworkConfig, vocabulary_size: int, start_token: int, parameters: Parameters
    ) -> None:
        """
        Take over trained parameters.

        Args:
            config: the shape of the network.
            vocabulary_size: V.
            start_token: the id that a text is taken to follow.
            parameters: float32 arrays by the names and shapes of `Layers.parameters`.

        Raises:
            ModelError: an array is missing, of another shape or not finite, or there is one too many.
        """
        if not 0 <= start_token < vocabulary_size:
            raise ModelError(f"the start token {start_token} is not one of the {vocabulary_size} ids")
        self.layers = network_layers(config, vocabulary_size)
        _check_parameters(parameters, self.layers.parameters)
        self.config = config.resolved(vocabulary_size)
        self.vocabulary_size = vocabulary_size
        self.start_token = start_token
        self.parameters = dict(parameters)
        self._spaces = _Workspaces()

    @property
    def name(self) -> str:
        """The cell's name."""
        return self.config.cell

    @property
    def format_version(self) -> int:
        """The oldest format of files that knows such networks: the first, recurrent layers on a table."""
        first = all(isinstance(layer, Recurrent) for layer in self.layers.hidden)
        return 1 if first and self.layers.embedding.parameters else 3

    def start(self, streams: int) -> RecurrentState:
        """The state after the start token."""
        layers = tuple(
            tuple(np.zeros((size, streams), np.float32) for size in layer.state_sizes)
            for layer in self.layers.hidden
        )
        unread = np.zeros((self.layers.output.inputs, streams), np.float32)
        state = split((*layers, (unread,)), alone=streams == 1)
        return self.advance(state, np.full((1, streams), self.start_token))

    def predict(self, state: RecurrentState) -> FloatArray:
        """Log-probabilities of the next token, (B, V)."""
        if state.alone:
            return self._predicted(state.tiles[0])
        return np.concatenate([self._predicted(tile) for tile in state.tiles])[: state.streams]

    def advance(self, state: RecurrentState, ids: IdArray) -> RecurrentState:
        """The state after reading `ids`, (T, B)."""
        tiles = []
        for tile, columns in zip(state.tiles, tiled(ids, state), strict=True):
            for row in columns:
                tile = self._step(tile, row)
            tiles.append(tile)
        return RecurrentState(state.streams, tuple(tiles), state.alone)

    def score(self, state: RecurrentState, ids: IdArray) -> tuple[FloatArray, RecurrentState]:
        """Log-probability of each of `ids`, (T, B), and the state after them."""
        layers = joined(state)
        before = np.empty((*ids.shape, self._output.size), np.float32)  # (T, B, n)
        for hidden, row in zip(before, ids, strict=True):
            hidden[...] = self._output.prepare(layers[-1][0]).T
            layers = self._step(layers, row)
        chosen = self._output.chosen(before.reshape(-1, before.shape[-1]), ids.ravel())
        return chosen.reshape(ids.shape), split(layers, alone=state.alone)

    def select(self, state: RecurrentState, streams: Sequence[int]) -> RecurrentState:
        """The state of the listed streams."""
        chosen = list(streams)
        layers = tuple(tuple(part[:, chosen] for part in layer) for layer in joined(state))
        return split(layers, alone=state.alone and len(chosen) == 1)

    def read(self, state: RecurrentState, ids: IdArray) -> tuple[list[Reading], RecurrentState]:
        """
        Look inside: what every recurrent layer remembers, and its gates, after each of `ids`, (T, B).

        Every layer is computed by its `step`, a token at a time, and so slower than by `advance`.
        """
        *layers, (unread,) = joined(state)
        states: NetworkState = tuple(tuple(part.T for part in layer) for layer in layers)
        seen: list[list[_Step]] = [[] for _ in states]
        embedding = arrays_of(self.layers.embedding, self.parameters)
        arrays = [arrays_of(layer, self.parameters) for layer in self.layers.hidden]
        values = unread.T
        for row in ids:
            values, _ = self.layers.embedding.step(embedding, row, ())
            after = []
            for layer, own, before, steps in zip(self.layers.hidden, arrays, states, seen, strict=True):
                with recorded_gates() as gates:
                    values, last = layer.step(own, values, before)
                steps.append((last, gates))
                after.append(last)
            states = tuple(after)
        readings = [
            _reading(layer, steps, ids.shape[1])
            for layer, steps in zip(self.layers.hidden, seen, strict=True)
            if isinstance(layer, Recurrent)
        ]
        turned = tuple(tuple(np.ascontiguousarray(part.T) for part in layer) for layer in states)
        return readings, split((*turned, (np.ascontiguousarray(values.T),)), alone=state.alone)

    def describe(self) -> dict[str, Any]:
        """Its settings as `network`, and its parameters as `Layers.describe` lists them."""
        return {
            "name": self.name,
            "vocabulary_size": self.vocabulary_size,
            "network": to_mapping(self.config),
            **self.layers.describe(),
        }

    def as_network(self) -> "RecurrentModel":
        """Itself: training can go on from it."""
        return self

    def as_ngrams(self) -> None:
        """None: it has no tables of n-grams."""

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, Float32Array]]:
        """What a model file keeps: JSON values, and arrays by name."""
        network = to_mapping(self.config)
        if not self.config.dense_layers:
            network = {name: value for name, value in network.items() if name not in SINCE_VERSION_3}
        config = {
            "vocabulary_size": self.vocabulary_size,
            "start_token": self.start_token,
            "network": network,
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
                parts = shape.layers + shape.dense_layers + len(shape.given_cutoffs())
                if parts > len(tensors):  # before so many are listed one by one
                    raise ModelError(f"it claims {parts} layers and clusters, but has {len(tensors)} tensors")
                return cls(shape, size, start, tensors)
            case _:
                raise ModelError("its configuration lacks vocabulary_size, start_token or network")

    @cached_property
    def _kernels(self) -> list[Kernel]:
        """Of each hidden layer; made at first use, for not every command uses a model."""
        return [kernel(layer, arrays_of(layer, self.parameters)) for layer in self.layers.hidden]

    @cached_property
    def _output(self) -> OutputKernel:
        """Of the output layer."""
        return output_kernel(self.layers.output, arrays_of(self.layers.output, self.parameters))

    @cached_property
    def _first(self) -> ProjectingKernel | None:
        """The kernel of the first layer, if its products with all tokens are computed in advance."""
        first, embedding = self.layers.hidden[0], self.layers.embedding
        if not isinstance(first, Recurrent) or first.residual:
            return None
        gates = len(self.parameters[f"{first.prefix}bias"])
        if embedding.parameters and self.vocabulary_size * gates > PROJECTED_FLOATS:
            return None
        return cast(ProjectingKernel, self._kernels[0])

    @cached_property
    def _projected(self) -> Float32Array:
        """What each token contributes to the gates of the first layer, (V, G*H); for one-hot input always."""
        assert self._first is not None
        if self.layers.embedding.parameters:
            return self._first.project(self.parameters["embedding"])
        return self._first.project_one_hot()

    @cached_property
    def _projected_columns(self) -> Float32Array:
        """The same with a column for each token, (G*H, V)."""
        return np.ascontiguousarray(self._projected.T)

    def _step(self, layers: Columns, ids: IdArray) -> Columns:
        """What all layers remember after one more token a column; `ids` is (B,)."""
        spaces = self._spaces.of(self._kernels, len(ids))
        after = []
        hidden = zip(self._kernels, layers, spaces, strict=False)
        if self._first is None:
            values = self._vectors(ids)
        else:
            _, before, space = next(hidden)
            values, state = self._first.step_projected(self._contributions(ids), before, space)
            after.append(state)
        for each, before, space in hidden:
            values, state = each.step(values, before, space)
            after.append(state)
        return (*after, (values,))

    def _vectors(self, ids: IdArray) -> Float32Array:
        """What the embedding makes of each of `ids`, (n, B)."""
        vectors: Float32Array = self.layers.embedding.step(self.parameters, ids, ())[0].T
        return vectors

    def _contributions(self, ids: IdArray) -> Float32Array:
        """What each of `ids` contributes to the gates of the first layer, (G*H, B)."""
        if len(ids) == 1:
            return self._projected[ids[0], :, None]  # no copy
        return np.take(self._projected_columns, ids, axis=1)  # three times as fast as turning rows

    def _predicted(self, layers: Columns) -> FloatArray:
        """Log-probabilities of the token after each column, (B, V)."""
        return self._output.log_probabilities(self._output.prepare(layers[-1][0]))


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


def _reading(layer: Recurrent, steps: "Sequence[_Step]", streams: int) -> Reading:
    """A layer's states and gates, step by step, as arrays (T, B, H)."""
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


def _check_parameters(parameters: Parameters, expected: Sequence[Parameter]) -> None:
    """Refuse arrays that are not exactly those of `expected`."""
    names = {parameter.name for parameter in expected}
    if missing := sorted(names - set(parameters)):
        raise ModelError(f"its tensors {', '.join(missing)} are missing")
    if extra := sorted(set(parameters) - names):
        raise ModelError(f"its tensors {', '.join(extra)} belong to no layer of this network")
    for parameter in expected:
        name, shape, found = parameter.name, parameter.shape, parameters[parameter.name]
        if found.shape != shape or found.dtype != np.float32:
            raise ModelError(
                f"its tensor {name} is {found.dtype} {found.shape}, but has to be float32 {shape}"
            )
        if not -inf < found.min() <= found.max() < inf:  # a NaN is nowhere
            raise ModelError(f"its tensor {name} holds values that are not finite numbers")
