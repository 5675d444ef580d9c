"""
A model written as an ARPA file, or with its weights in fewer bytes; and what fewer bytes cost.

What `TextModel.export` does and `lmgen export` prints.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lmgen.data.run_folder import run_of
from lmgen.errors import ModelError
from lmgen.evaluation.labels import LabelScores
from lmgen.evaluation.perplexity import compare_models
from lmgen.evaluation.results import TextScore
from lmgen.files import behind_links
from lmgen.models.base import LanguageModel
from lmgen.models.model_file import SavedModel, Storable, load_model, save_model
from lmgen.models.ngram.arpa import write_arpa
from lmgen.text.reading import read_alike
from lmgen.text.sources import Text

ARPA_SUFFIXES = (".arpa", ".arpa.gz")

SCORED_CHARACTERS = 500_000
"""The most characters that the models before and after are scored on."""


@dataclass(frozen=True, slots=True)
class ExportedNgrams:
    """An ARPA file that was written. The fields are those of `lmgen export --json`."""

    model: str
    to: str
    out: str
    ngrams: tuple[int, ...]
    """How many n-grams it has of order 1, 2, ..."""

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {"model": self.model, "to": self.to, "out": self.out, "ngrams": list(self.ngrams)}


@dataclass(frozen=True, slots=True)
class SmallerFile:
    """A model file with smaller weights that was written, compared with the file before."""

    model: str
    to: str
    out: str
    bytes_before: int
    bytes_after: int

    @property
    def ratio(self) -> float:
        """How many times smaller the file has become."""
        return self.bytes_before / self.bytes_after

    def to_json(self) -> dict[str, Any]:
        """JSON values as `lmgen export --json` prints them."""
        return {
            "model": self.model,
            "to": self.to,
            "out": self.out,
            "bytes_before": self.bytes_before,
            "bytes_after": self.bytes_after,
            "ratio": self.ratio,
        }


@dataclass(frozen=True, slots=True)
class ExportedLabels(SmallerFile):
    """A file with smaller weights of a model that labels texts, compared with the file before."""

    scores: tuple[LabelScores, LabelScores] | None
    """Of the same labelled text by the model before and after; None if there was no text."""

    def to_json(self) -> dict[str, Any]:
        """JSON values as `lmgen export --json` prints them."""
        result = SmallerFile.to_json(self)
        if self.scores is None:
            return result
        before, after = self.scores
        return {
            **result,
            "instances": before.instances,
            "accuracy_before": before.accuracy,
            "accuracy_after": after.accuracy,
            "accuracy_change": after.accuracy - before.accuracy,
        }


@dataclass(frozen=True, slots=True)
class ExportedWeights(SmallerFile):
    """A file with smaller weights of a language model, compared with the file before."""

    scores: tuple[TextScore, TextScore] | None
    """Of the same text by the model before and after; None if there was no text."""

    def change(self, figure: str) -> tuple[Any, Any, Any] | None:
        """A figure of the scores before and after, and the difference; None if it is unknown."""
        if self.scores is None:
            return None
        before, after = (getattr(score, figure) for score in self.scores)
        return None if before is None else (before, after, after - before)

    def to_json(self) -> dict[str, Any]:
        """JSON values as `lmgen export --json` prints them."""
        result = SmallerFile.to_json(self)
        if self.scores is None:
            return result
        scored = self.scores[0]
        result |= {"text": scored.text, "tokens": scored.tokens, "characters": scored.characters}
        for figure in ("nats_per_token", "bits_per_character"):
            before, after, difference = self.change(figure) or (None, None, None)
            result |= {f"{figure}_before": before, f"{figure}_after": after, f"{figure}_change": difference}
        return result


def usual_form(model: LanguageModel, out: Path) -> tuple[Literal["arpa", "int8"], str]:
    """The form in which a model is exported if none is asked for, and a note that says why."""
    if model.as_ngrams() is not None:
        return "arpa", "written as an ARPA file, since this is an n-gram model"
    if out.name.lower().endswith(ARPA_SUFFIXES):
        return "arpa", f"written as an ARPA file, since it is called {out.name}"
    return (
        "int8",
        f"written with int8 weights, since {model.name} is no n-gram model (--to float16 keeps more of each)",
    )


def export_arpa(saved: SavedModel[LanguageModel], path: Path, out: Path) -> ExportedNgrams:
    """
    Write a model as an ARPA file, compressed if its name ends in `.gz`.

    Args:
        saved: the model.
        path: its file, for messages.
        out: the ARPA file.

    Raises:
        ConfigError, ModelError, WriteError: as `write_arpa`; and if the model has no n-grams.
    """
    ngrams = saved.model.as_ngrams()
    if ngrams is None:
        run = run_of(path)
        beside = run.ngram if run and run.ngram.exists() else None
        advice = f"its n-gram baseline is {beside}" if beside else "`lmgen ngram` makes one"
        raise ModelError(f"{path} ({saved.model.name}) has no n-grams to write to an ARPA file; {advice}")
    return ExportedNgrams(str(path), "arpa", str(out), write_arpa(out, ngrams, saved.tokenizer))


def store_weights(saved: SavedModel[Storable], path: Path, out: Path, to: str) -> SmallerFile:
    """
    Write a model file whose weights take fewer bytes.

    Args:
        saved: the model.
        path: its file.
        out: the new file; it is a model like any other.
        to: how the weights are stored, one of compression.WEIGHTS.

    Raises:
        ConfigError: `to` is something else.
        ModelError: the model has no weights to compress, or a weight is too large for float16.
        WriteError: the file cannot be written.
    """
    if all(array.ndim != 2 for array in saved.model.to_tensors()[1].values()):
        raise ModelError(
            f"{path} ({saved.model.describe()['name']}) has no weights to store as {to}; the tables of an "
            "n-gram model are compact already"
        )
    before = path.stat().st_size
    save_model(behind_links(out), saved.model, saved.tokenizer, saved.training, to)
    return SmallerFile(str(path), to, str(out), before, out.stat().st_size)


def export_weights(
    saved: SavedModel[LanguageModel],
    path: Path,
    out: Path,
    to: str,
    text: Text | None,
    on_note: Callable[[str], None],
) -> ExportedWeights:
    """
    Write a model file whose weights take fewer bytes, and score a text by both models.

    Args:
        saved: the model.
        path: its file.
        out: the new file; it is a model like any other.
        to: how the weights are stored, one of compression.WEIGHTS.
        text: both models are scored on its first 500,000 characters; None: they are not scored.
        on_note: called with what a reader of the scores should know.

    Raises:
        ConfigError, ModelError, WriteError: as `store_weights`.
        CorpusError: the text cannot be read.
    """
    written = store_weights(saved, path, out, to)
    scores = None
    if text is not None:
        models = [saved.model, load_model(out).model]
        read = read_alike(text, saved.tokenizer.reading)
        chunks = read.in_units(saved.tokenizer.unit).part(0, SCORED_CHARACTERS).chunks()
        [first, second] = compare_models(models, saved.tokenizer, chunks, text.name)
        scores = first, second
        if first.note:
            on_note(first.note)
    return ExportedWeights(**asdict(written), scores=scores)
