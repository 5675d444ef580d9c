"""The settings of training. Imports nothing heavy: the command line reads its flags here."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from math import inf
from typing import Any

from lmgen.data.config import HeldOutConfig
from lmgen.errors import ConfigError
from lmgen.models.config import NetworkConfig
from lmgen.settings import check, from_mapping, setting, to_mapping
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
    window_length: int = setting(64, "steps that gradients flow back through (T)", minimum=1)
    batch_size: int = setting(16, "parallel streams (B)", minimum=1)

    objective: str = setting(
        "full",
        "what is minimised: the loss over all tokens, or an estimate of it from a sample of them (--output "
        "softmax)",
        choices=OBJECTIVE_NAMES,
    )
    samples: int = setting(1024, "sampled: tokens that each target is compared with", minimum=1)

    optimizer: str = setting(
        "adamw",
        "how gradients change the weights; adamw-adagrad: adagrad those of embedding and output, for large "
        "vocabularies",
        choices=OPTIMIZER_NAMES,
    )
    learning_rate: float | None = setting(
        None, "the highest learning rate (by optimizer and hidden size if not given)", above=0.0, below=inf
    )
    token_learning_rate: float = setting(
        0.2, "adamw-adagrad: the highest learning rate of embedding and output", above=0.0, below=inf
    )
    weight_decay: float = setting(
        0.1, "decoupled weight decay (adamw; the layers with adamw-adagrad)", minimum=0.0, below=inf
    )
    schedule: str = setting("cosine", "how the learning rate falls over the budget", choices=SCHEDULE_NAMES)
    warmup: float = setting(
        0.02, "share of the budget over which the learning rate rises", minimum=0.0, below=1.0
    )
    clip: float | None = setting(1.0, "largest norm of all gradients together; inf for any", above=0.0)

    epochs: float | None = setting(
        None, "stop after so many passes over the training text", above=0.0, below=inf
    )
    steps: int | None = setting(None, "stop after so many updates", minimum=1)
    minutes: float | None = setting(None, "stop after so many minutes of training", above=0.0, below=inf)

    evaluations: int = setting(10, "how often to evaluate, spread evenly over the budget", minimum=1)
    evaluation_tokens: int = setting(
        500_000, "evaluate on at most so many tokens of the validation text", minimum=1
    )
    patience: int | None = setting(
        None, "stop early after so many evaluations without a better one", minimum=1
    )
    checkpoint_minutes: float = setting(1.0, "save what --resume needs this often", above=0.0, below=inf)
    baseline_order: int | None = setting(
        None, "order of the n-gram baseline; 0 for none (char, byte: 7; others: 5)", minimum=0
    )

    seed: int = setting(0, "of initial weights, dropout and shuffling", minimum=0, maximum=2**63 - 1)
    device: str = setting("auto", "where to train", choices=("auto", "cpu", "cuda"))
    threads: int | None = setting(None, "CPU threads (as many as torch finds)", minimum=1)
    precision: str = setting("float32", "number format of training", choices=("float32", "float64"))

    def __post_init__(self) -> None:
        check(self)

    @property
    def budget_epochs(self) -> float | None:
        """Epochs to stop after, the default where no budget of any kind was given."""
        if self.steps is None and self.minutes is None and self.epochs is None:
            return DEFAULT_EPOCHS
        return self.epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that a run depends on: what `config.toml` holds, flat, by the names of the flags."""

    corpus: tuple[str, ...] = ()
    """Files, folders, `-` or corpus names, read one after another; none: the built-in default."""
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
                "objective sampled is for the output softmax; adaptive is fast without: give one of the two"
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
        if isinstance(corpus, str) or not all(isinstance(name, str) for name in corpus):
            raise ConfigError(f"{where}: corpus has to be a list of names")
        parts = {}
        for name, part in _PARTS.items():
            names = {field.name for field in fields(part)}
            chosen = {key: rest.pop(key) for key in list(rest) if key in names}
            parts[name] = from_mapping(part, chosen, where)
        if rest:
            raise ConfigError(
                f"{where}: unknown settings {', '.join(sorted(rest))}; see `lmgen train --help`"
            )
        return cls(corpus=tuple(corpus), **parts)

    def resolved(self) -> "RunConfig":
        """The same, with the defaults that depend on other settings written out: what a run keeps."""
        network, training = self.network, self.training
        rate = training.learning_rate or default_learning_rate(training.optimizer, network.hidden_size)
        return replace(
            self,
            network=replace(network, embedding_size=network.embedding_width),
            training=replace(training, learning_rate=rate, epochs=training.budget_epochs),
        )

    def to_settings(self) -> dict[str, Any]:
        """All settings that are present, flat: what `from_settings` reads."""
        settings: dict[str, Any] = {"corpus": list(self.corpus)}
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
