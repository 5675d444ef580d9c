r"""ARPA files: what others write is read, what is written they can read, and nothing wrong passes."""

import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.models.arpa import read_arpa, write_arpa
from lmgen.models.model_file import load_model, save_model
from lmgen.models.ngram import NgramModel
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.bytes import ByteTokenizer
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer
from lmgen.tokenizers.words import WordTokenizer

REFERENCE = Path(__file__).parents[2].parent / "shared" / "reference"

SMALL = """\\data\\
ngram 1=5
ngram 2=4
ngram 3=2

\\1-grams:
-1.5\t<unk>\t0
0\t<s>\t-0.5
-0.75\t</s>\t0
-0.5\ta\t-0.25
-1\tb\t-0.125

\\2-grams:
-0.25\t<s> a\t-0.0625
-0.5\ta b\t-0.03125
-0.375\ta a\t0
-0.125\tb </s>\t0

\\3-grams:
-0.0625\t<s> a b
-0.1875\ta a b

\\end\\
"""


def written(folder: Path, text: str | bytes, name: str = "model.arpa") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def log10(model: NgramModel, tokenizer: Tokenizer, text: str) -> list[float]:
    """log10 of the probability of each token of a text."""
    [ids] = [tokenizer.encode(text)]
    scores, _ = model.score(model.start(1), ids[:, None])
    return (scores[:, 0].astype(float) / np.log(10)).tolist()  # type: ignore[no-any-return]


def assert_same(model: NgramModel, again: NgramModel) -> None:
    assert again.order == model.order
    assert again.sentence_end == model.sentence_end
    for ours, theirs in zip(model.tables, again.tables, strict=True):
        assert np.array_equal(ours.keys, theirs.keys)
        assert np.array_equal(ours.log_probs, theirs.log_probs)
        assert np.array_equal(ours.backoffs, theirs.backoffs)


def fitted(tokenizer: Tokenizer, text: str, order: int, **settings: Any) -> NgramModel:
    return NgramModel.fit(
        tokenizer.encode(text),
        order=order,
        vocabulary_size=tokenizer.vocabulary_size,
        sentence_end=tokenizer.line_end if tokenizer.reads_lines else None,
        **settings,
    )


# Reading


def test_scores_are_those_that_the_file_gives(tmp_path: Path) -> None:
    model, tokenizer = read_arpa(written(tmp_path, SMALL))

    assert isinstance(tokenizer, WordTokenizer)
    assert tokenizer.words == ["a", "b"]
    assert (model.order, model.counts, model.sentence_end) == (3, (5, 4, 2), 1)
    assert model.notes == ()
    assert log10(model, tokenizer, "a b\nb zebra a\n") == pytest.approx(
        [
            -0.25,  # <s> a
            -0.0625,  # <s> a b
            -0.03125 - 0.125,  # a b, then b </s>
            -0.5 - 1,  # <s>, then b
            -0.125 - 1.5,  # b, then <unk>
            -0.5,  # after <unk>: a
            -0.25 - 0.75,  # a, then </s>
        ]
    )


def test_a_model_of_order_1_is_read(tmp_path: Path) -> None:
    text = "\\data\\\nngram 1=3\n\n\\1-grams:\n-0.5\t<unk>\n-0.25\t</s>\n-1\ta\n\n\\end\\\n"
    model, tokenizer = read_arpa(written(tmp_path, text))

    assert model.order == 1
    assert log10(model, tokenizer, "a b\n") == pytest.approx([-1, -0.5, -0.25])


