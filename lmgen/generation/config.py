"""The settings of sampling. The command line builds its flags from them, so this imports nothing heavy."""

from dataclasses import dataclass
from math import inf

from lmgen.settings import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingConfig:
    """How much text to sample, and how."""

    length: int = setting(
        500, "Tokens to generate after the prompt; 0 is endless.", minimum=0, daily=True, short="l"
    )
    top_k: int | None = setting(None, "Keep the K most likely tokens.", minimum=1, daily=True, metavar="K")
    top_p: float | None = setting(
        None,
        "Of these, keep the fewest that have a share P of their probability.",
        above=0.0,
        maximum=1.0,
        daily=True,
        metavar="P",
    )
    min_p: float | None = setting(
        None,
        "Of these, keep those with p at least M times the largest p.",
        minimum=0.0,
        maximum=1.0,
        daily=True,
        metavar="M",
    )
    repetition_penalty: float | None = setting(
        None,
        "Change p to p^R for the last 256 tokens, prompt included: above 1 means less often.",
        above=0.0,
        maximum=1000.0,
        daily=True,
        metavar="R",
    )
    temperature: float = setting(
        1.0,
        "Change p to p^(1/T): below 1 is safer, above 1 more varied; 0 always takes the most likely token.",
        minimum=0.0,
        below=inf,
        daily=True,
        short="t",
        metavar="T",
    )
    learn_from_itself: bool = setting(
        False, "With --adapt or --cache, learn from what is written, too.", daily=True
    )
    seed: int | None = setting(
        None, "The same seed gives the same text.", minimum=0, by_default="a new seed each time", daily=True
    )

    def __post_init__(self) -> None:
        check(self)

    @property
    def plain(self) -> bool:
        """Whether tokens are drawn from the model's own distribution: no filter, temperature 1."""
        filters = (self.top_k, self.top_p, self.min_p, self.repetition_penalty)
        return self.temperature == 1 and not any(filters)
