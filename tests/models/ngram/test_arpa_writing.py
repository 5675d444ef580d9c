"""Models come back from the ARPA files that are written of them, and others can read these."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.errors import ConfigError, ModelError
from lmgen.models.ngram.arpa import read_arpa, write_arpa
from lmgen.models.ngram.model import NgramModel
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.bytes import ByteTokenizer
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer
from lmgen.tokenizers.words import WordTokenizer
from tests.models.ngram.arpa_files import assert_same, fitted, log10, written

TEXT = "a rose is a rose\nis <unk> a <s> rose \\<s> \\ is\nthe the ▁ \u00ad é </s> don't!\n" * 3


def tokenizers() -> list[Tokenizer]:
    configs = [
        TokenizerConfig(tokenizer="char"),
        TokenizerConfig(tokenizer="char", lowercase=True, min_count=4),
        TokenizerConfig(tokenizer="byte"),
        TokenizerConfig(tokenizer="word"),
        TokenizerConfig(tokenizer="word", min_count=4, lowercase=True),
        TokenizerConfig(tokenizer="word", split_punctuation=True),
        TokenizerConfig(tokenizer="bpe", vocab_size=270),
    ]
    return [train_tokenizer(lambda: [TEXT], config) for config in configs]


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("tokenizer", tokenizers(), ids=lambda tokenizer: tokenizer.name)
def test_a_model_comes_back_with_its_tokenizer(tokenizer: Tokenizer, order: int, tmp_path: Path) -> None:
    model = fitted(tokenizer, TEXT, order)
    write_arpa(tmp_path / "model.arpa", model, tokenizer)
    again, its_tokenizer = read_arpa(tmp_path / "model.arpa")

    assert its_tokenizer.to_json() == tokenizer.to_json()
    assert_same(model, again)
    assert again.notes == ()


@settings(max_examples=40, deadline=None)
@given(
    lines=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=12),
    order=st.integers(1, 6),
    kind=st.sampled_from(["char", "word", "split", "byte"]),
)
def test_any_text_makes_a_model_that_comes_back(
    lines: list[str], order: int, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = "\n".join([*lines, "a"]).replace("\0", "0") + "\n"
    config = TokenizerConfig(tokenizer="word" if kind == "split" else kind, split_punctuation=kind == "split")
    tokenizer = train_tokenizer(lambda: [text], config)
    model = fitted(tokenizer, text, order, prune=[0, 1][:order])
    path = tmp_path_factory.mktemp("arpa") / "model.arpa"
    write_arpa(path, model, tokenizer)
    again, its_tokenizer = read_arpa(path)

    assert its_tokenizer.to_json() == tokenizer.to_json()
    ids = tokenizer.encode(text)[:, None]
    assert np.array_equal(model.score(model.start(1), ids)[0], again.score(again.start(1), ids)[0])


def test_the_file_has_the_form_that_lmplz_writes(tmp_path: Path) -> None:
    tokenizer = WordTokenizer(["a"])
    assert write_arpa(tmp_path / "model.arpa", fitted(tokenizer, "a a\n", 2), tokenizer) == (4, 3)
    left = "-0.301029996"

    assert (tmp_path / "model.arpa").read_text() == (
        '# lmgen {"tokenizer":"word","lowercase":false,"split_punctuation":false}\n'
        "\\data\\\nngram 1=4\nngram 2=3\n\n"
        "\\1-grams:\n-0.77815126\t<unk>\t0\n-0.477121263\t</s>\t0\n"
        f"-0.301029996\ta\t{left}\n0\t<s>\t{left}\n\n"
        "\\2-grams:\n-0.380211239\ta </s>\n-0.301029996\ta a\n-0.124938743\t<s> a\n\n\\end\\\n"
    )


def test_special_words_in_a_text_are_not_the_special_ones(tmp_path: Path) -> None:
    tokenizer = WordTokenizer(["<s>", "</s>", "<unk>", "\\<s>", "\\x"])
    model = fitted(tokenizer, "<s> </s> <unk> \\<s> \\x\n", 1)
    write_arpa(tmp_path / "model.arpa", model, tokenizer)
    text = (tmp_path / "model.arpa").read_text()

    for word in ("\\<s>", "\\</s>", "\\<unk>", "\\\\<s>", "\\x", "<s>", "</s>", "<unk>"):
        assert text.count(f"\t{word}\n") == 1
    assert read_arpa(tmp_path / "model.arpa")[1].to_json() == tokenizer.to_json()


def test_a_gz_name_is_compressed_and_always_the_same(tmp_path: Path) -> None:
    tokenizer = ByteTokenizer()
    model = fitted(tokenizer, TEXT, 3)
    for name in ("model.arpa", "model.arpa.gz", "again.arpa.gz"):
        write_arpa(tmp_path / name, model, tokenizer)

    compressed = (tmp_path / "model.arpa.gz").read_bytes()
    assert gzip.decompress(compressed) == (tmp_path / "model.arpa").read_bytes()
    assert compressed == (tmp_path / "again.arpa.gz").read_bytes()


def test_other_compressions_are_not_written(tmp_path: Path) -> None:
    tokenizer = ByteTokenizer()
    with pytest.raises(ConfigError, match=r"only \.gz can be written"):
        write_arpa(tmp_path / "model.arpa.xz", fitted(tokenizer, TEXT, 2), tokenizer)


def test_empty_highest_orders_are_left_out(tmp_path: Path) -> None:
    tokenizer = CharacterTokenizer("ab")
    model = fitted(tokenizer, "ab", 9)
    assert write_arpa(tmp_path / "model.arpa", model, tokenizer) == (5, 2, 1)
    again, _ = read_arpa(tmp_path / "model.arpa")

    assert again.order == 3
    assert log10(again, tokenizer, "abab") == log10(model, tokenizer, "abab")


def test_a_model_of_other_sentences_than_its_tokenizer_s_is_refused(tmp_path: Path) -> None:
    model = NgramModel.fit(np.array([1, 2]), order=2, vocabulary_size=3, sentence_end=2)
    with pytest.raises(ModelError, match="ends its sentences otherwise"):
        write_arpa(tmp_path / "model.arpa", model, CharacterTokenizer("ab"))
    assert list(tmp_path.iterdir()) == []


def test_a_changed_vocabulary_of_bytes_is_refused(tmp_path: Path) -> None:
    tokenizer = ByteTokenizer()
    path = tmp_path / "model.arpa"
    write_arpa(path, fitted(tokenizer, "ab", 1), tokenizer)
    written(tmp_path, path.read_text().replace("\ta\n", "\tä\n"))

    with pytest.raises(ModelError, match="not the tokens of its byte tokenizer"):
        read_arpa(path)
