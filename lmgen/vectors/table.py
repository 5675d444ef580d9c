"""Word vectors in use: words near each other, analogies, pictures and files."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lmgen.calls import python_call
from lmgen.errors import ConfigError
from lmgen.settings import shown, whole_number
from lmgen.text.given import each_text, opened
from lmgen.text.sources import Text, open_text
from lmgen.vectors.analogies import Analogies, ask, read_questions
from lmgen.vectors.lookup import Lookup, NearWord
from lmgen.vectors.writing import refuse_vectors, write_vectors

if TYPE_CHECKING:
    from lmgen.inspection.chart import Chart
    from lmgen.vectors.picture import Projection

__all__ = ["NearWord", "Vectors"]


class Vectors(Lookup):
    """Words with a vector each: `vectors.near("king - man + woman")`."""

    @python_call
    def analogies(self, questions: str | Path | Text) -> Analogies:
        """
        Answer a file of questions `a b c d`, a is to b as c is to d, in sections `: name`.

        Args:
            questions: a path, or a text with a line end in it.

        Raises:
            CorpusError: it cannot be read, or a line is no question.
        """
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
            ConfigError: the name asks for another compression.
            ModelError: the file exists.
            WriteError: it cannot be written.
        """
        refuse_vectors(Path(path), overwrite=overwrite)
        write_vectors(Path(path), self.words, self.matrix)
