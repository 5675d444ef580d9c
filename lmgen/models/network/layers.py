"""
Build the list of layers of a network from its settings.

    ids ──► embedding ──► convolutions ──► recurrent 0 ──► ... ──► recurrent L-1 ──► dense ... ──► output
             (V -> E)       (E -> F)         (F -> H)                (H -> H)        (H -> D)      (-> V)

Layer normalisation, if there is any, follows each recurrent layer, and attention the last of these. There may
be none of convolutions, recurrent layers or dense layers, but not none of all three. A network that labels
texts has L labels in place of V tokens at its output; its recurrent layers may be bidirectional, and pooling
stands before the dense layers.

To add a kind of layer, write a file like dense.py and add it to `network_layers`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lmgen.models.network.attention import Attention
from lmgen.models.network.bidirectional import Bidirectional
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.convolution import Convolution
from lmgen.models.network.dense import Dense
from lmgen.models.network.embedding import Embedding, OneHot
from lmgen.models.network.labelling import Labelling
from lmgen.models.network.layer import Layer, Parameter
from lmgen.models.network.ngram_embedding import NgramEmbedding
from lmgen.models.network.normalization import LayerNormalization
from lmgen.models.network.output import AdaptiveSoftmax, Output, Softmax
from lmgen.models.network.pooling import Pooling
from lmgen.models.network.recurrent import Recurrent


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of a network, from token ids to log-probabilities of the next token."""

    embedding: Embedding | NgramEmbedding | OneHot
    hidden: tuple[Layer, ...]
    """The layers between embedding and output: convolutions, recurrent layers and their normalisation,
    attention, dense ones."""
    output: Output

    def __iter__(self) -> Iterator[Layer]:
        """Iterate over all layers from input to output."""
        yield from (self.embedding, *self.hidden, self.output)

    @property
    def in_state(self) -> tuple[Layer, ...]:
        """The layers in the order of their states in a NetworkState; the output has none."""
        return *self.hidden, self.embedding

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
def network_layers(config: NetworkConfig, vocabulary_size: int, labelling: Labelling | None = None) -> Layers:
    """
    Build the layers of a network that reads V tokens and predicts the next one, or labels.

    Raises:
        ConfigError: the cutoffs of an adaptive output do not fit the vocabulary.
    """
    V = vocabulary_size
    embedding = _embedding(config, V)
    hidden = tuple(_hidden(config, embedding.outputs, labelling))
    if labelling is None:
        return Layers(embedding, hidden, _output(config, V))
    read = hidden[-1].outputs if hidden else embedding.outputs
    return Layers(embedding, hidden, Softmax(inputs=read, outputs=labelling.labels))


def _embedding(config: NetworkConfig, vocabulary_size: int) -> Embedding | NgramEmbedding | OneHot:
    V, E = vocabulary_size, config.embedding_width
    if E == 0:
        return OneHot(inputs=V)
    tokens = Embedding(inputs=V, outputs=E, tied=config.tied)
    if config.ngram_embedding is None:
        return tokens
    return NgramEmbedding(tokens=tokens, order=config.ngram_embedding, rows=config.ngram_rows)


def _hidden(config: NetworkConfig, inputs: int, labelling: Labelling | None) -> Iterator[Layer]:
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
    both = labelling is not None and labelling.bidirectional
    for layer in _recurrent(config, inputs, bidirectional=both):
        yield layer
        inputs = layer.outputs
        if config.normalization == "layer":
            yield LayerNormalization(number=layer.number, inputs=inputs)
    if config.attention is not None:
        yield Attention(inputs=inputs, reach=config.attention)
    if labelling is not None and labelling.pool is not None and (both or labelling.pool != "last"):
        yield Pooling(inputs=inputs, pool=labelling.pool)  # otherwise the last step is what it is
    for number, size in enumerate(config.dense_sizes):
        yield Dense(number=number, inputs=inputs, outputs=size, activation=config.dense_activation)
        inputs = size


def _recurrent(
    config: NetworkConfig, inputs: int, *, bidirectional: bool
) -> Iterator[Recurrent | Bidirectional]:
    """
    The recurrent layers, one on top of the other.

    With `residual`, each layer after the first gets a residual connection if its input and output sizes
    match.
    """
    cell = config.cell
    for number, size in enumerate(config.layer_sizes):
        outputs = 2 * size if bidirectional else size
        residual = config.residual and number > 0 and outputs == inputs
        if bidirectional:
            yield Bidirectional(number=number, cell_name=cell, inputs=inputs, units=size, residual=residual)
        else:
            yield Recurrent(number=number, cell_name=cell, inputs=inputs, outputs=size, residual=residual)
        inputs = outputs


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
