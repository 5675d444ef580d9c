"""
One text a line against one text a file: how well held-out lines are predicted, and what is sampled.

    python benchmarks/units.py names.txt                 # a name a line, in random order

The list is shuffled and its last tenth held out. A network and an n-gram model learn the rest as one text
and with `--unit line`, in as many updates; each held-out line is then scored on its own. Samples of
at most 30 characters are counted that are no line of the list and begin with three characters that begin one;
those of a document's model end at the first line end.
"""

import argparse
import platform
import random
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

import lmgen
from lmgen.text_model import TextModel

SAMPLES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("list", type=Path, help="a file with a text a line")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}")
    print(f"{arguments.list.name}, {arguments.steps} updates, nats per held-out line: median (range)\n")
    print("| model | unit | nats per line | lines sampled that are new and begin like a line |")
    print("| --- | --- | --- | --- |")
    lines = arguments.list.read_text(encoding="utf-8").splitlines()
    random.Random(0).shuffle(lines)
    held_out = len(lines) // 10
    with tempfile.TemporaryDirectory() as folder:
        train, valid = Path(folder, "train.txt"), Path(folder, "valid.txt")
        train.write_text("\n".join(lines[held_out:]) + "\n", encoding="utf-8")
        valid.write_text("\n".join(lines[:held_out]) + "\n", encoding="utf-8")
        for unit in ("document", "line"):
            ngram = lmgen.fit_ngram(train, unit=unit, order=7, out=Path(folder, f"{unit}.safetensors"))
            print(row("ngram-7", unit, [ngram], valid, set(lines)))
            networks = [
                lmgen.train(
                    train,
                    out=Path(folder, f"{unit}-{seed}"),
                    unit=unit,
                    valid=valid,
                    steps=arguments.steps,
                    seed=seed,
                    threads=arguments.threads,
                    baseline_order=0,
                )
                for seed in range(arguments.seeds)
            ]
            print(row("lstm 1x256", unit, networks, valid, set(lines)))


def row(name: str, unit: str, models: list[TextModel], valid: Path, known: set[str]) -> str:
    """A line of the table."""
    nats = [statistics.mean(line.nats for line in model.perplexity(valid, by="line")) for model in models]
    beginnings = {line[:3] for line in known}
    good = [
        sum(text[:3] in beginnings and text not in known for text in samples(model, unit)) / SAMPLES
        for model in models
    ]
    return f"| {name} | {unit} | {shown(nats, '.2f')} | {shown(good, '.0%')} |"


def samples(model: TextModel, unit: str) -> Iterator[str]:
    stop = ["\n"] if unit == "document" else []
    for completion in model.complete([""], num=SAMPLES, length=30, stop=stop, seed=1):
        yield completion.text


def shown(values: list[float], form: str) -> str:
    """The median, and the range if there are several."""
    middle = format(statistics.median(values), form)
    return (
        middle if len(values) == 1 else f"{middle} ({format(min(values), form)}-{format(max(values), form)})"
    )


if __name__ == "__main__":
    main()
