"""
A model, n-gram baselines and their mixture scored side by side on the same texts.

What `TextModel.perplexity` gives and `lmgen perplexity` prints. Which models there are:

    by document         the model and its run's n-gram baseline, if there is one
    by record, line,    the model alone; with `baseline` or `order` an n-gram model beside it
    word, token
    orders              n-gram models of several orders, then the model
    mix                 the mixture of the model and its run's own baseline, after the others
    adapt               the same models learning from the text as they read it

All of them read a text at the same time, a part at a time, so memory does not grow with it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from lmgen.arrays import Float64Array
from lmgen.data.answers import Answers
from lmgen.data.held_out_text import held_out_chunks
from lmgen.data.run_folder import RECORDS_SUFFIX, run_of
from lmgen.data.verified import open_kept_tokens
from lmgen.errors import ConfigError, ModelError
from lmgen.evaluation.adapting import AdaptingModels
from lmgen.evaluation.baseline import baseline_of
from lmgen.evaluation.fit import FitCheck
from lmgen.evaluation.mixing import FittedWeights, Mixture, weights_of
from lmgen.evaluation.perplexity import compare_models, score_rows, unit_of
from lmgen.evaluation.results import CountedTextScore, TextScore
from lmgen.evaluation.row_makers import RowKind, RowScore
from lmgen.evaluation.rows import BlankWith
from lmgen.evaluation.units import UnknownTokens
from lmgen.evaluation.words import unigram_bits
from lmgen.models.adapting import Adapting
from lmgen.models.base import LanguageModel
from lmgen.models.mixture import MixtureModel
from lmgen.models.network.model import RecurrentModel
from lmgen.settings import shown
from lmgen.text.chunks import alike
from lmgen.text.reading import read_alike
from lmgen.text.sources import Text
from lmgen.text.units import UNITS, Unit
from lmgen.tokenizers.base import Tokenizer

By = Literal["document"] | RowKind
"""What one score covers."""

KINDS: tuple[By, ...] = ("document", *get_args(RowKind))

Score = TextScore | RowScore


class Comparison:
    """Models that are scored side by side on one text after another."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        path: Path,
        *,
        is_saved: bool = True,
        by: By = "document",
        unit: Unit | None = None,
        blank_with: BlankWith | None = None,
        baseline: bool | None = None,
        order: int | None = None,
        orders: Iterable[int] = (),
        mix: bool = False,
        adapt: Adapting | None = None,
        exact: bool = False,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """
        Open or fit the models to compare.

        Args:
            model: the model in question.
            tokenizer: its own.
            path: its file; the baselines belong to the run folder that the file is in.
            is_saved: whether the file holds this model; only for such a model something is kept in the run.
            by: what one score covers.
            unit: what is read afresh. None: lines by line and by word, records by record, else what is one
                text for the model.
            blank_with: by word, the word that white space is counted with; None: the next one.
            baseline: the run's n-gram baseline beside the model. None: if there is one, by document only.
            order: fit a baseline of this order on the run's training text instead.
            orders: fit baselines of all these orders; count what each model estimated, and the n-grams that
                are possible.
            mix: add the mixture of the model and its run's own baseline, with weights fitted on the run's
                validation text. Where that text itself is scored, each half gets the weights fitted on the
                other.
            adapt: add the same models learning from a text as they read it, or with a cache of it, and with
                `mix` their mixture; how they do. None: no model does.
            exact: read a text as one stream, and score it as it arrives (scoring.py).
            on_note: called with what a reader of the scores should know, a sentence each.

        Raises:
            ConfigError: the arguments contradict each other.
            ModelError: a baseline was asked for, but there is none.
        """
        asked = _listed(orders)
        _check(by, asked, baseline, order, mix=mix, adapt=adapt is not None)
        _check_units(by, unit, blank_with)
        self._tokenizer, self._path, self._run = tokenizer, path, run_of(path)
        self._by: By = by
        self._unit: Unit = unit or unit_of(by, tokenizer)
        self._blank_with: BlankWith = blank_with or "next"
        self._exact = exact
        self._is_saved = is_saved
        self._counted = bool(asked)
        self._on_note = on_note
        self._model = model
        self._models = [*(self._baseline(each) for each in asked), model]
        if not asked and self._wants_baseline(True if mix else baseline, order):
            self._models.append(self._baseline(order))
        self._mixed = self._mix(place=len(asked)) if mix else None
        self._adapt = adapt
        self._adapting = None if adapt is None else self._that_adapt(adapt, mix=mix)

    def scores(self, texts: Iterable[Text]) -> Iterator[Score]:
        """
        Score texts, in order. Every model's score of a text, line, word or token comes before the next one's.

        Raises:
            ConfigError: the mixture is to score parts of the text that its weights were fitted on.
            CorpusError: a text cannot be read, or is empty.
            NumericalError: a model's score is not a finite number.

        A text is read again if the validation text begins as it does, which is found out where something is
        learned from that.
        """
        self._note_answers()
        for given in texts:
            text = read_alike(given, self._tokenizer.reading)  # before it is cut into units
            learned = self._mixed is not None or self._adapting is not None
            fitted_on = learned and self._is_validation(text)
            unknown = UnknownTokens()
            if self._by == "document":
                yield from self._documents(text, unknown, validation=fitted_on)
            else:
                yield from self._rows(text, self._by, unknown, validation=fitted_on)

    def refuse_many_adapted(self, texts: Sequence[Text]) -> None:
        """
        Check that one network will have learned from all that is read.

        Raises:
            ConfigError: the network does not learn, or begins anew after a part of what is read.
            ModelError: the model is no network.
        """
        if self._adapt is None or self._adapt.config is None:
            raise ConfigError("--save-adapted writes the network with what it learned: add --adapt")
        if self._model.as_network() is None:
            raise ModelError(f"{self._path} is no network, so --save-adapted has nothing to write")
        stream = self._unit == "document" or (self._by == "document" and self._unit == self._tokenizer.unit)
        if self._adapt.across or (stream and len(texts) == 1):
            return
        part, fewer = (self._unit, "leave --by and --unit out") if len(texts) == 1 else ("TEXT", "give one")
        raise ConfigError(
            f"each {part} begins with the network as trained, so there is no single adapted one to save; "
            f"add --adapt-across, or {fewer}"
        )

    def adapted_network(self) -> RecurrentModel:
        """
        The network with what it learned from the texts.

        Raises:
            ModelError: it learned nothing.
        """
        assert self._adapting is not None
        return self._adapting.adapted_network()

    def _documents(self, text: Text, unknown: UnknownTokens, *, validation: bool) -> Iterator[TextScore]:
        """Every model's score of a whole text; `validation` if weights and gates were fitted on it."""
        mixture = self._mixed and Mixture.of(*self._mixed, validation=validation)
        fit = FitCheck(self._model, self._tokenizer, self._unit, encoding=text.encoding)
        chunks = fit.passing(self._chunks(text))
        scores = compare_models(
            [*self._models, *self._learning(validation=validation)],
            self._tokenizer,
            chunks,
            text.name,
            unit=self._unit,
            exact=self._exact,
            mixture=mixture,
            unknown=unknown,
        )
        if scores[0].note:
            note = f"{scores[0].note}: {unknown.named()}"
            self._on_note(fit.misfit.added_to(note) if fit.misfit else note)
        else:
            self._note_misfit(text, fit)
        if mixture:  # behind those that it mixes, before those that adapt
            scores.insert(len(self._models), scores.pop())
        if not self._counted:
            yield from scores
            return
        described = [model.describe() for model in self._models]
        of_mixture = [None] * bool(mixture)
        parameters = [each["parameters"] for each in described] + of_mixture
        possible = [
            each["vocabulary_size"] ** each["order"] if "order" in each else None for each in described
        ]
        yield from map(CountedTextScore.of, scores, parameters, possible + of_mixture)

    def _rows(
        self, text: Text, by: RowKind, unknown: UnknownTokens, *, validation: bool
    ) -> Iterator[RowScore]:
        """Every model's score of the first record, line, word or token, then of the next, and so on."""
        models = list(self._models)
        if self._mixed:
            if validation:
                raise ConfigError(
                    f"--mix by {by} needs a TEXT: the weights were fitted on {text.name} itself"
                )
            members, weights = self._mixed
            models.append(MixtureModel([models[place] for place in members], weights.whole))
        models += self._learning(validation=validation)

        def note_at_once() -> None:
            if not (fit.misfit and fit.misfit.problem):  # else with the unknown tokens of the whole text
                self._note_misfit(text, fit)

        fit = FitCheck(self._model, self._tokenizer, self._unit, note_at_once, encoding=text.encoding)
        yield from score_rows(
            models,
            self._tokenizer,
            fit.passing(self._chunks(text)),
            text.name,
            by=by,
            unit=self._unit,
            exact=self._exact,
            at_once=text.files is None and not text.in_memory,
            blank_with=self._blank_with,
            unigram_bits=self._unigram_bits if by == "word" else None,
            unknown=unknown,
        )
        problem = fit.misfit.problem if fit.misfit else ""
        if note := unknown.note(text.name):
            self._on_note(fit.misfit.added_to(note) if fit.misfit and problem else note)
        elif problem:
            self._note_misfit(text, fit)

    def _chunks(self, text: Text) -> Iterator[str]:
        """The text; a stream of records if those are the units that are asked for, or the model's."""
        own = self._tokenizer.unit if self._unit == "document" else self._unit
        return text.in_units(own).chunks()

    @cached_property
    def _unigram_bits(self) -> Float64Array | None:
        """The unigram surprisal of each token in the run's training text; None if that is not there."""
        if self._run is None or not self._run.train_tokens.exists():
            return None
        size = self._tokenizer.vocabulary_size
        return unigram_bits(open_kept_tokens(self._run, self._run.train_tokens, size), size)

    def _note_answers(self) -> None:
        reading = self._tokenizer.reading
        if reading.answers_after is not None:
            self._on_note(
                f"only answers are scored, what follows {reading.answers_after!r} in each {reading.unit}"
            )

    def _note_misfit(self, text: Text, fit: FitCheck) -> None:
        if fit.misfit:
            self._on_note(fit.misfit.note(text.name))

    def _baseline(self, order: int | None) -> LanguageModel:
        return baseline_of(self._path, self._tokenizer, order)

    def _that_adapt(self, adapting: Adapting, *, mix: bool) -> AdaptingModels:
        """
        Models that begin from the others and learn from a text.

        Raises:
            ModelError: none of them can.
        """
        baselines = [each.as_ngrams() for each in self._models if each is not self._model]
        baselines.append(self._model.as_ngrams())
        found = AdaptingModels(
            self._model,
            next((each for each in baselines if each is not None), None),
            self._tokenizer,
            self._run,
            adapting,
            mix=mix,
            is_saved=self._is_saved,
            in_step=self._by in ("document", "record", "line"),  # words and tokens ask for all predictions
            on_note=self._on_note,
        )
        if not found and adapting.cache is not None:
            raise ModelError(f"{self._path} has no use for a cache, which a network has; name a run")
        if not found:
            raise ModelError(
                f"{self._path} cannot adapt: it is no network, and holds no training tokens whose counts "
                "could grow; fit it with `lmgen ngram --keep-tokens`, or name a run"
            )
        return found

    def _learning(self, *, validation: bool) -> list[LanguageModel]:
        """The models that learn from a text."""
        return self._adapting.for_text(validation=validation) if self._adapting else []

    def _wants_baseline(self, wanted: bool | None, order: int | None) -> bool:
        """
        Whether one n-gram model is shown beside the model.

        Raises:
            ModelError: it was asked for, but there is none.
        """
        asked_for = bool(wanted) or order is not None
        if not asked_for and (wanted is False or self._by != "document"):
            return False
        if self._run is not None and (order is not None or self._run.ngram.exists()):
            return True
        without = "of a run that was trained without one, or not yet to its end"
        why = "not in a run folder" if self._run is None else without
        if asked_for:
            advice = "name the run folder" if self._run is None else "fit one with --order"
            raise ModelError(f"there is no n-gram baseline: {self._path} is {why}; {advice}")
        self._on_note(f"no n-gram baseline: {self._path} is {why}")
        return False

    def _mix(self, place: int) -> tuple[tuple[int, int], FittedWeights]:
        """
        The places of the mixture's two members among the models, and their weights.

        One is the model, at `place`; the other is its run's own baseline, added if it is not there yet.
        """
        stored = self._baseline(None)
        names = [model.name for model in self._models]
        if stored.name not in names:
            self._models.append(stored)
            names.append(stored.name)
        answers = Answers.of(self._tokenizer)
        weights = weights_of(self._path, self._models[place], stored, answers, is_saved=self._is_saved)
        return (place, names.index(stored.name)), weights

    def _is_validation(self, text: Text) -> bool:
        """Whether this is the text that the weights were fitted on, in whatever file, or from a pipe."""
        if self._run is None or not self._run.valid_text.exists():
            return False
        kept = self._run.valid_text
        read = text.in_units("record") if kept.suffix == RECORDS_SUFFIX else text
        return Path(text.name).resolve() == kept.resolve() or alike(
            read.chunks(), held_out_chunks(kept, checksums=None)
        )


