"""`lmgen train`: train a model, or resume a run."""

import os
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmgen.cli import completion, report
from lmgen.cli.downloads import downloads_shown
from lmgen.cli.flags import given, option, settings_as_options
from lmgen.cli.options import JsonOption, QuietOption
from lmgen.cli.progress import reading_shown
from lmgen.data.config import HeldOutConfig
from lmgen.errors import ConfigError
from lmgen.interrupts import ending_signals, handled
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.labelling import LabelConfig
from lmgen.settings import Panel
from lmgen.text.config import ReadingConfig
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.training.config import TrainingConfig
from lmgen.training.processes import own_place

if TYPE_CHECKING:
    from lmgen.runs.config import RunConfig


@settings_as_options(
    ReadingConfig, HeldOutConfig, TokenizerConfig, NetworkConfig, LabelConfig, TrainingConfig
)
def train(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS",
            help="Files, folders, - for stdin, or names from `lmgen corpus list` (default: python-docs).",
            show_default=False,
            autocompletion=completion.corpora_and_files,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        option("--out", "-o", help="The run folder.", by_default="checkpoints/NAME", metavar="DIR"),
    ] = None,
    overwrite: Annotated[
        bool, option("--overwrite", help="Replace the run that is in --out.", panel=Panel.RUN)
    ] = False,
    resume: Annotated[
        bool,
        option(
            "--resume",
            help="Continue the run in --out as if it had not stopped; a new budget (--epochs, --steps, "
            "--minutes) is kept.",
        ),
    ] = False,
    config: Annotated[
        Path | None,
        option(help="Settings from a TOML file, such as a run's config.toml. Flags win.", panel=Panel.RUN),
    ] = None,
    preset: Annotated[
        Literal["auto", "quick", "good", "best", "awd-lstm"] | None,
        option(
            help="Sizes that fit the text and the time: that of --minutes (auto), 1, 4 or 15 minutes; or "
            "AWD-LSTM's; flags and --config win."
        ),
    ] = None,
    from_: Annotated[
        str | None,
        option(
            "--from",
            help="Fine-tune this model on another text, with its tokenizer.",
            panel=Panel.RUN,
            metavar="MODEL",
            autocompletion=completion.models,
        ),
    ] = None,
    extend_vocabulary: Annotated[
        bool | None,
        option(
            "--extend-vocabulary", help="With --from, add unseen tokens to the vocabulary.", panel=Panel.RUN
        ),
    ] = None,
    estimate: Annotated[
        bool,
        option(
            "--estimate",
            help="Time a few updates, print the expected cost of training, and stop.",
            panel=Panel.RUN,
        ),
    ] = False,
    stateful: Annotated[
        bool | None,
        option("--stateful", help="The same as --state carry.", panel=Panel.OPTIMISATION),
    ] = None,
    stateless: Annotated[
        bool | None,
        option("--stateless", help="The same as --state reset.", panel=Panel.OPTIMISATION),
    ] = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
    **settings: Any,
) -> None:
    """
    Train a recurrent language model on a text.

    The defaults train a character LSTM on Python's own manual. Ctrl-C saves; --resume goes on, and --device,
    --threads and --checkpoint-minutes may change each time.

    Flags win over --config, --config over --preset, and --preset over the model of --from. A flag without a
    value is taken back as by --no-tied, an optional number as by --clip none.

    lmgen train book.txt --minutes 5 --out checkpoints/book
    """
    with report.reported_errors(), downloads_shown(), reading_shown():
        flags = _flags(settings, corpus, stateful, stateless)
        flags |= given({"preset": preset, "from": from_, "extend_vocabulary": extend_vocabulary})
        run_config = None if resume else _configured(flags, config)
        if estimate:
            _estimate(run_config, as_json=json)
            return
        if run_config is None and (overwrite or config):
            raise ConfigError("--resume goes on with a run as it is: leave --overwrite and --config out")
        from lmgen.cli.console import follow, print_summary
        from lmgen.data.run_folder import newest_begun
        from lmgen.runs import run
        from lmgen.runs.interruption import Interruption

        interruption = Interruption(ending_signals())
        stop = interruption.requested
        is_first = own_place().rank == 0
        if not is_first:
            report.QUIET = quiet = True
        with handled(ending_signals(), _leave):
            if run_config:
                events = run.train(
                    run_config, out, overwrite=overwrite, should_stop=stop, on_note=report.note
                )
            else:
                folder = out or newest_begun().folder
                events = run.resume(folder, flags, should_stop=stop, on_note=report.note)
        try:
            with interruption:
                finished = follow(interruption.watch(events), quiet=quiet, unseen=interruption.request)
        except KeyboardInterrupt as stopped:
            if interruption.received == signal.SIGTERM and interruption.folder is None:
                _report_lost_process()
            raise typer.Exit(_exit_code(interruption.received or signal.SIGINT)) from stopped
        if finished is None:
            raise typer.Exit(_exit_code(interruption.received))
        if is_first:
            print_summary(finished, as_json=json)
        finished.check()


def _flags(
    settings: dict[str, Any], corpus: list[str] | None, stateful: bool | None, stateless: bool | None
) -> dict[str, Any]:
    """Collect the settings given on the command line, with `--stateful` and `--stateless` as `state`."""
    from lmgen.runs.config import with_state

    flags = with_state(given({**settings, "stateful": stateful, "stateless": stateless}))
    if corpus:
        flags["corpus"] = corpus
    return flags


def _configured(flags: dict[str, Any], config: Path | None) -> "RunConfig":
    """Build the configuration of a new run, and check it before torch is imported."""
    from lmgen.runs.config_file import configured

    run_config = configured({**flags, **given({"config": config})}, "the command line")
    run_config.resolved()  # report errors before the import of torch, which takes seconds
    return run_config


def _estimate(config: "RunConfig | None", *, as_json: bool) -> None:
    """Measure and print the expected cost of a new run."""
    if config is None:
        raise ConfigError("--estimate is for a new run: leave --resume out")
    from lmgen.cli.console import print_cost
    from lmgen.runs.trials import estimate_cost

    print_cost(estimate_cost(config, on_note=report.note), as_json=as_json)


def _leave(number: int, _frame: FrameType | None) -> None:
    """End at once, while torch is imported, which takes seconds and could drop an exception."""
    try:
        report.note("stopped before the run began; nothing has changed")
    finally:
        os._exit(_exit_code(number))


def _report_lost_process() -> None:
    """Say, if several processes train, why one was ended from outside before training had begun."""
    size = own_place().size
    if size > 1:
        report.error(
            "this training was ended before its first update, by SIGTERM, as torchrun does when one of its "
            f"{size} processes has ended, by a kill or for lack of memory, say: start it again"
        )


def _exit_code(received: int | None) -> int:
    """Exit code for a signal, as in shells: 128 + number; 0 if the reader of a pipe is gone."""
    return 0 if received is None else 128 + received
