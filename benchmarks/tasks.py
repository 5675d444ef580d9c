"""
What networks reach on the tasks of `lmgen corpus make`, beside what is to be reached.

    python benchmarks/tasks.py                              # all tasks, five seeds each
    python benchmarks/tasks.py addition copy --seeds 1
    python benchmarks/tasks.py --quick --out results.md     # a few updates of small networks: does it run?

Each network is trained on a file of the task and asked about a test file, of which no line is in the first.
All seeds are shown, then their median, and how often the training text was read in how much time. The table
is also written to benchmarks/results/tasks.md; the text before it and rows of tasks that are not named stay.
"""

import argparse
import json
import platform
import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lmgen
from lmgen.data.made_corpora import MadeCorpus
from lmgen.text.tasks.sine import Sine
from lmgen.text_model import TextModel

RESULTS = Path(__file__).parent / "results" / "tasks.md"

HEADING = """\
| task | network | measure | seed by seed | median | epochs | seconds |
| --- | --- | --- | --- | ---: | ---: | ---: |"""

Score = Callable[[TextModel, MadeCorpus], float]
"""What a model reaches on the test file of a task."""


@dataclass(frozen=True)
class Measure:
    """What is asked of a network."""

    goal: str
    """What it is and what is to be reached."""
    score: Score
    form: str = ".1%"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A network that is trained on a task, and what is asked of it; each measure is a line of the table."""

    task: str
    network: str
    """In words; what is not said is as `lmgen train` does it."""
    measures: tuple[Measure, ...]
    corpus: str
    parameters: dict[str, Any]
    """Arguments of `lmgen.make_corpus`."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Arguments of `lmgen.train`."""


@dataclass(frozen=True)
class Result:
    """What a network reached with a seed."""

    scores: tuple[float, ...]
    """One for each measure."""
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
SUMS = {"digits": 3, "reverse": True}

