"""
Sizes for the time there is: what `--preset auto`, quick, good and best choose, and `--minutes` by itself.

    minutes ──► tokens that networks of each size would read ──► the largest that reads enough
                              ▲                                                │
    speeds of two networks, measured           how often it reads the text ◄───┤
                                                             │                 │
                                                             ▼                 ▼
                                                      regularisation    layers, hidden size

A larger network learns more from each token, and reads fewer of them in the time. How many are enough was
fitted to a grid of runs, and so was how often a text is read until regularisation pays:
benchmarks/results/budgets.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log, log2, sqrt
from types import MappingProxyType
from typing import Any

from lmgen.data.prepared import Prepared
from lmgen.data.run_folder import RunFolder
from lmgen.models.network.config import REGULARIZATION, NetworkConfig
from lmgen.runs.config import RunConfig, spelled
from lmgen.runs.setup import COUNTED_TOKENS, new_trainer
from lmgen.settings import NONE, flag
from lmgen.training.config import default_learning_rate

SIZES = (128, 192, 256, 384, 512, 768, 1024)
"""Hidden sizes to choose from."""

MEASURED, LARGER, SMALLER = 256, 512, 128
"""Hidden sizes whose speed is measured: one, and a larger one if that reads enough, else a smaller one."""

LARGEST_FOR_SHORT_TEXT, LONG_TEXT = 512, 2_000_000
"""Larger networks are for texts of so many tokens; on shorter ones they were not measured."""

SHARE, LEAST_SECONDS, MOST_SECONDS = 0.0075, 0.3, 2.0
"""Each measurement takes about this share of the budget, within these bounds."""

MOST_EPOCHS_FOR_FREQUENCIES = 3.0
"""
A network that reads the text no more often starts with how frequent tokens are.

It learns sooner so. Where a text is read more often it also knows it by heart sooner:
benchmarks/results/tricks.md.
"""

CONTEXT_SECONDS, CONTEXT_SHARE = 6e-6, 0.2
"""
A network of words starts with vectors of contexts where they take no more than this share of the time.

They take so many seconds for each token that is counted: benchmarks/results/words.md.
"""

NGRAM_EMBEDDING = 5
"""The n-gram embedding of a network of characters or bytes: benchmarks/results/ngram-embedding.md."""

MOST_EPOCHS_FOR_ALL_NGRAMS, NGRAM_DROPOUT = 2.0, 0.5
"""A network that reads the text more often drops so many n-grams, or it learns them by heart."""

DROPOUT_BEGINS, LARGER_NGRAM_DROPOUT = 9.0, 0.7
"""
From this `Bought.rereading` on a network of characters has dropout, and drops so many n-grams.

benchmarks/results/budgets.md, benchmarks/results/ngram-embedding.md
"""

NGRAM_STREAMS = ((LONG_TEXT, 64, 2.0), (0, 32, 1.0))
"""
From a length of the text on, streams of a network that has all n-grams, and a multiple of the default rate.

benchmarks/results/tricks.md
"""

FEWEST_UPDATES = 350
"""Those streams are taken if they leave so many updates; with few of them smaller batches learn more."""

TOKENS_OF_ROW, FEWEST_ROWS, MOST_ROWS = 8, 1 << 10, 1 << 17
"""About so many tokens of the text for each row of its table, which does not become larger than 33 MB."""

TOGETHER = 0.8
"""Speed of one of several processes, beside one on its own: benchmarks/results/distributed.md."""


@dataclass(frozen=True, slots=True)
class Bought:
    """What a budget of time buys."""

    minutes: float
    speeds: dict[int, float]
    """Tokens a second, by hidden size; of one size or several."""
    text: int
    """Tokens of the training text."""
    streams: int | None = None
    """How many streams they were measured with, and are to be trained with; None: as many as by default."""

    def tokens(self, hidden_size: int) -> float:
        """How many tokens a network of this size reads; logarithms of speeds lie on a line."""
        sizes = sorted(self.speeds)
        small, large = sizes[0], sizes[-1]
        slope = log(self.speeds[large] / self.speeds[small]) / log(large / small) if large > small else -1.6
        return 60 * self.minutes * self.speeds[small] * exp(slope * log(hidden_size / small))

    def epochs(self, hidden_size: int) -> float:
        """How often it reads the text."""
        return self.tokens(hidden_size) / self.text

    def rereading(self, hidden_size: int) -> float:
        """
        How far it is on the way to learning the text by heart.

        That is the number of epochs for 256 units and a million tokens. A larger network is there in fewer
        epochs, and so is one with a shorter text.
        """
        return self.epochs(hidden_size) * sqrt(hidden_size / 256) * float((1e6 / self.text) ** 0.7)


@dataclass(frozen=True, slots=True)
class Regularization:
    """What keeps a network from learning by heart a text that it reads often."""

    rereading: float
    """From which `Bought.rereading` on it is taken, ..."""
    tokens: float
    """... if the network reads so many tokens in all: the more is dropped, the slower it learns."""
    in_short: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is chosen for texts of one kind."""

    enough: float
    """Tokens that a network of 256 units reads at least, where a smaller one could have been chosen."""
    growth: float
    """By which power of the hidden size this rises."""
    regularization: Sequence[Regularization]
    """The first one for any network; of several that would do, the last is taken."""

    def hidden_size(self, bought: Bought) -> int:
        """The largest that reads enough."""
        most = SIZES[-1] if bought.text >= LONG_TEXT else LARGEST_FOR_SHORT_TEXT
        fitting = [size for size in SIZES if size <= most and self.is_enough_for(size, bought)]
        return max(fitting, default=SIZES[0])

    def is_enough_for(self, hidden_size: int, bought: Bought) -> bool:
        """Whether a network of this size reads enough."""
        return bought.tokens(hidden_size) >= self.enough * float((hidden_size / 256) ** self.growth)

    def regularization_for(self, bought: Bought, hidden_size: int) -> Regularization:
        """The last one that is called for."""
        rereading, tokens = bought.rereading(hidden_size), bought.tokens(hidden_size)
        return [
            each for each in self.regularization if each.rereading <= rereading and each.tokens <= tokens
        ][-1]


