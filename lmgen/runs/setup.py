"""What a run needs before its first update: torch, a device, tokens, and a trainer at its beginning."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from lmgen.data.answers import Answers
from lmgen.data.batches import Batches
from lmgen.data.labels import LabelSet
from lmgen.data.preparation import prepare
from lmgen.data.prepared import Prepared
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import token_counts
from lmgen.data.unit_batches import UnitBatches, whole_units
from lmgen.data.windows import Windows, needed_tokens
from lmgen.errors import ConfigError
from lmgen.models.network.initialization import initial_parameters, with_frequencies, with_vectors
from lmgen.models.network.initializers import Start
from lmgen.models.network.labelling import LabelConfig, Labelling
from lmgen.models.network.layers import network_layers
from lmgen.runs.config import RunConfig
from lmgen.runs.corpus_notes import corpus_notes, held_out_notes, origin_note
from lmgen.runs.finetuning import Origin, parameters_from
from lmgen.runs.ngram import baseline_order, late_baseline_notes
from lmgen.runs.pretrained import Pretrained, keep_vectors, load_vectors
from lmgen.text.config import LabelFormat
from lmgen.text.corpora import Corpus
from lmgen.training.config import GPU_PRECISIONS, TrainingConfig

if TYPE_CHECKING:
    from lmgen.training.distributed import Group
    from lmgen.training.loop import Trainer
    from lmgen.training.validation import Validation

COUNTED_TOKENS = 10_000_000
"""How many at the beginning of a text are counted for how weights start; all would take too long."""

CONTEXT_SCALE = 1 / 6
"""The root mean square of context vectors, as of those of fastText: benchmarks/results/words.md."""


def import_torch() -> None:
    """
    Import all of `training`, and torch with it, which takes seconds.

    Meant to be called before anything is begun: when Ctrl-C interrupts an import, the exception may get lost,
    or leave half a module behind.
    """
    from lmgen.training import checkpoints, cost, loop, process, range_test, setup, speed  # noqa: F401


def on_this_machine(config: RunConfig) -> RunConfig:
    """
    The same with the device and the number of threads of this machine, where they are left to lmgen.

    Raises:
        ConfigError: a GPU is asked for, or a number format of one, and there is none.
    """
    from lmgen.training.process import default_threads
    from lmgen.training.setup import open_device

    training = config.training
    device = open_device(training.device).type
    if training.precision in GPU_PRECISIONS and device != "cuda":
        raise ConfigError(
            f"--precision {training.precision} is for GPUs, and training is on {device}: leave it out"
        )
    return replace(
        config, training=replace(training, device=device, threads=training.threads or default_threads())
    )


def prepare_run(
    config: RunConfig,
    corpus: Corpus,
    run: RunFolder,
    origin: Origin | None,
    others: Iterable[RunFolder] = (),
) -> Prepared:
    """
    Fill a run folder with the tokens of the corpus, made by a new tokenizer or by that of the origin.

    Word vectors of its vocabulary, if there are to be any, are copied there, too. Tokens of a large text are
    taken from one of the `others`, if that has been trained on the same.

    Raises:
        ConfigError, CorpusError, ModelError: as `prepare`.
        CorpusError: as `keep_vectors`.
    """
    training = config.training
    prepared = prepare(
        corpus,
        config.held_out,
        config.tokenizer,
        run,
        reading=config.reading,
        given=origin.tokenizer if origin else None,
        extend=config.extend_vocabulary,
        labels=_label_format(config.labelling),
        needed_tokens=1
        if config.reading.unit != "document"
        else needed_tokens(training.batch_size, training.window_length, carried=training.state == "carry"),
        check_vocabulary=config.network.resolved,
        scored_tokens=training.evaluation_tokens,
        processes=training.threads,
        going_on=True,
        others=others,
    )
    if prepared.labels is not None:
        _check_pooling(config.labelling, prepared.labels)
        notes = []
    elif origin:
        notes = origin_note(origin, corpus)
    else:
        notes = corpus_notes(config, corpus)
        if not baseline_order(config, prepared):  # else the baseline tells more
            notes += held_out_notes(run, prepared.tokenizer, None)
    notes += late_baseline_notes(run, config, prepared)
    if training.embeddings is not None:
        notes += keep_vectors(config, run, prepared)
    return replace(prepared, notes=(*prepared.notes, *notes, *config.notes))


def starting_vectors(
    config: RunConfig, run: RunFolder, prepared: Prepared, on_note: Callable[[str], None]
) -> Pretrained | None:
    """
    The vectors that a run's embedding starts with; None if they are random.

    Args:
        config: all settings.
        run: with the token files.
        prepared: what is in the token files.
        on_note: called before what takes a while.

    Raises:
        ModelError, CorpusError, WriteError: as `load_vectors`.
    """
    if config.training.init_embedding == "random":
        return load_vectors(config, run, prepared)
    from lmgen.training.contexts import context_vectors

    tokenizer, V = prepared.tokenizer, prepared.tokenizer.vocabulary_size
    ids = prepared.open_tokens(run.train_tokens, V)[:COUNTED_TOKENS]
    on_note(f"the embedding starts with vectors of contexts, counted in {len(ids):,} tokens")
    size = config.network.embedding_width
    tokens, vectors = context_vectors(ids, V, size, config.training.seed, tokenizer.end)
    return Pretrained(tokens, np.float32(CONTEXT_SCALE) * vectors)


def new_trainer(
    run: RunFolder,
    config: RunConfig,
    prepared: Prepared,
    origin: Origin | None = None,
    pretrained: Pretrained | None = None,
    group: "Group | None" = None,
) -> "Trainer":
    """
    A trainer before its first update, with random weights by the seed or with those of `origin`.

    Args:
        run: with the token files.
        config: all settings.
        prepared: what is in the token files.
        origin: the model to fine-tune.
        pretrained: vectors that the embedding of new weights starts with (`starting_vectors`).
        group: the processes that train together, which all call this; None: there is but this one.
    """
    from lmgen.training.distributed import ALONE
    from lmgen.training.loop import Trainer
    from lmgen.training.setup import new_network

    group = group or ALONE
    tokenizer, training = prepared.tokenizer, config.training
    V = tokenizer.vocabulary_size
    labelling = labelling_of(config, prepared)
    if origin is None:
        start = Start(init=training.init, scale=training.init_scale, memory=training.init_memory)
        parameters = initial_parameters(config.network, V, tokenizer.unknown, training.seed, start, labelling)
        if pretrained is not None:
            parameters = with_vectors(parameters, pretrained.ids, pretrained.vectors)
        if config.predicts_all and training.init_output == "frequencies":
            output = network_layers(config.network, V).output
            beginning = prepared.open_tokens(run.train_tokens, V)[:COUNTED_TOKENS]
            parameters = with_frequencies(parameters, output, token_counts(beginning, V))
    else:
        parameters = parameters_from(origin, V)
    network = new_network(config.network, V, parameters, training, labelling, group)
    batches = _batches(run, "train", prepared, training)
    validation = _validation(run, prepared, training, group) if prepared.valid else None
    return Trainer(network, batches, validation, training, group)


def labelling_of(config: RunConfig, prepared: Prepared) -> Labelling | None:
    """What a network predicts labels of; None if it predicts tokens."""
    labels = prepared.labels
    if labels is None:
        return None
    assert prepared.tokenizer.end is not None, "each text has an end"
    return Labelling(
        labels=len(labels.names),
        unit_end=prepared.tokenizer.end,
        bidirectional=config.labelling.bidirectional,
        pool=config.labelling.pool_for(config.network) if labels.of == "line" else None,
    )


def _label_format(labelling: LabelConfig) -> LabelFormat | Literal["any"] | None:
    if not labelling.labels:
        return None
    return cast(LabelFormat | Literal["any"], labelling.labels_as or "any")


def _check_pooling(labelling: LabelConfig, labels: LabelSet) -> None:
    """Refuse to make one vector of a text whose words have labels."""
    if labels.of == "word" and labelling.pool is not None:
        raise ConfigError(
            f"--pool {labelling.pool} makes one vector of a whole text, but here each word has a label: "
            "leave it out"
        )


def _validation(run: RunFolder, prepared: Prepared, training: TrainingConfig, group: "Group") -> "Validation":
    """The validation text as the trainer scores it."""
    from lmgen.training.validation import LabelValidation, TextValidation

    if prepared.labels is not None:
        batches = _batches(run, "valid", prepared, training, limit=training.evaluation_tokens)
        return LabelValidation(batches, group)
    tokenizer = prepared.tokenizer
    return TextValidation(
        ids=prepared.open_tokens(run.valid_tokens, tokenizer.vocabulary_size),
        limit=training.evaluation_tokens,
        start_token=tokenizer.start,
        unit_end=tokenizer.end,
        answers=Answers.of(tokenizer),
        group=group,
    )


def _batches(
    run: RunFolder, part: str, prepared: Prepared, training: TrainingConfig, *, limit: int | None = None
) -> Batches:
    """Windows of a document, or units side by side; of units with labels about the first `limit` tokens."""
    tokenizer, labels = prepared.tokenizer, prepared.labels
    ids = prepared.open_tokens(run.files_of(part)[0], tokenizer.vocabulary_size)
    shape: dict[str, Any] = {
        "ids": ids,
        "start_token": tokenizer.start,
        "streams": training.batch_size,
        "length": training.window_length,
        "carried": training.state == "carry" and labels is None,
        "seed": training.seed,
    }
    if tokenizer.end is None:
        return Windows(**shape, varied=training.vary_window_length)
    if labels is None:
        return UnitBatches(**shape, unit_end=tokenizer.end, answers=Answers.of(tokenizer))
    targets = prepared.open_tokens(run.labels_of(part), len(labels.names) + 1)
    end = len(ids) if limit is None else whole_units(ids, tokenizer.end, limit)
    if end == len(ids):
        return UnitBatches(**shape, unit_end=tokenizer.end, targets=targets)
    return UnitBatches(**{**shape, "ids": ids[:end]}, unit_end=tokenizer.end, targets=targets[:end])
