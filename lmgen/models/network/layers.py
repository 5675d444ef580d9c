"""
Build the list of layers of a network from its settings.

    ids ──► embedding ──► convolutions ──► recurrent 0 ──► ... ──► recurrent L-1 ──► dense ... ──► output
             (V -> E)       (E -> F)         (F -> H)                (H -> H)        (H -> D)      (-> V)

Layer normalisation, if there is any, follows each recurrent layer, and attention the last of these. There may
be none of convolutions, recurrent layers or dense layers, but not none of all three.

To add a kind of layer, write a file like dense.py and add it to `network_layers`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lmgen.models.network.attention import Attention
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.convolution import Convolution
from lmgen.models.network.dense import Dense
from lmgen.models.network.embedding import Embedding, OneHot
from lmgen.models.network.layer import Layer, Parameter
from lmgen.models.network.normalization import LayerNormalization
from lmgen.models.network.output import AdaptiveSoftmax, Output, Softmax
from lmgen.models.network.recurrent import recurrent_layers


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of a network, from token ids to log-probabilities of the next token."""

    embedding: Embedding | OneHot
    hidden: tuple[Layer, ...]
    """The layers between embedding and output: convolutions, recurrent layers and their normalisation,
    attention, dense ones."""
    output: Output

    def __iter__(self) -> Iterator[Layer]:
        """Iterate over all layers from input to output."""
        yield from (self.embedding, *self.hidden, self.output)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All trainable arrays, layer by layer from input to output."""
        return tuple(parameter for layer in self for parameter in layer.parameters)

    def describe(self) -> dict[str, Any]:
        """
        List parameter counts as JSON values.

        `parameters` is the total. `layers` has a row for each trainable array: `name`, `layer`, `shape`, its
        count as `formula`, as `numbers` (the formula with values) and as `parameters`. `subtotals` has a row
        for each layer: `name`, `kind`, `inputs` n, `outputs` m, its count as `formula` and as `parameters`.
        """
        return {
            "parameters": sum(parameter.count for parameter in self.parameters),
            "layers": [
                {
                    "name": parameter.name,
                    "layer": _name(layer),
                    "shape": list(parameter.shape),
                    "formula": parameter.formula,
                    "numbers": parameter.numbers,
                    "parameters": parameter.count,
                }
                for layer in self
                for parameter in layer.parameters
            ],
            "subtotals": [
                {
                    "name": _name(layer),
                    "kind": layer.kind,
                    "inputs": layer.inputs,
                    "outputs": layer.outputs,
                    "formula": layer.formula,
                    "parameters": sum(parameter.count for parameter in layer.parameters),
                }
                for layer in self
            ],
        }


@lru_cache(maxsize=16)
def network_layers(config: NetworkConfig, vocabulary_size: int) -> Layers:
    """
    Build the layers of a network for V tokens.

    Raises:
        ConfigError: the cutoffs of an adaptive output do not fit the vocabulary.
    """
    V, E = vocabulary_size, config.embedding_width
    embedding = OneHot(inputs=V) if E == 0 else Embedding(inputs=V, outputs=E, tied=config.tied)
    return Layers(embedding, tuple(_hidden(config, embedding.outputs)), _output(config, V))


def _hidden(config: NetworkConfig, inputs: int) -> Iterator[Layer]:
    """The layers between the embedding, whose vectors have length `inputs`, and the output."""
    for number, (width, filters) in enumerate(config.convolutions):
        yield Convolution(
            number=number,
            width=width,
            inputs=inputs,
            outputs=filters,
            activation=config.convolution_activation,
        )
        inputs = filters
    for layer in recurrent_layers(config.cell, inputs, config.layer_sizes, residual=config.residual):
        yield layer
        inputs = layer.outputs
        if config.normalization == "layer":
            yield LayerNormalization(number=layer.number, inputs=inputs)
    if config.attention is not None:
        yield Attention(inputs=inputs, reach=config.attention)
    for number, size in enumerate(config.dense_sizes):
        yield Dense(number=number, inputs=inputs, outputs=size, activation=config.dense_activation)
        inputs = size


def _output(config: NetworkConfig, vocabulary_size: int) -> Output:
    V = vocabulary_size
    if starts := config.cluster_starts(V):
        widths = tuple(map(config.cluster_width, range(len(starts))))
        return AdaptiveSoftmax(inputs=config.output_inputs, outputs=V, starts=starts, widths=widths)
    tied_to = config.embedding_width if config.tied else None
    return Softmax(inputs=config.output_inputs, outputs=V, tied_to=tied_to)


def _name(layer: Layer) -> str:
    """Name of a layer: `embedding`, `layers.0`, `output`."""
    return layer.prefix.rstrip(".") or "embedding"
