"""The README and the pages of docs/: their blocks of code, their headings and their links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts),
]
"""What is run: README and the site."""

_FENCE = re.compile(r"^```([\w ]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of commands (`sh`) or of Python, and the output that is printed below it."""

    language: str
    code: str
    output: str | None
    """None where none is shown, or where it is drawn at random (`text sample`)."""


def name_of(page: Path) -> str:
    """The name of a page, as a test's."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page from top to bottom; a block of `text` right below belongs to the one above."""
    markdown = page.read_text(encoding="utf-8")
    fences = [*_FENCE.finditer(markdown), None]
    for fence, following in pairwise(fences):
        assert fence is not None
        if fence[1] not in ("sh", "python"):
            continue
        follows = following and not markdown[fence.end() : following.start()].strip()
        output = following[2] if following and follows and following[1] == "text" else None
        yield Block(fence[1], fence[2], output)


def prose(page: Path) -> str:
    """A page without its blocks and its code in backticks."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text(encoding="utf-8")))
