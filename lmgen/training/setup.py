"""What a run needs before its first update: a device, tokens, and a trainer that stands at the beginning."""

import torch

from lmgen.data.preparation import Prepared, prepare
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import read_tokens
from lmgen.data.windows import Windows, needed_tokens
from lmgen.errors import ConfigError
from lmgen.models.initialization import initial_parameters
from lmgen.text.corpora import Corpus
from lmgen.training.config import RunConfig
from lmgen.training.finetuning import Origin, parameters_from
from lmgen.training.loop import Trainer
from lmgen.training.network import Network


def open_device(name: str) -> torch.device:
    """
    Where to train.

    Raises:
        ConfigError: a GPU is asked for and there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("torch finds no GPU here; use --device cpu, or install a torch that supports yours")
    return torch.device(name)


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
    )


def new_trainer(
    run: RunFolder, config: RunConfig, prepared: Prepared, origin: Origin | None = None
) -> Trainer:
    """A trainer before its first update: with weights drawn by the seed, or with those of `origin`."""
    tokenizer, training = prepared.tokenizer, config.training
    V = tokenizer.vocabulary_size
    if origin is None:
        parameters = initial_parameters(config.network, V, tokenizer.unknown, training.seed)
    else:
        parameters = parameters_from(origin, V)
    torch.manual_seed(training.seed)
    network = Network(config.network, parameters).to(open_device(training.device))
    if training.precision == "float64":
        network.double()
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
