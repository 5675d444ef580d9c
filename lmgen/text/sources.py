"""
Open files, folders, standard input, compressed files and JSON Lines as streams of str.

A text is never held in memory as a whole, and never altered except that a leading byte order mark is removed.
Reading bytes is done in raw.py; corpora with names are in corpora.py.
"""

import codecs
import os
import re
import sys
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import AnyStr

from lmgen.errors import CorpusError
from lmgen.settings import shown_path
from lmgen.text.counts import TextCounts, count
from lmgen.text.json_lines import DEFAULT_FIELD, record_texts
from lmgen.text.raw import Spool, arriving_blocks, file_blocks, readable
from lmgen.text.units import UNIT_END, Unit, line_stream, paragraphs, record_stream

STANDARD_INPUT = "-"
"""The name that stands for standard input where a path is expected."""

_JSON_LINES = re.compile(r"\.jsonl(\.(gz|bz2|xz|zst))?$", re.IGNORECASE)

_OTHER_FORMATS = {
    b"\x1f\x8b": "it looks like gzip: pipe it through zcat, or give it a name that ends in .gz",
    b"BZh": "it looks like bzip2: pipe it through bzcat, or give it a name that ends in .bz2",
    b"\xfd7zXZ": "it looks like xz: pipe it through xzcat, or give it a name that ends in .xz",
    b"\x28\xb5\x2f\xfd": "it looks like zstd: pipe it through zstdcat, or give it a name that ends in .zst",
    b"PK\x03\x04": "it looks like a zip archive: unpack it and name the folder",
    b"\xff\xfe\0\0": "it looks like UTF-32: convert it with iconv -f UTF-32 -t UTF-8",
    b"\0\0\xfe\xff": "it looks like UTF-32: convert it with iconv -f UTF-32 -t UTF-8",
    b"\xff\xfe": "it looks like UTF-16: convert it with iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "it looks like UTF-16: convert it with iconv -f UTF-16 -t UTF-8",
}
"""Advice for a file that is not UTF-8, by the first bytes of the format that it probably has."""

_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
"""The bytes that never begin a character in UTF-8."""


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

    def __repr__(self) -> str:
        return f"<Text {self.name}>"

    def in_units(self, unit: Unit) -> "Text":
        """The same text; for the unit `record` a stream of records, each ended by UNIT_END."""
        return Text(self.name, self.record_chunks, self.notes) if unit == "record" else self

    def record_chunks(self) -> Iterator[str]:
        """A new reading of the text as a stream of records: its own, else its paragraphs."""
        return self.records() if self.records else paragraphs(self.chunks())

    def part(self, start: int, end: int | None = None) -> "Text":
        """The characters from `start` up to but not including `end`; None means the end of the text."""
        return Text(self.name, lambda: cut(self.chunks(), start, end))

    def counts(self) -> TextCounts:
        """Count the characters, bytes, words and lines; reads the whole text."""
        return count(self.chunks())


class NotTextError(CorpusError):
    """The bytes of a text are not valid UTF-8."""


def open_text(name: str, *, field: str | None = None, errors: str = "strict", once: bool = False) -> Text:
    """
    Open a file, a folder, or standard input (`-`).

    The files of a folder are joined in the order of their paths; hidden files and files that are not UTF-8
    text are skipped. `.gz`, `.bz2`, `.xz` and `.zst` files are decompressed, and the text is extracted from
    `.jsonl` files. Standard input and named pipes are copied to disk, so that they can be read again.

    Args:
        name: a path, or `-`.
        field: the field of JSON Lines records that holds the text; `text` if None. Input from a pipe is read
            as JSON Lines if a field is given, and as plain text otherwise.
        errors: "strict", or "surrogateescape" to accept bytes that are not UTF-8; then no file is skipped.
        once: the caller reads the text only once, so that piped input need not be copied to disk.

    Raises:
        CorpusError: there is no such file or folder, or it cannot be read; raised while the text is read if
            it is empty, not UTF-8, not JSON, or damaged.
    """
    text = source(name, field=field, errors=errors, once=once)
    return joined(text.name, [text])