CHARACTERS = Rule(
    enough=1.75e6,
    growth=1.35,
    regularization=(
        Regularization(0.0, 0.0, "no dropout", {}),
        Regularization(DROPOUT_BEGINS, 0.0, "dropout 0.2", {"dropout": 0.2}),
        Regularization(
            18.0,
            1e7,
            "variational dropout 0.1 and 0.4",
            {"variational": True, "dropout_input": 0.1, "dropout_output": 0.4},
        ),
    ),
)
"""Of characters, bytes and parts of words."""

NGRAMS = replace(CHARACTERS, enough=3.2e6, growth=1.7)
"""
Of characters, bytes and parts of words that are embedded with their n-grams.

n-grams tell a small network much of what a larger one learns by itself, so that size pays later.
"""

WORDS = Rule(
    enough=7.5e5,
    growth=2.4,
    regularization=(
        Regularization(0.0, 0.0, "dropout 0.2", {"dropout": 0.2}),
        Regularization(0.5, 0.0, "dropout 0.4", {"dropout": 0.4}),
        Regularization(1.5, 0.0, "dropout 0.4, of the input 0.2", {"dropout": 0.4, "dropout_input": 0.2}),
        Regularization(
            3.0,
            0.0,
            "dropout 0.5, of the input 0.4",
            {"dropout": 0.5, "dropout_input": 0.4, "dropout_embedding": 0.1},
        ),
    ),
)
"""Of words: sizes as WORD_PRESETS have them, from about their time on: benchmarks/results/words.md."""


