import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.errors import CorpusError, ModelError
from lmgen.tokenizers.characters import CharacterTokenizer, code_points, count_characters, text_of
from lmgen.tokenizers.config import TokenizerConfig

ANY_STRING = st.text(st.characters(exclude_categories=()))


def trained(text: str, **settings: object) -> CharacterTokenizer:
    return CharacterTokenizer.train(lambda: [text], TokenizerConfig(**settings))  # type: ignore[arg-type]


def test_characters_have_ids_in_the_order_of_their_code_points() -> None:
    tokenizer = trained("hello\n")

    assert tokenizer.characters == "\nehlo"
    assert tokenizer.vocabulary_size == 6
    assert tokenizer.encode("hole!\n").tolist() == [3, 5, 4, 2, 0, 1]
    assert tokenizer.decode([3, 5, 4, 2, 0, 1]) == "hole\ufffd\n"


def test_the_most_frequent_characters_are_kept_and_equally_frequent_ones_by_code_point() -> None:
    assert trained("aaabbccd", vocab_size=3).characters == "ab"
    assert trained("ddccbbaaa", vocab_size=4).characters == "abc"


def test_rare_characters_become_unknown() -> None:
    tokenizer = trained("aaabbc", min_count=2)

    assert tokenizer.characters == "ab"
    assert tokenizer.encode("abc").tolist() == [1, 2, 0]


def test_lowercase_reads_capitals_as_small_letters_one_for_one() -> None:
    tokenizer = trained("AaBİΣς", lowercase=True)

    assert tokenizer.characters == "abiςσ"
    assert tokenizer.decode(tokenizer.encode("ABbİΣ")) == "abbiσ"


def test_lowercase_counts_both_cases_together() -> None:
    assert trained("AaBbc", lowercase=True, min_count=2).characters == "ab"


def test_no_letter_with_a_small_one_is_beyond_the_first_two_planes() -> None:
    assert all(chr(code).lower() == chr(code) for code in range(0x20000, sys.maxunicode + 1))
    assert all(len(chr(code).lower()) == 1 for code in range(0x20000) if code != ord("İ"))


def test_new_characters_get_ids_after_the_old_ones() -> None:
    old = trained("Hallo\n")
    tokenizer = old.extended(list(old.missing(lambda: ["Öl A", "lÖ"])))

    assert old.missing(lambda: ["Öl A", "lÖ"]) == {" ": 1, "A": 1, "Ö": 2}
    assert tokenizer.characters == "\nHalo AÖ"
    assert tokenizer.encode("Hallo\n").tolist() == old.encode("Hallo\n").tolist()
    assert tokenizer.encode("A Öl").tolist() == [7, 6, 8, 4]
    assert CharacterTokenizer.from_json(tokenizer.to_json()).encode("A Öl").tolist() == [7, 6, 8, 4]


def test_capitals_are_not_missing_where_they_are_read_as_small_letters() -> None:
    assert trained("ab", lowercase=True).missing(lambda: ["ABÖ"]) == {"ö": 1}


@pytest.mark.parametrize(("text", "start"), [("a \n", 1), ("a b", 1), ("ab", 0)])
def test_a_text_follows_a_line_end_or_a_blank_or_the_unknown(text: str, start: int) -> None:
    assert trained(text).start == start


def test_lone_surrogates_are_unknown() -> None:
    tokenizer = trained("a\ud800\udc80")

    assert tokenizer.characters == "a"
    assert tokenizer.encode("\ud800a\udfff").tolist() == [0, 1, 0]


@given(ANY_STRING)
def test_text_comes_back_with_the_unknown_replaced(text: str) -> None:
    tokenizer = CharacterTokenizer(" abcé\U0001f600")

    expected = "".join(c if c in tokenizer.characters else "\ufffd" for c in text)

    assert tokenizer.decode(tokenizer.encode(text)) == expected


@given(ANY_STRING)
def test_text_of_inverts_code_points(text: str) -> None:
    assert text_of(code_points(text).astype(np.int64)) == text


def test_counting_does_not_depend_on_how_a_text_is_cut() -> None:
    text = "abc\U0010ffffa\n" * 50

    assert (count_characters([text]) == count_characters(list(text))).all()
    assert count_characters([text])[ord("a")] == 100


@pytest.mark.parametrize("text", ["", "\ud800"])
def test_a_text_without_characters_is_refused(text: str) -> None:
    with pytest.raises(CorpusError):
        trained(text)


def test_a_count_that_no_character_reaches_is_refused() -> None:
    with pytest.raises(CorpusError, match="no character occurs 3 times; lower --min-count"):
        trained("aab", min_count=3)


@pytest.mark.parametrize("characters", ["aa", "aba", "a\ud800", ["a"], None, 3])
def test_a_damaged_vocabulary_is_refused(characters: object) -> None:
    with pytest.raises(ModelError, match="the saved tokenizer is damaged"):
        CharacterTokenizer.from_json({"tokenizer": "char", "characters": characters, "lowercase": False})


def test_a_vocabulary_of_every_character_works() -> None:
    characters = "".join(chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) != "Cs")
    tokenizer = CharacterTokenizer(characters)

    assert tokenizer.decode(tokenizer.encode(characters)) == characters
