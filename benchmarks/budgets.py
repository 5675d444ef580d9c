"""
How far networks of several sizes come in a given number of updates: what `--preset auto` was fitted to.

    python -m benchmarks.budgets --points points.jsonl --updates 1000,3000 tinyshakespeare.txt python-docs
    python -m benchmarks.budgets --points points.jsonl --table

Each point is one `lmgen train` of a number of updates with a cosine that ends there, so it depends neither on
the machine's speed nor on what else the machine does. A point that the file has is not run again, and several
processes may fill one file. Regularisation comes in levels, each only tried where a text is read about as
often as it is for. Networks of characters have the n-gram embedding that is chosen for their text.

The table turns updates into time by the speed of each size: for times from 15 seconds to 15 minutes it says
what each size would reach, the best of its levels, between two points on a line over the logarithm of
updates. Beside them is what the rule chooses, and how much worse that is than the best.
"""

import argparse
import fcntl
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise, product
from math import log
from pathlib import Path
from typing import Any

from benchmarks.defaults import lmgen
from lmgen.runs.config_file import configured
from lmgen.runs.sizes import MOST_EPOCHS_FOR_FREQUENCIES, NGRAM_EMBEDDING, Bought, choose, ngram_rows

TOKENS = {"char": 16 * 64, "word": 32 * 35}
"""Of an update with the batches of a preset."""

DROPPED_NGRAMS = ["--dropout-ngrams", "0.5"]

LEVELS: dict[str, list[list[str]]] = {
    "char": [
        [],
        DROPPED_NGRAMS,
        [*DROPPED_NGRAMS, "--dropout", "0.2"],
        [*DROPPED_NGRAMS, "--variational", "--dropout-input", "0.1", "--dropout-output", "0.4"],
    ],
    "word": [
        ["--dropout", "0.2"],
        ["--dropout", "0.4"],
        ["--dropout", "0.5", "--dropout-input", "0.4", "--dropout-embedding", "0.1"],
    ],
}
SENSIBLE = {
    "char": [(0.0, 4.0), (1.0, 20.0), (4.0, 1e9), (15.0, 1e9)],
    "word": [(0.0, 3.0), (0.5, 6.0), (2.0, 1e9)],
}
"""Epochs between which a level is tried."""

SECONDS = (15, 30, 60, 120, 240, 480, 900)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", nargs="*", help="files or corpus names")
    parser.add_argument("--points", type=Path, required=True, help="the file of results, JSON lines")
    parser.add_argument("--table", action="store_true", help="print what the points say, and run nothing")
    parser.add_argument("--hidden", default="128,192,256,384,512")
    parser.add_argument("--updates", default="1000,3000,9000")
    parser.add_argument("--levels", default="0,1,2,3")
    parser.add_argument("--most-work", type=float, default=3000 * 512**2, help="updates x units^2 of a run")
    parser.add_argument("--tokenizer", default="char", choices=LEVELS)
    arguments = parser.parse_args()
    if arguments.table:
        print_table([json.loads(line) for line in arguments.points.read_text().splitlines()])
        return
    for point in points(arguments):
        if claimed(arguments.points, point):
            append(arguments.points, {**point, **measured(point), "text": Path(point["text"]).stem})


