"""Files compressed and decompressed."""

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmgen
from lmgen.compression import files
from lmgen.compression.archive import MAGIC, read_archive
from lmgen.compression.files import CodingProgress, compress
from lmgen.errors import ConfigError, CorpusError, LmgenError, ModelError, WriteError
from lmgen.models.base import LanguageModel
from lmgen.models.model_file import SavedModel, load_model
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.bytes import ByteTokenizer
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.cli.tiny_model import save_bigram_model

pytest.importorskip("constriction", reason="the extra `compress` is not installed")

TEXT = "".join(f"worker {n % 7} finished job {n * n} after {n % 60} seconds\n" for n in range(40))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    return tmp_path


def model(name: str, tokenizer: Tokenizer) -> Path:
    V = tokenizer.vocabulary_size
    return save_bigram_model(Path(name), tokenizer, np.random.default_rng(0).normal(size=(V, V)))


def characters() -> Path:
    return model("char.safetensors", CharacterTokenizer("".join(sorted(set(TEXT)))))


@given(content=st.binary(max_size=200))
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("with_model", [False, True])
def test_any_bytes_come_back(content: bytes, with_model: bool) -> None:
    Path("file").write_bytes(content)
    of_bytes = model("byte.safetensors", ByteTokenizer()) if with_model else None

    done = lmgen.compress(
        "file", of_bytes, out="archive", preset=None if with_model else "quick", overwrite=True
    )
    lmgen.decompress("archive", out="back", overwrite=True)

    assert Path("back").read_bytes() == content
    assert (done.bytes, done.archive_bytes) == (len(content), Path("archive").stat().st_size)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"a" * 5000,
        bytes(range(256)) * 20,
        "他说：“你好”，然后走了。".encode() * 40,
        b"one\r\ntwo\n\r\r\n" * 99,
    ],
    ids=["empty", "one byte", "one byte again and again", "all bytes", "Chinese", "line ends"],
)
def test_kinds_of_files_come_back_and_none_gets_much_longer(content: bytes) -> None:
    Path("file").write_bytes(content)

    done = lmgen.compress("file", out="archive", preset="quick")
    lmgen.decompress("archive", out="back")

    assert Path("back").read_bytes() == content
    assert done.archive_bytes <= len(content) + 64
    assert done.stored == (done.archive_bytes == len(content) + 64)


@pytest.mark.parametrize("size", [50, 100_000])
def test_random_bytes_are_stored_as_they_are_at_once(size: int) -> None:
    content = np.random.default_rng(0).bytes(size)
    Path("file").write_bytes(content)
    phases: list[CodingProgress] = []

    done = compress(Path("file"), None, Path("archive"), preset="quick", on_progress=phases.append)
    back = lmgen.decompress("archive", out="back")

    assert Path("back").read_bytes() == content
    assert (done.stored, back.stored, done.archive_bytes) == (True, True, size + 64)
    assert bool(phases) == (size == 50)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["quick", "good", None])
def test_a_text_gets_smaller_and_comes_back(preset: str | None) -> None:
    phases: list[CodingProgress] = []

    done = compress(Path("text.txt"), None, Path("archive"), preset=preset, on_progress=phases.append)
    back = lmgen.decompress("archive", out="back.txt")

    assert Path("back.txt").read_text() == TEXT
    assert done.archive_bytes < len(TEXT) / 3
    assert done.bits_per_character == done.archive_bytes * 8 / len(TEXT)
    assert back.bits_per_byte == done.bits_per_byte
    assert list(dict.fromkeys(each.phase for each in phases)) == ["compressing", "checking"]
    assert phases[-1].share == 1


def test_with_a_model_a_text_comes_back_by_its_tokens() -> None:
    lmgen.compress("text.txt", characters(), out="archive")
    lmgen.decompress("archive", out="back.txt")
    assert Path("back.txt").read_text() == TEXT

    Path("elsewhere").mkdir()
    Path("char.safetensors").rename("elsewhere/moved.safetensors")
    with pytest.raises(ModelError, match=r"the model char\.safetensors of SHA-256 .*there is none at"):
        lmgen.decompress("archive", out="again.txt")
    lmgen.decompress("archive", out="again.txt", model="elsewhere/moved.safetensors")
    assert Path("again.txt").read_text() == TEXT

    other = model("char.safetensors", CharacterTokenizer("ab"))
    with pytest.raises(ModelError, match=r"char\.safetensors is another one; say where it is with model"):
        lmgen.decompress("archive", out="third.txt", model=other)
    assert not Path("third.txt").exists()


def test_a_model_that_is_replaced_meanwhile_is_not_taken_for_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = characters()
    other = model("other.safetensors", ByteTokenizer())

    def load_then_replace(path: Path) -> SavedModel[LanguageModel]:
        saved = load_model(path)
        if other.exists():
            other.replace(path)
        return saved

    monkeypatch.setattr(files, "load_model", load_then_replace)
    with pytest.raises(ModelError, match=r"char\.safetensors was replaced while it was read"):
        lmgen.compress("text.txt", file, out="archive")
    assert not Path("archive").exists()


def test_a_model_is_read_once_to_compress_and_once_to_decompress(monkeypatch: pytest.MonkeyPatch) -> None:
    file = characters()
    read: list[Path] = []

    def load_and_count(path: Path) -> SavedModel[LanguageModel]:
        read.append(path)
        return load_model(path)

    monkeypatch.setattr(files, "load_model", load_and_count)
    lmgen.compress("text.txt", file, out="archive")
    lmgen.decompress("archive", out="back")

    assert Path("back").read_text() == TEXT
    assert len(read) == 2


