"""Everything that a training run depends on, as one value. Imports nothing heavy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from lmgen.data.config import HeldOutConfig
from lmgen.errors import ConfigError
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.labelling import LabelConfig
from lmgen.settings import NONE, flag, from_mapping, names_of, refuse_unknown, shown, takes_none, to_mapping
from lmgen.text.config import ReadingConfig
from lmgen.text.sources import Text
from lmgen.tokenizers.config import IMPORTED, TokenizerConfig, with_implied_tokenizer
from lmgen.training.config import TrainingConfig

FINE_TUNING_RATE = 0.5
"""Fine-tuning starts at this share of the default learning rates: benchmarks/results/fine-tuning.md."""

_RECURRENT_LAYERS = "recurrent layers (--layers 1)"

ACTS_ON: Mapping[str, tuple[str, Callable[["RunConfig"], bool]]] = {
    "cell": (_RECURRENT_LAYERS, lambda run: run.network.layers > 0),
    "init": (_RECURRENT_LAYERS, lambda run: run.network.layers > 0),
    "init_scale": (_RECURRENT_LAYERS, lambda run: run.network.layers > 0),
    "residual": ("two recurrent layers of one size (--layers 2)", lambda run: run.network.has_equal_layers),
    "dense_activation": ("dense layers (--dense-layers 1)", lambda run: run.network.dense_layers > 0),
    "convolution_activation": (
        "convolutions (--convolution WIDTHxFILTERS)",
        lambda run: run.network.convolution is not None,
    ),
    "dropout_hidden": ("a second layer (--layers 2)", lambda run: run._has_layers_between),
    "variational": ("dropout of values (--dropout 0.5)", lambda run: run._drops_values),
    "output_rate": ("an output layer with weights of its own (--no-tied)", lambda run: not run.network.tied),
    "init_output": (
        "a text of which every token is predicted (no --answers-after)",
        lambda run: run.predicts_all,
    ),
    "ngram_rows": ("--ngram-embedding", lambda run: run.network.ngram_embedding is not None),
    "dropout_ngrams": ("--ngram-embedding", lambda run: run.network.ngram_embedding is not None),
    "samples": ("--objective sampled", lambda run: run.training.objective == "sampled"),
    "token_learning_rate": (
        "--optimizer adamw-adagrad",
        lambda run: run.training.optimizer == "adamw-adagrad",
    ),
}
"""Settings that can be given where nothing is that they act on: what that is, and whether a run has it."""

NOT_OF_LABELS = {
    "state": "with --labels each text is read whole, from a state of zeros, so none is carried",
    "init_output": "--init-output is for the output layer of tokens, and labels are predicted in its place",
    "samples": "--samples is for --objective sampled, and labels are few enough to compare all of them",
}
"""Settings that would change nothing where labels are predicted, and why."""


NEW_WEIGHTS = ("init", "init_scale", "init_memory", "init_output", "init_embedding")
"""Settings of how weights start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Every setting of a run, and which of them were asked for."""

    corpus: tuple[str, ...] = ()
    """Files, folders, `-` or corpus names, read one after another; none: the built-in default."""
    origin: str | None = None
    """The model to fine-tune (`--from`), see finetuning.py."""
    extend_vocabulary: bool = False
    """Whether tokens of the new text that this model does not know are added to its vocabulary."""
    reading: ReadingConfig = field(default_factory=ReadingConfig)
    held_out: HeldOutConfig = field(default_factory=HeldOutConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    labelling: LabelConfig = field(default_factory=LabelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    fit_sizes: bool = False
    """Whether sizes are still to be chosen for the time there is (sizes.py)."""
    fitted: str = ""
    """Which sizes were chosen, and why; empty if none were."""
    texts: Mapping[str, Text] = field(default_factory=dict, compare=False)
    """The texts that a program gave, by the names that stand for them above (text/given.py)."""
    asked: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What the user asked for, by the names of the flags (`preset` among them), as config.toml keeps it."""

    def __post_init__(self) -> None:
        if self.reading.unit != "document" and self.training.vary_window_length:
            cause = "--labels" if self.labelling.labels else f"--unit {self.reading.unit}"
            raise ConfigError(
                f"--vary-window-length is for documents, and with {cause} windows are whole units: leave it "
                "out (of a preset: --no-vary-window-length)"
            )
        if self.network.output == "adaptive" and self.tokenizer.tokenizer != "word":
            raise ConfigError(
                "--output adaptive needs token ids that go by falling frequency, and only those of words do: "
                f"take --tokenizer word, or leave --output adaptive out with {self.tokenizer.tokenizer}"
            )
        if self.tokenizer.tokenizer == IMPORTED and not (self.tokenizer.tokenizer_file or self.origin):
            raise ConfigError(
                f"--tokenizer {IMPORTED} is a model made elsewhere: give its file, --tokenizer-file "
                "FILE.model"
            )
        self._check_embeddings()
        self._check_labels()
        if self.training.init_memory is not None:
            self.network.check_memory()
        if self.network.output == "adaptive" and self.training.objective == "sampled":
            raise ConfigError(
                "--objective sampled is for the output softmax, and adaptive is fast without: take --output "
                "softmax, or leave --objective sampled out"
            )
        widest, window = self.network.widest_convolution, self.training.window_length
        if widest > window and self.training.state == "reset" and not self.labelling.labels:
            raise ConfigError(
                f"--convolution reads {widest:,} tokens, but with --state reset none before its window of "
                f"{window:,}: give a smaller WIDTH, a longer --window-length or --state carry"
            )
        if self.held_out.without_validation and (needing := self.training.needing_validation):
            raise ConfigError(
                f"--valid 0 leaves no text to validate on, which {' and '.join(needing)} would need; leave "
                "that out, or give --valid a file or a fraction such as 0.1"
            )

    def _check_labels(self) -> None:
        """Refuse what only a language model can have where labels are predicted."""
        if not self.labelling.labels:
            return
        self.labelling.check_network(self.network)
        problem = None
        if self.origin is not None:
            problem = "--labels is for new weights, and --from has those of a language model: leave one out"
        elif self.reading.unit != "line":
            problem = f"--labels reads each line as a text of its own: leave --unit {self.reading.unit} out"
        elif self.reading.answers_after is not None:
            problem = "--answers-after is for language models, and --labels predicts labels: leave one out"
        elif self.training.objective == "sampled":
            problem = "--objective sampled is for tokens, and labels are few: leave it out"
        elif self.training.baseline_order:
            problem = "--baseline-order is for language models; --labels has none: leave it out"
        if problem:
            raise ConfigError(problem)

    def refuse_idle(self) -> None:
        """
        Refuse what was asked for and would change nothing. Runs that were begun with it may still be resumed.

        Raises:
            ConfigError: the message says why it would change nothing.
        """
        if not self.labelling.labels:
            return
        for name, reason in NOT_OF_LABELS.items():
            if name in self.asked:
                raise ConfigError(f"{reason}: leave {_typed(name)} out")

    @property
    def predicts_all(self) -> bool:
        """Whether every token of the text is predicted, rather than answers or labels."""
        return self.reading.answers_after is None and not self.labelling.labels

    @property
    def notes(self) -> list[str]:
        """What a user should know of settings that do nothing here, or other than one may think."""
        network, training = self.network, self.training
        window = training.window_length
        found = [
            f"{flag(name)} changes nothing without {what}"
            for name, (what, acts) in ACTS_ON.items()
            if self.asked.get(name, NONE) not in (NONE, False, 0) and not acts(self)
        ]
        if self.labelling.labels:
            if "window_length" in self.asked:
                most = training.batch_size
                found.append(
                    f"--window-length {window}: with --labels each text is read whole, and gradients flow "
                    f"back to its beginning; a batch has up to {most:,} texts, fewer if they have more than "
                    f"{most:,} * {window:,} tokens"
                )
        elif network.widest_convolution > window:
            found.append(
                f"--convolution reads {network.widest_convolution:,} tokens, but gradients flow back through "
                f"{window:,}: what is before a window is read, and its vectors learn nothing from that"
            )
        return found

    @property
    def _has_layers_between(self) -> bool:
        """Whether a layer, of any kind, reads what another one gives out."""
        network, labelling = self.network, self.labelling
        pools = labelling.labels and (labelling.bidirectional or labelling.pool_for(network) != "last")
        layers = len(network.convolutions) + network.layers + network.dense_layers
        return layers + (network.attention is not None) + pools > 1

    @property
    def _drops_values(self) -> bool:
        """Whether there is dropout of a kind that has one mask for each step, or one for all."""
        network = self.network
        between = network.dropout_between if self._has_layers_between else 0.0
        return bool(network.dropout_input or between or network.dropout_before_output)

    def _check_embeddings(self) -> None:
        """Refuse word vectors where there is nothing to start with them."""
        training, problem = self.training, None
        if training.embeddings is not None and self.origin is not None:
            problem = "--embeddings are for new weights, and --from has its own; leave them out"
        elif training.embeddings is not None and self.tokenizer.tokenizer != "word":
            problem = (
                f"--embeddings are vectors of words, not of {self.tokenizer.tokenizer} tokens: take "
                "--tokenizer word, or leave --embeddings out"
            )
        elif training.embeddings is not None and training.init_embedding != "random":
            problem = (
                "--embeddings and --init-embedding contexts are two starts of one embedding; leave one out"
            )
        elif self.network.embedding_size == 0 and training.init_embedding != "random":
            problem = "--embedding-size 0 has no embedding to start with --init-embedding; leave one out"
        elif training.freeze_embeddings and training.embeddings is None and self.origin is None:
            problem = (
                "--freeze-embeddings keeps vectors that were trained before: give their file (--embeddings "
                "FILE) or a model (--from), or leave --freeze-embeddings out"
            )
        elif self.network.embedding_size == 0 and training.embeddings is not None:
            problem = "--embedding-size 0 has no embedding that could start with --embeddings; leave one out"
        elif self.network.embedding_size == 0 and training.freeze_embeddings:
            problem = "--embedding-size 0 has no embedding to keep as it is; leave --freeze-embeddings out"
        if problem:
            raise ConfigError(problem)

    def __repr__(self) -> str:
        """What is trained on what, in short: `<RunConfig lstm 2 x 512, char, on book.txt>`."""
        corpus = ", ".join(self.corpus) or "the default corpus"
        return f"<RunConfig {self.network.in_short}, {self.tokenizer.tokenizer}, on {corpus}>"

    @classmethod
    def from_settings(
        cls, values: Mapping[str, Any], where: str, asked: Mapping[str, Any] | None = None
    ) -> "RunConfig":
        """
        Sort flat settings, by the names of the flags, into their parts.

        Args:
            values: the settings; those that are missing have their defaults.
            where: where they were read, for messages.
            asked: those that the user asked for; all of `values` if None.

        Raises:
            ConfigError: a name is unknown or a value is wrong.
        """
        rest = with_implied_tokenizer(values)
        fit_sizes, fitted = rest.pop("fit_sizes", False), rest.pop("fitted", "")
        refuse_unknown(rest, setting_names(), where, "see `lmgen train --help`")
        if rest.get("labels") is True:
            rest.setdefault("unit", "line")
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
                f"{where}: --extend-vocabulary is for runs that start --from a model; leave it out"
            )
        parts = {}
        for name, part in _PARTS.items():
            names = {field.name for field in fields(part)}
            chosen = {key: rest.pop(key) for key in list(rest) if key in names}
            parts[name] = from_mapping(part, chosen, where)
        given = (values if asked is None else asked).keys()
        starts = [flag(name) for name in NEW_WEIGHTS if name in given]
        if origin is not None and starts:
            raise ConfigError(
                f"{where}: {starts[0]} is for new weights, and --from has its own; leave it out"
            )
        asked = spelled(values if asked is None else asked)
        return cls(
            corpus=tuple(corpus),
            origin=origin,
            extend_vocabulary=extend,
            fit_sizes=fit_sizes is True,
            fitted=str(fitted),
            asked=asked,
            **parts,
        )

    def resolved(self) -> "RunConfig":
        """The same with a value for each default that depends on other settings."""
        network, training = self.network, self.training
        share = 1.0 if self.origin is None else FINE_TUNING_RATE
        rate, embedding_size = training.learning_rate, network.embedding_size
        if not self.fit_sizes:  # both may depend on the hidden size
            rate = rate or training.highest_rate(network.hidden_size) * share
            embedding_size = network.embedding_width
        token_rate = training.token_learning_rate
        if training.optimizer == "adamw-adagrad":
            token_rate = token_rate or training.highest_token_rate * share
        return replace(
            self,
            network=replace(network, embedding_size=embedding_size),
            training=replace(
                training,
                learning_rate=rate,
                token_learning_rate=token_rate,
                weight_decay=training.decay,
                epochs=training.budget_epochs,
            ),
        )

    def to_settings(self) -> dict[str, Any]:
        """Every setting, flat, by the names of the flags: `from_settings` makes the same of them."""
        settings: dict[str, Any] = {"corpus": list(self.corpus)}
        if self.origin is not None:
            settings |= {"from": self.origin, "extend_vocabulary": self.extend_vocabulary}
        for name in _PARTS:
            settings |= to_mapping(getattr(self, name), complete=True)
        if self.fit_sizes:
            settings["fit_sizes"] = True
        if self.fitted:
            settings["fitted"] = self.fitted
        return settings

    def with_sizes(self, sizes: Mapping[str, Any], fitted: str) -> "RunConfig":
        """
        The same with sizes that were chosen, but for those that were asked for.

        Args:
            sizes: by the names of the flags.
            fitted: what was chosen, and why.
        """
        settings = {**self.to_settings(), **sizes, "fit_sizes": False, "fitted": fitted}
        settings |= {name: self.asked[name] for name in sizes if name in self.asked}
        chosen = RunConfig.from_settings(settings, "the sizes that fit the time", self.asked)
        return replace(chosen.resolved(), texts=self.texts)


