"""The settings of training. It imports nothing slow, since the command line takes its flags from here."""

from dataclasses import dataclass, replace
from typing import ClassVar

from lmgen.errors import ConfigError
from lmgen.memory import memory_bytes
from lmgen.models.network.initializers import EMBEDDING_STARTS, INIT_NAMES, OUTPUT_STARTS
from lmgen.models.ngram.config import HIGHEST_ORDER
from lmgen.settings import LARGEST_COUNT, Panel, check, setting

OPTIMIZER_NAMES = ("adamw", "adam", "sgd", "rmsprop", "adagrad", "adamw-adagrad")
OBJECTIVE_NAMES = ("full", "sampled")
SCHEDULE_NAMES = ("cosine", "linear", "plateau", "constant")

GPU_PRECISIONS = ("tf32", "bfloat16", "float16")
"""Number formats that only GPUs are faster with."""

PRECISIONS = ("float32", *GPU_PRECISIONS, "float64")

LEARNING_RATES = {
    "adamw": 8e-3,
    "adam": 8e-3,
    "sgd": 6.0,
    "rmsprop": 4e-3,
    "adagrad": 8e-2,
    "adamw-adagrad": 4e-3,
}
"""Defaults by optimiser, for 256 hidden units; benchmarks/results/defaults.md has the measurements."""

TOKEN_LEARNING_RATE = 0.2
"""Default for embedding and output with adamw-adagrad; benchmarks/results/words.md has the measurements."""

OUTPUT_RATES = {"adamw": 2.0, "adam": 2.0}
"""Defaults by optimiser, and 1 for all others; benchmarks/results/tricks.md has the measurements."""

NGRAM_RATE = 5.0
"""
The learning rate of n-gram vectors, which adamw leaves to Adagrad, as a multiple of that of the layers.

benchmarks/results/ngram-embedding.md has the measurements.
"""

WEIGHT_DECAYS = {"adamw": 0.1, "adamw-adagrad": 0.1}
"""Defaults by optimiser; 0 for all others."""

MOST_THREADS = 1_024
"""The system kills a process that asks for many more."""

MOST_EPOCHS = 1e9
"""Of a budget; with more, the progress that an update makes would vanish in rounding."""

MOST_MINUTES = 5e7
"""A century; a time a great deal longer has no number of seconds."""

LARGEST_FACTOR = 1e15
"""Of a learning rate, or of what is added to loss or gradient; far beyond it float32 overflows."""

DEFAULT_EPOCHS = 10.0
"""The budget if no limit of any kind is given."""

DEFAULT_EVALUATIONS = 10
"""Spread evenly over the budget; before the first of them a text that is read often gets others."""

