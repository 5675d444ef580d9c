r"""
Train word vectors on a text: skip-gram and CBOW with negative sampling (Mikolov and others 2013), by gensim.

    J_NEG = log σ(u_o · v_c) + Σ_{k=1..K} log σ(−u_k · v_c)        maximised over all pairs (c, o)

v_c is the vector of the centre, which is kept; u_o that of the context, u_k those of K words drawn at random
by their frequency to the power of 3/4. CBOW has the mean of all context vectors in the place of v_c, and the
centre in that of o.

A text is split into words as `lmgen train --tokenizer word` splits it, so that the vectors fit such a model.
Words below `min_count` are read as <unk>, which gets a vector, too. One worker, so that a seed always gives
the same vectors.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from lmgen.arrays import Float32Array, IdArray
from lmgen.errors import CorpusError, NumericalError
from lmgen.extras import needed
from lmgen.settings import names_of, refuse_unknown
from lmgen.text.config import ReadingConfig
from lmgen.text.corpora import open_corpus
from lmgen.text.sources import Text
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer
from lmgen.tokenizers.words import GLUE
from lmgen.vectors.config import LONGEST_SENTENCE, VectorConfig
from lmgen.vectors.table import Vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedVectors:
    """Word vectors, and what they were trained on."""

    vectors: Vectors
    corpus: str
    tokens: int
    """Words of the text, each time they occur."""

    def to_json(self) -> dict[str, Any]:
        """What `lmgen vectors train --json` prints, but for the file."""
        words, size = self.vectors.matrix.shape
        return {"corpus": self.corpus, "tokens": self.tokens, "words": words, "embedding_size": size}


def configured(settings: Mapping[str, Any]) -> tuple[VectorConfig, ReadingConfig]:
    """
    Sort settings, by the names of the flags, into the two configurations.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """
    of_vectors, of_reading = names_of(VectorConfig), names_of(ReadingConfig)
    refuse_unknown(settings, of_vectors | of_reading, "", "see `lmgen vectors train --help`")
    return (
        VectorConfig(**{name: value for name, value in settings.items() if name in of_vectors}),
        ReadingConfig(**{name: value for name, value in settings.items() if name in of_reading}),
    )


def train_vectors(
    corpus: Sequence[str],
    *,
    texts: Mapping[str, Text] = MappingProxyType({}),
    on_note: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> TrainedVectors:
    """
    Train word vectors on a corpus; its own validation and test texts are left out.

    Args:
        corpus: files, folders or corpus names; none: the built-in default.
        texts: the texts that some names of files stand for (text/given.py).
        on_note: called with notes for the user.
        settings: of `VectorConfig`, and of how texts are read. No pair goes across the end of a unit: with
            `line` of a line.

    Raises:
        ConfigError: a setting is unknown or out of range.
        CorpusError: the corpus cannot be read, or has no two words that could be a pair.
        MissingExtraError: gensim is not installed.
        NumericalError: the learning rate was so high that vectors are not finite.
    """
    config, reading = configured(settings)
    word2vec = needed("gensim.models.word2vec", "vectors")
    opened = open_corpus(corpus, reading.field, "strict", reading.encoding, texts=texts, on_note=on_note)
    for note in opened.notes:
        on_note(note)
    text = opened.train.in_units("record" if reading.unit == "record" else "document")
    tokenizer = word_tokenizer(text, config, reading)
    for note in tokenizer.notes:
        on_note(note)
    spellings = [tokenizer.piece(token).strip(GLUE) for token in range(tokenizer.vocabulary_size)]
    sentences = _Sentences([*_sentences(tokenizer, text)], spellings)
    if not any(len(sentence) > 1 for sentence in sentences.ids):
        raise CorpusError(f"{opened.name} has no two words beside each other; give a longer text")
    words, matrix = _trained(word2vec.Word2Vec, sentences, config)
    if not np.isfinite(matrix).all():
        raise NumericalError(
            f"the vectors are no longer finite numbers; give a --learning-rate below {config.learning_rate:g}"
        )
    return TrainedVectors(
        vectors=Vectors(words, matrix, name="the vectors"),
        corpus=opened.name,
        tokens=sum(map(len, sentences.ids)),
    )


def word_tokenizer(text: Text, config: VectorConfig, reading: ReadingConfig) -> Tokenizer:
    """The tokenizer that splits a text into words; its vocabulary is that of the text."""
    known = asdict(config)
    shared = {name: known[name] for name in ("min_count", "lowercase", "split_punctuation")}
    return train_tokenizer(text.chunks, TokenizerConfig(tokenizer="word", **shared), reading)


def words_of(sentence: str, config: VectorConfig) -> list[str]:
    """The words of a sentence, split as in training, all of them known."""
    from lmgen.text.given import text_of

    text = text_of(sentence, "the sentence")
    known = TokenizerConfig(
        tokenizer="word", lowercase=config.lowercase, split_punctuation=config.split_punctuation
    )
    tokenizer = train_tokenizer(text.chunks, known)
    kept = [token for token in tokenizer.encode(sentence).tolist() if token != tokenizer.line_end]
    return [tokenizer.piece(token).strip(GLUE) for token in kept]


def _trained(word2vec: Any, sentences: "_Sentences", config: VectorConfig) -> tuple[list[str], Float32Array]:
    """
    The words and their vectors, (V, E), of gensim's class `Word2Vec`.

    Raises:
        Exception: whatever goes wrong in gensim's thread, which itself would die and leave this one waiting.
    """
    failures: list[Exception] = []

    class Watched(word2vec):  # type: ignore[misc] # its base is known when it is imported
        def _do_train_job(self, *job: Any) -> tuple[int, int]:
            try:
                done: tuple[int, int] = (0, 0) if failures else super()._do_train_job(*job)
            except Exception as failure:
                failures.append(failure)
                return 0, 0
            return done

    model = Watched(
        sentences,
        vector_size=config.embedding_size,
        window=config.window,
        sg=int(config.method == "skip-gram"),
        negative=config.negatives,
        sample=config.subsample,
        alpha=config.learning_rate,
        min_alpha=min(1e-4, config.learning_rate),
        epochs=config.epochs,
        seed=config.seed,
        min_count=1,
        workers=1,
    )
    if failures:
        raise failures[0]
    return model.wv.index_to_key, np.ascontiguousarray(model.wv.vectors, np.float32)


@dataclass(frozen=True, slots=True)
class _Sentences:
    """Sentences as gensim reads them, as often as it likes: lists of words, made of ids as they are read."""

    ids: list[IdArray]
    spellings: list[str]

    def __iter__(self) -> Iterator[list[str]]:
        return ([self.spellings[token] for token in sentence.tolist()] for sentence in self.ids)


def _sentences(tokenizer: Tokenizer, text: Text) -> Iterator[IdArray]:
    """The ids of the words of each unit, without line ends, in parts that gensim reads whole."""
    ids = np.concatenate([*tokenizer.encode_stream(text.chunks())])
    marks = [mark for mark in (tokenizer.end, tokenizer.line_end) if mark is not None]
    units = [ids] if tokenizer.end is None else np.split(ids, np.flatnonzero(ids == tokenizer.end))
    for unit in units:
        words = unit[~np.isin(unit, marks)]
        yield from np.split(words, range(LONGEST_SENTENCE, len(words), LONGEST_SENTENCE))
