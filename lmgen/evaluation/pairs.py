"""
Minimal pairs: how often a model gives the acceptable sentence of a pair the higher probability.

    The cats that the dog chases sleep.      good
    The cats that the dog chases sleeps.     bad

Each sentence is a text of its own and is scored whole, its end with it, as `lmgen perplexity --by record` and
(for a sentence of one line) `--by line` do. A pair is right if log p(good) > log p(bad): a tie is wrong, as
the model then has no preference (Warstadt et al. 2020, BLiMP). Log-probabilities that differ by less than the
rounding of their sums are a tie. Pairs are scored many side by side.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from math import isclose, sqrt
from pathlib import Path
from typing import Any

from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.evaluation.comparison import Comparison
from lmgen.evaluation.tables import html_table
from lmgen.models.base import LanguageModel
from lmgen.settings import shown
from lmgen.text.encodings import UTF_8
from lmgen.text.given import refuse_surrogates
from lmgen.text.records import FIELD_END
from lmgen.text.sources import Text, open_text
from lmgen.text.units import UNIT_END, record_stream
from lmgen.tokenizers.base import Tokenizer

PAIRS_TOGETHER = 4096
"""Pairs whose sentences are cut into units together."""

ROUNDING = 1e-6
"""Log-probabilities whose relative difference is smaller are equal."""

Z = 1.959963984540054
"""The 97.5% quantile of the normal distribution, for intervals that hold 95%."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A pair of sentences as one model scores them."""

    model: str
    pair: int
    """Its number in the file, from 1."""
    group: str | None
    good_log10: float
    """The log-probability of the good sentence to base 10, its end included."""
    bad_log10: float
    good: str
    bad: str

    @property
    def is_tie(self) -> bool:
        """Whether both sentences have the same probability."""
        return isclose(self.good_log10, self.bad_log10, rel_tol=ROUNDING)

    @property
    def correct(self) -> bool:
        """Whether the good sentence has the higher probability; False for a tie."""
        return self.good_log10 > self.bad_log10 and not self.is_tie

    def values(self) -> dict[str, Any]:
        """The values by their names, in order; the sentences are last."""
        values = asdict(self)
        sentences = {name: values.pop(name) for name in ("good", "bad")}
        return {**values, "correct": self.correct, **sentences}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAccuracy:
    """How many of some pairs a model gets right, and the 95% interval of that share."""

    pairs: int
    correct: int
    ties: int
    """Pairs of which both sentences have the same probability; they count as wrong."""

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> "PairAccuracy":
        """That of some pairs, at least one."""
        return cls(
            pairs=len(pairs),
            correct=sum(each.correct for each in pairs),
            ties=sum(each.is_tie for each in pairs),
        )

    @property
    def accuracy(self) -> float:
        """The share of right pairs; 0.5 is chance."""
        return self.correct / self.pairs

    @property
    def interval(self) -> tuple[float, float]:
        """The score interval of Wilson (1927), from 0 to 1 however few pairs there are."""
        p, n = self.accuracy, self.pairs
        middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        return max(middle - half, 0.0), min(middle + half, 1.0)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; `low` and `high` are the ends of the interval."""
        low, high = self.interval
        return {**asdict(self), "accuracy": self.accuracy, "low": low, "high": high}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResults:
    """The pairs of a text as one or several models score them: `results.accuracy`, of the first model."""

    text: str
    models: tuple[str, ...]
    """The model, then its n-gram baseline and their mixture where they were asked for."""
    pairs: tuple[Pair, ...]
    """Every model's scores of the first pair, then of the next, and so on."""

    def __repr__(self) -> str:
        """`<PairResults lstm, pairs.jsonl: 790 of 1,000 right>`."""
        overall = self.overall()
        return (
            f"<{type(self).__name__} {self.models[0]}, {self.text}: {overall.correct:,} of "
            f"{overall.pairs:,} right>"
        )

    def _repr_html_(self) -> str:
        return html_table(self.pairs)

    @property
    def accuracy(self) -> float:
        """The share of pairs that the model gets right."""
        return self.overall().accuracy

    def overall(self, model: str | None = None) -> PairAccuracy:
        """The accuracy of one of the models over all pairs; None: of the first."""
        return PairAccuracy.of(self._of(model))

    def groups(self, model: str | None = None) -> dict[str, PairAccuracy]:
        """The accuracy of one of the models by group, in the order of the text; empty without groups."""
        by_group: dict[str, list[Pair]] = {}
        for pair in self._of(model):
            if pair.group is not None:
                by_group.setdefault(pair.group, []).append(pair)
        return {group: PairAccuracy.of(pairs) for group, pairs in by_group.items()}

    def to_json(self) -> dict[str, Any]:
        """What `lmgen pairs --json` prints; the figures of all models but the first are under `others`."""
        first, *others = (self._described(model) for model in self.models)
        return {"model": first.pop("model"), "text": self.text, **first, "others": others}

    def _described(self, model: str) -> dict[str, Any]:
        groups = {group: each.to_json() for group, each in self.groups(model).items()}
        return {"model": model, **self.overall(model).to_json(), "groups": groups}

    def _of(self, model: str | None) -> list[Pair]:
        wanted = self.models[0] if model is None else model
        return [pair for pair in self.pairs if pair.model == wanted]


