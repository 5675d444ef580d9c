"""Model files small enough to know by heart what they say."""

from pathlib import Path

import numpy as np

from lmgen.models.model_file import save_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.labelling import Labelling
from lmgen.models.network.labels import LabelNetwork
from lmgen.models.network.model import RecurrentModel
from lmgen.text.config import ReadingConfig
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer


def save_bigram_model(path: Path, tokenizer: Tokenizer, log_weights: np.ndarray) -> Path:
    """
    Write a recurrent network that looks at the last token alone.

    Args:
        path: where to.
        tokenizer: of V tokens.
        log_weights: (V, V); row i are the scores, before the softmax, of what comes after token i.
    """
    V = tokenizer.vocabulary_size
    identity = np.eye(V, dtype=np.float32)
    parameters = {
        "embedding": identity,
        "layers.0.weight_input": 20 * identity,  # tanh(20) is 1 in float32: h is the token's one-hot vector
        "layers.0.weight_recurrent": np.zeros((V, V), np.float32),
        "layers.0.bias": np.zeros(V, np.float32),
        "output.weight": np.ascontiguousarray(log_weights.T, np.float32),
        "output.bias": np.zeros(V, np.float32),
    }
    network = NetworkConfig(cell="rnn", layers=1, hidden_size=V, embedding_size=V)
    save_model(path, RecurrentModel(network, V, tokenizer.start, parameters), tokenizer)
    return path


def chain(tokenizer: Tokenizer, text: str) -> np.ndarray:
    """Scores that repeat a text of different tokens: after each comes the next, after the last the first."""
    ids = tokenizer.encode(text)
    scores = np.zeros((tokenizer.vocabulary_size, tokenizer.vocabulary_size))
    scores[ids, np.roll(ids, -1)] = 30
    return scores


def save_label_model(path: Path, pool: str | None) -> Path:
    """Write a network with random weights that labels texts, or words without `pool`, by yes and no."""
    tokenizer = train_tokenizer(
        lambda: ["a fine day\nno\n"], TokenizerConfig(), ReadingConfig(unit="line", normalize="nfc")
    )
    config, V = NetworkConfig(hidden_size=5, embedding_size=3), tokenizer.vocabulary_size
    assert tokenizer.end is not None
    labelling = Labelling(labels=2, unit_end=tokenizer.end, bidirectional=True, pool=pool)
    parameters = initial_parameters(config, V, tokenizer.unknown, seed=0, labelling=labelling)
    save_model(path, LabelNetwork(config, V, labelling, ("yes", "no"), parameters), tokenizer)
    return path
