"""The settings of sampling. Imports nothing heavy, since the command line makes its flags of them."""

from dataclasses import dataclass
from math import inf

from lmgen.settings import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingConfig:
    """How a text is completed."""

    length: int = setting(500, "tokens to generate, the prompt not counted; 0 is endless", minimum=0)
    top_k: int | None = setting(None, "keep the K tokens of largest p", minimum=1)
    top_p: float | None = setting(
        None, "of these, keep the fewest that have a share P of their sum", above=0.0, maximum=1.0
    )
    min_p: float | None = setting(
        None, "of these, keep those with p at least M times the largest p", minimum=0.0, maximum=1.0
    )
    repetition_penalty: float | None = setting(
        None,
        "tokens among the last 256, the prompt's too, get p^R: above 1 means less often",
        above=0.0,
        maximum=1000.0,
    )
    temperature: float = setting(
        1.0,
        "all get p^(1/T): below 1 plays safe, above 1 dares; 0 always takes the likeliest token",
        minimum=0.0,
        below=inf,
    )
    seed: int | None = setting(None, "same seed, same text (a new one each time if not given)", minimum=0)

    def __post_init__(self) -> None:
        check(self)

    @property
    def plain(self) -> bool:
        """Whether tokens are drawn from the model's own distribution: no filter, temperature 1."""
        filters = (self.top_k, self.top_p, self.min_p, self.repetition_penalty)
        return self.temperature == 1 and not any(filters)
