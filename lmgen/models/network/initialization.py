"""
The weights a network starts from, drawn with numpy: the same on every device for the same seed.

What each array starts from is said by its layer, in `Layer.parameters`.
"""

import numpy as np

from lmgen.arrays import Float32Array
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.layers import network_layers


def initial_parameters(
    config: NetworkConfig, vocabulary_size: int, unknown: int | None, seed: int
) -> dict[str, Float32Array]:
    """
    Draw all parameters of a network.

    Args:
        config: the shape of the network.
        vocabulary_size: V.
        unknown: the id of the unknown token, if there is one. Its vector is zero, so that a character never
            seen in training adds nothing to the gates instead of noise.
        seed: the same seed gives the same numbers.

    Returns:
        float32 arrays by their names in the model file.
    """
    random = np.random.default_rng([seed, 0x1517])  # a stream of its own: other uses of the seed differ
    layers = network_layers(config, vocabulary_size)
    drawn = {one.name: one.start(one.shape, random).astype(np.float32) for one in layers.parameters}
    if unknown is not None:
        if "embedding" in drawn:
            drawn["embedding"][unknown] = 0
        else:  # a token's vector is a column of the first layer's weights
            drawn["layers.0.weight_input"][:, unknown] = 0
    return drawn
