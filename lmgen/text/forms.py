"""The forms that a text may be read in: its line ends, and Unicode's normal forms."""

import re
import unicodedata
from typing import Literal

NEWLINES = ("keep", "lf")
"""What becomes of line ends: nothing, or each of `\\r\\n`, `\\r` and `\\n` is read as `\\n`."""

NORMAL_FORMS = ("none", "nfc", "nfkc")
"""Unicode normal forms that a text may be brought into."""

OTHER_LINE_END = re.compile("\r\n?")
"""The line ends of other systems."""

_FORMS: dict[str, Literal["NFC", "NFKC"]] = {"nfc": "NFC", "nfkc": "NFKC"}


def in_form(text: str, newlines: str, normalize: str) -> str:
    """A text with line ends as one of NEWLINES says, in one of NORMAL_FORMS."""
    return normalized(OTHER_LINE_END.sub("\n", text) if newlines == "lf" else text, normalize)


def normalized(text: str, normalize: str) -> str:
    """A text in one of NORMAL_FORMS."""
    form = _FORMS.get(normalize)
    return unicodedata.normalize(form, text) if form else text
