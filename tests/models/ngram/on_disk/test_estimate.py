"""Models that are estimated on disk have the figures of those estimated in memory, bit for bit."""

import resource
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.arrays import IdArray
from lmgen.errors import ConfigError, CorpusError, WriteError
from lmgen.models.ngram.kneser_ney import Estimate, estimate, thresholds_of
from lmgen.models.ngram.on_disk.columns import Scratch
from lmgen.models.ngram.on_disk.estimate import estimate_in_blocks, estimate_on_disk
from lmgen.models.ngram.tensors import pack_tables
from lmgen.models.ngram.words import Words
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.words import WordTokenizer


def in_blocks(
    ids: IdArray,
    order: int,
    vocabulary_size: int,
    sentence_end: int | None,
    prune: Sequence[int] = (),
    block: int = 16,
    words: Words | None = None,
) -> Estimate:
    with Scratch(None, block) as scratch:
        thresholds = thresholds_of(prune, order)
        return estimate_in_blocks(ids, vocabulary_size, sentence_end, thresholds, words, scratch)


def assert_same(ours: Estimate, expected: Estimate) -> None:
    found, wanted = pack_tables(ours.tables), pack_tables(expected.tables)
    assert list(found) == list(wanted)
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].tobytes() == tensor.tobytes(), name
    assert ours.discounts == expected.discounts
    assert ours.notes == expected.notes


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_any_text_in_blocks_of_any_size(data: st.DataObject) -> None:
    vocabulary_size = data.draw(st.integers(1, 8))
    of_text = st.integers(0, vocabulary_size - 1)
    ids = np.array(data.draw(st.lists(of_text, min_size=1, max_size=150)))
    order = data.draw(st.integers(1, 8))
    sentence_end = data.draw(st.none() | of_text)
    prune = [0, *sorted(data.draw(st.lists(st.integers(0, 3), max_size=order - 1)))]
    block = data.draw(st.sampled_from([1, 2, 3, 7, 16, 100, 1000]))
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=vocabulary_size, max_size=vocabulary_size)))
    kept[sentence_end or 0] = True
    words = data.draw(st.sampled_from([None, Words.some_of(kept)]))

    assert_same(
        in_blocks(ids, order, vocabulary_size, sentence_end, prune, block, words),
        estimate(ids, order, vocabulary_size, sentence_end, prune, words),
    )


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("prune", [[], [0, 1, 2]])
@pytest.mark.parametrize("block", [100, 1000, 4096, 1 << 20])
def test_a_text_of_many_blocks(order: int, prune: list[int], block: int) -> None:
    """Words of which some are so frequent that all that follows them is more than a block."""
    random = np.random.default_rng(order)
    ids = np.minimum(random.zipf(1.3, 20_000) - 1, 999).astype(np.uint16)

    assert_same(
        in_blocks(ids, order, 1000, 0, prune[:order], block), estimate(ids, order, 1000, 0, prune[:order])
    )


@pytest.mark.parametrize("text", ["a", "a" * 24, "ab\n" * 50, "\n" * 40, "日本語\nемное" * 9])
@pytest.mark.parametrize("order", [1, 2, 7, 40])
def test_odd_texts_of_characters(text: str, order: int) -> None:
    tokenizer = CharacterTokenizer.train(lambda: iter([text]), TokenizerConfig())
    ids = tokenizer.encode(text)

    assert_same(
        in_blocks(ids, order, tokenizer.vocabulary_size, None, block=5),
        estimate(ids, order, tokenizer.vocabulary_size, None),
    )


def test_words_and_their_sentences() -> None:
    text = "the cat sat\n\nthe dog sat on the cat\nthe the the\n" * 20
    tokenizer = WordTokenizer.train(lambda: iter([text]), TokenizerConfig())
    ids = tokenizer.encode(text)
    arguments = (ids, 4, tokenizer.vocabulary_size, tokenizer.sentence_end)

    assert_same(in_blocks(*arguments, block=32), estimate(*arguments))


def test_ids_beyond_the_vocabulary_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="the highest id is 3, but the vocabulary has 3 ids"):
        in_blocks(np.array([0, 3]), 2, 3, None)


def test_wrong_arguments_are_refused_as_in_memory() -> None:
    arguments = {"vocabulary_size": 2, "sentence_end": None, "folder": None, "memory": 1}
    with pytest.raises(CorpusError, match="no tokens"):
        estimate_on_disk(np.empty(0, np.uint8), 2, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="order of an n-gram model is 0"):
        estimate_on_disk(np.array([1]), 0, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="--prune is 1"):
        estimate_on_disk(np.array([1]), 2, prune=[1], **arguments)  # type: ignore[arg-type]


def test_too_many_open_files_are_one_line_with_its_own_advice(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with (tmp_path / "open").open("w") as file:
        resource.setrlimit(resource.RLIMIT_NOFILE, (file.fileno() + 10, limits[1]))
        try:
            with pytest.raises(
                WriteError, match=r"^cannot write .* in .*: Too many open files; let .*ulimit"
            ):
                estimate_on_disk(np.arange(100), 20, 100, None, folder=tmp_path, memory=1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert [path.name for path in tmp_path.iterdir()] == ["open"]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that has no room for them."""
    ids = np.random.default_rng(0).integers(0, 50, 20_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(WriteError, match=r"^cannot write .*: File too large; choose another place"):
            estimate_on_disk(ids, 4, 50, None, folder=tmp_path, memory=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert not list(tmp_path.iterdir())


def test_a_high_order_opens_few_files() -> None:
    """Most systems allow 1024; here, 450 beside those that are open."""
    ids = np.random.default_rng(0).integers(0, 2, 300)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 450, limits[1]))
    try:
        found = in_blocks(ids, 100, 2, None)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert_same(found, estimate(ids, 100, 2, None))
