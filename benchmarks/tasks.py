"""
What networks reach on the tasks of `lmgen corpus make`, beside what is to be reached.

    python benchmarks/tasks.py                              # all tasks, five seeds each
    python benchmarks/tasks.py addition copy --seeds 1
    python benchmarks/tasks.py --quick --out results.md     # a few updates of small networks: does it run?

Each network is trained on a file of the task and asked about a test file, of which no line is in the first.
All seeds are shown, then their median, and how much of the training text was read in how much time. The table
is also written to benchmarks/results/tasks.md.
"""

import argparse
import json
import platform
import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import lmgen
from lmgen.data.made_corpora import MadeCorpus
from lmgen.text.tasks.sine import Sine
from lmgen.text_model import TextModel

RESULTS = Path(__file__).parent / "results" / "tasks.md"

Score = Callable[[TextModel, MadeCorpus], float]
"""What a model reaches on the test file of a task."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A network that is trained on a task, and what is asked of it."""

    task: str
    network: str
    """In words; what is not said is as `lmgen train` does it."""
    goal: str
    score: Score
    form: str = ".1%"
    corpus: str
    parameters: dict[str, Any]
    """Arguments of `lmgen.make_corpus`."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Arguments of `lmgen.train`."""


@dataclass(frozen=True)
class Result:
    """What a network reached with a seed."""

    score: float
    epochs: float
    seconds: float


def exact(model: TextModel, made: MadeCorpus) -> float:
    """The share of answers that are right, character for character."""
    return model.answers(test_file(made), after=made.mark, baseline=False).accuracy


def nats_per_character(model: TextModel, made: MadeCorpus) -> float:
    """Of the whole text, line ends included."""
    [score] = model.perplexity(test_file(made), baseline=False)
    return score.nats / score.characters


def above_entropy(model: TextModel, made: MadeCorpus) -> float:
    """How much more nats than the source holds, as a share of these."""
    return nats_per_character(model, made) / made.best_nats_per_character - 1


def largest_count(model: TextModel, made: MadeCorpus) -> float:
    """The largest n up to which all strings of the test file are right."""
    reached = 0
    answers = model.answers(test_file(made), after=made.mark, baseline=False).answers
    for each in sorted(answers, key=lambda each: len(each.prompt)):
        if not each.correct:
            break
        reached = each.prompt.count("a")
    return reached


def long_range(model: TextModel, made: MadeCorpus) -> float:
    """The share of embedded Reber strings whose last T or P is the likeliest symbol, in a stream of them."""
    text = test_file(made).read_text(encoding="utf-8")
    ranks = {score.offset: score.rank for score in model.perplexity(test_file(made), by="token")}
    places = [found.start(1) for found in re.finditer("B[TP]B[^E]*E([TP])E", text)]
    return sum(ranks[place] == 1 for place in places) / len(places)


def continuation_error(model: TextModel, made: MadeCorpus) -> float:
    """
    The mean squared error of ten periods of a sine wave that the model continues after two.

    It is divided by the square of the amplitude, which is 1. What ends too early counts as 0 from there on.
    """
    task = Sine()
    lines = test_file(made).read_text(encoding="utf-8").splitlines()
    given, length = round(2 * task.period), round(10 * task.period)
    prompts = [line[:given] for line in lines]
    errors = []
    for prompt, completion in zip(
        prompts, model.complete(prompts, length=length, temperature=0), strict=True
    ):
        guessed = task.values(completion.text.partition("\n")[0])
        guessed += [0.0] * (length - len(guessed))
        truth = task.truth(prompt, given + length)[given:]
        errors += [(one - other) ** 2 for one, other in zip(guessed, truth, strict=True)]
    return statistics.mean(errors)


def test_file(made: MadeCorpus) -> Path:
    """The lines that were held out."""
    assert made.test_path is not None
    return Path(made.test_path)


ANSWERS = {"unit": "line", "answers_after": "="}
SUMS = {"digits": 3, "reverse": True, "count": 50_000}
STREAM = {"strings": 1000, "count": 10, "test_count": 1}

