"""Settings for the validation and test text. Imports nothing heavy: the command line reads it."""

from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from lmgen.errors import ConfigError
from lmgen.settings import LONGEST_SHOWN, Panel, check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutConfig:
    """Validation and test text."""

    PANEL: ClassVar[Panel] = Panel.TEXT

    valid: str | None = setting(
        None,
        "Validation text: a file, or the fraction cut from the corpus's end, 0 for none.",
        by_default="the corpus's own split, else 0.1",
        metavar="FILE|FRACTION",
    )
    test: str | None = setting(
        None,
        "Test text: a file, or a fraction, cut after the validation text, 0 for none.",
        by_default="the corpus's own split, else none",
        metavar="FILE|FRACTION",
    )

    def __post_init__(self) -> None:
        for name in ("valid", "test"):
            value = getattr(self, name)
            if type(value) in (int, float):
                with suppress(ValueError):  # Python does not print integers of more than 4,300 digits
                    object.__setattr__(self, name, str(value))
        check(self)
        self.fraction("valid")
        self.fraction("test")

    def fraction(self, name: str) -> float | None:
        """
        The fraction to cut from the corpus for `valid` or `test`; None if a file or nothing is given.

        Raises:
            ConfigError: the fraction is out of range.
        """
        asked: str | None = getattr(self, name)
        if asked is None:
            return None
        try:
            fraction = float(asked)
        except ValueError:
            return None
        if not 0 <= fraction < 1:
            raise ConfigError(
                f"--{name} is {asked[:LONGEST_SHOWN]}, but a fraction has to be at least 0 and below 1"
            )
        return fraction

    @property
    def without_validation(self) -> bool:
        """Whether validation text is ruled out (`--valid 0`)."""
        return self.fraction("valid") == 0
