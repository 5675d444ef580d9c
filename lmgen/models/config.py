"""The settings of the recurrent network. Imports nothing heavy: the command line reads its flags here."""

from dataclasses import dataclass, replace

from lmgen.errors import ConfigError
from lmgen.settings import check, setting

CELL_NAMES = ("lstm", "gru", "rnn", "rnn-relu", "rnn-sigmoid")
OUTPUT_NAMES = ("softmax", "adaptive")

LAST_CLUSTER = 3
"""The last cluster of an adaptive output begins at V / 3, with the rarest two thirds of the tokens ..."""
CLUSTER_GROWTH = 4
"""... and each one before it at a quarter of that, V / 12, V / 48, ..."""
SMALLEST_HEAD = 500
"""... while so many tokens are left before it. benchmarks/results/words.md says what was tried."""

CLUSTER_DIVISOR = 2
"""Each cluster looks at so many times fewer numbers than the one before it ..."""
NARROWEST_CLUSTER = 16
"""... but not at fewer than these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The shape of a stacked recurrent language model."""

    cell: str = setting("lstm", "the recurrent cell; rnn is the vanilla one with tanh", choices=CELL_NAMES)
    layers: int = setting(1, "recurrent layers, one on top of the other (L)", minimum=1)
    hidden_size: int = setting(256, "units of each layer (H)", minimum=1)
    embedding_size: int | None = setting(
        None, "length of a token's vector (E; 64, or the hidden size with --tied)", minimum=1
    )
    tied: bool = setting(False, "the output layer shares the embedding's weights")
    output: str = setting(
        "softmax",
        "the output layer: softmax compares all tokens; adaptive goes by clusters of rarer and rarer ones, "
        "many times faster for a large vocabulary (--tokenizer word)",
        choices=OUTPUT_NAMES,
    )
    cutoffs: str | None = setting(
        None,
        "adaptive: the ids that clusters of rarer tokens begin with, ids going by falling frequency, such as "
        "500,4000,10000 (V/3, V/12, V/48 and so on, down to 500)",
    )
    dropout: float = setting(
        0.0, "share of values dropped between layers and before the output", minimum=0.0, below=1.0
    )

    def __post_init__(self) -> None:
        check(self)
        if self.tied and self.embedding_size not in (None, self.hidden_size):
            raise ConfigError(
                f"tied needs embedding_size equal to hidden_size, but they are {self.embedding_size} and "
                f"{self.hidden_size}: leave --embedding-size out, or --tied"
            )
        if self.output == "adaptive" and self.tied:
            raise ConfigError(
                "tied is for the output softmax: adaptive has shorter vectors for rare tokens than the "
                "embedding; leave --tied or --output adaptive out"
            )
        if self.output != "adaptive" and self.cutoffs is not None:
            raise ConfigError("cutoffs are for the output adaptive: add --output adaptive, or leave them out")
        self.given_cutoffs()

    @property
    def embedding_width(self) -> int:
        """E, resolved."""
        if self.embedding_size is not None:
            return self.embedding_size
        return self.hidden_size if self.tied else 64

    def resolved(self, vocabulary_size: int) -> "NetworkConfig":
        """
        The same with the cutoffs written out that the vocabulary decides.

        Raises:
            ConfigError: the cutoffs do not fit the vocabulary.
        """
        if self.output != "adaptive":
            return self
        cutoffs = ",".join(map(str, self.cluster_starts(vocabulary_size)))
        return replace(self, cutoffs=cutoffs)

    def cluster_starts(self, vocabulary_size: int) -> tuple[int, ...]:
        """
        The first id of each cluster of an adaptive output, ascending; none for a softmax.

        Raises:
            ConfigError: one is not in the vocabulary.
        """
        if self.output != "adaptive":
            return ()
        starts = self.given_cutoffs() or _default_cutoffs(vocabulary_size)
        if starts[-1] >= vocabulary_size:
            raise ConfigError(
                f"cutoffs {','.join(map(str, starts))} go beyond the vocabulary of {vocabulary_size:,} "
                "tokens: give smaller ones, or take --output softmax"
            )
        return tuple(starts)

    def cluster_width(self, index: int) -> int:
        """How many numbers a cluster makes of a hidden state (D)."""
        width: int = self.hidden_size // CLUSTER_DIVISOR ** (index + 1)
        return min(max(width, NARROWEST_CLUSTER), self.hidden_size)

    def given_cutoffs(self) -> list[int]:
        """
        The numbers in `cutoffs`.

        Raises:
            ConfigError: they are not numbers above 0, each larger than the one before.
        """
        parts = [] if self.cutoffs is None else self.cutoffs.split(",")
        numbers = [int(part) if part.strip().isdecimal() else 0 for part in parts]
        if any(number <= before for before, number in zip([0, *numbers], numbers, strict=False)):
            raise ConfigError(
                f"cutoffs are {self.cutoffs!r}, but have to be rising numbers above 0, such as 500,4000,10000"
            )
        return numbers


def _default_cutoffs(vocabulary_size: int) -> list[int]:
    """Where clusters begin for V tokens: 33,278 -> 693, 2773, 11092."""
    starts = [max(vocabulary_size // LAST_CLUSTER, 1)]
    while (start := starts[0] // CLUSTER_GROWTH) >= SMALLEST_HEAD:
        starts.insert(0, start)
    return starts
