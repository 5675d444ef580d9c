"""What makes a network predict labels instead of tokens. Imports nothing heavy: the command line reads it."""

from dataclasses import dataclass
from typing import ClassVar

from lmgen.errors import ConfigError
from lmgen.models.network.config import NetworkConfig
from lmgen.settings import Panel, check, setting
from lmgen.text.config import LABEL_FORMATS

POOLS = ("last", "max", "mean")
"""What may stand for a whole text (pooling.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelConfig:
    """Whether the outputs are labels, and what the network may look at to predict them."""

    PANEL: ClassVar[Panel] = Panel.NETWORK

    labels: bool = setting(
        False,
        "Predict the labels of a labelled text: a line each (a text, a tab, its label), or a word each "
        "(word/LABEL, or CoNLL's columns), as the file has them.",
    )
    labels_as: str | None = setting(
        None,
        "With --labels, how files are labelled: line (text, tab, label), word (word/LABEL), columns (a line "
        "a word), rows (words, tab, labels).",
        by_default="as they look",
        choices=LABEL_FORMATS,
    )
    bidirectional: bool = setting(
        False, "With --labels, recurrent layers read each text from its end, too: H units each way."
    )
    pool: str | None = setting(
        None,
        "With --labels of lines, what stands for the whole text: the last state, or the maximum or mean over "
        "its tokens.",
        by_default="last; without recurrent layers max with --convolution, else mean",
        choices=POOLS,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.labels:
            return
        if self.bidirectional:
            raise ConfigError(
                "--bidirectional lets a network see what follows, and a language model must not see the "
                "token that it predicts: give --labels, too, or leave it out"
            )
        if self.labels_as is not None or self.pool is not None:
            name = "--pool" if self.labels_as is None else "--labels-as"
            raise ConfigError(f"{name} is for labels: give --labels, too, or leave it out")

    def check_network(self, network: NetworkConfig) -> None:
        """
        Refuse settings of a network that only a language model can have, or that contradict each other.

        Raises:
            ConfigError: the message says which, and what to do.
        """
        if self.labels:
            check_labelling(network, bidirectional=self.bidirectional)

    def pool_for(self, network: NetworkConfig) -> str:
        """The pooling of a network that gives a text one label, with the default filled in."""
        if self.pool is not None or network.layers:
            return self.pool or "last"
        return "mean" if network.convolution is None else "max"


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
    if network.normalization == "batch":
        raise ConfigError(
            "--normalization batch is for layers that read one way: give layer, or leave it out"
        )
    if network.attention is not None:
        raise ConfigError(
            "--attention looks back only, and with --bidirectional every state has seen the whole text: "
            "leave one of them out"
        )
