"""
What the measurements of the lecture pages share: their arguments, training a network, and writing a page.

Each script of this folder runs as a module from the repository's root, prints its tables, and writes them to
benchmarks/results and its pictures to docs/images:

    python -m benchmarks.lectures.cells tiny-shakespeare --seconds 60 --seeds 3
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from textwrap import fill
from typing import Any

import torch

import lmgen
from benchmarks.cells import processor
from lmgen.errors import NumericalError
from lmgen.inspection.chart import Chart
from lmgen.runs.events import Event
from lmgen.text_model import TextModel
from lmgen.training.events import RolledBack

ROOT = Path(__file__).parents[2]

WIDTH = 120
"""Characters of a line of the page."""


@dataclass(frozen=True)
class Trained:
    """A run that has ended, one way or another."""

    folder: Path
    metrics: Sequence[dict[str, Any]]
    """The lines of metrics.jsonl: an evaluation each; none if training broke down before the first."""
    rollbacks: int
    """How often training was rolled back."""
    ended_early: bool
    """Whether that was once too often."""

    @property
    def nats(self) -> float:
        """The lowest validation loss, nats per token."""
        return min(float(line["valid_nats_per_token"]) for line in self.metrics)

    @property
    def steps(self) -> int:
        """Updates until the last evaluation."""
        return int(self.metrics[-1]["step"])

    @property
    def parameters(self) -> int:
        """How many numbers were trained."""
        return int(self.model.describe()["parameters"])

    @property
    def model(self) -> TextModel:
        """The best model of the run."""
        return lmgen.load(self.folder)


Train = Callable[..., Trained]
"""Trains a network on the text: `train("a name", cell="gru", steps=100)`."""


@dataclass(frozen=True)
class Measurement:
    """A script that is running: its arguments, and the page that it writes."""

    name: str
    given: argparse.Namespace
    train: Train
    lines: list[str]

    @property
    def seeds(self) -> range:
        """The seeds to train with: 1, 2 and so on."""
        return range(1, self.given.seeds + 1)

    @property
    def averaged(self) -> str:
        """What a figure of several seeds is, in words."""
        return "one seed" if len(self.seeds) == 1 else f"median of {len(self.seeds)} seeds"

    def heading(self, text: str, level: int = 2) -> None:
        """Begin a section."""
        self._line(f"{'#' * level} {text}\n")

    def say(self, text: str) -> None:
        """A paragraph."""
        self._line(fill(text, WIDTH, break_on_hyphens=False) + "\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A Markdown table, printed row by row as they come; all columns but the first are right-aligned."""
        self._line(f"| {' | '.join(columns)} |")
        self._line(f"| --- |{' ---: |' * (len(columns) - 1)}")
        for row in rows:
            self._line(f"| {' | '.join(map(str, row))} |")
        self._line("")

    def picture(self, name: str, chart: Chart) -> None:
        """Save a chart as docs/images/NAME.svg."""
        file = self.given.out / "docs" / "images" / f"{name}.svg"
        file.parent.mkdir(parents=True, exist_ok=True)
        chart.save(file)

    def _line(self, text: str) -> None:
        """Print it, and put it on the page."""
        print(text, flush=True)
        self.lines.append(text)


def arguments(description: str | None, *, seconds: float | None, hidden_size: int) -> argparse.ArgumentParser:
    """The arguments of all scripts; without `seconds` the budget of a script is one that it adds."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="?", default="tiny-shakespeare", help="a file or a corpus name")
    if seconds is not None:
        parser.add_argument("--seconds", type=float, default=seconds, help="that each network trains")
    parser.add_argument("--hidden-size", type=int, default=hidden_size)
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 1 on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, help="a folder to keep the runs in")
    parser.add_argument("--out", type=Path, default=ROOT, help="where benchmarks/results is (the repository)")
    return parser


@contextmanager
def measuring(name: str, heading: str, given: argparse.Namespace) -> Iterator[Measurement]:
    """Set up a measurement; what it says becomes benchmarks/results/lectures-NAME.md."""
    with TemporaryDirectory() as scratch:
        runs = given.runs or Path(scratch)

        def train(run: str, **settings: Any) -> Trained:
            return trained(given.corpus, runs / run, threads=given.threads, **settings)

        page = Measurement(name, given, train, [])
        page.heading(heading, 1)
        threads = f"{given.threads} thread{'s' * (given.threads > 1)}"
        page.say(f"`{command(name, given)}`: {threads} of {processor()}, torch {torch.__version__}.")
        yield page
    file = given.out / "benchmarks" / "results" / f"lectures-{name}.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(page.lines).rstrip() + "\n", encoding="utf-8")


def trained(corpus: str, folder: Path, **settings: Any) -> Trained:
    """Train a network without a baseline; one whose training breaks down is kept as it was before."""
    failures: list[RolledBack] = []

    def on_event(event: Event) -> None:
        if isinstance(event, RolledBack):
            failures.append(event)

    with suppress(NumericalError):
        defaults = {"baseline_order": 0, "evaluations": 5}
        lmgen.train(corpus, out=folder, on_event=on_event, **{**defaults, **settings})
    file = folder / "metrics.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return Trained(
        folder, [json.loads(line) for line in lines], len(failures), any(each.last for each in failures)
    )


def command(name: str, given: argparse.Namespace) -> str:
    """The command line that is running, without the folders of this machine."""
    words = [Path(word).name if word == given.corpus else word for word in sys.argv[1:]]
    for flag in ("--out", "--runs"):
        if flag in words:
            del words[words.index(flag) : words.index(flag) + 2]
    return shlex.join(["python", "-m", f"benchmarks.lectures.{name}", *words])


def spread(values: Sequence[float], form: str = ".3f") -> str:
    """Median and range; one number where all are alike."""
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{format(median(values), form)} ({low}-{high})"
