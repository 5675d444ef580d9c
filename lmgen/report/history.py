"""How a run was made and how it went, from the files in its folder."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError
from lmgen.runs.config_file import read_config
from lmgen.runs.records import records_in
from lmgen.settings import flag
from lmgen.text.given import is_placeholder

CURVES = (
    "train_nats_per_token",
    "valid_nats_per_token",
    "gradient_norm",
    "learning_rate",
    "tokens_per_second",
)
"""What of `metrics.jsonl` is drawn."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One figure of a run over its updates."""

    steps: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Sample:
    """What the network wrote when a part of its training was done."""

    step: int
    progress: float
    """Share of the budget that was spent."""
    text: str


@dataclass(frozen=True, slots=True)
class History:
    """How a run went."""

    curves: dict[str, Curve]
    """By the names in `metrics.jsonl`."""
    rollbacks: list[int]
    """The steps of the first evaluations after training was rolled back."""
    samples: list[Sample]
    estimated: bool
    """Whether the training loss is an estimate (`--objective sampled`)."""


def history_of(run: RunFolder) -> History:
    """What the files of a run tell; damaged and unknown lines are left out."""
    lines = [line for _, line in records_in(run.metrics)]
    curves = {name: _curve(lines, name) for name in CURVES}
    return History(
        curves={name: curve for name, curve in curves.items() if curve.steps},
        rollbacks=list(_rollbacks(lines)),
        samples=[
            Sample(line["step"], float(line["progress"]), line["text"])
            for _, line in records_in(run.samples)
            if isinstance(line.get("text"), str) and _is_number(line.get("progress"))
        ],
        estimated=any(line.get("train_objective") == "sampled" for line in lines),
    )


def command_of(run: RunFolder) -> str | None:
    """
    The command that makes a run again: `lmgen train book.txt --steps 500 --out checkpoints/book`.

    None if the run does not say what it was asked for, or was given its text by a program.
    """
    try:
        asked = read_config(run.config)
    except ConfigError:
        return None
    corpus = asked.pop("corpus", [])
    if not isinstance(corpus, list) or any(is_placeholder(str(name)) for name in (*corpus, *asked.values())):
        return None
    words = ["lmgen", "train", *map(str, corpus)]
    for name, value in asked.items():
        words += _typed(name, value)
    return shlex.join([*words, "--out", str(run.folder)])


def _typed(name: str, value: Any) -> Iterator[str]:
    """A setting as it is typed at the shell."""
    if isinstance(value, bool):
        yield flag(name) if value else flag(f"no_{name}")
        return
    yield flag(name)
    yield f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _curve(lines: list[dict[str, Any]], name: str) -> Curve:
    points = [(line["step"], float(line[name])) for line in lines if _is_number(line.get(name))]
    return Curve([step for step, _ in points], [value for _, value in points])


def _rollbacks(lines: list[dict[str, Any]]) -> Iterator[int]:
    """The steps of evaluations that tell of more rollbacks than those before."""
    most = 0
    for line in lines:
        count = line.get("rollbacks")
        if type(count) is int and count > most:
            most = count
            yield line["step"]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
