"""
Record what a checkout computes, to see that another one computes the same, bit for bit.

    python -m tests.recordings ../recorded-before --checkout ../before
    python -m tests.recordings ../recorded-after
    python -m tests.recordings --compare ../recorded-before ../recorded-after

Each case is a short `lmgen train`, followed by `sample`, `perplexity`, `next` and `info`. Only the command
line is used, so the checkouts may be organised differently. Compare recordings of one machine, with the same
packages: another machine rounds differently, which is why no recording is kept in the repository.

FOLDER/CASE/ then has, as JSON with one value a line:

    tensors.json    the SHA-256 of every tensor of the model, of the baseline, and of the last checkpoint:
                    weights, moments, averages, carried state
    metrics.json    the lines of metrics.jsonl, without times
    train.json      the summary that `lmgen train --json` prints, without times
    *.json          the output of each command in READINGS
"""

import argparse
import hashlib
import json
import os
import runpy
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from fnmatch import fnmatch
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

from tests.sentences import sentences

TIMES = {"seconds", "tokens_per_second"}
"""What differs from run to run in metrics and summaries."""

KEPT = ("parameters.", "optimizer.", "average.", "carried.")
"""What the names of the tensors that are compared begin with in `last/training.safetensors`."""

BASE = (
    "--out run --hidden-size 24 --embedding-size 12 --window-length 16 --batch-size 8 --steps 55 "
    "--evaluations 4 --baseline-order 3 --seed 7 --threads 1 --device cpu --quiet --json"
)
"""Flags of every new run; those of a case come after them and win."""

