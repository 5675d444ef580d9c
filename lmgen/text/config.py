"""Settings for reading texts. Imports nothing heavy: the command line reads it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from lmgen.settings import Panel, check, setting
from lmgen.text.units import UNITS

NEWLINES = ("keep", "lf")
"""What becomes of line ends: nothing, or each of `\\r\\n`, `\\r` and `\\n` is read as `\\n`."""

NORMAL_FORMS = ("none", "nfc", "nfkc")
"""Unicode normal forms that a text may be brought into."""


LabelFormat = Literal["line", "word", "columns", "rows"]

LABEL_FORMATS: tuple[LabelFormat, ...] = ("line", "word", "columns", "rows")
"""How texts may be labelled (labels.py)."""

LabelOf = Literal["line", "word"]
"""What has a label: a whole text, which is a line, or each of its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingConfig:
    """How texts are read."""

    PANEL: ClassVar[Panel] = Panel.TEXT

    unit: str = setting(
        "document",
        "What one text is, which starts afresh and ends in a predicted end: the document (without such an "
        "end), each line, or each record of a structured file, else each paragraph.",
        choices=UNITS,
    )
    field: str | None = setting(
        None,
        "The field that holds the text in CSV, TSV and JSON, which need it, and in JSON Lines; stdin is JSON "
        "Lines if it is given.",
        by_default="text in JSON Lines",
        metavar="NAME",
    )
    encoding: str = setting(
        "utf-8", "The character encoding of texts, such as cp1252 or gb18030.", metavar="NAME"
    )
    newlines: str = setting(
        "keep", r"With lf, the line ends \r\n and \r of other systems are read as \n.", choices=NEWLINES
    )
    normalize: str = setting(
        "none",
        "Bring the text into a Unicode normal form, so that é is always one character.",
        choices=NORMAL_FORMS,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.encoding != "utf-8":
            from lmgen.text.encodings import known_encoding

            object.__setattr__(self, "encoding", known_encoding(self.encoding))

    def to_json(self) -> dict[str, str]:
        """What is kept with a model, so that later texts are read alike: all but the field."""
        return {
            "unit": self.unit,
            "encoding": self.encoding,
            "newlines": self.newlines,
            "normalize": self.normalize,
        }
