"""All that a report says of one model, as numbers and texts; no page and no picture yet."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lmgen.arrays import Int64Array
from lmgen.data.token_file import token_counts
from lmgen.data.verified import open_kept_tokens
from lmgen.errors import ConfigError, CorpusError, LmgenError, ModelError
from lmgen.evaluation.novelty import Novelty
from lmgen.evaluation.results import TextScore
from lmgen.inspection.gradients import LONGEST_DISTANCE, GradientNorm
from lmgen.inspection.memory import CONTEXTS, ContextLoss, context_losses
from lmgen.models.base import LanguageModel
from lmgen.report.history import History, command_of, history_of
from lmgen.report.losses import (
    Calibration,
    DifferentWord,
    Means,
    by_frequency,
    by_place,
    calibration,
    different_words,
)
from lmgen.report.scored import Predicted, Tokens, predicted_by, read_tokens
from lmgen.report.subject import Subject
from lmgen.report.units import Inside, inside
from lmgen.report.vectors import Plane, planes_of

T = TypeVar("T")

POSITIONS = 128
"""Tokens that are predicted to see how much context helps."""

GRADIENT_POSITIONS = 16
"""Places over which the norms of gradients are averaged."""

PASSAGES = 8
"""Copied passages that are listed."""

MOST_FITTED = 3_000_000
"""Training tokens up to which n-gram models of all orders are fitted; of more, there is the run's own."""


@dataclass(slots=True)
class Collected:
    """What was found about one model."""

    subject: Subject
    described: dict[str, Any]
    """As `lmgen info --json`."""
    tokens: Tokens
    predicted: list[Predicted]
    """The model's, then its n-gram model's if there is one."""
    command: str | None = None
    history: History | None = None
    scores: list[TextScore] = field(default_factory=list)
    places: list[Means] = field(default_factory=list)
    """The loss by the place in the unit, or in the line."""
    places_in_units: bool = False
    """Which of both."""
    frequencies: list[Means] = field(default_factory=list)
    contexts: list[ContextLoss] = field(default_factory=list)
    calibrations: list[Calibration] = field(default_factory=list)
    words: tuple[list[DifferentWord], list[DifferentWord]] = field(default_factory=lambda: ([], []))
    inside: Inside | None = None
    gradients: list[GradientNorm] = field(default_factory=list)
    planes: list[Plane] = field(default_factory=list)
    copies: Novelty | None = None
    missing: dict[str, str] = field(default_factory=dict)
    """Why a part is not there, by its name."""

    @property
    def name(self) -> str:
        """The run folder or the file."""
        return self.subject.name

    def attempt(self, part: str, make: Callable[[], T]) -> T | None:
        """Make a part; if that is not possible with this model or text, note why."""
        try:
            return make()
        except (CorpusError, ModelError, ConfigError) as error:
            self.missing[part] = str(error)
            return None


def collected(
    subject: Subject,
    *,
    places_in_units: bool,
    adapt: bool | None,
    on_note: Callable[[str], None],
    on_part: Callable[[str], None],
) -> Collected:
    """
    Find out all that a report says of a model.

    Args:
        subject: the model and the piece of text.
        places_in_units: whether places are counted in units, and not in lines; models whose curves share a
            picture count in the same way.
        adapt: also the models that learn from the text; None: if the run has adapted before.
        on_note: called with what a reader should know.
        on_part: called with the name of each part when it begins.

    Raises:
        CorpusError: the text has no tokens.
        NumericalError: a score is not a finite number.
    """
    model = subject.model
    on_part("every token")
    tokens, parts = read_tokens(subject.piece, subject.tokenizer)
    models: list[LanguageModel] = [model.model]
    if subject.has_baseline:
        models.append(model.baseline())
    predicted = [predicted_by(each, parts) for each in models]
    found = Collected(subject, model.describe(), tokens, predicted, places_in_units=places_in_units)
    _history(found)
    on_part("scores")
    found.scores = _scores(subject, adapt, on_note)
    _losses(found, models, on_part)
    _inside(found, on_part)
    on_part("samples")
    found.copies = found.attempt("copies", lambda: model.novelty(seed=0, top=PASSAGES))
    return found


