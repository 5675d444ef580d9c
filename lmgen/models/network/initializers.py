"""
Initializers of parameters, drawn with numpy so that they depend on the seed alone, not on the device.

numpy is imported inside the functions: the command line imports cells.py, and so this file, and must start
without numpy.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from lmgen.arrays import FloatArray

INIT_NAMES = ("orthogonal", "uniform")
"""How the matrices of recurrent layers may start (initialization.py)."""

Shape = tuple[int, ...]

Initializer = Callable[[Shape, "np.random.Generator"], "FloatArray"]
"""Maps the shape of a parameter and a random generator to initial values."""


def constant(value: float) -> Initializer:
    """Fill with `value`, without drawing random numbers."""

    def fill(shape: Shape, random: "np.random.Generator") -> "FloatArray":  # noqa: ARG001
        import numpy as np

        return np.full(shape, value)

    return fill


zeros = constant(0.0)
ones = constant(1.0)


def normal(deviation: float) -> Initializer:
    """Normal distribution with mean 0 and standard deviation `deviation`."""

    def draw(shape: Shape, random: "np.random.Generator") -> "FloatArray":
        import numpy as np

        drawn: FloatArray = random.normal(0, 1, shape)
        # Division in float32 keeps the initial weights of earlier versions bit for bit.
        return drawn if deviation == 1 else drawn.astype(np.float32) / np.float32(1 / deviation)

    return draw


def glorot(shape: Shape, random: "np.random.Generator") -> "FloatArray":
    """Uniform distribution within ±sqrt(6 / (fan in + fan out)): Glorot and Bengio 2010, equation 16."""
    import numpy as np

    bound = np.sqrt(6 / sum(shape))
    return random.uniform(-bound, bound, shape)


def uniform(largest: float) -> Initializer:
    """Uniform distribution within ±`largest`."""
    return lambda shape, random: random.uniform(-largest, largest, shape)


def scaled(start: Initializer, factor: float) -> Initializer:
    """Another initializer's values times a factor."""
    return lambda shape, random: factor * start(shape, random)


def orthogonal(shape: Shape, random: "np.random.Generator") -> "FloatArray":
    """
    Random orthogonal matrix, (N, N): repeated multiplication preserves the norm of a vector.

    Saxe, McClelland and Ganguli 2014. Correcting the signs makes the distribution uniform (Mezzadri 2007).
    """
    import numpy as np

    q, r = np.linalg.qr(random.normal(size=shape))
    uniform: FloatArray = q * np.sign(np.diagonal(r))
    return uniform


def each_block(count: int, start: Initializer) -> Initializer:
    """Initialize `count` equal blocks of rows separately, so that fan in and fan out are those of a block."""

    def draw(shape: Shape, random: "np.random.Generator") -> "FloatArray":
        import numpy as np

        rows, *others = shape
        return np.concatenate([start((rows // count, *others), random) for _ in range(count)])

    return draw


def block_values(values: "tuple[float, ...]") -> Initializer:
    """Fill each of the equal blocks of a vector with one value: (0, 1) and length 4 -> 0 0 1 1."""

    def fill(shape: Shape, random: "np.random.Generator") -> "Any":  # noqa: ARG001
        import numpy as np

        return np.repeat(values, shape[0] // len(values))

    return fill
