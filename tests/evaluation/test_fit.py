"""A text in other line ends, normal form, case or script than a model's is told apart, and no other."""

import textwrap
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmgen.evaluation import fit
from lmgen.evaluation.fit import SAMPLE, FitCheck, Misfit, beginning_of, mended, misfit, passages
from lmgen.runs.ngram import fit_ngram
from lmgen.text.units import Unit
from lmgen.text_model import TextModel
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer
from tests.fakes import random_bigram_model
from tests.sentences import sentences

PLAIN = "".join(line.capitalize() + ".\n" for line in sentences(900).splitlines())
ACCENTED = PLAIN.replace("old", "élégant").replace("mat", "façade").replace("sat", "rêva")

KINDS = ("char", "byte", "word", "bpe")


def crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def cr(text: str) -> str:
    return text.replace("\n", "\r")


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def misread(text: str) -> str:
    return text.encode().decode("latin-1")


def marked(text: str) -> str:
    """With a byte order mark before every fifth line, as joined files have them."""
    lines = text.splitlines(keepends=True)
    return "".join("\ufeff" * (number % 5 == 2) + line for number, line in enumerate(lines))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TextModel]:
    """Fits a model of a kind on a text; each only once."""
    made: dict[tuple[str, str], TextModel] = {}
    folder = tmp_path_factory.mktemp("models")

    def of(kind: str, text: str) -> TextModel:
        if (kind, text) not in made:
            file = folder / f"{len(made)}.txt"
            file.write_text(text, encoding="utf-8", newline="")
            size: dict[str, Any] = {"vocab_size": 400} if kind == "bpe" else {}
            out = file.with_suffix(".safetensors")
            fit_ngram([str(file)], 4, out, tokenizer=kind, **size)
            made[kind, text] = TextModel.load(out)
        return made[kind, text]

    return of


def found(model: TextModel, text: str) -> Misfit | None:
    return misfit(model.model, model.tokenizer, text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "said", "flag"),
    [
        (crlf, r"with line ends \n in place of \r\n", "--newlines lf"),
        (cr, r"with line ends \n in place of \r", "--newlines lf"),
        (nfd, "in NFC", "--normalize nfc"),
        (full_width, "in NFKC", "--normalize nfkc"),
        (misread, "mended to é", "iconv -f UTF-8 -t CP1252"),
        (marked, "without the byte order marks", "sed"),
        (str.upper, "in lower case", "lower"),
        (lambda text: crlf(nfd(text)), "in NFC", "--normalize nfc"),
    ],
    ids=["crlf", "cr", "nfd", "full-width", "misread", "marked", "upper", "two"],
)
def test_a_text_that_was_changed_is_told_how(
    kind: str, change: Callable[[str], str], said: str, flag: str, fitted: Callable[..., TextModel]
) -> None:
    model = fitted(kind, ACCENTED)
    result = found(model, change(ACCENTED[-4000:]))

    if kind == "word" and change is crlf:  # \r is white space to it, and lost
        assert result is None
        return
    assert result is not None
    assert said in result.instead
    assert flag in result.remedy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "said", "in_training"),
    [
        (crlf, r"with line ends \r\n, as the model's text has them,", "--newlines lf"),
        (nfd, "in NFD", "--normalize nfc"),
        (str.lower, "in upper case", None),
    ],
    ids=["crlf", "nfd", "upper"],
)
def test_a_model_of_the_stranger_text_is_told_apart_too(
    kind: str,
    change: Callable[[str], str],
    said: str,
    in_training: str | None,
    fitted: Callable[..., TextModel],
) -> None:
    """The text given is the plain one; that of the model was changed."""
    if change is str.lower:
        model, text = fitted(kind, ACCENTED.upper()), ACCENTED[-4000:]
    else:
        model, text = fitted(kind, change(ACCENTED)), ACCENTED[-4000:]
    result = found(model, text)

    if kind == "word" and change is crlf:
        assert result is None
        return
    assert result is not None
    assert said in result.instead
    assert in_training is None or result.remedy(in_training=True).endswith(f"({in_training})")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [str, crlf, cr, nfd, full_width, str.upper, str.lower, marked])
def test_a_text_like_the_models_own_fits(
    kind: str, change: Callable[[str], str], fitted: Callable[..., TextModel]
) -> None:
    own = change(ACCENTED)

    assert found(fitted(kind, own), own[-4000:]) is None
    assert found(fitted(kind, own), own) is None


@pytest.mark.parametrize("kind", KINDS)
def test_another_text_in_the_same_language_fits(kind: str, fitted: Callable[..., TextModel]) -> None:
    """Unknown words and characters alone are no misfit."""
    other = "".join(f"{line.title()}, or 12: so?\n" for line in sentences(80, seed=5, names=40).splitlines())

    assert found(fitted(kind, PLAIN), other) is None


