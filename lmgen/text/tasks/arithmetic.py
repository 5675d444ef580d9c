"""Tasks whose answer is a sum: addition of written numbers, and the adding problem."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from random import Random

from lmgen.settings import setting
from lmgen.text.best import BestScore
from lmgen.text.tasks.task import Task, below, drawn, mean, one_of, span, spans


@dataclass(frozen=True, kw_only=True)
class Addition(Task):
    """Sums of two numbers: `123+34=157`."""

    name = "addition"
    description = "sums such as 123+34=157: the answer is read off only by carrying"
    source = "Zaremba and Sutskever 2014, Learning to Execute; the reversed answer: Keras, addition_rnn"
    mark = "="

    digits: int = setting(
        3, "Most digits of a number; 1 up to this many are equally likely.", minimum=1, maximum=50
    )
    test_digits: int | None = setting(
        None, "`digits` in the test file, if it is another.", minimum=1, maximum=50
    )
    reverse: bool = setting(False, "Write the answer backwards.")

    def instance(self, random: Random) -> str:
        """Two numbers, each of its number of digits first, then all numbers of so many equally likely."""
        first, second = self._number(random), self._number(random)
        answer = str(int(first) + int(second))
        return f"{first}+{second}={answer[::-1] if self.reverse else answer}"

    @property
    def best(self) -> BestScore:
        """
        The answer follows from the question: 0 nats. A line holds two numbers, of log k nats for the length
        (k = `digits`) and, on average, of mean(log 10, log 90, log 900, ...) nats for the number.
        """
        number = log(self.digits) + mean(range(1, self.digits + 1), lambda k: log(_how_many(k)))
        pairs = [(i, j) for i in range(1, self.digits + 1) for j in range(1, self.digits + 1)]
        answer = mean(pairs, lambda pair: max(pair) + _carry(max(pair), min(pair)))
        return BestScore(
            nats_per_answer=0.0,
            nats_per_line=2 * number,
            characters_per_line=(self.digits + 1) + answer + len("+=\n"),
        )

    def _number(self, random: Random) -> str:
        digits = below(random, self.digits) + 1
        if digits == 1:
            return drawn(random, "0123456789", 1)
        return drawn(random, "123456789", 1) + drawn(random, "0123456789", digits - 1)


@dataclass(frozen=True, kw_only=True)
class Adding(Task):
    """The adding problem with whole numbers: `3*7104*82=15`, the sum of the two digits after a star."""

    name = "adding"
    description = "the adding problem: the sum of two marked digits among many, 3*7104*82=15"
    source = "Hochreiter and Schmidhuber 1997, experiment 4; places of the marks: Le, Jaitly and Hinton 2015"
    mark = "="
    default_count = 20_000

    length: str = spans("100-110", "Digits of the sequence.", least=2)
    test_length: str | None = spans(None, "`length` in the test file, if it is another.", least=2)
    values: int = setting(10, "How many different digits there are.", minimum=2, maximum=10)

    def instances(self, random: Random) -> Iterator[str]:
        """A length, then a digit of each half that is marked, then the digits."""
        lengths, digits = span(self.length), "0123456789"[: self.values]
        while True:
            length = one_of(random, lengths)
            half = length // 2
            first, second = below(random, half), half + below(random, length - half)
            row = drawn(random, digits, length)
            yield (f"{row[:first]}*{row[first:second]}*{row[second:]}={int(row[first]) + int(row[second])}")

    @property
    def best(self) -> BestScore:
        """
        The answer follows from the question: 0 nats. A line holds log (number of lengths) nats for its length
        L, log floor(L/2) + log ceil(L/2) for the places of the marks, and L log `values` for the digits.
        """
        lengths = span(self.length)
        marks = mean(lengths, lambda length: log(length // 2) + log(length - length // 2))
        sums = [len(str(a + b)) for a in range(self.values) for b in range(self.values)]
        return BestScore(
            nats_per_answer=0.0,
            nats_per_line=log(len(lengths)) + marks + mean(lengths) * log(self.values),
            characters_per_line=mean(lengths) + mean(sums) + len("**=\n"),
        )


def _how_many(digits: int) -> int:
    """How many numbers have so many digits: 10 of one digit, then 90, 900, ..."""
    return 10 if digits == 1 else 9 * 10 ** (digits - 1)


def _carry(longer: int, shorter: int) -> float:
    """
    The probability that the sum of numbers of so many digits has one digit more than the longer.

    For each b, min(b, m) of the m numbers a of the longer kind have a + b >= 10^longer.
    """
    many = _how_many(longer)
    least, most = 0 if shorter == 1 else 10 ** (shorter - 1), 10**shorter - 1
    middle = min(most, many)
    pairs: int = (least + middle) * (middle - least + 1) // 2 + (most - middle) * many
    return pairs / float(many * _how_many(shorter))
