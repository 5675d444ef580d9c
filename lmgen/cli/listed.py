"""Flags whose value is a list of texts, written as a line of CSV: `--of cat,dog,"this one"`."""

from collections.abc import Iterable

from lmgen.errors import ConfigError

HIDDEN = str.maketrans("\n\r", "\ud801\ud802")
SHOWN = {new: old for old, new in HIDDEN.items()}
"""Line ends as lone surrogates, which no argument has: a CSV reader takes them for ends of rows."""


def listed_texts(flag: str, values: Iterable[str]) -> list[str]:
    """
    The texts in the values of a flag, each value a line of CSV: `a,"b, c"` -> `["a", "b, c"]`.

    Raises:
        ConfigError: a value cannot be read, or has an empty text.
    """
    import csv

    found: list[str] = []
    for value in values:
        try:
            [row] = csv.reader([value.translate(HIDDEN) or ","], strict=True)
        except csv.Error as error:
            raise ConfigError(
                f"{flag} {value!r} cannot be read as comma-separated texts ({error}); put a text with a "
                "comma or a leading double quote in double quotes, and write each double quote in it twice"
            ) from error
        if not all(row):
            what = "a continuation" if flag == "--of" else "a text"
            raise ConfigError(f"{flag} {value!r} has {what} of no characters; leave it out")
        found += (text.translate(SHOWN) for text in row)
    return found
