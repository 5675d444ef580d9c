"""
Kills training again and again, and sees whether anything is lost.

    python benchmarks/kills.py                      # 200 kills: what SECURITY.md states
    python benchmarks/kills.py --kills 20 --seed 7

Each case is a training run of the command itself, in a process of its own, with one of all tokenizers, cells
and ways to carry the state. It makes a checkpoint after every update and is killed with SIGKILL at a random
instant; every fourth one is killed once more while it is resumed. Then `lmgen train --resume` has to bring it
to its end, from where it stood at most one update before the kill, with the same bytes in the model file and
the same lines in metrics.jsonl (times aside) as the same run without a kill, and leave no half-written file
behind. A run that was killed before it had written anything has nothing to resume: it has to say so, and to
begin again.

The text is prepared block by block, and how far that has come is written down after each block, so that kills
in the middle of it are gone on with, too. Every other run fits its n-gram baseline after training, as runs of
long texts do.

torch is imported once, and each process is forked from this one: a kill costs a second instead of ten.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sentencepiece  # noqa: F401 - here and below: what every run would import for itself
import tomli_w  # noqa: F401
import torch

import lmgen.cli.console
import lmgen.cli.train
import lmgen.data.unfinished
import lmgen.runs.ngram
import lmgen.text.raw
from lmgen.__main__ import main as command
from lmgen.data.run_folder import RunFolder
from lmgen.models.network.cells import CELLS
from lmgen.runs.setup import import_torch
from lmgen.tokenizers.config import TOKENIZER_NAMES

STEPS = 12
"""Updates of each run."""

SETTINGS = [
    *("--hidden-size", "8", "--embedding-size", "6", "--window-length", "8", "--batch-size", "4"),
    *("--baseline-order", "2", "--threads", "1", "--evaluations", "4", "--dropout", "0.2"),
    *("--steps", str(STEPS), "--checkpoint-minutes", "1e-9"),
]

STATES = ("carry", "reset")

LONG_TOKENS = (10**9, 1)
"""From how many tokens on a text is long: for runs that fit their baseline first, and for the others."""

Chosen = tuple[str, ...]
"""Tokenizer, cell and state; their numbers have no common divisor, so counting goes through all of them.

