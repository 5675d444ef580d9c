r"""
How often a model answers right: `lmgen answers`.

Each line (or record) of a text is a question, a mark and the right answer. The model reads the line up to its
first mark and goes on with the likeliest token each time until the line ends; or it chooses, among given
answers, the one of highest probability, the end of the line included. An answer is right if it is the
expected one, character by character, or is so as the tokenizer spells both: in lower case if it reads
texts so, and word by word if it keeps no white space. A "\r" before the end of a line is part of that end.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from lmgen.arrays import IdArray
from lmgen.errors import ConfigError, CorpusError
from lmgen.evaluation.fit import Misfit, misfit
from lmgen.evaluation.scoring import score_each
from lmgen.evaluation.tables import html_table
from lmgen.generation.config import SamplingConfig
from lmgen.generation.sampler import complete
from lmgen.models.base import LanguageModel
from lmgen.settings import shown
from lmgen.text.reading import read_alike, read_text
from lmgen.text.sources import Text
from lmgen.text.units import UNIT_END, Unit
from lmgen.tokenizers.base import Tokenizer

MOST_LABELS = 20
"""Answers are counted label by label if there are at most so many different ones, twice each on average."""

SCORED_TOGETHER = 1024
"""Lines with a choice whose probabilities are worked out at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model answered to one line or record."""

    line: int
    """The number of the line, or of the record, from 1."""
    prompt: str
    """What the model read: all up to the mark, which is its end."""
    expected: str
    answer: str
    correct: bool

    def values(self) -> dict[str, Any]:
        """The values by their names, in order."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How many of some answers are right."""

    instances: int
    exact: int

    @property
    def accuracy(self) -> float:
        """Their share."""
        return self.exact / self.instances

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> "Accuracy":
        """That of some answers, at least one."""
        return cls(instances=len(answers), exact=sum(each.correct for each in answers))

    def with_others(self, others: "Accuracy") -> "Accuracy":
        """That of these answers and of others together."""
        return Accuracy(instances=self.instances + others.instances, exact=self.exact + others.exact)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"instances": self.instances, "exact": self.exact, "accuracy": self.accuracy}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerResults:
    """The answers of a model to the lines of a text, and how many are right: `results.accuracy`."""

    model: str
    text: str
    answers: tuple[Answer, ...]
    baseline_model: str | None = None
    """The name of the n-gram model beside it."""
    baseline_answers: tuple[Answer, ...] = ()

    def __repr__(self) -> str:
        """`<AnswerResults lstm, test.txt: 990 of 1,000 right>`."""
        return (
            f"<{type(self).__name__} {self.model}, {self.text}: {self.exact:,} of {self.instances:,} right>"
        )

    def _repr_html_(self) -> str:
        return html_table(self.answers)

    @property
    def instances(self) -> int:
        """How many lines there are with the mark."""
        return len(self.answers)

    @property
    def exact(self) -> int:
        """How many of them were answered right."""
        return Accuracy.of(self.answers).exact

    @property
    def accuracy(self) -> float:
        """The share of them."""
        return Accuracy.of(self.answers).accuracy

    @property
    def baseline(self) -> Accuracy | None:
        """That of the n-gram model; None without one."""
        return Accuracy.of(self.baseline_answers) if self.baseline_answers else None

    @property
    def majority_answer(self) -> str:
        """The right answer of most lines; of several the one that comes first."""
        return Counter(each.expected for each in self.answers).most_common(1)[0][0]

    @property
    def majority_accuracy(self) -> float:
        """The share of right answers if all lines were answered so."""
        return Counter(each.expected for each in self.answers).most_common(1)[0][1] / self.instances

    @property
    def by_length(self) -> dict[int, Accuracy]:
        """The accuracy by the length of the right answer, in characters; the shortest first."""
        groups: dict[int, list[Answer]] = {}
        for each in self.answers:
            groups.setdefault(len(each.expected), []).append(each)
        return {length: Accuracy.of(groups[length]) for length in sorted(groups)}

    @property
    def by_label(self) -> dict[str, Accuracy]:
        """The accuracy for each right answer, the most frequent first; empty if many are different."""
        counts = Counter(each.expected for each in self.answers)
        if len(counts) > MOST_LABELS or 2 * len(counts) > self.instances:
            return {}
        return {
            label: Accuracy.of([each for each in self.answers if each.expected == label])
            for label, _ in counts.most_common()
        }

    def to_json(self) -> dict[str, Any]:
        """What `lmgen answers --json` prints."""
        return {
            "model": self.model,
            "text": self.text,
            **Accuracy.of(self.answers).to_json(),
            "majority_answer": self.majority_answer,
            "majority_accuracy": self.majority_accuracy,
            "by_length": {str(length): each.to_json() for length, each in self.by_length.items()},
            "by_label": {label: each.to_json() for label, each in self.by_label.items()},
            "baseline": self.baseline and {"model": self.baseline_model, **self.baseline.to_json()},
        }