def joined(name: str, texts: Sequence[Text]) -> Text:
    """
    Join texts one after another, adding a line end between two where the first lacks it.

    Raises:
        CorpusError: all of them are empty; raised only when the joined text is read.
    """
    notes = tuple(note for text in texts for note in text.notes)
    return Text(name, lambda: _not_empty(name, _chained(texts)), notes, _joined_records(name, texts))


def source(name: str, *, field: str | None = None, errors: str = "strict", once: bool = False) -> Text:
    """Open one text as `open_text` does, but allow it to be empty, since it may be joined with others."""
    if name == STANDARD_INPUT:
        return _piped("standard input", _standard_input(), field, errors, once)
    path = Path(name)
    mode = _mode(path)
    if S_ISDIR(mode):
        return _folder(path, field, errors)
    if not S_ISREG(mode):
        return _piped(name, _pipe(path), field, errors, once)
    with readable(path), path.open("rb") as file:  # fail now, not in the middle of a training
        marked = errors == "strict" and file.read(len(BOM_UTF8)) == BOM_UTF8
    note = f"{name} begins with a byte order mark, which is skipped"
    return replace(_file(path, field, errors), notes=(note,) if marked else ())


def line_blocks(chunks: Iterable[str], limit: int = 1 << 18) -> Iterator[str]:
    """
    Regroup a text, whose chunks may end anywhere, into blocks that end at the ends of lines or records.

    A line longer than `limit` characters is cut after its last white space within the limit, or at the limit
    if there is none, and the rest of the line likewise. So where a line is cut depends on that line alone,
    not on the chunks. Complete lines are yielded at the end of each chunk, so that a text that is still being
    written is not delayed.

    Yields:
        Blocks of 1 to `limit` characters, which joined are the text. At most `limit` characters and one chunk
        are held in memory.
    """
    waiting: list[str] = []
    length = 0
    for chunk in chunks:
        waiting.append(chunk)
        length += len(chunk)
        if "\n" in chunk or UNIT_END in chunk or length > limit:
            text = "".join(waiting)
            position = 0
            while size := _complete_block(text, position, limit):
                yield text[position : position + size]
                position += size
            waiting, length = [text[position:]], len(text) - position
    if length:
        yield "".join(waiting)


def cut(chunks: Iterable[AnyStr], start: int, end: int | None) -> Iterator[AnyStr]:
    """The part of a stream of str or bytes from `start` up to but not including `end` (None: to the end)."""
    position = 0
    for chunk in chunks:
        stop = None if end is None else max(end - position, 0)
        if piece := chunk[max(start - position, 0) : stop]:
            yield piece
        position += len(chunk)
        if end is not None and position >= end:
            return