def test_lines_that_are_glued_are_told_where_bits_hardly_tell(fitted: Callable[..., TextModel]) -> None:
    """Line ends that a word model predicts cost about what they save at the words after them."""
    text = "".join(
        f"{line}; " * (number % 3) for number, line in enumerate(sentences(1500, names=100).split())
    )
    wrapped = textwrap.fill(text, 60) + "\n"
    result = found(fitted("word", wrapped), cr(wrapped))

    assert result is not None
    assert result.instead.startswith(r"with line ends \n in place of \r ")
    assert result.remedy().endswith("(--newlines lf)")
    assert found(fitted("word", cr(wrapped)), cr(wrapped)) is None
    assert found(fitted("word", wrapped), wrapped.replace(" ", "\r", 9)) is None


def test_the_note_is_in_numbers(fitted: Callable[..., TextModel]) -> None:
    text = "café\n" * 30
    model = fitted("word", "café crème\n" * 50)
    result = found(model, nfd(text))

    assert result is not None
    assert result.note("x.txt") == (
        "x.txt: 30 of 30 words are unknown; in NFC none would be (--normalize nfc)"
    )
    assert result.added_to("30 are unknown") == "30 are unknown; in NFC none would be (--normalize nfc)"


def test_a_long_text_is_judged_by_its_beginning(fitted: Callable[..., TextModel]) -> None:
    model = fitted("char", PLAIN)
    result = found(model, crlf(PLAIN)[: SAMPLE + 1])

    assert result is not None
    assert f" of the first {SAMPLE - crlf(PLAIN)[:SAMPLE].count(chr(10)):,} characters" in result.problem
    assert result.added_to("note").startswith("note; ")
    assert result.problem in result.added_to("note")


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_letters_that_the_model_never_saw_are_named(kind: str, fitted: Callable[..., TextModel]) -> None:
    result = found(fitted(kind, PLAIN), "и вот она пошла домой\n" * 20)

    assert result is not None
    assert result.problem.startswith(
        "100% of its letters are such that the model never saw, most of them Cyrillic"
    )


def test_bytes_that_the_model_never_saw_are_told_by_bits(fitted: Callable[..., TextModel]) -> None:
    result = found(fitted("byte", PLAIN), "и вот она пошла домой\n" * 20)

    assert result is not None
    assert "bits per byte, where a model that knows nothing takes 8" in result.problem


