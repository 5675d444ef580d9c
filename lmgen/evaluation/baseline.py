"""The n-gram baseline of a run: fitted on the run's training tokens, kept in the run folder."""

from collections.abc import Sequence
from pathlib import Path

from lmgen.data.run_folder import RunFolder, run_of
from lmgen.data.verified import read_kept_tokens
from lmgen.errors import ModelError
from lmgen.memory import memory_bytes
from lmgen.models.model_file import load_model
from lmgen.models.ngram.model import NgramModel
from lmgen.models.ngram.words import Words
from lmgen.tokenizers.base import Tokenizer


def fit_on_run(
    run: RunFolder,
    tokenizer: Tokenizer,
    order: int,
    prune: Sequence[int] = (),
    words: Words | None = None,
    memory: str | None = None,
) -> NgramModel:
    """
    Fit an n-gram model on a run's training tokens. Lines are sentences if the tokenizer reads lines.

    Args:
        run: the run folder.
        tokenizer: the one that made the tokens.
        order: tokens of an n-gram, at least 1.
        prune: leave out n-grams that occur at most this often, for order 1, 2, ... (`NgramModel.fit`).
        words: the ids that the model has; None: all.
        memory: what the process may have, such as `2G`; with more to do, it is done on the disk of the run
            folder. None: half of what is free.

    Raises:
        CorpusError: the token file is missing or damaged.
        ConfigError: the order, the thresholds or the memory are out of range.
        WriteError: the disk is full.
    """
    return NgramModel.fit(
        read_kept_tokens(run, run.train_tokens, tokenizer.vocabulary_size),
        order=order,
        vocabulary_size=tokenizer.vocabulary_size,
        sentence_end=tokenizer.sentence_end,
        prune=prune,
        words=words,
        memory=memory_bytes(memory),
        folder=run.folder,
    )


def baseline_of(path: Path, tokenizer: Tokenizer, order: int | None = None) -> NgramModel:
    """
    The n-gram baseline of a model's run; a baseline of another order is fitted on the same tokens.

    Args:
        path: the model's file, in its run folder.
        tokenizer: the model's.
        order: None for that of the stored baseline.

    Raises:
        ModelError: the model is not in a run folder; or no baseline is stored and no order was given; or the
            stored one has another tokenizer.
    """
    run = run_of(path)
    if run is None:
        raise ModelError(f"there is no n-gram baseline: {path} is not in a run folder; name the folder")
    if run.ngram.exists():
        saved = load_model(run.ngram)
        if saved.tokenizer.to_json() != tokenizer.to_json():
            raise ModelError(f"{run.ngram} has another tokenizer than {run.model}; was one of them copied?")
        stored = saved.model.as_ngrams()
        if stored is not None and order in (None, stored.order):
            return stored
    if order is None:
        raise ModelError(
            f"the run {run.folder} was trained without an n-gram baseline, or not yet to its end; "
            "fit one with --order"
        )
    return fit_on_run(run, tokenizer, order)
