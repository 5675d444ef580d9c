"""Word vectors trained by gensim: what they learn, seeds, units, settings."""

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import lmgen
from lmgen.errors import ConfigError, CorpusError
from lmgen.vectors.config import LONGEST_SENTENCE, MOST_NEGATIVES
from lmgen.vectors.training import words_of

pytest.importorskip("gensim", reason="the extra `vectors` is not installed")

DAYS, COLOURS = ("monday", "tuesday", "friday"), ("red", "green", "blue")


def sentences(count: int = 800) -> str:
    """Days stand beside days' words, and colours beside colours' words."""
    random = Random(0)
    lines = [
        f"we meet on {random.choice(DAYS)} morning at noon\nher {random.choice(COLOURS)} dress and coat\n"
        for _ in range(count)
    ]
    return "".join(lines)


TEXT = sentences()
SMALL: dict[str, Any] = {"embedding_size": 12, "epochs": 8, "unit": "line", "subsample": 0}


@pytest.mark.parametrize("method", ["skip-gram", "cbow"])
def test_words_of_like_contexts_are_near_each_other(method: str) -> None:
    vectors = lmgen.train_vectors(TEXT, method=method, window=2, **{**SMALL, "epochs": 20})

    assert {each.word for each in vectors.near("monday", top=2)} == {"tuesday", "friday"}
    assert {each.word for each in vectors.near("red", top=2)} == {"green", "blue"}


def test_a_seed_gives_the_same_vectors_and_another_one_others() -> None:
    first, again, other = (lmgen.train_vectors(TEXT, seed=seed, **SMALL) for seed in (1, 1, 2))

    assert first.words == again.words
    assert (first.matrix == again.matrix).all()
    assert not np.allclose(first.matrix, other.matrix)


def test_rare_words_are_read_as_unk_and_the_most_frequent_word_comes_first() -> None:
    vectors = lmgen.train_vectors("rare " + "The cat saw a cat\n" * 20, lowercase=True, **SMALL)

    assert vectors.words[0] == "cat"
    assert set(vectors.words) == {"cat", "the", "saw", "a", "<unk>"}
    assert "rare" in lmgen.train_vectors("rare word\n", min_count=1, **SMALL)


def test_no_pair_goes_across_the_end_of_a_unit() -> None:
    with pytest.raises(CorpusError, match="no two words beside each other"):
        lmgen.train_vectors("one\ntwo\n", min_count=1, unit="line")
    assert len(lmgen.train_vectors("one\ntwo\n", min_count=1)) == 2
    assert len(lmgen.train_vectors(texts=["one two", "three"], min_count=1, unit="record")) == 3


def test_a_text_longer_than_gensim_reads_at_once_is_read_whole() -> None:
    words = " ".join(f"w{number}" for number in range(25_000))
    vectors = lmgen.train_vectors(f"{words}\n", min_count=1, epochs=1, embedding_size=2)

    assert len(vectors) == 25_000
    assert "w24999" in vectors


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="unknown settings windw"):
        lmgen.train_vectors(TEXT, windw=3)
    with pytest.raises(ConfigError, match="window is 0, but has to be at least 1"):
        lmgen.train_vectors(TEXT, window=0)
    for name in ("window", "negatives", "embedding_size"):
        wrong: dict[str, Any] = {name: 3_000_000_000}
        with pytest.raises(ConfigError, match=f"{name} is 3000000000, but has to be at most"):
            lmgen.train_vectors(TEXT, **wrong)
    with pytest.raises(ConfigError, match="learning_rate is inf, but has to be at most"):
        lmgen.train_vectors(TEXT, learning_rate=float("inf"))
    with pytest.raises(CorpusError, match=r"there is no file, folder or corpus 'gone\.txt'"):
        lmgen.train_vectors("gone.txt")


def test_the_largest_settings_train() -> None:
    largest: dict[str, Any] = {
        "window": LONGEST_SENTENCE,
        "negatives": MOST_NEGATIVES,
        "embedding_size": 2,
        "epochs": 1,
    }

    assert "monday" in lmgen.train_vectors(sentences(4), min_count=1, unit="document", **largest)


@pytest.mark.parametrize("method", ["skip-gram", "cbow"])
def test_what_fails_in_gensims_thread_is_an_error(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On its own gensim would wait forever for a thread that has died."""
    from gensim.models import word2vec

    def fail(*_: object) -> int:
        raise MemoryError("no room")

    monkeypatch.setattr(word2vec, "train_batch_sg", fail)
    monkeypatch.setattr(word2vec, "train_batch_cbow", fail)
    with pytest.raises(MemoryError, match="no room"):
        lmgen.train_vectors(TEXT, method=method, **SMALL)


def test_a_sentence_is_split_as_in_training() -> None:
    from lmgen.vectors.config import VectorConfig

    assert words_of("Don't (stop)!", VectorConfig()) == ["Don't", "(stop)!"]
    split = VectorConfig(lowercase=True, split_punctuation=True)
    assert words_of("Don't (stop)!", split) == ["don't", "(", "stop", ")", "!"]


@pytest.mark.slow
def test_a_network_starts_from_them(tmp_path: Path) -> None:
    vectors = lmgen.train_vectors(TEXT, **SMALL)
    vectors.save(tmp_path / "v.bin")
    model = lmgen.train(
        TEXT,
        out=tmp_path / "run",
        tokenizer="word",
        embeddings=tmp_path / "v.bin",
        freeze_embeddings=True,
        hidden_size=4,
        steps=2,
        baseline_order=0,
    )

    kept = model.vectors()
    assert all((kept[word] == vectors[word]).all() for word in vectors.words)
