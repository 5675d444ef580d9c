"""Word vectors in use: cosines, sums of words, unknown words, files written and read again."""

import gzip
from pathlib import Path

import numpy as np
import pytest

import lmgen
from lmgen.errors import ConfigError, ModelError
from lmgen.vectors.table import Vectors

FAMILY = Vectors(
    ["king", "queen", "man", "woman", "apple", "well-known", "Oslo"],
    np.array(
        [[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 3, 0], [0, 2, 0, 0], [0, 0, 0, 1], [-1, 0, 0, 0], [0, 0, 0, 0]],
        np.float32,
    ),
)


def test_words_are_listed_by_the_cosine_of_the_angle() -> None:
    near = FAMILY.near("king")

    assert [each.word for each in near[:2]] == ["man", "queen"]
    assert near[0].cosine == pytest.approx(0.5**0.5)
    assert near[1].cosine == pytest.approx(0.5)
    assert near[-1].word == "well-known"
    assert near[-1].cosine == pytest.approx(-(0.5**0.5))
    assert len(near) == len(FAMILY) - 1


def test_king_minus_man_plus_woman_is_queen() -> None:
    """Vectors of length 1 are added: (√½, 1, √½ - 1, 0), of length √(3 - √2)."""
    [best] = FAMILY.near("king - man + woman", top=1)

    assert best.word == "queen"
    assert best.cosine == pytest.approx((0.5**0.5 + 1) / 2**0.5 / (3 - 2**0.5) ** 0.5)


def test_a_word_is_found_by_its_lower_case_too() -> None:
    assert FAMILY.near("King") == FAMILY.near("king")
    assert FAMILY["Woman"].tolist() == [0, 2, 0, 0]
    assert "Woman" not in FAMILY
    assert "Oslo" in FAMILY


def test_an_unknown_word_is_an_error_with_words_that_are_spelled_alike() -> None:
    with pytest.raises(ModelError, match=r"has no vector of 'quen'; did you mean queen\?"):
        FAMILY.near("king - quen")
    with pytest.raises(ModelError, match="has no vector of 'xyzzy'; it may be too rare to have one"):
        FAMILY["xyzzy"]
    with pytest.raises(ConfigError, match="top is 0, but has to be at least 1"):
        FAMILY.near("king", top=0)


@pytest.mark.parametrize("name", ["v.txt", "v.bin", "v.vec.gz", "v.bin.gz"])
def test_what_is_written_is_read_again_number_by_number(name: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32) * 1e-3
    written = Vectors(["the", "été", "</s>", "New York"], random)
    written.save(tmp_path / name)
    read = lmgen.load_vectors(tmp_path / name)

    assert read.words == ["the", "été", "</s>", "New_York"]
    assert (read.matrix == random).all()
    first = (tmp_path / name).read_bytes()
    with pytest.raises(ModelError, match=r"already; replace it \(overwrite=True\)"):
        written.save(tmp_path / name)
    written.save(tmp_path / name, overwrite=True)
    assert (tmp_path / name).read_bytes() == first


@pytest.mark.parametrize("name", ["v.txt", "v.bin"])
def test_words_keep_all_white_space_but_the_blanks_of_the_format(name: str, tmp_path: Path) -> None:
    words = ["\u00a0", "a\u00a0b", "c\u2003", ". . .", " "]
    Vectors(words, np.eye(5, dtype=np.float32)).save(tmp_path / name)

    assert lmgen.load_vectors(tmp_path / name).words == ["\u00a0", "a\u00a0b", "c\u2003", "._._.", "_"]


@pytest.mark.parametrize("name", ["v.txt.xz", "v.bz2", "v.bin.zst"])
def test_a_name_that_asks_for_another_compression_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"would be compressed, but only \.gz can be written"):
        FAMILY.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_the_text_format_is_that_of_word2vec(tmp_path: Path) -> None:
    Vectors(["a", "b"], np.array([[0.1, -2], [1e-9, 3]], np.float32)).save(tmp_path / "v.txt.gz")

    assert gzip.decompress((tmp_path / "v.txt.gz").read_bytes()) == b"2 2\na 0.1 -2.0\nb 1e-09 3.0\n"


def test_words_and_vectors_have_to_fit() -> None:
    with pytest.raises(ModelError, match="1 words do not fit an array of shape"):
        Vectors(["a"], np.zeros((2, 3), np.float32))
    with pytest.raises(ModelError, match="a word occurs twice"):
        Vectors(["a", "a"], np.zeros((2, 3), np.float32))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file of word vectors, run or model file"):
        lmgen.load_vectors(tmp_path / "gone.txt")


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_lengths_are_right_where_squares_are_beyond_float32(size: float) -> None:
    vectors = Vectors(["a", "b", "c"], np.array([[size, size], [size, -size], [1, 1]], np.float32))

    near = vectors.near("a")
    assert [each.word for each in near] == ["c", "b"]
    assert [each.cosine for each in near] == pytest.approx([1.0, 0.0], abs=1e-6)
