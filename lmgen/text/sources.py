"""
Texts as streams of str: files, folders, standard input, compressed files, JSON Lines.

Text is never altered, but for a byte order mark in front, and never held in memory as a whole. How bytes are
got out of files is in raw.py; corpora that are known by name are in corpora.py.
"""

import codecs
import os
import re
import sys
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import AnyStr

from lmgen.errors import CorpusError
from lmgen.text.counts import TextCounts, count
from lmgen.text.json_lines import DEFAULT_FIELD, record_texts
from lmgen.text.raw import Spool, arriving_blocks, file_blocks, readable

STANDARD_INPUT = "-"

_JSON_LINES = re.compile(r"\.jsonl(\.(gz|bz2|xz|zst))?$", re.IGNORECASE)

_WHAT_ELSE = {
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
"""What a file that is not UTF-8 text probably is, by its first bytes."""

_INSIDE_A_CHARACTER = bytes(range(0x80, 0xC0))
"""The bytes that never begin a character in UTF-8."""


@dataclass(frozen=True)
class Text:
    """A text that can be read again and again, each time from its start, as a stream."""

    name: str
    """What to call it in messages: a path, or the name of a corpus."""

    chunks: Callable[[], Iterator[str]]
    """Reads the text once more, in non-empty pieces that are cut anywhere."""

    notes: tuple[str, ...] = ()
    """What a user should be told about it."""

    def part(self, start: int, end: int | None = None) -> "Text":
        """The characters from `start` up to `end` (not included; None: to the end of the text)."""
        return Text(self.name, lambda: cut(self.chunks(), start, end))

    def counts(self) -> TextCounts:
        """Read the whole text to see how long it is."""
        return count(self.chunks())


class NotTextError(CorpusError):
    """Bytes that are not UTF-8."""


def open_text(name: str, *, field: str | None = None, errors: str = "strict", once: bool = False) -> Text:
    """
    Open a file, a folder, or standard input (`-`).

    A folder's files are read one after another, in the order of their paths; hidden files, and files that
    are not UTF-8 text, are left out. `.gz`, `.bz2`, `.xz`, `.zst` are decompressed and `.jsonl` is taken
    apart, alone and in folders. What can be read only once (standard input, a named pipe) is copied to disk.

    Args:
        name: a path, or `-`.
        field: where the text is in the records of `.jsonl` files; `text` if None. What comes out of a pipe is
            taken for JSON Lines if a field is named, for plain text otherwise.
        errors: "strict", or "surrogateescape" to let bytes pass that are not UTF-8; it leaves no file out.
        once: the text will be read only once: copy nothing, hand on what arrives.

    Raises:
        CorpusError: there is no such file or folder, it cannot be read, or (when it is read) it is empty, not
            UTF-8, not JSON, or damaged.
    """
    text = source(name, field=field, errors=errors, once=once)
    return joined(text.name, [text])


def joined(name: str, texts: Sequence[Text]) -> Text:
    """
    Several texts one after another; where one does not end in a line end, one is put before the next.

    Raises:
        CorpusError: (when it is read) all of them are empty.
    """
    notes = tuple(note for text in texts for note in text.notes)
    return Text(name, lambda: _not_empty(name, _in_turn(texts)), notes)


def source(name: str, *, field: str | None = None, errors: str = "strict", once: bool = False) -> Text:
    """Open one text as `open_text` does, but let it be empty: the texts beside it may not be."""
    if name == STANDARD_INPUT:
        return _arriving("standard input", _standard_input(), field, errors, once)
    path = Path(name)
    mode = _mode(path)
    if S_ISDIR(mode):
        return _folder(path, field, errors)
    if not S_ISREG(mode):
        return _arriving(name, _pipe(path), field, errors, once)
    with readable(path), path.open("rb") as file:  # found out now, not in the middle of the work
        marked = errors == "strict" and file.read(len(BOM_UTF8)) == BOM_UTF8
    note = f"{name} begins with a byte order mark, which is left out"
    return replace(_file(path, field, errors), notes=(note,) if marked else ())


def line_blocks(chunks: Iterable[str], limit: int = 1 << 18) -> Iterator[str]:
    """
    Regroup a text that comes in pieces cut anywhere into blocks that end where a line does.

    A line longer than `limit` characters is cut just after its last blank within the limit, or at the limit
    if it has none there, then again from the cut on. So cuts inside a line depend on that line alone, never
    on how the chunks were cut. Complete lines are passed on as soon as a chunk ends, so that a text that is
    still being written is not held back.

    Yields:
        Blocks of 1 to `limit` characters; joined, they are the text. At most `limit` characters and one chunk
        are held at a time.
    """
    waiting: list[str] = []
    length = 0
    for chunk in chunks:
        waiting.append(chunk)
        length += len(chunk)
        if "\n" in chunk or length > limit:
            text = "".join(waiting)
            position = 0
            while size := _certain_block(text, position, limit):
                yield text[position : position + size]
                position += size
            waiting, length = [text[position:]], len(text) - position
    if length:
        yield "".join(waiting)


def cut(chunks: Iterable[AnyStr], start: int, end: int | None) -> Iterator[AnyStr]:
    """What stands from `start` up to `end` (not included; None: to the end) in a stream of text or bytes."""
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
    UTF-8 text from bytes that are cut anywhere.

    Args:
        blocks: the bytes.
        name: what to call them in messages.
        errors: as in `open_text`.
        fragment: the bytes were cut out of a longer text; a character cut in two at either end is left out.

    Raises:
        NotTextError: they are not UTF-8; the message says where, what it may be and what to do. All the text
            before that place has come out by then, wherever the bytes are cut.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    position, head = 0, b""
    for block in _with_end(blocks):
        if fragment and not position:
            block = block.lstrip(_INSIDE_A_CHARACTER)
        head = head or block[:6]
        undecided = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, final=not (block or fragment))
        except UnicodeDecodeError as error:
            offset = position - undecided + error.start
            if before := error.object[: error.start].decode("utf-8"):
                yield before
            raise NotTextError(_not_text(name, error.object[error.start], offset, head)) from error
        position += len(block)
        if text:
            yield text


