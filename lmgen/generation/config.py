"""The settings of sampling. Imports nothing heavy: the command line reads its flags here."""

from dataclasses import dataclass
from math import inf

from lmgen.settings import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingConfig:
    """How a text goes on."""

    length: int = setting(500, "tokens to generate, the prompt not counted; 0 is endless", minimum=0)
    temperature: float = setting(
        1.0, "below 1 plays safe, above 1 dares; 0 always takes the likeliest token", minimum=0.0, below=inf
    )
    top_k: int | None = setting(None, "choose among the K likeliest tokens only", minimum=1)
    top_p: float | None = setting(
        None, "then among the fewest tokens that together have the share P of it all", above=0.0, maximum=1.0
    )
    min_p: float | None = setting(
        None, "then among tokens at least M times as likely as the likeliest", minimum=0.0, maximum=1.0
    )
    repetition_penalty: float | None = setting(
        None,
        "then raise p to this power for tokens among the last 256; above 1 means less often",
        above=0.0,
        below=inf,
    )
    seed: int | None = setting(None, "same seed, same text (a new one each time if not given)", minimum=0)

    def __post_init__(self) -> None:
        check(self)

    @property
    def plain(self) -> bool:
        """Whether tokens are drawn as the model predicts them: no filter, temperature 1."""
        filters = (self.top_k, self.top_p, self.min_p, self.repetition_penalty)
        return self.temperature == 1 and not any(filters)
