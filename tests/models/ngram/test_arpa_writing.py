"""Models come back from the ARPA files that are written of them, and others can read these."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.errors import ConfigError, ModelError
from lmgen.models.ngram.arpa import read_arpa, write_arpa
from lmgen.models.ngram.model import NgramModel
from lmgen.text.config import ReadingConfig
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.bytes import ByteTokenizer
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer
from lmgen.tokenizers.words import NOTHING, WordTokenizer
from tests.models.ngram.arpa_files import assert_same, fitted, log10, log10_by_definition, written

TEXT = "a rose is a rose\nis <unk> a <s> rose \\<s> \\ is\nthe the ▁ \u00ad é </s> don't!\n" * 3


def tokenizers() -> list[Tokenizer]:
    configs = [
        TokenizerConfig(tokenizer="char"),
        TokenizerConfig(tokenizer="char", lowercase=True, min_count=4),
        TokenizerConfig(tokenizer="byte"),
        TokenizerConfig(tokenizer="word"),
        TokenizerConfig(tokenizer="word", min_count=4, lowercase=True),
        TokenizerConfig(tokenizer="word", split_punctuation=True),
        TokenizerConfig(tokenizer="word", literal_marks=True),
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


UNITS = {
    "document": TEXT,
    "line": TEXT,
    "record": ("a rose\nis \\n a \\\\n <unk> rose" + UNIT_END + "is </s>\n\n\\n n" + UNIT_END) * 3,
}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", ["char", "byte", "word", "split", "bpe"])
def test_a_model_of_units_comes_back_with_their_ends(name: str, unit: str, tmp_path: Path) -> None:
    text = UNITS[unit]
    config = TokenizerConfig(
        tokenizer="word" if name == "split" else name,
        split_punctuation=name == "split",
        vocab_size=270 if name == "bpe" else None,
    )
    tokenizer = train_tokenizer(lambda: [text], config, ReadingConfig(unit=unit, normalize="nfc"))
    model = fitted(tokenizer, text, 3)
    path = tmp_path / "model.arpa"
    write_arpa(path, model, tokenizer)
    again, its_tokenizer = read_arpa(path)

    assert its_tokenizer.to_json() == tokenizer.to_json()
    assert_same(model, again)
    assert again.notes == ()
    [end] = [line for line in path.read_text().split("\n") if re.fullmatch(r"\S+\t</s>(\t\S+)?", line)]
    assert end.startswith("-99") == (model.sentence_end is None)


@pytest.mark.parametrize("name", ["char", "word"])
def test_tokens_after_the_end_of_a_record_come_back(name: str, tmp_path: Path) -> None:
    config = TokenizerConfig(tokenizer=name)
    old = train_tokenizer(lambda: ["a b" + UNIT_END], config, ReadingConfig(unit="record"))
    tokenizer = old.extended(["z", "c"])
    text = "a z" + UNIT_END + "c b\na" + UNIT_END
    model = fitted(tokenizer, text, 2)
    write_arpa(tmp_path / "model.arpa", model, tokenizer)
    again, its_tokenizer = read_arpa(tmp_path / "model.arpa")

    assert tokenizer.end == old.end == its_tokenizer.end
    assert its_tokenizer.to_json() == tokenizer.to_json()
    assert_same(model, again)


def test_lines_of_a_text_without_a_line_end_end_in_a_token_of_their_own(tmp_path: Path) -> None:
    reading = ReadingConfig(unit="line")
    tokenizer = train_tokenizer(lambda: ["abba"], TokenizerConfig(tokenizer="char"), reading)
    model = NgramModel.fit(
        np.concatenate([*tokenizer.encode_stream(["abba"])]),
        order=2,
        vocabulary_size=tokenizer.vocabulary_size,
        sentence_end=tokenizer.sentence_end,
    )
    write_arpa(tmp_path / "model.arpa", model, tokenizer)
    again, its_tokenizer = read_arpa(tmp_path / "model.arpa")

    assert its_tokenizer.to_json() == tokenizer.to_json()
    assert_same(model, again)


WORDS = st.sampled_from(["<unk>", "<s>", "</s>", "<eos>", "a", "b", "rose", "\\<unk>", "<UNK>", "\u00ad"])
LINES = st.lists(st.lists(WORDS, max_size=6), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(train=LINES, scored=LINES, order=st.integers(1, 4), min_count=st.integers(1, 2))
def test_a_line_costs_the_same_here_and_by_the_definition_of_the_file(
    train: list[list[str]],
    scored: list[list[str]],
    order: int,
    min_count: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Sentence marks are boundaries, and unknown words and <unk> are one token."""
    text = "\n".join(" ".join(line) for line in [*train, ["a", "a"]]) + "\n"
    tokenizer = train_tokenizer(lambda: [text], TokenizerConfig(tokenizer="word", min_count=min_count))
    model = fitted(tokenizer, text, order)
    path = tmp_path_factory.mktemp("arpa") / "model.arpa"
    write_arpa(path, model, tokenizer)
    again, its_tokenizer = read_arpa(path)
    lines = path.read_text()
    path.write_text(lines[lines.index("\\data\\") :])  # no longer a file of lmgen
    foreign, foreign_tokenizer = read_arpa(path, "word")

    assert np.exp(model.predict(model.start(1)).astype(float)).sum() == pytest.approx(1, abs=1e-5)
    for line in scored:
        words = [word for word in line if word not in ("<s>", "</s>")]
        while words[-1:] == ["<eos>"]:
            words.pop()
        ours = log10(model, tokenizer, " ".join(line) + "\n")
        assert ours == log10(again, its_tokenizer, " ".join(line) + "\n")
        spelled = ["\\\\<unk>" if word == "\\<unk>" else word for word in words]
        assert log10_by_definition(path, spelled) == pytest.approx(sum(ours), abs=1e-4)
        theirs = log10(foreign, foreign_tokenizer, " ".join(spelled) + "\n")
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_the_file_has_the_form_that_lmplz_writes(tmp_path: Path) -> None:
    tokenizer = WordTokenizer(["a"])
    assert write_arpa(tmp_path / "model.arpa", fitted(tokenizer, "a a\n", 2), tokenizer) == (4, 3)
    left = "-0.301029996"

    assert (tmp_path / "model.arpa").read_text() == (
        '# lmgen {"tokenizer":"word","lowercase":false,"split_punctuation":false,"literal_marks":false}\n'
        "\\data\\\nngram 1=4\nngram 2=3\n\n"
        "\\1-grams:\n-0.77815126\t<unk>\t0\n-0.477121263\t</s>\t0\n"
        f"-0.301029996\ta\t{left}\n0\t<s>\t{left}\n\n"
        "\\2-grams:\n-0.380211239\ta </s>\n-0.301029996\ta a\n-0.124938743\t<s> a\n\n\\end\\\n"
    )


def test_special_words_of_a_first_version_are_not_the_special_ones(tmp_path: Path) -> None:
    tokenizer = WordTokenizer(["<s>", "</s>", "<unk>", "\\<s>", "\\x"], reserved=NOTHING)
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