Two kills each: 70 kinds of run are 140 kills."""

TIMES = ("seconds", "tokens_per_second")

KILLED_TWICE = 0.25
"""So many of the runs are killed once more, while they are resumed."""


@dataclass(frozen=True)
class Outcome:
    """What a run that was never killed comes to."""

    model: bytes
    metrics: list[dict[str, Any]]
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="runs that are killed")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    arguments = parser.parse_args()
    import_torch()  # and all that it takes to train
    torch.set_num_threads(1)
    lmgen.data.unfinished.SECONDS = 0
    lmgen.text.raw.BLOCK_BYTES = 256
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        failures = kill_all(arguments.kills, arguments.seed, Path(folder))
    for failure in failures:
        print(failure)
    sys.exit(1 if failures else 0)


def kill_all(kills: int, seed: int, place: Path) -> list[str]:
    """Kill so many runs; what went wrong, a line each."""
    choice = random.Random(seed)
    write_text(place / "text.txt")
    outcomes: dict[Chosen, Outcome] = {}
    moments: Counter[str] = Counter()
    failures = []
    for number in range(kills):
        turn = number // 2
        chosen = tuple(names[turn % len(names)] for names in (TOKENIZER_NAMES, tuple(CELLS), STATES))
        if chosen not in outcomes:
            outcomes[chosen] = uninterrupted(chosen, place)
        lmgen.runs.ngram.LONG_TOKENS = LONG_TOKENS[number % 2]
        moment, problem = kill_one(chosen, outcomes[chosen], choice, place)
        moments[moment] += 1
        if problem:
            failures.append(f"{number}: {' '.join(chosen)}, killed while {moment}: {problem}")
    print(f"{kills - len(failures)} of {kills} killed runs went on to their end, as if they had not stopped")
    print("killed while " + ", ".join(f"{name}: {count}" for name, count in moments.most_common()))
    return failures


def write_text(path: Path) -> None:
    """Something to learn, but not by heart."""
    words = random.Random(0).choices(["one", "two", "three", "four", "five", "zwölf"], k=900)
    lines = [" ".join(words[first : first + 6]) for first in range(0, len(words), 6)]
    path.write_text("\n".join(lines), encoding="utf-8")


def uninterrupted(chosen: Chosen, place: Path) -> Outcome:
    """The run that the others have to equal."""
    begun = time.monotonic()
    code = finished(start(training(chosen), place))
    seconds = time.monotonic() - begun
    if code:
        sys.exit(f"{' '.join(chosen)} does not train: {log(place)}")
    folder = RunFolder(place / "run")
    outcome = Outcome(folder.model.read_bytes(), metrics(folder), seconds)
    shutil.rmtree(folder.folder)
    return outcome


def kill_one(chosen: Chosen, outcome: Outcome, choice: random.Random, place: Path) -> tuple[str, str | None]:
    """Kill a run and let it go on; when it was killed, and what went wrong, if anything did."""
    folder = RunFolder(place / "run")
    while not killed(training(chosen), choice.uniform(0, outcome.seconds), place):
        shutil.rmtree(folder.folder)  # it was faster than the kill
    moment = what_was_going_on(folder)
    if choice.random() < KILLED_TWICE:
        killed(RESUME, choice.uniform(0, outcome.seconds), place)
    reached = last_step(folder)
    begun = folder.config.exists() or folder.new.config.exists()
    problem = None
    if not begun and (finished(start(RESUME, place)) != 1 or "there is no run in run" not in log(place)):
        problem = f"--resume does not say that there is nothing: {log(place)}"
    code = finished(start(RESUME if begun else training(chosen), place))
    if code:
        problem = f"exit code {code}: {log(place)}"
    elif resumed_step(place) < reached - 1:
        problem = f"it had come to step {reached} and went on from step {resumed_step(place)}"
    elif folder.model.read_bytes() != outcome.model:
        problem = "the model file is another one"
    elif metrics(folder) != outcome.metrics:
        problem = f"the metrics are others: {[line['step'] for line in metrics(folder)]}"
    elif rest := remains(folder):
        problem = f"{rest} is left"
    shutil.rmtree(folder.folder)
    return moment, problem


def training(chosen: Chosen) -> list[str]:
    """The command line of a run."""
    tokenizer, cell, state = chosen
    size = ["--vocab-size", "275"] if tokenizer in ("bpe", "unigram") else []
    kind = ["--tokenizer", tokenizer, "--cell", cell, "--state", state, *size]
    return ["train", "text.txt", "--out", "run", *kind, *SETTINGS]


RESUME = ["train", "--resume", "--out", "run"]


def start(arguments: list[str], place: Path) -> int:
    """Run the command in a process of its own; its number."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.chdir(place)
        output = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv = ["lmgen", *arguments]
        command()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    finally:
        os._exit(code)


def finished(process: int) -> int:
    """The exit code of a process that is left to end by itself."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def killed(arguments: list[str], seconds: float, place: Path) -> bool:
    """Run the command and kill it after a while; whether it was still running."""
    process = start(arguments, place)
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    return finished(process) == -signal.SIGKILL


def what_was_going_on(folder: RunFolder) -> str:
    """What a killed run was doing, by what it has left."""
    if not (folder.config.exists() or folder.new.config.exists()):
        return "beginning"
    if not folder.config.exists():
        return "preparing"
    if remains(folder):
        return "writing"
    if last_step(folder) == STEPS and not folder.ngram.exists():
        return "fitting the baseline"
    return "training" if folder.last.exists() else "before the first checkpoint"


def remains(folder: RunFolder) -> list[str]:
    """Files that a run only has while it writes others."""
    hidden = [file for file in folder.folder.rglob(".*") if file != folder.lock]
    half = [*hidden, *folder.folder.rglob("new.safetensors")]
    if folder.previous.exists() and not folder.last.exists():
        half.append(folder.previous)
    return [str(file.relative_to(folder.folder)) for file in half]


def metrics(folder: RunFolder) -> list[dict[str, Any]]:
    """The whole lines of a run's metrics, without times."""
    if not folder.metrics.exists():
        return []
    lines = []
    for line in folder.metrics.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            lines.append({name: value for name, value in json.loads(line).items() if name not in TIMES})
    return lines


def last_step(folder: RunFolder) -> int:
    """The last step in a run's metrics."""
    return max((line["step"] for line in metrics(folder)), default=0)


def log(place: Path) -> str:
    """The last line that the command wrote."""
    return "".join((place / "log").read_text(encoding="utf-8").splitlines()[-1:])


def resumed_step(place: Path) -> int:
    """The step that a resumed run went on from."""
    found = re.search(r"going on from step ([\d,]+)", (place / "log").read_text(encoding="utf-8"))
    return int(found[1].replace(",", "")) if found else 0


if __name__ == "__main__":
    main()
