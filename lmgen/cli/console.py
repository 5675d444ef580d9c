"""Display of training on stderr: live on a terminal, plain lines elsewhere."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from lmgen.cli import report
from lmgen.cli.curve import drawn
from lmgen.cli.output import print_result, visible
from lmgen.cli.tables import Column, GrowingTable
from lmgen.data.labels import LabelSet
from lmgen.data.prepared import Prepared
from lmgen.evaluation.results import exp_or_infinity
from lmgen.runs.events import (
    BaselineBegun,
    BaselineFitted,
    Event,
    Finished,
    Interrupted,
    Overfitting,
    Saved,
    SizesChosen,
    Started,
    ThreadsChosen,
    Unsaved,
)
from lmgen.training.events import CostMeasured, Evaluated, RangeTest, RolledBack, Stepped

ESTIMATE_NOTE = "note: with --objective sampled the training loss is an estimate from a sample of the tokens"
EXACT_NOTE = "; the validation loss is exact"

LABELS_NAMED = 10
"""How many labels are named before training, the most frequent ones."""


class Display(Protocol):
    """Output for the lines and the live part of the training display."""

    def line(self, text: str) -> None:
        """Print a permanent line."""

    def started(self, started: Started) -> None:
        """Prepare for the first step."""

    def step(self, stepped: Stepped) -> None:
        """Show the current progress."""

    def saved(self, saved: Saved) -> None:
        """Show a sample from the model that was saved."""


def follow(events: Iterable[Event], *, quiet: bool, unseen: Callable[[], None]) -> Finished | None:
    """
    Show a run's events until it ends.

    Args:
        events: events of the run.
        quiet: show nothing.
        unseen: callback for when output is no longer possible: the terminal or the pipe is closed.

    Returns:
        The summary, or None if the run was interrupted.
    """
    if quiet:
        return _follow(events, Silent(), unseen)
    if sys.stderr.isatty():
        from lmgen.cli.live import LiveDisplay

        with LiveDisplay() as display:
            return _follow(events, display, unseen)
    return _follow(events, PlainDisplay(), unseen)


def print_cost(cost: CostMeasured, *, as_json: bool) -> None:
    """Print the expected cost of a run on stdout."""
    if as_json:
        print_result(json.dumps(cost.to_json()) + "\n")
        return
    memory = "unknown" if cost.memory_bytes is None else _megabytes(cost.memory_bytes)
    print_result(
        f"parameters  {cost.parameters:,}\n"
        f"memory      {memory}\n"
        f"speed       {cost.tokens_per_second:,.0f} tokens/s\n"
        f"training    {cost.steps:,} steps, {cost.epochs:.2f} epochs in {report.duration(cost.seconds)}, "
        "evaluations not counted\n"
    )


def print_summary(finished: Finished, *, as_json: bool) -> None:
    """Print the summary of a finished run on stdout."""
    if as_json:
        print_result(json.dumps(finished.to_json()) + "\n")
        return
    lines = [
        f"model       {finished.run}/model.safetensors ({finished.parameters:,} parameters)",
        f"training    {finished.steps:,} steps, {finished.epochs:.2f} epochs in "
        f"{report.duration(finished.seconds)} ({finished.tokens_per_second:,.0f} {_counted(finished)}s/s)",
        f"validation  {_validation(finished)}",
    ]
    if finished.baseline:
        perplexity = finished.baseline["valid_perplexity"]
        lines.append(
            f"baseline    {finished.baseline['order']}-gram"
            + ("" if perplexity is None else f": perplexity {perplexity:.4g}")
        )
    print_result("\n".join(lines) + "\n")


def _validation(finished: Finished) -> str:
    """What the summary says of the validation text; without one, the loss on the training text."""
    nats, bits = finished.valid_nats_per_token, finished.valid_bits_per_character
    if nats is None:
        train = finished.train_nats_per_token
        return "none, the last model is kept" + (
            "" if train is None else f"; training {train:.4f} nats/{_counted(finished)}"
        )
    if finished.valid_accuracy is not None:
        return f"{nats:.4f} nats/label, {finished.valid_accuracy:.2%} of labels right"
    return f"{nats:.4f} nats/token, perplexity {exp_or_infinity(nats):.4g}" + (
        "" if bits is None else f", {bits:.4f} bits/character"
    )


def _counted(finished: Finished) -> str:
    """What a network predicts one after the other: tokens, or labels where it has an accuracy."""
    return "token" if finished.valid_accuracy is None else "label"


class Silent:
    """Display that shows nothing (`--quiet`)."""

    def line(self, text: str) -> None:
        """Do nothing."""

    def started(self, started: Started) -> None:
        """Do nothing."""

    def step(self, stepped: Stepped) -> None:
        """Do nothing."""

    def saved(self, saved: Saved) -> None:
        """Do nothing."""


class PlainDisplay(Silent):
    """Display of plain lines on stderr, for pipes and log files."""

    def line(self, text: str) -> None:
        """Write the line at once."""
        sys.stderr.write(visible(text) + "\n")
        sys.stderr.flush()


def _follow(events: Iterable[Event], display: Display, unseen: Callable[[], None]) -> Finished | None:
    shown = _Shown(display)
    for event in events:
        if isinstance(event, Finished):
            return event
        if isinstance(event, Interrupted):
            report.note(f"stopped at step {event.step:,} and saved; `{_resume_command(event)}` goes on")
            return None
        try:
            shown.show(event)
        except OSError:
            shown.display = Silent()
            unseen()
    raise RuntimeError("the run ended without a summary")


class _Shown:
    """State of the display: where to print, and what the run has shown so far."""

    def __init__(self, display: Display) -> None:
        self.display = display
        self._prepared: Prepared | None = None
        self._table: GrowingTable | None = None

    def show(self, event: Event) -> None:
        """Show one event, with headings before the first row of the table."""
        display = self.display
        match event:
            case Stepped():
                display.step(event)
            case Evaluated():
                assert self._prepared is not None
                cells = list(_evaluation(event, self._prepared))
                if self._table is None:
                    self._table = GrowingTable(
                        [Column(name, is_number=True, least=least) for name, least, _ in cells]
                    )
                    display.line(self._table.heading().rstrip("\n"))
                display.line(self._table.row([cell for *_, cell in cells]).rstrip("\n"))
            case CostMeasured():
                display.line(_cost(event))
            case BaselineBegun() | ThreadsChosen() | SizesChosen():
                display.line(str(event))
            case Overfitting():
                display.line(f"note: {event}")
            case RangeTest():
                for line in _range_test(event):
                    display.line(line)
            case Saved():
                display.saved(event)
            case Unsaved():
                display.line(_unsaved(event))
            case RolledBack():
                display.line(_rollback(event))
            case BaselineFitted():
                for line in _baseline(event):
                    display.line(line)
            case Started():
                display.line(_start_line(event))
                if event.config.training.objective == "sampled":
                    display.line(ESTIMATE_NOTE + (EXACT_NOTE if event.prepared.valid else ""))
                display.started(event)
            case Prepared():
                self._prepared = event
                for line in _corpus(event):
                    display.line(line)


def _corpus(prepared: Prepared) -> list[str]:
    train, valid, tokenizer = prepared.train, prepared.valid, prepared.tokenizer
    to_validate = f"{valid.characters:,} to validate" if valid else "nothing to validate"
    tokens = f"{train.tokens:,} and {valid.tokens:,}" if valid else f"{train.tokens:,}"
    labels = [] if prepared.labels is None else [_labels(prepared.labels)]
    return [
        *(f"note: {note}" for note in prepared.notes),
        f"corpus    {prepared.corpus}: {train.characters:,} characters to train on, {to_validate}",
        f"tokens    {tokens}, of {tokenizer.vocabulary_size:,} different ones ({tokenizer.name})",
        *labels,
    ]


def _labels(labels: LabelSet) -> str:
    """The labels, the most frequent first, as far as a line holds them."""
    named = ", ".join(labels.names[:LABELS_NAMED]) + (", ..." if len(labels.names) > LABELS_NAMED else "")
    return f"labels    {len(labels.names):,}, one a {labels.of}: {named}"


def _baseline(fitted: BaselineFitted) -> list[str]:
    nats = fitted.valid_nats_per_token
    score = (
        "" if nats is None else f": validation {nats:.4f} nats/token, perplexity {exp_or_infinity(nats):.4g}"
    )
    return [
        *(f"note: {note}" for note in fitted.notes),
        f"baseline  {fitted.order}-gram, Kneser-Ney, {fitted.ngrams:,} n-grams{score}",
    ]


def _start_line(started: Started) -> str:
    both = "bidirectional " if started.config.labelling.bidirectional else ""
    shape = f"{both}{started.config.network.in_short}, {started.parameters:,} parameters"
    goes_on = f", going on from step {started.resumed_step:,}" if started.resumed_step else ""
    together = "" if started.processes == 1 else f" in {started.processes:,} processes"
    return f"network   {shape}, on {started.device}{together}, in {started.folder}{goes_on}"


def _range_test(test: RangeTest) -> list[str]:
    rates = [point.learning_rate for point in test.points]
    return [
        f"find      loss, smoothed, while the learning rate rises over {len(rates)} updates (nats/token):",
        *drawn(rates, [point.smoothed_nats for point in test.points], test.learning_rate),
        f"          the learning rate is {test.learning_rate:g}: half of the valley's middle",
    ]


def _cost(cost: CostMeasured) -> str:
    memory = "" if cost.memory_bytes is None else f", {_megabytes(cost.memory_bytes)} of memory"
    return (
        f"cost      {cost.tokens_per_second:,.0f} tokens/s{memory}: {report.duration(cost.seconds_left)} to "
        f"go, {cost.steps:,} steps, {cost.epochs:.2f} epochs in all"
    )


def _megabytes(count: int) -> str:
    """Format a number of bytes as MB."""
    return f"{count / 2**20:,.0f} MB"


def _evaluation(evaluated: Evaluated, prepared: Prepared) -> Iterator[tuple[str, int, str]]:
    """The heading, the least width and the cell of each column of the table of evaluations."""
    nats = evaluated.valid_nats_per_token
    sampled = evaluated.train_objective == "sampled"
    yield "step", 9, f"{evaluated.step:,}"
    yield "epoch", 6, f"{evaluated.epoch:.2f}"
    yield "time", 7, report.duration(evaluated.seconds)
    yield "estimate" if sampled else "train", 7, _short(evaluated.train_nats_per_token)
    if nats is not None and prepared.scored is not None:
        yield "valid", 7, _short(nats)
    if evaluated.valid_accuracy is not None:
        yield "right", 7, f"{evaluated.valid_accuracy:.2%}"
    elif nats is not None and prepared.scored is not None:
        yield "perplexity", 10, f"{exp_or_infinity(nats):.4g}"
        yield "bits/char", 9, _short(prepared.scored.bits_per_character(nats))
    yield "tokens/s" if prepared.labels is None else "labels/s", 9, f"{evaluated.tokens_per_second:,.0f}"


def _short(loss: float | None) -> str:
    """Format a loss to fit its column; `-` if there is none."""
    if loss is None:
        return "-"
    return f"{loss:.4f}" if loss < 1000 else f"{loss:.2g}"


def _rollback(event: RolledBack) -> str:
    then = (
        "and that ends the run" if event.last else f"the learning rate is halved to {event.learning_rate:.3g}"
    )
    return f"note: {event.reason}: back to step {event.step:,}, {then}"


def _unsaved(event: Unsaved) -> str:
    return f"note: {event.reason}; training goes on, and tries again in {report.duration(event.seconds)}"


def _resume_command(interrupted: Interrupted) -> str:
    return f"lmgen train --resume --out {interrupted.folder}"
