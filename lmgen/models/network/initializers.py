"""
How parameters start: random draws with numpy, the same on every device for the same seed.

A layer says which of these each of its parameters starts from. numpy is imported at the first call, not with
this file, for the same reason as in functions.py.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from lmgen.arrays import FloatArray

Shape = tuple[int, ...]

Initializer = Callable[[Shape, "np.random.Generator"], "FloatArray"]
"""The shape of a parameter and a source of random numbers -> its first values."""


def constant(value: float) -> Initializer:
    """Every number is `value`; nothing is drawn."""

    def fill(shape: Shape, random: "np.random.Generator") -> "FloatArray":  # noqa: ARG001
        import numpy as np

        return np.full(shape, value)

    return fill


zeros = constant(0.0)
ones = constant(1.0)


def normal(deviation: float) -> Initializer:
    """Normal with mean 0 and this standard deviation."""

    def draw(shape: Shape, random: "np.random.Generator") -> "FloatArray":
        import numpy as np

        drawn: FloatArray = random.normal(0, 1, shape)
        # Divided in float32, as the first models were: the same seed gives the same numbers.
        return drawn if deviation == 1 else drawn.astype(np.float32) / np.float32(1 / deviation)

    return draw


def glorot(shape: Shape, random: "np.random.Generator") -> "FloatArray":
    """Uniform within ±sqrt(6 / (fan in + fan out)): Glorot and Bengio 2010, equation 16."""
    import numpy as np

    bound = np.sqrt(6 / sum(shape))
    return random.uniform(-bound, bound, shape)


def orthogonal(shape: Shape, random: "np.random.Generator") -> "FloatArray":
    """
    A random orthogonal matrix, (N, N): what is multiplied by it many times neither grows nor shrinks.

    Saxe, McClelland and Ganguli 2014. The sign fix makes it uniform over all of them (Mezzadri 2007).
    """
    import numpy as np

    q, r = np.linalg.qr(random.normal(size=shape))
    uniform: FloatArray = q * np.sign(np.diagonal(r))
    return uniform


def each_block(count: int, start: Initializer) -> Initializer:
    """Equal blocks of rows, one after the other, each drawn by `start` with its own fan in and fan out."""

    def draw(shape: Shape, random: "np.random.Generator") -> "FloatArray":
        import numpy as np

        rows, *others = shape
        return np.concatenate([start((rows // count, *others), random) for _ in range(count)])

    return draw


def block_values(values: "tuple[float, ...]") -> Initializer:
    """A vector of equal blocks, each filled with its value: (0, 1) for length 4 -> 0 0 1 1."""

    def fill(shape: Shape, random: "np.random.Generator") -> "Any":  # noqa: ARG001
        import numpy as np

        return np.repeat(values, shape[0] // len(values))

    return fill
