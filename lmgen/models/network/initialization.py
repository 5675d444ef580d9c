"""
Initial weights of a network, drawn with numpy so that they depend on the seed alone, not on the device.

Each layer names the initializers of its arrays in `Layer.parameters`.
"""

from collections.abc import Mapping

import numpy as np

from lmgen.arrays import Float32Array, IdArray
from lmgen.models.network.bidirectional import Bidirectional
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initializers import Initializer, scaled, uniform
from lmgen.models.network.labelling import Labelling
from lmgen.models.network.layers import Layers, network_layers
from lmgen.models.network.recurrent import Recurrent

UNIFORM_RANGE = 0.08
"""Largest absolute value of uniform initial weights, if none is given."""


def initial_parameters(
    config: NetworkConfig,
    vocabulary_size: int,
    unknown: int | None,
    seed: int,
    init: str = "orthogonal",
    scale: float | None = None,
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
        init: how the matrices of recurrent layers start. `orthogonal`: as their cell says, the recurrent ones
            times `scale` (1). `uniform`: all within `scale` of 0 (0.08, as in char-rnn).
        scale: how large these are; None for what is in brackets.
        labelling: of a network that predicts labels; None: it predicts tokens.

    Returns:
        float32 arrays by their names in the model file.
    """
    random = np.random.default_rng([seed, 0x1517])  # its own stream, independent of other uses of the seed
    layers = network_layers(config, vocabulary_size, labelling)
    starts = {one.name: one.start for one in layers.parameters} | _recurrent_starts(layers, init, scale)
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


def _recurrent_starts(layers: Layers, init: str, scale: float | None) -> dict[str, Initializer]:
    """The initializers of matrices of recurrent layers that are not those that their cell names."""
    starts: dict[str, Initializer] = {}
    for layer in layers.hidden:
        if not isinstance(layer, Recurrent | Bidirectional):
            continue
        recurrent = {layer.prefix + name for name in layer.recurrent}
        for one in layer.parameters:
            if init == "uniform" and len(one.shape) == 2:
                starts[one.name] = uniform(UNIFORM_RANGE if scale is None else scale)
            elif init == "orthogonal" and scale is not None and one.name in recurrent:
                starts[one.name] = scaled(one.start, scale)
    return starts
