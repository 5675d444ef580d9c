"""
Generated texts whose best possible score is known.

Each is drawn from a stationary random process. The entropy rate of the process, derived beside it, is the
lowest expected loss in nats per character that any model can reach; the excess of a model's loss over it is
what the model has not learnt.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import log
from random import Random

from lmgen.text.best import shown_score
from lmgen.text.chunks import cut
from lmgen.text.sources import Text

CHARACTERS = 1_000_000
"""Default length of a synthetic corpus, in characters."""

BLOCK = 1 << 16
"""Random bytes drawn at a time."""


@dataclass(frozen=True, kw_only=True)
class SyntheticCorpus:
    """A random process that generates text, and its entropy rate."""

    name: str
    description: str
    best_nats_per_character: float
    """The entropy rate of the process."""

    formula: str
    """Derivation of the entropy rate, in bits per character."""

    blocks: Callable[[Random], Iterator[str]]
    """Yields the text without end, drawn from the given random generator."""

    def best_score(self) -> str:
        """The best possible score as shown to the user, in nats and bits."""
        return shown_score(self.best_nats_per_character)

    def text(self, characters: int = CHARACTERS, seed: int = 0) -> Text:
        """The first `characters` characters of the text generated from `seed`."""
        return Text(self.name, lambda: cut(self.blocks(Random(seed)), 0, characters))


def _uniform(random: Random) -> Iterator[str]:
    letters = "abcdefghijklmnopqrstuvwxyz .,;-\n"
    choice = "".join(letters[byte % 32] for byte in range(256)).encode()
    while True:
        yield random.randbytes(BLOCK).translate(choice).decode()


def _markov(random: Random) -> Iterator[str]:
    letters = b"abcdefghijklmnopqrstuvwxyz \n"
    step = bytes([1, 1, 1, 1, 5, 5, 11, 17] * 32)  # 1/2, 1/4, 1/8, 1/8
    last = 0
    while True:
        sums = accumulate(random.randbytes(BLOCK).translate(step), initial=last)
        places = [total % 28 for total in sums][1:]
        last = places[-1]
        yield bytes(letters[place] for place in places).decode()


def _copy(random: Random) -> Iterator[str]:
    letters = ("abcdefgh" * 32).encode()
    while True:
        lengths = [random.getrandbits(4) + 1 for _ in range(BLOCK // 16)]
        words = [random.randbytes(length).translate(letters).decode() for length in lengths]
        yield "".join(f"{word}={word}\n" for word in words)


def _brackets(random: Random) -> Iterator[str]:
    deepest = 8
    still_open: list[str] = []
    while True:
        written = []
        for byte in random.randbytes(BLOCK):
            opens = byte & 1 if 0 < len(still_open) < deepest else not still_open
            if opens:
                kind = byte >> 6
                written.append("([{<"[kind])
                still_open.append(")]}>"[kind])
            else:
                written.append(still_open.pop())
                if not still_open:
                    written.append("\n")
        yield "".join(written)


_ALL = (
    SyntheticCorpus(
        name="synthetic-uniform",
        description="32 characters, all equally likely: nothing can be learnt",
        best_nats_per_character=log(32),
        formula="log2 32 = 5 bits",
        blocks=_uniform,
    ),
    SyntheticCorpus(
        name="synthetic-markov",
        description="a first-order Markov chain of 28 characters: a bigram model can learn all of it",
        best_nats_per_character=7 / 4 * log(2),
        formula="each character has four successors, with probabilities 1/2, 1/4, 1/8, 1/8: 1.75 bits",
        blocks=_markov,
    ),
    SyntheticCorpus(
        name="synthetic-copy",
        description="lines word=word, of 1 to 16 random letters: a model with memory can predict the copy",
        best_nats_per_character=29.5 / 19 * log(2),
        formula="a line holds log2 16 bits (the word's length) and 8.5 log2 8 bits (its letters) in 19 "
        "characters, on average: 29.5/19 bits",
        blocks=_copy,
    ),
    SyntheticCorpus(
        name="synthetic-brackets",
        description="nested brackets of four kinds, up to 8 deep: each must be closed by its own kind",
        best_nats_per_character=30 / 17 * log(2),
        formula="the depth is a random walk between 0 and 8, at either end 1/16 of the time; a bracket holds "
        "2 bits (its kind) at depth 0, 1 + 2/2 bits (open or close, perhaps its kind) between, none at depth "
        "8: 15/8 bits; a line end, known beforehand, follows one in 16: 15/8 * 16/17 = 30/17 bits",
        blocks=_brackets,
    ),
)

SYNTHETIC = {corpus.name: corpus for corpus in _ALL}
"""The synthetic corpora by name."""
