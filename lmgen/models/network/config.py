"""Settings of the network. Imports nothing heavy, because the command line reads them."""

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import ClassVar

from lmgen.errors import ConfigError
from lmgen.models.network.cells import CELLS, cell_named
from lmgen.models.network.functions import ACTIVATIONS
from lmgen.settings import Panel, check, explanation, setting, shown

OUTPUT_NAMES = ("softmax", "adaptive")

NORMALIZATIONS = ("none", "layer", "batch")

MOST_LAYERS = 1_000
"""Limit on the number of layers, to reject typing errors and damaged files."""

LARGEST_SIZE = 1_000_000
"""Limit on the width of a layer, to reject typing errors and damaged files before arrays are made."""

WIDEST_CONVOLUTION = 1_000
"""Limit on the width of a convolution, to reject typing errors and damaged files."""

LONGEST_NGRAM = 16
"""Limit on the n-grams that are embedded."""

LARGEST_TABLE = 1 << 24
"""Limit on the rows of the table of n-gram vectors: a damaged file must not fill the memory."""

LONGEST_ATTENTION = 1_000
"""Limit on the hidden states that attention looks back at: a damaged file must not fill the memory."""

# Default clusters of an adaptive output start at V / 3, V / 12, V / 48 and so on, down to 500 tokens.
# benchmarks/results/words.md compares alternatives.

LAST_CLUSTER = 3
"""The last cluster of an adaptive output starts at V / 3: it holds the rarest two thirds of tokens."""
CLUSTER_GROWTH = 4
"""Ratio between the first ids of two successive default clusters."""
SMALLEST_HEAD = 500
"""Minimum number of tokens before the first default cluster."""