ROWS = [
    Row(
        task="addition",
        network="lstm, 5 minutes, no other setting",
        goal=">= 99% exact",
        score=exact,
        form=".2%",
        corpus="addition",
        parameters=SUMS,
        settings=ANSWERS,
    ),
    Row(
        task="embedded-reber",
        network="lstm 64, 4,800 sequences",
        goal="100% of last symbols",
        score=exact,
        corpus="embedded-reber",
        parameters={"count": 4_800, "test_count": 256},
        settings={"unit": "line", "valid": 0, "epochs": 1.0, "hidden_size": 64, "batch_size": 1},
    ),
    *(
        Row(
            task="continual-reber",
            network=f"{cell} 32, {gate} forget gate, 10,000 strings, 20 times",
            goal=goal,
            score=long_range,
            corpus="continual-reber",
            parameters=STREAM,
            settings={"cell": cell, "hidden_size": 32, "epochs": 20.0, "valid": 0},
        )
        for cell, gate, goal in (("lstm", "with", "99.7% published"), ("lstm-1997", "no", "55% published"))
    ),
    Row(
        task="temporal-order",
        network="lstm-1997 64, three symbols, 6,400 sequences",
        goal=">= 99% of classes",
        score=exact,
        corpus="temporal-order",
        parameters={"symbols": 3, "count": 6_400, "test_count": 500},
        settings={
            **ANSWERS,
            "cell": "lstm-1997",
            "hidden_size": 64,
            "window_length": 128,
            "batch_size": 8,
            "epochs": 1.0,
            "valid": 0,
        },
    ),
    Row(
        task="anbncn",
        network="lstm-1997 32, n up to 10",
        goal="n >= 29",
        score=largest_count,
        form=".0f",
        corpus="anbncn",
        parameters={"n": "1-10", "test_n": "11-100", "test_count": 90, "count": 5_000},
        settings={
            "unit": "line",
            "answers_after": "b",
            "cell": "lstm-1997",
            "hidden_size": 32,
            "epochs": 20.0,
        },
    ),
    *(
        Row(
            task="copy",
            network=f"lstm 128{words}, {length} letters",
            goal="",
            score=exact,
            corpus="copy",
            parameters={"length": str(length), "count": 20_000, "test_count": 500},
            settings={
                **ANSWERS,
                "hidden_size": 128,
                "steps": 1500,
                **({"attention": length + 1} if words else {}),
            },
        )
        for length in (10, 20, 40)
        for words in ("", " with attention")
    ),
    Row(
        task="sine",
        network="lstm 64",
        goal="< 0.01",
        score=continuation_error,
        form=".4f",
        corpus="sine",
        parameters={"periods": 12, "count": 400, "test_count": 40},
        settings={"unit": "line", "hidden_size": 64, "epochs": 10.0},
    ),
    Row(
        task="markov",
        network="lstm 128",
        goal="<= 0.5% above entropy",
        score=above_entropy,
        form=".2%",
        corpus="markov",
        parameters={"count": 10_000, "test_count": 5_000},
        settings={"unit": "line", "hidden_size": 128, "epochs": 3.0},
    ),
]


def main() -> None:
    names = list(dict.fromkeys(row.task for row in ROWS))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=", ".join(names))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=5.0, help="of training where time is the budget")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few updates, to see that it runs")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file that is written")
    arguments = parser.parse_args()
    if unknown := set(arguments.tasks) - set(names):
        parser.error(f"no task {', '.join(sorted(unknown))}: take some of {', '.join(names)}")
    lines = []
    for line in page(arguments, [row for row in ROWS if row.task in (arguments.tasks or names)]):
        print(line, flush=True)
        lines.append(line)
    arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def page(given: argparse.Namespace, rows: list[Row]) -> Iterator[str]:
    """The lines of the results, as they come."""
    yield "# Tasks\n"
    yield f"{platform.machine()}, {given.threads} threads, torch {torch.__version__}"
    yield ""
    yield "| task | network | goal | seeds | median | epochs | seconds |"
    yield "| --- | --- | --- | --- | ---: | ---: | ---: |"
    for row in rows:
        results = [measured(row, seed, given) for seed in range(given.seeds)]
        shown = [format(result.score, row.form) for result in results]
        middle = format(statistics.median(result.score for result in results), row.form)
        epochs = statistics.median(result.epochs for result in results)
        seconds = statistics.median(result.seconds for result in results)
        yield (
            f"| {row.task} | {row.network} | {row.goal} | {', '.join(shown)} | {middle} "
            f"| {epochs:.1f} | {seconds:.0f} |"
        )


def measured(row: Row, seed: int, given: argparse.Namespace) -> Result:
    """Make the task, train on it, and score what was held out; the seed is that of the text, too."""
    settings = {"baseline_order": 0, "threads": given.threads, **row.settings}
    parameters = {**row.parameters}
    if not {"epochs", "steps"} & settings.keys():
        settings["minutes"] = given.minutes
    if given.quick:
        settings = {name: value for name, value in settings.items() if name not in ("epochs", "minutes")}
        settings |= {"hidden_size": 8, "steps": 2, "evaluations": 1}
        parameters |= {"count": 5 if row.corpus == "continual-reber" else 500}
    with TemporaryDirectory() as name:
        folder = Path(name)
        made = lmgen.make_corpus(
            row.corpus, folder / "train.txt", test=folder / "test.txt", seed=seed, **parameters
        )
        model = lmgen.train(folder / "train.txt", out=folder / "run", seed=seed, **settings)
        metrics = (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8")
        last = json.loads(metrics.splitlines()[-1])
        return Result(row.score(model, made), last["epoch"], last["seconds"])


if __name__ == "__main__":
    main()
