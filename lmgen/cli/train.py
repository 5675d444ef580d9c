"""`lmgen train`: a text in, a model out."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmgen.cli import report
from lmgen.cli.options import JsonOption, QuietOption, given, settings_as_options
from lmgen.data.config import HeldOutConfig
from lmgen.errors import ConfigError
from lmgen.models.config import NetworkConfig
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.training.config import TrainingConfig

if TYPE_CHECKING:
    from lmgen.training.events import Event


@settings_as_options(HeldOutConfig, TokenizerConfig, NetworkConfig, TrainingConfig)
def train(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CORPUS]...",
            help="Files, folders, - (stdin) or names from `lmgen corpus list`; none: python-docs.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder (checkpoints/NAME).", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is in --out.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, as if it had not stopped.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings from a TOML file, such as a run's config.toml.", show_default=False),
    ] = None,
    stateful: Annotated[bool, typer.Option("--stateful", help="The same as --state carry.")] = False,
    stateless: Annotated[bool, typer.Option("--stateless", help="The same as --state reset.")] = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
    **settings: Any,
) -> None:
    """
    Train a recurrent language model on a text.

    The defaults train a character LSTM on Python's own manual. Ctrl-C saves; --resume goes on.

    lmgen train book.txt --minutes 5 --out checkpoints/book
    """
    with report.reported_errors():
        flags = _flags(settings, corpus, stateful=stateful, stateless=stateless)
        with _stopping_at_signals() as should_stop:
            events = _events(flags, config, out, resume=resume, overwrite=overwrite, should_stop=should_stop)
            from lmgen.cli.console import follow

            finished = follow(events, quiet=quiet)
        if finished is None:
            raise typer.Exit(130)
        from lmgen.cli.console import print_summary

        print_summary(finished, as_json=json)


def _flags(
    settings: dict[str, Any], corpus: list[str] | None, *, stateful: bool, stateless: bool
) -> dict[str, Any]:
    """The settings that were given on the command line, `--stateful` and `--stateless` among them."""
    flags = given(settings)
    if corpus:
        flags["corpus"] = corpus
    states = {flags.get("state"), "carry" if stateful else None, "reset" if stateless else None} - {None}
    if len(states) > 1:
        raise ConfigError("--state, --stateful and --stateless contradict each other; give one of them")
    return {**flags, "state": states.pop()} if states else flags


def _events(
    flags: dict[str, Any],
    config: Path | None,
    out: Path | None,
    *,
    resume: bool,
    overwrite: bool,
    should_stop: Callable[[], bool],
) -> "Iterator[Event]":
    """The events of a new run, or of one that goes on."""
    from lmgen.data.run_folder import newest_run
    from lmgen.training import run
    from lmgen.training.config import RunConfig

    if resume:
        if overwrite or config:
            raise ConfigError("--resume goes on with a run as it is: leave --overwrite and --config out")
        return run.resume(out or newest_run().folder, flags, should_stop=should_stop)
    settings = {**(run.read_config(config) if config else {}), **flags}
    where = f"{config} and the command line" if config else "the command line"
    run_config = RunConfig.from_settings(settings, where)
    return run.train(run_config, out, overwrite=overwrite, should_stop=should_stop, tell=report.note)


@contextmanager
def _stopping_at_signals() -> Iterator[Callable[[], bool]]:
    """
    Ask politely first: Ctrl-C or SIGTERM lets training finish its step and save; a second one ends it.

    Yields:
        The question `should_stop`.
    """
    asked: list[int] = []

    def handle(number: int, _frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
