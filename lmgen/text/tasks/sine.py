"""A sine wave as text: each value is rounded to one of some bins, and each bin is a character."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from math import log, pi, sin
from random import Random

from lmgen.errors import CorpusError
from lmgen.settings import setting
from lmgen.text.best import BestScore
from lmgen.text.tasks.task import Task, below

BINS = "".join(map(chr, (*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B), *range(0x100, 0x250))))
"""The characters of the bins, the lowest first: digits, capitals, small letters, then other Latin letters."""

DECIMALS = 9
"""Values are rounded to this many decimals before they are put into bins, so that all machines agree."""


@dataclass(frozen=True, kw_only=True)
class Sine(Task):
    """Sine waves of one period that start anywhere, a character a step."""

    name = "sine"
    description = "sine waves, a character a step for the value in one of 50 bins: to be continued"
    source = "lectures on time series; PyTorch's example time_sequence_prediction has --period 125.66"
    default_count = 1_000

    bins: int = setting(50, "To how many values it is rounded.", minimum=2, maximum=len(BINS))
    period: float = setting(25.0, "Steps of a period.", minimum=2, maximum=10_000)
    periods: int = setting(4, "Periods of a line.", minimum=1, maximum=1_000)
    test_periods: int | None = setting(
        None, "`periods` in the test file, if it is another.", minimum=1, maximum=1_000
    )
    phases: int = setting(
        1000, "At how many places of its period a wave may start.", minimum=1, maximum=10_000
    )

    def instance(self, random: Random) -> str:
        """One of `phases` starts, all equally likely; the rest follows."""
        return self._line(below(random, self.phases), self.length)

    @cached_property
    def best(self) -> BestScore:
        """
        A line is decided by where it starts. Its entropy is that of the different lines that the phases give,
        counted one by one: at most log `phases` nats, less where several give the same line.
        """
        lines = Counter(self._line(phase, self.length) for phase in range(self.phases))
        shares = [count / self.phases for count in lines.values()]
        return BestScore(
            nats_per_line=max(0.0, -sum(share * log(share) for share in shares)),
            characters_per_line=self.length + 1,
        )

    @property
    def length(self) -> int:
        """Steps of a line."""
        return max(1, round(self.period * self.periods))

    def values(self, text: str) -> list[float]:
        """
        The values that characters stand for, from -1 to 1: the middle of each bin.

        Raises:
            CorpusError: a character is no bin.
        """
        bins = {character: place for place, character in enumerate(BINS[: self.bins])}
        for character in text:
            if character not in bins:
                raise CorpusError(f"{character!r} is none of the {self.bins} values of the sine wave")
        return [(2 * bins[character] + 1) / self.bins - 1 for character in text]

    def truth(self, beginning: str, length: int) -> list[float]:
        """
        The exact values of the wave that begins with a text, from its start on.

        Where several phases begin so, the one in the middle is taken.

        Args:
            beginning: characters of a line, from its start.
            length: how many values.

        Raises:
            CorpusError: no wave begins so.
        """
        fitting = [phase for phase in range(self.phases) if self._line(phase, len(beginning)) == beginning]
        if not fitting:
            raise CorpusError(f"no sine wave of these parameters begins with {beginning[:20]!r}")
        start = next((i for i, phase in enumerate(fitting) if phase - 1 not in fitting), 0)
        fitting = fitting[start:] + fitting[:start]  # phases next to each other, also past the last one
        phase = fitting[len(fitting) // 2]
        return [self._value(phase, step) for step in range(length)]

    def _value(self, phase: int, step: int) -> float:
        return sin(2 * pi * (step / self.period + phase / self.phases))

    def _line(self, phase: int, length: int) -> str:
        half, last = self.bins / 2, self.bins - 1
        places = [int((round(self._value(phase, step), DECIMALS) + 1) * half) for step in range(length)]
        return "".join([BINS[min(place, last)] for place in places])
