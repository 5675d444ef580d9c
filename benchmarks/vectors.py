"""
Word models that start from word vectors, frozen or not, and from random ones; Markdown tables.

    python benchmarks/vectors.py                                            # python-docs
    python benchmarks/vectors.py wikitext-2.train.txt --characters 300000   # vectors of more text than models
    python benchmarks/vectors.py --quick --out new.md                       # seconds: does the script work

The last tenth of each text is held out. Vectors are trained on the rest, and so is the model, or only on its
first `--characters`. A word is what stands between white space, in lower case; rarer ones than `--min-count`
are <unk>. All models have one LSTM layer and the same vocabulary, settings and budget; a figure is the
perplexity by word, median and range of the seeds, which are those of the vectors, too. Random vectors that
are frozen are drawn from a normal distribution, as the others start.
"""

import argparse
import math
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import lmgen
from lmgen.vectors.table import Vectors

ROOT = Path(__file__).parents[1]

HELD_OUT = 0.1
"""The share of a text that is scored."""

EPOCHS = (1, 5, 10)
"""After how many a model is scored."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="*", default=["python-docs"], help="files or corpus names")
    parser.add_argument("--characters", type=int, help="of the training text, for the models alone")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 1 on")
    parser.add_argument("--size", type=int, default=100, help="of a vector, and units of the layer")
    parser.add_argument("--vector-epochs", type=int, default=20, help="passes of the vectors over the text")
    parser.add_argument("--min-count", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a short text, one seed, one epoch")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "vectors.md")
    arguments = parser.parse_args()
    epochs = EPOCHS[:1] if arguments.quick else EPOCHS
    seeds = range(1, 2 if arguments.quick else arguments.seeds + 1)
    lines = [
        "# Word vectors to start with",
        "",
        f"Perplexity by word of the held-out last tenth of a text, median and range of {len(seeds)} seeds:",
        "`python benchmarks/vectors.py`, options for longer texts in it. One LSTM layer of",
        f"{arguments.size} units, embeddings of {arguments.size} numbers; vectors after",
        f"{arguments.vector_epochs} epochs of the text that is not held out. {processor()},",
        f"{arguments.threads} thread{'s' * (arguments.threads > 1)}.",
    ]
    print("\n".join(lines), flush=True)
    for corpus in arguments.corpus:
        for line in table(corpus, epochs, seeds, arguments):
            lines.append(line)
            print(line, flush=True)
    arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def table(corpus: str, epochs: Sequence[int], seeds: range, arguments: argparse.Namespace) -> list[str]:
    """The lines of a corpus, with its heading."""
    text = "".join(lmgen.read_corpus(corpus))[: 60_000 if arguments.quick else None]
    cut = text.rindex("\n", 0, int((1 - HELD_OUT) * len(text))) + 1
    own = text[: min(arguments.characters or cut, cut)]
    words = {"lowercase": True, "min_count": arguments.min_count}
    rows: dict[str, list[list[float]]] = {}
    deviations: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {part: folder / f"{part}.txt" for part in ("all", "own", "valid")}
        for path, content in zip(paths.values(), (text[:cut], own, text[cut:]), strict=True):
            path.write_text(content, encoding="utf-8", newline="")
        for seed in seeds:
            of_vectors = {**words, "embedding_size": arguments.size, "epochs": arguments.vector_epochs}
            for start, vectors, frozen in starts(paths["all"], seed, of_vectors):
                settings = {**words, "seed": seed, "threads": arguments.threads}
                if vectors is not None:
                    vectors.save(folder / "vectors.bin", overwrite=True)
                    settings |= {"embeddings": folder / "vectors.bin", "freeze_embeddings": frozen}
                reached = perplexities(paths, folder / "run", arguments.size, epochs, settings)
                rows.setdefault(start + ", frozen" * frozen, []).append(reached)
                if vectors is not None:
                    deviations.setdefault(start, []).append(float(vectors.matrix.std()))
    heading = [f"after {each} epoch{'s' * (each > 1)}" for each in epochs]
    return [
        f"\n## {Path(corpus).name}, {len(own):,} of {cut:,} characters\n",
        f"| embedding starts | {' | '.join(heading)} |",
        f"| --- |{' ---: |' * len(epochs)}",
        *(f"| {row} | {' | '.join(map(spread, zip(*found, strict=True)))} |" for row, found in rows.items()),
        "\nStandard deviation of the numbers of vectors, before training: "
        + ", ".join(f"{start} {median(found):.2f}" for start, found in deviations.items())
        + ".",
    ]


def starts(text: Path, seed: int, settings: dict[str, Any]) -> list[tuple[str, Vectors | None, bool]]:
    """How embeddings start, with which vectors (None: as usual), and whether these are frozen."""
    skip_gram = lmgen.train_vectors(text, seed=seed, **settings)
    shape = skip_gram.matrix.shape
    drawn = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    cbow = lmgen.train_vectors(text, seed=seed, method="cbow", **settings)
    return [
        ("random", None, False),
        ("random", Vectors(skip_gram.words, drawn), True),
        *(("skip-gram", skip_gram, frozen) for frozen in (False, True)),
        *(("cbow", cbow, frozen) for frozen in (False, True)),
    ]


def perplexities(
    paths: dict[str, Path], run: Path, size: int, epochs: Sequence[int], settings: dict[str, Any]
) -> list[float]:
    """Train a model, and score the held-out text after each number of epochs."""
    by_epoch: dict[int, float] = {}

    def keep(event: Any) -> None:
        if type(event).__name__ == "Evaluated":
            by_epoch[round(event.epoch)] = math.exp(event.valid_nats_per_token)

    lmgen.train(
        paths["own"],
        valid=paths["valid"],
        out=run,
        overwrite=True,
        tokenizer="word",
        hidden_size=size,
        embedding_size=size,
        epochs=epochs[-1],
        evaluations=epochs[-1],
        baseline_order=0,
        on_event=keep,
        **settings,
    )
    return [by_epoch[each] for each in epochs]


def spread(values: Sequence[float]) -> str:
    """Median and range; one number where there is only one."""
    shown = f"{median(values):.1f}"
    return shown if len(values) == 1 else f"{shown} ({min(values):.1f}-{max(values):.1f})"


def processor() -> str:
    """The machine's, by its name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
