"""Settings for reading texts. Imports nothing heavy: the command line reads it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from lmgen.errors import ConfigError
from lmgen.settings import Panel, check, setting, shown
from lmgen.text.forms import NEWLINES, NORMAL_FORMS, in_form
from lmgen.text.units import UNITS

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
    answers_after: str | None = setting(
        None,
        "Learn and score only the answer of each line or record: what follows the first MARK in it, such as "
        "= in 2+3=5.",
        by_default="all is learned and scored",
        metavar="MARK",
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

    @property
    def marks_by_tabs(self) -> bool:
        """Whether a tab stands before answers: a `.tsv` file is then lines of text, and not rows of cells."""
        return self.unit == "line" and self.field is None and "\t" in (self.answers_after or "")

    def __post_init__(self) -> None:
        check(self)
        if self.answers_after is not None:
            mark = in_form(self.answers_after, self.newlines, self.normalize)
            object.__setattr__(self, "answers_after", mark)
            _check_mark(mark, self.unit)
        if self.encoding != "utf-8":
            from lmgen.text.encodings import known_encoding

            object.__setattr__(self, "encoding", known_encoding(self.encoding))

    def to_json(self) -> dict[str, str]:
        """What is kept with a model, so that later texts are read alike: all but the field."""
        saved = {
            "unit": self.unit,
            "encoding": self.encoding,
            "newlines": self.newlines,
            "normalize": self.normalize,
        }
        return saved if self.answers_after is None else {**saved, "answers_after": self.answers_after}


def _check_mark(mark: str, unit: str) -> None:
    """Refuse a mark that no unit has, or that every text has."""
    problem = None
    if not mark:
        problem = "--answers-after needs a mark of at least one character, such as ="
    elif unit == "document":
        problem = (
            f"--answers-after {shown(mark)} says where the answer of a line or record begins: give --unit "
            "line or --unit record, too"
        )
    elif unit == "line" and "\n" in mark:
        problem = f"--answers-after is {shown(mark)}, but no line has a line end in it; take --unit record"
    elif any("\ud800" <= character <= "\udfff" for character in mark):
        problem = f"--answers-after is {shown(mark)}, which is not UTF-8"
    if problem:
        raise ConfigError(problem)