RESUME = "--resume --out run --quiet --json"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run, by the flags of its `lmgen train`."""

    flags: str
    text: str = "chars.txt"
    origin: str | None = None
    """Flags of a first run, in the folder `origin`, for `--from origin`."""
    interrupted: bool = False
    """Whether the run gets a Ctrl-C after its first evaluation and is then resumed."""
    resumed: str | None = None
    """Flags with which the run is resumed after its end."""


def words(flags: str) -> Case:
    """A case with a vocabulary of about a hundred words."""
    return Case(flags=f"--tokenizer word --window-length 8 {flags}", text="words.txt")


CELLS = ("lstm", "gru", "rnn", "rnn-relu", "rnn-sigmoid", "lstm-peephole", "lstm-layernorm")
SGD = "--optimizer sgd --learning-rate 20"

CASES: dict[str, Case] = {
    **{f"{cell}-carry": Case(flags=f"--cell {cell} --layers 2 --dropout 0.2") for cell in CELLS},
    **{f"{cell}-reset": Case(flags=f"--cell {cell} --state reset") for cell in CELLS},
    "adam": Case(flags="--optimizer adam --weight-decay 0.01"),
    "sgd": Case(flags="--optimizer sgd --clip 0.25"),
    "rmsprop": Case(flags="--optimizer rmsprop --clip inf"),
    "adagrad": Case(flags="--optimizer adagrad"),
    "adamw-adagrad": Case(flags="--optimizer adamw-adagrad --tied --embedding-size 24"),
    "plateau": Case(flags="--schedule plateau --evaluations 20 --optimizer sgd --learning-rate 60"),
    "constant": Case(flags="--schedule constant --warmup 0 --cell gru"),
    "patience": Case(flags="--evaluations 20 --optimizer sgd --learning-rate 60 --patience 1"),
    "preset-best": Case(flags="--preset best"),
    "preset-words": words("--preset good"),
    "words-adaptive": words("--output adaptive --cutoffs 20,60 --optimizer adamw-adagrad --dropout 0.2"),
    "words-projected": words("--tied --layers 2 --last-hidden-size 20"),
    "words-rare": words("--min-count 2 --lowercase --split-punctuation --vocab-size 50 --test 0.1"),
    "words-sampled": words("--objective sampled --samples 12 --optimizer adamw-adagrad --tied"),
    "words-many": Case(flags="--tokenizer word --output adaptive --steps 30", text="names.txt"),
    "bpe": Case(flags="--tokenizer bpe --vocab-size 300"),
    "unigram": Case(flags="--tokenizer unigram --cell gru"),
    "bytes": Case(flags="--tokenizer byte --cell rnn --objective sampled --samples 20"),
    "dropouts": Case(flags="--layers 2 --dropout-input 0.1 --dropout-hidden 0.2 --dropout-output 0.3"),
    "variational": Case(flags="--variational --dropout 0.3 --dropout-input 0.1 --layers 2 --cell gru"),
    "weight-drop": Case(flags="--weight-drop 0.4 --layers 2 --cell lstm"),
    "weight-drop-gru": Case(flags="--weight-drop 0.4 --dropout-embedding 0.2 --cell gru --state reset"),
    "awd-lstm": Case(
        flags="--layers 3 --last-hidden-size 12 --tied --variational --dropout 0.2 --dropout-embedding 0.1 "
        f"--weight-drop 0.3 --activation-penalty 2 --slowness-penalty 1 --vary-window-length --nt-asgd 1 "
        f"{SGD} --schedule constant --evaluations 20"
    ),
    "ema": Case(flags="--ema 0.9 --cell lstm-peephole"),
    "nt-asgd": Case(flags=f"--nt-asgd 1 {SGD} --schedule constant --evaluations 20"),
    "float64": Case(flags="--precision float64 --layers 2 --dropout 0.2"),
    "float64-layernorm": Case(flags="--precision float64 --cell lstm-layernorm --ema 0.95"),
    "varied-windows": Case(flags="--vary-window-length --cell gru"),
    "residual": Case(flags="--layers 3 --residual --last-hidden-size 16 --cell rnn"),
    "residual-equal": Case(flags="--layers 3 --residual --dropout-hidden 0.1 --cell gru"),
    "found-rate": Case(flags="--learning-rate find --steps 40 --optimizer adam"),
    "unstable": Case(
        flags="--learning-rate 100 --warmup 0 --steps 150 --evaluations 10 --hidden-size 12 "
        "--embedding-size 8 --window-length 8 --batch-size 4"
    ),
    "wide-lstm": Case(flags="--hidden-size 200 --embedding-size 64 --steps 12 --layers 2"),
    "wide-gru": Case(flags="--cell gru --hidden-size 200 --embedding-size 64 --steps 12 --state reset"),
    "many-windows": Case(
        flags="--window-length 4 --batch-size 2 --hidden-size 8 --embedding-size 6 --steps 1010 "
        "--evaluations 2",
        text="names.txt",
    ),
    "longer": Case(flags="--cell gru --steps 30 --dropout 0.2", resumed="--steps 60"),
    "interrupted": Case(flags="--steps 150 --evaluations 6 --dropout 0.2 --ema 0.9", interrupted=True),
    "fine-tuned": Case(flags="--from origin", origin="--cell gru --layers 2", text="other.txt"),
    "fine-tuned-extended": Case(
        flags="--from origin --tokenizer word --extend-vocabulary --window-length 8",
        origin="--tokenizer word --tied --window-length 8",
        text="names.txt",
    ),
}
"""By name. Budgets are steps, since one of minutes ends elsewhere every time."""

READINGS: dict[str, tuple[str, ...]] = {
    "sample": ("sample", "run", "--length", "150", "--seed", "3"),
    "sample-20": ("sample", "run", "--num", "20", "--length", "40", "--seed", "3", "--prompt", "the "),
    "sample-greedy": ("sample", "run", "--temperature", "0", "--length", "60", "--seed", "3"),
    "sample-top-k": (
        *(
            "sample",
            "run",
            "--top-k",
            "5",
            "--temperature",
            "0.8",
            "--repetition-penalty",
            "1.1",
            "--num",
            "3",
        ),
        *("--length", "60", "--seed", "3", "--prompt", "a quick"),
    ),
    "sample-mixed": ("sample", "run", "--mix", "--top-p", "0.9", "--length", "60", "--seed", "3"),
    "document": ("perplexity", "run", "scored.txt"),
    "held-out": ("perplexity", "run"),
    "exact": ("perplexity", "run", "scored.txt", "--exact"),
    "mixed": ("perplexity", "run", "scored.txt", "--mix"),
    "line": ("perplexity", "run", "short.txt", "--by", "line", "--baseline"),
    "token": ("perplexity", "run", "short.txt", "--by", "token"),
    "next": ("next", "run", "the old cat", "--top", "20"),
    "info": ("info", "run"),
}
"""The commands whose output is recorded, all with `--json --quiet`."""


def main() -> None:
    """Record or compare, as the arguments say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0].strip())
    parser.add_argument("folder", type=Path, nargs="?", help="where to record to; what it has is replaced")
    parser.add_argument("--checkout", type=Path, default=Path(), help="which lmgen to record (the one here)")
    parser.add_argument("--only", metavar="PATTERN", default="*", help="the cases to record, such as '*gru*'")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("A", "B"), help="print all differences")
    parser.add_argument(
        "--renamed", action="store_true", help="compare: tensors may have other names, not other values"
    )
    arguments = parser.parse_args()
    if arguments.compare:
        for folder in arguments.compare:
            if not any(folder.glob("*/*.json")):
                parser.error(f"{folder} holds no recording")
        found = list(differences(*arguments.compare, renamed=arguments.renamed))
        sys.stdout.writelines(f"{line}\n" for line in found)
        sys.exit(1 if found else 0)
    if arguments.folder is None:
        parser.error("give a folder to record to, or --compare A B")
    record(arguments.folder, arguments.checkout.absolute(), arguments.only)


