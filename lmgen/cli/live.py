"""Live display of training: the table of evaluations, and below it a progress bar, figures and a sample."""

import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lmgen.cli.output import visible
from lmgen.cli.report import duration
from lmgen.cli.tables import fitting
from lmgen.data.prepared import Part
from lmgen.evaluation.results import exp_or_infinity
from lmgen.runs.events import Saved, Started
from lmgen.training.events import Stepped

SAMPLE_LINES = 6
"""Maximum number of lines shown of a sample."""


class LiveDisplay:
    """Display that prints lines above a live part, which is redrawn four times a second."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._stepped: Stepped | None = None
        self._sample = ""
        self._train: Part | None = None
        self._predicts_labels = False
        self._loss = "loss"
        self._begun = 0.0
        self._begun_progress: float | None = None
        self._live = Live(console=self._console, get_renderable=self._live_part, refresh_per_second=4)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stepped = None  # clears the live part; the lines above remain
        with suppress(OSError):  # the terminal is closed
            self._live.stop()

    def line(self, text: str) -> None:
        """Print a permanent line above the live part."""
        self._console.print(Text(visible(text)))

    def started(self, started: Started) -> None:
        """Begin the live part; until then a download may show a bar."""
        self._train = started.prepared.train
        self._predicts_labels = started.prepared.labels is not None
        self._loss = "estimated loss" if started.config.training.objective == "sampled" else "loss"
        self._begun = time.monotonic()
        self._live.start()

    def step(self, stepped: Stepped) -> None:
        """Record the current progress, which the next refresh draws."""
        if self._begun_progress is None:
            self._begun_progress = stepped.progress
        self._stepped = stepped

    def saved(self, saved: Saved) -> None:
        """Sample from a model that was saved, unless it has labels; the next refresh draws the sample."""
        if self._predicts_labels:
            return
        from lmgen.runs.samples import sample_of

        self._sample = sample_of(saved.path)

    def _live_part(self) -> RenderableType:
        stepped = self._stepped
        if stepped is None:
            return Text("")
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=1.0, completed=stepped.progress, width=30),
            f"{stepped.progress:4.0%}",
            f"step {stepped.step:,}, {duration(stepped.seconds)} trained, {self._time_left(stepped)} left",
        )
        return Group("", bar, self._figures(stepped), *self._sample_lines())

    def _figures(self, stepped: Stepped) -> Text:
        nats = stepped.train_nats_per_token
        if self._predicts_labels:
            return Text(f"{self._loss} {nats:.4f} nats   {stepped.tokens_per_second:,.0f} labels/s")
        bits = self._train.bits_per_character(nats) if self._train else None
        figures = [f"{self._loss} {nats:.4f} nats", f"perplexity {exp_or_infinity(nats):.4g}"]
        if bits is not None:
            figures.append(f"{bits:.4f} bits/char")
        return Text("   ".join([*figures, f"{stepped.tokens_per_second:,.0f} tokens/s"]))

    def _time_left(self, stepped: Stepped) -> str:
        """Estimate the time until the budget is spent, at the speed so far."""
        done = stepped.progress - (self._begun_progress or 0.0)
        if done <= 0:
            return "?"
        return duration((time.monotonic() - self._begun) / done * (1 - stepped.progress))

    def _sample_lines(self) -> list[Text]:
        """First lines of the sample, cut to the width of the terminal."""
        lines = [f"│ {visible(line)}" for line in self._sample.splitlines() if line.strip()]
        width = self._console.width
        return [Text(fitting(line, width), style="dim", no_wrap=True) for line in lines[:SAMPLE_LINES]]
