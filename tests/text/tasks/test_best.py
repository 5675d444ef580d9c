"""
The best possible scores, checked in two ways that know nothing of their derivations.

With small parameters all lines occur many times, so that counting them gives the entropy. Where there are
too many lines, the true probability of each is worked out from the line.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from math import log
from typing import Any

import pytest

from lmgen.text.tasks import TASKS
from lmgen.text.tasks.languages import INTRANSITIVE, NOUNS, TRANSITIVE, Markov
from lmgen.text.tasks.task import Task

COUNT = 100_000


def entropy(counts: Iterable[int]) -> float:
    """Estimated from counts, with the correction of Miller and Madow for its bias."""
    seen = list(counts)
    total = sum(seen)
    return log(total) - sum(count * log(count) for count in seen) / total + (len(seen) - 1) / (2 * total)


SMALL: list[tuple[str, dict[str, Any]]] = [
    ("addition", {"digits": 1}),
    ("addition", {"digits": 2}),
    ("copy", {"length": "1-3", "letters": 3}),
    ("sequence-shift", {"length": "2-5", "numbers": 40, "largest_step": 2}),
    ("sequence-shift", {"length": "1-3", "numbers": 12, "largest_step": 3}),
    ("sine", {"bins": 5, "period": 8, "phases": 60}),
    ("anbn", {"n": "2-7"}),
    ("anbncn", {}),
    ("adding", {"length": "2-4", "values": 3}),
    ("markov", {"length": "1-3", "letters": 5}),
    ("markov", {"length": "4", "letters": 4, "order": 1}),
    ("grammar", {"clauses": 0}),
]


@pytest.mark.parametrize(("name", "parameters"), SMALL)
def test_with_few_lines_the_best_score_is_the_entropy_of_their_counts(
    name: str, parameters: dict[str, Any]
) -> None:
    task = TASKS[name](**parameters)
    counts = Counter(task.lines(COUNT))

    assert len(counts) < COUNT / 10
    assert task.best.nats_per_line == pytest.approx(entropy(counts.values()), abs=0.02)


@pytest.mark.parametrize(
    ("name", "parameters"), [each for each in SMALL if TASKS[each[0]].mark], ids=lambda each: str(each)
)
def test_the_best_score_on_answers_is_their_entropy_given_the_questions(
    name: str, parameters: dict[str, Any]
) -> None:
    task = TASKS[name](**parameters)
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for line in task.lines(COUNT):
        question, mark, answer = line.partition(task.mark or "")
        assert mark
        answers[question][answer] += 1
    nats = sum(each.total() * entropy(each.values()) for each in answers.values()) / COUNT

    assert task.best.nats_per_answer == pytest.approx(nats, abs=0.002)


@pytest.mark.parametrize("name", [name for name in TASKS if name not in ("adding", "temporal-order")])
@pytest.mark.parametrize("changed", [False, True])
def test_lines_are_as_long_as_the_best_score_says(name: str, changed: bool) -> None:
    parameters: dict[str, Any] = {"continual-reber": {"strings": 3}, "sine": {"periods": 2}}.get(name, {})
    small = [each for known, each in SMALL if known == name]
    task = TASKS[name](**(small[-1] if changed and small else parameters))
    lines = list(task.lines(30_000))
    characters = sum(map(len, lines)) / len(lines) + 1

    assert task.best.characters_per_line == pytest.approx(characters, rel=0.01)


@pytest.mark.parametrize("name", ["adding", "temporal-order"])
def test_long_lines_are_too(name: str) -> None:
    lines = list(TASKS[name]().lines(2_000))

    assert TASKS[name]().best.characters_per_line == pytest.approx(
        sum(map(len, lines)) / len(lines) + 1, rel=0.005
    )


def reber(line: str) -> float:
    """The nats of a string, by the transitions of Cleeremans' figure."""
    state, nats = "B", 0.0
    after = {  # (state, symbol): state, where a state is named by what led to it first
        ("B", "T"): "BT",
        ("B", "P"): "BP",
        ("BT", "S"): "BT",
        ("BT", "X"): "X",
        ("BP", "T"): "BP",
        ("BP", "V"): "V",
        ("X", "X"): "BP",
        ("X", "S"): "end",
        ("V", "P"): "X",
        ("V", "V"): "end",
    }
    assert line[0] == "B"
    for symbol in line[1:-1]:
        state = after[state, symbol]
        nats += log(2)
    assert (state, line[-1]) == ("end", "E")
    return nats