ROWS = [
    Row(
        task="addition",
        network="lstm 256, no other setting, 50,000 sums",
        measures=(Measure("exact answers >= 99%", exact, ".2%"),),
        corpus="addition",
        parameters={**SUMS, "count": 50_000},
        settings=ANSWERS,
    ),
    Row(
        task="embedded-reber",
        network="lstm 64, 4,800 sequences, once",
        measures=(Measure("last symbols right, all", exact),),
        corpus="embedded-reber",
        parameters={"count": 4_800, "test_count": 256},
        settings={"unit": "line", "valid": 0, "epochs": 1.0, "hidden_size": 64, "batch_size": 1},
    ),
    *(
        Row(
            task="continual-reber",
            network=f"{cell} 32, {words} forget gate, 10,000 strings",
            measures=(Measure(f"long-range symbols right, published {published}", long_range),),
            corpus="continual-reber",
            parameters={"strings": 1000, "count": 10, "test_count": 1},
            settings={"cell": cell, "hidden_size": 32, "epochs": 10.0, "valid": 0},
        )
        for cell, words, published in (("lstm", "with a", "99.7%"), ("lstm-1997", "without", "55%"))
    ),
    *(
        Row(
            task="temporal-order",
            network=f"lstm 128, {words}, three symbols, 6,400 sequences, once",
            measures=(Measure("classes right >= 99%", exact),),
            corpus="temporal-order",
            parameters={"symbols": 3, "count": 6_400, "test_count": 500},
            settings={
                **ANSWERS,
                "hidden_size": 128,
                "init_memory": memory,
                "window_length": 128,
                "batch_size": 8,
                "learning_rate": 0.003,
                "epochs": 1.0,
                "valid": 0,
            },
        )
        for memory, words in ((110, "--init-memory 110"), (None, "usual forget gates"))
    ),
    Row(
        task="anbncn",
        network="lstm-1997 32, n = 1 to 10",
        measures=(Measure("all right up to n >= 29", largest_count, ".0f"),),
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
            network=f"lstm 128, {f'attention {length + 1}' if attends else 'no attention'}, {length} letters",
            measures=(Measure("words copied", exact),),
            corpus="copy",
            parameters={"length": str(length), "count": 20_000, "test_count": 500},
            settings={
                **ANSWERS,
                "hidden_size": 128,
                "steps": 1000,
                "attention": length + 1 if attends else None,
            },
        )
        for length in (10, 20, 40)
        for attends in (False, True)
    ),
    *(
        Row(
            task="copy",
            network=f"lstm 128, {'attention 41' if attends else 'no attention'}, 1 to 20 letters",
            measures=(Measure("words of 21 to 40 letters copied", exact),),
            corpus="copy",
            parameters={"length": "1-20", "test_length": "21-40", "count": 20_000, "test_count": 500},
            settings={
                **ANSWERS,
                "hidden_size": 128,
                "steps": 1000,
                "attention": 41 if attends else None,
            },
        )
        for attends in (False, True)
    ),
    Row(
        task="sine",
        network="lstm 64, lines of 12 periods",
        measures=(Measure("squared error of ten periods < 0.01", continuation_error, ".4f"),),
        corpus="sine",
        parameters={"periods": 12, "count": 400, "test_count": 40},
        settings={"unit": "line", "hidden_size": 64, "epochs": 6.0},
    ),
    Row(
        task="markov",
        network="lstm 64, no weight decay, a million letters, 4 times",
        measures=(Measure("nats above the entropy <= 0.5%", above_entropy, ".2%"),),
        corpus="markov",
        parameters={"length": "10000", "count": 100, "test_count": 50},
        settings={
            "hidden_size": 64,
            "weight_decay": 0.0,
            "learning_rate": 0.008,
            "batch_size": 32,
            "epochs": 4.0,
        },
    ),
    *(
        Row(
            task="windows",
            network=f"lstm 128, 20,000 sums, {words}",
            measures=(
                Measure("exact answers", exact),
                Measure("nats per character", nats_per_character, ".4f"),
            ),
            corpus="addition",
            parameters={**SUMS, "count": 20_000},
            settings={"hidden_size": 128, "epochs": 15.0, **settings},
        )
        for words, settings in (
            ("line by line", {"unit": "line"}),
            ("windows, stateful", {"state": "carry"}),
            ("windows, stateless", {"state": "reset"}),
        )
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
    introduction, known = read_results(arguments.out)
    print(HEADING)
    for task in arguments.tasks or names:
        known[task] = []
        for line in measured_rows(task, arguments):
            print(line, flush=True)
            known[task].append(line)
        table = [HEADING, *chain.from_iterable(known[name] for name in names)]
        arguments.out.write_text(introduction + "\n".join(table) + "\n", encoding="utf-8")


def read_results(file: Path) -> tuple[str, dict[str, list[str]]]:
    """What stands before the table of a file, and the rows of each task, to measure one task at a time."""
    introduction, table = f"# Tasks\n\n{platform.machine()}, torch {version('torch')}\n\n", ""
    if file.exists():
        introduction, _, table = file.read_text(encoding="utf-8").partition(HEADING)
    lines = table.splitlines()
    rows = {row.task: [line for line in lines if line.startswith(f"| {row.task} |")] for row in ROWS}
    return introduction, rows


def measured_rows(task: str, given: argparse.Namespace) -> Iterator[str]:
    """The rows of the table for a task, as they come."""
    for row in ROWS:
        if row.task != task:
            continue
        results = [measured(row, seed, given) for seed in range(given.seeds)]
        epochs = statistics.median(result.epochs for result in results)
        seconds = statistics.median(result.seconds for result in results)
        for place, measure in enumerate(row.measures):
            scores = [result.scores[place] for result in results]
            shown = ", ".join(format(score, measure.form) for score in scores)
            yield (
                f"| {row.task} | {row.network} | {measure.goal} | {shown} "
                f"| {format(statistics.median(scores), measure.form)} | {epochs:.1f} | {seconds:.0f} |"
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
        parameters |= {"count": min(row.parameters["count"], 500), "test_count": 10}
    with TemporaryDirectory() as name:
        folder = Path(name)
        made = lmgen.make_corpus(
            row.corpus, folder / "train.txt", test=folder / "test.txt", seed=seed, **parameters
        )
        model = lmgen.train(folder / "train.txt", out=folder / "run", seed=seed, **settings)
        metrics = (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8")
        last = json.loads(metrics.splitlines()[-1])
        scores = tuple(measure.score(model, made) for measure in row.measures)
        return Result(scores, last["epoch"], last["seconds"])


if __name__ == "__main__":
    main()
