"""The settings of training. It imports nothing slow, since the command line takes its flags from here."""

from dataclasses import dataclass, replace

from lmgen.errors import ConfigError
from lmgen.models.ngram.config import HIGHEST_ORDER
from lmgen.settings import LARGEST_COUNT, check, setting

OPTIMIZER_NAMES = ("adamw", "adam", "sgd", "rmsprop", "adagrad", "adamw-adagrad")
OBJECTIVE_NAMES = ("full", "sampled")
SCHEDULE_NAMES = ("cosine", "plateau", "constant")
INIT_NAMES = ("orthogonal", "uniform")

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

BUDGET = ("epochs", "steps", "minutes")
"""The settings that say when training ends; a run may be resumed with others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How a network learns: windows, optimiser, budget."""

    state: str = setting(
        "carry",
        "stateful: h and c are carried from window to window; or stateless: reset for every window",
        choices=("carry", "reset"),
    )
    window_length: int = setting(
        64, "steps that gradients flow back through (T)", minimum=1, maximum=LARGEST_COUNT
    )
    vary_window_length: bool = setting(
        False, "draw each window's length around T, with a learning rate in proportion (needs --state carry)"
    )
    batch_size: int = setting(16, "parallel streams (B)", minimum=1, maximum=LARGEST_COUNT)

    objective: str = setting(
        "full",
        "the training loss: over all tokens, or an estimate from a sample of them (--output softmax)",
        choices=OBJECTIVE_NAMES,
    )
    samples: int = setting(
        1024,
        "with --objective sampled: how many tokens each target is compared with",
        minimum=1,
        maximum=LARGEST_COUNT,
    )

    optimizer: str = setting(
        "adamw",
        "how gradients change the weights; adamw-adagrad: adagrad those of embedding and output, for large "
        "vocabularies",
        choices=OPTIMIZER_NAMES,
    )
    learning_rate: float | str | None = setting(
        None,
        "the highest learning rate, or find: try many and take a good one (default: by optimizer and hidden "
        "size)",
        words=("find",),
        above=0.0,
        maximum=LARGEST_FACTOR,
    )
    token_learning_rate: float | None = setting(
        None,
        "adamw-adagrad: the highest learning rate of embedding and output (0.2; half of it with --from)",
        above=0.0,
        maximum=LARGEST_FACTOR,
    )
    weight_decay: float | None = setting(
        None,
        "weight decay: decoupled in adamw (and for the layers in adamw-adagrad), otherwise added to the "
        "gradient (0.1 for adamw and adamw-adagrad, else 0)",
        minimum=0.0,
        maximum=LARGEST_FACTOR,
    )
    schedule: str = setting("cosine", "how the learning rate falls over the budget", choices=SCHEDULE_NAMES)
    warmup: float = setting(
        0.02,
        "share of the budget over which the learning rate rises (at least 100 updates, or a third); 0: none",
        minimum=0.0,
        below=1.0,
    )
    clip: float | None = setting(1.0, "largest joint norm of all gradients; none: no limit", above=0.0)
    clip_value: float | None = setting(
        None,
        "largest absolute value of each number in a gradient, cut before the joint norm",
        above=0.0,
        maximum=LARGEST_FACTOR,
    )
    momentum: float = setting(
        0.0, "sgd: share of the last change that is added to each (0.9 is usual)", minimum=0.0, below=1.0
    )
    init: str = setting(
        "orthogonal",
        "how the matrices of recurrent layers start: orthogonal (the recurrent ones), or all uniform within "
        "--init-scale of 0",
        choices=INIT_NAMES,
    )
    init_scale: float | None = setting(
        None,
        "factor on orthogonal matrices (1), or the range of uniform ones (0.08)",
        above=0.0,
        maximum=1000.0,
    )

    embeddings: str | None = setting(
        None,
        "file of word vectors that the embedding starts with: word2vec, GloVe, fastText's .vec, also packed "
        "(--tokenizer word)",
    )
    freeze_embeddings: bool = setting(
        False, "keep the vectors of --embeddings, or of the model of --from, as they are"
    )

    ema: float | None = setting(
        None,
        "evaluate and save an exponential moving average of the weights, with this decay per update",
        above=0.0,
        below=1.0,
    )
    nt_asgd: int | None = setting(
        None,
        "evaluate and save the mean of the weights, beginning at the first evaluation that is worse than the "
        "best one more than N evaluations before it (NT-ASGD)",
        minimum=1,
        maximum=LARGEST_COUNT,
    )
    activation_penalty: float = setting(
        0.0,
        "weight of the top layer's mean squared activation in the loss (AR)",
        minimum=0.0,
        maximum=LARGEST_FACTOR,
    )
    slowness_penalty: float = setting(
        0.0,
        "weight of the mean squared change of the top layer from step to step in the loss (TAR)",
        minimum=0.0,
        maximum=LARGEST_FACTOR,
    )

    epochs: float | None = setting(
        None, "stop after this many passes over the training text", above=0.0, maximum=MOST_EPOCHS
    )
    steps: int | None = setting(None, "stop after this many updates", minimum=1, maximum=LARGEST_COUNT)
    minutes: float | None = setting(
        None, "stop after this many minutes of training", above=0.0, maximum=MOST_MINUTES
    )

    evaluations: int = setting(
        10, "number of evaluations, spread evenly over the budget", minimum=1, maximum=LARGEST_COUNT
    )
    evaluation_tokens: int = setting(
        500_000,
        "evaluate on at most this many tokens of the validation text",
        minimum=1,
        maximum=LARGEST_COUNT,
    )
    patience: int | None = setting(
        None,
        "stop early after this many evaluations without improvement",
        minimum=1,
        maximum=LARGEST_COUNT,
    )
    checkpoint_minutes: float | None = setting(
        None,
        "how often to save a checkpoint for --resume (1, or less often to take at most 2% of the time)",
        above=0.0,
        maximum=MOST_MINUTES,
    )
    baseline_order: int | None = setting(
        None,
        "order of the n-gram baseline; 0 for none (char, byte: 7; others: 5)",
        minimum=0,
        maximum=HIGHEST_ORDER,
    )

    seed: int = setting(0, "seed of initial weights, dropout and shuffling", minimum=0, maximum=2**63 - 1)
    device: str = setting("auto", "where to train", choices=("auto", "cpu", "cuda"))
    threads: int | None = setting(
        None, "CPU threads (as many as torch finds)", minimum=1, maximum=MOST_THREADS
    )
    precision: str = setting("float32", "number format of training", choices=("float32", "float64"))

    def __post_init__(self) -> None:
        check(self)
        if self.vary_window_length and self.state == "reset":
            raise ConfigError(
                "vary_window_length needs the state carry: separate windows are cut once, all of one length; "
                "leave --vary-window-length or --state reset out"
            )
        if self.momentum and self.optimizer != "sgd":
            raise ConfigError(
                f"momentum is for the optimizer sgd, not {self.optimizer}: leave --momentum out, or take "
                "--optimizer sgd"
            )
        if self.ema is not None and self.nt_asgd is not None:
            raise ConfigError("ema and nt_asgd are two kinds of average; give one of them")

    @property
    def budget_epochs(self) -> float | None:
        """Epochs to stop after: `DEFAULT_EPOCHS` if no limit of any kind is given."""
        if self.steps is None and self.minutes is None and self.epochs is None:
            return DEFAULT_EPOCHS
        return self.epochs

    @property
    def needing_validation(self) -> list[str]:
        """The settings in use that depend on the loss on validation text, as the user gives them."""
        wanted = {
            "patience": self.patience is not None,
            "nt_asgd": self.nt_asgd is not None,
            "schedule plateau": self.schedule == "plateau",
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
