"""What a run needs before its first update: a device, tokens, and a trainer that stands at the beginning."""

from typing import TYPE_CHECKING

from lmgen.data.preparation import Prepared, prepare
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import read_tokens
from lmgen.data.windows import Windows, needed_tokens
from lmgen.models.network.initialization import initial_parameters
from lmgen.runs.config import RunConfig
from lmgen.runs.finetuning import Origin, parameters_from
from lmgen.text.corpora import Corpus

if TYPE_CHECKING:
    from lmgen.training.loop import Trainer


def prepare_run(config: RunConfig, corpus: Corpus, run: RunFolder, origin: Origin | None) -> Prepared:
    """
    Make the run folder with its tokens, by a new tokenizer or by that of the model which the run starts from.

    Raises:
        ConfigError, CorpusError, ModelError: as `prepare`.
    """
    training = config.training
    return prepare(
        corpus,
        config.held_out,
        config.tokenizer,
        run,
        given=origin.tokenizer if origin else None,
        extend=config.extend_vocabulary,
        needed_tokens=needed_tokens(
            training.batch_size, training.window_length, carried=training.state == "carry"
        ),
        check_vocabulary=config.network.resolved,
        scored_tokens=training.evaluation_tokens,
    )


def new_trainer(
    run: RunFolder, config: RunConfig, prepared: Prepared, origin: Origin | None = None
) -> "Trainer":
    """A trainer before its first update: with weights drawn by the seed, or with those of `origin`."""
    from lmgen.training.loop import Trainer
    from lmgen.training.setup import new_network

    tokenizer, training = prepared.tokenizer, config.training
    V = tokenizer.vocabulary_size
    if origin is None:
        parameters = initial_parameters(config.network, V, tokenizer.unknown, training.seed)
    else:
        parameters = parameters_from(origin, V)
    network = new_network(config.network, parameters, training)
    windows = Windows(
        ids=read_tokens(run.train_tokens, V),
        start_token=tokenizer.start,
        streams=training.batch_size,
        length=training.window_length,
        carried=training.state == "carry",
        varied=training.vary_window_length,
        seed=training.seed,
    )
    return Trainer(network, windows, read_tokens(run.valid_tokens, V), training)