def files_below(folder: Path, leave_out: Callable[[str], bool] = lambda _: False) -> list[Path]:
    """
    All files in a folder and the folders in it, by path; not the hidden ones, nor names to `leave_out`.

    Raises:
        CorpusError: a folder cannot be listed.
    """

    def wanted(name: str) -> bool:
        return not (name.startswith(".") or leave_out(name))

    found = []
    for parent, folders, files in os.walk(folder, onerror=_not_listed):
        folders[:] = filter(wanted, folders)
        found += [Path(parent, name) for name in filter(wanted, files)]
    with readable(folder):
        return sorted(path for path in found if path.is_file())


def is_text(path: Path) -> bool:
    """Whether a whole file is UTF-8 and, as text is, without NUL characters."""
    try:
        return all("\0" not in chunk for chunk in decoded(file_blocks(path), str(path)))
    except NotTextError:
        return False


def _not_empty(name: str, chunks: Iterable[str]) -> Iterator[str]:
    empty = True
    for chunk in chunks:
        empty = False
        yield chunk
    if empty:
        raise CorpusError(f"{name} is empty; give a text with something in it")


def _in_turn(texts: Iterable[Text]) -> Iterator[str]:
    last = "\n"
    for text in texts:
        between = "" if last == "\n" else "\n"
        for chunk in text.chunks():
            if between:
                yield between
                between = ""
            yield chunk
            last = chunk[-1]


def _file(path: Path, field: str | None, errors: str) -> Text:
    name = str(path)
    record_field = field or DEFAULT_FIELD if _JSON_LINES.search(name) else None
    return _content(name, lambda: file_blocks(path), record_field, errors)


def _folder(folder: Path, field: str | None, errors: str) -> Text:
    files = files_below(folder)
    kept = files if errors != "strict" else [path for path in files if is_text(path)]
    if not kept:
        raise CorpusError(f"{folder} holds no text: none of its {len(files)} files is UTF-8 text")
    left_out = sorted(set(files) - set(kept))
    notes = (_left_out_note(folder, left_out, len(files)),) if left_out else ()
    texts = [_file(path, field, errors) for path in kept]
    return Text(str(folder), lambda: _in_turn(texts), notes)


def _left_out_note(folder: Path, left_out: list[Path], files: int) -> str:
    names = ", ".join(str(path.relative_to(folder)) for path in left_out[:3])
    more = ", ..." if len(left_out) > 3 else ""
    return f"{len(left_out)} of {files} files in {folder} are no UTF-8 text and are left out: {names}{more}"


def _arriving(name: str, blocks: Iterator[bytes], field: str | None, errors: str, once: bool) -> Text:
    """A text that comes out of a pipe; JSON Lines where a field is named, since it has no name to tell by."""
    again: Callable[[], Iterator[bytes]] = (lambda: blocks) if once else Spool(blocks).blocks
    return _content(name, again, field, errors)


def _content(name: str, blocks: Callable[[], Iterator[bytes]], field: str | None, errors: str) -> Text:
    """Bytes as the text that they are, or as the text in a field of JSON Lines records."""
    if field is None and errors == "strict":
        return Text(name, lambda: _unmarked(decoded(blocks(), name)))
    if field is None:
        return Text(name, lambda: decoded(blocks(), name, errors))
    # JSON is UTF-8 by definition, whatever bytes the rest of a corpus may hold.
    return Text(name, lambda: record_texts(_unmarked(decoded(blocks(), name)), field, name))


def _unmarked(chunks: Iterator[str]) -> Iterator[str]:
    """A text without the byte order mark that some programs begin UTF-8 with: it is no part of the text."""
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
    """What kind of file it is, as `stat` tells it."""
    try:
        with readable(path):
            return path.stat().st_mode
    except ValueError as error:
        raise CorpusError(f"{str(path)!r} cannot be the name of a file") from error


def _certain_block(text: str, position: int, limit: int) -> int:
    """Length of the next block from `position` on, or 0 if it depends on text still to come."""
    line_end = text.rfind("\n", position, position + limit) + 1
    if line_end:
        return line_end - position
    if len(text) - position <= limit:
        return 0
    window = text[position : position + limit]
    return limit if window[-1].isspace() else limit - len(window.rsplit(maxsplit=1)[-1]) or limit


def _with_end(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks that are not empty, and an empty one after the last."""
    for block in blocks:
        if block:
            yield block
    yield b""


def _not_text(name: str, byte: int, offset: int, head: bytes) -> str:
    advice = next(
        (words for start, words in _WHAT_ELSE.items() if head.startswith(start)),
        "convert it (iconv -f LATIN1 -t UTF-8), or train on bytes instead of characters: --tokenizer byte",
    )
    return f"{name} is not UTF-8 text (byte 0x{byte:02x} at offset {offset}); {advice}"


def _not_listed(error: OSError) -> None:
    raise CorpusError(f"cannot list the folder {error.filename}: {error.strerror}") from error
