"""Tasks whose answer is a sequence: a copy of the question, or the question moved on by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from random import Random

from lmgen.settings import setting
from lmgen.text.best import BestScore
from lmgen.text.tasks.task import Task, below, drawn, mean, one_of, span, spans, wrong

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, kw_only=True)
class Copy(Task):
    """Words to be repeated: `fbgah=fbgah`."""

    name = "copy"
    description = "words to be repeated, fbgah=fbgah: the state has to hold all of the question"
    source = "Graves, Wayne and Danihelka 2014, Neural Turing Machines; reversed: Sutskever et al. 2014"
    mark = "="

    length: str = spans("1-10", "Letters of the word.")
    test_length: str | None = spans(None, "`length` in the test file, if it is another.")
    letters: int = setting(8, "How many different letters there are.", minimum=2, maximum=26)
    reverse: bool = setting(False, "Write the answer backwards.")

    def instances(self, random: Random) -> Iterator[str]:
        """A length, then as many letters, all equally likely."""
        lengths, letters = span(self.length), LETTERS[: self.letters]
        while True:
            word = drawn(random, letters, one_of(random, lengths))
            yield f"{word}={word[::-1] if self.reverse else word}"

    @property
    def best(self) -> BestScore:
        """
        The answer follows from the question: 0 nats. A line holds log (number of lengths) nats for its length
        L and L log `letters` nats for the word.
        """
        lengths = span(self.length)
        return BestScore(
            nats_per_answer=0.0,
            nats_per_line=log(len(lengths)) + mean(lengths) * log(self.letters),
            characters_per_line=2 * mean(lengths) + len("=\n"),
        )


@dataclass(frozen=True, kw_only=True)
class SequenceShift(Task):
    """Numbers in a row, and the row moved on by one: `1 2 3 4 5 6 -> 2 3 4 5 6 7`."""

    name = "sequence-shift"
    description = "rows of numbers moved on by one, 1 2 3 4 5 6 -> 2 3 4 5 6 7: a sequence for a sequence"
    source = "the example of lectures on sequence to sequence learning (Sutskever, Vinyals and Le 2014)"
    mark = "->"
    default_count = 500

    length: str = spans("6", "Numbers of the row.", most=100)
    test_length: str | None = spans(None, "`length` in the test file, if it is another.", most=100)
    numbers: int = setting(1000, "The largest number.", minimum=2, maximum=1_000_000)
    largest_step: int = setting(1, "Rows go up by 1 to this much, equally likely.", minimum=1, maximum=100)

    def __post_init__(self) -> None:
        super().__post_init__()
        for length in (self.length, self.test_length):
            if length and span(length)[-1] * self.largest_step >= self.numbers:
                least = span(length)[-1] * self.largest_step + 1
                longest = f"rows of {span(length)[-1]} numbers"
                raise wrong("numbers", f"is {self.numbers}, but has to be at least {least} for {longest}")

    def instances(self, random: Random) -> Iterator[str]:
        """A length, a step, then a start: all equally likely with which no number is above `numbers`."""
        lengths = span(self.length)
        while True:
            length, step = one_of(random, lengths), below(random, self.largest_step) + 1
            start = below(random, self.numbers - length * step) + 1
            row = [str(start + step * place) for place in range(length + 1)]
            yield f"{' '.join(row[:-1])} -> {' '.join(row[1:])}"

    @property
    def best(self) -> BestScore:
        """
        The answer follows from the question, unless that is a single number and the step is unknown. A line
        holds the logarithms of the numbers of lengths L, of steps s, and of starts, `numbers` - L s.
        """
        lengths, steps = span(self.length), range(1, self.largest_step + 1)
        pairs = [(length, step) for length in lengths for step in steps]
        starts = mean(pairs, lambda pair: log(self.numbers - pair[0] * pair[1]))
        return BestScore(
            nats_per_answer=self._best_of_answers(lengths),
            nats_per_line=log(len(lengths)) + log(len(steps)) + starts,
            characters_per_line=mean(pairs, lambda pair: self._characters(*pair)),
        )

    def _best_of_answers(self, lengths: range) -> float:
        """
        The entropy of the answer given the question. It is 0 for a row of two numbers or more. A single
        number n may go up by each step s with n <= `numbers` - s, with the probability of its line.
        """
        if lengths[0] > 1 or self.largest_step == 1:
            return 0.0
        starts = [self.numbers - step for step in range(1, self.largest_step + 1)]
        nats = 0.0
        for number in range(1, self.numbers):
            chances = [1 / most for most in starts if number <= most]
            nats -= sum(chance * log(chance / sum(chances)) for chance in chances)
        return nats / self.largest_step / len(lengths)

    def _characters(self, length: int, step: int) -> float:
        """The mean length of lines: of the digits of each number over all starts, and of what is between."""
        starts = self.numbers - length * step
        digits = [
            (_digits_up_to(starts + place * step) - _digits_up_to(place * step)) / starts
            for place in range(length + 1)
        ]
        return sum(digits[:-1]) + sum(digits[1:]) + 2 * (length - 1) + len(" -> \n")


def _digits_up_to(number: int) -> int:
    """How many digits the numbers 1 to `number` have together: 10 -> 11."""
    total, power = 0, 1
    while power <= number:
        total += number - power + 1
        power *= 10
    return total
