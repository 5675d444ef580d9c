"""Settings of models that learn from what they read, or have a cache of it. Imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar

from lmgen.errors import ConfigError
from lmgen.settings import Panel, check, setting

RATES = {"rms": 3e-4, "plain": 0.3}
"""Sizes of a step that suit most texts: benchmarks/results/adapting.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptingConfig:
    """How a network learns from what it reads."""

    PANEL: ClassVar[Panel] = Panel.SCORES
    PREFIX: ClassVar[str] = "adapt_"

    step: str = setting(
        "rms",
        "With --adapt, whether a network's steps are gradients over the root of their mean square, or plain "
        "ones.",
        choices=tuple(RATES),
    )
    rate: float | None = setting(
        None,
        "With --adapt, the size of a network's steps.",
        by_default="the best on the run's validation text; 3e-4, or 0.3 if plain, where that is scored, or "
        "absent",
        minimum=0.0,
        maximum=1e6,
    )
    every: int = setting(32, "With --adapt, the tokens that a step learns from.", minimum=1, maximum=100_000)
    decay: float = setting(
        0.0,
        "With --adapt, the share of the way back to the trained weights after each step.",
        minimum=0.0,
        maximum=1.0,
    )

    def __post_init__(self) -> None:
        check(self, self.PREFIX)

    @property
    def size(self) -> float:
        """The rate that was given, or one that suits most texts."""
        return RATES[self.step] if self.rate is None else self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """What a network remembers of what it read, and how much it trusts that (models/cache.py)."""

    PANEL: ClassVar[Panel] = Panel.SCORES
    PREFIX: ClassVar[str] = "cache_"

    size: int = setting(2000, "With --cache, how many tokens it holds, K.", minimum=1, maximum=100_000)
    sharpness: float = setting(
        0.3,
        "With --cache, how much more the most similar states count than the others, θ.",
        by_default="the best on the run's validation text; 0.3 where that is scored, or absent",
        minimum=0.0,
        maximum=1e6,
    )
    share: float = setting(
        0.1,
        "With --cache, the weight of its probabilities beside those of the network, λ.",
        by_default="the best on the run's validation text; 0.1 where that is scored, or absent",
        minimum=0.0,
        below=1.0,
    )

    def __post_init__(self) -> None:
        check(self, self.PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapting:
    """How models are to make use of what they read."""

    config: AdaptingConfig | None = None
    """How a network learns from it, and that counts grow; None: nothing is learned."""
    cache: CacheConfig | None = None
    """How a network remembers it; None: no network has a cache."""
    given: frozenset[str] = frozenset()
    """Settings that are to stay as they are, not to be replaced by what a run's validation text tells."""
    across: bool = False
    """Whether what was learned in one text, line or record is kept in the next."""
    device: str = "cpu"
    """Where a network learns: `cpu` or `cuda`."""

    def named(self, name: str) -> str:
        """What results call a model with all of that: `mixture+adapt+cache`."""
        return name + "+adapt" * (self.config is not None) + "+cache" * (self.cache is not None)


def adapting(
    adapt: bool,
    cache: bool = False,
    *,
    across: bool = False,
    device: str = "cpu",
    **given: float | str | None,
) -> Adapting | None:
    """
    How models are to make use of what they read; None if they are not.

    Args:
        adapt: whether they learn from it.
        cache: whether networks have a cache of it.
        across: as in `Adapting`.
        device: as there.
        given: settings as `adapt_rate` and `cache_size`; None for the default.

    Raises:
        ConfigError: a value is out of range, or is given although the models make no such use.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    of_adapt, of_cache = (
        {
            name.removeprefix(config.PREFIX): value
            for name, value in chosen.items()
            if name.startswith(config.PREFIX)
        }
        for config in (AdaptingConfig, CacheConfig)
    )
    if not adapt and (of_adapt or (across and not cache)):
        flags = ", ".join(f"--adapt-{name}" for name in [*of_adapt, *["across"] * across])
        raise ConfigError(f"only models that adapt have a use for {flags}: add --adapt, or leave it out")
    if not cache and of_cache:
        flags = ", ".join(f"--cache-{name}" for name in of_cache)
        raise ConfigError(f"only a network with a cache has a use for {flags}: add --cache, or leave it out")
    if not (adapt or cache):
        return None
    return Adapting(
        config=AdaptingConfig(**of_adapt) if adapt else None,  # type: ignore[arg-type]
        cache=CacheConfig(**of_cache) if cache else None,  # type: ignore[arg-type]
        given=frozenset(chosen),
        across=across,
        device=device,
    )
