"""
Initializers of parameters, drawn with numpy so that they depend on the seed alone, not on the device.

numpy is imported inside the functions: the command line imports cells.py, and so this file, and must start
without numpy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from lmgen.arrays import FloatArray

INIT_NAMES = ("orthogonal", "uniform")
"""How the matrices of recurrent layers may start (initialization.py)."""

OUTPUT_STARTS = ("zeros", "frequencies")
"""What the bias of the output layer may start with."""

EMBEDDING_STARTS = ("random", "contexts")
"""What the embedding may start with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How recurrent layers start, where it is not as their cell says."""

    init: str = "orthogonal"
    """`orthogonal`: matrices as the cell says. `uniform`: all of them within `scale` of 0, as in char-rnn."""
    scale: float | None = None
    """A factor on orthogonal matrices (1), or the range of uniform ones (0.08)."""
    memory: float | None = None
    """How many tokens gates remember at first, at most (see `remembering`); None: biases as the cell says."""


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


def remembering(values: "tuple[float, ...]", keeps: "tuple[int, ...]", tokens: float) -> Initializer:
    """
    Biases of gates with which each unit remembers for a number of tokens of its own, from 1 to `tokens` - 1.

    Chrono initialization: Tallec and Ollivier 2018, equation 16 and section 2. An input that adds nothing
    leaves the share sigmoid(b) of a unit's state at each token, and b = log u forgets it within about u + 1.

    Args:
        values: of the gates that have nothing to do with it, as for `block_values`.
        keeps: for each gate 1 if it keeps the state, -1 if it writes over it, 0 if neither.
        tokens: the longest memory T; u is uniform from 1 to T - 1.
    """

    def draw(shape: Shape, random: "np.random.Generator") -> "FloatArray":
        import numpy as np

        units = shape[0] // len(values)
        bias = np.log(random.uniform(1, tokens - 1, units))
        pairs = zip(values, keeps, strict=True)
        return np.concatenate([keep * bias if keep else np.full(units, value) for value, keep in pairs])

    return draw
