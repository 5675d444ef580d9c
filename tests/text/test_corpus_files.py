import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lmgen.errors import CorpusError
from lmgen.text.corpus_files import downloadable, fetch, find, sha256_of
from lmgen.text.recipes import Recipe, Variant
from lmgen.text.sources import Text

CONTENT = b"one two\nthree\n"
SHA256 = sha256(CONTENT).hexdigest()


@pytest.fixture
def corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory's folder of corpora, empty; the user's cache is beside it, and not there yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LMGEN_CORPORA", raising=False)
    folder = tmp_path / "corpora"
    folder.mkdir()
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that has `text.txt`."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "text.txt").write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def recipe(*variants: Variant, checksums: dict[str, str] | None = None, **known: object) -> Recipe:
    return Recipe(
        name="novel",
        description="",
        licence="",
        homepage="https://example.org",
        variants=variants or (Variant(train="text.txt"),),
        sha256=checksums or {},
        **known,  # type: ignore[arg-type]
    )


def read(text: Text | None) -> str:
    assert text is not None
    return "".join(text.chunks())


class TestFinding:
    def test_the_first_variant_whose_files_are_all_there_is_found(self, corpora: Path) -> None:
        novel = recipe(
            Variant(train="a.txt", valid="b.txt"), Variant(archive="a.zip", train="a"), Variant(train="c.txt")
        )
        assert find(novel) is None
        for name in ("a.txt", "c.txt"):
            (corpora / name).touch()

        found = find(novel)

        assert found is not None
        assert found.files() == [Path("corpora/c.txt")]

    def test_a_corpus_may_have_its_own_folder(self, corpora: Path) -> None:
        (corpora / "novel").mkdir()
        (corpora / "novel" / "text.txt").touch()
        (corpora / "text.txt").touch()

        found = find(recipe())

        assert found is not None
        assert found.files() == [Path("corpora/novel/text.txt")]

    def test_the_environment_may_name_another_place(
        self, corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LMGEN_CORPORA", str(tmp_path))
        (tmp_path / "text.txt").touch()

        found = find(recipe())

        assert found is not None
        assert found.files() == [tmp_path / "text.txt"]

    def test_the_cache_is_looked_in_last(self, corpora: Path, tmp_path: Path) -> None:
        cached, here = tmp_path / "cache/lmgen/corpora/novel/text.txt", corpora / "other.txt"
        cached.parent.mkdir(parents=True)
        cached.touch()
        novel = recipe(Variant(train="text.txt"), Variant(train="other.txt"))
        in_the_cache = find(novel)
        here.touch()
        in_both = find(novel)

        assert in_the_cache is not None
        assert in_the_cache.files() == [cached]
        assert in_both is not None
        assert in_both.files() == [Path("corpora/other.txt")]


class TestVerifying:
    def test_a_file_with_the_right_checksum_needs_no_note(self, corpora: Path) -> None:
        (corpora / "text.txt").write_bytes(CONTENT)
        found = find(recipe(checksums={"text.txt": SHA256}))

        assert found is not None
        assert found.verify() == ()

    def test_a_file_without_a_known_checksum_is_called_unverified(self, corpora: Path) -> None:
        (corpora / "text.txt").write_bytes(CONTENT)
        found = find(recipe())

        assert found is not None
        assert found.verify() == (
            "corpora/text.txt is unverified: the recipe of novel has no checksum for it",
        )

    def test_another_file_of_that_name_is_refused(self, corpora: Path) -> None:
        (corpora / "text.txt").write_bytes(b"something else")
        found = find(recipe(checksums={"text.txt": SHA256}))

        assert found is not None
        with pytest.raises(
            CorpusError, match=r"^corpora/text\.txt does not match the recipe of novel .*; move it"
        ):
            found.verify()


class TestTexts:
    def test_the_parts_are_read_out_of_an_archive(self, corpora: Path) -> None:
        with zipfile.ZipFile(corpora / "novel.zip", "w") as archive:
            archive.writestr("novel/train", "one\n")
            archive.writestr("novel/valid", "two\n")
        found = find(recipe(Variant(archive="novel.zip", train="novel/train", valid="novel/valid")))

        assert found is not None
        train, valid, test = found.texts()
        assert (read(train), read(train), read(valid), test) == ("one\n", "one\n", "two\n", None)

    def test_parts_given_in_bytes_leave_out_only_a_character_that_is_cut_in_two(self, corpora: Path) -> None:
        (corpora / "text.txt").write_text("abécdéf", encoding="utf-8")  # 9 bytes
        found = find(recipe(split_bytes=(3, 4, 2)))

        assert found is not None
        assert [read(part) for part in found.texts()] == ["ab", "cd", "f"]

    def test_parts_given_in_bytes_are_exact_where_bytes_are_read(self, corpora: Path) -> None:
        (corpora / "text.txt").write_text("abécdéf", encoding="utf-8")
        found = find(recipe(split_bytes=(3, 4, 2)))

        assert found is not None
        parts = [read(part).encode("utf-8", "surrogateescape") for part in found.texts("surrogateescape")]
        assert parts == [b"ab\xc3", b"\xa9cd\xc3", b"\xa9f"]


class TestFetching:
    def test_a_download_is_checked_and_put_into_the_users_cache(
        self, corpora: Path, site: str, tmp_path: Path
    ) -> None:
        novel = recipe(Variant(train="text.txt", address=f"{site}/text.txt"), checksums={"text.txt": SHA256})
        told: list[str] = []

        found = fetch(novel, told.append)

        path = tmp_path / "cache/lmgen/corpora/novel/text.txt"
        assert found.files() == [path]
        assert sha256_of(path) == SHA256
        assert told == [f"downloading {site}/text.txt to {path}"]
        assert find(novel) == found

    def test_downloads_go_to_the_place_that_the_environment_names(
        self, corpora: Path, site: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LMGEN_CORPORA", "mine")
        novel = recipe(Variant(train="text.txt", address=f"{site}/text.txt"), checksums={"text.txt": SHA256})

        assert fetch(novel, lambda _: None).files() == [Path("mine/novel/text.txt")]

    def test_a_place_that_cannot_be_made_is_said_before_anything_is_fetched(
        self, corpora: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("mine").write_text("a file")
        monkeypatch.setenv("LMGEN_CORPORA", "mine")
        novel = recipe(
            Variant(train="text.txt", address="http://127.0.0.1:9/"), checksums={"text.txt": SHA256}
        )

        with pytest.raises(CorpusError, match=r"^cannot make the folder mine/novel for http.*LMGEN_CORPORA$"):
            fetch(novel, lambda _: None)

    def test_a_download_that_is_another_file_leaves_nothing(
        self, corpora: Path, site: str, tmp_path: Path
    ) -> None:
        novel = recipe(
            Variant(train="text.txt", address=f"{site}/text.txt"), checksums={"text.txt": "0" * 64}
        )

        with pytest.raises(
            CorpusError,
            match=rf"no longer gives the expected file \(its sha256 is {SHA256}, not 0{{64}}\); get text",
        ):
            fetch(novel, lambda _: None)
        assert list((tmp_path / "cache/lmgen/corpora").iterdir()) == []

    def test_a_failed_download_says_what_to_do_and_leaves_nothing(
        self, corpora: Path, site: str, tmp_path: Path
    ) -> None:
        for address in (f"{site}/gone.txt", "http://127.0.0.1:9/text.txt"):
            novel = recipe(Variant(train="text.txt", address=address), checksums={"text.txt": SHA256})

            message = (
                rf"^cannot download {address} \((HTTP|Connection)Error\); try again, or get text\.txt "
                r"elsewhere and put it into \S*/cache/lmgen/corpora/novel/$"
            )
            with pytest.raises(CorpusError, match=message):
                fetch(novel, lambda _: None)
            assert list((tmp_path / "cache/lmgen/corpora").iterdir()) == []

    @pytest.mark.parametrize("address", [None, "http://127.0.0.1:9/text.txt"])
    def test_without_address_or_checksum_it_says_where_to_get_and_put_the_file(
        self, address: str | None, corpora: Path
    ) -> None:
        novel = recipe(
            Variant(train="text.txt", address=address),
            Variant(train="a", valid="b"),
            checksums={} if address else {"text.txt": SHA256},
        )

        assert not downloadable(novel)
        message = (
            r"^novel must be downloaded by hand: get text\.txt, or a and b \(see https://example\.org\) and "
            r"put it into corpora/novel/$"
        )
        with pytest.raises(CorpusError, match=message):
            fetch(novel, lambda _: None)
