"""ARPA files of others, in all the ways that they write them, are read for what they say."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lmgen.errors import ConfigError, ModelError
from lmgen.models.model_file import load_model, save_model
from lmgen.models.ngram.arpa import read_arpa, write_arpa
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.reading import ReadingTokenizer
from lmgen.tokenizers.words import WordTokenizer
from tests.models.ngram.arpa_files import SMALL, assert_same, fitted, log10, written

REFERENCE = Path(__file__).parents[3].parent / "shared" / "reference"


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
        lambda text: text.replace("<s>", "<S>"),
        lambda text: text.replace("<unk>", "<UNK>").replace("<s>", "<S>").replace("</s>", "</S>"),
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


@pytest.mark.parametrize(("mark", "unknown"), [("", [True, False]), ("-1.5\t<unk>\t0\n", [False, False])])
def test_unk_in_a_text_is_unknown_to_a_closed_vocabulary(
    mark: str, unknown: list[bool], tmp_path: Path
) -> None:
    """Perplexity without unknown words, which SRILM prints, has no log10 probability of -100 in it."""
    text = SMALL.replace("-1.5\t<unk>\t0\n", mark).replace("ngram 1=5", f"ngram 1={4 + bool(mark)}")
    model, tokenizer = read_arpa(written(tmp_path, text))
    save_model(tmp_path / "m.safetensors", model, tokenizer)
    saved = load_model(tmp_path / "m.safetensors").tokenizer
    write_arpa(tmp_path / "again.arpa", model, tokenizer)

    for each in (tokenizer, saved, read_arpa(tmp_path / "again.arpa")[1]):
        assert each.unknown_among("<unk> b", each.encode("<unk> b")).tolist() == unknown


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


def test_marks_in_capitals_are_the_marks_of_a_text_too(tmp_path: Path) -> None:
    capitals = SMALL.replace("<unk>", "<UNK>").replace("<s>", "<S>").replace("</s>", "</S>")
    model, tokenizer = read_arpa(written(tmp_path, capitals))
    text = "<S> a <UNK> zebra </S>\n"
    ids = tokenizer.encode(text)

    expected = log10(model, tokenizer, "a zebra zebra\n")
    assert log10(model, tokenizer, text) == log10(model, tokenizer, text.lower()) == expected
    assert tokenizer.unknown_among(text, ids).tolist() == [False, False, True, False]
    write_arpa(tmp_path / "again.arpa", model, tokenizer)
    again, its_tokenizer = read_arpa(tmp_path / "again.arpa")
    assert its_tokenizer.to_json() == tokenizer.to_json()
    assert_same(model, again)


def test_capitals_beside_the_marks_are_words(tmp_path: Path) -> None:
    _, tokenizer = read_arpa(written(tmp_path, SMALL.replace("b", "<S>")))

    assert isinstance(tokenizer, WordTokenizer)
    assert tokenizer.words == ["a", "<S>"]


@pytest.mark.parametrize("word", ["x\u3000y", "\xa0", "x\u2028", "\x85x", "x\x1fy", "<eos>"])
def test_words_are_separated_by_ascii_white_space_alone(word: str, tmp_path: Path) -> None:
    model, tokenizer = read_arpa(written(tmp_path, SMALL.replace("b", word)))
    expected, letters = read_arpa(written(tmp_path, SMALL, "letters.arpa"))

    assert isinstance(tokenizer, WordTokenizer)
    assert tokenizer.words == ["a", word]
    text = f"a\t{word}\x0b {word}\r\nzebra {word}\n"
    assert log10(model, tokenizer, text) == log10(expected, letters, "a b b\nzebra b\n")
    save_model(tmp_path / "model.safetensors", model, tokenizer)
    loaded = load_model(tmp_path / "model.safetensors")
    assert_same(model, loaded.model)  # type: ignore[arg-type]
    assert loaded.tokenizer.to_json() == tokenizer.to_json()
    write_arpa(tmp_path / "again.arpa", model, tokenizer)
    again, its_tokenizer = read_arpa(tmp_path / "again.arpa")
    assert its_tokenizer.to_json() == tokenizer.to_json()
    assert_same(model, again)


def test_characters_of_another_program_are_read_as_characters(tmp_path: Path) -> None:
    text = SMALL.replace("b", "▁")
    model, tokenizer = read_arpa(written(tmp_path, text), "char")

    assert isinstance(tokenizer, ReadingTokenizer)
    assert isinstance(tokenizer.inner, CharacterTokenizer)
    assert tokenizer.inner.characters == "\n a"
    assert (tokenizer.unit, model.sentence_end) == ("line", 1)
    assert log10(model, tokenizer, "a \n") == pytest.approx([-0.25, -0.0625, -0.03125 - 0.125])
    assert model.notes == ()


@pytest.mark.parametrize("blank", ["|", "_", "<space>", "<SPACE>", "▁", "␣"])
@pytest.mark.parametrize("asked", ["char", None])
def test_the_blank_of_a_character_model_is_found(blank: str, asked: str | None, tmp_path: Path) -> None:
    model, tokenizer = read_arpa(written(tmp_path, SMALL.replace("b", blank)), asked)

    assert tokenizer.name == "char"
    assert log10(model, tokenizer, "a \n ") == pytest.approx([-0.25, -0.0625, -0.03125 - 0.125, -0.5 - 1])
    assert len(model.notes) == (asked is None or blank != "▁")
    text = f"a{blank[:1]}"
    assert tokenizer.unknown_among(text, tokenizer.encode(text)).tolist() == [False, True]
    write_arpa(tmp_path / "again.arpa", model, tokenizer)
    again, its_tokenizer = read_arpa(tmp_path / "again.arpa")
    assert its_tokenizer.to_json() == tokenizer.to_json()
    assert_same(model, again)


def test_a_blank_may_be_named(tmp_path: Path) -> None:
    model, tokenizer = read_arpa(written(tmp_path, SMALL), blank="b")

    assert log10(model, tokenizer, "a ") == pytest.approx([-0.25, -0.0625])
    assert tokenizer.encode("b").tolist() == [0]
    with pytest.raises(ConfigError, match="--blank is '#', but the file has no such word"):
        read_arpa(tmp_path / "model.arpa", blank="#")
    with pytest.raises(ConfigError, match="--blank is for models of characters"):
        read_arpa(tmp_path / "model.arpa", "word", "b")


@pytest.mark.parametrize("changed", [SMALL, SMALL.replace("-1\tb", "-6\tb").replace("b", "|")])
def test_words_of_one_letter_are_words_where_no_blank_is_clear(changed: str, tmp_path: Path) -> None:
    path = written(tmp_path, changed)

    assert read_arpa(path)[1].name == "word"
    model, tokenizer = read_arpa(path, "char")
    assert tokenizer.name == "char"
    assert model.notes == ("no word is clearly the blank, which is unknown then; --blank says which one is",)


def test_names_in_brackets_are_no_characters(tmp_path: Path) -> None:
    plain = SMALL.replace("b", "|")
    text = plain.replace("-1.5\t<unk>", "-2\t<noise>\t-0.5\n-1.5\t<unk>")
    text = text.replace("-0.375\ta a", "-0.375\t<noise> a\t0\n-0.375\ta a")
    text = text.replace("ngram 1=5", "ngram 1=6").replace("ngram 2=4", "ngram 2=5")
    model, tokenizer = read_arpa(written(tmp_path, text))
    expected, _ = read_arpa(written(tmp_path, plain))

    assert tokenizer.name == "char"
    assert_same(model, expected)
    assert "<noise>: no character, so no text has it, and it is left out" in model.notes


def test_what_is_not_printable_in_a_name_is_escaped_in_the_notes_that_are_saved(tmp_path: Path) -> None:
    text = SMALL.replace("b", "|").replace("-1.5\t<unk>", "-2\t<no\u200bise>\t-0.5\n-1.5\t<unk>")
    model, tokenizer = read_arpa(written(tmp_path, text.replace("ngram 1=5", "ngram 1=6")))
    save_model(tmp_path / "m.safetensors", model, tokenizer, {})

    notes = load_model(tmp_path / "m.safetensors").model.notes  # type: ignore[attr-defined]
    assert r"<no\u200bise>: no character, so no text has it, and it is left out" in notes


def test_a_character_model_with_line_ends_in_it_is_one_of_documents(tmp_path: Path) -> None:
    model, tokenizer = read_arpa(written(tmp_path, SMALL.replace("b", r"\n")), "char")

    assert isinstance(tokenizer, CharacterTokenizer)
    assert model.sentence_end is None
    assert log10(model, tokenizer, "a\n") == pytest.approx([-0.25, -0.0625])


def test_words_are_not_characters(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'bee' is not one character; leave out --tokenizer char"):
        read_arpa(written(tmp_path, SMALL.replace("b", "bee")), "char")


def test_other_tokenizers_cannot_be_made_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="read by word or char"):
        read_arpa(written(tmp_path, SMALL), "bpe")
