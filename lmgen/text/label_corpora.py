"""
Labelled texts that need no download: two that ship with Python, and one made by program.

    negation             the film is not all that dull but fine<TAB>positive     the order of words decides
    unicode-categories   LATIN SMALL LETTER A<TAB>Ll                           a line each
    python-tokens        print/CALL (/OP x/NAME )/OP                           a word each, as word/LABEL
"""

import sysconfig
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random

SENTENCES = 10_000
"""How many sentences `negation` has."""

MODULES = 5
"""`python-tokens` has one of so many modules at the top of the standard library."""

LONGEST_STATEMENT = 60
"""Statements with more tokens are left out of `python-tokens`; most of those are tables."""

_THINGS = (
    "the acting",
    "the book",
    "the camera",
    "the cast",
    "the ending",
    "the film",
    "the music",
    "the plot",
)
_GOOD = ("bright", "clever", "fine", "fresh", "funny", "good", "great", "lovely", "moving", "sharp", "warm")
_BAD = ("bad", "boring", "clumsy", "cold", "dull", "empty", "flat", "poor", "silly", "slow", "weak")
_DEGREES = ("", "", "very ", "really ", "all that ", "so ")
_JOINTS = ("and", "but", ", i find ,", "as well as")


def negation(sentences: int = SENTENCES, seed: int = 0) -> Iterator[str]:
    """
    Yield labelled sentences with a good word, a bad one and one `not`: "the plot is fine but not dull".

    They are positive if the bad word is negated, and negative if the good one is. Either label has the same
    words, as often; so whatever looks at words without their order is right half of the time.
    """
    random = Random(seed)
    for _ in range(sentences):
        positive = random.random() < 0.5
        good, bad = random.choice(_GOOD), random.choice(_BAD)
        words = [good, bad]
        degrees = [random.choice(_DEGREES), random.choice(_DEGREES)]
        parts = [
            f"{'not ' if (word == bad) == positive else ''}{degree}{word}"
            for word, degree in zip(words, degrees, strict=True)
        ]
        random.shuffle(parts)
        label = "positive" if positive else "negative"
        yield f"{random.choice(_THINGS)} is {parts[0]} {random.choice(_JOINTS)} {parts[1]}\t{label}\n"


def unicode_categories() -> Iterator[str]:
    """
    Yield the names of Unicode's characters with their general categories, in an order drawn once and for all.

    Names that only repeat the code point, and the Hangul syllables, are left out.
    """
    lines = [
        f"{name}\t{unicodedata.category(chr(point))}\n"
        for point in range(0x110000)
        if (name := unicodedata.name(chr(point), ""))
        and not name.endswith(f"-{point:04X}")
        and not name.startswith("HANGUL SYLLABLE ")
    ]
    Random(0).shuffle(lines)
    yield from lines


def python_tokens() -> Iterator[str]:
    """
    Yield statements of Python's standard library, each token with its label.

    KEYWORD, NAME, CALL (a name before an opening parenthesis), NUMBER, STRING and OP. White space within a
    string is written as `_`.
    """
    yield from _statements()


@cache
def _statements() -> tuple[str, ...]:
    """The statements of all modules, which are tokenized once."""
    import tokenize  # takes a while

    library = Path(sysconfig.get_path("stdlib"))
    found: list[str] = []
    for path in sorted(library.glob("*.py"))[::MODULES]:
        with tokenize.open(path) as file:
            found += _labelled(file.readline)
    return tuple(found)


def _labelled(readline: Callable[[], str]) -> Iterator[str]:
    """The statements of one module."""
    import keyword
    import tokenize

    words: list[tuple[str, str]] = []
    for token in tokenize.generate_tokens(readline):
        kind = tokenize.tok_name[token.type]
        if kind == "NEWLINE":
            if 1 < len(words) <= LONGEST_STATEMENT:
                yield " ".join(f"{word}/{label}" for word, label in words) + "\n"
            words = []
        if not token.string.strip() or kind in ("COMMENT", "NL", "ENCODING"):
            continue
        if kind == "NAME" and keyword.iskeyword(token.string):
            kind = "KEYWORD"
        if token.string == "(" and words and words[-1][1] == "NAME":
            words[-1] = words[-1][0], "CALL"
        words.append(("_".join(token.string.split()), kind))
