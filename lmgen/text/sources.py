"""
Open files, folders, archives and standard input as streams of str.

What a file is, is told from its name: compressed, an archive (archives.py), a table or other records
(records.py), a web page or Word document (documents.py), or plain text. A text is never held in memory as a
whole, and plain text is never altered except that a leading byte order mark is removed. Bytes are read in
raw.py and decoded in encodings.py; corpora with names are in corpora.py.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path, PurePath, PurePosixPath
from stat import S_ISDIR, S_ISFIFO, S_ISREG

from lmgen.errors import CorpusError
from lmgen.settings import shown_path
from lmgen.text.chunks import cut
from lmgen.text.counts import TextCounts, count
from lmgen.text.encodings import UTF_8, NotTextError, decoded, known_encoding, marked_encoding, may_be_mark
from lmgen.text.guessing import CONVERTED, REFUSED, format_advice
from lmgen.text.raw import Spool, arriving_blocks, file_blocks, readable
from lmgen.text.records import HAVE_DEFAULT_FIELD, RECORD_FORMATS, Field
from lmgen.text.units import Unit, line_stream, paragraphs, record_stream

STANDARD_INPUT = "-"
"""The name that stands for standard input where a path is expected."""

_COMPRESSED = re.compile(r"\.(gz|bz2|xz|zst)$", re.IGNORECASE)

_ARCHIVE = re.compile(r"\.(zip|tar(\.(gz|bz2|xz|zst))?|tgz|tbz2|txz)$", re.IGNORECASE)

_PAGES = (".html", ".htm", ".xhtml")

_WORD = ".docx"

_HIDDEN = (".", "~$")
"""How the names of files and folders begin that are left out: hidden ones, and locks of Word."""

_HEAD_BYTES = 4
"""Length of the longest byte order mark."""


@dataclass(frozen=True)
class Text:
    """A text that can be read from its start any number of times, as a stream."""

    name: str
    """Its name in messages: a path, or the name of a corpus."""

    chunks: Callable[[], Iterator[str]]
    """Starts a new reading of the text; yields non-empty chunks that may end anywhere."""

    notes: tuple[str, ...] = ()
    """Notes on it to show to the user."""

    records: Callable[[], Iterator[str]] | None = None
    """As `chunks`, for a structured text: its records, each ended by UNIT_END (units.py)."""

    encoding: str = UTF_8
    """The character encoding that its files are read in, unless a byte order mark says otherwise."""

    files: tuple[Path, ...] | None = None
    """The files that it consists of, if they are all that it depends on; None for a pipe, say."""

    in_memory: bool = False
    """Whether all of it is in memory, so that nobody has to wait for the rest."""

    def __repr__(self) -> str:
        return f"<Text {self.name}>"

    def in_units(self, unit: Unit) -> "Text":
        """The same text; for the unit `record` a stream of records, each ended by UNIT_END."""
        return replace(self, chunks=self.record_chunks, records=None) if unit == "record" else self

    def record_chunks(self) -> Iterator[str]:
        """A new reading of the text as a stream of records: its own, else its paragraphs."""
        return self.records() if self.records else paragraphs(self.chunks())

    def part(self, start: int, end: int | None = None) -> "Text":
        """The characters from `start` up to but not including `end`; None means the end of the text."""
        return Text(
            self.name, lambda: cut(self.chunks(), start, end), files=self.files, in_memory=self.in_memory
        )

    def counts(self) -> TextCounts:
        """Count the characters, bytes, words and lines; reads the whole text."""
        return count(self.chunks())


@dataclass(frozen=True)
class _Reading:
    """How to read files; the fields are arguments of `open_text`."""

    field: Field = None
    errors: str = "strict"
    encoding: str = UTF_8
    tabs: bool = False

    @property
    def takes_any_bytes(self) -> bool:
        """Whether plain text may be anything, as a model of bytes reads it."""
        return self.errors != "strict" and self.encoding == UTF_8

    def needs_field(self, name: str) -> bool:
        """Whether the field of the records in a file of this name, if it has any, has to be named."""
        suffix = _suffix(name)
        return self.field is None and self.has_records(suffix) and suffix not in HAVE_DEFAULT_FIELD

    def has_records(self, suffix: str) -> bool:
        """Whether a file whose name ends so holds records, of which a field is the text."""
        return suffix in RECORD_FORMATS and not (self.tabs and suffix == ".tsv")


@dataclass(frozen=True)
class _File:
    """A file, or a member of an archive: its name in messages, and how to read its (decompressed) bytes."""

    name: str
    blocks: Callable[[], Iterator[bytes]]


def open_text(
    name: str,
    *,
    field: Field = None,
    errors: str = "strict",
    encoding: str = UTF_8,
    once: bool = False,
    tabs: bool = False,
) -> Text:
    """
    Open a file, a folder, an archive (`.zip`, `.tar`, `.tar.gz`, ...), or standard input (`-`).

    The files of a folder or archive are joined in natural order (`natural_order`); hidden files and those
    that are not text are skipped. `.gz`, `.bz2`, `.xz` and `.zst` files are decompressed. The text is
    extracted from the records of `.jsonl`, `.ndjson`, `.json`, `.csv` and `.tsv` files, and from `.html` and
    `.docx`. Standard input and named pipes are copied to disk, so that they can be read again.

    Args:
        name: a path, or `-`.
        field: the field of records, or the column, that holds the text. None: `text` in JSON Lines; in others
            it has to be named. Input from a pipe is read as JSON Lines if a field is given, and as plain text
            otherwise. Of several fields the texts are joined by FIELD_END (records.py).
        errors: "strict", or "surrogateescape" to accept NULs and bytes that are not UTF-8 in plain text.
        encoding: the character encoding, unless a byte order mark says otherwise.
        once: the caller reads the text only once, so that piped input need not be copied to disk.
        tabs: read `.tsv` as the lines of text that it consists of, tabs and all.

    Raises:
        ConfigError: there is no such encoding.
        CorpusError: there is no such file or folder, or it cannot be read; raised while the text is read if
            it is empty, not text, not in the format that its name says, or damaged.
    """
    text = source(name, field=field, errors=errors, encoding=encoding, once=once, tabs=tabs)
    return joined(text.name, [text])


def joined(name: str, texts: Sequence[Text]) -> Text:
    """
    Join texts one after another, adding a line end between two where the first lacks it.

    Raises:
        CorpusError: all of them are empty; raised only when the joined text is read.
    """
    notes = tuple(note for text in texts for note in text.notes)
    encodings = {text.encoding for text in texts}
    return Text(
        name,
        lambda: _not_empty(name, _chained(texts)),
        notes,
        _joined_records(name, texts),
        encodings.pop() if len(encodings) == 1 else UTF_8,
        _joined_files(texts),
    )


def source(
    name: str,
    *,
    field: Field = None,
    errors: str = "strict",
    encoding: str = UTF_8,
    once: bool = False,
    tabs: bool = False,
) -> Text:
    """Open one text as `open_text` does, but allow it to be empty, since it may be joined with others."""
    reading = _Reading(field, errors, known_encoding(encoding), tabs)
    return replace(_source(name, reading, once=once), encoding=reading.encoding)


def _source(name: str, reading: _Reading, *, once: bool) -> Text:
    if name == STANDARD_INPUT:
        return _piped("standard input", _standard_input(), reading, once)
    path = Path(name)
    mode = _mode(path)
    if S_ISDIR(mode):
        paths = files_below(path)
        files = [_File(str(file), partial(file_blocks, file)) for file in paths]
        return replace(_several(str(path), files, reading), files=tuple(paths))
    if not S_ISREG(mode):
        return _piped(name, _pipe(path), reading, once)
    if _ARCHIVE.search(name):
        return replace(_several(str(path), _members(path), reading), files=(path,))
    with readable(path), path.open("rb") as opened:  # fail now, not in the middle of a training
        head = opened.read(_HEAD_BYTES)
    text = replace(_content(str(path), partial(file_blocks, path), reading), files=(path,))
    if reading.needs_field(name):
        next(text.chunks(), None)  # raises an error unless the records are texts themselves
    return text if reading.takes_any_bytes else replace(text, notes=_notes(name, head))


def is_piped(name: str) -> bool:
    """
    Whether a name is standard input, or a named pipe: what comes from it can be opened only once.

    Raises:
        CorpusError: there is no such file or folder.
    """
    return name == STANDARD_INPUT or S_ISFIFO(_mode(Path(name)))


def files_below(folder: Path, exclude: Callable[[str], bool] = lambda _: False) -> list[Path]:
    """
    All files in a folder and its subfolders, in natural order, without hidden ones.

    Args:
        folder: where to look.
        exclude: tells from its name whether to skip a file, or a folder with everything in it.

    Raises:
        CorpusError: a folder cannot be listed.
    """

    def wanted(name: str) -> bool:
        return not (name.startswith(_HIDDEN) or exclude(name))

    found = []
    for parent, folders, files in os.walk(folder, onerror=_raise_unlistable):
        folders[:] = filter(wanted, folders)
        found += [Path(parent, name) for name in filter(wanted, files)]
    with readable(folder):
        return sorted((path for path in found if path.is_file()), key=natural_order)


def natural_order(path: PurePath) -> tuple[object, ...]:
    """
    The key that sorts paths as people number them: `ch2/b`, `ch02/a`, `ch10/a`.

    Part after part of a path is compared, and in each the runs of digits by their value. Where only zeros
    before a number differ, the part with fewer of them comes first.
    """
    return tuple((_numbered(part), len(part), part) for part in path.parts)


def is_text(path: Path) -> bool:
    """Whether a file is valid UTF-8 without NUL characters; reads all of it."""
    return _is_text(_File(str(path), partial(file_blocks, path)), UTF_8)


def _not_empty(name: str, chunks: Iterable[str]) -> Iterator[str]:
    """Pass chunks through; raise a CorpusError at the end if there were none."""
    empty = True
    for chunk in chunks:
        empty = False
        yield chunk
    if empty:
        raise CorpusError(f"{name} is empty; give a text with something in it")


def _chained(texts: Iterable[Text]) -> Iterator[str]:
    """The chunks of all texts, with a line end between two texts where the first lacks it."""
    last = "\n"
    for text in texts:
        separator = "" if last == "\n" else "\n"
        for chunk in text.chunks():
            if separator:
                yield separator
                separator = ""
            yield chunk
            last = chunk[-1]


def _joined_records(name: str, texts: Sequence[Text]) -> Callable[[], Iterator[str]] | None:
    """The records of all texts; None if none of them has records of its own."""
    if not any(text.records for text in texts):
        return None
    return lambda: _not_empty(name, chain.from_iterable(text.record_chunks() for text in texts))


def _joined_files(texts: Sequence[Text]) -> tuple[Path, ...] | None:
    """The files of all texts; None if one of them depends on something else."""
    files: list[Path] = []
    for text in texts:
        if text.files is None:
            return None
        files += text.files
    return tuple(files)


def _numbered(name: str) -> list[object]:
    """A name with the runs of digits in it as their lengths and values, which can be compared."""
    return [
        (len(digits := part.lstrip("0")), digits) if place % 2 else part
        for place, part in enumerate(re.split("([0-9]+)", name))
    ]


def _members(path: Path) -> list[_File]:
    """The files in an archive, in natural order, without hidden ones."""
    from lmgen.text.archives import Archive

    archive = Archive(path)
    members = [(PurePosixPath(name), name) for name in archive.names()]
    return [
        _File(f"{path}:{member}", partial(archive.blocks, name))
        for member, name in sorted(members, key=lambda each: natural_order(each[0]))
        if not any(part.startswith(_HIDDEN) for part in member.parts)
    ]


def _several(name: str, files: Sequence[_File], reading: _Reading) -> Text:
    """The files of a folder or archive, joined; those that are not text, or need a field, are left out."""
    texts: list[Text] = []
    not_text, no_field, reasons = [], [], []
    for file in files:
        if not (reading.takes_any_bytes or _is_text(file, reading.encoding)):
            not_text.append(file.name)
            continue
        text = _content(file.name, file.blocks, reading)
        try:
            if reading.needs_field(file.name):
                next(text.chunks(), None)
            texts.append(text)
        except CorpusError as error:
            no_field.append(file.name)
            reasons.append(error)
    if not texts and reasons:
        raise reasons[0]
    if not texts and not files:
        raise CorpusError(f"{name} holds no text: there are no files in it, but hidden ones perhaps")
    if not texts:
        raise CorpusError(
            f"{name} holds no text: none of its {len(files)} files is {reading.encoding.upper()} text"
        )
    notes = (
        *_skipped(name, not_text, len(files), f"are not {reading.encoding.upper()} text"),
        *_skipped(name, no_field, len(files), "hold records, of which --field has to name a field"),
    )
    return Text(name, lambda: _chained(texts), notes, _joined_records(name, texts))


def _skipped(name: str, skipped: Sequence[str], files: int, why: str) -> tuple[str, ...]:
    """The note on some files that were left out."""
    if not skipped:
        return ()
    names = ", ".join(file.removeprefix(name).lstrip("/:") for file in skipped[:3])
    more = ", ..." if len(skipped) > 3 else ""
    return (f"skipped {len(skipped)} of {files} files in {name} that {why}: {names}{more}",)


def _is_text(file: _File, encoding: str) -> bool:
    """Whether a file can be read as text; reads all of it."""
    suffix = _suffix(file.name)
    if suffix == _WORD:
        return True
    try:
        _refuse_other_format(file.name, suffix)
        return all(True for _ in _characters(file.name, file.blocks, encoding))
    except NotTextError:
        return False


def _piped(name: str, blocks: Iterator[bytes], reading: _Reading, once: bool) -> Text:
    """A text from a pipe. Without a file name to recognise JSON Lines by, `field` decides."""
    read: Callable[[], Iterator[bytes]] = (lambda: blocks) if once else Spool(blocks).blocks
    return _content(name, read, reading, kind=".jsonl" if reading.field and not _suffix(name) else None)


def _content(
    name: str, blocks: Callable[[], Iterator[bytes]], reading: _Reading, kind: str | None = None
) -> Text:
    """
    The text of a file, in the format that the end of its name, or `kind`, says.

    Raises:
        NotTextError: a file of this name has to be converted first.
    """
    suffix = kind or _suffix(name)
    characters = partial(_characters, name, blocks, reading.encoding)
    if reading.has_records(suffix):
        return _of_records(name, suffix, characters, reading.field)
    if suffix in _PAGES:
        return Text(name, partial(_page_text, name, characters))
    if suffix == _WORD:
        return Text(name, partial(_word_text, name, blocks))
    if reading.takes_any_bytes:
        return Text(name, lambda: decoded(blocks(), name, reading.errors))
    _refuse_other_format(name, suffix)
    return Text(name, characters)


def _of_records(name: str, suffix: str, chunks: Callable[[], Iterator[str]], field: Field) -> Text:
    def texts() -> Iterator[list[str]]:
        return RECORD_FORMATS[suffix](chunks(), field, name)

    return Text(name, lambda: line_stream(texts()), records=lambda: record_stream(texts()))


def _page_text(name: str, chunks: Callable[[], Iterator[str]]) -> Iterator[str]:
    from lmgen.text.documents import html_text

    return html_text(chunks(), name)


def _word_text(name: str, blocks: Callable[[], Iterator[bytes]]) -> Iterator[str]:
    from lmgen.text.documents import docx_text

    return docx_text(blocks(), name)


def _suffix(name: str) -> str:
    """The end of a name that says what the file is, in small letters; `.csv` of `a.csv.gz`."""
    return PurePath(_COMPRESSED.sub("", name)).suffix.lower()


def _refuse_other_format(name: str, suffix: str) -> None:
    """Raise NotTextError for a file that has to be converted first, by the end of its name."""
    if suffix in CONVERTED:
        raise NotTextError(f"{name} is not text; {CONVERTED[suffix]}")


def _characters(name: str, blocks: Callable[[], Iterator[bytes]], encoding: str) -> Iterator[str]:
    """Decode a text; a byte order mark at its start says in which encoding, and is left out."""
    head, content = b"", blocks()
    for block in content:
        head += block
        if not (may_be_mark(head) or any(start.startswith(head) for start in REFUSED)):
            break
    if head.startswith(REFUSED):
        raise NotTextError(f"{name} is not text; {format_advice(head)}")
    encoding, length = marked_encoding(head) or (encoding, 0)
    yield from decoded(chain([head[length:]], content), name, encoding=encoding, start=length)


def _notes(name: str, head: bytes) -> tuple[str, ...]:
    """A note on the byte order mark that a file begins with, if it does."""
    marked = marked_encoding(head)
    if marked is None:
        return ()
    what = "which is skipped" if marked[0] == UTF_8 else f"that of {marked[0].upper()}, and is read as such"
    return (f"{name} begins with a byte order mark, {what}",)


def _standard_input() -> Iterator[bytes]:
    if sys.stdin is None:
        raise CorpusError("standard input is closed; pipe a text in, or name a file")
    return arriving_blocks(sys.stdin.buffer)


def _pipe(path: Path) -> Iterator[bytes]:
    with readable(path), path.open("rb") as file:
        yield from arriving_blocks(file)


def _mode(path: Path) -> int:
    """
    The `st_mode` of a path, which says whether it is a folder, a regular file or a pipe.

    Raises:
        CorpusError: it does not exist, may not be looked at, or has a NUL in its name.
    """
    try:
        with readable(path):
            return path.stat().st_mode
    except ValueError as error:
        raise CorpusError(f"{shown_path(path)!r} cannot be the name of a file") from error


def _raise_unlistable(error: OSError) -> None:
    raise CorpusError(f"cannot list the folder {error.filename}: {error.strerror}") from error
