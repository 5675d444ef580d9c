"""A limit on the vocabulary, as lmplz has it: what the model is, to the digits that lmplz prints."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import lmgen
from lmgen.models.ngram.arpa import write_arpa
from lmgen.models.ngram.model import NgramModel
from lmgen.models.ngram.words import Words
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.words import WordTokenizer
from tests.process import lmgen as command

TEXT = """\
the cat sat on the mat
the dog sat on the log
a cat and a dog sat
the mat and the log
a dog ran
the cat ran on the log
"""

LISTED = "the cat sat on dog ran"

ENTRIES = {
    "<unk>": (-0.94817364, 0),
    "<s>": (0, -0.23408322),
    "</s>": (-0.74984336, 0),
    "the": (-0.87155604, -0.03778855),
    "cat": (-0.9392875, 0),
    "sat": (-0.9392875, -0.17609124),
    "on": (-0.9392875, -0.30103),
    "dog": (-0.9392875, -0.17609124),
    "ran": (-0.9392875, 0),
    "<s> the": (-0.30532926, -0.09597504),
    "on the": (-0.24625848, 0),
    "the cat": (-0.7241049, 0),
    "dog sat": (-0.3872134, 0),
    "sat on": (-0.3872134, -0.21935995),
    "sat on the": (-0.13145445,),
    "<s> the cat": (-0.4564234,),
}
"""What `lmplz -o 3 --prune 0 1 --limit_vocab_file LISTED --discount_fallback` makes of the text."""


def entries(arpa: Path) -> Mapping[str, tuple[float, ...]]:
    lines = [line.split("\t") for line in arpa.read_text().splitlines() if "\t" in line]
    return {words: (float(value), *map(float, rest)) for value, words, *rest in lines}


@pytest.mark.parametrize("memory", [1, None])
def test_every_number_is_that_of_lmplz(memory: int | None, tmp_path: Path) -> None:
    tokenizer = WordTokenizer.train(lambda: [TEXT], TokenizerConfig(tokenizer="word"))
    limited, kept = tokenizer.limited_to(set(LISTED.split()))
    model = NgramModel.fit(
        tokenizer.encode(TEXT),
        order=3,
        vocabulary_size=tokenizer.vocabulary_size,
        sentence_end=tokenizer.sentence_end,
        prune=[0, 1],
        words=Words.some_of(kept),
        memory=memory,
    )
    write_arpa(tmp_path / "m.arpa", model, limited)
    found = entries(tmp_path / "m.arpa")

    assert found.keys() == ENTRIES.keys()
    for words, numbers in ENTRIES.items():
        assert found[words] == pytest.approx(numbers, abs=2e-7), words
    after = np.exp(model.predict(model.start(1))[0].astype(float))
    assert after.sum() == pytest.approx(1, abs=1e-6)


def test_the_command_has_the_flag(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "list.txt").write_text(f"{LISTED}\nnowhere")
    flags = ("--tokenizer", "word", "--order", "3", "--prune", "0,1", "--limit-vocab-file", "list.txt")
    result = command("ngram", "text.txt", *flags, "--valid", "text.txt", "--out", "m", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert command("export", "m", "--to", "arpa", "--out", "m.arpa", cwd=tmp_path).returncode == 0

    assert entries(tmp_path / "m.arpa").keys() == ENTRIES.keys()
    model = lmgen.load(tmp_path / "m")
    score = model.score(TEXT)
    assert f"perplexity {score.perplexity:.4g}" in result.stdout
    assert score.unknown_tokens == sum(word not in LISTED.split() for word in TEXT.split())


def test_punctuation_marks_are_listed_as_they_are_written(tmp_path: Path) -> None:
    text = 'Yes, "no", no. Yes; no\n' * 3
    tokenizer = WordTokenizer.train(lambda: [text], TokenizerConfig(tokenizer="word", split_punctuation=True))

    limited, _ = tokenizer.limited_to({"Yes", ",", '"'})
    assert {word.strip("\t") for word in limited.words} == {"Yes", ",", '"'}
    assert len([word for word in limited.words if '"' in word]) > 1, "before a word and after it"
    assert limited.decode(limited.encode('Yes, "Yes", Yes')) == 'Yes, "Yes", Yes'


READ: list[tuple[str, ...]] = [
    ("--unit", "line"),
    ("--unit", "record"),
    ("--normalize", "nfc"),
    ("--newlines", "lf"),
    ("--encoding", "latin-1"),
    ("--unit", "line", "--answers-after", "="),
    ("--unit", "record", "--answers-after", "="),
]


@pytest.mark.parametrize("flags", READ, ids=" ".join)
def test_texts_may_be_read_in_any_way(flags: tuple[str, ...], tmp_path: Path) -> None:
    """The list is read as the text is; what is held out has the same score as under the model as saved."""
    latin, composed = "latin-1" in flags, "nfc" not in flags
    cafe = "caf\N{LATIN SMALL LETTER E WITH ACUTE}" if composed else "cafe\N{COMBINING ACUTE ACCENT}"
    lines = [
        f"the {cafe} on the {word} = the {word} was red" for word in ("hill", "road", "lake", "hill")
    ] * 5
    text = ("\n\n" if "record" in flags else "\n").join(lines) + "\n"
    for name, content in (("text.txt", text), ("list.txt", f"the red {cafe} was = lake")):
        (tmp_path / name).write_bytes(content.encode("latin-1" if latin else "utf-8"))
    asked = ("--tokenizer", "word", "--order", "3", "--limit-vocab-file", "list.txt", "--valid", "text.txt")
    result = command("ngram", "text.txt", *asked, *flags, "--out", "m", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    model = lmgen.load(tmp_path / "m")
    assert set(model.tokenizer.encode_with_offsets("hill")[0].tolist()) == {model.tokenizer.unknown}
    known = {model.tokenizer.piece(token) for token in range(model.tokenizer.vocabulary_size)}
    assert {"the", "red", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "was", "lake"} <= known
    assert not known & {"hill", "road", "on"}
    scored = command("perplexity", "m", "text.txt", "--format", "tsv", "--quiet", cwd=tmp_path)
    heading, row = (line.split("\t") for line in scored.stdout.splitlines())
    perplexity = float(dict(zip(heading, row, strict=True))["perplexity"])
    assert f"perplexity {perplexity:.4g}" in result.stdout
    after = np.exp(model.model.predict(model.model.start(1))[0].astype(float))
    assert after.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--tokenizer", "char"), "--limit-vocab-file lists words, and the text is split into char tokens"),
        (("--tokenizer", "word", "--keep-tokens"), "--limit-vocab-file leaves out tokens that --keep-tokens"),
        (("--tokenizer", "word"), "list.txt lists no word of the text; is it the right list?"),
    ],
)
def test_what_it_is_not_for(flags: tuple[str, ...], message: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "list.txt").write_text("nowhere")
    result = command(
        "ngram", "text.txt", *flags, "--limit-vocab-file", "list.txt", "--out", "m", cwd=tmp_path
    )

    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_a_list_that_is_missing_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    flags = ("--tokenizer", "word", "--limit-vocab-file", "nowhere.txt", "--out", "m")
    result = command("ngram", "text.txt", *flags, cwd=tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "nowhere.txt" in result.stderr
    assert result.stderr.count("\n") == 1
