"""The settings of the recurrent network. Imports nothing heavy: the command line reads its flags here."""

from dataclasses import dataclass

from lmgen.settings import check, setting

CELL_NAMES = ("lstm", "gru", "rnn", "rnn-relu", "rnn-sigmoid", "lstm-peephole", "lstm-layernorm")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The recurrent network: its shape, and what training drops from it."""

    cell: str = setting("lstm", "the recurrent cell; rnn is the vanilla one with tanh", choices=CELL_NAMES)
    layers: int = setting(1, "recurrent layers, one on top of the other (L)", minimum=1)
    hidden_size: int = setting(256, "units of each layer (H)", minimum=1)
    last_hidden_size: int | None = setting(
        None, "units of the last layer, if they are to differ from the others'", minimum=1
    )
    embedding_size: int | None = setting(
        None, "length of a token's vector (E; 64, or the last layer's size with --tied)", minimum=1
    )
    residual: bool = setting(False, "add to what a layer says what it has read, from the second layer on")
    tied: bool = setting(
        False, "the output layer shares the embedding's weights, after a projection where sizes differ"
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
