"""
A network that labels texts, with its tokenizer: text in, labels out. What `lmgen.load_labels` gives.

It is no language model: it reads a text to its end before it says anything, and says nothing of the text
itself. The work is done in models/ and evaluation/; each method here imports it when it is called.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lmgen.calls import python_call
from lmgen.data.run_folder import RunFolder, find_model, run_of
from lmgen.errors import ConfigError, CorpusError
from lmgen.models.model_file import load_labels
from lmgen.models.network.labels import LabelNetwork
from lmgen.settings import shown
from lmgen.text.config import LABEL_FORMATS, LabelFormat
from lmgen.text.given import each_text
from lmgen.text.given import opened as text_or_path
from lmgen.text.labels import instances, labelled, line_groups
from lmgen.text.reading import read_alike, read_text
from lmgen.text.sources import Text, open_text
from lmgen.tokenizers.base import Tokenizer

if TYPE_CHECKING:
    from lmgen.evaluation.labels import Label, LabelScores

T = TypeVar("T")

BLOCK = 256
"""How many texts are labelled at a time, if so many are there."""


@dataclass(frozen=True, slots=True)
class LabelModel:
    """A model in use: `model.label(["a fine film"])`, `model.score("reviews.tsv").accuracy`."""

    model: LabelNetwork
    tokenizer: Tokenizer
    path: Path
    """The model file."""

    training: dict[str, Any]
    """The file's summary of the training: corpus, steps, losses."""

    weights: str = "float32"
    """How the file stores weights (models/network/compression.py); the model's own are float32."""

    def __repr__(self) -> str:
        """`<LabelModel bidirectional lstm, 1 x 64, word, 2 labels, checkpoints/reviews>`."""
        where = self.run.folder if self.run else self.path
        return f"<LabelModel {self.model}, {self.tokenizer.name}, {len(self.labels)} labels, {where}>"

    @classmethod
    def load(cls, path: str | Path | None = None) -> "LabelModel":
        """
        Open a run folder, a model file, or (None) the newest of both under `checkpoints/`.

        Raises:
            ModelError: there is none, it is damaged, or it is a language model.
        """
        file = find_model(None if path is None else Path(path))
        saved = load_labels(file)
        return cls(saved.model, saved.tokenizer, file, dict(saved.training), saved.weights)

    @property
    def run(self) -> RunFolder | None:
        """The run folder that the model is in; None for a model file on its own."""
        return run_of(self.path)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it knows, the most frequent in its training text first."""
        return self.model.labels

    @python_call
    def label(self, texts: Iterable[str]) -> "Iterator[list[Label]]":
        """
        Label texts, each of which is a line; they are taken as they are needed.

        Returns:
            For each text its likeliest label, a list of one; of a model of words those of its words.

        Raises:
            ConfigError: `texts` is a bare str.
            CorpusError: a text spells the mark that ends texts.
        """
        return self._labelled(each_text(texts, "texts"))

    @python_call
    def label_text(self, text: str | Path | Text, *, encoding: str | None = None) -> "Iterator[list[Label]]":
        """
        Label every line of a text as it comes; a blank one has no labels.

        Args:
            text: a path, `-` for stdin, or a text with a line end in it.
            encoding: the character encoding of a file; None: that of the training text.

        Raises:
            CorpusError: the text cannot be read.
        """
        opened = self._opened(text, encoding)

        def labels() -> "Iterator[list[Label]]":
            for lines in line_groups(opened.chunks()):
                found = self._labelled(line for line in lines if line.strip())
                yield from (next(found) if line.strip() else [] for line in lines)

        return labels()

    @python_call
    def compare(
        self,
        text: str | Path | Text | None = None,
        *,
        labels_as: LabelFormat | None = None,
        encoding: str | None = None,
    ) -> "Iterator[tuple[int, Label, str]]":
        """
        Label a labelled text.

        Args:
            text: as in `score`.
            labels_as: as in `score`.
            encoding: as in `score`.

        Returns:
            For each text, or each word, the number of its text, the predicted label and the right one.

        Raises:
            ConfigError, CorpusError: as `score`.
        """
        if labels_as is not None and labels_as not in LABEL_FORMATS:
            raise ConfigError(
                f"--labels-as is {shown(labels_as)}, but has to be one of {', '.join(LABEL_FORMATS)}"
            )
        of = self.model.of
        if text is None:
            labels_as = "line" if of == "line" else "rows"
        opened = self._held_out() if text is None else self._opened(text, encoding)
        lines = labelled(opened, labels_as, of).chunks

        def compared() -> "Iterator[tuple[int, Label, str]]":
            for group in _groups(enumerate(instances(lines()), start=1)):
                found = self._labelled(line for _, (line, _) in group)
                for (number, (_, right)), parts in zip(group, found, strict=True):
                    wanted = right.split() if of == "word" else [right]
                    yield from ((number, *pair) for pair in zip(parts, wanted, strict=True))

        return compared()

    @python_call
    def score(
        self,
        text: str | Path | Text | None = None,
        *,
        labels_as: LabelFormat | None = None,
        encoding: str | None = None,
    ) -> "LabelScores":
        """
        Say how well the model labels a labelled text: accuracy, and precision, recall and F1 of each label.

        Args:
            text: a path, `-` for stdin, or a text with a line end in it; None: the held-out text of its run.
            labels_as: how the text is labelled, as in training; None: as it looks.
            encoding: the character encoding of a file; None: that of the training text.

        Raises:
            ConfigError: there is no such format or encoding.
            CorpusError: the text cannot be read, is labelled otherwise than the training text, or there is
                none.
        """
        from lmgen.evaluation.labels import label_scores

        compared = self.compare(text, labels_as=labels_as, encoding=encoding)
        return label_scores(((right, found.label) for _, found, right in compared), self.labels)

    @python_call
    def describe(self) -> dict[str, Any]:
        """What the model is, as JSON values: what `lmgen info --json` prints."""
        return {
            "model": str(self.path),
            "bytes": self.path.stat().st_size,
            "tokenizer": self.tokenizer.name,
            "reading": self.tokenizer.reading.to_json(),
            "weights": self.weights,
            **self.model.describe(),
            "training": self.training,
        }

    def _labelled(self, texts: Iterable[str]) -> "Iterator[list[Label]]":
        from lmgen.evaluation.labels import predicted_labels

        reading = self.tokenizer.reading
        for group in _groups(texts):
            lines = [read_text(text, reading).replace("\n", " ") for text in group]
            yield from predicted_labels(self.model, self.tokenizer, lines)

    def _opened(self, text: str | Path | Text, encoding: str | None) -> Text:
        """A text as the training text was read."""
        reading = self.tokenizer.reading
        given = text_or_path(text, "text")
        if not isinstance(given, Text):
            errors = self.tokenizer.reading_errors
            given = open_text(given, errors=errors, encoding=encoding or reading.encoding, tabs=True)
        return read_alike(given, reading)

    def _held_out(self) -> Text:
        """The labelled text that the model's run has held out: its test text, else its validation text."""
        text = None if self.run is None else self.run.held_out_text
        if text is None:
            raise CorpusError(f"{self.path} is in no run folder with a held-out text; name a text to label")
        return open_text(str(text), errors=self.tokenizer.reading_errors)


def _groups(values: Iterable[T]) -> Iterator[list[T]]:
    """The values, some at a time."""
    every = iter(values)
    while group := list(islice(every, BLOCK)):
        yield group
