"""A sample of a model as it learns, for those who watch a run."""

from pathlib import Path

LENGTH = 240
"""Tokens of a sample."""

UNITS = 6
"""Samples of a model of lines or records, which end by themselves."""


def sample_of(path: Path) -> str:
    """A sample of a language model that was just saved; always drawn with the same random numbers."""
    from lmgen.text_model import TextModel

    model = TextModel.load(path)
    count = 1 if model.tokenizer.end is None else UNITS
    samples = model.complete([""], num=count, length=LENGTH, temperature=0.7, seed=0)
    return "\n".join(completion.text for completion in samples)