def test_the_reference_of_kenlm_is_read_and_our_own_model_written_the_same(tmp_path: Path) -> None:
    path = REFERENCE / "toy.order2.arpa"
    if not path.exists():
        pytest.skip("needs the folder shared/reference beside the repository")
    theirs, tokenizer = read_arpa(path)
    text = json.loads((REFERENCE / "ngram-reference.json").read_text())["toy"]["train"]
    text += "" if text.endswith("\n") else "\n"
    write_arpa(tmp_path / "ours.arpa", fitted(tokenizer, text, 2), tokenizer)

    def entries(file: Path) -> dict[str, tuple[float, ...]]:
        lines = [line.split("\t") for line in file.read_text().splitlines() if "\t" in line]
        return {ngram: (float(log_prob), *map(float, rest)) for log_prob, ngram, *rest in lines}

    ours, expected = entries(tmp_path / "ours.arpa"), entries(path)
    assert set(ours) == set(expected)
    for ngram, numbers in expected.items():
        assert ours[ngram] == pytest.approx(numbers, abs=1e-6), ngram
    assert theirs.counts == (13, 23)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\t", " "),
        lambda text: text.replace("\t", "   "),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\t0\n", "\n"),
        lambda text: "Made by hand.\n# and with care\n\n" + text,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("ngram 1=5", "ngram  1=        5"),
        lambda text: text.replace("0\t<s>", "-99\t<s>"),
        lambda text: text.replace("a a b\n", "a a b\t0\n"),
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.replace("\n\n", "\n\n\n \n"),
        lambda text: text.replace("-0.5\ta b", "\n-0.5\ta b"),
        lambda text: text.replace("<unk>", "<UNK>"),
        lambda text: text.removesuffix("\n"),
        lambda text: text + "\n\n",
    ],
)
def test_the_ways_in_which_toolkits_write_the_same_model(
    change: Callable[[str], str], tmp_path: Path
) -> None:
    model, _ = read_arpa(written(tmp_path, SMALL))
    again, _ = read_arpa(written(tmp_path, change(SMALL), "other.arpa"))

    assert_same(model, again)
    assert again.notes == ()


def test_the_order_of_lines_does_not_matter(tmp_path: Path) -> None:
    lines = SMALL.split("\n")
    lines[13:17] = reversed(lines[13:17])
    model, _ = read_arpa(written(tmp_path, SMALL))
    again, _ = read_arpa(written(tmp_path, "\n".join(lines), "other.arpa"))

    assert_same(model, again)


def test_compressed_files_are_read(tmp_path: Path) -> None:
    model, _ = read_arpa(written(tmp_path, SMALL))
    again, _ = read_arpa(written(tmp_path, gzip.compress(SMALL.encode()), "model.arpa.gz"))

    assert_same(model, again)


def test_blocks_may_be_cut_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = read_arpa(written(tmp_path, SMALL))
    for size in (1, 2, 7, 50):
        monkeypatch.setattr("lmgen.text.raw.BLOCK_BYTES", size)
        assert_same(model, read_arpa(tmp_path / "model.arpa")[0])


def test_a_closed_vocabulary_gives_unknown_words_what_kenlm_gives(tmp_path: Path) -> None:
    text = SMALL.replace("-1.5\t<unk>\t0\n", "").replace("ngram 1=5", "ngram 1=4")
    model, tokenizer = read_arpa(written(tmp_path, text))

    assert log10(model, tokenizer, "b zebra") == pytest.approx([-1.5, -0.125 - 100])
    assert model.notes == ("the file has no <unk>, which gets a log10 probability of -100",)


def test_a_file_without_sentence_marks_is_read_with_notes(tmp_path: Path) -> None:
    text = "\\data\\\nngram 1=2\n\\1-grams:\n-0.5\t<unk>\n-0.25\ta\n\\end\\\n"
    model, tokenizer = read_arpa(written(tmp_path, text))

    assert log10(model, tokenizer, "a\n") == pytest.approx([-0.25, -100])
    assert model.notes == (
        "the file has no </s>, which gets a log10 probability of -100",
        "the file has no <s>: a text begins without context",
    )


def test_minus_infinity_is_srilm_s_zero(tmp_path: Path) -> None:
    model, tokenizer = read_arpa(written(tmp_path, SMALL.replace("-1\tb", "-inf\tb")))

    assert log10(model, tokenizer, "b") == pytest.approx([-99.5])


def test_a_missing_context_is_added_without_changing_a_score(tmp_path: Path) -> None:
    """SRILM's pruning may take `a a` and leave `a a b`."""
    text = SMALL.replace("-0.375\ta a\t0\n", "").replace("ngram 2=4", "ngram 2=3")
    model, tokenizer = read_arpa(written(tmp_path, text))

    assert model.notes == ("1 contexts that the file lacks are added, with what backing off gives them",)
    assert log10(model, tokenizer, "b a a b") == pytest.approx(
        [-1.5, -0.125 - 0.5, -0.25 - 0.5, -0.1875], rel=1e-6
    )


