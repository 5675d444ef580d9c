import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.errors import ModelError
from lmgen.models.ngram.model import NgramModel

Config = dict[str, Any]
Tensors = dict[str, npt.NDArray[Any]]


def small_model() -> NgramModel:
    ids = np.random.default_rng(0).integers(0, 5, 60)
    return NgramModel.fit(ids, order=3, vocabulary_size=6, sentence_end=0)


def rebuilt(model: NgramModel) -> NgramModel:
    config, tensors = model.to_tensors()
    return NgramModel.from_tensors(json.loads(json.dumps(config)), tensors)


def test_the_training_text_comes_back_if_it_is_kept() -> None:
    assert rebuilt(small_model()).training is None

    again = rebuilt(replace(small_model(), training=np.array([4, 0, 5])))

    assert again.training is not None
    assert again.training.tolist() == [4, 0, 5]
    assert again.training.dtype == np.uint8


@pytest.mark.parametrize("wrong", [np.array([6], np.uint8), np.array([1.0]), np.zeros((2, 2), np.uint8)])
def test_a_damaged_training_text_is_refused(wrong: npt.NDArray[Any]) -> None:
    config, tensors = small_model().to_tensors()

    with pytest.raises(ModelError, match="its tensor training"):
        NgramModel.from_tensors(config, {**tensors, "training": wrong})


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60),
    st.integers(1, 6),
    st.sampled_from([5, 300, 70_000]),
    st.none() | st.integers(0, 4),
)
def test_a_model_comes_back_exactly(
    ids: list[int], order: int, vocabulary_size: int, sentence_end: int | None
) -> None:
    model = NgramModel.fit(
        np.array(ids), order=order, vocabulary_size=vocabulary_size, sentence_end=sentence_end
    )
    again = rebuilt(model)
    for ours, theirs in zip(model.tables, again.tables, strict=True):
        rows = np.arange(len(ours))
        assert np.array_equal(ours.split(rows), theirs.split(rows))
        assert np.array_equal(ours.log_probs, theirs.log_probs)
        assert np.array_equal(ours.backoffs, theirs.backoffs)
    assert again.sentence_end == sentence_end
    assert again.vocabulary_size == vocabulary_size
    assert again.discounts == model.discounts
    assert again.notes == model.notes


def test_ids_are_kept_in_the_smallest_type() -> None:
    for vocabulary_size, kind in ((256, np.uint8), (257, np.uint16), (65_537, np.uint32)):
        model = NgramModel.fit(np.array([0, 1]), order=2, vocabulary_size=vocabulary_size)
        assert model.to_tensors()[1]["order.2.last_ids"].dtype == kind


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_the_tensors_take_at_most_half_of_the_arpa_text(order: int) -> None:
    """One-letter tokens make the shortest text; a line is: log10, tab, tokens, tab, log10 of the backoff."""
    ids = np.random.default_rng(0).zipf(1.5, 20_000) % 26
    model = NgramModel.fit(ids, order=order, vocabulary_size=26)
    number = len("-0.1234567")
    arpa_bytes = sum(
        len(table) * (number + 2 * n + (1 + number if n < order else 0) + 1)
        for n, table in enumerate(model.tables, start=1)
    )
    assert 2 * sum(tensor.nbytes for tensor in model.to_tensors()[1].values()) <= arpa_bytes


def with_value(name: str, index: int, value: float) -> Callable[[Config, Tensors], None]:
    def change(config: Config, tensors: Tensors) -> None:
        tensors[name] = tensors[name].copy()
        tensors[name][index] = value

    return change


def with_tensor(
    name: str, make: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
) -> Callable[[Config, Tensors], None]:
    def change(config: Config, tensors: Tensors) -> None:
        tensors[name] = make(tensors[name])

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_tensor("order.1.log_probs", lambda t: t.astype(np.float64)), "has to be float32"),
        (with_tensor("order.1.log_probs", lambda t: t[:-1]), "order.1.log_probs is float32"),
        (with_tensor("order.1.log_probs", lambda t: t[0]), "order.1.log_probs is float32"),
        (with_tensor("order.2.log_probs", lambda t: t[:-1]), "order.2.log_probs is float32"),
        (with_tensor("order.2.log_probs", lambda t: t[:, None]), "order.2.log_probs is float32"),
        (with_value("order.2.log_probs", 3, np.nan), "order.2.log_probs holds values that are not finite"),
        (with_value("order.3.log_probs", 0, -np.inf), "order.3.log_probs holds values that are not finite"),
        (with_value("order.3.log_probs", 0, 0.5), "order.3.log_probs holds probabilities above 1"),
        (with_value("order.1.backoffs", 0, np.inf), "order.1.backoffs holds values that are not finite"),
        (with_tensor("order.2.backoffs", lambda t: t[1:]), "order.2.backoffs is float32"),
        (
            with_tensor("order.2.followers", lambda t: t.astype(np.int64)),
            "has to be uint8 or uint16 or uint32",
        ),
        (with_value("order.1.followers", 0, 200), "order.2.last_ids is uint8"),
        (with_value("order.2.last_ids", 0, 6), "order.2.last_ids is out of order, or holds ids"),
        (with_tensor("order.2.last_ids", lambda t: t[::-1]), "order.2.last_ids is out of order"),
        (with_tensor("order.2.last_ids", lambda t: t * 0), "order.2.last_ids is out of order"),
    ],
)
def test_a_damaged_tensor_is_refused(change: Callable[[Config, Tensors], None], message: str) -> None:
    config, tensors = small_model().to_tensors()
    change(config, tensors)
    with pytest.raises(ModelError, match=message):
        NgramModel.from_tensors(config, tensors)


@pytest.mark.parametrize("name", sorted(small_model().to_tensors()[1]))
def test_a_missing_tensor_is_refused(name: str) -> None:
    config, tensors = small_model().to_tensors()
    del tensors[name]
    with pytest.raises(ModelError, match=f"tensor {name} is missing"):
        NgramModel.from_tensors(config, tensors)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("order", [0, -1, 2.0, "3", True, None, 4, 10**12]),
        ("vocabulary_size", [0, -1, 5, 7, 10**30, "6", True, None]),
        ("sentence_end", [-1, 6, "0", False, 0.0]),
        ("discounts", [None, [[0.5, 1.0, 1.5]], [[0.5, 1.0]] * 3, [[0.5, 1.0, float("nan")]] * 3]),
        ("discounts", [[[0.5, 1.0, 9.0]] * 3, [[0.5, 1.0, "1"]] * 3, "abc", [[0.0, 1.0, 1.5]] * 3]),
        ("notes", [None, "text", [1], ["clear\x1b[2J"]]),
    ],
)
def test_a_damaged_configuration_is_refused(key: str, values: list[object]) -> None:
    config, tensors = small_model().to_tensors()
    for value in values:
        with pytest.raises(ModelError):
            NgramModel.from_tensors(config | {key: value}, tensors)


@pytest.mark.parametrize("key", ["order", "vocabulary_size", "sentence_end", "discounts", "notes"])
def test_a_configuration_that_lacks_something_is_refused(key: str) -> None:
    config, tensors = small_model().to_tensors()
    del config[key]
    with pytest.raises(ModelError, match=f"lacks .*{key}"):
        NgramModel.from_tensors(config, tensors)