def _typed(name: str) -> str:
    """A setting as it is typed at the shell, where some have several names."""
    return "--state (or --stateful, --stateless)" if name == "state" else flag(name)


_PARTS: dict[str, Any] = {
    "reading": ReadingConfig,
    "held_out": HeldOutConfig,
    "tokenizer": TokenizerConfig,
    "network": NetworkConfig,
    "labelling": LabelConfig,
    "training": TrainingConfig,
}


def setting_names() -> frozenset[str]:
    """The names of everything that a run may be asked for."""
    return names_of(*_PARTS.values()) | {"corpus", "from", "extend_vocabulary", "preset"}


def with_state(settings: Mapping[str, Any]) -> dict[str, Any]:
    """
    Settings with `stateful` and `stateless` said as `state`: `{"stateful": True}` -> `{"state": "carry"}`.

    Raises:
        ConfigError: one of them is neither true nor false, or they contradict each other or `state`.
    """
    rest = dict(settings)
    states = [rest["state"]] if rest.get("state") is not None else []
    for name, state, opposite in (("stateful", "carry", "reset"), ("stateless", "reset", "carry")):
        said = rest.pop(name, None)
        if said is not None and type(said) is not bool:
            raise ConfigError(f"{name} is {shown(said)}, but has to be True or False")
        if said is not None:
            states.append(state if said else opposite)
    if any(state != states[0] for state in states):
        raise ConfigError("--state, --stateful and --stateless contradict each other; give one of them")
    return {**rest, "state": states[0]} if states else rest


def spelled(settings: Mapping[str, Any]) -> dict[str, Any]:
    """
    Settings as a TOML file spells them: None is `none`, or left out where that would be a text.

    `{"clip": None, "valid": None}` -> `{"clip": "none"}`
    """
    optional = {
        field.name for part in _PARTS.values() for field in fields(part) if takes_none(part, field.name)
    }
    return {
        name: NONE if value is None else list(value) if isinstance(value, tuple) else value
        for name, value in settings.items()
        if value is not None or name in optional
    }