def test_missing_contexts_of_missing_contexts_are_added(tmp_path: Path) -> None:
    text = (
        "\\data\\\nngram 1=4\nngram 2=0\nngram 3=0\nngram 4=1\n\n\\1-grams:\n-1\t<unk>\n0\t<s>\n-1\t</s>\n"
        "-0.5\ta\t-0.25\n\n\\2-grams:\n\n\\3-grams:\n\n\\4-grams:\n-0.125\ta a a a\n\n\\end\\\n"
    )
    model, tokenizer = read_arpa(written(tmp_path, text))

    assert model.counts == (4, 1, 1, 1)
    assert log10(model, tokenizer, "a a a a a") == pytest.approx([-0.5, -0.75, -0.75, -0.125, -0.125])


def test_ngrams_that_cannot_be_asked_for_are_left_out(tmp_path: Path) -> None:
    """IRSTLM lists `<s> <s>`."""
    text = SMALL.replace("\\2-grams:\n", "\\2-grams:\n-2\t<s> <s>\t0\n").replace("ngram 2=4", "ngram 2=5")
    model, _ = read_arpa(written(tmp_path, text))

    assert model.counts == (5, 4, 2)
    [note] = model.notes
    assert note.startswith("1 2-grams that no text asks for")


def test_words_with_other_white_space_are_escaped(tmp_path: Path) -> None:
    model, tokenizer = read_arpa(written(tmp_path, SMALL.replace("b", "x\u3000y")))

    assert isinstance(tokenizer, WordTokenizer)
    assert tokenizer.words == ["a", r"x\u3000y"]
    save_model(tmp_path / "model.safetensors", model, tokenizer)
    assert_same(model, load_model(tmp_path / "model.safetensors").model)  # type: ignore[arg-type]


def test_characters_of_another_program_are_read_as_characters(tmp_path: Path) -> None:
    text = SMALL.replace("b", "▁")
    model, tokenizer = read_arpa(written(tmp_path, text), "char")

    assert isinstance(tokenizer, CharacterTokenizer)
    assert tokenizer.characters == " a"
    assert model.sentence_end is None
    assert log10(model, tokenizer, "a ") == pytest.approx([-0.25, -0.0625])


def test_words_are_not_characters(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'bee' is not one character; leave out --tokenizer char"):
        read_arpa(written(tmp_path, SMALL.replace("b", "bee")), "char")


def test_other_tokenizers_cannot_be_made_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="read by word or char"):
        read_arpa(written(tmp_path, SMALL), "bpe")