CLUSTER_DIVISOR = 2
"""Ratio between the projection widths of two successive clusters: rarer tokens see fewer features."""
NARROWEST_CLUSTER = 16
"""Minimum projection width of a cluster (the hidden size, if that is less)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The recurrent network: its shape and its dropout."""

    PANEL: ClassVar[Panel] = Panel.NETWORK

    cell: str = setting(
        "lstm",
        "The recurrent cell; `lmgen info --cells` shows their equations, and rnn is the vanilla one.",
        choices=CELLS,
        daily=True,
    )
    layers: int = setting(
        1,
        "Recurrent layers L, one on top of the other; 0: a feed-forward network, of --convolution or "
        "--dense-layers.",
        minimum=0,
        maximum=MOST_LAYERS,
        daily=True,
    )
    hidden_size: int = setting(256, "Units H of each layer.", minimum=1, maximum=LARGEST_SIZE, daily=True)
    last_hidden_size: int | None = setting(
        None,
        "Units of the last layer.",
        by_default="as many as in the others",
        minimum=1,
        maximum=LARGEST_SIZE,
    )
    embedding_size: int | None = setting(
        None,
        "Length E of a token's vector; 0 for none, one-hot input.",
        by_default="64, or what the output reads with --tied",
        minimum=0,
        maximum=LARGEST_SIZE,
    )
    ngram_embedding: int | None = setting(
        None,
        "Also embed the n-grams of 2 to N tokens that end with each token, and add their vectors to its own.",
        minimum=2,
        maximum=LONGEST_NGRAM,
        metavar="N",
    )
    ngram_rows: int = setting(
        65_536,
        "With --ngram-embedding, how many vectors n-grams share, by a hash.",
        minimum=1,
        maximum=LARGEST_TABLE,
    )
    convolution: str | None = setting(
        None,
        "Causal convolutions before the recurrent layers, WIDTHxFILTERS each, such as 3x128 or 3x128,5x64: a "
        "step reads the last WIDTH tokens.",
    )
    convolution_activation: str = setting("relu", "The activation of convolutions.", choices=ACTIVATIONS)
    residual: bool = setting(False, "Add each layer's input to its output, from the second layer on.")
    normalization: str = setting(
        "none",
        "How recurrent layers are normalised: layer scales what each of them gives out, step by step; batch "
        "scales input products over a batch while training, and a saved model has that in its weights.",
        choices=NORMALIZATIONS,
    )
    attention: int | None = setting(
        None,
        "Additive attention of the last recurrent layer over its last K hidden states.",
        minimum=1,
        maximum=LONGEST_ATTENTION,
    )
    dense_layers: int = setting(
        0,
        "Fully connected layers before the output.",
        minimum=0,
        maximum=MOST_LAYERS,
    )
    dense_size: int | None = setting(
        None,
        "Units of each dense layer.",
        by_default="as many as in the last recurrent layer; without one, --hidden-size",
        minimum=1,
        maximum=LARGEST_SIZE,
    )
    dense_activation: str = setting("tanh", "The activation of dense layers.", choices=ACTIVATIONS)
    tied: bool = setting(
        False,
        "The output layer shares the embedding's weights, after a projection where sizes differ (needs "
        "--output softmax).",
    )
    output: str = setting(
        "softmax",
        "The output layer: softmax compares all tokens; adaptive goes by clusters of rarer and rarer ones, "
        "many times faster for a large vocabulary, and needs --tokenizer word.",
        choices=OUTPUT_NAMES,
    )
    cutoffs: str | None = setting(
        None,
        "With --output adaptive, the ids that clusters of rarer tokens begin with, ids going by falling "
        "frequency, such as 500,4000,10000.",
        by_default="V/3, V/12, V/48 and so on, down to 500",
        metavar="N,N,...",
    )

    dropout: float = setting(
        0.0,
        "Share of values dropped between layers and before the output.",
        minimum=0.0,
        below=1.0,
        panel=Panel.REGULARISATION,
    )
    dropout_input: float = setting(
        0.0,
        "Share of values dropped from the tokens' vectors before the first layer.",
        minimum=0.0,
        below=1.0,
        panel=Panel.REGULARISATION,
    )
    dropout_hidden: float | None = setting(
        None,
        "Share of values dropped between layers.",
        by_default="that of --dropout",
        minimum=0.0,
        below=1.0,
        panel=Panel.REGULARISATION,
    )
    dropout_output: float | None = setting(
        None,
        "Share of values dropped before the output.",
        by_default="that of --dropout",
        minimum=0.0,
        below=1.0,
        panel=Panel.REGULARISATION,
    )
    variational: bool = setting(
        False,
        "Draw one dropout mask for all steps of a window instead of one for each step.",
        panel=Panel.REGULARISATION,
    )
    dropout_embedding: float = setting(
        0.0,
        "Share of tokens whose whole vector is dropped, for a window.",
        minimum=0.0,
        below=1.0,
        panel=Panel.REGULARISATION,
    )
    dropout_ngrams: float = setting(
        0.0,
        "With --ngram-embedding, share of n-grams that are dropped, each at each step.",
        minimum=0.0,
        below=1.0,
        panel=Panel.REGULARISATION,
    )
    weight_drop: float = setting(
        0.0,
        "Share of recurrent weights dropped for a window, DropConnect.",
        minimum=0.0,
        below=1.0,
        panel=Panel.REGULARISATION,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.output == "adaptive" and self.tied:
            raise ConfigError(
                "--tied is for the output softmax: adaptive has shorter vectors for rare tokens than the "
                "embedding; take --output softmax, or leave --tied out"
            )
        if self.output != "adaptive" and self.cutoffs is not None:
            raise ConfigError(
                "--cutoffs are for the output adaptive: add --output adaptive, or leave them out"
            )
        if self.tied and self.embedding_size == 0:
            raise ConfigError(
                "tied weights are those of the embedding, and --embedding-size 0 has none: give another "
                "--embedding-size, or leave --tied out"
            )
        if self.ngram_embedding is not None and self.embedding_size == 0:
            raise ConfigError(
                "--ngram-embedding adds to the embedding, and --embedding-size 0 has none: give another "
                "--embedding-size, or leave --ngram-embedding out"
            )
        if self.dense_size is not None and not self.dense_layers:
            raise ConfigError("--dense-size is for dense layers: add --dense-layers 1, or leave it out")
        self.given_cutoffs()
        convolutions = self.convolutions
        if self.attention is not None and not self.layers:
            raise ConfigError(
                "--attention looks back at the states of recurrent layers, and --layers is 0: leave it out, "
                "or give --layers 1"
            )
        if not (self.layers or convolutions or self.dense_layers):
            raise ConfigError(
                "--layers is 0, which leaves nothing between embedding and output: add --convolution 5x256 "
                "or --dense-layers 1, or give --layers 1"
            )
        if self.normalization != "none" and not self.layers:
            raise ConfigError(
                f"normalization {self.normalization} is of recurrent layers, and layers is 0: leave it out, "
                "or give --layers 1"
            )
        if self.normalization == "batch" and cell_named(self.cell).normalises:
            raise ConfigError(
                f"the cell {self.cell} normalises its input products itself: leave --normalization batch "
                "out, or take another --cell"
            )
        if not self.layers and (self.last_hidden_size is not None or self.weight_drop):
            raise ConfigError(
                "--last-hidden-size and --weight-drop are for recurrent layers, and --layers is 0: leave "
                "them out, or give --layers 1"
            )

    def check_memory(self) -> None:
        """
        Refuse --init-memory where no gate decides how long a state lasts.

        Raises:
            ConfigError: there are no recurrent layers, or their cell has no such gate.
        """
        if not self.layers:
            raise ConfigError("--init-memory is of recurrent layers, and --layers is 0: leave it out")
        if not cell_named(self.cell).keeps:
            able = ", ".join(name for name, cell in CELLS.items() if cell.keeps)
            raise ConfigError(
                f"--init-memory sets gates that keep or forget, and the cell {self.cell} has none to "
                f"set: take one of {able}, or leave it out"
            )

    @property
    def in_short(self) -> str:
        """Layers and sizes in a few words: `lstm 2 x 512`, `convolution 3x128, lstm 1 x 256`."""
        parts = [] if self.ngram_embedding is None else [f"{self.ngram_embedding}-gram embedding"]
        if self.convolution is not None:
            parts.append(f"convolution {self.convolution}")
        if self.layers:
            parts.append(f"{self.cell} {self.layers} x {self.hidden_size}")
        elif self.dense_layers:
            parts.append(f"dense {self.dense_layers} x {self.dense_sizes[0]}")
        if self.normalization != "none":
            parts.append(f"{self.normalization} normalisation")
        if self.attention is not None:
            parts.append(f"attention {self.attention}")
        return ", ".join(parts)

    @property
    def name(self) -> str:
        """The cell's name; without recurrent layers `convolution` or `dense`."""
        if self.layers:
            return self.cell
        return "dense" if self.convolution is None else "convolution"

    @property
    def convolutions(self) -> tuple[tuple[int, int], ...]:
        """
        Width and filters of each convolution, parsed from `convolution`.

        Raises:
            ConfigError: it is not a list of WIDTHxFILTERS, or a number is out of range.
        """
        if self.convolution is None:
            return ()
        found = []
        for part in self.convolution.split(","):
            width, _, filters = (piece.strip() for piece in part.partition("x"))
            numbers = [int(n) if n.isdecimal() and len(n) < 20 else 0 for n in (width, filters)]
            if not (1 <= numbers[0] <= WIDEST_CONVOLUTION and 1 <= numbers[1] <= LARGEST_SIZE):
                raise ConfigError(
                    f"--convolution is {shown(self.convolution)}, but has to be WIDTHxFILTERS, such as 3x128 "
                    f"or 3x128,5x64: widths up to {WIDEST_CONVOLUTION:,}, up to {LARGEST_SIZE:,} filters"
                )
            found.append((numbers[0], numbers[1]))
        return tuple(found)

    @property
    def widest_convolution(self) -> int:
        """The largest number of inputs that a convolution reads; 0 without convolutions."""
        return max((width for width, _ in self.convolutions), default=0)

    @property
    def embedding_width(self) -> int:
        """Embedding size E, with the default filled in; 0 for one-hot input."""
        if self.embedding_size is not None:
            return self.embedding_size
        return self.output_inputs if self.tied else 64

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Number of units of each recurrent layer."""
        if not self.layers:
            return ()
        last = self.last_hidden_size or self.hidden_size
        return (*[self.hidden_size] * (self.layers - 1), last)

    @property
    def has_equal_layers(self) -> bool:
        """Whether a recurrent layer reads one of its own size, so that both can be added up."""
        return any(before == size for before, size in pairwise(self.layer_sizes))

    @property
    def dense_sizes(self) -> tuple[int, ...]:
        """Number of units of each dense layer."""
        usual = self.layer_sizes[-1] if self.layers else self.hidden_size
        return (self.dense_size or usual,) * self.dense_layers

    @property
    def output_inputs(self) -> int:
        """Input size of the output layer."""
        filters = [filters for _, filters in self.convolutions]
        return (*filters, *self.layer_sizes, *self.dense_sizes)[-1]

    @property
    def dropout_between(self) -> float:
        """Dropout rate between layers, with the default filled in."""
        return self.dropout if self.dropout_hidden is None else self.dropout_hidden

    @property
    def dropout_before_output(self) -> float:
        """Dropout rate before the output layer, with the default filled in."""
        return self.dropout if self.dropout_output is None else self.dropout_output

    @property
    def in_use(self) -> "NetworkConfig":
        """The settings of the model that is saved, which has batch normalisation in its weights."""
        return replace(self, normalization="none") if self.normalization == "batch" else self

    def resolved(self, vocabulary_size: int) -> "NetworkConfig":
        """
        Fill in the cutoffs of an adaptive output, whose defaults depend on V.

        Raises:
            ConfigError: the cutoffs do not fit the vocabulary.
        """
        if self.output != "adaptive":
            return self
        cutoffs = ",".join(map(str, self.cluster_starts(vocabulary_size)))
        return replace(self, cutoffs=cutoffs)

    def cluster_starts(self, vocabulary_size: int) -> tuple[int, ...]:
        """
        First id of each cluster of an adaptive output, ascending; empty for a softmax.

        Raises:
            ConfigError: a cutoff is beyond the vocabulary.
        """
        if self.output != "adaptive":
            return ()
        starts = self.given_cutoffs() or _default_cutoffs(vocabulary_size)
        if starts[-1] >= vocabulary_size:
            raise ConfigError(
                f"--cutoffs {','.join(map(str, starts))} go beyond the vocabulary of {vocabulary_size:,} "
                "tokens: give smaller ones, or take --output softmax"
            )
        return tuple(starts)

    def cluster_width(self, index: int) -> int:
        """Projection width D of a cluster, which scores its tokens from D features of the hidden state."""
        H = self.output_inputs
        width: int = H // CLUSTER_DIVISOR ** (index + 1)
        return min(max(width, NARROWEST_CLUSTER), H)

    def given_cutoffs(self) -> list[int]:
        """
        Parse `cutoffs`; empty if they are None.

        Raises:
            ConfigError: they are not positive integers in ascending order.
        """
        parts = [] if self.cutoffs is None else self.cutoffs.split(",")
        numbers = [int(part) if part.strip().isdecimal() and len(part) < 20 else 0 for part in parts]
        if any(number <= before for before, number in zip([0, *numbers], numbers, strict=False)):
            raise ConfigError(
                f"--cutoffs are {self.cutoffs!r}, but have to be rising numbers above 0, such as "
                "500,4000,10000"
            )
        return numbers


def _default_cutoffs(vocabulary_size: int) -> list[int]:
    """Default first ids of clusters for V tokens: 33,278 -> 693, 2773, 11092."""
    starts = [max(vocabulary_size // LAST_CLUSTER, 1)]
    while (start := starts[0] // CLUSTER_GROWTH) >= SMALLEST_HEAD:
        starts.insert(0, start)
    return starts


REGULARIZATION = tuple(
    field.name for field in fields(NetworkConfig) if explanation(field).panel is Panel.REGULARISATION
)
"""Settings that act in training alone: a network in use has none of them."""
