"""Files of word vectors: every format there and back, and files that are none, cut off or wrong."""

import bz2
import gzip
import lzma
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmgen.arrays import Float32Array
from lmgen.errors import CorpusError
from lmgen.vectors import reading
from lmgen.vectors.reading import WordVectors, read_vectors, vector_size

Vectors = dict[str, Float32Array]

RANDOM = np.random.default_rng(0)
WORDS: Vectors = {
    word: RANDOM.normal(size=4).astype(np.float32) for word in ("the", "The", "été", "New_York", "3.14", ",")
}


def glove(words: Vectors) -> bytes:
    return "".join(f"{word} {' '.join(map(str, vector))}\n" for word, vector in words.items()).encode()


def word2vec(words: Vectors) -> bytes:
    return f"{len(words)} {len(next(iter(words.values())))}\n".encode() + glove(words)


def fasttext(words: Vectors) -> bytes:
    """Its lines end in a blank."""
    return word2vec(words).replace(b"\n", b" \n")


def binary(words: Vectors, end: bytes = b"\n") -> bytes:
    """As the first word2vec writes it, with a line end after each vector."""
    header = f"{len(words)} {len(next(iter(words.values())))}\n".encode()
    entries = (word.encode() + b" " + vector.astype("<f4").tobytes() + end for word, vector in words.items())
    return header + b"".join(entries)


def gensim(words: Vectors) -> bytes:
    return binary(words, b"")


def with_tabs(words: Vectors) -> bytes:
    return glove(words).replace(b" ", b"\t").replace(b"\n", b"\r\n")


FORMATS = [glove, word2vec, fasttext, binary, gensim, with_tabs]


def written(folder: Path, content: bytes, name: str = "vectors") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def read(path: Path, wanted: set[str] | None = None, *, any_case: bool = False) -> WordVectors:
    return read_vectors(path, wanted or set(WORDS), vector_size(path), any_case=any_case)


def same(found: Vectors, wanted: Vectors) -> bool:
    return found.keys() == wanted.keys() and all(np.array_equal(found[word], wanted[word]) for word in wanted)


@pytest.mark.parametrize("make", FORMATS)
def test_every_format_comes_back_bit_for_bit(make: Callable[[Vectors], bytes], tmp_path: Path) -> None:
    path = written(tmp_path, make(WORDS))

    assert vector_size(path) == 4
    found = read(path)
    assert same(dict(found.exact), WORDS)
    assert found.notes == ()
    assert all(vector.dtype == np.float32 for vector in found.exact.values())


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.ZstdCompressor().compress),
    ],
)
def test_packed_files_are_unpacked(suffix: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    text = written(tmp_path, pack(glove(WORDS)), f"glove.txt{suffix}")
    numbers = written(tmp_path, pack(binary(WORDS)), f"vectors.bin{suffix}")

    assert same(dict(read(text).exact), WORDS)
    assert same(dict(read(numbers).exact), WORDS)

    unnamed = written(tmp_path, pack(glove(WORDS)), "unnamed")
    with pytest.raises(CorpusError, match=f"it is compressed: give it a name that ends in {suffix}"):
        vector_size(unnamed)


@given(
    words=st.dictionaries(
        st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=9),
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=5, max_size=5),
        min_size=2,
        max_size=6,
    ),
    make=st.sampled_from(FORMATS),
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_words_and_numbers_come_back(
    words: dict[str, list[float]], make: Callable[[Vectors], bytes], tmp_path: Path
) -> None:
    """A binary file has a name that says so: five numbers may happen to look like text."""
    made = {word: np.array(numbers, np.float32) for word, numbers in words.items()}
    path = written(tmp_path, make(made), "v.bin" if make in (binary, gensim) else "v.txt")

    assert same(dict(read(path, set(made)).exact), made)


def test_only_wanted_words_are_kept(tmp_path: Path) -> None:
    found = read(written(tmp_path, glove(WORDS)), {"the", "THE", "absent"})

    assert set(found.exact) == {"the"}
    assert found.other_case == {}


def test_other_spellings_are_found_where_asked_for(tmp_path: Path) -> None:
    """The first in the file counts; a spelling of its own counts more, wherever it stands."""
    words = {word: WORDS["the"] + place for place, word in enumerate(["Paris", "PARIS", "THE", "the"])}
    found = read(written(tmp_path, glove(words)), {"paris", "the"}, any_case=True)

    assert same(dict(found.exact), {"the": words["the"]})
    assert np.array_equal(found.other_case["paris"], words["Paris"])


def test_words_with_blanks_are_words_of_their_own(tmp_path: Path) -> None:
    """As in glove.840B, whose words `. . .` and `at name@domain.com` would be too many columns."""
    content = b". 1 2 3\n. . . 4 5 6\nat name@domain.com 7 8 9\n 1 2 3\nat 1 1 1\n"
    path = written(tmp_path, content)

    assert vector_size(path) == 3
    found = read(path, {".", "at", "name@domain.com"})
    assert {word: vector.tolist() for word, vector in found.exact.items()} == {
        ".": [1, 2, 3],
        "at": [1, 1, 1],
    }