def _history(found: Collected) -> None:
    """How the run was made and went."""
    run = found.subject.run
    if run is None:
        found.missing["history"] = "This is a model file on its own; a run folder has the curves."
        return
    found.command = command_of(run)
    found.history = history_of(run)
    if not found.history.curves:
        found.missing["history"] = f"{run.metrics} has no evaluations."
    if not found.history.samples:
        found.missing["samples"] = (
            "The run has kept no samples: an older lmgen trained it, or it has not come to "
            "the end of a quarter."
        )


def _scores(subject: Subject, adapt: bool | None, on_note: Callable[[str], None]) -> list[TextScore]:
    """What `lmgen perplexity` says of the piece of text, of all models that the run has."""
    model, run = subject.model, subject.run
    asked: dict[str, Any] = {}
    if subject.has_baseline and run is not None:
        order = model.baseline().order
        size = (
            len(open_kept_tokens(run, run.train_tokens, subject.tokenizer.vocabulary_size))
            if run.train_tokens.exists()
            else 0
        )
        if 0 < size <= MOST_FITTED:
            asked["orders"] = range(1, order + 1)
        asked["mix"] = run.valid_tokens.exists()
    text = subject.piece.text
    scores = list(model.perplexity(text, **asked, on_note=on_note))
    if adapt or (adapt is None and run is not None and run.adapting.exists()):
        asked.pop("orders", None)
        both = model.perplexity(text, **asked, adapt=True, on_note=on_note)
        scores += [score for score in both if score.model.endswith("+adapt")]
    return scores


def _losses(found: Collected, models: list[LanguageModel], on_part: Callable[[str], None]) -> None:
    """Where the loss is high and low, and whether probabilities can be trusted."""
    tokens, predicted = found.tokens, found.predicted
    found.places = [by_place(tokens, each, in_units=found.places_in_units) for each in predicted]
    counts = _training_counts(found)
    if counts is None:
        found.missing["frequencies"] = "The training text is not at hand; a run folder has its tokens."
    else:
        found.frequencies = [by_frequency(tokens, each, counts) for each in predicted]
    found.calibrations = [calibration(tokens, each) for each in predicted]
    if len(predicted) > 1:
        found.words = different_words(tokens, predicted[0], predicted[1])
    else:
        found.missing["words"] = "There is no n-gram model to compare with."
    on_part("context")
    contexts = [n for n in CONTEXTS if 2 * n < len(tokens.ids)]
    found.contexts = [
        each
        for model in models
        for each in context_losses(
            [model], tokens.ids, contexts=_useful(model, contexts), positions=POSITIONS
        )
    ]


def _useful(model: LanguageModel, contexts: list[int]) -> list[int]:
    """The contexts that differ for a model: those of an n-gram model are n - 1 tokens at most."""
    ngrams = model.as_ngrams()
    if ngrams is None:
        return contexts
    longer = [n for n in contexts if n >= ngrams.order - 1]
    return [n for n in contexts if n < ngrams.order - 1] + longer[:1]


def _inside(found: Collected, on_part: Callable[[str], None]) -> None:
    """Units, gates, gradients and vectors of a network."""
    model, tokens = found.subject.model, found.tokens
    on_part("cells")
    found.inside = found.attempt("inside", lambda: inside(model.model, tokens))
    distance = max(min(LONGEST_DISTANCE, len(tokens.ids) - 2), 0)
    on_part("gradients")
    gradients = found.attempt(
        "gradients",
        lambda: model.gradients(found.subject.piece.text, distance=distance, positions=GRADIENT_POSITIONS),
    )
    found.gradients = gradients or []
    on_part("vectors")
    found.planes = planes_of(model.model, found.subject.tokenizer, _training_counts(found))
    if not found.planes:
        found.missing["vectors"] = (
            "This model has no embedding, too few tokens for a picture, or vectors that fill no plane."
        )


def _training_counts(found: Collected) -> Int64Array | None:
    """How often each token stands in the training text, (V,); None if that is not at hand."""
    run, V = found.subject.run, found.subject.tokenizer.vocabulary_size
    if run is None or not run.train_tokens.exists():
        return None
    try:
        return token_counts(open_kept_tokens(run, run.train_tokens, V), V)
    except LmgenError:
        return None
