"""
The weights a network starts from, drawn with numpy: the same on every device for the same seed.

- embedding: normal, deviation 1, so that the gates tell tokens apart from the first step on (with 0.1, three
  epochs of tinyshakespeare end 0.04 nats worse); with tied weights 1 / sqrt(E), since it is the output layer
  too. From 10,000 tokens on 1 / sqrt(E) as well: most are rare then, and what is drawn for them is noise that
  few updates have to overcome (a third of an epoch of WikiText-2 ends 0.2 nats better). The row of the
  unknown token is zero, so that a character never seen in training adds nothing to the gates instead of noise
- input weights: uniform ±sqrt(6 / (fan in + fan out)) for each gate (Glorot and Bengio 2010, equation 16)
- recurrent weights: a random orthogonal matrix for each gate, so that what is multiplied by it many times
  neither grows nor shrinks (Saxe, McClelland and Ganguli 2014)
- gains of a layer normalisation 1, peephole weights 0
- biases zero, but 1 for an LSTM's forget gate: it remembers until it learns otherwise (Gers et al. 2000;
  Jozefowicz, Zaremba and Sutskever 2015)
- output weights: uniform ±sqrt(6 / (V + H)), and those of a cluster likewise by its own sizes; a projection
  before them ±sqrt(6 / (H + E))
"""

import numpy as np

from lmgen.models.base import FloatArray
from lmgen.models.network.cells import Cell, cell_named
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.model import Float32Array, ParameterShape, parameter_shapes

LARGE_VOCABULARY = 10_000
"""From so many tokens on the embedding starts small."""


def initial_parameters(
    config: NetworkConfig, vocabulary_size: int, unknown: int | None, seed: int
) -> dict[str, Float32Array]:
    """
    Draw all parameters of a network.

    Args:
        config: the shape of the network.
        vocabulary_size: V.
        unknown: the id of the unknown token, if there is one.
        seed: the same seed gives the same numbers.

    Returns:
        float32 arrays by the names of `parameter_shapes`.
    """
    random = np.random.default_rng([seed, 0x1517])  # a stream of its own: other uses of the seed differ
    cell = cell_named(config.cell)
    drawn = {
        shape.name: _draw(shape, cell, random).astype(np.float32)
        for shape in parameter_shapes(config, vocabulary_size)
    }
    if config.tied or vocabulary_size >= LARGE_VOCABULARY:
        drawn["embedding"] /= np.float32(np.sqrt(config.embedding_width))
    if unknown is not None:
        drawn["embedding"][unknown] = 0
    return drawn


def _draw(shape: ParameterShape, cell: Cell, random: np.random.Generator) -> FloatArray:
    """One array, by the rule for its name."""
    gates = cell.gates
    match shape.name.rpartition(".")[2]:
        case name if shape.name.startswith("layers.") and name in cell.recurrent:
            blocks = cell.recurrent[name].blocks
            return np.concatenate([_orthogonal(shape.shape[1], random) for _ in range(blocks)])
        case "embedding":
            return random.normal(0, 1, shape.shape)
        case "weight_input":
            rows, width = shape.shape
            return np.concatenate([_glorot((rows // len(gates), width), random) for _ in gates])
        case "gain_input" | "gain_recurrent" | "gain_cell":
            return np.ones(shape.shape)
        case "weight" | "projection":
            return _glorot(shape.shape, random)
        case "bias" if len(shape.shape) == 1 and "forget" in gates and shape.name.startswith("layers."):
            return np.repeat([float(gate == "forget") for gate in gates], shape.shape[0] // len(gates))
        case _:
            return np.zeros(shape.shape)


def _glorot(shape: tuple[int, ...], random: np.random.Generator) -> FloatArray:
    bound = np.sqrt(6 / sum(shape))
    return random.uniform(-bound, bound, shape)


def _orthogonal(size: int, random: np.random.Generator) -> FloatArray:
    """A random orthogonal matrix: the sign fix makes it uniform over all of them (Mezzadri 2007)."""
    q, r = np.linalg.qr(random.normal(size=(size, size)))
    uniform: FloatArray = q * np.sign(np.diagonal(r))
    return uniform
