"""Fitting n-gram models: the baseline of a run, or one alone. Needs no torch."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lmgen.data.preparation import Prepared, prepare
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import read_tokens
from lmgen.errors import ModelError
from lmgen.evaluation.scoring import mean_nats
from lmgen.models.model_file import save_model
from lmgen.models.ngram import NgramModel
from lmgen.text.corpora import Corpus, open_corpus
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.registry import TOKENIZERS
from lmgen.training.config import RunConfig
from lmgen.training.events import BaselineFitted

BASELINE_ORDERS = {"char": 7, "byte": 7, "word": 5, "bpe": 5, "unigram": 5}
"""By tokenizer; on tinyshakespeare's characters, order 7 predicts best."""

BASELINE_TOKENS = 30_000_000
"""Training texts longer than this get no baseline unless its order is asked for: it is fitted in memory."""


@dataclass(frozen=True, slots=True)
class FittedNgram:
    """What `lmgen ngram` made. The fields are those of its `--json`."""

    model: str
    order: int
    vocabulary_size: int
    ngrams: tuple[int, ...]
    """How many of each order."""
    train_tokens: int
    valid_nats_per_token: float
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The summary that programs read."""
        return asdict(self)


def fit_ngram(
    corpus: Sequence[str],
    order: int,
    out: Path,
    *,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> FittedNgram:
    """
    Fit an n-gram model on a corpus and save it.

    Args:
        corpus: files, folders or corpus names; none: the built-in default.
        order: tokens of an n-gram, at least 1.
        out: the model file.
        overwrite: replace a file that is there.
        tell: hears of a download before it begins.
        settings: of the tokenizer, and of what is held out, by the names of the flags.

    Raises:
        ConfigError: a setting is unknown or out of range.
        CorpusError: the corpus cannot be read or is too short.
        ModelError: the file exists.
    """
    if out.exists() and not overwrite:
        raise ModelError(f"there is a file {out} already; replace it (--overwrite) or give another --out")
    config = RunConfig.from_settings({**settings, "corpus": corpus}, "the settings")
    opened = open_run_corpus(config, tell)
    with tempfile.TemporaryDirectory(prefix="lmgen-") as folder:
        run = RunFolder(Path(folder) / "run")
        prepared = prepare(opened, config.held_out, config.tokenizer, run)
        model = fit(run, prepared.tokenizer, order)
        nats, _ = mean_nats(model, read_tokens(run.valid_tokens))
    save_model(out, model, prepared.tokenizer, _training(prepared, nats))
    return FittedNgram(
        model=str(out),
        order=order,
        vocabulary_size=model.vocabulary_size,
        ngrams=tuple(model.counts),
        train_tokens=prepared.train.tokens,
        valid_nats_per_token=nats,
        notes=(*prepared.notes, *model.notes),
    )


def fit_baseline(run: RunFolder, prepared: Prepared, order: int) -> BaselineFitted:
    """Fit the baseline of a run on its training tokens, score the validation text with it, and save it."""
    model = fit(run, prepared.tokenizer, order)
    nats, _ = mean_nats(model, read_tokens(run.valid_tokens))
    save_model(run.ngram, model, prepared.tokenizer, _training(prepared, nats))
    return BaselineFitted(order, sum(model.counts), nats, tuple(model.notes))


def open_run_corpus(config: RunConfig, tell: Callable[[str], None]) -> Corpus:
    """Open what a run is to be trained on, decoded as its tokenizer needs it."""
    errors = TOKENIZERS[config.tokenizer.tokenizer].reading_errors
    return open_corpus(config.corpus, field=config.held_out.field, errors=errors, tell=tell)


def baseline_order(config: RunConfig, prepared: Prepared) -> int:
    """The order that was asked for, or a good one; 0 is none."""
    if config.training.baseline_order is not None:
        return config.training.baseline_order
    if prepared.train.tokens > BASELINE_TOKENS:
        return 0
    return BASELINE_ORDERS[config.tokenizer.tokenizer]


def fit(run: RunFolder, tokenizer: Tokenizer, order: int) -> NgramModel:
    """Fit a model on a run's training tokens: lines are sentences where the tokenizer reads lines."""
    return NgramModel.fit(
        read_tokens(run.train_tokens),
        order=order,
        vocabulary_size=tokenizer.vocabulary_size,
        sentence_end=tokenizer.line_end if tokenizer.reads_lines else None,
    )


def _training(prepared: Prepared, nats: float) -> dict[str, Any]:
    return {
        "corpus": prepared.corpus,
        "train_tokens": prepared.train.tokens,
        "valid_nats_per_token": nats,
    }
