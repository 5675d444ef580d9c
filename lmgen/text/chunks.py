"""Texts as streams of chunks, which may end anywhere: regrouped, cut, compared."""

from collections.abc import Iterable, Iterator
from typing import AnyStr

from lmgen.text.units import UNIT_END


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


def alike(chunks: Iterable[str], others: Iterable[str]) -> bool:
    """Whether two texts in chunks that may end anywhere are the same; they are read to where they differ."""
    ones, twos = filter(None, chunks), filter(None, others)
    one = two = ""
    while True:
        one, two = one or next(ones, ""), two or next(twos, "")
        size = min(len(one), len(two))
        if not size or one[:size] != two[:size]:
            return one == two
        one, two = one[size:], two[size:]


def _complete_block(text: str, position: int, limit: int) -> int:
    """Length of the next block of `line_blocks` from `position` on; 0 if it depends on text not yet read."""
    end = 1 + max(text.rfind(mark, position, position + limit) for mark in ("\n", UNIT_END))
    if end:
        return end - position
    if len(text) - position <= limit:
        return 0
    window = text[position : position + limit]
    return limit if window[-1].isspace() else limit - len(window.rsplit(maxsplit=1)[-1]) or limit
