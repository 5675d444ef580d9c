"""The Reber grammar, a finite automaton that writes strings such as `BTSSXSE`, and two tasks made of it."""

from dataclasses import dataclass
from math import log
from random import Random

from lmgen.settings import setting
from lmgen.text.best import BestScore
from lmgen.text.tasks.task import Task

GRAPH = {
    1: (("T", 2), ("P", 3)),
    2: (("S", 2), ("X", 4)),
    3: (("T", 3), ("V", 5)),
    4: (("X", 3), ("S", 6)),
    5: (("P", 4), ("V", 6)),
}
"""The symbols that leave each state, and the states they lead to. `B` leads to 1, `E` leaves 6."""

CHOICES = 6
"""
The expected number of branches of a string.

With e(s) for those from state s on, e(6) = 0 and e(s) = 1 + mean of e over the two next states, so that
e(4) = 10/3, e(5) = 8/3, e(3) = 14/3, e(2) = 16/3, e(1) = 6.
"""


@dataclass(frozen=True, kw_only=True)
class Reber(Task):
    """Strings of the Reber grammar: `BTSSXSE`."""

    name = "reber"
    description = "strings of the Reber grammar, BTSSXSE: the next symbol depends on the two before it"
    source = "Reber 1967; Cleeremans, Servan-Schreiber and McClelland 1989"
    default_count = 10_000

    def instance(self, random: Random) -> str:
        """A string, with a bit for each branch."""
        return _string(random)

    @property
    def best(self) -> BestScore:
        """
        A string is written by one path only, and each branch holds a bit: 6 log 2 nats. It has a symbol a
        branch, `B`, `E` and a line end.
        """
        return BestScore(nats_per_line=CHOICES * log(2), characters_per_line=CHOICES + len("BE\n"))


@dataclass(frozen=True, kw_only=True)
class EmbeddedReber(Task):
    """A Reber string between two symbols that are the same: `BTBPVVETE`."""

    name = "embedded-reber"
    description = (
        "Reber strings between two T's or two P's, BTBPVVETE: the second symbol comes back at the end"
    )
    source = "Fahlman 1991; Smith and Zipser 1989; Hochreiter and Schmidhuber 1997, experiment 1"
    mark = "E"
    default_count = 10_000

    def instance(self, random: Random) -> str:
        """A string, with a bit for the outer symbol and for each branch."""
        return _embedded(random)

    @property
    def best(self) -> BestScore:
        """
        The bits of a Reber string and one for the outer symbol: 7 log 2 nats. The first `E` ends the inner
        string; what follows it is known from the second symbol of the line: 0 nats.
        """
        return BestScore(
            nats_per_answer=0.0,
            nats_per_line=(CHOICES + 1) * log(2),
            characters_per_line=EMBEDDED_LENGTH + 1,
        )


@dataclass(frozen=True, kw_only=True)
class ContinualReber(Task):
    """Embedded Reber strings one after another, with nothing between that says where one ends."""

    name = "continual-reber"
    description = (
        "embedded Reber strings without a break, BTBPVVETEBPBTXSEPE...: state has to be forgotten in time"
    )
    source = "Gers, Schmidhuber and Cummins 2000, Learning to Forget"
    is_stream = True
    default_count = 100

    strings: int = setting(100, "Embedded Reber strings of a line.", minimum=1, maximum=1_000_000)

    def instance(self, random: Random) -> str:
        """A line of so many embedded strings."""
        return "".join([_embedded(random) for _ in range(self.strings)])

    @property
    def best(self) -> BestScore:
        """7 log 2 nats for each embedded string, as it can be told from the symbols where one ends."""
        return BestScore(
            nats_per_line=self.strings * (CHOICES + 1) * log(2),
            characters_per_line=self.strings * EMBEDDED_LENGTH + 1,
        )


EMBEDDED_LENGTH = CHOICES + len("BTBETE")
"""The expected length of an embedded string."""


def _string(random: Random) -> str:
    symbols, state = "B", 1
    while state in GRAPH:
        symbol, state = GRAPH[state][random.getrandbits(1)]
        symbols += symbol
    return symbols + "E"


def _embedded(random: Random) -> str:
    outer = "TP"[random.getrandbits(1)]
    return f"B{outer}{_string(random)}{outer}E"
