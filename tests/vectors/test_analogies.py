"""Analogies: sections, unknown words, right and wrong answers."""

import numpy as np
import pytest

from lmgen.errors import CorpusError
from lmgen.vectors.table import Vectors

GRID = Vectors(
    ["man", "woman", "king", "queen", "boy", "girl"],
    np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1], [-1, 0, 1], [-1, 1, 1]], np.float32),
)

QUESTIONS = """\
// as in the first line of questions-words.txt
boy girl man woman
: royal family
man woman king queen
Man Woman king king
man woman emperor empress

: unknown
yes no up down
"""


def test_questions_are_counted_by_section() -> None:
    result = GRID.analogies(QUESTIONS)

    counts = [(each.section, each.questions, each.unknown, each.correct) for each in result.sections]
    assert counts == [("", 1, 0, 1), ("royal family", 3, 1, 1), ("unknown", 1, 1, 0)]
    assert [each.accuracy for each in result.sections] == [1, 0.5, None]
    assert result.to_json()["accuracy"] == pytest.approx(2 / 3)
    assert result.to_json()["sections"][1]["section"] == "royal family"


def test_the_answer_is_the_first_word_near_the_same_sum() -> None:
    """`near` and `analogies` agree on every question that there is."""
    words = GRID.words
    questions = [(a, b, c) for a in words for b in words for c in words if len({a, b, c}) == 3]
    text = "".join(f"{a} {b} {c} {GRID.near(f'{b} - {a} + {c}', 1)[0].word}\n" for a, b, c in questions)

    assert GRID.analogies(text).total.accuracy == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b c\n", "line 1: 'a b c' is no question of four words"),
        (": section\n", "has no questions; a line is four words"),
    ],
)
def test_what_is_no_question_is_an_error(text: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        GRID.analogies(text)
