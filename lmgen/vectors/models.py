"""Word vectors out of a file of them, or out of the embedding of a trained network."""

from pathlib import Path

import numpy as np

from lmgen.data.run_folder import MODEL_SUFFIX, find_model, named_by, suggested_run
from lmgen.errors import CorpusError, ModelError
from lmgen.models.base import LanguageModel
from lmgen.models.model_file import has_labels, load_labels, load_model
from lmgen.models.network.parameters import Parameters
from lmgen.settings import shown_path
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.words import GLUE
from lmgen.vectors.reading import read_vectors
from lmgen.vectors.table import Vectors


def open_vectors(path: Path | None) -> Vectors:
    """
    Open a file of word vectors, or the embedding of a model.

    Args:
        path: the file, a run folder or a model file; None: the newest model under `checkpoints/`.

    Raises:
        CorpusError: the file is cut off, has no word in UTF-8, or is no file of word vectors.
        ModelError: there is none, or the model has no embedding.
    """
    if path is None or path.is_dir() or path.suffix == MODEL_SUFFIX:
        file = find_model(path)
        name = str(named_by(file))
        if has_labels(file):
            labelling = load_labels(file)
            return _embedding(labelling.model.parameters, labelling.tokenizer, name)
        saved = load_model(file)
        return vectors_of(saved.model, saved.tokenizer, name)
    if not path.exists():
        raise ModelError(
            f"there is no file of word vectors, run or model file {shown_path(path)}; {suggested_run(path)}"
        )
    read = read_vectors(path)
    if not read.exact:
        raise CorpusError(f"{path} has no word whose bytes are UTF-8, which lmgen reads: convert it (iconv)")
    return Vectors(read.exact, np.stack(list(read.exact.values())), notes=read.notes, name=str(path))


def vectors_of(model: LanguageModel, tokenizer: Tokenizer, name: str) -> Vectors:
    """
    The embedding of a language model: a row for each token, in the order of the ids.

    Words are spelled as in the text, other tokens as `lmgen tokenize --pieces` writes them, with ▁ for a
    blank. Of punctuation marks that differ only in where they touch a word, the most frequent one is kept.

    Raises:
        ModelError: the model has no embedding.
    """
    network = model.as_network()
    if network is None:
        raise ModelError(
            f"{name} ({model.name}) has no word vectors: name a network or a file of vectors; `lmgen vectors "
            "train` makes one"
        )
    return _embedding(network.parameters, tokenizer, name)


def _embedding(parameters: Parameters, tokenizer: Tokenizer, name: str) -> Vectors:
    """As `vectors_of`, of the parameters of a network that may also label texts."""
    if "embedding" not in parameters:
        raise ModelError(f"{name} reads one-hot vectors (--embedding-size 0) and has no embedding")
    rows: dict[str, int] = {}
    for token in range(tokenizer.vocabulary_size):
        piece = tokenizer.piece(token)
        of_words = tokenizer.name == "word" and token != tokenizer.end
        rows.setdefault(piece.strip(GLUE) if of_words else tokenizer.escaped_piece(token), token)
    return Vectors(rows, parameters["embedding"][list(rows.values())], name=name)