def record(folder: Path, checkout: Path, pattern: str) -> None:
    """Run the cases whose names match and write down what comes of them."""
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(checkout))
    found = find_spec("lmgen")
    sys.stderr.write(f"recording {found.origin if found else 'nothing: there is no lmgen'}\n")
    _load_torch()
    for name, case in CASES.items():
        if not fnmatch(name, pattern):
            continue
        began = perf_counter()
        results = folder / name
        shutil.rmtree(results, ignore_errors=True)
        results.mkdir(parents=True)
        with TemporaryDirectory() as work:
            write_texts(Path(work))
            train(case, Path(work), results)
            read(Path(work), results)
        sys.stderr.write(f"{name} {perf_counter() - began:.1f} s\n")


def _load_torch() -> None:
    """Load torch once, with what its optimisers need: it takes seconds, and forked processes have it then."""
    import torch

    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def write_texts(work: Path) -> None:
    """The texts of all cases, and two to be scored."""
    texts = {
        "chars.txt": sentences(150),
        "words.txt": sentences(300, names=80),
        "names.txt": sentences(1500, seed=1, names=2000),
        "other.txt": sentences(150, seed=2, names=5),
        "scored.txt": sentences(100, seed=3, names=3),
        "short.txt": sentences(4, seed=4, names=2),
    }
    for name, text in texts.items():
        (work / name).write_text(text, encoding="utf-8")


