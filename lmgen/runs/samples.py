"""
What a network writes at each quarter of its training, kept as `samples.jsonl` in the run folder.

A copy of the weights writes it, with a generator of its own, so the training itself stays what it was. The
same run writes the same texts, whether it was interrupted or not.
"""

import json

import numpy as np

from lmgen.generation.config import SamplingConfig
from lmgen.generation.sampler import complete
from lmgen.models.network.model import RecurrentModel
from lmgen.tokenizers.base import Tokenizer
from lmgen.training.events import Stepped

QUARTERS = 4

LENGTH = 200
"""Tokens of a sample. It takes well under a second on a network that a CPU trains."""

UNITS = 6
"""How many texts are written where each ends by itself, as with `--unit line`."""

TEMPERATURE = 0.7


def is_quarter(before: float, after: float) -> bool:
    """Whether a quarter of the budget ends between two shares of it."""
    return int(before * QUARTERS) < int(after * QUARTERS)


def sample_line(network: RecurrentModel, tokenizer: Tokenizer, stepped: Stepped) -> str:
    """
    The line of `samples.jsonl` after an update.

    Raises:
        NumericalError: the network predicts nothing.
    """
    settings = SamplingConfig(length=LENGTH, temperature=TEMPERATURE, seed=0)
    num = 1 if tokenizer.end is None else UNITS
    with np.errstate(over="ignore", invalid="ignore"):  # weights may be about to explode
        texts = [each.text for each in complete(network, tokenizer, [""], settings, num=num)]
    place = {"step": stepped.step, "epoch": stepped.epoch, "progress": stepped.progress}
    return json.dumps({**place, "text": "\n".join(texts)}) + "\n"
