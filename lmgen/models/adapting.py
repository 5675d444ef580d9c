"""Settings of models that go on learning while they are used. Imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar

from lmgen.settings import Panel, check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptingConfig:
    """How a network learns from what it reads."""

    PANEL: ClassVar[Panel] = Panel.SCORES

    rate: float = setting(3e-4, "Size of a step.", minimum=0.0)
    every: int = setting(32, "Tokens that a step learns from.", minimum=1, maximum=100_000)
    decay: float = setting(
        0.0, "Share of the way back to the trained weights after each step.", minimum=0.0, maximum=1.0
    )
    average: float = setting(0.999, "Decay of the mean squares of gradients.", minimum=0.0, below=1.0)

    def __post_init__(self) -> None:
        check(self)
