"""Completions are drawn with the model's probabilities, reproducibly, and end where they should."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.arrays import FloatArray, IdArray
from lmgen.errors import ConfigError, NumericalError
from lmgen.generation.completion import Completion, Continuation
from lmgen.generation.config import SamplingConfig
from lmgen.generation.filters import RECENT_TOKENS
from lmgen.generation.prompts import Prompt
from lmgen.generation.sampler import complete, draw, stream, stream_scored
from lmgen.tokenizers.edges import Edge
from tests.fakes import BigramModel, random_bigram_model
from tests.generation.piece_tokenizer import PieceTokenizer

LETTERS = PieceTokenizer("\n", "a", "b", "c", "d", line_end=0)
GREEDY = SamplingConfig(temperature=0, length=20)


def chain(*following: int) -> BigramModel:
    """A model that is almost sure that token `following[i]` comes after token i."""
    size = len(following)
    table = np.full((size, size), 0.01 / (size - 1))
    table[np.arange(size), list(following)] = 0.99
    return BigramModel(np.log(table))


def only(completions: Iterator[Completion]) -> Completion:
    (completion,) = completions
    return completion


@dataclass
class WatchedModel(BigramModel):
    """Notes how many tokens it reads in each call, and for how many streams."""

    blocks: list[tuple[int, ...]] = field(default_factory=list)

    def advance(self, state: IdArray, ids: IdArray) -> IdArray:
        self.blocks.append(ids.shape)
        return super().advance(state, ids)


def test_greedy_follows_the_likeliest_token() -> None:
    completion = only(complete(chain(1, 2, 3, 4, 1), LETTERS, ["da"], GREEDY))
    assert completion.text == "bcdabcdabcdabcdabcda"
    assert completion.prompt == "da"
    assert completion.stopped_by == "length"
    assert completion.tokens == 20
    assert completion.nats == pytest.approx(-20 * np.log(0.99))


def test_an_empty_prompt_starts_from_scratch() -> None:
    assert only(complete(chain(1, 2, 3, 4, 1), LETTERS, [""], GREEDY)).text.startswith("abcd")


def test_tokens_come_as_often_as_they_are_likely() -> None:
    """Chi-square over 20,000 draws after each token; 4 degrees of freedom exceed 25 once in 20,000 times."""
    model = random_bigram_model(5, seed=3)
    text = only(complete(model, LETTERS, [""], SamplingConfig(length=20_000, seed=1))).text
    ids = LETTERS.encode("\n" + text)
    seen = np.zeros((5, 5))
    np.add.at(seen, (ids[:-1], ids[1:]), 1)
    expected = seen.sum(axis=1, keepdims=True) * np.exp(model.table)
    assert (((seen - expected) ** 2 / expected).sum(axis=1) < 25).all()


def test_the_share_drawn_decides_the_token() -> None:
    weights = np.array([[1.0, 2.0, 1.0]]) / 2
    assert [draw(weights, [share]) for share in (0.0, 0.2499, 0.25, 0.7499, 0.75)] == [
        [0],
        [0],
        [1],
        [1],
        [2],
    ]


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 3), st.floats(1e-300, 1e300))
def test_what_has_no_weight_is_never_drawn(share: float, only_left: int, weight: float) -> None:
    weights = np.zeros((1, 4))
    weights[0, only_left] = weight
    assert draw(weights, [share]) == [only_left]
    assert draw(weights, [np.nextafter(1, 0)]) == [only_left]


@given(st.integers(2001, 9000), st.integers(0, 2**32 - 1), st.floats(0, 1, exclude_max=True))
@settings(max_examples=50, deadline=None)
def test_of_many_tokens_the_same_is_drawn_block_by_block(size: int, seed: int, uniform: float) -> None:
    random = np.random.default_rng(seed)
    weights = random.random((1, size)) * (random.random((1, size)) < 0.1)
    [drawn] = draw(weights, [uniform])
    cumulative = weights[0].cumsum()

    assert weights[0, drawn] > 0
    assert cumulative[drawn - 1] - 1e-9 <= uniform * cumulative[-1] <= cumulative[drawn] + 1e-9 or drawn == 0


def test_of_many_tokens_the_last_one_with_weight_can_be_drawn() -> None:
    weights = np.zeros((1, 5000))
    weights[0, [7, 600]] = 1e-3, 1
    assert draw(weights, [np.nextafter(1, 0)]) == [600]
    assert draw(weights, [0.0]) == [7]


@pytest.mark.parametrize("wrong", [0.0, np.nan, np.inf])
def test_weights_that_say_nothing_are_refused(wrong: float) -> None:
    with pytest.raises(NumericalError, match="no known token a probability"):
        draw(np.array([[0.0, wrong, 0.0]]), [0.5])


def test_the_same_seed_gives_the_same_text() -> None:
    model = random_bigram_model(5)

    def texts(seed: int | None) -> list[str]:
        return [c.text for c in complete(model, LETTERS, [""], SamplingConfig(length=50, seed=seed), num=3)]

    assert texts(1) == texts(1)
    assert texts(1) != texts(2)
    assert texts(None) != texts(None)
    assert len(set(texts(1))) == 3


def test_a_new_seed_is_reported_and_repeats_the_text() -> None:
    model = random_bigram_model(5)
    first = only(complete(model, LETTERS, ["a"], SamplingConfig(length=50)))
    again = only(complete(model, LETTERS, ["a"], SamplingConfig(length=50, seed=first.seed)))
    assert again == first


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("abc", max_size=6), min_size=1, max_size=5), st.integers(1, 4), st.booleans())
def test_a_completion_does_not_depend_on_those_beside_it(prompts: list[str], num: int, lines: bool) -> None:
    """The i-th completion of a call is what a call with one stream at a time gives as its i-th."""
    model = random_bigram_model(5)
    config = SamplingConfig(length=8, seed=5, top_p=0.9)
    together = list(complete(model, LETTERS, prompts, config, num=num, lines=lines))
    one_by_one = complete(model, LETTERS, (p for p in prompts for _ in range(num)), config, lines=lines)
    assert [c.prompt for c in together] == [p for p in prompts for _ in range(num)]
    assert [(c.text, c.tokens, c.stopped_by) for c in together] == [
        (c.text, c.tokens, c.stopped_by) for c in one_by_one
    ]


def test_more_completions_than_fit_side_by_side_come_in_order() -> None:
    model = random_bigram_model(5)
    many = [c.text for c in complete(model, LETTERS, ["ab"], SamplingConfig(length=9, seed=2), num=150)]
    few = [c.text for c in complete(model, LETTERS, ["ab"], SamplingConfig(length=9, seed=2), num=70)]
    assert len(many) == 150
    assert many[:70] == few
    assert len(set(many)) > 100


def test_a_prompt_is_read_once_for_all_its_completions() -> None:
    model = WatchedModel(random_bigram_model(5).table)
    list(complete(model, LETTERS, ["abcd" * 100], SamplingConfig(length=1), num=200))
    assert model.blocks == [(256, 1), (144, 1)]


def test_completions_that_ended_take_no_more_time() -> None:
    model = WatchedModel(chain(1, 0, 3, 4, 2).table)
    list(complete(model, LETTERS, ["\n", "b"], GREEDY, lines=True))
    assert model.blocks[:4] == [(1, 2), (1, 2), (1, 1), (1, 1)]


def test_prompts_are_taken_as_they_are_needed() -> None:
    taken = 0

    def prompts() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "a"

    completions = complete(chain(1, 2, 3, 4, 1), LETTERS, prompts(), SamplingConfig(length=3))
    assert len(list(islice(completions, 100))) == 100
    assert taken == 128


def test_no_prompts_give_no_completions() -> None:
    assert list(complete(chain(0, 0, 0, 0, 0), LETTERS, [], GREEDY)) == []


@pytest.mark.parametrize("prompts", [["da"], ["da", "b", "", "abcdabcd"]])
def test_nats_are_the_models_score_of_what_was_drawn(prompts: list[str]) -> None:
    """Filters change what is drawn, not what it is said to have cost."""
    model = random_bigram_model(5, seed=4)
    config = SamplingConfig(length=30, seed=3, temperature=2.0, top_k=3, repetition_penalty=1.3)
    for completion in complete(model, LETTERS, prompts, config):
        before = model.advance(model.start(1), LETTERS.encode(completion.prompt)[:, None])
        scores, _ = model.score(before, LETTERS.encode(completion.text)[:, None])
        assert completion.nats == pytest.approx(-scores.sum())
        assert completion.tokens == 30


@settings(max_examples=50, deadline=None)
@given(st.text("abc", max_size=5), st.lists(st.text("abcd\n", min_size=1, max_size=3), max_size=2))
def test_streaming_gives_the_text_of_the_first_completion(prompt: str, stop: list[str]) -> None:
    model = random_bigram_model(5)
    config = SamplingConfig(length=40, seed=7, temperature=1.5)
    whole = next(complete(model, LETTERS, [prompt], config, num=3, stop=stop))
    assert "".join(stream(model, LETTERS, prompt, config, stop=stop)) == whole.text


@pytest.mark.parametrize("stop", [[], ["ab"]])
def test_the_nats_of_streamed_pieces_add_up_to_those_of_the_completion(stop: list[str]) -> None:
    model, config = random_bigram_model(5), SamplingConfig(length=40, seed=5)
    pieces = list(stream_scored(model, LETTERS, "a", config, stop=stop))
    [whole] = complete(model, LETTERS, ["a"], config, stop=stop)

    assert "".join(text for text, _ in pieces) == whole.text
    assert all(text for text, _ in pieces)
    if not stop:
        assert sum(nats for _, nats in pieces) == pytest.approx(whole.nats)


def test_text_streams_as_it_becomes_certain() -> None:
    pieces = stream(chain(1, 2, 3, 4, 1), LETTERS, "", GREEDY, stop=["cdx", "dabc"])
    assert list(pieces) == ["a", "b", "c"], "the c waits for its x, the d for what ends the text"


def test_an_endless_text_can_be_cut_off() -> None:
    text = stream(chain(1, 2, 3, 4, 1), LETTERS, "", SamplingConfig(length=0, temperature=0))
    assert "".join(islice(text, 1000)) == "abcd" * 250


class TestStops:
    pieces = PieceTokenizer("ab", "c\nd", "e~", "f", "\n")
    """Tokens with stop texts and line ends inside and across them; a ~ is held back by the decoder."""

    model = chain(1, 2, 3, 0, 0)
    """ab, c\\nd, e~, f, ab, ..."""

    def test_a_text_ends_before_the_stop_text_wherever_tokens_are_cut(self) -> None:
        completion = only(complete(self.model, self.pieces, ["f"], GREEDY, stop=["x", "bc"]))
        assert (completion.text, completion.stopped_by, completion.tokens) == ("a", "stop", 2)

    def test_what_a_token_holds_beyond_the_stop_is_left_out(self) -> None:
        completion = only(complete(self.model, self.pieces, ["f"], GREEDY, stop=["\n"]))
        assert (completion.text, completion.stopped_by, completion.tokens) == ("abc", "stop", 2)
        assert completion.nats == pytest.approx(-2 * np.log(0.99))

    def test_a_stop_in_the_prompt_does_not_count(self) -> None:
        completion = only(complete(self.model, self.pieces, ["fab"], GREEDY, stop=["bc", "fab"]))
        assert completion.text == "c\nde~"
        assert completion.stopped_by == "stop"

    def test_a_line_ends_at_a_newline_inside_a_token(self) -> None:
        completion = only(complete(self.model, self.pieces, ["f"], GREEDY, lines=True))
        assert (completion.text, completion.stopped_by, completion.tokens) == ("abc", "end", 2)

    def test_a_line_ends_at_the_line_end_token(self) -> None:
        lines = PieceTokenizer("a", "b", "", line_end=2)
        completion = only(complete(chain(1, 2, 0), lines, ["a"], GREEDY, lines=True))
        assert (completion.text, completion.stopped_by, completion.tokens) == ("b", "end", 2)

    def test_without_lines_a_line_end_is_text(self) -> None:
        assert only(complete(self.model, self.pieces, ["f"], GREEDY)).text.startswith("abc\nde~fab")

    def test_text_held_back_by_the_decoder_comes_out_at_the_end(self) -> None:
        three = SamplingConfig(temperature=0, length=3)
        assert only(complete(self.model, self.pieces, ["f"], three)).text == "abc\nde~"
        assert list(stream(self.model, self.pieces, "f", three)) == ["ab", "c\nd", "e~"]

    def test_a_stop_can_turn_up_in_what_was_held_back(self) -> None:
        three = SamplingConfig(temperature=0, length=3)
        completion = only(complete(self.model, self.pieces, ["f"], three, stop=["~", "~~"]))
        assert (completion.text, completion.stopped_by) == ("abc\nde", "stop")

    def test_what_the_prompt_ended_with_is_not_said_again(self) -> None:
        assert only(complete(self.model, self.pieces, ["abc\nde~"], GREEDY)).text.startswith("fab")


def test_the_unknown_token_is_never_drawn_but_can_be_read() -> None:
    tokenizer = PieceTokenizer("?", "a", "b", unknown=0)
    model = chain(0, 0, 0)
    completion = only(complete(model, tokenizer, ["xyz"], SamplingConfig(length=100, seed=0)))
    assert set(completion.text) == {"a", "b"}


def test_what_a_repetition_penalty_remembers_is_bounded() -> None:
    letter = Continuation(
        Prompt("a", Edge(np.array([1]))),
        LETTERS,
        length=0,
        stop=(),
        lines=False,
        random=np.random.default_rng(),
    )
    for _ in range(1000):
        letter.take(2, 0.5)
        letter.release()
    assert list(letter.recent) == [2] * RECENT_TOKENS


def test_a_repetition_penalty_counts_the_prompt_and_what_was_drawn() -> None:
    """Each token once drawn, or read, is passed over until nothing else is left."""
    model = BigramModel(np.log(np.tile([0.4, 0.3, 0.15, 0.1, 0.05], (5, 1))))
    config = SamplingConfig(temperature=0, length=3, repetition_penalty=1000.0)
    assert only(complete(model, LETTERS, ["a"], config)).text == "\nbc"
    assert [c.text for c in complete(model, LETTERS, ["aa\n", "", "b"], config)] == ["bcd", "\nab", "\nac"]


def test_what_would_never_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="length 0 is endless"):
        next(complete(chain(0, 0, 0, 0, 0), LETTERS, [""], SamplingConfig(length=0)))


def test_no_completions_at_all_are_refused() -> None:
    with pytest.raises(ConfigError, match="num is 0"):
        next(complete(chain(0, 0, 0, 0, 0), LETTERS, [""], GREEDY, num=0))


@pytest.mark.parametrize("stop", [[""], ["a", ""], "a"])
def test_a_stop_that_is_no_list_of_texts_is_refused(stop: list[str]) -> None:
    with pytest.raises(ConfigError, match="stop is"):
        next(stream(chain(0, 0, 0, 0, 0), LETTERS, "", GREEDY, stop=stop))


def test_probabilities_of_single_precision_are_enough() -> None:
    """Networks give float32; the drawing itself is in float64."""
    table: FloatArray = random_bigram_model(5).table.astype(np.float32)
    completion = only(complete(BigramModel(table), LETTERS, ["a"], SamplingConfig(length=50, seed=1)))
    assert isinstance(completion.nats, float)
    assert completion.tokens == 50


def test_a_call_goes_on_from_earlier_completions_of_the_same_seed() -> None:
    model = random_bigram_model(5)
    config = SamplingConfig(length=9, seed=2)
    together = [c.text for c in complete(model, LETTERS, ["a", "b", "c"], config, num=2)]
    one = [c.text for c in complete(model, LETTERS, ["a"], config, num=2)]
    others = [c.text for c in complete(model, LETTERS, ["b", "c"], config, num=2, first=2)]

    assert one + others == together
