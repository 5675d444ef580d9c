"""What is asked of an engine, and what it answers; no HTTP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lmgen.arrays import IdArray
from lmgen.generation.config import SamplingConfig
from lmgen.generation.prompts import Prompt


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token of a prompt or of a completion with its probability."""

    token: str
    """Its spelling, from `Tokenizer.piece`."""
    offset: int
    """Where it begins in the text of the prompt, or of the completion."""
    log_probability: float
    """Under the model's own distribution, before filters and temperature."""
    likeliest: tuple[tuple[str, float], ...]
    """The likeliest tokens in its place, best first, with their log-probabilities."""


@dataclass(slots=True, eq=False, kw_only=True)
class Job:
    """A prompt to complete once or several times, or only to be scored."""

    prompt: Prompt
    ids: IdArray
    """All tokens of the prompt, those after its edge, too."""
    offsets: Sequence[int]
    """Where each of them begins in the text of the prompt."""
    config: SamplingConfig
    """The filters of sampling; length and seed are those below."""
    length: int
    """The most tokens of each completion; 0: the prompt is only read."""
    stop: tuple[str, ...] = ()
    num: int = 1
    """How many completions."""
    seed: int = 0
    first: int = 0
    """The number of the first completion, which selects its random generators."""
    likeliest: int | None = None
    """How many of the likeliest tokens are listed beside each drawn one; None: no token is scored."""
    scores_prompt: bool = False
    """Whether the tokens of the prompt are scored, too."""
    streams: bool = False
    """Whether text is wanted piece by piece, as soon as it is certain."""
    on_update: "Callable[[Update], None]" = lambda _: None
    """Called with what there is to know, by whoever gets the updates of the engine."""
    cancelled: bool = False
    """Nobody waits for it any longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """News of a job."""

    job: Job
    number: int | None = None
    """Of which of its completions, from 0; None: of the prompt, or of all."""
    text: str = ""
    """Text that follows what was sent before."""
    tokens: Sequence[ScoredToken] = ()
    """Scored tokens that follow those sent before."""
    drawn: int = 0
    """How many tokens of this completion were drawn so far."""
    stopped_by: str | None = None
    """Set in the last update of a completion: as in `Completion`."""
    error: Exception | None = None
    """What ended the whole job."""
