"""The settings of training. Imports nothing heavy: the command line reads its flags here."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from lmgen.data.config import HeldOutConfig
from lmgen.errors import ConfigError
from lmgen.models.config import HIGHEST_ORDER, NetworkConfig
from lmgen.settings import LARGEST_COUNT, check, from_mapping, setting, shown, to_mapping
from lmgen.tokenizers.config import TokenizerConfig

OPTIMIZER_NAMES = ("adamw", "adam", "sgd", "rmsprop", "adagrad", "adamw-adagrad")
OBJECTIVE_NAMES = ("full", "sampled")
SCHEDULE_NAMES = ("cosine", "plateau", "constant")

LEARNING_RATES = {
    "adamw": 8e-3,
    "adam": 8e-3,
    "sgd": 6.0,
    "rmsprop": 4e-3,
    "adagrad": 8e-2,
    "adamw-adagrad": 4e-3,
}
"""By optimiser, at 256 hidden units; benchmarks/results/defaults.md says what was tried."""

TOKEN_LEARNING_RATE = 0.2
"""The default for embedding and output of adamw-adagrad: benchmarks/results/words.md."""

FINE_TUNING_RATE = 0.5
"""The default rates' share where training goes on from a model: benchmarks/results/fine-tuning.md."""

WEIGHT_DECAYS = {"adamw": 0.1, "adamw-adagrad": 0.1}
"""By optimiser, where none is given; the others have none."""

MOST_THREADS = 1_024
"""A process that asks the system for many more is ended by it."""

MOST_EPOCHS = 1e9
"""Of a budget; with more, the progress that an update makes would vanish in rounding."""

MOST_MINUTES = 5e7
"""A century; a time a great deal longer has no number of seconds."""

LARGEST_FACTOR = 1e15
"""Of a learning rate, or of what is added to loss or gradient; far beyond it float32 overflows."""

DEFAULT_EPOCHS = 10.0
"""The budget when none is given."""

