"""Word vectors in use: which words are near a word, or near a sum of words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from lmgen.arrays import Float32Array
from lmgen.calls import python_call
from lmgen.errors import ConfigError, ModelError
from lmgen.files import refuse_existing
from lmgen.settings import shown, whole_number
from lmgen.text.given import each_text, opened
from lmgen.text.sources import Text, open_text
from lmgen.vectors.expression import parse
from lmgen.vectors.writing import write_vectors

if TYPE_CHECKING:
    from lmgen.inspection.chart import Chart
    from lmgen.vectors.analogies import Analogies
    from lmgen.vectors.picture import Projection

SUGGESTIONS = 3
"""Maximum number of words that the error for an unknown one suggests."""


@dataclass(frozen=True, slots=True)
class NearWord:
    """A word, and how near it is."""

    word: str
    cosine: float
    """Of the angle between its vector and the one asked for: 1 in the same direction, 0 at a right angle."""


class Vectors:
    """Words with a vector each: `vectors.near("king - man + woman")`."""

    def __init__(
        self, words: Iterable[str], matrix: Float32Array, *, notes: Sequence[str] = (), name: str = "vectors"
    ) -> None:
        """
        Args:
            words: all different, the most frequent first where that is known.
            matrix: their vectors, (V, E).
            notes: what of a file was passed over.
            name: what messages call them.

        Raises:
            ModelError: there are not as many vectors as words, a word occurs twice, or there is none.
        """
        self.words = list(words)
        self.matrix = matrix
        self.notes = tuple(notes)
        self.name = name
        self._ids: Mapping[str, int] = MappingProxyType({word: row for row, word in enumerate(self.words)})
        if matrix.ndim != 2 or len(self.words) != len(matrix) or not matrix.size:
            raise ModelError(f"{name}: {len(self.words):,} words do not fit an array of shape {matrix.shape}")
        if len(self._ids) < len(self.words):
            raise ModelError(f"{name}: a word occurs twice")

    def __repr__(self) -> str:
        return f"<Vectors {self.name}, {len(self)} words x {self.matrix.shape[1]}>"

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __getitem__(self, word: str) -> Float32Array:
        """
        The vector of a word, (E,).

        Raises:
            ModelError: there is none; the message has words that are spelled alike.
        """
        return self.matrix[self.row(word)]  # type: ignore[no-any-return]

    @cached_property
    def unit(self) -> Float32Array:
        """The vectors divided by their lengths, (V, E); one of length 0 stays as it is."""
        lengths = np.linalg.norm(self.matrix, axis=1, keepdims=True)
        lengths[lengths == 0] = 1
        unit: Float32Array = (self.matrix / lengths).astype(np.float32)
        return unit

    def find(self, word: str) -> int | None:
        """The row of a word, else that of its lower case; None if there is neither."""
        return self._ids.get(word, self._ids.get(word.lower()))

    def row(self, word: str) -> int:
        """
        As `find`.

        Raises:
            ModelError: there is no such word; the message has words that are spelled alike.
        """
        row = self.find(word)
        if row is None:
            near = get_close_matches(word, self.words, n=SUGGESTIONS)
            advice = f"did you mean {' or '.join(near)}?" if near else "it may be too rare to have one"
            raise ModelError(f"{self.name} has no vector of {shown(word)}; {advice}")
        return row

    @python_call
    def near(self, expression: str, top: int = 10) -> list[NearWord]:
        """
        The words nearest to a word, or to a sum and difference of words, best first.

            vectors.near("king - man + woman", top=3)

        Vectors are added with length 1 each, as word2vec does. The words of the expression are left out.

        Args:
            expression: words with + and - between them, which have blanks around them.
            top: how many words to give.

        Raises:
            ConfigError: the expression cannot be read.
            ModelError: a word has no vector.
        """
        count = whole_number(top, "top")
        terms = parse(expression)
        rows = [self.row(term.word) for term in terms]
        signs = np.array([term.sign for term in terms], np.float32)
        target = signs @ self.unit[rows]
        length = np.linalg.norm(target)
        cosines = self.unit @ (target / length if length > 0 else target)
        cosines[rows] = -np.inf
        best = np.argsort(-cosines, kind="stable")[: min(count, len(self) - len(set(rows)))]
        return [NearWord(self.words[row], float(cosines[row])) for row in best.tolist()]

    @python_call
    def analogies(self, questions: str | Path | Text) -> "Analogies":
        """
        Answer a file of questions `a b c d`, a is to b as c is to d, in sections `: name`.

        Args:
            questions: a path, or a text with a line end in it.

        Raises:
            CorpusError: it cannot be read, or a line is no question.
        """
        from lmgen.vectors.analogies import ask, read_questions

        text = opened(questions, "questions")
        return ask(self, read_questions(text if isinstance(text, Text) else open_text(text)))

    @python_call
    def picture(
        self,
        words: Iterable[str] | None = None,
        *,
        top: int = 100,
        projection: "Projection" = "tsne",
        seed: int = 0,
    ) -> "Chart":
        """
        Words as points of the plane: `vectors.picture(top=200).save("words.svg")`.

        Args:
            words: which ones; None: the first `top`, in most files the most frequent ones.
            top: how many, if `words` is None.
            projection: `tsne` keeps neighbours together, `pca` shows the two directions of largest variance.
            seed: of t-SNE.

        Raises:
            ConfigError: there are too few words, or an argument is something else.
            MissingExtraError: scikit-learn is not installed.
            ModelError: a word has no vector.
        """
        from lmgen.vectors.picture import PROJECTIONS, word_picture

        if projection not in PROJECTIONS:
            raise ConfigError(f"projection is {shown(projection)}, but has to be tsne or pca")
        first = self.words[: whole_number(top, "top")]
        chosen = first if words is None else list(each_text(words, "words", "a list of words"))
        return word_picture(self, chosen, projection, whole_number(seed, "seed", 0))

    @python_call
    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """
        Write them to a file of word2vec's format, which `lmgen train --embeddings` and others read.

        Args:
            path: the file; one that ends in `.bin` is binary, and `.gz` after either name compresses.
            overwrite: replace an existing file.

        Raises:
            ModelError: the file exists.
            WriteError: it cannot be written.
        """
        refuse_existing(Path(path), overwrite=overwrite)
        write_vectors(Path(path), self.words, self.matrix)
