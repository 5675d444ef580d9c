"""Means of losses by group, calibration, and words, on scores that can be worked out by hand."""

import numpy as np
import pytest

from lmgen.report import losses
from lmgen.report.losses import by_frequency, by_place, calibration, different_words
from lmgen.report.scored import Predicted, Tokens

TEXT = "ab cd\nab\n"
LN2 = float(np.log(2))


def tokens_of(text: str) -> Tokens:
    """A token a character, each line a unit."""
    codes = np.array([ord(letter) for letter in text])
    ends = codes == ord("\n")
    units = np.append(0, np.cumsum(ends)[:-1])
    return Tokens(text, codes, np.arange(len(text)), units, np.ones(len(text), np.bool_))


def predicted(bits: list[float], chances: list[float], came: list[bool], text: str = TEXT) -> Predicted:
    """What a model made of a text: `came` where its likeliest token came."""
    codes = tokens_of(text).ids
    guesses = np.where(came, codes, codes + 1)[:, None]
    ranks = np.where(came, 1, 2)
    return Predicted("m", np.array(bits) * LN2, ranks, guesses, np.array(chances)[:, None])


BITS = [float(n) for n in range(1, 10)]
EVEN = predicted(BITS, [0.5] * 9, [True, False] * 4 + [True])


@pytest.fixture(autouse=True)
def _all_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "FEWEST", 1)


def test_losses_by_place() -> None:
    in_lines = by_place(tokens_of(TEXT), EVEN, in_units=False)
    in_units = by_place(tokens_of(TEXT), EVEN, in_units=True)

    assert in_lines.xs == [0, 1, 2, 3, 4, 5]
    assert in_lines.bits == pytest.approx([(1 + 7) / 2, (2 + 8) / 2, (3 + 9) / 2, 4, 5, 6])
    assert in_lines.tokens == [2, 2, 2, 1, 1, 1]
    assert in_units.xs == [1, 2, 3, 4, 5, 6]
    assert in_units.bits == pytest.approx(in_lines.bits)


def test_losses_by_how_often_a_token_is_in_the_training_text() -> None:
    counts = np.zeros(128, np.int64)
    counts[ord("a")], counts[ord("b")], counts[ord("\n")] = 9, 10, 99

    found = by_frequency(tokens_of(TEXT), EVEN, counts)

    assert found.xs == [0.1, 1, 10]  # never seen; 1 to 9 times; 10 to 99 times
    assert found.tokens == [3, 2, 4]
    assert found.bits == pytest.approx([(3 + 4 + 5) / 3, (1 + 7) / 2, (2 + 6 + 8 + 9) / 4])


def test_a_group_of_few_tokens_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "FEWEST", 2)

    assert by_place(tokens_of(TEXT), EVEN, in_units=False).xs == [0, 1, 2]


def test_the_calibration_error_is_the_weighted_mean_of_the_bins_differences() -> None:
    chances = [0.15, 0.15, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 1.0]
    found = calibration(tokens_of(TEXT), predicted(BITS, chances, [True, False] + [True] * 6 + [False]))

    assert found.confidence == pytest.approx([0.15, (6 * 0.95 + 1) / 7])
    assert found.accuracy == pytest.approx([0.5, 6 / 7])
    assert found.tokens == [2, 7]
    assert found.error == pytest.approx((2 * 0.35 + 7 * abs(6 / 7 - 6.7 / 7)) / 9)


def test_words_are_sorted_by_the_bits_that_one_model_spares() -> None:
    """A word costs what its letters and the blank before it cost; a spelling is listed once."""
    tokens = tokens_of(TEXT)
    other = predicted([5, 5, 3, 4, 5, 6, 8, 8, 9], [0.5] * 9, [True] * 9)

    better, worse = different_words(tokens, EVEN, other)

    assert [(each.word, each.token, each.count) for each in better] == [("ab", 0, 2)]
    assert better[0].bits == pytest.approx((1 + 2, 5 + 5))
    assert (better[0].before, better[0].after) == ("", " cd\nab\n")
    assert worse == []
    worse_first, better_second = different_words(tokens, other, EVEN)
    assert worse_first == []
    assert [each.word for each in better_second] == ["ab"]


def test_a_text_of_blanks_has_no_words() -> None:
    blank = predicted([1.0, 1.0], [0.5, 0.5], [True, True], " \n")

    assert different_words(tokens_of(" \n"), blank, blank) == ([], [])
