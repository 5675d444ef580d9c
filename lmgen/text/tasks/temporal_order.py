"""The order of two or three symbols that stand far apart among others that mean nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from random import Random

from lmgen.settings import setting
from lmgen.text.best import BestScore
from lmgen.text.tasks.task import Task, drawn, mean, one_of, span, spans

WINDOWS = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
"""Where the symbols that count stand in a sequence of 100: the first and last place of each."""

CLASSES = "QRSUVABC"
"""The class of XX, XY, YX, YY; of XXX, XXY, XYX, XYY, YXX, YXY, YYX, YYY."""


@dataclass(frozen=True, kw_only=True)
class TemporalOrder(Task):
    """Sequences with two or three X's and Y's, whose order is their class: `Eb...X...c...Y...dB=R`."""

    name = "temporal-order"
    description = "X's and Y's among many other symbols, EbdXca...Yd...B=R: their order is the class"
    source = "Hochreiter and Schmidhuber 1997, experiments 6a (two symbols) and 6b (three)"
    mark = "="
    default_count = 20_000

    symbols: int = setting(
        2, "How many X's and Y's there are: 2, in four classes, or 3, in eight.", minimum=2, maximum=3
    )
    length: str = spans("100-110", "Symbols of the sequence, with E at its start and B at its end.", least=10)
    test_length: str | None = spans(None, "`length` in the test file, if it is another.", least=10)

    def instances(self, random: Random) -> Iterator[str]:
        """A length, the place of each symbol that counts, these symbols, then all others from a, b, c, d."""
        lengths, places = span(self.length), self._places()
        while True:
            row = list(f"E{drawn(random, 'abcd', one_of(random, lengths) - 2)}B")
            kind = 0
            for window in places:
                bit = random.getrandbits(1)
                row[one_of(random, window)] = "XY"[bit]
                kind = 2 * kind + bit
            yield f"{''.join(row)}={CLASSES[kind]}"

    @property
    def best(self) -> BestScore:
        """
        The class follows from the sequence: 0 nats. A line holds log (number of lengths) nats for its length
        L; for each of k `symbols` log (number of its places) + log 2; and (L - 2 - k) log 4 for the others.
        """
        lengths = span(self.length)
        others = mean(lengths) - 2 - self.symbols
        return BestScore(
            nats_per_answer=0.0,
            nats_per_line=log(len(lengths))
            + sum(log(len(window)) + log(2) for window in self._places())
            + others * log(4),
            characters_per_line=mean(lengths) + len("=Q\n"),
        )

    def _places(self) -> list[range]:
        """The places of each symbol that counts: those of WINDOWS, scaled to the shortest sequence."""
        shortest = span(self.length)[0]
        return [
            range(first * shortest // 100, last * shortest // 100 + 1)
            for first, last in WINDOWS[self.symbols]
        ]
