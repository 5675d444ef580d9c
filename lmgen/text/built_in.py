"""
Texts that ship with Python, so that nothing has to be downloaded; they differ between Python versions.
"""

import sysconfig
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lmgen.text.label_corpora import negation, python_tokens, unicode_categories
from lmgen.text.sources import Text, files_below, is_text, joined, source


@dataclass(frozen=True, kw_only=True)
class BuiltInCorpus:
    """A text that ships with Python, though some installations leave it out."""

    name: str
    description: str
    licence: str
    open: Callable[[], Text | None]
    """Opens the text; returns None if this Python installation lacks it."""


def _python_docs() -> Text | None:
    """The language reference that `help()` shows: topics sorted by name, separated by blank lines."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return None
    manual = "\n\n".join(topics[name] for name in sorted(topics))
    return Text("python-docs", lambda: iter([manual]))


def _python_code() -> Text | None:
    """The standard library's source files, sorted by path, without its tests and installed packages."""
    library = Path(sysconfig.get_path("stdlib"))
    found = sorted(files_below(library, _is_excluded))
    files = [path for path in found if path.suffix == ".py" and is_text(path)]
    return joined("python-code", [source(str(path)) for path in files]) if files else None


def _is_excluded(name: str) -> bool:
    """Whether a file or folder of this name is generated, installed, or a test, not library source."""
    added = name.startswith(("_sysconfigdata", "config-")) or name in {"site-packages", "dist-packages"}
    return added or name in {"test", "tests", "idle_test", "lib2to3", "pydoc_data", "__pycache__"}


def _unicode_names() -> Text | None:
    return Text("unicode-names", _character_names)


def _character_names() -> Iterator[str]:
    """
    The names of Unicode's characters, one per line, in blocks of 4096 code points.

    About 100,000 names that only repeat the code point ("CJK UNIFIED IDEOGRAPH-4E00") are left out, and so
    are the Hangul syllables: there is nothing to learn from them.
    """
    for start in range(0, 0x110000, 4096):
        names = [
            name
            for point in range(start, start + 4096)
            if (name := unicodedata.name(chr(point), "")) and not name.endswith(f"-{point:04X}")
        ]
        if block := "".join(f"{name}\n" for name in names if not name.startswith("HANGUL SYLLABLE ")):
            yield block


_ALL = (
    BuiltInCorpus(
        name="python-docs",
        description="the manual of the Python language, from pydoc",
        licence="PSF-2.0",
        open=_python_docs,
    ),
    BuiltInCorpus(
        name="python-code",
        description="the source code of Python's standard library",
        licence="PSF-2.0",
        open=_python_code,
    ),
    BuiltInCorpus(
        name="unicode-names",
        description="the names of Unicode's characters, one per line",
        licence="Unicode-3.0",
        open=_unicode_names,
    ),
    BuiltInCorpus(
        name="negation",
        description="sentences with labels (--labels), made by program: the order of words decides",
        licence="public domain",
        open=lambda: Text("negation", negation),
    ),
    BuiltInCorpus(
        name="unicode-categories",
        description="the names of Unicode's characters, labelled with their categories (--labels)",
        licence="Unicode-3.0",
        open=lambda: Text("unicode-categories", unicode_categories),
    ),
    BuiltInCorpus(
        name="python-tokens",
        description="statements of Python's standard library, each token labelled (--labels)",
        licence="PSF-2.0",
        open=lambda: Text("python-tokens", python_tokens) if any(python_tokens()) else None,
    ),
)

BUILT_IN = {corpus.name: corpus for corpus in _ALL}
"""The built-in corpora by name."""
