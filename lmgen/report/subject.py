"""The models that a report is about, and the piece of text that they are asked about."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lmgen.data.run_folder import RunFolder, find_model, named_by
from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.models.model_file import has_labels
from lmgen.text.chunks import cut
from lmgen.text.reading import read_alike
from lmgen.text.sources import STANDARD_INPUT, Text
from lmgen.text.units import UNIT_END
from lmgen.text_model import TextModel, read_by_each
from lmgen.tokenizers.base import Tokenizer

CHARACTERS = 50_000
"""How much of a text is shown and asked about, if nothing else is said."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The beginning of a text, in memory."""

    text: Text
    """It has the name of the whole text, and can be read any number of times."""
    characters: int
    is_whole: bool
    """Whether the text has no more than this."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A model, and the piece of text."""

    name: str
    """The shortest path that names the model."""
    model: TextModel
    piece: Piece

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's."""
        return self.model.tokenizer

    @property
    def run(self) -> RunFolder | None:
        """Its run folder; None for a model file on its own."""
        return self.model.run

    @property
    def has_baseline(self) -> bool:
        """Whether its run has an n-gram model beside the network."""
        return self.run is not None and self.run.ngram.exists()


def subjects_of(
    models: Sequence[str | Path | None],
    text: str | Path | Text | None,
    characters: int,
    on_note: Callable[[str], None],
) -> list[Subject]:
    """
    Open models and the text they are asked about.

    Args:
        models: run folders and model files, at least one; None: the newest under `checkpoints/`.
        text: one for all; None: the text that each run has held out, which has to be the same.
        characters: at most so many from its beginning.
        on_note: called with what a reader of the report should know.

    Raises:
        ConfigError: a model is named twice.
        CorpusError: the text cannot be read or is empty, or the runs have held out different texts.
        ModelError: there is no such model, it labels texts, or it has no held-out text.
    """
    opened = [_opened(path) for path in models]
    names = [str(named_by(model.path)) for model in opened]
    files: list[Path] = []
    for name, model in zip(names, opened, strict=True):
        if (file := model.path.resolve()) in files:
            raise ConfigError(f"{name} is named twice; name each run once")
        files.append(file)
    if len(opened) > 1:
        text = read_by_each(opened, text)
    found = []
    for name, model in zip(names, opened, strict=True):
        [given] = model.texts(*([] if text is None else [text]), on_note=on_note)
        if given.name == STANDARD_INPUT:
            given = replace(given, name="standard input")
        found.append(Subject(name, model, beginning_of(given, model.tokenizer, characters)))
    if text is None:
        _refuse_different(found)
    return found


def _opened(path: str | Path | None) -> TextModel:
    file = find_model(None if path is None else Path(path))
    if has_labels(file):
        raise ModelError(
            f"{named_by(file)} labels texts, and a report is about language models; `lmgen label` says how "
            "well it does"
        )
    return TextModel.load(path)


def beginning_of(text: Text, tokenizer: Tokenizer, characters: int) -> Piece:
    """
    The first characters of a text, up to the end of a line or record, in the units that a tokenizer reads.

    Raises:
        CorpusError: the text cannot be read, or is empty.
    """
    units = read_alike(text, tokenizer.reading).in_units(tokenizer.unit)
    taken = "".join(cut(units.chunks(), 0, characters + 1))
    if not taken:
        raise CorpusError(f"{text.name} is empty; give a text with at least one character")
    is_whole = len(taken) <= characters
    if not is_whole:
        taken = taken[:characters]
        end = taken.rfind(UNIT_END if tokenizer.unit == "record" else "\n") + 1
        taken = taken[: end or characters]
    plain = taken.replace(UNIT_END, "\n")
    records = (lambda: iter([taken])) if tokenizer.unit == "record" else None
    return Piece(Text(text.name, lambda: iter([plain]), records=records), len(taken), is_whole)


def _refuse_different(subjects: Iterable[Subject]) -> None:
    """Refuse to compare models on different texts."""
    first, *others = subjects
    for other in others:
        if "".join(first.piece.text.chunks()) != "".join(other.piece.text.chunks()):
            raise CorpusError(
                f"{first.name} and {other.name} have held out different texts; name a TEXT to compare them "
                f"on, such as {first.piece.text.name}"
            )
