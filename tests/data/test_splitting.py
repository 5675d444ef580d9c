"""Where a corpus is cut."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.data.config import HeldOutConfig
from lmgen.data.splitting import split_corpus
from lmgen.errors import ConfigError, CorpusError
from lmgen.text.corpora import Corpus
from lmgen.text.sources import Text


def text(content: str, step: int = 3) -> Text:
    """A text that comes in pieces of a few characters."""
    return Text("test", lambda: (content[i : i + step] for i in range(0, len(content), step)))


def parts(corpus: Corpus, *, at_line_ends: bool = False, **held_out: str) -> dict[str, str]:
    found = split_corpus(corpus, HeldOutConfig(**held_out), at_line_ends=at_line_ends)
    return {name: "".join(part.chunks()) for name, part in found.items()}


def test_a_tenth_is_held_out_at_the_end() -> None:
    assert parts(Corpus(name="c", train=text("abcdefghij"))) == {"train": "abcdefghi", "valid": "j"}


def test_test_comes_after_validation() -> None:
    cut = parts(Corpus(name="c", train=text("abcdefghij")), valid="0.2", test="0.3")

    assert cut == {"train": "abcde", "valid": "fg", "test": "hij"}


@given(st.integers(2, 3000), st.sampled_from(["0.1", "0.05", "0.2", "0.01"]))
def test_training_gets_the_floor_of_its_share(length: int, fraction: str) -> None:
    cut = parts(Corpus(name="c", train=text("x" * length, 100)), valid=fraction)

    hundredths = 100 - round(100 * float(fraction))
    assert len(cut["train"]) == length * hundredths // 100
    assert len(cut["train"]) + len(cut["valid"]) == length


def test_cuts_move_to_line_ends_for_those_who_read_lines() -> None:
    corpus = Corpus(name="c", train=text("one two\nthree four\nfive\n"))

    assert parts(corpus, at_line_ends=True, valid="0.5") == {
        "train": "one two\nthree four\n",
        "valid": "five\n",
    }


def test_one_long_line_is_cut_where_it_has_to_be() -> None:
    assert parts(Corpus(name="c", train=text("abcdefghij\n")), at_line_ends=True)["train"] == "abcdefghi"


def test_a_corpus_brings_its_own_split() -> None:
    files = Corpus(name="c", train=text("aaa"), valid=text("bbb"), test=text("ccc"))
    rule = Corpus(name="c", train=text("aaaaabbbcc"), split={"valid": 0.3, "test": 0.2})

    assert parts(files) == {"train": "aaa", "valid": "bbb", "test": "ccc"}
    assert parts(rule) == {"train": "aaaaa", "valid": "bbb", "test": "cc"}


def test_what_the_user_says_wins(tmp_path: Path) -> None:
    (tmp_path / "held.txt").write_text("held out")
    files = Corpus(name="c", train=text("abcdefghij"), valid=text("own"))

    assert parts(files, valid=str(tmp_path / "held.txt")) == {"train": "abcdefghij", "valid": "held out"}
    assert parts(files, valid="0.5") == {"train": "abcde", "valid": "fghij"}


def test_fractions_that_make_no_sense_are_refused() -> None:
    corpus = Corpus(name="c", train=text("abcdefghij"))

    with pytest.raises(ConfigError, match=r"valid is 1\.5, but a fraction has to be at least 0 and below 1"):
        parts(corpus, valid="1.5")
    with pytest.raises(ConfigError, match=r"--valid 0\.6 and --test 0\.5 leave nothing to train on"):
        parts(corpus, valid="0.6", test="0.5")
    with pytest.raises(CorpusError, match="nothing"):
        parts(corpus, valid="nothing.txt")


@pytest.mark.parametrize("nothing", ["0", "0.0"])
def test_a_fraction_of_0_holds_nothing_out(nothing: str) -> None:
    plain = Corpus(name="c", train=text("abcdefghij"))
    files = Corpus(name="c", train=text("aaa"), valid=text("bbb"), test=text("ccc"))
    rule = Corpus(name="c", train=text("aaaaabbbcc"), split={"valid": 0.3, "test": 0.2})

    assert parts(plain, valid=nothing) == {"train": "abcdefghij"}
    assert parts(plain, valid=nothing, test="0.3") == {"train": "abcdefg", "test": "hij"}
    assert parts(plain, test=nothing) == {"train": "abcdefghi", "valid": "j"}
    assert parts(files, valid=nothing) == {"train": "aaa", "test": "ccc"}
    assert parts(rule, valid=nothing, test=nothing) == {"train": "aaaaabbbcc"}


@pytest.mark.parametrize("number", [0.2, 0, 0.0])
def test_python_gives_fractions_as_numbers(number: float) -> None:
    corpus = Corpus(name="c", train=text("abcdefghij"))

    assert parts(corpus, valid=number) == parts(corpus, valid=str(number))  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["-0.1", "1", "nan", 1, -0.5, 10**400, True])
def test_what_is_no_fraction_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"valid is "):
        HeldOutConfig(valid=wrong)
