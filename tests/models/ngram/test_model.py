import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.arrays import IdArray
from lmgen.models.base import LanguageModel
from lmgen.models.ngram.model import NgramModel

SHARED = Path(__file__).parents[3].parent / "shared"
NO_REFERENCE = "needs the folder shared/reference beside the repository"
NO_CORPUS = "needs the folder shared/data beside the repository"


@st.composite
def models(draw: st.DrawFn) -> NgramModel:
    """Models of any order, vocabulary, boundaries and pruning, fitted to texts of one token and more."""
    vocabulary_size = draw(st.integers(1, 6))
    ids = draw(st.lists(st.integers(0, vocabulary_size - 1), min_size=1, max_size=80))
    sentence_end = draw(st.none() | st.integers(0, vocabulary_size - 1))
    order = draw(st.integers(1, 7))
    prune = [0, *sorted(draw(st.lists(st.integers(0, 2), max_size=order - 1)))]
    return NgramModel.fit(
        np.array(ids),
        order=order,
        vocabulary_size=vocabulary_size,
        sentence_end=sentence_end,
        prune=prune,
    )


def block(draw: st.DrawFn, model: NgramModel, streams: int | None = None) -> npt.NDArray[np.int64]:
    """Random ids, (T, B)."""
    steps = draw(st.integers(0, 12))
    streams = draw(st.integers(1, 3)) if streams is None else streams
    ids = draw(
        st.lists(
            st.integers(0, model.vocabulary_size - 1), min_size=steps * streams, max_size=steps * streams
        )
    )
    return np.array(ids, np.int64).reshape(steps, streams)


@st.composite
def models_and_blocks(draw: st.DrawFn) -> tuple[NgramModel, npt.NDArray[np.int64]]:
    model = draw(models())
    return model, block(draw, model)


@settings(deadline=None)
@given(models_and_blocks())
def test_every_context_sums_to_1(drawn: tuple[NgramModel, IdArray]) -> None:
    model, ids = drawn
    state = model.start(ids.shape[1])
    for token in range(len(ids) + 1):
        rows = model.predict(state)
        assert rows.shape == (ids.shape[1], model.vocabulary_size)
        assert np.isfinite(rows).all()
        assert np.exp(rows.astype(float)).sum(axis=1) == pytest.approx(1, abs=1e-5)
        state = model.advance(state, ids[token : token + 1])


@settings(deadline=None)
@given(models_and_blocks())
def test_a_score_is_predict_and_advance_step_by_step(drawn: tuple[NgramModel, IdArray]) -> None:
    model, ids = drawn
    state = model.start(ids.shape[1])
    scores, after = model.score(state, ids)
    assert scores.shape == ids.shape
    for step, tokens in enumerate(ids):
        assert np.array_equal(scores[step], model.predict(state)[np.arange(len(tokens)), tokens])
        state = model.advance(state, tokens[None])
    assert np.array_equal(after, state)


@settings(deadline=None)
@given(models_and_blocks(), st.integers(0, 12))
def test_a_score_does_not_depend_on_where_blocks_are_cut(drawn: tuple[NgramModel, IdArray], cut: int) -> None:
    model, ids = drawn
    whole, after = model.score(model.start(ids.shape[1]), ids)
    first, state = model.score(model.start(ids.shape[1]), ids[:cut])
    second, state = model.score(state, ids[cut:])
    assert np.array_equal(np.concatenate([first, second]), whole)
    assert np.array_equal(state, after)


@settings(deadline=None)
@given(models_and_blocks())
def test_a_stream_does_not_depend_on_those_beside_it(drawn: tuple[NgramModel, IdArray]) -> None:
    model, ids = drawn
    together = model.score(model.start(ids.shape[1]), ids)[0]
    for stream in range(ids.shape[1]):
        alone = model.score(model.start(1), ids[:, [stream]])[0]
        assert np.array_equal(together[:, [stream]], alone)


@settings(deadline=None)
@given(models_and_blocks(), st.lists(st.integers(0, 2), max_size=5))
def test_select_leaves_out_repeats_and_orders_streams(
    drawn: tuple[NgramModel, IdArray], streams: list[int]
) -> None:
    model, ids = drawn
    streams = [stream % ids.shape[1] for stream in streams]
    state = model.advance(model.start(ids.shape[1]), ids)
    assert np.array_equal(model.predict(model.select(state, streams)), model.predict(state)[streams])


def test_it_is_a_language_model() -> None:
    model: LanguageModel = NgramModel.fit(np.array([0, 1]), order=3, vocabulary_size=2)
    assert model.name == "ngram-3"
    assert model.vocabulary_size == 2