def fitting(
    run: RunFolder,
    config: RunConfig,
    prepared: Prepared,
    known: Mapping[int, float] = MappingProxyType({}),
    processes: int = 1,
) -> tuple[dict[str, Any], str]:
    """
    Measure how fast networks learn here, and choose.

    Args:
        run: with the token files.
        config: settings with a budget of time.
        prepared: what is in the token files.
        known: speeds that were measured before, in tokens a second, by the hidden size.
        processes: how many train together; this one computes its part of a batch, for all of them.

    Returns:
        Settings by the names of the flags, and which they are and why, in a line.

    Raises:
        NumericalError: a network fails at its first update.
    """
    from lmgen.training.speed import tokens_per_second

    asked, minutes = config.asked.get("hidden_size"), config.training.minutes
    assert minutes is not None, "sizes are chosen for a budget of time"
    seconds = measured_seconds(minutes)

    def measure(bought: Bought) -> Bought:
        batch = max(1, (bought.streams or config.training.batch_size) // processes)
        part = replace(config, training=replace(config.training, batch_size=batch))

        def measure_size(size: int) -> None:
            settings = {"layers": 1, "hidden_size": size, **_ngrams(config, bought.text)}
            speed = tokens_per_second(new_trainer(run, part.with_sizes(settings, ""), prepared), seconds)
            bought.speeds[size] = speed if processes == 1 else TOGETHER * processes * speed

        first = asked or MEASURED
        if first not in bought.speeds:
            measure_size(first)
        if asked is None:
            measure_size(LARGER if rule_for(config).is_enough_for(first, bought) else SMALLER)
        return bought

    bought = measure(Bought(minutes, dict(known), prepared.train.tokens))
    settings, reason = choose(bought, config)
    if config.training.device != "cuda" or "batch_size" not in settings:
        return settings, reason
    # On a GPU an update of more streams takes hardly longer, so that they read far more than was measured.
    streams = settings["batch_size"]
    return choose(measure(replace(bought, speeds={}, streams=streams)), config)


def measured_seconds(minutes: float) -> float:
    """How long a measurement takes, for a budget of so many minutes."""
    return min(max(SHARE * 60 * minutes, LEAST_SECONDS), MOST_SECONDS)


def rule_for(config: RunConfig) -> Rule:
    """The rule for the tokens of a run."""
    if config.tokenizer.tokenizer == "word":
        return WORDS
    return NGRAMS if _embeds_ngrams(config) else CHARACTERS


def choose(bought: Bought, config: RunConfig) -> tuple[dict[str, Any], str]:
    """The settings for what a budget buys, by the names of the flags, and why, in a line."""
    rule, asked = rule_for(config), config.asked
    size = asked.get("hidden_size") or rule.hidden_size(bought)
    regularization = rule.regularization_for(bought, size)
    settings: dict[str, Any] = {"layers": 1, "hidden_size": size}
    settings |= {name: getattr(NetworkConfig(), name) for name in REGULARIZATION}
    counted = config.predicts_all and bought.epochs(size) <= MOST_EPOCHS_FOR_FREQUENCIES
    settings["init_output"] = "frequencies" if counted else "zeros"
    settings["init_embedding"] = "contexts" if _starts_with_contexts(bought, config) else "random"
    settings |= _ngrams(config, bought.text)
    if "ngram_embedding" in settings:
        settings |= _for_ngrams(bought, config, size)
    given = [name for name in REGULARIZATION if name in asked and name != "dropout_ngrams"]
    if not given:
        settings |= regularization.settings
        dropped = regularization.in_short
    else:
        dropped = f"{', '.join(f'{flag(name)} {asked[name]}' for name in given)} as given"
    layers = asked.get("layers", 1)
    network = f"{layers} x {size}" if layers else f"{size} units"
    order = asked.get("ngram_embedding", settings.get("ngram_embedding", NONE))
    if order != NONE:
        rate = asked.get("dropout_ngrams", settings.get("dropout_ngrams"))
        network = f"{order}-gram embedding{f' (dropout {rate:g})' if rate else ''}, {network}"
    if "batch_size" in settings:
        dropped += f", {settings['batch_size']} streams"
    if settings["init_embedding"] == "contexts" and "init_embedding" not in asked:
        dropped += ", embedding from contexts"
    time, epochs = _clock(60 * bought.minutes), _rounded(bought.epochs(size))
    reason = f"{time} buys {epochs} epochs at {_rounded(bought.tokens(size) / bought.minutes / 60)} tokens/s"
    return spelled(settings), f"{network}, {dropped}: {reason}"


def _embeds_ngrams(config: RunConfig) -> bool:
    """Whether a network has an n-gram embedding, asked for or chosen."""
    if "ngram_embedding" in config.asked:
        return bool(config.asked["ngram_embedding"] != NONE)
    return _can_choose_ngrams(config)


def _starts_with_contexts(bought: Bought, config: RunConfig) -> bool:
    """Whether the embedding starts with vectors of contexts, which were measured for words."""
    free = config.training.embeddings is None and config.network.embedding_size != 0
    words = config.tokenizer.tokenizer == "word" and config.predicts_all
    takes = CONTEXT_SECONDS * min(bought.text, COUNTED_TOKENS)
    return words and free and takes <= CONTEXT_SHARE * 60 * bought.minutes


def _can_choose_ngrams(config: RunConfig) -> bool:
    """Whether an n-gram embedding was measured for such a network, and would not be slow."""
    measured = config.tokenizer.tokenizer in ("char", "byte") and config.predicts_all
    return measured and config.network.embedding_size != 0 and config.training.optimizer == "adamw"


def _ngrams(config: RunConfig, tokens: int) -> Mapping[str, Any]:
    """The settings of the n-gram embedding that is chosen for a text, if one is."""
    if not (_can_choose_ngrams(config) and _embeds_ngrams(config)):
        return {}
    return {"ngram_embedding": NGRAM_EMBEDDING, "ngram_rows": ngram_rows(tokens)}


def _for_ngrams(bought: Bought, config: RunConfig, hidden_size: int) -> Mapping[str, Any]:
    """The settings that suit an n-gram embedding, by how often the text is read."""
    dropped = {}
    if bought.epochs(hidden_size) > MOST_EPOCHS_FOR_ALL_NGRAMS:
        more = bought.rereading(hidden_size) >= DROPOUT_BEGINS
        dropped = {"dropout_ngrams": LARGER_NGRAM_DROPOUT if more else NGRAM_DROPOUT}
    windows = bought.tokens(hidden_size) / config.training.window_length
    for text, streams, rate in NGRAM_STREAMS if "batch_size" not in config.asked else ():
        pay = not dropped and bought.text >= text and windows / streams >= FEWEST_UPDATES
        if streams == bought.streams or (bought.streams is None and pay):
            highest = rate * default_learning_rate("adamw", hidden_size)
            return {**dropped, "batch_size": streams, "learning_rate": highest}
    return dropped


def ngram_rows(tokens: int) -> int:
    """Rows of the n-gram embedding's table for a text of so many tokens: a power of two."""
    return min(max(1 << round(log2(max(tokens / TOKENS_OF_ROW, 1))), FEWEST_ROWS), MOST_ROWS)


def _rounded(number: float) -> str:
    """A number with the two digits that count: 39,000, 9.6 or 0.43."""
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def _clock(seconds: float) -> str:
    """A time: 4:00, or 1.2 s below ten seconds."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02}"
