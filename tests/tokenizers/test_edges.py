"""The tokens of an unfinished text, up to its rest, are those that every longer text begins with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.text.config import ReadingConfig
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.edges import LONGEST_REST, Spellings
from lmgen.tokenizers.registry import train_tokenizer
from tests.sentences import sentences
from tests.tokenizers.conftest import SAMPLE, Train

WORDS = 'He said "hello, don\'t wait..." (the sailor).\nThe saint\'s sailing, say "hi"!\n'

snippets = st.lists(
    st.sampled_from([*SAMPLE.split(" "), " ", "  ", "\n", "é", "▁", "\0", "c", "qu"]), max_size=8
)


@pytest.fixture(scope="module")
def split(train: Train) -> Tokenizer:
    return train("word", WORDS, split_punctuation=True)


def pieces(tokenizer: Tokenizer, ids: "list[int] | np.ndarray") -> list[str]:
    return [tokenizer.piece(int(token)) for token in ids]


def rest_of(tokenizer: Tokenizer, text: str) -> str | None:
    rest = tokenizer.edge(text).rest
    return None if rest is None else rest.spelling.decode()


def following(tokenizer: Tokenizer, text: str) -> set[str]:
    """The first tokens that may spell the rest of a text."""
    rest = tokenizer.edge(text).rest
    assert rest is not None
    within = [token for token, _ in rest.within(0, None)]
    return set(pieces(tokenizer, [*within, *rest.beyond(0, None)]))


@pytest.mark.parametrize("name", ["bpe", "unigram"])
@settings(max_examples=150, deadline=None)
@given(before=snippets, after=snippets)
def test_no_longer_text_moves_the_tokens_before_the_rest(
    tokenizers: dict[str, Tokenizer], name: str, before: list[str], after: list[str]
) -> None:
    tokenizer = tokenizers[name]
    text = "".join(before)
    edge = tokenizer.edge(text)
    own = [] if edge.rest is None else edge.rest.ids.tolist()
    longer = tokenizer.encode(text + "".join(after))

    assert [*edge.ids.tolist(), *own] == tokenizer.encode(text).tolist()
    assert longer[: len(edge.ids)].tolist() == edge.ids.tolist()


@pytest.mark.parametrize("name", ["bpe", "unigram"])
def test_the_rest_of_sub_words_is_the_last_word_with_the_blank_before_it(
    tokenizers: dict[str, Tokenizer], name: str
) -> None:
    assert rest_of(tokenizers[name], "The cat sat on the m") == " m"
    assert rest_of(tokenizers[name], "The cat ") == " "
    assert rest_of(tokenizers[name], "The cat\n") is None
    assert rest_of(tokenizers[name], "") is None


@pytest.mark.parametrize("name", ["char", "byte"])
def test_characters_and_bytes_have_no_inside(tokenizers: dict[str, Tokenizer], name: str) -> None:
    for text in ("", "The c", "The ", "é"):
        edge = tokenizers[name].edge(text)
        assert edge.rest is None
        assert edge.ids.tolist() == tokenizers[name].encode(text).tolist()


def test_a_rest_without_a_boundary_is_cut_at_one_of_its_tokens(train: Train) -> None:
    tokenizer = train("bpe", "ab" * 500, vocab_size=262)
    text = "ab" * 400 + "a"
    edge = tokenizer.edge(text)

    assert edge.rest is not None
    assert 0 < len(edge.rest.spelling) <= LONGEST_REST
    assert tokenizer.decode(edge.ids) + edge.rest.spelling.decode() == text


def test_spellings_are_found_by_how_they_begin() -> None:
    spellings = Spellings([b"", b"a", b"ab", b"b", b"abc", b"ab", b"\xff", b"\xff\xff"])

    assert spellings.beginning(b"abd") == [1, 2, 5]
    assert spellings.continuing(b"a").tolist() == [2, 4, 5]
    assert spellings.continuing(b"\xff").tolist() == [7]
    assert spellings.continuing(b"x").tolist() == []


def test_a_boundary_is_where_no_token_spans_two_characters() -> None:
    spellings = Spellings([b"a", b"b", b"ab", b" a", b" "])

    assert spellings.last_boundary("ba b") == 4
    assert spellings.last_boundary("ba a") == 2
    assert spellings.last_boundary("baab a") == 4
    assert spellings.last_boundary("baab a", latest=3) == 2
    assert spellings.last_boundary("ab", latest=1) == 0


class TestWords:
    def test_a_known_last_word_is_finished(self, tokenizers: dict[str, Tokenizer]) -> None:
        assert rest_of(tokenizers["word"], "The cat") is None
        assert rest_of(tokenizers["word"], "The cat ") is None

    def test_an_unknown_last_word_becomes_one_that_begins_so(self, tokenizers: dict[str, Tokenizer]) -> None:
        tokenizer = tokenizers["word"]
        assert rest_of(tokenizer, "The ca") == "ca"
        assert following(tokenizer, "The ca") == {"cat", "cat's"}
        assert pieces(tokenizer, tokenizer.edge("The ca").ids) == ["The"]

    def test_with_white_space_after_it_it_stays_unknown(self, tokenizers: dict[str, Tokenizer]) -> None:
        edge = tokenizers["word"].edge("The ca ")
        assert edge.rest is None
        assert edge.after_blank
        assert pieces(tokenizers["word"], edge.ids) == ["The", "<unk>"]

    def test_one_that_begins_no_word_stays_unknown(self, tokenizers: dict[str, Tokenizer]) -> None:
        assert pieces(tokenizers["word"], tokenizers["word"].edge("The xyz").ids) == ["The", "<unk>"]

    def test_a_line_end_is_no_blank(self, tokenizers: dict[str, Tokenizer]) -> None:
        assert not tokenizers["word"].edge("The\n").after_blank
        assert not tokenizers["word"].edge("").after_blank

    def test_letters_are_compared_in_lower_case_if_words_are(self, train: Train) -> None:
        assert following(train("word", lowercase=True), "THE CA") == {"cat", "cat's"}

    def test_punctuation_inside_of_words_is_part_of_them(self, train: Train) -> None:
        assert rest_of(train("word", '"hello there'), '"hel') == '"hel'
        assert rest_of(train("word", '"hello there'), '"hello') is None


class TestWordsAndMarks:
    def test_a_mark_may_touch_the_word_after_it(self, split: Tokenizer) -> None:
        assert following(split, 'say "') == {'"\t'}
        assert pieces(split, split.edge('say "').ids) == ["say"]

    def test_a_mark_may_become_longer(self, split: Tokenizer) -> None:
        assert following(split, "wait.") == {"\t...", "\t."}

    def test_a_mark_may_be_inside_of_a_word(self, split: Tokenizer) -> None:
        assert rest_of(split, "(don'") == "don'"
        assert following(split, "(don'") == {"don't"}

    def test_no_mark_touches_a_blank(self, split: Tokenizer) -> None:
        allowed = following(split, "the ")
        assert {"sailor", "(\t", "</s>", "<unk>"} < allowed
        assert not [piece for piece in allowed if piece.startswith("\t")]

    def test_a_word_comes_after_a_mark_that_touches_it(self, split: Tokenizer) -> None:
        assert following(split, "(sail") == {"sailor", "sailing"}
        assert pieces(split, split.edge("(sail").ids) == ["(\t"]


class TestUnits:
    text = sentences(200)

    def tokenizer(self, name: str, unit: str) -> Tokenizer:
        config = TokenizerConfig(tokenizer=name, vocab_size=300 if name == "bpe" else None)
        mark = "\n" if unit == "line" else UNIT_END
        return train_tokenizer(
            lambda: iter([self.text.replace("\n", mark)]), config, ReadingConfig(unit=unit)
        )

    @pytest.mark.parametrize("unit", ["line", "record"])
    @pytest.mark.parametrize("name", ["char", "byte", "bpe", "word"])
    def test_only_the_last_unit_matters(self, name: str, unit: str) -> None:
        tokenizer = self.tokenizer(name, unit)
        mark = "\n" if unit == "line" else UNIT_END
        alone, after = tokenizer.edge("the old ca"), tokenizer.edge(f"a dog{mark}the old ca")

        assert after.ids.tolist() == alone.ids.tolist()
        assert (after.rest is None) == (alone.rest is None) == (name in ("char", "byte"))

    @pytest.mark.parametrize("name", ["bpe", "word"])
    def test_the_rest_is_in_the_ids_of_the_units(self, name: str) -> None:
        tokenizer = self.tokenizer(name, "record")
        edge = tokenizer.edge("the old ca")
        assert edge.rest is not None
        assert edge.rest.ids.tolist() == tokenizer.encode("the old ca")[len(edge.ids) :].tolist()
        for token in edge.rest.beyond(0, None).tolist():
            assert edge.rest.spelling_of(token).decode() == tokenizer.piece(token)

    def test_a_unit_of_words_and_marks_may_end_after_a_blank(self) -> None:
        config = TokenizerConfig(tokenizer="word", split_punctuation=True)
        text = WORDS.replace("\n", UNIT_END)
        tokenizer = train_tokenizer(lambda: iter([text]), config, ReadingConfig(unit="record"))
        assert "</s>" in following(tokenizer, "the ")
