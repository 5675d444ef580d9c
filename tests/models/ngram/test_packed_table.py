"""Tables as a model file has them answer as those that are read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.errors import ModelError
from lmgen.models import model_file, tensor_file
from lmgen.models.model_file import load_model, save_model
from lmgen.models.ngram import packed_table, tensors
from lmgen.models.ngram.arpa import write_arpa
from lmgen.models.ngram.model import NgramModel
from lmgen.models.ngram.packed_table import PackedTable
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.words import WordTokenizer


@st.composite
def models(draw: st.DrawFn) -> NgramModel:
    vocabulary_size = draw(st.integers(1, 40))
    ids = draw(st.lists(st.integers(0, vocabulary_size - 1), min_size=1, max_size=120))
    order = draw(st.integers(1, 5))
    return NgramModel.fit(
        np.array(ids),
        order=order,
        vocabulary_size=vocabulary_size,
        sentence_end=draw(st.none() | st.integers(0, vocabulary_size - 1)),
        prune=draw(st.sampled_from([[], [0, 1]])) if order > 1 else [],
    )


def packed(model: NgramModel, changes: dict[str, npt.NDArray[Any]] | None = None) -> NgramModel:
    config, saved = model.to_tensors()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensors, "LARGE_BYTES", 0)
        again = NgramModel.from_tensors(config, saved | (changes or {}))
    assert all(isinstance(table, PackedTable) for table in again.tables)
    return again


@settings(deadline=None)
@given(models(), st.data())
def test_every_answer_is_that_of_tables_in_memory(model: NgramModel, data: st.DataObject) -> None:
    again = packed(model)
    size = model.vocabulary_size
    ids = np.array(data.draw(st.lists(st.integers(0, size - 1), max_size=30)), np.int64)[:, None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_table, "FOUND", 7)
        expected, found = (each.score(each.start(1), ids) for each in (model, again))
    for ours, theirs in zip(found, expected, strict=True):
        assert np.array_equal(ours, theirs)
    state = expected[1]
    predicted = again.predict(state)
    assert np.array_equal(predicted, model.predict(state))
    assert np.exp(predicted.astype(float)).sum() == pytest.approx(1, abs=1e-5)
    assert np.array_equal(again.matched(again.start(1), ids), model.matched(model.start(1), ids))
    assert again.counts == model.counts
    for packed_one, table in zip(again.tables[1:], model.tables[1:], strict=True):
        rows = np.arange(len(table))
        for ours, theirs in zip(packed_one.split(rows), table.split(rows), strict=True):
            assert np.array_equal(ours, theirs)


@settings(deadline=None)
@given(models())
def test_they_are_saved_as_they_came(model: NgramModel) -> None:
    config, saved = model.to_tensors()
    again = packed(model).to_tensors()
    assert again[0] == config
    assert list(again[1]) == list(saved)
    for name, tensor in saved.items():
        assert again[1][name].dtype == tensor.dtype
        assert np.array_equal(again[1][name], tensor)


def words() -> tuple[NgramModel, WordTokenizer]:
    text = "the cat sat on the mat\nthe dog sat on the cat\n" * 3
    tokenizer = WordTokenizer.train(lambda: [text], TokenizerConfig(tokenizer="word"))
    model = NgramModel.fit(
        tokenizer.encode(text),
        order=3,
        vocabulary_size=tokenizer.vocabulary_size,
        sentence_end=tokenizer.sentence_end,
        prune=[0, 0, 3],
    )
    return model, tokenizer


def test_their_arpa_file_is_the_same(tmp_path: Path) -> None:
    model, tokenizer = words()
    write_arpa(tmp_path / "read.arpa", model, tokenizer)
    write_arpa(tmp_path / "packed.arpa", packed(model), tokenizer)

    assert (tmp_path / "packed.arpa").read_bytes() == (tmp_path / "read.arpa").read_bytes()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("order.2.log_probs", np.nan, "logarithms are not finite"),
        ("order.2.log_probs", 0.5, "logarithms are not finite, or too large"),
        ("order.2.backoffs", np.inf, "logarithms are not finite"),
        ("order.2.last_ids", 200, "tokens that do not exist"),
    ],
)
def test_damage_is_found_where_it_is_used(name: str, value: float, message: str) -> None:
    model, _ = words()
    tensor = model.to_tensors()[1][name].copy()
    tensor[:] = value
    with pytest.raises(ModelError, match=message):
        use(packed(model, {name: tensor}))


def test_a_type_that_numpy_lacks_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = words()
    monkeypatch.setattr(model_file, "LARGE_BYTES", 0)
    monkeypatch.setitem(tensor_file.NAMES, np.dtype(np.uint8), "F8_E4M3")
    save_model(tmp_path / "m", model, tokenizer, {})
    monkeypatch.undo()
    for least in (0, 1 << 28):
        monkeypatch.setattr(model_file, "LARGE_BYTES", least)
        with pytest.raises(ModelError, match=r"m.*F8_E4M3|m is not a whole model file") as raised:
            load_model(tmp_path / "m")
        assert "\n" not in str(raised.value)


def use(model: NgramModel) -> None:
    """Ask for what follows `<s>`, and for what follows each token after it."""
    for token in range(model.vocabulary_size):
        model.predict(model.advance(model.start(1), np.array([[token]])))


def score_all_pairs(model: NgramModel) -> None:
    """Score each token after each other."""
    ids = np.arange(model.vocabulary_size)
    model.score(model.start(1), np.stack(np.meshgrid(ids, ids), axis=-1).reshape(-1, 1))


def split_all(model: NgramModel) -> None:
    """Split each n-gram, as for an ARPA file."""
    for table in model.tables[1:]:
        table.split(np.arange(len(table)))


@pytest.mark.parametrize("change", ["reversed", "too large"])
@pytest.mark.parametrize("used", [use, score_all_pairs, split_all])
def test_last_tokens_are_looked_at_by_all_that_read_them(
    change: str, used: Callable[[NgramModel], None]
) -> None:
    model, _ = words()
    last_ids = model.to_tensors()[1]["order.2.last_ids"].copy()
    contexts, _ = model.tables[1].split(np.arange(len(last_ids)))
    for rows in np.split(np.arange(len(last_ids)), np.flatnonzero(np.diff(contexts)) + 1):
        last_ids[rows] = last_ids[rows][::-1] if change == "reversed" else 200
    with pytest.raises(ModelError, match="its n-grams are out of order, or have tokens that do not exist"):
        used(packed(model, {"order.2.last_ids": last_ids}))


@pytest.mark.parametrize("name", ["order.1.followers", "order.2.followers", "order.2.log_probs"])
def test_sizes_that_do_not_fit_are_found_at_once(name: str) -> None:
    model, _ = words()
    tensor = model.to_tensors()[1][name]
    with pytest.raises(ModelError, match=r"its tensor order\.\d\.\w+ is .*, but has to be"):
        packed(model, {name: tensor[:-1]})
    if "followers" in name:
        with pytest.raises(ModelError, match=r"its tensor order\.\d\.last_ids is .*, but has to be"):
            packed(model, {name: tensor + np.uint8(1)})
