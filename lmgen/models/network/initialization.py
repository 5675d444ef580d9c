"""
Initial weights of a network, drawn with numpy so that they depend on the seed alone, not on the device.

Each layer names the initializers of its arrays in `Layer.parameters`.
"""

from collections.abc import Mapping

import numpy as np

from lmgen.arrays import Float32Array, IdArray, Int64Array
from lmgen.models.network.bidirectional import Bidirectional
from lmgen.models.network.cells import cell_named
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initializers import Initializer, Start, remembering, scaled, uniform
from lmgen.models.network.labelling import Labelling
from lmgen.models.network.layers import Layers, network_layers
from lmgen.models.network.output import Output
from lmgen.models.network.recurrent import Recurrent

UNIFORM_RANGE = 0.08
"""Largest absolute value of uniform initial weights, if none is given."""

AS_THE_CELL_SAYS = Start()


def initial_parameters(
    config: NetworkConfig,
    vocabulary_size: int,
    unknown: int | None,
    seed: int,
    start: Start = AS_THE_CELL_SAYS,
    labelling: Labelling | None = None,
) -> dict[str, Float32Array]:
    """
    Initialize all parameters of a network.

    Args:
        config: shape of the network.
        vocabulary_size: V.
        unknown: id of the unknown token, or None. Its vector is zero, so that a token never seen in training
            adds nothing to the gates instead of noise.
        seed: seed of the random numbers.
        start: how recurrent layers start.
        labelling: of a network that predicts labels; None: it predicts tokens.

    Returns:
        float32 arrays by their names in the model file.
    """
    random = np.random.default_rng([seed, 0x1517])  # its own stream, independent of other uses of the seed
    layers = network_layers(config, vocabulary_size, labelling)
    starts = {one.name: one.start for one in layers.parameters} | _recurrent_starts(layers, start)
    drawn = {one.name: starts[one.name](one.shape, random).astype(np.float32) for one in layers.parameters}
    if unknown is not None:
        if "embedding" in drawn:
            drawn["embedding"][unknown] = 0
        else:  # one-hot: a token's vector is a column of the first layer's weights
            first = layers.hidden[0].parameters
            for one in [one for one in first if one.name.endswith("weight_input")] or first[:1]:
                drawn[one.name][:, unknown] = 0
    return drawn


def with_vectors(
    parameters: Mapping[str, Float32Array], ids: IdArray, vectors: Float32Array
) -> dict[str, Float32Array]:
    """
    The same parameters with an embedding that starts with given vectors.

    All other rows are scaled so that their numbers are as large, by the root mean square, as those given.

    Args:
        parameters: as `initial_parameters` gave them.
        ids: tokens with a vector, (N,).
        vectors: theirs, (N, E).
    """
    table = parameters["embedding"]
    drawn = table[table != 0]  # without the unknown token
    usual, given = (np.sqrt(np.mean(np.square(each, dtype=np.float64))) for each in (drawn, vectors))
    table = table * np.float32(given / usual) if given else table.copy()
    table[ids] = vectors
    return {**parameters, "embedding": table}


def with_frequencies(
    parameters: Mapping[str, Float32Array], output: Output, counts: Int64Array
) -> dict[str, Float32Array]:
    """
    The same parameters with an output layer that starts with how frequent tokens are.

    So the first updates need not be spent on what counting tells.

    Args:
        parameters: as `initial_parameters` gave them.
        output: the layer.
        counts: how often each token occurs, (V,); one is added to each.
    """
    probabilities = (counts + 1) / (counts.sum() + len(counts))
    return {**parameters, "output.bias": output.bias_for(probabilities).astype(np.float32)}


def _recurrent_starts(layers: Layers, start: Start) -> dict[str, Initializer]:
    """The initializers of parameters of recurrent layers that are not those that their cell names."""
    starts: dict[str, Initializer] = {}
    for layer in layers.hidden:
        if not isinstance(layer, Recurrent | Bidirectional):
            continue
        cell = cell_named(layer.cell_name)
        values = tuple(cell.bias.get(gate, 0.0) for gate in cell.gates)
        keeps = tuple(cell.keeps.get(gate, 0) for gate in cell.gates)
        recurrent = {layer.prefix + name for name in layer.recurrent}
        for one in layer.parameters:
            if start.init == "uniform" and len(one.shape) == 2:
                starts[one.name] = uniform(UNIFORM_RANGE if start.scale is None else start.scale)
            elif start.init == "orthogonal" and start.scale is not None and one.name in recurrent:
                starts[one.name] = scaled(one.start, start.scale)
            elif start.memory is not None and one.name.endswith(".bias"):
                starts[one.name] = remembering(values, keeps, start.memory)
    return starts