def test_a_first_word_may_be_a_number(tmp_path: Path) -> None:
    assert vector_size(written(tmp_path, b"7 1 2 3\n8 4 5 6\n")) == 3


def test_a_byte_order_mark_and_empty_lines_do_not_matter(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbf2 2\nthe 1 2\n\nof 3 4\n\n")

    assert set(read(path, {"the", "of"}).exact) == {"the", "of"}


def test_repeated_words_and_words_that_are_not_utf8_are_passed_over(tmp_path: Path) -> None:
    one = np.ones(2, "<f4").tobytes()
    path = written(
        tmp_path, b"4 2\nthe " + one + b"\n\xffx " + one + b"\nthe " + 2 * one[:4] + b"\nof " + one
    )
    found = read(path, {"the", "of"})

    assert set(found.exact) == {"the", "of"}
    assert found.notes == (
        f"{path}: 1 word is not UTF-8 and passed over, the first in entry 2",
        f"{path}: 1 vector is of a word that has one already, and passed over, the first of 'the' in entry 3",
    )
    text = written(tmp_path, b"the 1 2\nthe 3 4\n\xe9 1 2\nthe 5 6\n")
    found = read(text, {"the"})
    assert found.exact["the"].tolist() == [1, 2]
    assert found.notes == (
        f"{text}: 1 word is not UTF-8 and passed over, the first in line 3",
        f"{text}: 2 vectors are of a word that has one already, and passed over, the first of 'the' in "
        "line 2",
    )


NUMBERS = np.array([0.1, 0.2], "<f4").tobytes()

WRONG = {
    b"": "is empty; lmgen reads word2vec",
    b" \n\n": "is empty",
    b"<!DOCTYPE html>\n<html>not found</html>": "is a web page that was saved in place of word vectors",
    b"\n <html><body>Sign in</body></html>": "is a web page",
    b"PK\x03\x04rest": "it is a zip archive: unpack it",
    b"\xba\x16\x4f\x2frest": "it is a model of fastText, not its vectors",
    b"version https://git-lfs.github.com/spec/v1\noid": "git lfs pull",
    b"It was the best of times,\n": "line 1: 'It was the best of times,' is no word with its numbers, nor a",
    b"the\n": "line 1: 'the' is no word",
    b"0 5\n": "says in its first line that it has no vectors (0 5)",
    b"5 0\n": "says in its first line that it has no vectors (5 0)",
    b"2 999999999\nthe 1 2\n": "says in its first line that its vectors have 999,999,999 numbers",
    b"900000000000 2\nthe 1 2\n": "ends after 1 of the 900,000,000,000 vectors that its first line states",
    b"2 2\n": "ends after 0 of the 2 vectors",
    b"2 2": "ends after 0 of the 2 vectors",
    b"3 2\nthe 1 2\nof 3 4\n": "ends after 2 of the 3 vectors",
    b"1 2\nthe 1 2\nof 3 4\n": "goes on after the 1 vectors",
    b"2 2\nthe 1 2\nof 3\n": "line 3: 'of' is followed by 1 numbers, not 2; is the file cut off?",
    b"2 2\nthe 1 2\nof 3 4 5\n": "line 3: 'of' is followed by 3 numbers, not 2",
    b"the 1 2\nof 3\n": "line 2: 'of' is followed by 1 numbers, not 2; is the file cut off?",
    b"the 1 2\nof 3 4 5\n": "line 2: 'of' is followed by 3 numbers, not 2",
    b"of 1 2\nthe 1  \n": "line 2: 'the' is followed by 1 numbers, not 2",
    b"of 1 2\nthe  1\n": "line 2: 'the' is followed by 1 numbers, not 2",
    b"of 1 2 3\nthe 1  2\n": "line 2: 'the' is followed by 2 numbers, not 3",
    b"of 1 2\nthe 1 nan\n": "line 2: the vector of 'the' has 'nan' in it, which is no finite number",
    b"of 1 2\nthe -inf 2\n": "line 2: the vector of 'the' has '-inf' in it",
    b"of 1 2\nthe 1e39 2\n": "line 2: the vector of 'the' has '1e39' in it",
    b"2 2\nof 1 2\nthe 1 x\n": "line 3: the vector of 'the' has 'x' in it",
    b"2 2\nof 1 2\nthe 1 1_0\n": "line 3: the vector of 'the' has '1_0' in it",
    b"2 2\nof " + NUMBERS + b"the " + NUMBERS[:5]: "ends after 1 of the 2 vectors",
    b"2 2\nof " + NUMBERS + b"\nth": "ends after 1 of the 2 vectors",
    b"1 2\nof " + NUMBERS + b"\nthe " + NUMBERS: "goes on after the 1 vectors",
    b"1 2\nthe " + np.array([1, np.nan], "<f4").tobytes(): "entry 1: the vector of 'the' has nan in it",
    b"1 2\nthe " + np.array([-np.inf, 1], "<f4").tobytes(): "entry 1: the vector of 'the' has -inf in it",
    b"2 2\nthe " + NUMBERS + b"x" * 20_000: "entry 2: no word of less than 10,000 bytes begins here",
}


@pytest.mark.parametrize("content", WRONG, ids=lambda content: repr(content[:30]))
def test_what_is_wrong_with_a_file_is_said_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    with pytest.raises(CorpusError) as raised:
        read(path, {"the"})

    message = str(raised.value)
    assert message.startswith(str(path))
    assert WRONG[content] in message
    assert "\n" not in message


def test_numbers_of_words_that_are_not_wanted_are_not_looked_at(tmp_path: Path) -> None:
    assert set(read(written(tmp_path, b"of 1 nan\nthe 1 2\n"), {"the"}).exact) == {"the"}


def test_another_size_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, glove(WORDS))
    with pytest.raises(CorpusError, match="has vectors of 4 numbers, but 5 are needed"):
        read_vectors(path, set(WORDS), 5)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"cannot read .*missing: No such file or directory"):
        vector_size(tmp_path / "missing")
    with pytest.raises(CorpusError, match=r"cannot read nnn.*nnn: File name too long"):
        vector_size(Path("n" * 5000))
    with pytest.raises(CorpusError, match="is no regular file"):
        vector_size(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CorpusError, match="is no regular file"):
        vector_size(tmp_path / "pipe")


