"""
Word vectors made elsewhere as the first weights of the embedding: `lmgen train --embeddings FILE`.

    file ──► vectors of the vocabulary's words ──► data/vectors.safetensors ──► embedding

A word gets the vector of its own spelling, or, where the file lacks that, of its lower case. With
`--lowercase` a word stands for all spellings that differ in case, so it may also get the vector of one of
them: the first in the file. Words without a vector start with random numbers as large as those of the file,
by their root mean square. `<unk>` and `</s>`, the end of a line, get the vectors of these spellings; without
one `<unk>` is zero.

The vectors are copied to the run folder before training and deleted with the first checkpoint, which has them
in the weights: a run that is resumed does not need the file.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lmgen.arrays import Float32Array, Int64Array
from lmgen.data.prepared import Prepared
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import token_counts
from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.models.model_file import load_tensors, save_tensors
from lmgen.runs.config import RunConfig
from lmgen.settings import NONE
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.words import GLUE
from lmgen.vectors.reading import read_vectors, vector_size

EXAMPLES = 8
"""Maximum number of words without a vector that the note lists."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """Vectors of some tokens."""

    ids: Int64Array
    """Ascending, (N,)."""
    vectors: Float32Array
    """(N, E)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of a vocabulary has vectors. `<unk>` and `</s>` are not counted as words."""

    words: int
    """Of the vocabulary."""
    found: int
    """Words with a vector."""
    other_case: int
    """Those of them whose vector is that of another spelling, by upper and lower case."""
    occurrences: int
    """Tokens of the training text that are words of the vocabulary."""
    found_occurrences: int
    """Those of them with a vector."""
    missing: tuple[tuple[str, int], ...]
    """The most frequent words without a vector, and how often each occurs."""

    def __str__(self) -> str:
        case = f" ({self.other_case:,} by another case)" if self.other_case else ""
        rest = self.words - self.found
        lacking = ", ".join(f"{word[:60]!r} {count:,}" for word, count in self.missing)
        more = ", ..." if rest > len(self.missing) else ""
        return (
            f"{self.found:,} of {self.words:,} words have vectors{case}: {self.found / self.words:.1%} of "
            f"the vocabulary, {self.found_occurrences / max(self.occurrences, 1):.1%} of the training text"
            + (f"; without one: {lacking}{more}" if rest else "")
        )


def with_vector_size(config: RunConfig) -> RunConfig:
    """
    The settings of a new run with the size of its word vectors, if it has any, as that of the embedding.

    Raises:
        ConfigError: another `--embedding-size` was asked for.
        CorpusError: as `vector_size`.
    """
    if config.training.embeddings is None:
        return config
    size = vector_size(Path(config.training.embeddings))
    asked = config.asked.get("embedding_size")
    if asked not in (None, NONE, size):
        raise ConfigError(
            f"--embedding-size is {asked}, but the vectors in {config.training.embeddings} have {size} "
            "numbers: leave --embedding-size out"
        )
    return replace(config, network=replace(config.network, embedding_size=size))


def keep_vectors(config: RunConfig, run: RunFolder, prepared: Prepared) -> tuple[str, ...]:
    """
    Copy the vectors of the vocabulary's words to the run folder.

    Returns:
        Notes: how many words have one, and what was wrong with the file.

    Raises:
        CorpusError: as `read_vectors`, or no word of the vocabulary has a vector.
        WriteError: the folder cannot be written to.
    """
    path = Path(str(config.training.embeddings))
    tokenizer = prepared.tokenizer
    spellings = [tokenizer.piece(token).strip(GLUE) for token in range(tokenizer.vocabulary_size)]
    wanted = {*spellings, *map(str.lower, spellings)}
    read = read_vectors(path, wanted, config.network.embedding_width, any_case=config.tokenizer.lowercase)
    found: dict[int, Float32Array] = {}
    other_case = set()
    for token, spelling in enumerate(spellings):
        if spelling in read.exact:
            found[token] = read.exact[spelling]
        elif token not in tokenizer.special_ids:
            vector = read.exact.get(spelling.lower(), read.other_case.get(spelling))
            if vector is not None:
                found[token] = vector
                other_case.add(token)
    if not found.keys() - tokenizer.special_ids:
        raise CorpusError(
            f"{path} has a vector for no word of the training text; is it of another language, or does the "
            "text need --lowercase or --split-punctuation?"
        )
    ids = np.array(list(found), np.int64)
    save_tensors(run.vectors, {"ids": ids, "vectors": np.stack(list(found.values()))}, {"kind": "vectors"})
    counts = token_counts(prepared.open_tokens(run.train_tokens, len(spellings)), len(spellings))
    coverage = _coverage(tokenizer, ids, len(other_case), counts)
    return (*read.notes, f"{path}: {coverage}")


def load_vectors(config: RunConfig, run: RunFolder, prepared: Prepared) -> Pretrained | None:
    """
    The vectors that a run's embedding starts with; None if it starts as usual.

    A run that was killed while it was prepared may lack its copy, which is then made again.

    Raises:
        ModelError: the copy is damaged.
        CorpusError, WriteError: as `keep_vectors`.
    """
    if config.training.embeddings is None:
        return None
    if not run.vectors.exists():
        keep_vectors(config, run, prepared)
    _, arrays = load_tensors(run.vectors)
    ids, vectors = arrays.get("ids"), arrays.get("vectors")
    V, E = prepared.tokenizer.vocabulary_size, config.network.embedding_width
    if (
        ids is None
        or vectors is None
        or (ids.dtype.name, vectors.dtype.name, ids.ndim) != ("int64", "float32", 1)
        or vectors.shape != (len(ids), E)
        or ((ids < 0) | (ids >= V)).any()
        or not np.isfinite(vectors).all()
    ):
        raise ModelError(f"{run.vectors} does not fit this run; train again with --overwrite")
    return Pretrained(ids, vectors)


def _coverage(tokenizer: Tokenizer, ids: Int64Array, other_case: int, counts: Int64Array) -> Coverage:
    """
    Count words with vectors.

    Args:
        tokenizer: of the run.
        ids: the tokens that have a vector.
        other_case: how many of them have that of another spelling.
        counts: of each token in the training text, (V,).
    """
    words = np.ones(len(counts), np.bool_)
    words[list(tokenizer.special_ids)] = False
    found = np.zeros_like(words)
    found[ids] = True
    lacking = np.flatnonzero(words & ~found)
    most_frequent = lacking[np.argsort(-counts[lacking], kind="stable")][:EXAMPLES].tolist()
    return Coverage(
        words=int(words.sum()),
        found=int((words & found).sum()),
        other_case=other_case,
        occurrences=int(counts[words].sum()),
        found_occurrences=int(counts[words & found].sum()),
        missing=tuple((tokenizer.piece(token).strip(GLUE), int(counts[token])) for token in most_frequent),
    )
