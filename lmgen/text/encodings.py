"""
Decode a stream of bytes to text, in UTF-8 or in another character encoding.

What a file probably is that cannot be decoded is said by guessing.py.
"""

import codecs
import difflib
import re
from collections.abc import Iterable, Iterator
from encodings.aliases import aliases

from lmgen.errors import ConfigError, CorpusError
from lmgen.text.guessing import advice
from lmgen.text.raw import BLOCK_BYTES

UTF_8 = "utf-8"

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",  # before that of UTF-16, with which it begins
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: UTF_8,
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Encodings by the byte order mark that a file in them may begin with."""

HEAD_BYTES = 512
"""Bytes at the start of a text that its format is guessed from if it cannot be decoded."""

_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
"""The bytes that never begin a character in UTF-8."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class NotTextError(CorpusError):
    """The bytes of a text are not valid in its encoding, or there is a NUL among them."""


def known_encoding(name: str) -> str:
    """
    Check that Python knows a character encoding; returns its name, which for UTF-8 is always `utf-8`.

    Raises:
        ConfigError: there is no such encoding, or it is not one of text; the message suggests similar ones.
    """
    if _is_text_encoding(name):
        return UTF_8 if codecs.lookup(name).name == UTF_8 else name
    known = {*aliases, *aliases.values()}
    near = difflib.get_close_matches(name[:80].lower().replace("-", "_"), known, n=3)
    like = next((each.replace("_", "-") for each in near if _is_text_encoding(each)), None)
    guess = f"did you mean {like}?" if like else "use one such as utf-8 or cp1252"
    raise ConfigError(f"there is no character encoding {name[:80]!r}; {guess}")


def _is_text_encoding(name: str) -> bool:
    try:
        "a".encode(name)  # fails for those that are not of text, such as base64
        codecs.getincrementaldecoder(name)
    except (LookupError, ValueError):
        return False
    return True


def marked_encoding(head: bytes) -> tuple[str, int] | None:
    """The encoding that the byte order mark at the start of a file stands for, and the length of the mark."""
    return next(((name, len(mark)) for mark, name in _MARKS.items() if head.startswith(mark)), None)


def may_be_mark(head: bytes) -> bool:
    """Whether these first bytes of a file are the beginning of a longer byte order mark."""
    return any(mark.startswith(head) and mark != head for mark in _MARKS)


def decoded(
    blocks: Iterable[bytes],
    name: str,
    errors: str = "strict",
    encoding: str = UTF_8,
    *,
    start: int = 0,
    fragment: bool = False,
) -> Iterator[str]:
    """
    Decode a stream of bytes.

    Args:
        blocks: the bytes, in blocks that may end anywhere.
        name: the name of their source, for error messages.
        errors: "strict" for text; "surrogateescape" to accept NULs and bytes that are not UTF-8.
        encoding: a character encoding that Python knows.
        start: where the first of the bytes stands in the file.
        fragment: the bytes were cut out of a longer UTF-8 text; drop a partial character at either end.

    Raises:
        NotTextError: a byte is invalid, or NUL; the message names its offset, the probable format and what to
            do. All text before that byte has been yielded by then, however the blocks are cut.
    """
    decoder = codecs.getincrementaldecoder(encoding)(errors if encoding == UTF_8 else "strict")
    position, head, before = start, b"", b""
    remaining = _with_empty_end(blocks)
    for block in remaining:
        if fragment and not position:
            block = block.lstrip(_CONTINUATION_BYTES)
        head += block[: HEAD_BYTES - len(head)]
        state = decoder.getstate()
        begin = position - len(state[0])
        try:
            text = decoder.decode(block, final=not (block or fragment))
            problem = None
        except UnicodeDecodeError as error:
            decoder.setstate(state)
            text = decoder.decode(block[: max(error.start - len(state[0]), 0)])
            place = f"byte 0x{error.object[error.start]:02x} at offset {begin + error.start}"
            problem = f"is not {encoding.upper()} text ({place})"
        except UnicodeError as error:  # UTF-16 without a mark, and rare encodings
            text, problem = "", f"is not {encoding.upper()} text ({error})"
        if errors == "strict" and "\0" in text:
            text = text[: text.index("\0")]
            where = f" at offset {begin + len(text.encode())}" if encoding == UTF_8 else ""
            problem = f"is not text (byte 0x00{where})"
        if encoding != UTF_8 and _LONE_SURROGATE.search(text):
            raise NotTextError(f"{name} is not {encoding.upper()} text: it has a lone surrogate in it")
        if text:
            yield text
        if problem:
            if len(block) >= BLOCK_BYTES:  # so that more is likely there, and need not be waited for
                block += next(remaining, b"")
            sample = (before + block)[(len(before) - position) % 4 :]
            raise NotTextError(f"{name} {problem}; {advice(head, sample, encoding)}")
        position += len(block)
        before = block[-HEAD_BYTES:] if len(block) >= HEAD_BYTES else (before + block)[-HEAD_BYTES:]


def _with_empty_end(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The non-empty blocks, followed by one empty block that marks the end."""
    for block in blocks:
        if block:
            yield block
    yield b""
