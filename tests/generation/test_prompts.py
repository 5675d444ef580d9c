"""Prompts are read in blocks, and what is unknown in them is named."""

import numpy as np
import pytest

from lmgen.generation.prompts import BLOCK_STEPS, read, unknown_parts
from lmgen.tokenizers.words import WordTokenizer
from tests.fakes import random_bigram_model
from tests.generation.piece_tokenizer import PieceTokenizer


@pytest.mark.parametrize("length", [0, 1, BLOCK_STEPS, BLOCK_STEPS + 1, 3 * BLOCK_STEPS])
def test_the_state_after_a_prompt_is_that_after_its_last_token(length: int) -> None:
    ids = np.random.default_rng(0).integers(0, 5, (length, 2))
    state = read(random_bigram_model(5), np.array([3, 4]), ids)
    assert state.tolist() == (ids[-1].tolist() if length else [3, 4])


def test_unknown_characters_are_named_once_each_in_order() -> None:
    tokenizer = PieceTokenizer("?", "a", unknown=0)
    assert unknown_parts(tokenizer, "aéaüéa") == ["é", "ü"]
    assert unknown_parts(tokenizer, "aa") == []
    assert unknown_parts(tokenizer, "") == []


def test_where_nothing_can_be_unknown_nothing_is() -> None:
    assert unknown_parts(PieceTokenizer("a"), "aaa") == []


def test_a_last_word_that_begins_known_ones_is_not_unknown() -> None:
    words = WordTokenizer(["sailor", "the"])
    assert unknown_parts(words, "the xyz sai") == ["xyz"]
    assert unknown_parts(words, "the sai ") == ["sai"]
    assert unknown_parts(words, "sai sai") == ["sai"]
