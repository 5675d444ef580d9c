"""Models with random weights, of every kind that can be served."""

from functools import cache
from pathlib import Path

import numpy as np

from lmgen.models.base import LanguageModel
from lmgen.models.mixture import MixtureModel
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.model import NgramModel
from lmgen.text.config import ReadingConfig
from lmgen.text_model import TextModel
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer

LINES = [f"worker {n % 7} finished job {n * n} after {n % 60} seconds, “{n}”\n" for n in range(200)]

TEXT = "".join(LINES)

TOKENIZERS = {
    "char": (TokenizerConfig(), ReadingConfig()),
    "line": (TokenizerConfig(), ReadingConfig(unit="line")),
    "byte": (TokenizerConfig(tokenizer="byte"), ReadingConfig()),
    "word": (TokenizerConfig(tokenizer="word", min_count=2), ReadingConfig()),
    "bpe": (TokenizerConfig(tokenizer="bpe", vocab_size=300), ReadingConfig()),
}

NETWORKS = {
    "lstm": NetworkConfig(cell="lstm", layers=2, hidden_size=24, embedding_size=12),
    "attention": NetworkConfig(cell="gru", hidden_size=16, embedding_size=8, attention=5),
    "convolution": NetworkConfig(cell="rnn", hidden_size=16, embedding_size=8, convolution="3x8"),
}


@cache
def tokenizer(name: str) -> Tokenizer:
    """A tokenizer by its name in TOKENIZERS."""
    return train_tokenizer(lambda: [TEXT], *TOKENIZERS[name])


@cache
def model(kind: str, tokens: str) -> LanguageModel:
    """A model of a kind for a tokenizer."""
    of = tokenizer(tokens)
    V = of.vocabulary_size
    if kind == "ngram":
        ids = np.concatenate(list(of.encode_stream([TEXT])))
        return NgramModel.fit(ids, order=3, vocabulary_size=V, sentence_end=of.sentence_end)
    if kind == "mixture":
        return MixtureModel([model("lstm", tokens), model("ngram", tokens)], [0.4, 0.6])
    config = NETWORKS[kind]
    parameters = initial_parameters(config, V, of.unknown, seed=3)
    return RecurrentModel(config, V, of.start, parameters, of.end)


def text_model(kind: str, tokens: str, name: str | None = None) -> TextModel:
    """A model as `lmgen.load` gives it, with a name for clients."""
    path = Path(name or f"{kind}-{tokens}")
    return TextModel(model(kind, tokens), tokenizer(tokens), path, {}, is_saved=False)