def test_a_model_is_found_beside_its_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    lmgen.compress("text.txt", characters(), out="archive")
    Path("below").mkdir()
    monkeypatch.chdir("below")

    lmgen.decompress("../archive", out="back.txt")

    assert Path("back.txt").read_text() == TEXT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"worker 1 \xe2\x82\xac\n", "they have no '€' as at character 10; compress it without a model"),
        (b"worker 1\r\n", r"they have no '\\r' as at character 9"),
        (b"worker \xff\n", "byte 7 of other.txt is not UTF-8"),
    ],
)
def test_what_would_not_come_back_from_tokens_is_refused(content: bytes, message: str) -> None:
    Path("other.txt").write_bytes(content)

    with pytest.raises(CorpusError, match=message):
        lmgen.compress("other.txt", characters(), out="archive")
    assert not Path("archive").exists()


@pytest.fixture
def archive() -> bytes:
    lmgen.compress("text.txt", characters(), out="archive")
    return Path("archive").read_bytes()


def test_no_altered_archive_gives_a_text(archive: bytes) -> None:
    random = np.random.default_rng(0)
    altered = [archive[:length] for length in (0, 5, 30, 70, len(archive) - 4, len(archive) - 1)]
    altered += [
        archive[:place] + bytes([archive[place] ^ 0x10]) + archive[place + 1 :]
        for place in random.integers(len(archive), size=40).tolist()
    ]
    for number, content in enumerate(altered):
        Path("altered").write_bytes(content)
        with pytest.raises(CorpusError, match=r"is no archive|cut off or damaged|of version"):
            lmgen.decompress("altered", out="back.txt")
        assert not Path("back.txt").exists(), number


def from_nothing() -> bytes:
    lmgen.compress("text.txt", out="archive", preset="quick", overwrite=True)
    return Path("archive").read_bytes()


def stored() -> bytes:
    Path("random").write_bytes(np.random.default_rng(0).bytes(1000))
    lmgen.compress("random", out="archive", preset="quick", overwrite=True)
    return Path("archive").read_bytes()


def with_model() -> bytes:
    lmgen.compress("text.txt", characters(), out="archive", overwrite=True)
    return Path("archive").read_bytes()


HEADER = [9, 16, 17, 48, 49, 56, 57, 58, 59]
"""The first and the last byte of each field after the version."""


@pytest.mark.parametrize(
    ("make", "places"),
    [
        (with_model, [*HEADER, 60, 91, 92, 93, 94, 109]),
        (from_nothing, [*HEADER, 60, 72, 91]),
        (stored, HEADER),
    ],
)
def test_an_archive_altered_on_purpose_gives_no_wrong_text(
    make: Callable[[], bytes], places: list[int]
) -> None:
    """With a check sum that is right: as a machine would meet it that computes in another way."""
    Path("text.txt").write_text(TEXT[:200])
    archive = make()
    lmgen.decompress("archive", out="right")
    for place in [*places, len(archive) - 20]:
        body = bytearray(archive[:-4])
        body[place] ^= 1 + place % 128
        Path("altered").write_bytes(bytes(body) + struct.pack("<I", zlib.crc32(body)))
        with suppress(LmgenError):  # none for a byte beside the alphabet that does not occur either
            lmgen.decompress("altered", out="back")
            assert Path("back").read_bytes() == Path("right").read_bytes()
            Path("back").unlink()
        assert not Path("back").exists(), place


@pytest.mark.parametrize(("version", "advice"), [(9, "upgrade lmgen"), (1, "with the lmgen that made it")])
def test_an_archive_of_another_version_says_so(version: int, advice: str, archive: bytes) -> None:
    Path("other").write_bytes(MAGIC + bytes([version]) + archive[len(MAGIC) + 1 :])

    with pytest.raises(CorpusError, match=f"of version {version}, known here is 2: .*{advice}"):
        lmgen.decompress("other", out="back.txt")


def test_what_is_wrong_is_said_before_the_work() -> None:
    Path("there").write_text("x")
    with pytest.raises(ConfigError, match="preset is for compressing without a model"):
        lmgen.compress("text.txt", characters(), out="archive", preset="quick")
    with pytest.raises(ConfigError, match=r"'goood', but has to be one of quick, good \(did you mean good"):
        lmgen.compress("text.txt", out="archive", preset="goood")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="there is a file there already"):
        lmgen.compress("text.txt", out="there")
    with pytest.raises(CorpusError, match=r"cannot read gone\.txt"):
        lmgen.compress("gone.txt", out="archive")
    with pytest.raises(ModelError, match="there is no model gone"):
        lmgen.compress("text.txt", "gone", out="archive")
    with pytest.raises(CorpusError, match=r"text\.txt is no archive"):
        lmgen.decompress("text.txt", out="back.txt")
    assert {path.name for path in Path().iterdir()} == {"text.txt", "there", "char.safetensors"}


def test_a_model_is_refused_where_none_was_used() -> None:
    lmgen.compress("text.txt", out="archive", preset="quick")

    assert read_archive(Path("archive").read_bytes(), Path("archive")).streams > 1
    with pytest.raises(ConfigError, match="was compressed without a model; leave model out"):
        lmgen.decompress("archive", out="back.txt", model=characters())


def test_a_folder_that_cannot_be_written_leaves_nothing() -> None:
    with pytest.raises(WriteError, match="cannot write"):
        lmgen.compress("text.txt", characters(), out="/dev/full/archive")


def test_an_archive_does_not_replace_the_model_that_it_needs() -> None:
    kept = characters()
    before = kept.read_bytes()
    Path("link").symlink_to(kept)
    for out in (kept, "link"):
        with pytest.raises(ConfigError, match=f"out {out} would replace {kept}, which is read"):
            lmgen.compress("text.txt", kept, out=out, overwrite=True)
    assert kept.read_bytes() == before
