"""Train and open word vectors."""

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import Any

from lmgen.calls import in_python_words
from lmgen.python.given import ignore, named
from lmgen.text.sources import Text
from lmgen.vectors import training
from lmgen.vectors.models import open_vectors
from lmgen.vectors.table import Vectors


def train_vectors(
    *corpus: str | PathLike[str] | Text,
    texts: Iterable[str] | None = None,
    on_note: Callable[[str], None] | None = None,
    **settings: Any,
) -> Vectors:
    """
    Train word vectors with negative sampling, by gensim (`pip install "lmgen[vectors]"`).

        lmgen.train_vectors("book.txt", lowercase=True).near("king - man + woman")

    Args:
        corpus: as in `train`; its own validation and test texts are left out.
        texts: as in `train`.
        on_note: callback for the notes that `lmgen vectors train` prints.
        settings: flags of `lmgen vectors train --help` as keywords: `method="cbow", window=10`.

    Raises:
        ConfigError: a setting is unknown or out of range.
        CorpusError: the corpus cannot be read or is too short.
        MissingExtraError: gensim is not installed.
    """
    with in_python_words():
        kept: dict[str, Text] = {}
        names = named(corpus, texts, kept)
        return training.train_vectors(names, texts=kept, on_note=on_note or ignore, **settings).vectors


def load_vectors(path: str | Path | None = None) -> Vectors:
    """
    Open word vectors: a file in a format of word2vec, GloVe or fastText, or the embedding of a model.

    Args:
        path: the file of vectors, a run folder or a model file; None: the newest model under `checkpoints/`.

    Raises:
        CorpusError: the file is cut off, or no file of word vectors.
        ModelError: there is none, or the model has no embedding.
    """
    with in_python_words():
        return open_vectors(None if path is None else Path(path))