# What is wrong with a file


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x1f\x8b\x08" + bytes(20), "it looks like gzip; give it a name that ends in .gz"),
        (b"BZh91AY&SY", "it looks like bzip2"),
        (b"mmap lm some address format version 5\n\0" + bytes(99), "a binary of KenLM's build_binary"),
        (b"SRILM_BINARY_NGRAM_002\n", "a binary of SRILM"),
        (b"blmt 3 100 100\n", "a binary of IRSTLM"),
        (b"iARPA\n\n\\data\\\nngram 1=2\n", "an IRSTLM iARPA file"),
        (b"qARPA 3\n256 256\n\\data\\\n", "a quantized IRSTLM file"),
        (b"\n<!DOCTYPE HTML>\n<html><body>Not found</body>", "it is an HTML page"),
        (b"<HTML>", "it is an HTML page"),
        (b'\x10\0\0\0\0\0\0\0{"__metadata__"', "it is a .safetensors file; use it as a MODEL"),
        ("once upon a time\n" * 9, r"no line in it is \\data\\"),
        (SMALL.encode("utf-16"), "it looks like UTF-16"),
    ],
)
def test_a_file_of_another_kind_is_named(content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read_arpa(written(tmp_path, content))
    assert str(tmp_path / "model.arpa") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ngram 2=4", "ngram 2=5", "line 19: there are 4 2-grams above, but .* announces 5"),
        ("ngram 2=4", "ngram 2=3", "line 19: there are 4 2-grams above, but .* announces 3"),
        ("ngram 2=4", "ngram 2=four", "line 3: 'ngram 2=four' stands where the numbers of n-grams should"),
        ("ngram 2=4\n", "", "line 3: the number of 3-grams, where that of 2-grams should be"),
        ("ngram 3=2\n", "", r"line 18: '.*3-grams:' stands where \\end\\ should"),
        ("ngram 3=2", "ngram 3=2\nngram 4=1", r"line 24: '.*end.*' stands where \\4-grams: should"),
        ("\\2-grams:", "\\3-grams:", r"line 13: '.*3-grams:' stands where \\2-grams: should"),
        ("-1\tb", "-1,0\tb", "line 11: '-1,0' is not a number"),
        ("-0.375\ta a\t0", "-0.375\ta a\tzero", "line 16: 'zero' is not a number"),
        ("-0.375\ta a\t0", "nan\ta a\t0", "line 16: 'nan' is not a number"),
        ("-0.375\ta a\t0", "-0.375\ta a\tnan", "line 16: 'nan' is not a number"),
        ("-0.375\ta a\t0", "-0.375\ta a\tinf", "line 16: 'inf' is no backoff"),
        ("-0.375\ta a\t0", "0.1\ta a\t0", "line 16: '0.1' is a probability above 1"),
        ("-0.375\ta a\t0", "-0.375\ta\t0", "line 16: the word '0' is not among the 1-grams"),
        ("-0.375\ta a\t0", "-0.375\ta\t", "line 16: '-0.375.*a' has 2 columns, where a 2-gram has 3, or 4"),
        ("-0.375\ta a\t0", "-0.375\ta a\t0\t0", "line 16: .* has 5 columns"),
        ("-0.375\ta a\t0", "-0.375\ta c\t0", "line 16: the word 'c' is not among the 1-grams"),
        ("-0.375\ta a\t0", "-0.375\ta b\t0", "line 16: the 2-gram of line 15 is there a second time"),
        ("-1\tb", "-1\ta", "line 11: the 1-gram 'a' is there a second time"),
        ("-1\tb\t", "-1\t\0\t", "line 7: there is a NUL byte in or after it"),
        ("\n\\end\\\n", "", "line 21: it ends here, without .*: it is cut short"),
        ("-0.1875\ta a b\n\n\\end\\\n", "", "line 20: it ends in the 3-grams, after 1 of 2: it is cut short"),
        (" a b\n\n\\end\\\n", "", "line 21: it ends in the middle of this line: it is cut short"),
        (SMALL[SMALL.index("\n\\3") :], "", "line 17: it ends before the 3-grams: it is cut short"),
        (SMALL[SMALL.index("\nngram 1") :], "", "line 1: nothing says how many n-grams there are"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in SMALL
    with pytest.raises(ModelError, match=message) as caught:
        read_arpa(written(tmp_path, SMALL.replace(old, new, 1)))
    assert "\n" not in str(caught.value)


def test_an_endless_line_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmgen.models.arpa_text.LONGEST_LINE_BYTES", 2000)
    with pytest.raises(ModelError, match="line 2: this line is too long"):
        read_arpa(written(tmp_path, b"# comment\n" + b"x" * 10**7))


def test_columns_of_two_lines_that_make_up_for_each_other_are_not_mixed_up(tmp_path: Path) -> None:
    text = SMALL.replace("-0.5\ta b\t-0.03125", "-0.5\ta b a\t-0.03125").replace(
        "-0.375\ta a\t0", "-0.375\ta a"
    )
    with pytest.raises(ModelError, match=r"line 15: .* has 5 columns"):
        read_arpa(written(tmp_path, text))


def test_words_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"line 11: .* is not UTF-8"):
        read_arpa(written(tmp_path, SMALL.encode().replace(b"-1\tb", b"-1\t\xe9")))


def test_a_damaged_archive_and_a_missing_file_are_named(tmp_path: Path) -> None:
    cut = gzip.compress(SMALL.encode())[:-20]
    with pytest.raises(CorpusError, match="is damaged"):
        read_arpa(written(tmp_path, cut, "model.arpa.gz"))
    with pytest.raises(CorpusError, match="No such file"):
        read_arpa(tmp_path / "nothing.arpa")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = SMALL.encode()
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, len(raw)))
    raw = raw[:start] + data.draw(st.binary(max_size=4)) + raw[end:]
    path = written(tmp_path_factory.mktemp("damaged"), raw)
    with suppress(ModelError):
        model, _ = read_arpa(path)
        assert np.isfinite(model.predict(model.start(1))).all()


# Writing


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
