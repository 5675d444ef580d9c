"""
A text coloured by surprisal, for people: `lmgen perplexity --format heat` and `lmgen sample --heat`.

A level is a range of bits. In colour its background says the level: both colours of a cell are set, so that
it reads on dark and on light terminals. Without colour a line of digits stands under each line of text:

    A class is called a stri
    2 1 3     1 24    1 2 1

Lines are wrapped here, at the width of the terminal, so that colours and digits stay with their characters;
a tab is blanks up to the next of its stops, and control characters are escaped.
"""

import os
import shutil
import sys
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lmgen.cli.output import CONTROL, flushing, visible
from lmgen.cli.tables import width
from lmgen.text.units import UNIT_END

if TYPE_CHECKING:
    from lmgen.evaluation.results import TokenScore
    from lmgen.text.sources import Text

BITS = (1, 2, 4, 8, 16)
"""Where the levels 1 to 5 begin, in bits; below is level 0, which is not marked."""

COLOURS = ("", "30;48;5;230", "30;48;5;222", "30;48;5;215", "30;48;5;208", "97;48;5;124")
"""Codes of a terminal for each level: black on pale yellow, yellow, pale orange, orange; white on red."""

TAB = 8
"""Columns between the stops of a tab."""


def wants_colour() -> bool:
    """Whether stdout gets colours: a terminal unless NO_COLOR is set, anything else if FORCE_COLOR is."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


class HeatOutput:
    """stdout for text whose pieces have a surprisal."""

    def __init__(self, *, colour: bool | None = None, columns: int | None = None) -> None:
        """
        Args:
            colour: colour the text; None: as `wants_colour` says.
            columns: where lines are wrapped; None: at the width of the terminal, if there is one.
        """
        self._file = sys.stdout.buffer
        self._terminal = sys.stdout.isatty()
        self._colour = wants_colour() if colour is None else colour
        if columns is None and self._terminal:
            columns = shutil.get_terminal_size().columns
        self._columns = columns
        self._column = 0
        self._level = 0
        """What the terminal colours in now."""
        self._line: list[str] = []
        self._marks: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._column:
            self._end_line()
        self._file.flush()

    def legend(self, of: str) -> None:
        """Print what the levels mean; `of` is whose surprisal it is."""
        names = [f"{begin}-{end}" for begin, end in zip((0, *BITS), BITS, strict=False)]
        self._put_all(f"bits a token, {visible(of)}: ", 0)
        for level, name in enumerate([*names, f"{BITS[-1]} and more"]):
            if self._colour:
                self._put_all(f" {name} ", level)
                self._put_all(" ", 0)
            else:
                self._put_all(f"  {level}: {name}" if level else f"  {name}", 0)
        self._end_line()

    def heading(self, text: str) -> None:
        """Print a line of its own."""
        if self._column:
            self._end_line()
        self._put_all(visible(text), 0)
        self._end_line()

    def write(self, text: str, bits: float | None = None) -> None:
        """Write a piece of text with its surprisal; None: it has none. A terminal gets it at once."""
        level = 0 if bits is None else bisect_right(BITS, bits)
        core = text.strip()
        if core and level:
            before, _, after = text.partition(core)
            self._put_all(before, 0)
            self._put_all(core, level)
            self._put_all(after, 0)
        else:
            self._put_all(text, level)
        if self._terminal:
            self._file.flush()

    def _put_all(self, text: str, level: int) -> None:
        for character in text:
            if character in ("\n", UNIT_END):
                if level:
                    self._put(" ", level)
                self._end_line()
                if character == UNIT_END:
                    self._end_line()
            elif character == "\t":
                for _ in range(TAB - self._column % TAB):
                    self._put(" ", level)
            elif CONTROL.match(character):
                for each in visible(character):
                    self._put(each, level)
            else:
                self._put(character, level)

    def _put(self, character: str, level: int) -> None:
        """Put a character where the line goes on."""
        columns = _columns_of(character)
        if self._columns and self._column + columns > max(self._columns, columns):
            self._end_line()
        if self._colour:
            if level != self._level and columns:  # a combining mark stays with its letter
                self._write(f"\x1b[0m\x1b[{COLOURS[level]}m" if level else "\x1b[0m")
                self._level = level
            self._write(character)
        else:
            self._line.append(character)
            self._marks.append((str(level) if level else " ") * columns)
        self._column += columns

    def _end_line(self) -> None:
        if self._colour:
            self._write("\x1b[0m\n" if self._level else "\n")
        else:
            self._write("".join(self._line) + "\n" + "".join(self._marks).rstrip() + "\n")
            self._line.clear()
            self._marks.clear()
        self._level = self._column = 0

    def _write(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "backslashreplace"))


class KeptText:
    """A text that is kept as it is read, until its characters are taken; a new reading begins anew."""

    def __init__(self, text: "Text") -> None:
        self._waiting: deque[str] = deque()
        self._position = 0
        self.text = replace(
            text,
            chunks=self._keeping(text.chunks),
            records=self._keeping(text.record_chunks),
        )
        """The text to read instead."""

    def _keeping(self, chunks: "Callable[[], Iterator[str]]") -> "Callable[[], Iterator[str]]":
        def kept() -> Iterator[str]:
            self._waiting.clear()
            self._position = 0
            for chunk in flushing(chunks()):
                self._waiting.append(chunk)
                yield chunk

        return kept

    def take(self, end: int | None = None) -> str:
        """The characters from the last one taken up to the place `end`, or those that there are."""
        taken = []
        while self._waiting and (end is None or self._position < end):
            chunk = self._waiting.popleft()
            size = len(chunk) if end is None else min(end - self._position, len(chunk))
            if size < len(chunk):
                self._waiting.appendleft(chunk[size:])
            taken.append(chunk[:size])
            self._position += size
        return "".join(taken)


def print_heat(scores: "Iterable[TokenScore]", texts: Sequence[KeptText]) -> None:
    """
    Print texts coloured by the surprisal of their tokens; of several models by that of the last.

    Args:
        scores: of the tokens of the texts, one after the other, read from `texts`.
        texts: the texts.
    """
    remaining = iter(texts)
    kept: KeptText | None = None
    waiting: TokenScore | None = None
    with HeatOutput() as output:
        for _, of_a_token in groupby(scores, key=lambda score: (score.text, score.index)):
            *_, score = of_a_token
            if kept is None or waiting is None or score.index <= waiting.index:  # the next text begins
                _finish(output, kept, waiting)
                if kept is None:
                    output.legend(score.model)
                kept, waiting = next(remaining), None
                if len(texts) > 1:
                    output.heading(score.text)
            if waiting is not None:
                _print_token(output, kept, waiting, score)
            output.write(kept.take(score.offset))
            waiting = (
                score if waiting is None or waiting.offset != score.offset else _together(waiting, score)
            )
        _finish(output, kept, waiting)


def _print_token(output: HeatOutput, kept: KeptText, score: "TokenScore", following: "TokenScore") -> None:
    """Print a token that ends where the next one begins; if that is not scored, where its spelling ends."""
    if following.offset == score.offset:  # another token of the same character
        return
    end = following.offset
    if following.index > score.index + 1:
        from lmgen.tokenizers.pieces import unescape

        end = min(end, score.offset + len(unescape(score.token)))
    output.write(kept.take(end), score.surprisal_bits)


def _finish(output: HeatOutput, kept: KeptText | None, score: "TokenScore | None") -> None:
    """Print the last token of a text: an end that the text lacks is drawn as a blank."""
    if kept is not None and score is not None:
        output.write(kept.take() or " ", score.surprisal_bits)


def _together(one: "TokenScore", other: "TokenScore") -> "TokenScore":
    """Two tokens that begin at the same character as one."""
    bits = one.surprisal_bits + other.surprisal_bits
    return replace(other, surprisal_bits=bits)


@cache
def _columns_of(character: str) -> int:
    return width(character)
