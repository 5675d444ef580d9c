"""
Inference with a network that labels texts, in numpy. Training runs the same layers on torch.

    ids of whole texts ──► embedding ──► layers ──► pooling ──► output ──► log-probabilities of L labels

It is no language model: it reads a text as a whole, to the end, and predicts nothing of the text itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lmgen.arrays import Float32Array, FloatArray, IdArray
from lmgen.errors import ModelError
from lmgen.models.network.bidirectional import Bidirectional, backward_order
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.labelling import POOLS, Labelling, check_labelling
from lmgen.models.network.layer import arrays_of
from lmgen.models.network.layers import network_layers
from lmgen.models.network.parameters import Parameters, check_parameters
from lmgen.settings import from_mapping, to_mapping
from lmgen.text.config import LabelOf

TEXTS = 64
"""The most texts that are read side by side."""

TOKENS = 1 << 14
"""The most tokens that are read side by side, padding included, unless a single text is longer."""


class LabelNetwork:
    """A trained network that gives every text, or every word of it, a label."""

    kind = "labels"
    format_version = 4

    def __init__(
        self,
        config: NetworkConfig,
        vocabulary_size: int,
        labelling: Labelling,
        labels: Sequence[str],
        parameters: Parameters,
    ) -> None:
        """
        Build a model from trained parameters, which are not copied.

        Args:
            config: shape of the network.
            vocabulary_size: V.
            labelling: what it predicts, and how.
            labels: the names of the L labels.
            parameters: float32 arrays with the names and shapes of `Layers.parameters`.

        Raises:
            ModelError: an array is missing, unexpected, of the wrong shape or type, or not finite; or labels
                are named twice.
        """
        if len(set(labels)) != labelling.labels or len(labels) != labelling.labels:
            raise ModelError(f"it has {labelling.labels} outputs, but the names of its labels are {labels}")
        if not 0 <= labelling.unit_end < vocabulary_size:
            raise ModelError(f"the end token {labelling.unit_end} is not one of the {vocabulary_size} ids")
        self.layers = network_layers(config, vocabulary_size, labelling)
        check_parameters(parameters, self.layers.parameters)
        self.config = config
        self.vocabulary_size = vocabulary_size
        self.labelling = labelling
        self.labels = tuple(labels)
        self.parameters = dict(parameters)

    def __str__(self) -> str:
        return f"{self.name}, {self.config.in_short.removeprefix(self.config.cell + ' ')}"

    def __repr__(self) -> str:
        return f"<LabelNetwork {self}, V = {self.vocabulary_size}, L = {len(self.labels)}>"

    @property
    def name(self) -> str:
        """The cell's name, with its direction; without recurrent layers `convolution` or `dense`."""
        return f"bidirectional {self.config.name}" if self.labelling.bidirectional else self.config.name

    @property
    def of(self) -> LabelOf:
        """What has a label: each text, `line`, or each of its words."""
        return "word" if self.labelling.pool is None else "line"

    def log_probabilities(self, texts: Sequence[IdArray]) -> list[FloatArray]:
        """
        Read whole texts.

        Args:
            texts: the ids of each, the last of which ends it.

        Returns:
            For each text log-probabilities of the labels at each of its tokens, (T, L). A text with one label
            has it at the last token.
        """
        found: dict[int, FloatArray] = {}
        for group in _groups([len(text) for text in texts]):
            ids = np.full((len(texts[group[0]]), len(group)), self.labelling.unit_end)
            for stream, place in enumerate(group):
                ids[: len(texts[place]), stream] = texts[place]
            scores = self._read(ids)
            for stream, place in enumerate(group):
                found[place] = scores[: len(texts[place]), stream]
        return [found[place] for place in range(len(texts))]

    def describe(self) -> dict[str, Any]:
        """Settings under `network` and `labelling`, labels, and parameter counts; JSON values."""
        return {
            "name": self.name,
            "vocabulary_size": self.vocabulary_size,
            "network": to_mapping(self.config),
            "bidirectional": self.labelling.bidirectional,
            "pool": self.labelling.pool,
            "labels": list(self.labels),
            "label_of": self.of,
            **self.layers.describe(),
        }

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, Float32Array]]:
        """Contents of a model file: the configuration as JSON values, and arrays by name."""
        config = {
            "vocabulary_size": self.vocabulary_size,
            "unit_end": self.labelling.unit_end,
            "network": to_mapping(self.config),
            "bidirectional": self.labelling.bidirectional,
            "pool": self.labelling.pool,
            "labels": list(self.labels),
        }
        return config, self.parameters

    @classmethod
    def from_tensors(cls, config: Mapping[str, Any], tensors: Parameters) -> "LabelNetwork":
        """
        Rebuild a model from the result of `to_tensors`.

        Raises:
            ModelError: the configuration is incomplete, or the tensors do not fit it.
            ConfigError: a setting of the network has a wrong value.
        """
        match config:
            case {
                "vocabulary_size": int(size),
                "unit_end": int(end),
                "network": dict(network),
                "bidirectional": bool(both),
                "labels": list(labels),
            } if (
                type(size) is type(end) is int  # excludes bool
                and config.get("pool") in (None, *POOLS)
                and all(isinstance(label, str) for label in labels)
            ):
                shape = from_mapping(NetworkConfig, network, "the model's configuration")
                parts = shape.layers + shape.dense_layers + len(shape.convolutions)
                if parts > len(tensors):  # before building a list of all claimed layers
                    raise ModelError(f"it claims {parts} layers, but has {len(tensors)} tensors")
                check_labelling(shape, bidirectional=both)
                labelling = Labelling(
                    labels=len(labels), unit_end=end, bidirectional=both, pool=config.get("pool")
                )
                return cls(shape, size, labelling, labels, tensors)
            case _:
                raise ModelError(
                    "its configuration lacks vocabulary_size, unit_end, network, bidirectional or labels"
                )

    def _read(self, ids: IdArray) -> FloatArray:
        """Log-probabilities of the labels at each token of some texts with their padding, (T, B, L)."""
        order = backward_order(ids, self.labelling.unit_end)
        values: Any = ids
        *layers, output = self.layers
        for layer in layers:
            arrays = arrays_of(layer, self.parameters)
            if isinstance(layer, Bidirectional):
                values, _ = layer.window(arrays, values, (), order)
                continue
            zeros = tuple(np.zeros((ids.shape[1], size), np.float32) for size in layer.state_sizes)
            values, _ = layer.window(arrays, values, zeros)
        scores: FloatArray = output.window(arrays_of(output, self.parameters), values, ())[0]
        return scores


def _groups(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Which texts to read side by side, by their numbers: those of similar length, the longest first."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    while order:
        count = max(1, min(TEXTS, TOKENS // max(lengths[order[0]], 1)))
        yield order[:count]
        order = order[count:]
