"""Random sources whose entropy is known: a Markov chain of any order, and a small grammar of English."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from random import Random

from lmgen.settings import setting
from lmgen.text.best import BestScore
from lmgen.text.tasks.sequences import LETTERS
from lmgen.text.tasks.task import Task, below, mean, one_of, span, spans

PLACES = (0, 0, 0, 0, 1, 1, 2, 3)
"""Which of four successors three random bits choose: probabilities 1/2, 1/4, 1/8, 1/8."""

BITS = 7 / 4
"""Their entropy."""


@dataclass(frozen=True, kw_only=True)
class Markov(Task):
    """A Markov chain: the letters before decide which four may follow, and how likely."""

    name = "markov"
    description = "a Markov chain of any order: four letters may follow each context, 1.75 bits a letter"
    source = "Shannon 1948, A Mathematical Theory of Communication, sections 4 to 7"
    default_count = 10_000

    order: int = setting(2, "How many letters decide the next.", minimum=1, maximum=10)
    letters: int = setting(8, "How many different letters there are.", minimum=4, maximum=26)
    length: str = spans("100", "Letters of a line.")
    test_length: str | None = spans(None, "`length` in the test file, if it is another.")

    def instances(self, random: Random) -> Iterator[str]:
        """Lines of the same chain, whatever the seed; each begins as after a row of a's."""
        lengths, following = span(self.length), _Successors(LETTERS[: self.letters], self.order)
        while True:
            line = "a" * self.order
            length = one_of(random, lengths) + self.order
            while len(line) < length:
                line += following(line[-self.order :])[PLACES[random.getrandbits(3)]]
            yield line[self.order :]

    @property
    def best(self) -> BestScore:
        """
        Whatever stands before it, a letter holds (1/2) 1 + (1/4) 2 + (1/8) 3 + (1/8) 3 = 7/4 bits; a line
        of L letters holds L 7/4 log 2 nats and log (number of lengths) for L.
        """
        lengths = span(self.length)
        return BestScore(
            nats_per_line=log(len(lengths)) + mean(lengths) * BITS * log(2),
            characters_per_line=mean(lengths) + 1,
        )


class _Successors:
    """The four letters that may follow each context, the likeliest first; drawn once for each chain."""

    def __init__(self, letters: str, order: int) -> None:
        self._letters = letters
        self._name = f"markov {len(letters)} {order}"
        self._known: dict[str, str] = {}

    def __call__(self, context: str) -> str:
        if context not in self._known:
            random = Random(f"{self._name} {context}")
            left = list(self._letters)
            self._known[context] = "".join(left.pop(below(random, len(left))) for _ in range(4))
        return self._known[context]


NOUNS = {"singular": ("dog", "cat", "boy", "girl"), "plural": ("dogs", "cats", "boys", "girls")}
INTRANSITIVE = {"singular": ("walks", "sings", "sleeps"), "plural": ("walk", "sing", "sleep")}
TRANSITIVE = {"singular": ("sees", "hears", "follows"), "plural": ("see", "hear", "follow")}

NUMBERS = ["singular", "plural"]


@dataclass(frozen=True, kw_only=True)
class Grammar(Task):
    """
    Sentences with relative clauses, whose verbs agree with their nouns: `the dogs that the cat sees walk`.

    With the grammatical number n, drawn anew where there is a new noun phrase, and q = `clauses`:

        sentence  -> phrase(n) verbs(n)
        phrase(n) -> "the" noun(n)                          1 - q
                   | "the" noun(n) "that" clause(n)         q
        clause(n) -> verbs(n) | phrase(m) transitive(m)     1/2 each
        verbs(n)  -> intransitive(n) | transitive(n) phrase(m)    1/2 each
    """

    name = "grammar"
    description = "sentences whose verbs agree with nouns far back: the dogs that the cat sees walk"
    source = (
        "after Elman 1991, Distributed representations, simple recurrent networks and grammatical structure"
    )
    default_count = 20_000

    clauses: float = setting(0.3, "Probability of a relative clause after a noun.", minimum=0, maximum=1)

    def instance(self, random: Random) -> str:
        """A sentence, each rule chosen as the grammar says."""
        return " ".join(self._sentence(random))

    @property
    def best(self) -> BestScore:
        """
        Each word tells which rule wrote it, so a sentence has one derivation, and its entropy is that of the
        rules that are expected in it. With p, c, v nats for a phrase, a clause, verbs (log is natural):

            p = H(q) + log 4 + q c
            c = log 2 + (v + log 2 + p + log 3) / 2
            v = log 2 + (log 3 + log 3 + log 2 + p) / 2
            sentence = log 2 + p + v

        The expected characters follow the same equations, with the mean length of words and their blanks.
        """
        q = self.clauses
        chosen = -sum(share * log(share) for share in (q, 1 - q) if share > 0)
        nats = self._of_a_sentence(
            number=log(2), either=log(2), clause=chosen, noun=log(4), intransitive=log(3), transitive=log(3)
        )
        characters = self._of_a_sentence(
            noun=len("the ") + _width(NOUNS),
            that=len("that "),
            intransitive=_width(INTRANSITIVE),
            transitive=_width(TRANSITIVE),
        )
        return BestScore(nats_per_line=nats, characters_per_line=characters)

    def _of_a_sentence(
        self,
        *,
        noun: float,
        intransitive: float,
        transitive: float,
        number: float = 0.0,
        either: float = 0.0,
        clause: float = 0.0,
        that: float = 0.0,
    ) -> float:
        """What is expected of a sentence, if each choice or word counts so much."""
        # verbs = alone + phrase / 2; a clause = within + 3/4 phrase
        alone = either + (intransitive + transitive + number) / 2
        within = either + that + (alone + number + transitive) / 2
        phrase = (clause + noun + self.clauses * within) / (1 - self.clauses * 3 / 4)
        return number + phrase + alone + phrase / 2

    def _sentence(self, random: Random) -> Iterator[str]:
        first = one_of(random, NUMBERS)
        waiting = [("verbs", first), ("phrase", first)]  # the last is next
        while waiting:
            what, number = waiting.pop()
            if what == "phrase":
                yield "the"
                yield one_of(random, NOUNS[number])
                if random.random() < self.clauses:
                    yield "that"
                    waiting.append(("clause", number))
            elif what == "transitive":
                yield one_of(random, TRANSITIVE[number])
            elif random.getrandbits(1):  # a clause of verbs, or verbs without a second phrase
                if what == "clause":
                    waiting.append(("verbs", number))
                else:
                    yield one_of(random, INTRANSITIVE[number])
            else:
                other = one_of(random, NUMBERS)
                if what == "clause":
                    waiting += [("transitive", other), ("phrase", other)]
                else:
                    yield one_of(random, TRANSITIVE[number])
                    waiting.append(("phrase", other))


def _width(words: Mapping[str, Sequence[str]]) -> float:
    """The mean length of words, each with what follows it: a blank or the line end."""
    return mean([len(word) + 1 for forms in words.values() for word in forms])
