"""
How far networks of several sizes come in a given number of updates: what `--preset auto` was fitted to.

    python -m benchmarks.budgets run --points points.jsonl tinyshakespeare.txt python-docs
    python -m benchmarks.budgets run --points points.jsonl --hidden 256 --updates 1000,3000 text.txt

Each point is one `lmgen train` of a number of updates, with a cosine that ends there, so that it does not
depend on how fast the machine is or on what else it does. A point that is in the file already is not run
again; several processes may fill one file. Regularisation comes in levels (`lmgen/runs/budgets.py`), and a
level is only tried where the text is read about as often as it is for.
"""

import argparse
import fcntl
import json
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.defaults import lmgen

TOKENS = 16 * 64
"""Of an update with the default batch."""

LEVELS: list[list[str]] = [
    [],
    ["--dropout", "0.2"],
    ["--variational", "--dropout-input", "0.1", "--dropout-output", "0.4"],
    ["--variational", "--dropout-input", "0.2", "--dropout-output", "0.5", "--weight-drop", "0.3"],
]
SENSIBLE = [(0.0, 4.0), (1.5, 20.0), (6.0, 1e9), (20.0, 1e9)]
"""Epochs between which a level is tried."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", nargs="+", help="files or corpus names")
    parser.add_argument("--points", type=Path, required=True, help="the file of results, JSON lines")
    parser.add_argument("--hidden", default="128,256,512")
    parser.add_argument("--layers", default="1")
    parser.add_argument("--updates", default="1000,3000,9000")
    parser.add_argument("--levels", default="0,1,2,3")
    parser.add_argument("--most-work", type=float, default=3000 * 512**2, help="updates x units^2 of a run")
    parser.add_argument("--tokenizer", default="char")
    arguments = parser.parse_args()
    for point in points(arguments):
        if not claimed(arguments.points, point):
            continue
        with tempfile.TemporaryDirectory() as name:
            flags = [
                "--hidden-size",
                point["hidden"],
                "--layers",
                point["layers"],
                "--steps",
                point["updates"],
            ]
            flags += [*LEVELS[point["level"]], "--threads", 1, "--baseline-order", 0, "--evaluations", 4]
            flags += ["--evaluation-tokens", 60_000, "--tokenizer", arguments.tokenizer]
            run = lmgen("train", point["text"], "--out", Path(name) / "run", *flags)
        done = {**point, "nats": run["valid_nats_per_token"], "tokens_per_second": run["tokens_per_second"]}
        append(arguments.points, {**done, "text": Path(point["text"]).stem, "epochs": run["epochs"]})


def points(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The points asked for, the quickest first."""
    numbers = [[int(each) for each in getattr(arguments, name).split(",")] for name in ("updates", "hidden")]
    for updates, hidden in sorted(product(*numbers), key=lambda pair: pair[0] * pair[1] ** 2):
        if updates * hidden**2 > arguments.most_work:
            continue
        for text in arguments.texts:
            size = 0.9 * (Path(text).stat().st_size if Path(text).exists() else 465_000)
            epochs = updates * TOKENS / size
            for layers in map(int, arguments.layers.split(",")):
                for level in map(int, arguments.levels.split(",")):
                    if SENSIBLE[level][0] <= epochs <= SENSIBLE[level][1]:
                        yield {
                            "text": text,
                            "updates": updates,
                            "hidden": hidden,
                            "layers": layers,
                            "level": level,
                        }


def claimed(file: Path, point: dict[str, Any]) -> bool:
    """Whether nobody has begun this point; now it is begun."""
    key = json.dumps({**point, "text": Path(point["text"]).stem})
    with file.with_suffix(".begun").open("a+") as begun:
        fcntl.flock(begun, fcntl.LOCK_EX)
        begun.seek(0)
        if key + "\n" in begun.readlines():
            return False
        begun.write(key + "\n")
    return True


def append(file: Path, point: dict[str, Any]) -> None:
    with file.open("a") as lines:
        lines.write(json.dumps(point) + "\n")


if __name__ == "__main__":
    main()