def decoded(
    blocks: Iterable[bytes], name: str, errors: str = "strict", *, fragment: bool = False
) -> Iterator[str]:
    """
    Decode a stream of UTF-8 bytes.

    Args:
        blocks: the bytes, in blocks that may end anywhere.
        name: the name of their source, for error messages.
        errors: as in `open_text`.
        fragment: the bytes were cut out of a longer text; drop a partial character at either end.

    Raises:
        NotTextError: a byte is invalid; the message names its offset, the probable format and what to do. All
            text before that byte has been yielded by then, however the blocks are cut.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    position, head = 0, b""
    for block in _with_empty_end(blocks):
        if fragment and not position:
            block = block.lstrip(_CONTINUATION_BYTES)
        head = head or block[:6]
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, final=not (block or fragment))
        except UnicodeDecodeError as error:
            offset = position - pending + error.start
            if before := error.object[: error.start].decode("utf-8"):
                yield before
            raise NotTextError(_invalid_byte(name, error.object[error.start], offset, head)) from error
        position += len(block)
        if text:
            yield text


def files_below(folder: Path, exclude: Callable[[str], bool] = lambda _: False) -> list[Path]:
    """
    All files in a folder and its subfolders, sorted by path, without hidden ones.

    Args:
        folder: where to look.
        exclude: tells from its name whether to skip a file, or a folder with everything in it.

    Raises:
        CorpusError: a folder cannot be listed.
    """

    def wanted(name: str) -> bool:
        return not (name.startswith(".") or exclude(name))

    found = []
    for parent, folders, files in os.walk(folder, onerror=_raise_unlistable):
        folders[:] = filter(wanted, folders)
        found += [Path(parent, name) for name in filter(wanted, files)]
    with readable(folder):
        return sorted(path for path in found if path.is_file())


def is_text(path: Path) -> bool:
    """Whether a file is valid UTF-8 without NUL characters; reads all of it."""
    try:
        return all("\0" not in chunk for chunk in decoded(file_blocks(path), str(path)))
    except NotTextError:
        return False


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


def _file(path: Path, field: str | None, errors: str) -> Text:
    name = str(path)
    record_field = field or DEFAULT_FIELD if _JSON_LINES.search(name) else None
    return _content(name, lambda: file_blocks(path), record_field, errors)


def _folder(folder: Path, field: str | None, errors: str) -> Text:
    files = files_below(folder)
    kept = files if errors != "strict" else [path for path in files if is_text(path)]
    if not kept:
        raise CorpusError(f"{folder} holds no text: none of its {len(files)} files is UTF-8 text")
    skipped = sorted(set(files) - set(kept))
    notes = (_skipped_note(folder, skipped, len(files)),) if skipped else ()
    texts = [_file(path, field, errors) for path in kept]
    return Text(str(folder), lambda: _chained(texts), notes, _joined_records(str(folder), texts))


def _skipped_note(folder: Path, skipped: list[Path], files: int) -> str:
    names = ", ".join(str(path.relative_to(folder)) for path in skipped[:3])
    more = ", ..." if len(skipped) > 3 else ""
    return f"skipped {len(skipped)} of {files} files in {folder} that are not UTF-8 text: {names}{more}"


def _piped(name: str, blocks: Iterator[bytes], field: str | None, errors: str, once: bool) -> Text:
    """A text from a pipe. It has no file name to recognise JSON Lines by, so `field` decides."""
    read: Callable[[], Iterator[bytes]] = (lambda: blocks) if once else Spool(blocks).blocks
    return _content(name, read, field, errors)


def _content(name: str, blocks: Callable[[], Iterator[bytes]], field: str | None, errors: str) -> Text:
    """Decode bytes as plain text if `field` is None, else as JSON Lines records with the text in `field`."""
    if field is None and errors == "strict":
        return Text(name, lambda: _without_byte_order_mark(decoded(blocks(), name)))
    if field is None:
        return Text(name, lambda: decoded(blocks(), name, errors))

    def texts() -> Iterator[list[str]]:  # JSON is always UTF-8, so `errors` does not apply
        return record_texts(_without_byte_order_mark(decoded(blocks(), name)), field, name)

    return Text(name, lambda: line_stream(texts()), records=lambda: record_stream(texts()))


def _without_byte_order_mark(chunks: Iterator[str]) -> Iterator[str]:
    """Remove the byte order mark that some programs write at the start of UTF-8 files."""
    if first := next(chunks, "").removeprefix("\ufeff"):
        yield first
    yield from chunks


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


def _complete_block(text: str, position: int, limit: int) -> int:
    """Length of the next block of `line_blocks` from `position` on; 0 if it depends on text not yet read."""
    end = 1 + max(text.rfind(mark, position, position + limit) for mark in ("\n", UNIT_END))
    if end:
        return end - position
    if len(text) - position <= limit:
        return 0
    window = text[position : position + limit]
    return limit if window[-1].isspace() else limit - len(window.rsplit(maxsplit=1)[-1]) or limit


def _with_empty_end(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The non-empty blocks, followed by one empty block that marks the end."""
    for block in blocks:
        if block:
            yield block
    yield b""


def _invalid_byte(name: str, byte: int, offset: int, head: bytes) -> str:
    advice = next(
        (words for start, words in _OTHER_FORMATS.items() if head.startswith(start)),
        "convert it (iconv -f LATIN1 -t UTF-8), or train on bytes instead of characters: --tokenizer byte",
    )
    return f"{name} is not UTF-8 text (byte 0x{byte:02x} at offset {offset}); {advice}"


def _raise_unlistable(error: OSError) -> None:
    raise CorpusError(f"cannot list the folder {error.filename}: {error.strerror}") from error