@pytest.mark.parametrize("make", [glove, binary])
def test_memory_does_not_grow_with_the_file(make: Callable[[Vectors], bytes], tmp_path: Path) -> None:
    """Nor with what its header says of it."""
    vector = RANDOM.normal(size=200).astype(np.float32)
    path = written(tmp_path, make({f"word{number}": vector for number in range(8_000)}))
    assert path.stat().st_size > 6_000_000
    tracemalloc.start()
    try:
        found = read(path, {f"word{number}" for number in range(0, 8_000, 80)})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(found.exact) == 100
    assert peak < 2_500_000


def test_a_line_without_an_end_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 1000)
    path = written(tmp_path, b"1 2\nthe 1 2\nof " + b"1" * 2_000_000)
    with pytest.raises(CorpusError, match="line 3 is longer than 1,000 bytes"):
        read(path, {"the"})


def test_lines_and_vectors_may_lie_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 7 bytes have all kinds of ends in them."""
    monkeypatch.setattr("lmgen.text.raw.BLOCK_BYTES", 7)
    for make in FORMATS:
        assert same(dict(read(written(tmp_path, make(WORDS))).exact), WORDS)


def finite_or_refused(path: Path, wanted: set[str]) -> None:
    """Read a file, which gives either finite vectors or an error of one line that names it."""
    try:
        found, problem = read(path, wanted, any_case=True), ""
    except CorpusError as error:
        found, problem = WordVectors({}, {}), str(error)
    assert "\n" not in problem
    assert not problem or str(path) in problem
    for vector in [*found.exact.values(), *found.other_case.values()]:
        assert vector.shape == (vector_size(path),)
        assert np.isfinite(vector).all()


BEGINNINGS = [b"", b"2 2\n", b"5 3\nthe ", b"the 1 2\n", b"9999999 4\n", b"\xef\xbb\xbf", b"2 2\nthe 1 2\n"]


@given(begin=st.sampled_from(BEGINNINGS), rest=st.binary(max_size=200), name=st.sampled_from(["v", "v.bin"]))
@settings(max_examples=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_one_error_or_finite_vectors(
    begin: bytes, rest: bytes, name: str, tmp_path: Path
) -> None:
    finite_or_refused(written(tmp_path, begin + rest, name), {"the", "1", "a"})


@given(make=st.sampled_from(FORMATS), place=st.integers(0, 400), value=st.integers(0, 255))
@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_byte_is_one_error_or_finite_vectors(
    make: Callable[[Vectors], bytes], place: int, value: int, tmp_path: Path
) -> None:
    content = bytearray(make(WORDS))
    content[place % len(content)] = value
    finite_or_refused(written(tmp_path, bytes(content)), set(WORDS))


@given(make=st.sampled_from([word2vec, fasttext, binary, gensim]), share=st.floats(0, 0.999))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_with_a_header_that_is_cut_off_is_never_taken_for_whole(
    make: Callable[[Vectors], bytes], share: float, tmp_path: Path
) -> None:
    """Only the line end, and digits of the very last number, may be missing."""
    content = make(WORDS)
    kept = int(share * (len(content) - 20))
    with pytest.raises(CorpusError):
        read(written(tmp_path, content[:kept]))
