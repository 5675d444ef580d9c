"""
A network that labels texts, with its tokenizer: text in, labels out. What `lmgen.load_labels` gives.

It is no language model: it reads a text to its end before it says anything, and says nothing of the text
itself. The work is done in models/ and evaluation/; each method here imports it when it is called.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from lmgen.calls import python_call
from lmgen.data.run_folder import RunFolder, find_model, run_of
from lmgen.data.verified import check_kept_text
from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.files import refuse_existing
from lmgen.models.model_file import SavedModel, described, load_labels
from lmgen.models.network.labels import LabelNetwork
from lmgen.settings import shown
from lmgen.text.config import LABEL_FORMATS, LabelFormat
from lmgen.text.given import each_text
from lmgen.text.given import opened as text_or_path
from lmgen.text.labels import instances, labelled, line_groups, looks_labelled
from lmgen.text.reading import read_alike, read_text
from lmgen.text.sources import Text, open_text
from lmgen.tokenizers.base import Tokenizer

if TYPE_CHECKING:
    from lmgen.evaluation.exporting import ExportedLabels
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
    def label_text(
        self,
        text: str | Path | Text,
        *,
        encoding: str | None = None,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "Iterator[list[Label]]":
        """
        Label every line of a text as it comes; a blank one has no labels.

        Args:
            text: a path, `-` for stdin, or a text with a line end in it.
            encoding: the character encoding of a file; None: that of the training text.
            on_note: called with a note if the text plainly has labels already, which are read as text.

        Raises:
            CorpusError: the text cannot be read.
        """
        opened = self._opened(text, encoding)

        def labels() -> "Iterator[list[Label]]":
            for number, lines in enumerate(line_groups(opened.chunks())):
                if number == 0 and looks_labelled(lines, self.labels):
                    on_note(
                        f"{opened.name} has labels already, which are read as part of its texts: --labelled "
                        "says how many of them the model gets right"
                    )
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
        if text is None and (labels_as is not None or encoding is not None):
            raise ConfigError(
                "--labels-as and --encoding are about a labelled TEXT: name one, or leave them out for the "
                "run's held-out text"
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
            ConfigError: there is no such format or encoding, or one is given without a text.
            CorpusError: the text cannot be read, is labelled otherwise than the training text, or there is
                none.
        """
        from lmgen.evaluation.labels import label_scores

        compared = self.compare(text, labels_as=labels_as, encoding=encoding)
        return label_scores(((right, found.label) for _, found, right in compared), self.labels)

    @python_call
    def export(
        self,
        path: str | Path,
        *,
        to: Literal["arpa", "float16", "int8"] | None = None,
        text: str | Path | Text | None = None,
        overwrite: bool = False,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "ExportedLabels":
        """
        Write the model with its weights in fewer bytes; the file is a model like any other.

        Args:
            path: the file to write.
            to: 2 bytes for each weight (`float16`), or 1 (`int8`); None: `int8`. `arpa` is for n-grams.
            text: a labelled text, to count the right labels before and after. None: the run's held-out text,
                if there is one.
            overwrite: replace an existing file.
            on_note: called with what was chosen for `to`.

        Raises:
            ConfigError: `to` is something else, or the file is the model's or the text's.
            CorpusError: the text cannot be read, or is labelled otherwise than the training text.
            ModelError: `to` is `arpa`; the file exists; or a weight is too large for float16.
            WriteError: the file cannot be written.
        """
        from lmgen.evaluation.exporting import ARPA_SUFFIXES, ExportedLabels, store_weights

        if to == "arpa" or (to is None and str(path).lower().endswith(ARPA_SUFFIXES)):
            raise ModelError(
                f"{self.path} labels texts and has no n-grams to write to an ARPA file; --to float16 or int8 "
                "makes its file smaller"
            )
        out = Path(path)
        refuse_existing(out, overwrite=overwrite, read=[self.path, text])
        if text is not None:
            text = self._source(text, None)  # it is read twice, and a pipe can be opened only once
        before = None
        if text is not None or (self.run is not None and self.run.held_out_text is not None):
            before = self.score(text)
        written = store_weights(self._saved, self.path, out, to or "int8")
        after = None if before is None else replace(self, model=load_labels(out).model).score(text)
        if to is None:
            on_note("written with int8 weights (--to float16 keeps more of each)")
        scores = None if before is None or after is None else (before, after)
        return ExportedLabels(**asdict(written), scores=scores)

    @python_call
    def describe(self) -> dict[str, Any]:
        """What the model is, as JSON values: what `lmgen info --json` prints."""
        return described(self._saved, self.path)

    @property
    def _saved(self) -> SavedModel[LabelNetwork]:
        """What its file holds."""
        return SavedModel(self.model, self.tokenizer, self.training, self.weights)

    def _labelled(self, texts: Iterable[str]) -> "Iterator[list[Label]]":
        from lmgen.evaluation.labels import predicted_labels

        reading = self.tokenizer.reading
        for group in _groups(texts):
            lines = [read_text(text, reading).replace("\n", " ") for text in group]
            yield from predicted_labels(self.model, self.tokenizer, lines)

    def _opened(self, text: str | Path | Text, encoding: str | None) -> Text:
        """A text as the training text was read."""
        return read_alike(self._source(text, encoding), self.tokenizer.reading)

    def _source(self, text: str | Path | Text, encoding: str | None) -> Text:
        """A text, decoded as the training text was."""
        given = text_or_path(text, "text")
        if isinstance(given, Text):
            return given
        encoding = encoding or self.tokenizer.reading.encoding
        return open_text(given, errors=self.tokenizer.reading_errors, encoding=encoding, tabs=True)

    def _held_out(self) -> Text:
        """The labelled text that the model's run has held out: its test text, else its validation text."""
        text = None if self.run is None else self.run.held_out_text
        if self.run is None or text is None:
            raise CorpusError(f"{self.path} is in no run folder with a held-out text; name a text to label")
        check_kept_text(self.run, text)
        return open_text(str(text), errors=self.tokenizer.reading_errors)


def _groups(values: Iterable[T]) -> Iterator[list[T]]:
    """The values, some at a time."""
    every = iter(values)
    while group := list(islice(every, BLOCK)):
        yield group