def points(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The points asked for, the quickest first."""
    tokenizer = arguments.tokenizer
    numbers = [[int(each) for each in getattr(arguments, name).split(",")] for name in ("updates", "hidden")]
    for updates, hidden in sorted(product(*numbers), key=lambda pair: pair[0] * pair[1] ** 2):
        if updates * hidden**2 > arguments.most_work:
            continue
        for text in arguments.texts:
            size = 0.9 * (Path(text).stat().st_size if Path(text).exists() else 465_000)
            tokens = size if tokenizer == "char" else size / 5.2
            epochs = updates * TOKENS[tokenizer] / tokens
            for level, (least, most) in enumerate(SENSIBLE[tokenizer]):
                if str(level) in arguments.levels.split(",") and least <= epochs <= most:
                    yield {
                        "text": text,
                        "tokenizer": tokenizer,
                        "updates": updates,
                        "hidden": hidden,
                        "level": level,
                        "rows": ngram_rows(round(tokens)) if tokenizer == "char" else 0,
                        "counted": epochs <= MOST_EPOCHS_FOR_FREQUENCIES,
                    }


def measured(point: dict[str, Any]) -> dict[str, float]:
    """Train, and say what was reached."""
    with tempfile.TemporaryDirectory() as name:
        flags = ["--hidden-size", point["hidden"], "--steps", point["updates"], "--threads", 1]
        flags += ["--baseline-order", 0, "--evaluations", 4, "--evaluation-tokens", 60_000]
        if point["tokenizer"] == "word":
            flags += ["--tokenizer", "word", "--preset", "good"]
        else:
            flags += ["--ngram-embedding", NGRAM_EMBEDDING, "--ngram-rows", point["rows"]]
        flags += ["--init-output", "frequencies" if point["counted"] else "zeros"]
        flags += LEVELS[point["tokenizer"]][point["level"]]
        run = lmgen("train", point["text"], "--out", Path(name) / "run", *flags)
    return {
        "nats": run["valid_nats_per_token"],
        "epochs": run["epochs"],
        "tokens_per_second": run["tokens_per_second"],
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


def print_table(found: list[dict[str, Any]]) -> None:
    """For each text and time what each size reaches, and what the rule takes."""
    speeds: dict[tuple[str, int], float] = {}
    for point in found:
        key = point["tokenizer"], point["hidden"]
        speeds[key] = max(speeds.get(key, 0.0), point["tokens_per_second"])
    texts = sorted({(point["tokenizer"], point["text"]) for point in found})
    for tokenizer, text in texts:
        of_text = [point for point in found if (point["tokenizer"], point["text"]) == (tokenizer, text)]
        tokens = median_tokens(of_text)
        sizes = sorted({point["hidden"] for point in of_text})
        print(f"\n## {text}, {tokenizer}, {tokens:,.0f} tokens\n")
        print("| seconds | " + " | ".join(f"{size} units" for size in sizes) + " | the rule | worse by |")
        print("| --- |" + " --- |" * (len(sizes) + 2))
        for seconds in SECONDS:
            reached = {size: at(of_text, size, seconds * speeds[tokenizer, size]) for size in sizes}
            known = {size: best for size, best in reached.items() if best is not None}
            if len(known) < 2:
                continue
            of_sizes = {size: speed for (kind, size), speed in speeds.items() if kind == tokenizer}
            bought = Bought(seconds / 60, of_sizes, round(tokens))
            config = configured({"preset": "auto", "minutes": seconds / 60, "tokenizer": tokenizer}, "here")
            settings, reason = choose(bought, config)
            chosen = known.get(settings["hidden_size"])
            worse = "" if chosen is None else f"{chosen[0] - min(known.values())[0]:.3f}"
            cells = [f"{best[0]:.3f} ({best[1]})" if best else "" for best in reached.values()]
            print(f"| {seconds} | {' | '.join(cells)} | {reason.split(':')[0]} | {worse} |")


def median_tokens(of_text: list[dict[str, Any]]) -> float:
    """Tokens of a training text, from what its runs read."""
    first = of_text[0]
    return float(first["updates"] * TOKENS[first["tokenizer"]] / first["epochs"])


def at(of_text: list[dict[str, Any]], size: int, tokens: float) -> tuple[float, int] | None:
    """The lowest nats of any level after so many tokens, and the level; None where no points are around."""
    by_level: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for point in of_text:
        if point["hidden"] == size:
            read = point["updates"] * TOKENS[point["tokenizer"]]
            by_level[point["level"]].append((log(read), point["nats"]))
    found = []
    for level, line in by_level.items():
        for (before, first), (after, second) in pairwise(sorted(line)):
            if before - 0.3 <= log(tokens) <= after + 0.3:
                share = (log(tokens) - before) / (after - before)
                found.append((first + share * (second - first), level))
    return min(found, default=None)


if __name__ == "__main__":
    main()
