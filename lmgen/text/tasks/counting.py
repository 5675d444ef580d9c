"""Formal languages that a network has to count for: equal numbers of two or three letters."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from random import Random
from typing import ClassVar

from lmgen.text.best import BestScore
from lmgen.text.tasks.task import Task, mean, one_of, span, spans


@dataclass(frozen=True, kw_only=True)
class Counting(Task):
    """The same number n of each of some letters, one letter after another."""

    letters: ClassVar[str]

    source = "Gers and Schmidhuber 2001, LSTM networks learn simple context-free and -sensitive languages"
    mark = "b"
    default_count = 5_000

    n: str = spans("1-10", "How many of each letter.")
    test_n: str | None = spans(None, "`n` in the test file, if it is another.")

    def instances(self, random: Random) -> Iterator[str]:
        """One n, all equally likely."""
        numbers = span(self.n)
        while True:
            n = one_of(random, numbers)
            yield "".join(letter * n for letter in self.letters)

    @property
    def best(self) -> BestScore:
        """A line holds log (number of n's) nats, all before the first b: what follows it is known, 0 nats."""
        numbers = span(self.n)
        return BestScore(
            nats_per_answer=0.0,
            nats_per_line=log(len(numbers)),
            characters_per_line=len(self.letters) * mean(numbers) + 1,
        )


@dataclass(frozen=True, kw_only=True)
class AnBn(Counting):
    """As many b's as a's: `aaabbb`."""

    name = "anbn"
    description = "as many b's as a's, aaabbb: context-free, needs one counter"
    letters = "ab"


@dataclass(frozen=True, kw_only=True)
class AnBnCn(Counting):
    """As many b's and c's as a's: `aaabbbccc`."""

    name = "anbncn"
    description = "as many b's and c's as a's, aaabbbccc: context-sensitive, needs two counters"
    letters = "abc"
