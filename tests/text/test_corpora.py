import io
import shutil
import sys
from pathlib import Path

import pytest

from lmgen.errors import CorpusError
from lmgen.text.corpora import Corpus, listed_corpora, open_corpus
from lmgen.text.recipes import load_recipes
from lmgen.text.sources import Text

SHARED = Path(__file__).parents[2].parent / "shared" / "data"

needs_shared_texts = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder shared/data is not here")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LMGEN_CORPORA", raising=False)


def read(text: Text) -> str:
    return "".join(text.chunks())


def test_the_default_corpus_is_the_manual_and_says_its_length_and_checksum() -> None:
    corpus = open_corpus([])

    assert corpus.name == "python-docs"
    assert (corpus.valid, corpus.test, dict(corpus.split)) == (None, None, {})
    (note,) = corpus.notes
    assert note.startswith(f"python-docs: {corpus.train.counts().characters:,} characters, sha256 ")


def test_without_the_manual_the_library_is_taken_and_without_that_a_synthetic_corpus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)

    corpus = open_corpus([])
    assert corpus.name == "python-code"
    assert corpus.notes[0] == "this Python came without python-docs; using python-code"

    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    corpus = open_corpus([])
    assert corpus.name == "synthetic-markov"
    assert corpus.notes == (
        "this Python came without python-docs; using python-code",
        "this Python came without python-code; using synthetic-markov",
        "synthetic-markov: the best possible score is 1.2130 nats per character (1.7500 bits)",
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("book.txt", "book"),
        ("talk.jsonl.gz", "talk"),
        ("War & Peace.txt", "War-Peace"),
        ("Война и мир", "Война-и-мир"),
        (".x", "text"),
    ],
)
def test_a_file_s_corpus_has_a_name_that_a_folder_can_have(path: str, name: str) -> None:
    Path(path).touch()

    assert open_corpus([path]).name == name


def test_the_folder_one_is_in_has_its_own_name(tmp_path: Path) -> None:
    Path("a.txt").write_text("a")

    assert open_corpus(["."]).name == tmp_path.name.strip(".-")


def test_several_sources_are_read_one_after_another() -> None:
    Path("a.txt").write_text("one")
    Path("b.txt").write_text("")
    Path("c.jsonl").write_text('{"body": "two"}')
    corpus = open_corpus(["a.txt", "b.txt", "c.jsonl"], field="body")

    assert read(corpus.train) == read(corpus.train) == "one\ntwo\n"
    assert corpus.name == "a-and-2-more"


def test_sources_that_are_all_empty_are_an_error() -> None:
    Path("a.txt").touch()
    Path("b.txt").touch()

    with pytest.raises(CorpusError, match="is empty"):
        read(open_corpus(["a.txt"]).train)
    with pytest.raises(CorpusError, match="is empty"):
        read(open_corpus(["a.txt", "b.txt"]).train)


def test_bytes_pass_if_asked_for() -> None:
    Path("a.txt").write_bytes(b"\xff")

    assert read(open_corpus(["a.txt"], errors="surrogateescape").train) == "\udcff"


def test_standard_input_is_a_corpus_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"text\n")))
    corpus = open_corpus(["-"])

    assert (corpus.name, read(corpus.train), read(corpus.train)) == ("stdin", "text\n", "text\n")
    with pytest.raises(CorpusError, match=r"standard input \(-\) is named twice"):
        open_corpus(["-", "-"])


def test_a_file_wins_over_a_corpus_of_its_name() -> None:
    Path("python-docs").write_text("mine\n")
    corpus = open_corpus(["python-docs"])

    assert read(corpus.train) == "mine\n"
    assert corpus.notes == ("reading the file or folder python-docs, not the corpus of that name",)


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("pyton-docs", "did you mean python-docs"),
        ("wikitext2", "did you mean wikitext-2"),
        ("no/such.txt", "`"),
    ],
)
def test_an_unknown_name_is_an_error_that_lists_near_ones(name: str, guess: str) -> None:
    with pytest.raises(
        CorpusError, match=f"^there is no file, folder or corpus '{name}'; {guess}.*corpus list`"
    ):
        open_corpus([name])


def test_a_synthetic_corpus_says_its_best_score() -> None:
    corpus = open_corpus(["synthetic-copy"])

    assert corpus.train.counts().characters == 1_000_000
    assert corpus.notes == (
        "synthetic-copy: the best possible score is 1.0762 nats per character (1.5526 bits)",
    )


def test_folder_notes_are_passed_on() -> None:
    Path("texts").mkdir()
    Path("texts/a.txt").write_text("a")
    Path("texts/b.png").write_bytes(b"\x89PNG")

    assert open_corpus(["texts"]).notes == ("skipped 1 of 2 files in texts that are not UTF-8 text: b.png",)


def test_files_that_are_not_the_known_ones_are_refused() -> None:
    Path("corpora").mkdir()
    for part in ("train", "valid", "test"):
        Path(f"corpora/ptb.{part}.txt").write_text(part)

    with pytest.raises(CorpusError, match=r"ptb\.train\.txt does not match the recipe of penn-treebank"):
        open_corpus(["penn-treebank"])


@needs_shared_texts
@pytest.mark.parametrize("name", ["tiny-shakespeare", "names", "wikitext-2"])
def test_known_files_have_the_checksums_and_counts_of_their_recipes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMGEN_CORPORA", str(SHARED))
    corpus = open_corpus([name])

    assert corpus.notes == ()
    for part, expected in load_recipes()[name].counts.items():
        text = getattr(corpus, "train" if part == "whole" else part)
        counts = text.counts()
        assert {unit: getattr(counts, unit) for unit in expected} == dict(expected)


@needs_shared_texts
def test_corpora_with_files_of_their_own_hold_out_what_those_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMGEN_CORPORA", str(SHARED))
    Path("a.txt").write_text("more\n")
    wikitext: Corpus = open_corpus(["wikitext-2"])
    both = open_corpus(["wikitext-2", "a.txt"])

    assert wikitext.valid is not None
    assert both.valid is not None
    assert both.valid.counts() == wikitext.valid.counts()
    assert both.train.counts().characters == wikitext.train.counts().characters + 5
    assert both.name == "wikitext-2-and-1-more"


def test_the_list_says_where_each_corpus_is() -> None:
    Path("corpora").mkdir()
    shutil.copy(__file__, "corpora/names.txt")
    listed = {listing.name: listing for listing in listed_corpora()}

    assert listed["python-docs"].place == "here"
    assert listed["text8"].place == "to download"
    assert listed["text8"].split == "90M/5M/5M"
    assert listed["tiny-shakespeare"].split == "90%/10%"
    assert listed["penn-treebank"].place == "by hand"
    assert listed["penn-treebank"].split == "own files"
    assert (listed["names"].place, listed["names"].path) == ("here", "corpora/names.txt")