def embedded(line: str) -> float:
    assert line[0] + line[-1] == "BE"
    assert line[1] == line[-2]
    assert line[1] in "TP"
    return log(2) + reber(line[2:-2])


def continual(line: str) -> float:
    """Without a break: the second E of each string ends it."""
    nats = 0.0
    while line:
        end = line.index("E", line.index("E") + 1) + 1
        nats += embedded(line[:end])
        line = line[end:]
    return nats


def temporal_order(line: str) -> float:
    row, answer = line.split("=")
    places = [place for place, symbol in enumerate(row) if symbol in "XY"]
    assert row[0] + row[-1] == "EB"
    assert 100 <= len(row) <= 110
    assert answer == dict(zip(("XX", "XY", "YX", "YY"), "QRSU", strict=True))["".join(row[i] for i in places)]
    assert 10 <= places[0] <= 20
    assert 50 <= places[1] <= 60
    return 3 * log(11) + 2 * log(2) + (len(row) - 4) * log(4)


def adding(line: str) -> float:
    row, answer = line.split("=")
    first, second, third = row.split("*")
    length = len(first + second + third)
    assert int(second[0]) + int(third[0]) == int(answer)
    assert len(first) < length // 2 <= len(first + second)
    return log(11) + log(length // 2) + log(length - length // 2) + length * log(10)


class Sentence:
    """Reads a sentence of the grammar by recursive descent, and adds up the nats of its rules."""

    def __init__(self, line: str, clauses: float) -> None:
        self.words = line.split()
        self.clauses = clauses
        self.nats = 0.0
        self.phrase_and_verbs()
        assert not self.words

    def phrase_and_verbs(self) -> None:
        self.verbs(self.phrase())

    def phrase(self) -> str:
        assert self.words.pop(0) == "the"
        noun = self.words.pop(0)
        number = next(each for each, nouns in NOUNS.items() if noun in nouns)
        self.nats += log(2) + log(4)
        if self.words[:1] != ["that"]:
            self.nats -= log(1 - self.clauses)
            return number
        self.words.pop(0)
        self.nats += log(2) - log(self.clauses)
        if self.words[0] == "the":
            inner = self.phrase()
            assert self.words.pop(0) in TRANSITIVE[inner]
            self.nats += log(3)
        else:
            self.verbs(number)
        return number

    def verbs(self, number: str) -> None:
        verb = self.words.pop(0)
        self.nats += log(2) + log(3)
        if verb not in INTRANSITIVE[number]:
            assert verb in TRANSITIVE[number]
            self.phrase()


TRUE_NATS: dict[str, Callable[[str], float]] = {
    "reber": reber,
    "embedded-reber": embedded,
    "continual-reber": continual,
    "temporal-order": temporal_order,
    "adding": adding,
    "grammar": lambda line: Sentence(line, 0.3).nats,
}


@pytest.mark.parametrize("name", TRUE_NATS)
def test_with_many_lines_the_best_score_is_their_mean_surprisal_under_the_true_process(name: str) -> None:
    task = TASKS[name]()
    lines = list(task.lines(min(task.default_count, 10_000), seed=4))
    nats = sum(map(TRUE_NATS[name], lines)) / len(lines)

    assert task.best.nats_per_line == pytest.approx(nats, rel=0.01)


def test_a_context_of_the_chain_has_four_successors_as_likely_as_it_is_said() -> None:
    task = Markov(length="500", order=2)
    following: dict[str, Counter[str]] = defaultdict(Counter)
    for line in task.lines(1000):
        for place in range(2, len(line)):
            following[line[place - 2 : place]][line[place]] += 1
    often = [each for each in following.values() if each.total() > 5000]

    assert len(following) > 30
    assert often
    for each in often:
        shares = [count / each.total() for _, count in each.most_common()]
        assert shares == pytest.approx([1 / 2, 1 / 4, 1 / 8, 1 / 8], abs=0.03)


def test_the_chain_is_the_same_with_every_seed() -> None:
    def pairs(task: Task, seed: int) -> set[str]:
        return {line[i : i + 3] for line in task.lines(300, seed) for i in range(len(line) - 2)}

    assert pairs(Markov(), 1) == pairs(Markov(), 2)