def answer_lines(
    model: LanguageModel,
    tokenizer: Tokenizer,
    text: Text,
    *,
    after: str | None = None,
    choices: Sequence[str] = (),
    baseline: LanguageModel | None = None,
    on_note: Callable[[str], None] = lambda _: None,
) -> AnswerResults:
    """
    Let a model answer the lines of a text; the records, if those are one text for it.

    Args:
        model: any language model.
        tokenizer: its own.
        text: the lines, each with a mark; others are left out, and a note says how many.
        after: the mark; None: the one that the model was trained with.
        choices: choose among these answers; none: any text.
        baseline: an n-gram model with the same tokenizer, to answer the same lines.
        on_note: called with what a reader of the results should know, a sentence each.

    Raises:
        ConfigError: there is no mark, or an answer to choose is listed twice.
        CorpusError: no line has the mark.
        NumericalError: a probability is NaN.
    """
    if after == "":
        raise ConfigError("--after needs a mark of at least one character, such as =")
    mark = after or tokenizer.reading.answers_after
    if not mark:
        raise ConfigError(
            "the model was not trained with --answers-after, so say what is between a question and its "
            "answer: --after MARK, such as --after ="
        )
    if len(set(choices)) < len(choices):
        raise ConfigError(f"--choices has an answer twice: {', '.join(choices)}; give each once")
    unit: Unit = "record" if tokenizer.unit == "record" else "line"
    lines = _questions(read_alike(text, tokenizer.reading), unit, mark, on_note, is_given=after is not None)
    questions = [(line, prompt, _without_cr(expected)) for line, prompt, expected in lines]
    writer = _Writer(tokenizer, unit)
    found = _misfit(model, tokenizer, questions)
    if found is not None and lines != questions:  # the model may know the line ends of this text
        found = _misfit(model, tokenizer, lines) and found
    if found is not None:
        on_note(f"{text.name}: {'; '.join(filter(None, [found.problem, found.instead]))}")
    if choices:
        choices = [read_text(choice, tokenizer.reading) for choice in choices]
        if alike := writer.alike(choices):
            on_note(
                f"the choices {shown(alike[0])} and {shown(alike[1])} are the same to the model, which reads "
                "what it does not know as unknown: it takes the first"
            )
        counts = Counter(expected for _, _, expected in questions)
        is_choice = {each: any(writer.is_same(choice, each) for choice in choices) for each in counts}
        if strange := sum(count for each, count in counts.items() if not is_choice[each]):
            on_note(f"{strange:,} of {len(questions):,} right answers are not among the choices")

    def answered(by: LanguageModel) -> tuple[Answer, ...]:
        prompts = [prompt for _, prompt, _ in questions]
        given = writer.choose(by, prompts, choices) if choices else writer.write(by, prompts, longest)
        return tuple(
            Answer(
                line=line,
                prompt=prompt,
                expected=expected,
                answer=answer,
                correct=writer.is_same(answer, expected),
            )
            for (line, prompt, expected), answer in zip(questions, map(_without_cr, given), strict=True)
        )

    longest = max(writer.length(expected) for _, _, expected in questions)
    return AnswerResults(
        model=model.name,
        text=text.name,
        answers=answered(model),
        baseline_model=None if baseline is None else baseline.name,
        baseline_answers=() if baseline is None else answered(baseline),
    )


def _without_cr(answer: str) -> str:
    r"""An answer without what is left of the line end `\r\n`."""
    return answer.removesuffix("\r")


def _misfit(
    model: LanguageModel, tokenizer: Tokenizer, questions: Sequence[tuple[int, str, str]]
) -> Misfit | None:
    """How lines with their answers do not fit a model."""
    return misfit(model, tokenizer, "".join(f"{prompt}{expected}\n" for _, prompt, expected in questions))


