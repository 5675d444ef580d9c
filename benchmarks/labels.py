"""
Labels: what a network has to see to predict them, and how often each is right.

    python benchmarks/labels.py                        # sentences with negation, and tokens of Python
    python benchmarks/labels.py --seeds 1 --quick      # a smoke test

`negation` has a label a sentence, which the order of its words decides, not which words they are. Of
`python-tokens`, a label a token, whether a name is called depends on the token after it. Every network gets
the same number of updates; the last tenth of the text is held out.
"""

import argparse
import platform
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch

import lmgen

NETWORKS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "negation": [
        ("mean of word vectors", {"layers": 0, "dense_layers": 1, "pool": "mean"}),
        ("maximum of word vectors", {"layers": 0, "dense_layers": 1, "pool": "max"}),
        ("convolution 2x64, maximum", {"layers": 0, "convolution": "2x64", "pool": "max"}),
        ("convolution 4x64, maximum", {"layers": 0, "convolution": "4x64", "pool": "max"}),
        ("lstm 1 x 64, last state", {"pool": "last"}),
        ("bidirectional lstm 1 x 32, last states", {"bidirectional": True, "hidden_size": 32}),
    ],
    "python-tokens": [
        ("dense 64: the token alone", {"layers": 0, "dense_layers": 1}),
        ("lstm 1 x 64", {}),
        ("bidirectional lstm 1 x 32", {"bidirectional": True, "hidden_size": 32}),
        ("bidirectional lstm 2 x 32", {"bidirectional": True, "hidden_size": 32, "layers": 2}),
    ],
}
"""For each corpus the networks, in words and as settings."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpora", nargs="*", default=list(NETWORKS), help="negation, python-tokens")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few updates, to see that it runs")
    arguments = parser.parse_args()
    steps = 3 if arguments.quick else arguments.steps
    print(f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}")
    for corpus in arguments.corpora:
        print(f"\n{corpus}, {steps} updates: share of labels that are right, median (range)\n")
        print("| network | parameters | right | always the most frequent |")
        print("| --- | --- | --- | --- |")
        for name, settings in NETWORKS[corpus]:
            print(row(corpus, name, settings, steps, arguments), flush=True)


def row(corpus: str, name: str, settings: dict[str, Any], steps: int, arguments: argparse.Namespace) -> str:
    """A line of the table."""
    right = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            model = lmgen.train_labels(
                corpus,
                out=Path(folder, str(seed)),
                **{
                    "tokenizer": "word",
                    "min_count": 2,
                    "hidden_size": 64,
                    "batch_size": 32,
                    "steps": steps,
                    "evaluations": 5,
                    "seed": seed,
                    "threads": arguments.threads,
                    **settings,
                },
            )
            scores = model.score()
            right.append(scores.accuracy)
        parameters = model.describe()["parameters"]
    return f"| {name} | {parameters:,} | {shown(right)} | {scores.majority_accuracy:.1%} |"


def shown(values: list[float]) -> str:
    """The median, and the range if there are several."""
    middle = f"{statistics.median(values):.1%}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.1%}-{max(values):.1%})"


if __name__ == "__main__":
    main()
