"""Word vectors by word: the vector of each, and the words near one or near a sum of several."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from types import MappingProxyType

import numpy as np

from lmgen.arrays import Float32Array
from lmgen.calls import python_call
from lmgen.errors import ModelError
from lmgen.settings import shown, whole_number
from lmgen.vectors.expression import parse

SUGGESTIONS = 3
"""Maximum number of words that the error for an unknown one suggests."""


@dataclass(frozen=True, slots=True)
class NearWord:
    """A word, and how near it is."""

    word: str
    cosine: float
    """Of the angle between its vector and the one asked for: 1 in the same direction, 0 at a right angle."""


class Lookup:
    """Words with a vector each, and what can be asked of them without anything else."""

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
        return f"<{type(self).__name__} {self.name}, {len(self)} words x {self.matrix.shape[1]}>"

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
        # Squares of float32 numbers fit into float64, and not always into float32.
        lengths = np.sqrt(np.einsum("ve,ve->v", self.matrix, self.matrix, dtype=np.float64))[:, None]
        lengths[lengths == 0] = 1
        unit: Float32Array = self.matrix / lengths.astype(np.float32)
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