def pairs_of(
    text: str | Path | Iterable[Sequence[str]],
    *,
    good: str = "sentence_good",
    bad: str = "sentence_bad",
    group: str | None = None,
    encoding: str | None = None,
) -> tuple[str, list[tuple[str, ...]]]:
    """
    The name of a text, and its pairs: good sentence, bad sentence and, if there are groups, the group.

    Args:
        text: a file of records (JSON Lines, JSON, CSV or TSV), `-` for JSON Lines on standard input; or a
            list of such pairs.
        good: the field with the acceptable sentence.
        bad: the field with the other.
        group: the field with the group that a pair belongs to; None: there are none.
        encoding: the character encoding of the file; None: UTF-8.

    Raises:
        ConfigError: it is neither, or both sentences are the same field.
        CorpusError: the file cannot be read, has no records or lacks a field; or a sentence is empty.
    """
    if isinstance(text, str | Path):
        if good == bad:
            raise ConfigError(f"both sentences of a pair are the field {good!r}; name two fields")
        fields = (good, bad) if group is None else (good, bad, group)
        opened = open_text(str(text), field=fields, once=True, encoding=encoding or UTF_8)
        if opened.records is None:
            raise CorpusError(
                f"{opened.name} has no records, of which two fields are the sentences of a pair; give JSON "
                "Lines (.jsonl), JSON, CSV or TSV"
            )
        records = "".join(opened.records()).split(UNIT_END)[:-1]
        name, pairs = opened.name, [tuple(record.split(FIELD_END)) for record in records]
    else:
        name, pairs = "pairs", [_given(pair, number) for number, pair in enumerate(text, 1)]
    for number, pair in enumerate(pairs, 1):
        for field, sentence in zip(("good", "bad"), pair, strict=False):
            if not sentence:
                raise CorpusError(
                    f"{name}, pair {number:,}: the {field} sentence is empty; leave the pair out"
                )
    if not pairs:
        raise CorpusError(f"{name} has no pairs")
    return name, pairs


def score_pairs(
    pairs: Sequence[Sequence[str]],
    name: str,
    model: LanguageModel,
    tokenizer: Tokenizer,
    path: Path,
    *,
    baseline: bool = False,
    mix: bool = False,
    is_saved: bool = True,
    on_note: Callable[[str], None] = lambda _: None,
) -> PairResults:
    """
    Score pairs of sentences by a model, and by those beside it.

    Args:
        pairs: good sentence, bad sentence and the group, if there are groups.
        name: what they are called.
        model: the model in question.
        tokenizer: its own.
        path: its file; the baseline belongs to the run folder that the file is in.
        baseline: also the run's n-gram baseline.
        mix: also the mixture of both.
        is_saved: whether the file holds this model.
        on_note: called with what a reader of the results should know, a sentence each.

    Raises:
        ModelError: the model scores answers only; or there is no baseline.
        NumericalError: a score is not a finite number.
    """
    if tokenizer.answer_mark is not None:
        raise ModelError(
            f"{path} was trained with --answers-after and gives probabilities to answers only, not to whole "
            "sentences; `lmgen answers` measures it"
        )
    comparison = Comparison(
        model,
        tokenizer,
        path,
        is_saved=is_saved,
        by="record",
        baseline=baseline or None,
        mix=mix,
        on_note=on_note,
    )

    def records() -> Iterator[str]:
        remaining = iter(pairs)
        while group := list(islice(remaining, PAIRS_TOGETHER)):
            yield from record_stream([[sentence for pair in group for sentence in pair[:2]]])

    scores: dict[str, list[float]] = {}
    for score in comparison.scores([Text(name, records, records=records)]):
        scores.setdefault(score.model, []).append(score.log10)  # type: ignore[union-attr]
    return PairResults(
        text=name,
        models=tuple(scores),
        pairs=tuple(
            Pair(
                model=of_model,
                pair=number + 1,
                group=pair[2] if len(pair) > 2 else None,
                good_log10=log10[2 * number],
                bad_log10=log10[2 * number + 1],
                good=pair[0],
                bad=pair[1],
            )
            for number, pair in enumerate(pairs)
            for of_model, log10 in scores.items()
        ),
    )


def _given(pair: Any, number: int) -> tuple[str, ...]:
    """A pair that a program gave."""
    parts = () if isinstance(pair, str) or not isinstance(pair, Iterable) else tuple(pair)
    if len(parts) not in (2, 3) or not all(isinstance(part, str) for part in parts):
        raise ConfigError(
            f"pair {number} is {shown(pair)}, but has to be a good and a bad sentence, and the group if "
            "there are groups"
        )
    for part in parts:
        refuse_surrogates(part, f"pair {number}")
    return parts