def _listed(orders: Iterable[int]) -> list[int]:
    """The orders, if they are that."""
    listed = list(orders) if isinstance(orders, Iterable) else [None]
    if any(type(order) is not int for order in listed):
        raise ConfigError(f"orders is {shown(orders)}, but has to be whole numbers, such as range(1, 6)")
    return listed


def _check(
    by: By, orders: Sequence[int], baseline: bool | None, order: int | None, *, mix: bool, adapt: bool
) -> None:
    """Refuse arguments that contradict each other."""
    problems = []
    if by not in KINDS:
        problems.append(f"by is {shown(by)}, but has to be one of {', '.join(KINDS)}")
    if orders and by != "document":
        problems.append("--orders compares whole texts, so it goes with --by document only")
    if orders and adapt:
        problems.append(
            "--orders compares models that do not adapt: leave --adapt and --cache out, or give --order"
        )
    if orders and (order is not None or baseline is not None):
        problems.append("--orders says which baselines there are: leave --order and --baseline out")
    if mix and (order is not None or baseline is False):
        problems.append(
            "--mix mixes the model with its run's own baseline: leave --order and --no-baseline out"
        )
    if baseline is False and order is not None and not mix:
        problems.append("--order and --no-baseline contradict each other; give one of them")
    if problems:
        raise ConfigError("; ".join(problems))


def _check_units(by: By, unit: Unit | None, blank_with: BlankWith | None) -> None:
    """Refuse units that contradict what one score covers."""
    problems = []
    if unit is not None and unit not in UNITS:
        problems.append(f"unit is {unit!r}, but has to be one of {', '.join(UNITS)}")
    elif by == "record" and unit not in (None, "record"):
        problems.append(f"by record each record is read afresh, not each {unit}: leave --unit out")
    if blank_with is not None and blank_with not in get_args(BlankWith):
        problems.append(
            f"blank_with is {blank_with!r}, but has to be one of {', '.join(get_args(BlankWith))}"
        )
    elif blank_with is not None and by != "word":
        problems.append("--blank-with goes with --by word only")
    if problems:
        raise ConfigError("; ".join(problems))