def test_a_state_is_never_changed_in_place() -> None:
    model = NgramModel.fit(np.array([0, 1, 0, 2]), order=3, vocabulary_size=3, sentence_end=2)
    state = model.start(2)
    before = state.copy()
    ids = np.array([[0, 1], [2, 0]])
    model.score(state, ids)
    model.advance(state, ids)
    assert np.array_equal(state, before)
    assert np.array_equal(ids, [[0, 1], [2, 0]])


def test_after_a_sentence_end_the_context_is_the_start_alone() -> None:
    model = NgramModel.fit(np.array([1, 2, 0, 2, 1, 0]), order=3, vocabulary_size=3, sentence_end=0)
    state = model.advance(model.start(1), np.array([[2], [1], [0]]))
    assert np.array_equal(state, model.start(1))


def test_without_sentence_ends_the_context_goes_on() -> None:
    model = NgramModel.fit(np.array([1, 2, 0, 2, 1, 0]), order=3, vocabulary_size=3)
    state = model.advance(model.start(1), np.array([[2], [0]]))
    assert model.predict(state).argmax() == 2


def test_unseen_ids_share_one_probability() -> None:
    """A byte model has 256 ids, of which a text uses few: each of the others gets weight / V."""
    model = NgramModel.fit(np.array([65, 66, 65], np.uint8), order=1, vocabulary_size=256)
    unseen = np.exp(np.delete(model.predict(model.start(1))[0], [65, 66]))
    assert unseen == pytest.approx((1 + 0.5) / 3 / 256)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.int64])
def test_ids_may_be_of_any_integer_type_and_memory_mapped(tmp_path: Path, kind: type) -> None:
    ids = np.random.default_rng(1).integers(0, 200, 500)
    ids.astype(kind).tofile(tmp_path / "ids")
    mapped = np.memmap(tmp_path / "ids", dtype=kind, mode="r")
    model = NgramModel.fit(mapped, order=4, vocabulary_size=200)
    plain = NgramModel.fit(ids, order=4, vocabulary_size=200)
    scores, _ = model.score(model.start(1), mapped[:, None])
    assert np.array_equal(scores, plain.score(plain.start(1), ids[:, None])[0])


@pytest.mark.parametrize("order", [1, 2, 3, 25])
def test_a_text_of_one_token_is_enough(order: int) -> None:
    model = NgramModel.fit(np.array([1]), order=order, vocabulary_size=2)
    assert model.order == order
    assert model.predict(model.start(1)).argmax() == 1


def test_an_order_longer_than_the_text_predicts_as_the_longest_that_fits() -> None:
    ids = np.array([0, 1, 2, 0])
    model = NgramModel.fit(ids, order=30, vocabulary_size=3)
    # Of order 5 there is `<s>` and the whole text; longer n-grams do not fit.
    assert model.counts == (4, 4, 3, 2, 1, *(0,) * 25)
    scores, state = model.score(model.start(1), ids[:, None])
    assert np.isfinite(scores).all()
    assert state.shape == (1, 29)


# Agreement with KenLM.


def sentences(text: str) -> Iterator[str]:
    for line in text.removesuffix("\n").split("\n"):
        yield from line.split()
        yield "</s>"


def encoded(tokens: Iterator[str], vocabulary: dict[str, int]) -> npt.NDArray[np.int64]:
    return np.array([vocabulary.get(token, 0) for token in tokens])


def word_vocabulary(text: str) -> dict[str, int]:
    """KenLM's own unknown word has id 0; the corpus's `<unk>` is a word like any other."""
    return {word: number for number, word in enumerate(dict.fromkeys(["", "</s>", *sentences(text)]))}


def reference(name: str) -> dict[str, Any]:
    path = SHARED / "reference" / "ngram-reference.json"
    if not path.exists():
        pytest.skip(NO_REFERENCE)
    return json.loads(path.read_text())[name]  # type: ignore[no-any-return]


def corpus(name: str) -> str:
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(NO_CORPUS)
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def result_of(results: list[dict[str, Any]], order: int) -> dict[str, Any]:
    return next(result for result in results if result["order"] == order)


