r"""
Texts that a Python program gives in place of files: a str, or many of them from a list or an iterator.

A str with a line end in it is a text, any other is the name of a file or corpus. Each of many texts is a
record: read as one document they follow one another, each ending in a line end; in a stream of records each
ends in UNIT_END (units.py).
"""

import codecs
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from os import PathLike, fspath
from typing import Any, TypeGuard

from lmgen.errors import ConfigError, CorpusError
from lmgen.settings import LONGEST_NAME, shown, shown_path
from lmgen.text.raw import Spool
from lmgen.text.sources import Text
from lmgen.text.units import UNIT_END, record_stream

GIVEN = "(text from Python)"
"""Stands for a given text where a run keeps the names of its files; a number follows if there are many."""

BLOCK_CHARACTERS = 1 << 18
"""Characters of a text that are read at a time."""

GROUP = 256
"""Texts of a list or an iterator that are read at a time."""


def placeholder(number: int) -> str:
    """The n-th name that stands for a given text: `(text from Python)`, `(text from Python) 2`, ..."""
    return GIVEN if number == 1 else f"{GIVEN} {number}"


def is_placeholder(name: str | None) -> TypeGuard[str]:
    """Whether a name that a run keeps stands for a text that no file holds."""
    return name is not None and name.startswith(GIVEN)


def given_text(name: str, texts: Mapping[str, Text]) -> Text:
    """
    The text that a placeholder stands for.

    Raises:
        CorpusError: it is not here: the name comes from the settings of another run.
    """
    if name not in texts:
        raise CorpusError(
            f"{name} stands for a text that a program gave, and no file holds it; give it again"
        )
    return texts[name]


def is_text(value: object) -> bool:
    """Whether a value is a text itself: a str with a line end in it."""
    return isinstance(value, str) and ("\n" in value or "\r" in value)


def opened(value: object, name: str, many: str = "give many texts as texts=...") -> Text | str:
    """
    A text as a `Text`, a path or name as a str.

    Args:
        value: a str, a path, or an opened text.
        name: what the text is called in messages.
        many: what to do with a list of texts, for the message.

    Raises:
        ConfigError: it is something else, such as bytes or a list, or empty.
    """
    if isinstance(value, Text):
        return value
    path = fspath(value) if isinstance(value, PathLike) else value
    if isinstance(path, bytes | bytearray):
        raise ConfigError(f"{name} is bytes, but has to be a str: decode it (.decode()), or name its file")
    if not isinstance(path, str):
        advice = many if isinstance(value, Iterable) else "give a text, or the name of one"
        raise ConfigError(f"{name} is {shown(value)}; {advice}")
    if not path:
        raise ConfigError(f"{name} is an empty str; give a text, or the name of one")
    if value is path and is_text(path):
        return text_of(path, name)
    if value is path and len(path) > LONGEST_NAME and any(map(str.isspace, path)):
        raise ConfigError(
            f"{name} is {shown_path(path)!r}, too long for a name; to be taken for a text, it needs a line "
            "end (\\n) in it"
        )
    return path


def a_text(value: object, name: str) -> str:
    """
    Check an argument that has to be a text.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, str):
        raise ConfigError(f"{name} is {shown(value)}, but has to be a str")
    return value


def each_text(values: Any, name: str, wanted: str = "a list or an iterator of texts") -> Iterator[str]:
    """
    Check an argument that has to be a list or an iterator of texts.

    Args:
        values: the argument.
        name: its name, for messages.
        wanted: what it has to be, for messages.

    Raises:
        ConfigError: it is something else, such as a dict; or one of the texts is, raised when it is read.
    """
    if isinstance(values, str | bytes | PathLike | Mapping | Text) or not isinstance(values, Iterable):
        raise ConfigError(f"{name} is {shown(values)}, but has to be {wanted}")
    return (a_text(value, f"{name}: text {number}") for number, value in enumerate(values, 1))


def text_of(text: str, name: str) -> Text:
    """
    A str as a text; like that of a file, its byte order mark is no part of it.

    Raises:
        CorpusError: it has a lone surrogate.
    """
    refuse_surrogates(text, name)
    begin = int(text.startswith("\ufeff"))
    return Text(
        name,
        lambda: (text[at : at + BLOCK_CHARACTERS] for at in range(begin, len(text), BLOCK_CHARACTERS)),
        in_memory=True,
    )


def refuse_surrogates(text: str, name: str) -> None:
    """
    Refuse a lone surrogate: no file can hold one, and one of them ends a record here.

    Raises:
        CorpusError: there is one.
    """
    for at in range(0, len(text), BLOCK_CHARACTERS):
        try:
            text[at : at + BLOCK_CHARACTERS].encode()
        except UnicodeEncodeError as error:
            place = at + error.start
            raise CorpusError(
                f"U+{ord(text[place]):X} at character {place:,} of {name} is a lone surrogate, which UTF-8 "
                'cannot encode; remove it, or read the text again with errors="replace"'
            ) from error


def texts_of(texts: Any, name: str) -> Text:
    """
    Many texts as one. An iterator is copied to disk while it is read for the first time.

    Args:
        texts: a list or an iterator of str.
        name: what they are called in messages.

    Raises:
        ConfigError: it is something else.
        CorpusError: there is no text in it, or one is no str or has a lone surrogate; raised only when an
            iterator is read.
    """
    each_text(texts, name)
    if isinstance(texts, list | tuple):
        kept = list(texts)
        for _ in _records(kept, name):  # says now what is wrong with them
            pass
        return _of_records(name, lambda: _records(kept, name))
    spool = Spool(text.encode("utf-8", "surrogatepass") for text in _records(texts, name))
    return _of_records(name, lambda: _decoded(spool.blocks()))


def _of_records(name: str, records: Callable[[], Iterator[str]]) -> Text:
    """A text by the stream of its records."""
    return Text(name, lambda: (chunk.replace(UNIT_END, "\n") for chunk in records()), records=records)


def _records(texts: Iterable[Any], name: str) -> Iterator[str]:
    """The stream of records that some texts are."""
    remaining = iter(texts)
    taken, is_empty = 0, True
    while group := list(islice(remaining, GROUP)):
        try:
            "".join(group).encode()
        except (TypeError, UnicodeEncodeError):
            for number, text in enumerate(group, taken + 1):
                if not isinstance(text, str):
                    raise ConfigError(
                        f"{name}: text {number} is {shown(text)}, but has to be a str"
                    ) from None
                refuse_surrogates(text, f"{name}: text {number}")
        taken += len(group)
        is_empty = is_empty and not any(group)
        yield from record_stream([group])
    if is_empty:
        raise CorpusError(f"{name} is empty; give a text with something in it")


def _decoded(blocks: Iterator[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
    yield from filter(None, map(decoder.decode, blocks))
