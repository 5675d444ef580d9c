"""Settings of models that go on learning while they are used. Imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar

from lmgen.errors import ConfigError
from lmgen.settings import Panel, check, setting

MIXTURE_NAME = "mixture+adapt"
"""What results call the mixture of all that adapts."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapting:
    """How models are to adapt."""

    config: AdaptingConfig
    rate_is_given: bool = False
    """Whether the rate is to stay as it is, not to be replaced by what a run's validation text tells."""
    across: bool = False
    """Whether what was learned in one text, line or record is kept in the next."""


def adapting(adapt: bool, *, across: bool = False, **given: float | None) -> Adapting | None:
    """
    How models are to adapt; None if they are not.

    Args:
        adapt: whether they do.
        across: as in `Adapting`.
        given: settings of AdaptingConfig by name; None for the default.

    Raises:
        ConfigError: a value is out of range, or is given although the models do not adapt.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    if not adapt and (chosen or across):
        flags = ", ".join(f"--adapt-{name}" for name in [*chosen, *["across"] * across])
        raise ConfigError(f"only models that adapt have a use for {flags}: add --adapt, or leave it out")
    if not adapt:
        return None
    config = AdaptingConfig(**chosen)  # type: ignore[arg-type]
    return Adapting(config=config, rate_is_given="rate" in chosen, across=across)
