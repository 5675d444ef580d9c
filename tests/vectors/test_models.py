"""The embeddings of models as word vectors."""

from pathlib import Path

import numpy as np
import pytest

import lmgen
from lmgen.errors import CorpusError, ModelError
from lmgen.models.model_file import load_labels
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.words import WordTokenizer
from lmgen.vectors.models import vectors_of
from tests.cli.tiny_model import save_bigram_model, save_label_model


def network(tokenizer: Tokenizer, embedding_size: int = 4) -> RecurrentModel:
    config = NetworkConfig(hidden_size=3, embedding_size=embedding_size)
    V = tokenizer.vocabulary_size
    return RecurrentModel(config, V, tokenizer.start, initial_parameters(config, V, None, 0))


def test_words_have_their_rows_of_the_embedding(tmp_path: Path) -> None:
    tokenizer = WordTokenizer(["the", "cat"])
    save_bigram_model(tmp_path / "m.safetensors", tokenizer, np.zeros((4, 4)))
    vectors = lmgen.load_vectors(tmp_path / "m.safetensors")

    assert vectors.words == ["<unk>", "</s>", "the", "cat"]
    assert vectors.matrix.tolist() == np.eye(4).tolist()
    assert lmgen.load(tmp_path / "m.safetensors").vectors().words == vectors.words


def test_a_mark_has_the_vector_of_its_most_frequent_spelling() -> None:
    """A tab says where a mark touches a word (tokenizers/words.py)."""
    tokenizer = WordTokenizer(["(\t", "a", "\t(", "("], split_punctuation=True)
    model = network(tokenizer)
    vectors = vectors_of(model, tokenizer, "model")

    assert vectors.words == ["<unk>", "</s>", "(", "a"]
    assert (vectors["("] == model.parameters["embedding"][2]).all()


def test_other_tokens_are_spelled_as_pieces() -> None:
    tokenizer = CharacterTokenizer("\n ab")

    assert vectors_of(network(tokenizer), tokenizer, "model").words == ["<unk>", r"\n", "▁", "a", "b"]


def test_models_without_an_embedding_are_refused(tmp_path: Path) -> None:
    tokenizer = CharacterTokenizer("\n ab")
    with pytest.raises(ModelError, match=r"model reads one-hot vectors"):
        vectors_of(network(tokenizer, 0), tokenizer, "model")
    (tmp_path / "text.txt").write_text("a b c\n" * 20)
    lmgen.fit_ngram(tmp_path / "text.txt", order=2, out=tmp_path / "n.safetensors")
    with pytest.raises(ModelError, match=r"n\.safetensors \(ngram-2\) has no word vectors: name a network"):
        lmgen.load_vectors(tmp_path / "n.safetensors")


def test_a_model_that_labels_texts_has_an_embedding_too(tmp_path: Path) -> None:
    path = save_label_model(tmp_path / "labels.safetensors", "last")
    saved = load_labels(path)
    [letter] = saved.tokenizer.encode("y")

    np.testing.assert_array_equal(
        lmgen.load_vectors(path)["y"], saved.model.parameters["embedding"][letter], strict=True
    )


def test_a_file_without_a_word_in_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes(b"1 2\n\xff 0.1 0.2\n")

    with pytest.raises(CorpusError, match=r"v\.txt has no word whose bytes are UTF-8"):
        lmgen.load_vectors(tmp_path / "v.txt")
