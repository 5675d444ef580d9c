"""The settings of the recurrent network. Imports nothing heavy: the command line reads its flags here."""

from dataclasses import dataclass, replace

from lmgen.errors import ConfigError
from lmgen.settings import check, setting

CELL_NAMES = ("lstm", "gru", "rnn", "rnn-relu", "rnn-sigmoid", "lstm-peephole", "lstm-layernorm")
OUTPUT_NAMES = ("softmax", "adaptive")

MOST_LAYERS = 1_000
LARGEST_SIZE = 1_000_000
"""More is a mistake, or a damaged file; beyond some size numpy has no arrays at all."""

HIGHEST_ORDER = 100
"""Of an n-gram model; beyond it an order is taken for a slip: each costs memory and time, and n-grams so long
never recur."""

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
    """The recurrent network: its shape, and what training drops from it."""

    cell: str = setting("lstm", "the recurrent cell; rnn is the vanilla one with tanh", choices=CELL_NAMES)
    layers: int = setting(1, "recurrent layers, one on top of the other (L)", minimum=1, maximum=MOST_LAYERS)
    hidden_size: int = setting(256, "units of each layer (H)", minimum=1, maximum=LARGEST_SIZE)
    last_hidden_size: int | None = setting(
        None,
        "units of the last layer, if they are to differ from the others'",
        minimum=1,
        maximum=LARGEST_SIZE,
    )
    embedding_size: int | None = setting(
        None,
        "length of a token's vector (E; 64, or the last layer's size with --tied)",
        minimum=1,
        maximum=LARGEST_SIZE,
    )
    residual: bool = setting(False, "add to what a layer says what it has read, from the second layer on")
    tied: bool = setting(
        False,
        "the output layer shares the embedding's weights, after a projection where sizes differ (--output "
        "softmax)",
    )
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
    dropout_input: float = setting(
        0.0, "share of values dropped from the tokens' vectors before the first layer", minimum=0.0, below=1.0
    )
    dropout_hidden: float | None = setting(
        None, "share of values dropped between layers (that of --dropout)", minimum=0.0, below=1.0
    )
    dropout_output: float | None = setting(
        None, "share of values dropped before the output (that of --dropout)", minimum=0.0, below=1.0
    )
    variational: bool = setting(
        False, "what these drop is drawn once for all steps of a window, not for each step"
    )
    dropout_embedding: float = setting(
        0.0, "share of tokens whose whole vector is dropped, for a window", minimum=0.0, below=1.0
    )
    weight_drop: float = setting(
        0.0, "share of recurrent weights dropped, for a window (DropConnect)", minimum=0.0, below=1.0
    )

    def __post_init__(self) -> None:
        check(self)
        if self.output == "adaptive" and self.tied:
            raise ConfigError(
                "tied is for the output softmax: adaptive has shorter vectors for rare tokens than the "
                "embedding; take --output softmax, or leave --tied out"
            )
        if self.output != "adaptive" and self.cutoffs is not None:
            raise ConfigError("cutoffs are for the output adaptive: add --output adaptive, or leave them out")
        self.given_cutoffs()

    @property
    def embedding_width(self) -> int:
        """E, resolved."""
        if self.embedding_size is not None:
            return self.embedding_size
        return self.layer_sizes[-1] if self.tied else 64

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """How many units each layer has."""
        last = self.last_hidden_size or self.hidden_size
        return (*[self.hidden_size] * (self.layers - 1), last)

    def adds_input(self, layer: int) -> bool:
        """Whether what a layer reads is added to its hidden states; the first is number 0."""
        return self.residual and layer > 0 and self.layer_sizes[layer] == self.layer_sizes[layer - 1]

    @property
    def projected(self) -> bool:
        """Whether hidden states are mapped to another length to meet the embedding that is the output too."""
        return self.tied and self.embedding_width != self.layer_sizes[-1]

    @property
    def dropout_between(self) -> float:
        """Share of values dropped between layers, resolved."""
        return self.dropout if self.dropout_hidden is None else self.dropout_hidden

    @property
    def dropout_before_output(self) -> float:
        """Share of values dropped before the output, resolved."""
        return self.dropout if self.dropout_output is None else self.dropout_output

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
        H = self.layer_sizes[-1]
        width: int = H // CLUSTER_DIVISOR ** (index + 1)
        return min(max(width, NARROWEST_CLUSTER), H)

    def given_cutoffs(self) -> list[int]:
        """
        The numbers in `cutoffs`.

        Raises:
            ConfigError: they are not numbers above 0, each larger than the one before.
        """
        parts = [] if self.cutoffs is None else self.cutoffs.split(",")
        numbers = [int(part) if part.strip().isdecimal() and len(part) < 20 else 0 for part in parts]
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
