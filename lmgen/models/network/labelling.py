"""What makes a network predict labels instead of tokens. Imports nothing heavy: settings are checked here."""

from dataclasses import dataclass

from lmgen.errors import ConfigError
from lmgen.models.network.config import NetworkConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """
    The outputs of a network that reads whole texts and labels them.

    Every text ends with the token `unit_end`. A text that has one label gets it there, at its last token,
    from what `pool` makes of all its tokens; without `pool` there is a label at each word's last token.
    """

    labels: int
    """L, the number of labels."""
    unit_end: int
    bidirectional: bool = False
    """Whether recurrent layers read each text from its end, too."""
    pool: str | None = None
    """One of POOLS, for one label a text; None for one label a word."""


def check_labelling(network: NetworkConfig, *, bidirectional: bool) -> None:
    """
    Refuse settings of a network that only a language model can have, or that contradict each other.

    Raises:
        ConfigError: the message says which, and what to do.
    """
    if network.output == "adaptive" or network.cutoffs is not None:
        raise ConfigError("--output adaptive is for tokens, and labels are few: leave it out")
    if network.tied:
        raise ConfigError("--tied shares the weights of tokens, and --labels predicts none: leave it out")
    if not bidirectional:
        return
    if not network.layers:
        raise ConfigError(
            "--bidirectional is for recurrent layers, and layers is 0: leave it out, or give --layers 1"
        )
    if network.attention is not None:
        raise ConfigError(
            "--attention looks back only, and with --bidirectional every state has seen the whole text: "
            "leave one of them out"
        )
