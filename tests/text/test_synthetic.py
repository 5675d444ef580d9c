from collections import Counter
from collections.abc import Callable, Iterator
from math import log

import pytest

from lmgen.text.synthetic import SYNTHETIC

CHARACTERS = 300_000


def uniform(text: str) -> Iterator[float]:
    """Probabilities of the characters, or of several at once, under the process that wrote the text."""
    yield from [1 / 32] * len(text)


def markov(text: str) -> Iterator[float]:
    letters = "abcdefghijklmnopqrstuvwxyz \n"
    steps = {1: 1 / 2, 5: 1 / 4, 11: 1 / 8, 17: 1 / 8}
    for last, following in zip("a" + text, text, strict=False):
        yield steps[(letters.index(following) - letters.index(last)) % 28]


def copy(text: str) -> Iterator[float]:
    for line in text.splitlines()[:-1]:
        word, again = line.split("=")
        assert word == again
        yield 1 / 16 * (1 / 8) ** len(word)


def brackets(text: str) -> Iterator[float]:
    opened: list[str] = []
    for character in text:
        if character == "\n":
            assert not opened
        elif character in "([{<":
            yield (1 if not opened else 1 / 2) / 4
            opened.append(character)
        else:
            yield 1 if len(opened) == 8 else 1 / 2
            assert "([{<".index(opened.pop()) == ")]}>".index(character)


TRUE_PROBABILITIES: dict[str, Callable[[str], Iterator[float]]] = {
    "synthetic-uniform": uniform,
    "synthetic-markov": markov,
    "synthetic-copy": copy,
    "synthetic-brackets": brackets,
}


@pytest.mark.parametrize("name", SYNTHETIC)
def test_the_best_score_is_that_of_the_process_that_wrote_the_text(name: str) -> None:
    text = "".join(SYNTHETIC[name].text(CHARACTERS).chunks())
    nats = -sum(map(log, TRUE_PROBABILITIES[name](text)))

    assert nats / CHARACTERS == pytest.approx(SYNTHETIC[name].best_nats_per_character, rel=0.005)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_the_text_depends_on_the_seed_alone(name: str) -> None:
    corpus = SYNTHETIC[name]
    text = "".join(corpus.text(100_000, seed=1).chunks())

    assert len(text) == 100_000
    assert text == "".join(corpus.text(100_000, seed=1).chunks())
    assert text != "".join(corpus.text(100_000, seed=2).chunks())
    assert "".join(corpus.text(1000, seed=1).chunks()) == text[:1000]


def test_a_unigram_model_learns_nothing_of_the_markov_chain() -> None:
    counts = Counter("".join(SYNTHETIC["synthetic-markov"].text(CHARACTERS).chunks()))
    nats = -sum(count * log(count / CHARACTERS) for count in counts.values()) / CHARACTERS

    assert nats == pytest.approx(log(28), rel=0.001)


def test_scores_are_shown_in_nats_and_bits() -> None:
    assert SYNTHETIC["synthetic-markov"].best_score() == "1.2130 nats per character (1.7500 bits)"