def _questions(
    text: Text, unit: Unit, mark: str, on_note: Callable[[str], None], *, is_given: bool
) -> list[tuple[int, str, str]]:
    """
    The lines or records with a mark: number, all up to the mark, and what follows.

    `is_given` says whether the user named the mark; else it is the one that the model was trained with.
    """
    end = UNIT_END if unit == "record" else "\n"
    units = "".join(text.in_units(unit).chunks()).split(end)
    if not units[-1]:  # what follows the last end
        units.pop()
    parts = [each.partition(mark) for each in units]
    found = [
        (number, question + between, expected)
        for number, (question, between, expected) in enumerate(parts, 1)
        if between
    ]
    if not found:
        first = next((each for each in units if each.strip()), "")
        advice = f"{shown(first)} is one of them" if is_given else "name the mark of this text with --after"
        raise CorpusError(
            f"no {unit} of {text.name} has the mark {shown(mark)} in it, so there is no question to answer; "
            f"{advice}"
        )
    if len(found) < len(units):
        left_out = len(units) - len(found)
        on_note(f"{text.name}: {left_out:,} of {len(units):,} {unit}s have no {mark!r} and are left out")
    return found


@dataclass(frozen=True, slots=True)
class _Writer:
    """Answers questions in the units of a tokenizer."""

    tokenizer: Tokenizer
    unit: Unit

    def write(self, model: LanguageModel, prompts: Sequence[str], longest: int) -> Iterable[str]:
        """What follows each prompt, always the likeliest token, up to one token more than `longest`."""
        config = SamplingConfig(temperature=0, length=longest + 1, seed=0)
        completions = complete(model, self.tokenizer, prompts, config, lines=self.unit == "line")
        return (each.text for each in completions)

    def choose(self, model: LanguageModel, prompts: Sequence[str], choices: Sequence[str]) -> Iterable[str]:
        """The likeliest of the choices after each prompt; of equals the first."""
        remaining = iter(prompts)
        while group := list(islice(remaining, max(1, SCORED_TOGETHER // len(choices)))):
            texts = [[self._encoded(prompt + choice) for choice in choices] for prompt in group]
            nats = iter(score_each(model, [ids for each in texts for ids in each]))
            for each in texts:
                common = _common_beginning(each)
                sums = [float(next(nats)[common:].sum()) for _ in each]
                yield choices[int(np.argmin(sums))]

    def length(self, answer: str) -> int:
        """The tokens of an answer."""
        return len(self.tokenizer.encode(self._mark + answer))

    def is_same(self, answer: str, expected: str) -> bool:
        """Whether two answers are the same, or spelled the same by the tokenizer without unknown tokens."""
        if answer == expected:
            return True
        whole = self._mark + expected
        ids = self.tokenizer.encode(whole)
        if self.tokenizer.unknown_among(whole, ids).any():
            return False
        return self._spelled(self.tokenizer.encode(self._mark + answer)) == self._spelled(ids)

    def alike(self, choices: Sequence[str]) -> tuple[str, str] | None:
        """Two choices that have the same tokens; None if there are none."""
        seen: dict[bytes, str] = {}
        for choice in choices:
            before = seen.setdefault(self.tokenizer.encode(self._mark + choice).tobytes(), choice)
            if before is not choice:
                return before, choice
        return None

    def _spelled(self, ids: IdArray) -> str:
        """The text of tokens; where they are words, without the white space that is put around them."""
        text = self.tokenizer.decode(ids)
        return text.strip() if self.tokenizer.reads_lines else text

    @property
    def _mark(self) -> str:
        """The mark of the tokenizer, so that one within an answer is text."""
        return self.tokenizer.reading.answers_after or ""

    def _encoded(self, text: str) -> Any:
        """The ids of a unit with its end, if it has any."""
        if self.tokenizer.end is None and self.tokenizer.line_end is None:
            return self.tokenizer.encode(text)
        return self.tokenizer.encode(text + (UNIT_END if self.unit == "record" else "\n"))


def _common_beginning(texts: Sequence[Any]) -> int:
    """How many tokens some texts have in common at their beginning."""
    shortest = min(map(len, texts))
    same = (np.stack([ids[:shortest] for ids in texts]) == texts[0][:shortest]).all(axis=0)
    return shortest if same.all() else int(np.argmin(same))
