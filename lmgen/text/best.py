"""The best possible score on a text whose source is known, and how it is shown."""

from dataclasses import dataclass
from math import log


@dataclass(frozen=True, slots=True, kw_only=True)
class BestScore:
    """The lowest expected loss that any model of a task can reach: the entropy of what the task draws."""

    nats_per_line: float
    """The entropy of a line."""

    characters_per_line: float
    """The expected length of a line, with its line end."""

    nats_per_answer: float | None = None
    """The entropy of what follows the mark, given what precedes it; None for a task without a mark."""

    @property
    def nats_per_character(self) -> float:
        """Total nats divided by total characters of a long text."""
        return self.nats_per_line / self.characters_per_line

    def __str__(self) -> str:
        return shown_score(self.nats_per_character, self.nats_per_line, self.nats_per_answer)


def shown_score(
    nats_per_character: float, nats_per_line: float | None = None, nats_per_answer: float | None = None
) -> str:
    """A score as shown to the user: `0 nats per answer, 1.7500 nats per line, ...`."""
    parts = [
        "" if nats_per_answer is None else f"{nats_per_answer:.4g} nats per answer",
        "" if nats_per_line is None else f"{nats_per_line:.4f} nats per line",
        f"{nats_per_character:.4f} nats per character ({nats_per_character / log(2):.4f} bits)",
    ]
    return ", ".join(filter(None, parts))
