"""
The stacked recurrent language model in use: numpy only. Training has the same model as a torch network.

    id ──► embedding ──► layer 0 ──► ... ──► layer L-1 ──► output ──► log-probabilities of the next id
             (E)          (H)                  (H)           (V)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from lmgen.errors import ModelError
from lmgen.models.base import FloatArray, IdArray
from lmgen.models.cells import CellState, cell_named
from lmgen.models.config import NetworkConfig
from lmgen.models.outputs import log_softmax, logits
from lmgen.settings import from_mapping, to_mapping

Float32Array = npt.NDArray[np.float32]
Parameters = Mapping[str, Float32Array]
LayerStates = tuple[CellState, ...]
"""Of each layer the parts of its cell's state, each (B, H)."""


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
    V, E, H, G = vocabulary_size, config.embedding_width, config.hidden_size, len(cell.gates)
    gates = "" if G == 1 else f"{G} "
    shapes = [ParameterShape("embedding", (V, E), "V E")]
    for layer in range(config.layers):
        width, letter = (E, "E") if layer == 0 else (H, "H")
        shapes += [
            ParameterShape(f"layers.{layer}.weight_input", (G * H, width), f"{gates}H {letter}"),
            ParameterShape(f"layers.{layer}.weight_recurrent", (G * H, H), f"{gates}H H"),
            ParameterShape(f"layers.{layer}.bias", (G * H,), f"{gates}H"),
        ]
        shapes += [ParameterShape(f"layers.{layer}.{name}", (H,), "H") for name in cell.vectors]
    if not config.tied:
        shapes.append(ParameterShape("output.weight", (V, H), "V H"))
    return [*shapes, ParameterShape("output.bias", (V,), "V")]


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
        self.config = config
        self.start_token = start_token
        self.parameters = dict(parameters)
        self._cell = cell_named(config.cell)
        self._layers = [self._layer(layer) for layer in range(config.layers)]

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return len(self.parameters["embedding"])

    @property
    def name(self) -> str:
        """The cell's name."""
        return self.config.cell

    def start(self, streams: int) -> LayerStates:
        """The state after the start token."""
        zeros = np.zeros((streams, self.config.hidden_size), np.float32)
        blank = (tuple(zeros for _ in self._cell.states),) * self.config.layers
        return self.advance(blank, np.full((1, streams), self.start_token))

    def predict(self, state: LayerStates) -> FloatArray:
        """Log-probabilities of the next token, (B, V)."""
        return self._log_probabilities(state[-1][0])

    def advance(self, state: LayerStates, ids: IdArray) -> LayerStates:
        """The state after reading `ids`, (T, B)."""
        return self._read(state, ids)[1]

    def score(self, state: LayerStates, ids: IdArray) -> tuple[FloatArray, LayerStates]:
        """Log-probability of each of `ids`, (T, B), and the state after them."""
        hidden, after = self._read(state, ids)
        before = np.concatenate([state[-1][0][None], hidden[:-1]])  # (T, B, H)
        log_probabilities = self._log_probabilities(before)
        return np.take_along_axis(log_probabilities, ids[..., None].astype(np.intp), -1)[..., 0], after

    def select(self, state: LayerStates, streams: Sequence[int]) -> LayerStates:
        """The state of the listed streams."""
        chosen = list(streams)
        return tuple(tuple(part[chosen] for part in layer) for layer in state)

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
            case {"vocabulary_size": int(size), "start_token": int(start), "network": dict(network)}:
                shape = from_mapping(NetworkConfig, network, "the model's configuration")
                if shape.layers > len(tensors):  # before so many layers are listed one by one
                    raise ModelError(f"it claims {shape.layers} layers, but has {len(tensors)} tensors")
                return cls(shape, size, start, tensors)
            case _:
                raise ModelError("its configuration lacks vocabulary_size, start_token or network")

    def _layer(self, layer: int) -> dict[str, FloatArray]:
        """A layer's arrays; matrices transposed and contiguous, ready for products from the left."""
        prefix = f"layers.{layer}."
        return {
            name.removeprefix(prefix): np.ascontiguousarray(array.T)
            for name, array in self.parameters.items()
            if name.startswith(prefix)
        }

    def _read(self, state: LayerStates, ids: IdArray) -> tuple[FloatArray, LayerStates]:
        """Run all layers over `ids`, (T, B): the top one's hidden states, (T, B, H), and the state after."""
        values = self.parameters["embedding"][ids]  # (T, B, E)
        after = []
        for layer, before in zip(self._layers, state, strict=True):
            values, last = self._run_layer(layer, values, before)
            after.append(last)
        return values, tuple(after)

    def _run_layer(
        self, layer: dict[str, FloatArray], values: FloatArray, state: CellState
    ) -> tuple[FloatArray, CellState]:
        """One layer over (T, B, I): its hidden states, (T, B, H), and its last state."""
        inputs = values @ layer["weight_input"] + layer["bias"]  # (T, B, G*H)
        hidden = np.empty((*values.shape[:2], self.config.hidden_size), np.float32)
        for step, x in enumerate(inputs):
            state = self._cell.step(x, state[0] @ layer["weight_recurrent"], state, layer)
            hidden[step] = state[0]
        return hidden, state

    def _log_probabilities(self, hidden: FloatArray) -> FloatArray:
        return log_softmax(logits(hidden, self.parameters))  # type: ignore[no-any-return]


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
        if not np.isfinite(found).all():
            raise ModelError(f"its tensor {shape.name} holds values that are not finite numbers")