BUDGET = ("epochs", "steps", "minutes")
"""The settings that say when training ends; a resumed run may change these and no others."""


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
        "what is minimised: the loss over all tokens, or an estimate of it from a sample of them (--output "
        "softmax)",
        choices=OBJECTIVE_NAMES,
    )
    samples: int = setting(
        1024, "sampled: tokens that each target is compared with", minimum=1, maximum=LARGEST_COUNT
    )

    optimizer: str = setting(
        "adamw",
        "how gradients change the weights; adamw-adagrad: adagrad those of embedding and output, for large "
        "vocabularies",
        choices=OPTIMIZER_NAMES,
    )
    learning_rate: float | str | None = setting(
        None,
        "the highest learning rate, or find: try many and take a good one (by optimizer and hidden size if "
        "not given)",
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
        "pull of all weights towards zero: decoupled in adamw (of the layers alone in adamw-adagrad), in the "
        "gradient elsewhere (0.1 for adamw and adamw-adagrad, else 0)",
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
    clip: float | None = setting(1.0, "largest norm of all gradients together; inf for any", above=0.0)

    ema: float | None = setting(
        None,
        "evaluate and save an exponential moving average of the weights, with this decay an update",
        above=0.0,
        below=1.0,
    )
    nt_asgd: int | None = setting(
        None,
        "evaluate and save the mean of the weights, from the first evaluation on that is worse than the best "
        "one so many evaluations before (NT-ASGD)",
        minimum=1,
        maximum=LARGEST_COUNT,
    )
    activation_penalty: float = setting(
        0.0, "weight in the loss of the top layer's mean square (AR)", minimum=0.0, maximum=LARGEST_FACTOR
    )
    slowness_penalty: float = setting(
        0.0,
        "weight of the mean square of its change from step to step (TAR)",
        minimum=0.0,
        maximum=LARGEST_FACTOR,
    )

    epochs: float | None = setting(
        None, "stop after so many passes over the training text", above=0.0, maximum=MOST_EPOCHS
    )
    steps: int | None = setting(None, "stop after so many updates", minimum=1, maximum=LARGEST_COUNT)
    minutes: float | None = setting(
        None, "stop after so many minutes of training", above=0.0, maximum=MOST_MINUTES
    )

    evaluations: int = setting(
        10, "how often to evaluate, spread evenly over the budget", minimum=1, maximum=LARGEST_COUNT
    )
    evaluation_tokens: int = setting(
        500_000, "evaluate on at most so many tokens of the validation text", minimum=1, maximum=LARGEST_COUNT
    )
    patience: int | None = setting(
        None, "stop early after so many evaluations without a better one", minimum=1, maximum=LARGEST_COUNT
    )
    checkpoint_minutes: float | None = setting(
        None,
        "save what --resume needs this often (1, or so rarely that it takes 2% of the time)",
        above=0.0,
        maximum=MOST_MINUTES,
    )
    baseline_order: int | None = setting(
        None,
        "order of the n-gram baseline; 0 for none (char, byte: 7; others: 5)",
        minimum=0,
        maximum=HIGHEST_ORDER,
    )

    seed: int = setting(0, "of initial weights, dropout and shuffling", minimum=0, maximum=2**63 - 1)
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
        if self.ema is not None and self.nt_asgd is not None:
            raise ConfigError("ema and nt_asgd are two kinds of average; give one of them")

    @property
    def budget_epochs(self) -> float | None:
        """Epochs to stop after, the default where no budget of any kind was given."""
        if self.steps is None and self.minutes is None and self.epochs is None:
            return DEFAULT_EPOCHS
        return self.epochs

    def highest_rate(self, hidden_size: int) -> float:
        """The learning rate that was given, or the default: for `find`, what it is looked for around."""
        if self.learning_rate is None or isinstance(self.learning_rate, str):
            return default_learning_rate(self.optimizer, hidden_size)
        return self.learning_rate

    def at_rate(self, found: float, tried_around: float) -> "TrainingConfig":
        """The same with the learning rate that was found: all rates were tried in proportion."""
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
        """Weight decay, the optimiser's default where none was given."""
        return WEIGHT_DECAYS.get(self.optimizer, 0.0) if self.weight_decay is None else self.weight_decay


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that a run depends on: what `config.toml` holds, flat, by the names of the flags."""

    corpus: tuple[str, ...] = ()
    """Files, folders, `-` or corpus names, read one after another; none: the built-in default."""
    origin: str | None = None
    """The model that training goes on from (`from`), see finetuning.py."""
    extend_vocabulary: bool = False
    """Whether its vocabulary is to grow by what it lacks for the new text."""
    held_out: HeldOutConfig = field(default_factory=HeldOutConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        if self.network.output == "adaptive" and self.tokenizer.tokenizer != "word":
            raise ConfigError(
                "output adaptive needs token ids that go by falling frequency, and only those of words do: "
                f"take --tokenizer word, or leave --output adaptive out with {self.tokenizer.tokenizer}"
            )
        if self.network.output == "adaptive" and self.training.objective == "sampled":
            raise ConfigError(
                "objective sampled is for the output softmax, and adaptive is fast without: take --output "
                "softmax, or leave --objective sampled out"
            )

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], where: str) -> "RunConfig":
        """
        Sort flat settings into their parts.

        Raises:
            ConfigError: a name is unknown or a value is wrong; `where` says where it was read.
        """
        rest = dict(values)
        corpus = rest.pop("corpus", ())
        if not isinstance(corpus, list | tuple) or not all(isinstance(name, str) for name in corpus):
            raise ConfigError(f"{where}: corpus has to be a list of names")
        origin, extend = rest.pop("from", None), rest.pop("extend_vocabulary", False)
        if not isinstance(origin, str | None):
            raise ConfigError(f"{where}: from is {shown(origin)}, but has to name a model")
        if type(extend) is not bool:
            raise ConfigError(f"{where}: extend_vocabulary is {shown(extend)}, but has to be of type bool")
        if extend and origin is None:
            raise ConfigError(
                f"{where}: extend_vocabulary is for runs that start --from a model; leave it out"
            )
        parts = {}
        for name, part in _PARTS.items():
            names = {field.name for field in fields(part)}
            chosen = {key: rest.pop(key) for key in list(rest) if key in names}
            parts[name] = from_mapping(part, chosen, where)
        if rest:
            raise ConfigError(
                f"{where}: unknown settings {', '.join(sorted(rest))}; see `lmgen train --help`"
            )
        return cls(corpus=tuple(corpus), origin=origin, extend_vocabulary=extend, **parts)

    def resolved(self) -> "RunConfig":
        """The same, with the defaults that depend on other settings written out: what a run keeps."""
        network, training = self.network, self.training
        share = 1.0 if self.origin is None else FINE_TUNING_RATE
        rate = training.learning_rate or training.highest_rate(network.hidden_size) * share
        token_rate = training.token_learning_rate
        if training.optimizer == "adamw-adagrad":
            token_rate = token_rate or training.highest_token_rate * share
        return replace(
            self,
            network=replace(network, embedding_size=network.embedding_width),
            training=replace(
                training,
                learning_rate=rate,
                token_learning_rate=token_rate,
                weight_decay=training.decay,
                epochs=training.budget_epochs,
            ),
        )

    def to_settings(self) -> dict[str, Any]:
        """All settings that are present, flat: what `from_settings` reads."""
        settings: dict[str, Any] = {"corpus": list(self.corpus)}
        if self.origin is not None:
            settings |= {"from": self.origin, "extend_vocabulary": self.extend_vocabulary}
        for name in _PARTS:
            settings |= to_mapping(getattr(self, name))
        return settings


def default_learning_rate(optimizer: str, hidden_size: int) -> float:
    """
    A learning rate for a network of that width.

    The adaptive methods move each weight by about the learning rate whatever its gradient, so what reaches a
    unit grows with the number of its inputs: the rate falls with the width (Yang et al. 2022, table 3).
    """
    rate = LEARNING_RATES[optimizer]
    return rate if optimizer == "sgd" else rate * 256 / max(hidden_size, 128)


_PARTS: dict[str, Any] = {
    "held_out": HeldOutConfig,
    "tokenizer": TokenizerConfig,
    "network": NetworkConfig,
    "training": TrainingConfig,
}
