"""Networks with random weights: what a cell does to states and gradients before it has learned anything."""

from lmgen.errors import ConfigError
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.initializers import INIT_NAMES, Start
from lmgen.models.network.model import RecurrentModel
from lmgen.settings import shown
from lmgen.tokenizers.base import Tokenizer


def untrained_network(
    config: NetworkConfig,
    tokenizer: Tokenizer,
    *,
    init: str = "orthogonal",
    init_scale: float | None = None,
    init_memory: int | None = None,
    seed: int = 0,
) -> RecurrentModel:
    """
    The network that training would begin with.

    Args:
        config: its shape.
        tokenizer: of the text to read.
        init: how the matrices of recurrent layers start.
        init_scale: factor on orthogonal matrices (1), or the range of uniform ones (0.08).
        init_memory: up to how many tokens the gates remember at first; None: as the cell says.
        seed: of the random weights.

    Raises:
        ConfigError: there is no such `init`, or a number is out of range.
    """
    problems = []
    if init not in INIT_NAMES:
        problems.append(f"--init is {shown(init)}, but has to be one of {', '.join(INIT_NAMES)}")
    if init_scale is not None and not 0 < init_scale <= 1000:
        problems.append(f"--init-scale is {init_scale}, but has to be above 0 and at most 1000")
    if init_memory is not None:
        if not 2 <= init_memory <= 1_000_000_000:
            problems.append(f"--init-memory is {init_memory}, but has to be from 2 to 1,000,000,000")
        config.check_memory()
    if seed < 0:
        problems.append(f"--seed is {seed}, but has to be at least 0")
    if config.normalization == "batch":
        problems.append("--normalization batch takes its statistics from training: leave it out")
    if problems:
        raise ConfigError("; ".join(problems))
    V = tokenizer.vocabulary_size
    start = Start(init=init, scale=init_scale, memory=init_memory)
    parameters = initial_parameters(config, V, tokenizer.unknown, seed, start)
    return RecurrentModel(config, V, tokenizer.start, parameters, tokenizer.end)