def test_a_model_that_reads_a_text_so_itself_is_not_told_to(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(ACCENTED, encoding="utf-8")
    out = tmp_path / "a.safetensors"
    fit_ngram([str(tmp_path / "a.txt")], 3, out, newlines="lf", normalize="nfc")
    model = TextModel.load(out)

    assert found(model, crlf(nfd(ACCENTED))) is None
    notes: list[str] = []
    same = [
        next(model.perplexity(write(tmp_path, text), on_note=notes.append))
        for text in (ACCENTED, crlf(nfd(ACCENTED)), cr(ACCENTED))
    ]
    assert same[0] == same[1] == same[2]


def write(folder: Path, text: str) -> str:
    file = folder / "text.txt"
    file.write_text(text, encoding="utf-8", newline="")
    return str(file)


def test_the_flags_read_a_text_as_the_model_knows_it(
    fitted: Callable[..., TextModel], tmp_path: Path
) -> None:
    model = fitted("char", ACCENTED)
    notes: list[str] = []
    other = write(tmp_path, crlf(nfd(ACCENTED)))
    [read] = model.perplexity(other, newlines="lf", normalize="nfc", on_note=notes.append)
    [own] = model.perplexity(write(tmp_path, ACCENTED))

    assert read == own
    assert not [note for note in notes if "unknown" in note or "fit" in note]


@pytest.mark.parametrize("by", ["line", "token"])
def test_one_note_by_line_and_token(by: str, fitted: Callable[..., TextModel], tmp_path: Path) -> None:
    notes: list[str] = []
    file = write(tmp_path, crlf(PLAIN))
    list(fitted("char", PLAIN).perplexity(file, by=by, on_note=notes.append))  # type: ignore[call-overload]

    [note] = notes
    assert "`\\r` (900)" in note
    assert note.endswith("(--newlines lf)")


@pytest.mark.parametrize("by", ["line", "token"])
def test_what_bits_tell_is_told_before_the_rows(
    by: str, fitted: Callable[..., TextModel], tmp_path: Path
) -> None:
    notes: list[str] = []
    rows = fitted("byte", PLAIN).perplexity(write(tmp_path, crlf(PLAIN)), by=by, on_note=notes.append)  # type: ignore[call-overload]
    next(rows)

    [note] = notes
    assert note.endswith("(--newlines lf)")
    list(rows)
    assert len(notes) == 1


RUSSIAN = "Старый моряк чинит лодку у моста.\nДевочка несёт письмо через сад, а кот спит.\n" * 20


@pytest.mark.parametrize("by", ["document", "line", "word"])
@pytest.mark.parametrize("other", ["utf-8", "koi8-r", "cp1251"])
def test_a_text_in_another_encoding_than_the_models_is_told_which(
    other: str, by: str, tmp_path: Path
) -> None:
    """As long as it can be decoded, wrongly, in the encoding that the model remembers."""
    own, text = tmp_path / "own.txt", tmp_path / "other.txt"
    russian = RUSSIAN.replace("С", "с") if other == "utf-8" else RUSSIAN
    own.write_text(russian, encoding="cp866")
    text.write_text(russian, encoding=other)
    fit_ngram([str(own)], 3, tmp_path / "m.safetensors", encoding="cp866")
    model = TextModel.load(tmp_path / "m.safetensors")

    def told(**settings: Any) -> list[str]:
        notes: list[str] = []
        list(model.perplexity(text, by=by, baseline=False, on_note=notes.append, **settings))  # type: ignore[call-overload]
        return [note for note in notes if not note.startswith("reading ")]

    [note] = told()
    assert note.endswith(f"read as {other.upper()} none would be (--encoding {other})")
    assert not told(encoding=other)


def test_one_note_by_document(fitted: Callable[..., TextModel], tmp_path: Path) -> None:
    notes: list[str] = []
    file = write(tmp_path, crlf(PLAIN))
    list(fitted("char", PLAIN).perplexity(file, baseline=False, on_note=notes.append))

    assert len(notes) == 1
    assert "no bits per character" in notes[0]
    assert notes[0].endswith("(--newlines lf)")


@pytest.mark.parametrize(("by", "unit"), [("record", None), ("document", "record"), ("word", "record")])
def test_the_end_of_a_record_is_no_part_of_its_last_word(
    by: str, unit: Unit | None, fitted: Callable[..., TextModel], tmp_path: Path
) -> None:
    """A model of other units knows no end of a record: `<unk>` before one was split into `<`, `unk`, `>`."""
    text = PLAIN.replace(".", " .")
    out = tmp_path / "marks.safetensors"
    fit_ngram(
        [write(tmp_path, text)], 2, out, tokenizer="word", split_punctuation=True, unit="line", overwrite=True
    )
    records = text.replace(".", "zebra <unk>").replace("\n", "\n\n").encode()
    file = tmp_path / "records.txt"
    file.write_bytes(records)
    notes: list[str] = []
    list(TextModel.load(out).perplexity(file, by=by, unit=unit, on_note=notes.append))  # type: ignore[call-overload]

    assert len([note for note in notes if "zebra" in note]) == 1


def test_watching_changes_no_chunk(fitted: Callable[..., TextModel]) -> None:
    model = fitted("char", PLAIN)
    told: list[int] = []
    check = FitCheck(model.model, model.tokenizer, "document", lambda: told.append(1))
    chunks = [crlf(PLAIN)[begin : begin + 7001] for begin in range(0, 50_000, 7001)]

    assert list(check.passing(iter(chunks))) == chunks
    assert told == [1]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("text", [PLAIN, "x" * 3000, "", "\n\n\n", nfd("é" * 2000), " \n" * 900])
def test_passages_are_the_text(text: str, end: str) -> None:
    text = text.replace("\n", end)
    cut = passages(text)

    assert "".join(cut) == text
    assert all(len(passage) < 4 * fit.PASSAGE for passage in cut)
    assert not any(unicodedata.combining(passage[0]) for passage in cut)


def test_few_tokens_are_scored() -> None:
    """However long a text is, a model scores no more than a few thousand characters of it."""
    tokenizer = train_tokenizer(lambda: ["a"], TokenizerConfig(tokenizer="byte"))
    scored: list[int] = []

    class Counting:
        def __init__(self, model: object) -> None:
            self._model = model

        def __getattr__(self, name: str) -> object:
            return getattr(self._model, name)

        def score(self, state: object, ids: np.ndarray) -> object:
            scored.append(ids.size)
            return self._model.score(state, ids)  # type: ignore[attr-defined]

    misfit(Counting(random_bigram_model(tokenizer.vocabulary_size)), tokenizer, ACCENTED)  # type: ignore[arg-type]
    assert 0 < sum(scored) < 10_000


def test_nothing_is_said_about_what_no_model_can_score(fitted: Callable[..., TextModel]) -> None:
    model = fitted("byte", PLAIN)

    assert found(model, "") is None
    assert found(fitted("word", PLAIN), "\t\r \r\r") is None
    assert misfit(None, model.tokenizer, crlf(PLAIN)) is None
    assert mended(model.model, model.tokenizer, "THE OLD CAT") is None


def test_a_beginning_takes_no_more_of_a_stream_than_it_needs() -> None:
    def endless() -> Iterable[str]:
        while True:
            yield "some text\n"

    assert len(beginning_of(endless())) == SAMPLE + 1