BUDGET = ("epochs", "steps", "minutes")
"""The settings that say when training ends; a run may be resumed with others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How a network learns: windows, optimiser, budget."""

    PANEL: ClassVar[Panel] = Panel.OPTIMISATION

    state: str = setting(
        "carry",
        "Whether h and c are carried from window to window, stateful, or reset for every window, stateless.",
        choices=("carry", "reset"),
    )
    window_length: int = setting(
        64, "Steps T that gradients flow back through.", minimum=1, maximum=LARGEST_COUNT
    )
    vary_window_length: bool = setting(
        False, "Draw each window's length around T, with a learning rate in proportion (needs --state carry)."
    )
    batch_size: int = setting(16, "Parallel streams B.", minimum=1, maximum=LARGEST_COUNT)

    objective: str = setting(
        "full",
        "The training loss: over all tokens, or an estimate from a sample of them; needs --output softmax.",
        choices=OBJECTIVE_NAMES,
    )
    samples: int = setting(
        1024,
        "With --objective sampled, how many tokens each target is compared with.",
        minimum=1,
        maximum=LARGEST_COUNT,
    )

    optimizer: str = setting(
        "adamw",
        "How gradients change the weights, with adamw-adagrad those of embedding and output by adagrad, for "
        "large vocabularies",
        choices=OPTIMIZER_NAMES,
    )
    learning_rate: float | str | None = setting(
        None,
        "The highest learning rate; find tries many and takes a good one.",
        by_default="by optimizer and hidden size",
        words=("find",),
        above=0.0,
        maximum=LARGEST_FACTOR,
    )
    token_learning_rate: float | None = setting(
        None,
        "With --optimizer adamw-adagrad, the highest learning rate of embedding and output.",
        by_default="0.2, or half of it with --from",
        above=0.0,
        maximum=LARGEST_FACTOR,
    )
    output_rate: float | None = setting(
        None,
        "The learning rate of the output layer, as a multiple of that of the others.",
        by_default="2 with adamw and adam, else 1",
        above=0.0,
        maximum=LARGEST_FACTOR,
    )
    weight_decay: float | None = setting(
        None,
        "Weight decay, decoupled in adamw (and for the layers in adamw-adagrad), otherwise added to the "
        "gradient.",
        by_default="0.1 with adamw and adamw-adagrad, else 0",
        panel=Panel.REGULARISATION,
        minimum=0.0,
        maximum=LARGEST_FACTOR,
    )
    schedule: str = setting("cosine", "How the learning rate falls over the budget.", choices=SCHEDULE_NAMES)
    warmup: float = setting(
        0.02,
        "Share of the budget over which the learning rate rises (at least 100 updates, or a third); 0 for "
        "none.",
        minimum=0.0,
        below=1.0,
    )
    clip: float | None = setting(1.0, "Largest joint norm of all gradients; none for no limit.", above=0.0)
    clip_value: float | None = setting(
        None,
        "Largest absolute value of each number in a gradient, cut before the joint norm.",
        above=0.0,
        maximum=LARGEST_FACTOR,
    )
    momentum: float = setting(
        0.0,
        "With --optimizer sgd, the share of the last change that is added to each; 0.9 is usual.",
        minimum=0.0,
        below=1.0,
    )
    init: str = setting(
        "orthogonal",
        "How the matrices of recurrent layers start: orthogonal (the recurrent ones), or all uniform within "
        "--init-scale of 0.",
        choices=INIT_NAMES,
    )
    init_scale: float | None = setting(
        None,
        "Factor on orthogonal matrices, or the range of uniform ones.",
        by_default="1 and 0.08",
        above=0.0,
        maximum=1000.0,
    )
    init_memory: int | None = setting(
        None,
        "Start the gates so that each unit remembers for a time of its own, up to N tokens: for texts that "
        "need a long memory.",
        by_default="none",
        minimum=2,
        maximum=1_000_000_000,
    )
    init_output: str = setting(
        "zeros",
        "What the bias of the output layer starts with: zeros, or how frequent tokens are.",
        by_default="zeros; chosen with sizes that fit the time",
        choices=OUTPUT_STARTS,
    )

    init_embedding: str = setting(
        "random",
        "What the embedding starts with: random vectors, or those of contexts, which are alike for tokens "
        "that stand beside the same ones.",
        by_default="random; chosen with sizes that fit the time",
        choices=EMBEDDING_STARTS,
    )

    embeddings: str | None = setting(
        None,
        "File of word vectors that the embedding starts with: word2vec, GloVe, fastText's .vec, also packed; "
        "needs --tokenizer word.",
        panel=Panel.NETWORK,
        metavar="FILE",
    )
    freeze_embeddings: bool = setting(
        False,
        "Keep the vectors of --embeddings, or of the model of --from, as they are.",
        panel=Panel.NETWORK,
    )

    ema: float | None = setting(
        None,
        "Evaluate and save an exponential moving average of the weights, with this decay per update.",
        panel=Panel.REGULARISATION,
        above=0.0,
        below=1.0,
    )
    nt_asgd: int | None = setting(
        None,
        "Evaluate and save the mean of the weights, beginning at the first evaluation that is worse than the "
        "best one more than N evaluations before it (NT-ASGD).",
        panel=Panel.REGULARISATION,
        minimum=1,
        maximum=LARGEST_COUNT,
    )
    activation_penalty: float = setting(
        0.0,
        "Weight of the top layer's mean squared activation in the loss, AR.",
        panel=Panel.REGULARISATION,
        minimum=0.0,
        maximum=LARGEST_FACTOR,
    )
    slowness_penalty: float = setting(
        0.0,
        "Weight of the mean squared change of the top layer from step to step in the loss, TAR.",
        panel=Panel.REGULARISATION,
        minimum=0.0,
        maximum=LARGEST_FACTOR,
    )

    epochs: float | None = setting(
        None,
        "Stop after this many passes over the training text.",
        by_default=f"{DEFAULT_EPOCHS:g} without --steps and --minutes",
        above=0.0,
        maximum=MOST_EPOCHS,
        daily=True,
    )
    steps: int | None = setting(
        None, "Stop after this many updates.", minimum=1, maximum=LARGEST_COUNT, panel=Panel.BUDGET
    )
    minutes: float | None = setting(
        None,
        "Stop after this many minutes of training.",
        above=0.0,
        maximum=MOST_MINUTES,
        daily=True,
        short="m",
    )

    evaluations: int | None = setting(
        None,
        "Number of evaluations, spread evenly over the budget.",
        by_default=f"{DEFAULT_EVALUATIONS}, and before the first of them after 1, 1.5, 2, 3, 4, ... epochs",
        minimum=1,
        maximum=LARGEST_COUNT,
        panel=Panel.BUDGET,
    )
    evaluation_tokens: int = setting(
        500_000,
        "Evaluate on at most this many tokens of the validation text.",
        panel=Panel.BUDGET,
        minimum=1,
        maximum=LARGEST_COUNT,
    )
    patience: int | None = setting(
        None,
        "Stop early after this many evaluations without improvement.",
        panel=Panel.BUDGET,
        minimum=1,
        maximum=LARGEST_COUNT,
    )
    checkpoint_minutes: float | None = setting(
        None,
        "Minutes between checkpoints for --resume.",
        by_default="1, or more to take at most 2% of the time",
        panel=Panel.MACHINE,
        above=0.0,
        maximum=MOST_MINUTES,
    )
    tensorboard: bool = setting(
        False, "Write event files for TensorBoard into the run, in tensorboard/.", panel=Panel.MACHINE
    )
    baseline_order: int | None = setting(
        None,
        "Order of the n-gram baseline; 0 for none.",
        by_default="7 for char and byte, else 5",
        panel=Panel.BUDGET,
        minimum=0,
        maximum=HIGHEST_ORDER,
    )

    seed: int = setting(
        0,
        "Seed of initial weights, dropout and shuffling.",
        minimum=0,
        maximum=2**63 - 1,
        panel=Panel.MACHINE,
    )
    device: str = setting("auto", "Where to train.", choices=("auto", "cpu", "cuda"), panel=Panel.MACHINE)
    threads: int | None = setting(
        None,
        "CPU threads.",
        by_default="as many as torch finds, or with --minutes alone one if that is faster",
        minimum=1,
        maximum=MOST_THREADS,
        panel=Panel.MACHINE,
    )
    memory: str | None = setting(
        None,
        "Memory for fitting the n-gram baseline, such as 2G; what needs more is done on disk.",
        by_default="half of what is free",
        metavar="SIZE",
        panel=Panel.MACHINE,
    )
    precision: str = setting(
        "float32",
        "Number format of training; tf32, bfloat16 and float16 need a GPU.",
        choices=PRECISIONS,
        panel=Panel.MACHINE,
    )

    def __post_init__(self) -> None:
        check(self)
        memory_bytes(self.memory)
        if self.vary_window_length and self.state == "reset":
            raise ConfigError(
                "--vary-window-length needs the state carry: separate windows are cut once, all of one "
                "length; leave --vary-window-length or --state reset out"
            )
        if self.momentum and self.optimizer != "sgd":
            raise ConfigError(
                f"--momentum is for the optimizer sgd, not {self.optimizer}: leave --momentum out, or take "
                "--optimizer sgd"
            )
        if self.output_rate not in (None, 1.0) and self.optimizer == "adamw-adagrad":
            raise ConfigError(
                "--output-rate is for optimizers that treat all layers alike; with adamw-adagrad "
                "--token-learning-rate is that of the output layer"
            )
        if self.ema is not None and self.nt_asgd is not None:
            raise ConfigError("--ema and --nt-asgd are two kinds of average; give one of them")

    @property
    def budget_epochs(self) -> float | None:
        """Epochs to stop after: `DEFAULT_EPOCHS` if no limit of any kind is given."""
        if self.steps is None and self.minutes is None and self.epochs is None:
            return DEFAULT_EPOCHS
        return self.epochs

    @property
    def needing_validation(self) -> list[str]:
        """The settings in use that depend on the loss on validation text, as they are typed at the shell."""
        wanted = {
            "--patience": self.patience is not None,
            "--nt-asgd": self.nt_asgd is not None,
            "--schedule plateau": self.schedule == "plateau",
        }
        return [name for name, used in wanted.items() if used]

    def highest_rate(self, hidden_size: int) -> float:
        """The learning rate that was given, or the default; `find` searches around the default."""
        if self.learning_rate is None or isinstance(self.learning_rate, str):
            return default_learning_rate(self.optimizer, hidden_size)
        return self.learning_rate

    def at_rate(self, found: float, tried_around: float) -> "TrainingConfig":
        """The same with the learning rate that a range test found, and the token rate in proportion."""
        token_rate = self.token_learning_rate
        if self.optimizer == "adamw-adagrad":
            token_rate = self.highest_token_rate * found / tried_around
        return replace(self, learning_rate=found, token_learning_rate=token_rate)

    @property
    def highest_token_rate(self) -> float:
        """The token learning rate that was given, or the default."""
        return self.token_learning_rate or TOKEN_LEARNING_RATE

    @property
    def output_factor(self) -> float:
        """The output layer's learning rate as a multiple that was given, or the default."""
        return OUTPUT_RATES.get(self.optimizer, 1.0) if self.output_rate is None else self.output_rate

    def row_factor(self, learning_rate: float) -> float:
        """The learning rate of what Adagrad updates beside AdamW, as a multiple of the highest of AdamW."""
        return self.highest_token_rate / learning_rate if self.optimizer == "adamw-adagrad" else NGRAM_RATE

    @property
    def decay(self) -> float:
        """The weight decay that was given, or the optimiser's default."""
        return WEIGHT_DECAYS.get(self.optimizer, 0.0) if self.weight_decay is None else self.weight_decay


def default_learning_rate(optimizer: str, hidden_size: int) -> float:
    """
    The default learning rate for a network of a given width.

    Adaptive methods change each weight by about the learning rate whatever its gradient, so that the change
    of a unit's input grows with the number of its inputs: the rate falls with the width (Yang et al. 2022,
    table 3).
    """
    rate = LEARNING_RATES[optimizer]
    return rate if optimizer == "sgd" else rate * 256 / max(hidden_size, 128)
