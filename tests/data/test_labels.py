"""Labelled texts as arrays, and batches of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmgen.data.config import HeldOutConfig
from lmgen.data.labels import LabelSet, last_tokens
from lmgen.data.preparation import prepare
from lmgen.data.prepared import load_prepared
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import read_tokens
from lmgen.data.unit_batches import UnitBatches
from lmgen.errors import CorpusError, ModelError
from lmgen.text.config import ReadingConfig
from lmgen.text.corpora import open_corpus
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer

LINES = ReadingConfig(unit="line")
TEXT = "ab c\nc\nab ab é\n"


def tokenizer(name: str) -> Tokenizer:
    text = TEXT * 40
    size = 262 if name in ("bpe", "unigram") else None
    return train_tokenizer(lambda: [text], TokenizerConfig(tokenizer=name, vocab_size=size), LINES)


@pytest.mark.parametrize("name", ["char", "byte", "word", "bpe", "unigram"])
def test_a_word_has_its_label_at_its_last_token_and_a_text_at_its_end(name: str) -> None:
    splits = tokenizer(name)
    words = ["ab c\tX Y\n", "ab ab é\tX Z W\n"]
    labels = LabelSet("word", ("X", "Y", "Z"))
    [block] = labels.encode(words, splits)

    assert block.unknown_labels == 1
    assert [int(number) for number in block.targets if number] == [1, 2, 1, 3]
    begun = 0
    for text in ("ab c", "ab ab é"):
        ids, offsets = splits.encode_with_offsets(f"{text}\n")
        np.testing.assert_array_equal(block.ids[begun : begun + len(ids)], ids)
        for word, place in enumerate(last_tokens(text, offsets)):
            read = splits.decode(ids[: place + 1]).split() if name != "byte" else None
            assert read is None or read == text.split()[: word + 1]
        begun += len(ids)
    [block] = LabelSet("line", ("p", "n")).encode(["ab c\tn\n", "c\tq\n"], splits)
    ends = np.flatnonzero(block.ids == splits.end)
    assert block.targets[ends].tolist() == [2, 0]
    assert not np.delete(block.targets, ends).any()


def test_labels_are_in_the_order_of_their_frequency_and_two_at_least() -> None:
    assert LabelSet.of_text(["a b c\tX Y X\n", "d\tZ\n"], "word", "it").names == ("X", "Y", "Z")
    assert LabelSet.of_text(["a\tbad one\n"] * 2 + ["a\tgood\n"], "line", "it").names == ("bad one", "good")
    with pytest.raises(CorpusError, match="the training text of it has only the label 'X'"):
        LabelSet.of_text(["a\tX\n"], "line", "it")


def batches(targets: list[int], ids: list[int], **settings: int) -> UnitBatches:
    shape: dict[str, Any] = {"streams": 2, "length": 4, "seed": 1, **settings}
    return UnitBatches(
        ids=np.array(ids, np.uint8),
        targets=np.array(targets, np.uint8),
        unit_end=1,
        start_token=1,
        carried=False,
        **shape,
    )


def test_a_batch_has_whole_texts_and_weights_where_labels_are() -> None:
    source = batches([0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3], [5, 6, 1, 7, 1, *[8] * 9, 1])
    [*made] = source.epoch(0)

    assert source.count(0) == len(made) == 2
    found = []
    for batch in made:
        assert batch.weights is not None
        assert batch.begins is not None
        assert batch.begins.all()
        assert source.learning_rate_share(batch) == batch.inputs.shape[1] / 2
        for inputs, targets, weights in zip(batch.inputs.T, batch.targets.T, batch.weights.T, strict=True):
            length = inputs.tolist().index(1) + 1
            assert weights.sum() == weights[length - 1] == 1
            found.append((inputs[:length].tolist(), int(targets[length - 1])))
    assert sorted(found) == [([5, 6, 1], 1), ([7, 1], 0), ([8] * 9 + [1], 2)]


def test_similar_texts_share_a_batch_up_to_its_number_of_streams() -> None:
    source = batches([0, 1] * 5, [5, 1] * 5)

    assert sorted(batch.inputs.shape[1] for batch in source.epoch(0)) == [1, 2, 2]


def write(folder: Path, name: str, content: str) -> str:
    path = folder / name
    path.write_text(content)
    return str(path)


def test_a_prepared_corpus_has_its_labels_and_is_checked(tmp_path: Path) -> None:
    corpus = open_corpus([write(tmp_path, "a.tsv", "ab\tX\nc a\tY\nb\tX\n" * 20)], tabs=True)
    held_out = HeldOutConfig(valid=write(tmp_path, "b.tsv", "ac\tX\nd\tQ\n"))
    run = RunFolder(tmp_path / "run")
    made = prepare(corpus, held_out, TokenizerConfig(), run, reading=LINES, labels="any")

    assert made.labels == LabelSet("line", ("X", "Y"))
    assert made.valid is not None
    assert (made.train.characters, made.valid.characters, made.valid.unknown_tokens) == (180, 5, 1)
    assert any("1 labels of the valid text are none" in note for note in made.notes)
    assert any("1 tokens of the valid text are unknown" in note for note in made.notes)
    assert run.valid_text.read_text() == "ac\tX\nd\tQ\n"
    assert read_tokens(run.labels_of("valid"), 3).tolist() == [0, 0, 1, 0, 0]
    assert load_prepared(run).labels == made.labels
    run.labels_of("train").write_bytes(b"")
    with pytest.raises(ModelError, match=r"train\.labels\.npy is not what was prepared"):
        load_prepared(run)


def test_a_part_is_cut_between_two_texts(tmp_path: Path) -> None:
    corpus = open_corpus([write(tmp_path, "a.txt", "a/X b/Y\nc/X\n" * 10)])
    run = RunFolder(tmp_path / "run")
    made = prepare(corpus, HeldOutConfig(valid="0.25"), TokenizerConfig(), run, reading=LINES, labels="any")

    assert made.labels == LabelSet("word", ("X", "Y"))
    assert set(run.valid_text.read_text().splitlines()) == {"a b\tX Y", "c\tX"}
