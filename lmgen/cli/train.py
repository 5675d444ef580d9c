"""`lmgen train`: a text in, a model out."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import typer

from lmgen.cli import completion, report
from lmgen.cli.options import JsonOption, QuietOption, given, settings_as_options
from lmgen.data.config import HeldOutConfig
from lmgen.errors import ConfigError
from lmgen.models.network.config import NetworkConfig
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.training.config import TrainingConfig

if TYPE_CHECKING:
    from lmgen.runs.config import RunConfig
    from lmgen.runs.events import Event

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""What asks training to stop; Windows has no SIGHUP."""


@settings_as_options(HeldOutConfig, TokenizerConfig, NetworkConfig, TrainingConfig)
def train(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS",
            help="Files, folders, - (stdin) or names from `lmgen corpus list`; none: python-docs.",
            show_default=False,
            autocompletion=completion.corpora_and_files,
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
    preset: Annotated[
        Literal["quick", "good", "best", "awd-lstm"] | None,
        typer.Option(
            help="Settings that go well together, for 1, 4 or 15 minutes, or AWD-LSTM's. Other flags win.",
            show_default=False,
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Go on from a model's weights and tokenizer, on another text.",
            show_default=False,
            autocompletion=completion.models,
        ),
    ] = None,
    extend_vocabulary: Annotated[
        bool,
        typer.Option(
            "--extend-vocabulary", help="With --from: give what the tokenizer does not know ids of its own."
        ),
    ] = False,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", help="Only say what training will cost: make a few updates, and stop."),
    ] = False,
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
        flags |= {"preset": preset} if preset else {}
        flags |= {"from": from_} if from_ else {}
        flags |= {"extend_vocabulary": True} if extend_vocabulary else {}
        run_config = None if resume else _configured(flags, config)
        if estimate:
            _estimate(run_config, as_json=json)
            return
        if run_config is None and (overwrite or config):
            raise ConfigError("--resume goes on with a run as it is: leave --overwrite and --config out")
        from lmgen.cli.console import follow, print_summary
        from lmgen.data.run_folder import newest_begun
        from lmgen.runs import run  # here: an interrupted import would not always end

        with _Interruption() as interruption:
            stop = interruption.is_asked_for
            if run_config:
                events = run.train(run_config, out, overwrite=overwrite, should_stop=stop, tell=report.note)
            else:
                folder = out or newest_begun().folder
                events = run.resume(folder, flags, should_stop=stop, tell=report.note)
            finished = follow(interruption.watching(events), quiet=quiet, unseen=interruption.ask)
        if finished is None:
            raise typer.Exit(interruption.exit_code)
        print_summary(finished, as_json=json)
        finished.check()


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


def _configured(flags: dict[str, Any], config: Path | None) -> "RunConfig":
    """The configuration of a new run, checked: a file's settings, over which flags win."""
    from lmgen.runs.config_file import configured, read_config

    settings = {**(read_config(config) if config else {}), **flags}
    run_config = configured(settings, f"{config} and the command line" if config else "the command line")
    run_config.resolved()  # what is wrong is said before torch is imported, which takes seconds
    return run_config


def _estimate(config: "RunConfig | None", *, as_json: bool) -> None:
    """Measure and print what a new run would cost."""
    if config is None:
        raise ConfigError("--estimate is for a new run: leave --resume out")
    from lmgen.cli.console import print_cost
    from lmgen.runs.trials import estimate_cost

    print_cost(estimate_cost(config, tell=report.note), as_json=as_json)


class _Interruption:
    """
    Ctrl-C, SIGTERM or a closed terminal: the first one lets training finish its step and save.

    Before updates are made there is nothing to save, so it ends the command at once; so does a second
    Ctrl-C. What is ignored when the command begins (`nohup`, `trap '' INT`) stays so.
    """

    def __init__(self) -> None:
        self._asked = False
        self.exit_code = 0
        """By the signal, as shells have it; 0 where a reader has gone, as always with pipes."""
        self._updating = False

    def __enter__(self) -> Self:
        numbers = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._handle) for number in numbers}
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if isinstance(error, KeyboardInterrupt) and self.exit_code:
            raise typer.Exit(self.exit_code) from error

    def ask(self) -> None:
        """Have training finish its step and save."""
        self._asked = True

    def is_asked_for(self) -> bool:
        """Whether training is to finish its step and save."""
        return self._asked

    def watching(self, events: "Iterator[Event]") -> "Iterator[Event]":
        """Pass events on; from `Started` on, be polite."""
        from lmgen.runs.events import Started

        for event in events:
            self._updating = self._updating or isinstance(event, Started)
            yield event

    def _handle(self, number: int, _frame: object) -> None:
        second = self.exit_code and number == signal.SIGINT  # a closing terminal says so more than once
        self.exit_code = self.exit_code or 128 + number
        if second or not self._updating:
            raise KeyboardInterrupt
        self.ask()
