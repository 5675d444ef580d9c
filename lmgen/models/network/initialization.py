"""
Initial weights of a network, drawn with numpy so that they depend on the seed alone, not on the device.

Each layer names the initializers of its arrays in `Layer.parameters`.
"""

import numpy as np

from lmgen.arrays import Float32Array
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.layers import network_layers


def initial_parameters(
    config: NetworkConfig, vocabulary_size: int, unknown: int | None, seed: int
) -> dict[str, Float32Array]:
    """
    Initialize all parameters of a network.

    Args:
        config: shape of the network.
        vocabulary_size: V.
        unknown: id of the unknown token, or None. Its vector is zero, so that a token never seen in training
            adds nothing to the gates instead of noise.
        seed: seed of the random numbers.

    Returns:
        float32 arrays by their names in the model file.
    """
    random = np.random.default_rng([seed, 0x1517])  # its own stream, independent of other uses of the seed
    layers = network_layers(config, vocabulary_size)
    drawn = {one.name: one.start(one.shape, random).astype(np.float32) for one in layers.parameters}
    if unknown is not None:
        if "embedding" in drawn:
            drawn["embedding"][unknown] = 0
        else:  # one-hot: a token's vector is a column of the first layer's weights
            drawn["layers.0.weight_input"][:, unknown] = 0
    return drawn