def check_structure(model: NgramModel, expected: dict[str, Any]) -> None:
    assert model.counts == tuple(expected["ngram_counts"].values())
    for ours, theirs in zip(model.discounts, expected["discounts"].values(), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    assert bool(model.notes) == expected["fallback_warned"]


def check_word_model(order: int, train: str, test: str, expected: dict[str, Any]) -> None:
    vocabulary = word_vocabulary(train)
    model = NgramModel.fit(
        encoded(sentences(train), vocabulary), order=order, vocabulary_size=len(vocabulary), sentence_end=1
    )
    check_structure(model, expected)
    ids = encoded(sentences(test), vocabulary)
    log_probs = model.score(model.start(1), ids[:, None])[0][:, 0].astype(float)
    assert len(ids) == expected["tokens"]
    assert (ids == 0).sum() == expected["oov"]
    assert np.exp(-log_probs.mean()) == pytest.approx(expected["perplexity_including_oov"], rel=1e-5)
    assert np.exp(-log_probs[ids != 0].mean()) == pytest.approx(
        expected["perplexity_excluding_oov"], rel=1e-5
    )


@pytest.mark.parametrize("order", [2, 3])
def test_the_toy_text_agrees_with_kenlm(order: int) -> None:
    toy = reference("toy")
    check_word_model(order, toy["train"], toy["test"], result_of(toy["results"], order))


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_words_of_wikitext_agree_with_kenlm(order: int) -> None:
    expected = result_of(reference("wikitext2-words")["results"], order)
    check_word_model(order, corpus("wikitext-2.valid.txt"), corpus("wikitext-2.test.txt"), expected)


@pytest.mark.slow
@pytest.mark.parametrize("order", [2, 3, 4, 5, 6, 7, 8, 10])
def test_characters_of_shakespeare_agree_with_kenlm(order: int) -> None:
    """
    The whole text is one sentence between `<s>` and `</s>`, whose log10 KenLM adds up in single precision.

    Over 111,541 tokens that moves its perplexities by up to 1.4e-4; ours, added up in that way, are the same.
    """
    expected = result_of(reference("tinyshakespeare-characters")["results"], order)
    text = corpus("tinyshakespeare.txt")
    characters = sorted(set(text))
    unknown, end = len(characters), len(characters) + 1
    ids = np.searchsorted(characters, list(text)).astype(np.uint8)
    train_length = len(text) * 9 // 10
    model = NgramModel.fit(np.append(ids[:train_length], np.uint8(end)), order=order, vocabulary_size=end + 1)
    check_structure(model, expected)
    test = np.append(ids[train_length:], np.uint8(end))
    assert len(test) == expected["tokens"]
    assert (test == unknown).sum() == expected["oov"]
    log_probs = model.score(model.start(1), test[:, None])[0][:, 0]
    single_precision = np.cumsum(log_probs / np.float32(np.log(10)), dtype=np.float32)[-1]
    perplexity = 10 ** (-float(single_precision) / len(test))
    assert perplexity == pytest.approx(expected["perplexity_including_oov"], rel=1e-5)
    exact = np.exp(-log_probs.mean(dtype=float))
    assert exact == pytest.approx(expected["perplexity_including_oov"], rel=1.5e-4)


def entries(model: NgramModel, words: list[str]) -> dict[str, tuple[float, float]]:
    """All n-grams with log10 of probability and backoff, as an ARPA file lists them."""
    spellings = words
    found = {}
    for lower, table in pairwise((None, *model.tables)):
        assert table is not None
        if lower is not None:
            contexts, last = table.split(np.arange(len(table)))
            spellings = [f"{spellings[c]} {words[w]}" for c, w in zip(contexts, last, strict=True)]
        backoffs = table.backoffs[:-1] if len(table.backoffs) else np.zeros(len(table))
        for spelling, log_prob, backoff in zip(spellings, table.log_probs, backoffs, strict=True):
            found[spelling] = log_prob / np.log(10), backoff / np.log(10)
    return found


def test_every_entry_of_the_toy_arpa_file_agrees() -> None:
    toy = reference("toy")
    vocabulary = word_vocabulary(toy["train"])
    ids = encoded(sentences(toy["train"]), vocabulary)
    model = NgramModel.fit(ids, order=2, vocabulary_size=len(vocabulary), sentence_end=1)
    found = entries(model, ["<unk>", *list(vocabulary)[1:], "<s>"])
    lines = (SHARED / "reference" / "toy.order2.arpa").read_text().splitlines()
    expected = [line.split("\t") for line in lines if "\t" in line]
    assert {spelling for _, spelling, *_ in expected} == set(found)
    for log_prob, spelling, *backoff in expected:
        assert found[spelling][0] == pytest.approx(float(log_prob), abs=1e-6)
        assert found[spelling][1] == pytest.approx(float(backoff[0]) if backoff else 0, abs=1e-6)
