"""A text that ends inside a token goes on as the texts that begin with it do: compared with all of them."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.errors import NumericalError
from lmgen.generation.completion import Completion
from lmgen.generation.config import SamplingConfig
from lmgen.generation.next import continuations, next_tokens
from lmgen.generation.sampler import complete, stream
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.edges import Edge, PiecesRest, Spellings
from lmgen.tokenizers.words import WordTokenizer
from tests.fakes import BigramModel, CountingModel, random_bigram_model
from tests.generation.piece_tokenizer import PieceTokenizer

PIECES = ("\n", "a", "b", "c", "ab", "abc", "bc", "ca", "cab")


class OpenPieces(PieceTokenizer):
    """Pieces that may span the end of a text."""

    def edge(self, text: str) -> Edge:
        spellings = Spellings([piece.encode() for piece in self.pieces])
        boundary = spellings.last_boundary(text)
        ids, rest = self.encode(text[:boundary]), text[boundary:]
        return Edge(ids, PiecesRest(rest.encode(), self.encode(rest), spellings) if rest else None)


TOKENIZER = OpenPieces(*PIECES, line_end=0)
MODEL = random_bigram_model(len(PIECES), seed=2)
PROMPTS = st.text("abc\n", max_size=7)


@cache
def probability(text: str, last: int = 0) -> float:
    """That a text of MODEL goes on with this one, by the sum over all its tokens; after the token `last`."""
    if not text:
        return 1.0
    total = 0.0
    for token, piece in enumerate(PIECES):
        if piece.startswith(text):
            total += np.exp(MODEL.table[last, token])
        elif text.startswith(piece):
            total += np.exp(MODEL.table[last, token]) * probability(text[len(piece) :], token)
    return total


def share(prompt: str, text: str) -> float:
    """P(the text goes on so | it begins with the prompt, and with its tokens that are certain)."""
    edge = TOKENIZER.edge(prompt)
    rest = "" if edge.rest is None else edge.rest.spelling.decode()
    last = int(edge.ids[-1]) if len(edge.ids) else 0
    return probability(rest + text, last) / probability(rest, last)


@settings(max_examples=60, deadline=None)
@given(PROMPTS)
def test_what_comes_next_is_what_comes_next_in_all_texts_that_begin_so(prompt: str) -> None:
    found = next_tokens(MODEL, TOKENIZER, prompt, top=1000)

    assert sum(entry.probability for entry in found) == pytest.approx(1)
    for letter in "abc\n":
        total = sum(entry.probability for entry in found if entry.token.startswith(letter))
        assert total == pytest.approx(share(prompt, letter))
    assert [entry.probability for entry in found] == sorted(
        (entry.probability for entry in found), reverse=True
    )


@pytest.mark.parametrize("prompt", ["ab", "c", "\ncab", "bcab"])
def test_completions_come_as_often_as_they_are_likely(prompt: str) -> None:
    """Chi-square of the first letters; 3 degrees of freedom exceed 22 once in 15,000 times."""
    drawn = complete(MODEL, TOKENIZER, [prompt], SamplingConfig(length=2, seed=1), num=4000)
    seen = Counter(completion.text[0] for completion in drawn)
    expected = {letter: 4000 * share(prompt, letter) for letter in "abc\n"}
    assert sum((seen[letter] - count) ** 2 / count for letter, count in expected.items()) < 22


@settings(max_examples=40, deadline=None)
@given(PROMPTS, st.integers(0, 5))
def test_nats_are_those_of_the_tokens_given_that_the_text_begins_so(prompt: str, seed: int) -> None:
    """One token after the prompt: all ways to draw it have its probability together."""
    config = SamplingConfig(length=1, seed=seed, temperature=2.0)
    for completion in complete(MODEL, TOKENIZER, [prompt], config, num=4):
        assert completion.tokens == 1
        listed = [n for n in next_tokens(MODEL, TOKENIZER, prompt, top=1000) if n.token == completion.text]
        assert np.exp(-completion.nats) <= listed[0].probability * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(PROMPTS, min_size=1, max_size=5), st.integers(1, 3), st.sampled_from([None, 1.5]))
def test_a_completion_does_not_depend_on_those_beside_it(
    prompts: list[str], num: int, penalty: float | None
) -> None:
    config = SamplingConfig(length=6, seed=5, top_p=0.9, repetition_penalty=penalty)

    def told(completions: "list[Completion]") -> list[object]:
        return [(c.text, c.tokens, c.stopped_by, pytest.approx(c.nats)) for c in completions]

    together = list(complete(MODEL, TOKENIZER, prompts, config, num=num))
    one_by_one = list(complete(MODEL, TOKENIZER, (p for p in prompts for _ in range(num)), config))
    assert told(together) == told(one_by_one)
    assert "".join(stream(MODEL, TOKENIZER, prompts[0], config)) == together[0].text


def test_the_likeliest_way_is_taken_without_temperature() -> None:
    table = np.log(np.array([[0.1, 0.4, 0.1, 0.1, 0.1, 0.2]] * 6))
    tokenizer = OpenPieces("\n", "x", "a", "b", "ab", "abc")
    greedy = SamplingConfig(length=1, temperature=0)
    [completion] = complete(BigramModel(table), tokenizer, ["xa"], greedy)
    assert completion.text == "bc"
    assert completion.nats == pytest.approx(-np.log(0.2 / (0.1 + 0.1 + 0.2)))


def test_a_stop_may_be_inside_of_the_token_that_goes_beyond_the_prompt() -> None:
    tokenizer = OpenPieces("\n", "x", "a", "b", "ab", "abcd")
    table = np.log(np.array([[0.01, 0.01, 0.01, 0.01, 0.01, 0.95]] * 6))
    greedy = SamplingConfig(length=9, temperature=0)
    [completion] = complete(BigramModel(table), tokenizer, ["xa"], greedy, stop=["c"])
    assert (completion.text, completion.stopped_by, completion.tokens) == ("b", "stop", 1)


def test_a_penalty_counts_the_token_that_goes_beyond_the_prompt() -> None:
    tokenizer = OpenPieces("\n", "x", "a", "ab", "ac")
    table = np.log(np.array([[0.1, 0.1, 0.1, 0.4, 0.3]] * 5))
    config = SamplingConfig(length=1, temperature=0, repetition_penalty=5.0)
    assert [c.text for c in complete(BigramModel(table), tokenizer, ["a", "ab\na"], config)] == ["b", "c"]


def test_without_any_likely_way_the_texts_own_tokens_are_read() -> None:
    table = np.full((4, 4), -np.inf)
    table[:, 0] = 0
    tokenizer = OpenPieces("\n", "a", "ab", "b")
    [completion] = complete(BigramModel(table), tokenizer, ["a"], SamplingConfig(length=2))
    assert completion.text == "\n\n"


def test_a_damaged_model_is_refused() -> None:
    table = MODEL.table.copy()
    table[0] = np.nan
    with pytest.raises(NumericalError):
        next_tokens(BigramModel(table), TOKENIZER, "a")
    with pytest.raises(NumericalError):
        list(complete(BigramModel(table), TOKENIZER, ["a"], SamplingConfig()))


class TestContinuations:
    words = WordTokenizer(["the", "cat", "sat", "on"])

    def model(self, tokenizer: Tokenizer) -> BigramModel:
        return random_bigram_model(tokenizer.vocabulary_size, seed=4)

    def test_the_probability_is_the_product_over_the_tokens(self) -> None:
        model = self.model(self.words)
        table = np.exp(model.table)
        the, cat, sat, on = self.words.encode("the cat sat on").tolist()
        found = continuations(model, self.words, "on the", ["cat", "cat sat\n", " cat  sat"])

        assert [each.continuation for each in found] == ["cat", "cat sat\n", " cat  sat"]
        assert found[0].probability == pytest.approx(table[the, cat])
        assert found[1].probability == pytest.approx(table[the, cat] * table[cat, sat] * table[sat, 1])
        assert found[2].probability == pytest.approx(table[the, cat] * table[cat, sat])
        assert found[0].log10 == pytest.approx(np.log10(table[the, cat]))
        assert on

    def test_all_single_tokens_together_have_probability_1(self) -> None:
        letters = PieceTokenizer("\n", " ", "a", "b", line_end=0)
        found = continuations(self.model(letters), letters, "ab ", ["\n", " ", "a", "b"])
        assert sum(each.probability for each in found) == pytest.approx(1)

    def test_an_unknown_word_has_that_of_the_unknown_token(self) -> None:
        model = self.model(self.words)
        [found] = continuations(model, self.words, "the", ["dog"])
        assert found.probability == pytest.approx(np.exp(model.table[2, 0]))

    def test_a_blank_is_put_between_unless_there_is_white_space(self) -> None:
        letters = PieceTokenizer("\n", " ", "a", "b", line_end=0)
        model = self.model(letters)

        def of(text: str, continuation: str) -> float:
            return continuations(model, letters, text, [continuation])[0].probability

        assert of("a", "b") == of("a", " b") != of("a ", "b")
        assert of("a\n", "b") == pytest.approx(np.exp(model.table[0, 3]))
        assert of("", "b") == pytest.approx(np.exp(model.table[0, 3]))

    def test_a_mark_touches_the_words_before_it(self) -> None:
        marks = WordTokenizer(["the", "cat", "\t,", ",", '"\t', '"'], split_punctuation=True)
        model = self.model(marks)
        [comma] = continuations(model, marks, "the cat", [","])
        assert comma.probability == pytest.approx(np.exp(model.table[3, 4]))

    @pytest.mark.parametrize(("text", "continuation"), [("xa", "b"), ("\nca", "bcab"), ("ab", "\nab")])
    def test_a_text_that_ends_inside_a_token_is_split_with_its_continuation(
        self, text: str, continuation: str
    ) -> None:
        """With the tokens of both as one text, and given that the text begins so."""
        tokenizer = OpenPieces(*PIECES, "x", " ", line_end=0)
        model = random_bigram_model(len(PIECES) + 2, seed=2)
        text += " "
        spaced = OpenPieces(*PIECES, "x", " ", " b", " bc", "\n ", line_end=0)
        model = random_bigram_model(spaced.vocabulary_size, seed=2)
        [found] = continuations(model, spaced, text, [continuation])

        ids = spaced.encode(text + continuation)
        before = len(spaced.encode(text[:-1]))
        table = np.exp(model.table)
        last = ids[before - 1]
        blank, with_b, with_bc = (spaced.pieces.index(piece) for piece in (" ", " b", " bc"))
        path = np.prod(table[ids[before - 1 : -1], ids[before:]])
        begins = table[last, blank] + table[last, with_b] + table[last, with_bc]
        assert tokenizer.encode(text[:-1]).tolist() == ids[:before].tolist()
        assert found.probability == pytest.approx(path / begins)

    def test_white_space_finishes_a_word(self) -> None:
        """As scores of the whole text and of its beginning say."""
        spaced = OpenPieces("\n", "a", "b", "ab", " ", " a", " ab", line_end=0)
        model = random_bigram_model(7, seed=3)
        [found] = continuations(model, spaced, "ba", ["ab"])
        assert found.probability == pytest.approx(np.exp(model.table[1, 6]))

    def test_relative_probabilities_sum_to_1_and_keep_their_proportions(self) -> None:
        model = self.model(self.words)
        plain = continuations(model, self.words, "the", ["cat sat", "on", "sat"])
        relative = continuations(model, self.words, "the", ["cat sat", "on", "sat"], relative=True)
        ratios = [b.probability / a.probability for a, b in zip(plain, relative, strict=True)]

        assert sum(each.probability for each in relative) == pytest.approx(1)
        assert ratios == pytest.approx([ratios[0]] * 3)
        assert relative[0].log10 == pytest.approx(np.log10(relative[0].probability))

    def test_a_model_that_adapts_reads_all_before(self) -> None:
        letters = PieceTokenizer("\n", " ", "a", "b", line_end=0)
        [found] = continuations(CountingModel(4), letters, "aa ", ["ab"])
        assert found.probability == pytest.approx(3 / 7 * 1 / 8)
