"""Tokenizers trained on one small text, which the tests share."""

from collections.abc import Callable

import pytest

from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TOKENIZER_NAMES, TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer

SAMPLE = """\
The cat sat on the mat.  It wasn't the cat's mat; was it?
    def state_of_the_art(x):
\treturn x + 3.14  # naïve “quotes”, emoji 👩‍👩‍👧 and 日本語
the <unk> and </s> of a text are words, <s> too

Ärger über Öl: the end of the state-of-the-art cat
"""

Train = Callable[..., Tokenizer]


@pytest.fixture(scope="session")
def train() -> Train:
    """Trains on a text: `train("word", "a b", min_count=2)`."""

    def train_on(name: str, text: str = SAMPLE, **settings: object) -> Tokenizer:
        config = TokenizerConfig(tokenizer=name, **settings)  # type: ignore[arg-type]
        return train_tokenizer(lambda: [text[:7], text[7:]], config)

    return train_on


@pytest.fixture(scope="session")
def tokenizers(train: Train) -> dict[str, Tokenizer]:
    """One of each, trained on the sample; and words with their punctuation split off."""
    trained = {name: train(name) for name in TOKENIZER_NAMES}
    return trained | {"word-split": train("word", split_punctuation=True)}
