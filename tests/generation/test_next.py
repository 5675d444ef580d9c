"""The tokens likeliest to come next are the model's own, best first."""

import numpy as np
import pytest

from lmgen.errors import NumericalError
from lmgen.generation.next import next_tokens
from tests.fakes import BigramModel, uniform_model
from tests.generation.piece_tokenizer import PieceTokenizer

TOKENIZER = PieceTokenizer("?", "a", "b", "\n", unknown=0)
MODEL = BigramModel(np.log(np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]] * 2)))


def test_the_best_come_first_with_their_probability_and_its_log10() -> None:
    first, second = next_tokens(MODEL, TOKENIZER, "ba", top=2)
    assert (first.token, second.token) == ("?", "a"), "the unknown token is part of the distribution"
    assert (first.probability, second.probability) == pytest.approx((0.4, 0.3))
    assert first.log10 == pytest.approx(np.log10(0.4))


def test_before_any_text_it_is_the_models_start() -> None:
    assert [n.token for n in next_tokens(MODEL, TOKENIZER, "")] == ["\n", "b", "a", "?"]


def test_all_tokens_together_have_probability_1() -> None:
    assert sum(n.probability for n in next_tokens(MODEL, TOKENIZER, "ab", top=100)) == pytest.approx(1)


def test_of_equals_the_lower_id_comes_first() -> None:
    assert [n.token for n in next_tokens(uniform_model(4), TOKENIZER, "a", top=3)] == ["?", "a", "b"]


def test_a_probability_just_above_1_is_rounding() -> None:
    [certain] = next_tokens(BigramModel(np.array([[1e-9, -30.0]] * 2)), PieceTokenizer("a", "b"), "a", top=1)

    assert (certain.probability, str(certain.log10)) == (1, "0.0")


@pytest.mark.parametrize("bad", [0.02, np.nan])
def test_probabilities_that_are_none_are_refused(bad: float) -> None:
    table = uniform_model(4).table.copy()
    table[1, 2] = bad

    with pytest.raises(NumericalError, match="NaN or probabilities above 1"):
        next_tokens(BigramModel(table), TOKENIZER, "a", top=1)
