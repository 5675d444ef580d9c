"""Scores of token ids: every token once, in order, the same however the text is cut."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lmgen.arrays import FloatArray, IdArray
from lmgen.errors import CorpusError, NumericalError
from lmgen.evaluation import scoring, side_by_side
from lmgen.evaluation.scoring import mean_nats, measure_each, score_each, score_ids
from lmgen.evaluation.side_by_side import ScoredBlock, rank
from lmgen.models.base import LanguageModel
from lmgen.models.network.output import log_softmax
from tests.fakes import BigramModel, CountingModel, FakeModel, random_bigram_model, uniform_model

V = 7
texts = st.lists(st.integers(0, V - 1), min_size=1, max_size=120).map(np.array)
small = st.integers(1, 9)


@contextmanager
def layout(streams: int, stream_length: int, shortest_stream: int, warm_up: int) -> Iterator[None]:
    """Segments small enough that a short text has many of them."""
    assume(streams * stream_length >= warm_up + 2 * shortest_stream)
    with patch.multiple(
        scoring,
        STREAMS=streams,
        STREAM_LENGTH=stream_length,
        SHORTEST_STREAM=shortest_stream,
        WARM_UP=warm_up,
    ):
        yield


@contextmanager
def block_sizes(tokens: int, floats: int) -> Iterator[None]:
    with patch.multiple(side_by_side, BLOCK_TOKENS=tokens, BLOCK_FLOATS=floats):
        yield


def joined(blocks: Iterator[ScoredBlock]) -> tuple[FloatArray, FloatArray]:
    """All ids and all nats of a text."""
    parts = list(blocks)
    return np.concatenate([part.ids for part in parts]), np.concatenate([part.nats for part in parts])


def by_hand(model: LanguageModel, ids: IdArray) -> FloatArray:
    """One token after the other, through `predict` and `advance` alone."""
    state, nats = model.start(1), []
    for token in ids:
        nats.append(-model.predict(state)[0, token])
        state = model.advance(state, np.array([[token]]))
    return np.array(nats)


@dataclass
class FadingModel(FakeModel):
    """
    Remembers the sum of all tokens, each counting half of the one after it: like a recurrent network it
    never quite forgets. The state is that sum.
    """

    name: str = "fading"
    vocabulary_size: int = V

    def start(self, streams: int) -> FloatArray:
        return np.full(streams, 0.3)

    def predict(self, state: FloatArray) -> FloatArray:
        return np.asarray(log_softmax(np.cos(state[:, None] * np.arange(1, V + 1)) * 3))

    def advance(self, state: FloatArray, ids: IdArray) -> FloatArray:
        for row in ids:
            state = state / 2 + row
        return state

    def score(self, state: FloatArray, ids: IdArray) -> tuple[FloatArray, FloatArray]:
        log_probabilities = np.zeros(ids.shape)
        for step, row in enumerate(ids):
            log_probabilities[step] = self.predict(state)[np.arange(len(row)), row]
            state = self.advance(state, row[None])
        return log_probabilities, state

    def select(self, state: FloatArray, streams: Sequence[int]) -> FloatArray:
        return np.asarray(state[list(streams)])


@given(texts, st.booleans())
def test_scores_are_those_of_reading_token_after_token(ids: IdArray, exact: bool) -> None:
    model = FadingModel()
    scored_ids, nats = joined(score_ids(model, ids, exact=exact))
    np.testing.assert_array_equal(scored_ids, ids)
    np.testing.assert_allclose(nats, by_hand(model, ids), atol=1e-12)


@given(texts, small, small, small, small)
def test_parallel_streams_are_exact_for_a_model_that_looks_back_less_than_the_warm_up(
    ids: IdArray, streams: int, stream_length: int, shortest_stream: int, warm_up: int
) -> None:
    model = random_bigram_model(V)
    with layout(streams, stream_length, shortest_stream, warm_up):
        scored_ids, nats = joined(score_ids(model, ids))
    np.testing.assert_array_equal(scored_ids, ids)
    np.testing.assert_allclose(nats, by_hand(model, ids), atol=1e-12)


@given(texts, st.integers(5, 9), st.integers(8, 12), small)
def test_a_model_that_never_forgets_is_all_but_exact_after_a_long_warm_up(
    ids: IdArray, streams: int, stream_length: int, shortest_stream: int
) -> None:
    model = FadingModel()
    with layout(streams, stream_length, shortest_stream, warm_up=30):
        _, nats = joined(score_ids(model, ids))
    np.testing.assert_allclose(nats, by_hand(model, ids), atol=1e-6)


@given(texts, st.booleans())
def test_a_model_that_adapts_while_it_reads_gets_one_stream(ids: IdArray, exact: bool) -> None:
    model = CountingModel(V)
    with layout(streams=4, stream_length=16, shortest_stream=3, warm_up=5):
        scored_ids, nats = joined(score_ids(model, ids, exact=exact))
        others = [block.ids for block in score_ids(random_bigram_model(V), ids, exact=exact)]
        blocks = [block.ids for block in score_ids(model, ids, exact=exact)]

    assert model.most_streams <= 1
    np.testing.assert_array_equal(scored_ids, ids)
    np.testing.assert_allclose(nats, by_hand(model, ids), atol=1e-12)
    assert [len(block) for block in blocks] == [len(block) for block in others], "so models can be compared"


def test_lines_are_not_read_side_by_side_by_a_model_that_adapts() -> None:
    model = CountingModel(V)
    each = score_each(model, [np.array([0, 0]), np.array([0])])

    assert model.most_streams == 1
    np.testing.assert_allclose(np.exp(-each[0]), [1 / V, 2 / (V + 1)])
    np.testing.assert_allclose(np.exp(-each[1]), [1 / V])


@given(texts, st.booleans(), st.integers(1, 50), st.integers(4 * V, 500))
def test_scores_do_not_depend_on_the_size_of_the_blocks_that_a_model_is_given(
    ids: IdArray, exact: bool, tokens: int, floats: int
) -> None:
    model = FadingModel()
    with layout(streams=4, stream_length=16, shortest_stream=3, warm_up=5):
        _, nats = joined(score_ids(model, ids, exact=exact))
        with block_sizes(tokens, floats):
            _, in_small_blocks = joined(score_ids(model, ids, exact=exact))
    np.testing.assert_allclose(in_small_blocks, nats, atol=1e-12)


@given(texts, st.booleans(), st.lists(st.integers(0, 120), max_size=6))
def test_ids_may_come_block_by_block_cut_anywhere(ids: IdArray, exact: bool, cuts: list[int]) -> None:
    model = FadingModel()
    with layout(streams=3, stream_length=8, shortest_stream=3, warm_up=2):
        whole_ids, nats = joined(score_ids(model, ids, exact=exact))
        block_ids, block_nats = joined(score_ids(model, np.split(ids, sorted(cuts)), exact=exact))
    np.testing.assert_array_equal(block_ids, whole_ids)
    np.testing.assert_allclose(block_nats, nats, atol=1e-12)


@given(st.lists(texts, min_size=1, max_size=20), st.booleans())
def test_texts_scored_side_by_side_score_as_each_does_alone(lines: list[IdArray], exact: bool) -> None:
    model = FadingModel()
    with layout(streams=4, stream_length=16, shortest_stream=20, warm_up=3), block_sizes(40, 1000):
        scores = score_each(model, lines, exact=exact)
        for ids, nats in zip(lines, scores, strict=True):
            np.testing.assert_allclose(nats, joined(score_ids(model, ids, exact=exact))[1], atol=1e-12)


def test_an_empty_text_among_others_has_no_scores() -> None:
    scores = score_each(uniform_model(V), [np.array([], int), np.array([1, 2]), np.array([], int)])

    assert [len(nats) for nats in scores] == [0, 2, 0]


@given(texts, st.booleans())
@settings(max_examples=30)
def test_ranks_count_the_tokens_that_were_likelier(ids: IdArray, exact: bool) -> None:
    model = FadingModel()
    state, expected = model.start(1), []
    for token in ids:
        [predicted] = model.predict(state)
        expected.append(list(np.argsort(-predicted, kind="stable")).index(token) + 1)
        state = model.advance(state, np.array([[token]]))
    with layout(streams=3, stream_length=16, shortest_stream=4, warm_up=40):
        blocks = list(score_ids(model, ids, exact=exact, measure=rank))
    ranks = [int(each) for block in blocks if block.measured is not None for each in block.measured[:, 0]]

    assert ranks == expected
    np.testing.assert_allclose(joined(iter(blocks))[1], by_hand(model, ids), atol=1e-9)


@given(st.lists(texts.map(lambda ids: ids[:40]), min_size=1, max_size=20), st.integers(2, 5))
def test_only_what_is_marked_is_measured_and_the_scores_stay(lines: list[IdArray], every: int) -> None:
    model = FadingModel()
    marked = [np.arange(len(ids)) % every == 0 for ids in lines]
    with layout(streams=4, stream_length=16, shortest_stream=20, warm_up=3), block_sizes(40, 1000):
        scores = measure_each(model, lines, measure=rank, marked=marked)
        everywhere = measure_each(model, lines, measure=rank)
    for block, other, chosen in zip(scores, everywhere, marked, strict=True):
        np.testing.assert_allclose(block.nats, other.nats, atol=1e-12)
        if block.measured is not None and other.measured is not None:
            np.testing.assert_array_equal(block.measured[chosen], other.measured[chosen])
            assert np.isnan(block.measured[~chosen]).all()


def test_tokens_that_are_equally_likely_share_the_better_rank() -> None:
    [block] = score_ids(uniform_model(V), np.arange(V), measure=rank)

    assert block.measured is not None
    assert block.measured.tolist() == [[1]] * V


def test_a_text_can_go_on_from_a_state() -> None:
    model = FadingModel()
    ids = np.arange(20) % V
    state = model.advance(model.start(1), ids[:8, None])

    nats = joined(score_ids(model, ids[8:], state=state))[1]

    np.testing.assert_allclose(nats, by_hand(model, ids)[8:])


def test_a_long_text_is_read_in_parallel_and_each_token_scored_once() -> None:
    """The sizes that users get, with a last segment that fills neither its streams nor their length."""
    size = scoring.STREAMS * scoring.STREAM_LENGTH
    ids = np.random.default_rng(0).integers(0, V, 2 * size + 3001).astype(np.uint8)
    model = random_bigram_model(V)
    exact_ids, exact = joined(score_ids(model, ids, exact=True))
    scored_ids, nats = joined(score_ids(model, ids))
    np.testing.assert_array_equal(scored_ids, ids)
    np.testing.assert_array_equal(exact_ids, ids)
    np.testing.assert_allclose(nats, exact)


def test_blocks_are_never_more_than_the_memory_allowed() -> None:
    """A vocabulary so large that 64 streams would be too many."""
    asked: list[int] = []

    class Watched(BigramModel):
        def score(self, state: IdArray, ids: IdArray) -> tuple[FloatArray, IdArray]:
            asked.append(ids.size)
            return super().score(state, ids)

    with block_sizes(tokens=4096, floats=20 * V):
        joined(score_ids(Watched(uniform_model(V).table), np.zeros(10_000, int)))
        score_each(Watched(uniform_model(V).table), [np.zeros(50, int)] * 100)

    assert max(asked) <= 20


def test_blocks_of_two_models_go_side_by_side_whatever_their_vocabularies() -> None:
    ids = np.zeros(200_000, np.uint8)
    small, large = (score_ids(uniform_model(size), ids) for size in (2, 1000))

    for one, other in zip(small, large, strict=True):
        assert len(one.ids) == len(other.ids)


def test_a_uniform_model_is_surprised_by_every_token_alike() -> None:
    mean, tokens = mean_nats(uniform_model(V), np.zeros(5000, np.uint8))

    assert tokens == 5000
    assert mean == pytest.approx(np.log(V))


def test_the_mean_can_be_limited_to_the_beginning_of_a_text() -> None:
    model = FadingModel()
    ids = np.arange(100) % V

    mean, tokens = mean_nats(model, ids, limit=10)

    assert tokens == 10
    assert mean == pytest.approx(by_hand(model, ids[:10]).mean())


def test_no_tokens_have_no_mean() -> None:
    with pytest.raises(CorpusError, match="nothing to score"):
        mean_nats(uniform_model(V), np.array([], int))


@pytest.mark.parametrize("bad", [-np.inf, np.nan])
@pytest.mark.parametrize("exact", [True, False])
def test_a_score_that_is_no_number_is_named_by_its_place(bad: float, exact: bool) -> None:
    table = uniform_model(V).table.copy()
    table[3, 4] = bad
    ids = np.zeros(30_000, int)
    ids[29_000:29_002] = 3, 4

    with pytest.raises(NumericalError, match=r"^token 29001 "):
        list(score_ids(BigramModel(table), ids, exact=exact))


def test_a_probability_of_one_is_no_surprise_and_no_minus_zero() -> None:
    [block] = score_ids(BigramModel(np.array([[1e-9]])), np.zeros(3, int))

    assert block.nats.tolist() == [0, 0, 0]
    assert not np.signbit(block.nats).any()


@dataclass
class WideModel(FakeModel):
    """Has a million tokens, and notes how many it is given at once."""

    name: str = "wide"
    vocabulary_size: int = 1_000_000
    given: list[int] = field(default_factory=list)

    def start(self, streams: int) -> int:
        return streams

    def predict(self, state: int) -> FloatArray:
        raise AssertionError("nobody asks for all log-probabilities")

    def advance(self, state: int, ids: IdArray) -> int:
        return state

    def score(self, state: int, ids: IdArray) -> tuple[FloatArray, int]:
        self.given.append(ids.size)
        return np.full(ids.shape, -1.0), state

    def select(self, state: int, streams: Sequence[int]) -> int:
        return len(streams)


@dataclass
class LookingUpModel(WideModel):
    score_width: int = 3


def test_a_model_that_only_looks_up_is_given_many_tokens_at_once_whatever_its_vocabulary() -> None:
    comparing, looking_up = WideModel(), LookingUpModel()
    for model in (comparing, looking_up):
        _, nats = joined(score_ids(model, np.zeros(20_000, np.int64)))
        assert nats.tolist() == [1.0] * 20_000
    assert max(comparing.given) * comparing.vocabulary_size <= side_by_side.BLOCK_FLOATS
    assert side_by_side.BLOCK_TOKENS // 2 < max(looking_up.given) <= side_by_side.BLOCK_TOKENS
