"""Settings for the validation and test text. Imports nothing heavy: the command line reads it."""

from dataclasses import dataclass

from lmgen.settings import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutConfig:
    """Validation and test text."""

    valid: str | None = setting(
        None,
        "validation text: a file, or the fraction cut from the corpus's end "
        "(the corpus's own split, else 0.1)",
    )
    test: str | None = setting(None, "test text: a file, or a fraction, cut after the validation text")

    def __post_init__(self) -> None:
        check(self)