def train(case: Case, work: Path, results: Path) -> None:
    """Train the case's `run` in the folder `work` and record its tensors, metrics and summary."""
    if case.origin is not None:
        finish(begin([f"train chars.txt {BASE} --out origin {case.origin}".split()], work), work)
    training = begin([f"train {case.text} {BASE} {case.flags}".split()], work)
    if case.interrupted:
        while training.is_alive() and not (work / "run" / "metrics.jsonl").exists():
            sleep(0.001)
        os.kill(training.pid or 0, signal.SIGINT)
        finish(training, work, code=130)
        training = begin([f"train {RESUME}".split()], work)
    [summary] = finish(training, work)
    if case.resumed is not None:
        [summary] = finish(begin([f"train {RESUME} {case.resumed}".split()], work), work)
    write(results / "train.json", [without_times(json.loads(summary))])
    lines = (work / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    write(results / "metrics.json", [without_times(json.loads(line)) for line in lines])
    write(results / "tensors.json", [tensors(work / "run")])


def read(work: Path, results: Path) -> None:
    """Record what the commands say of the trained run."""
    outputs = finish(begin([[*command, "--json", "--quiet"] for command in READINGS.values()], work), work)
    for name, output in zip(READINGS, outputs, strict=True):
        said = [json.loads(line) for line in output.splitlines()]
        if name == "info":
            said = [{key: value for key, value in line.items() if key != "bytes"} for line in said]
            said[0]["training"] = without_times(said[0]["training"])
        write(results / f"{name}.json", said)


def tensors(run: Path) -> dict[str, str]:
    """The type, shape and SHA-256 of what a run has computed, by file and name."""
    from safetensors.numpy import load_file

    found = {}
    for file in ("model", "ngram", "last/training"):
        for name, array in sorted(load_file(run / f"{file}.safetensors").items()):
            if file != "last/training" or name.startswith(KEPT):
                digest = hashlib.sha256(array.tobytes()).hexdigest()
                found[f"{file} {name}"] = f"{array.dtype} {list(array.shape)} {digest}"
    return found


def without_times(line: dict[str, Any]) -> dict[str, Any]:
    """What a run says of itself, but not how long it took."""
    return {key: value for key, value in line.items() if key not in TIMES}


def write(path: Path, values: Sequence[Any]) -> None:
    """Write JSON, each number and each text on a line of its own."""
    path.write_text("".join(json.dumps(value, indent=1) + "\n" for value in values), encoding="utf-8")


def begin(commands: Sequence[Sequence[str]], work: Path) -> BaseProcess:
    """Begin to run `python -m lmgen` with each of these arguments in turn, in one process in a folder."""
    process = get_context("fork").Process(target=_run_all, args=(commands, work))
    process.start()
    return process


def finish(process: BaseProcess, work: Path, *, code: int = 0) -> list[str]:
    """
    Wait for the commands to end.

    Returns:
        What each of them has printed.

    Raises:
        RuntimeError: the exit code of the last one is not `code`; the message is what it said.
    """
    process.join()
    if process.exitcode != code:
        raise RuntimeError((work / "stderr").read_text(encoding="utf-8"))
    outputs = sorted(work.glob("stdout.*"), key=lambda path: int(path.suffix[1:]))
    texts = [output.read_text(encoding="utf-8") for output in outputs]
    for output in outputs:
        output.unlink()
    return texts


def _run_all(commands: Sequence[Sequence[str]], work: Path) -> None:
    os.chdir(work)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Path("stderr").open("w") as stderr:
        os.dup2(stderr.fileno(), 2)
    for number, command in enumerate(commands):
        with Path(f"stdout.{number}").open("w") as stdout:
            os.dup2(stdout.fileno(), 1)
        sys.argv = ["lmgen", *command]
        try:
            runpy.run_module("lmgen", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            if end.code:
                raise
        finally:
            sys.stdout.flush()


def differences(before: Path, after: Path, *, renamed: bool = False) -> Iterator[str]:
    """
    Every line in which two recordings differ, under the file where it stands.

    Args:
        before: a folder that was recorded to.
        after: another.
        renamed: only the values of tensors count, not their names.
    """
    folders = (before, after)
    for name in sorted({path.relative_to(folder) for folder in folders for path in folder.glob("*/*.json")}):
        old, new = (_lines(folder / name) for folder in folders)
        if renamed and name.name == "tensors.json":
            old, new = (sorted(line.partition(": ")[2].strip('",') for line in text) for text in (old, new))
        if old != new:
            yield f"{name}:"
            changes = unified_diff(old, new, n=0, lineterm="")
            yield from (f"  {line}" for line in changes if not line.startswith(("---", "+++", "@@")))


def _lines(path: Path) -> list[str]:
    """The lines of a recorded file; one that says so if it was not recorded."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else ["not recorded"]


if __name__ == "__main__":
    main()
