"""The n-gram baseline of a run: fitted on the run's training tokens, kept in the run folder."""

from collections.abc import Sequence

from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import read_tokens
from lmgen.errors import ModelError
from lmgen.models.model_file import load_model
from lmgen.models.ngram.model import NgramModel
from lmgen.tokenizers.base import Tokenizer


def fit_on_run(run: RunFolder, tokenizer: Tokenizer, order: int, prune: Sequence[int] = ()) -> NgramModel:
    """
    Fit an n-gram model on a run's training tokens: lines are sentences where the tokenizer reads lines.

    `order` and `prune` are those of `NgramModel.fit`.

    Raises:
        CorpusError: the token file is missing or damaged.
        ConfigError: the order is not at least 1.
    """
    return NgramModel.fit(
        read_tokens(run.train_tokens, tokenizer.vocabulary_size),
        order=order,
        vocabulary_size=tokenizer.vocabulary_size,
        sentence_end=tokenizer.line_end if tokenizer.reads_lines else None,
        prune=prune,
    )


def open_baseline(run: RunFolder, tokenizer: Tokenizer, order: int | None = None) -> NgramModel:
    """
    The baseline of a run; one of another order is fitted anew.

    Args:
        run: the run folder.
        tokenizer: of the model that it stands beside.
        order: None for that of the stored baseline.

    Raises:
        ModelError: there is no stored one and no order was given, or it has another tokenizer.
    """
    if run.ngram.exists():
        saved = load_model(run.ngram)
        if saved.tokenizer.to_json() != tokenizer.to_json():
            raise ModelError(f"{run.ngram} has another tokenizer than {run.model}; was one of them copied?")
        stored = saved.model.as_ngrams()
        if stored is not None and order in (None, stored.order):
            return stored
    if order is None:
        raise ModelError(f"the run {run.folder} was trained without an n-gram baseline; fit one with --order")
    return fit_on_run(run, tokenizer, order)
