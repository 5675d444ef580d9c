"""
What a network writes as it learns: for those who watch a run, and at each quarter of it for `samples.jsonl`.

A copy of the weights writes it, with a generator of its own, so the training itself stays what it was. The
same run writes the same texts, whether it was interrupted or not.
"""

import json
from pathlib import Path

import numpy as np

from lmgen.generation.config import SamplingConfig
from lmgen.generation.sampler import complete
from lmgen.models.base import LanguageModel
from lmgen.models.model_file import load_model
from lmgen.tokenizers.base import Tokenizer
from lmgen.training.events import Stepped

LENGTH = 240
"""Tokens of a sample. It takes well under a second on a network that a CPU trains."""

UNITS = 6
"""Samples of a model of lines or records, which end by themselves."""

TEMPERATURE = 0.7

QUARTERS = 4


def sample_of(path: Path) -> str:
    """A sample of a language model that was just saved; always drawn with the same random numbers."""
    saved = load_model(path)
    return _written(saved.model, saved.tokenizer)


def is_quarter(before: float, after: float) -> bool:
    """Whether a quarter of the budget ends between two shares of it."""
    return int(before * QUARTERS) < int(after * QUARTERS)


def sample_line(network: LanguageModel, tokenizer: Tokenizer, stepped: Stepped) -> str:
    """
    The line of `samples.jsonl` after an update.

    Raises:
        NumericalError: the network predicts nothing.
    """
    place = {"step": stepped.step, "epoch": stepped.epoch, "progress": stepped.progress}
    return json.dumps({**place, "text": _written(network, tokenizer)}) + "\n"


def _written(model: LanguageModel, tokenizer: Tokenizer) -> str:
    settings = SamplingConfig(length=LENGTH, temperature=TEMPERATURE, seed=0)
    num = 1 if tokenizer.end is None else UNITS
    with np.errstate(over="ignore", invalid="ignore"):  # weights may be about to explode
        return "\n".join(each.text for each in complete(model, tokenizer, [""], settings, num=num))
