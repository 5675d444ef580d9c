"""Generate corpora: the work of `lmgen corpus make`, and of `lmgen corpus show --parameters`."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from lmgen.errors import ConfigError, CorpusError
from lmgen.files import STDOUT, behind_links, refuse_existing, refuse_packed, replacing
from lmgen.settings import LARGEST_COUNT, did_you_mean, flag, likeliest, names_of, shown, whole_number
from lmgen.text.best import BestScore, shown_score
from lmgen.text.generated import GENERATED
from lmgen.text.synthetic import CHARACTERS, SYNTHETIC, SyntheticCorpus
from lmgen.text.tasks import TASKS
from lmgen.text.tasks.held_out import HeldOut, held_out
from lmgen.text.tasks.task import TEST, Parameter, Task, in_blocks

TEST_SHARE = 10
"""A test file has a tenth of the lines of the training file, if nobody says how many."""


@dataclass(frozen=True, slots=True)
class MadeCorpus:
    """A generated corpus file. The fields are those of `lmgen corpus make --json`, without those of None."""

    corpus: str
    path: str
    characters: int
    seed: int
    best_nats_per_character: float
    """Entropy rate of the generating process, a lower bound on the loss of any model."""

    lines: int | None = None
    """Instances of a task; None for a synthetic text, as are all that follow."""

    best_nats_per_line: float | None = None
    best_nats_per_answer: float | None = None
    """The same of what follows the mark, given what precedes it."""

    mark: str | None = None
    """What stands between question and answer; None for a task without answers."""

    test_path: str | None = None
    test_lines: int | None = None

    test_best_nats_per_character: float | None = None
    """The score of the test file; None if it is unknown, since lines drawn for it were left out."""

    test_best_nats_per_line: float | None = None
    test_best_nats_per_answer: float | None = None
    """Known even so where the answer follows from what precedes it: 0."""

    def best_score(self) -> str:
        """The best possible score as shown to the user, in nats and bits."""
        return shown_score(self.best_nats_per_character, self.best_nats_per_line, self.best_nats_per_answer)

    def test_best_score(self) -> str | None:
        """The best possible score on the test file as shown to the user; None if none is known."""
        if self.test_best_nats_per_character is not None:
            return shown_score(
                self.test_best_nats_per_character,
                self.test_best_nats_per_line,
                self.test_best_nats_per_answer,
            )
        if self.test_best_nats_per_answer is None:
            return None
        return f"{self.test_best_nats_per_answer:.4g} nats per answer"

    def to_json(self) -> dict[str, Any]:
        """The fields that are not None by name, ready for `json.dumps`."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class TaskDescription:
    """What there is to know about a task before it is made."""

    name: str
    description: str
    source: str
    mark: str | None
    """What stands between question and answer, at its first place in a line; None if there is no answer."""

    lines: int
    """Instances that are made if nobody says how many."""

    best: BestScore
    """With the default parameters."""

    parameters: list[Parameter]

    def to_json(self) -> dict[str, Any]:
        """The fields by name, ready for `json.dumps`."""
        return asdict(self)


def describe_task(name: str) -> TaskDescription:
    """
    The parameters of a task, its mark, its source and its best score.

    Raises:
        CorpusError: there is no such task.
    """
    if name not in TASKS:
        raise CorpusError(f"{name} is no task and has no parameters; the tasks are {', '.join(TASKS)}")
    task = TASKS[name]()
    return TaskDescription(
        name, task.description, task.source, task.mark, task.default_count, task.best, task.parameters()
    )


def make_corpus(
    name: str,
    out: str | Path,
    *,
    characters: int | None = None,
    count: int | None = None,
    seed: int = 0,
    test: str | Path | None = None,
    test_count: int | None = None,
    overwrite: bool = False,
    on_note: Callable[[str], None] = lambda _: None,
    **parameters: Any,
) -> MadeCorpus:
    """
    Write the instances of a task, or a synthetic text, to a file.

    Args:
        name: one of `GENERATED`.
        out: output path; `-` is stdout.
        characters: length of a synthetic text; None: `CHARACTERS`.
        count: instances of a task; None: as many as the task says.
        seed: of the random text, 0 or more.
        test: where to write distinct instances that are not in `out`.
        test_count: how many; None: a tenth of those in `out`, or as many as there are.
        overwrite: replace existing files.
        on_note: callback for the note that there were fewer instances for `test`.
        parameters: those of the task.

    Raises:
        ConfigError: a parameter is unknown or invalid, or does not go with the corpus.
        CorpusError: the corpus is not a generated one, or has too few instances for `test`.
        ModelError: a file exists.
        WriteError: a file cannot be written.
    """
    if name not in GENERATED:
        raise CorpusError(
            f"{name} is not synthetic{did_you_mean(likeliest(name, GENERATED))}; those that can be made are "
            f"{', '.join(GENERATED)}"
        )
    seed = whole_number(seed, "--seed", 0)
    if name in SYNTHETIC:
        given = {"count": count, "test": test, "test_count": test_count, **parameters}
        if others := [flag(each) for each, value in given.items() if value is not None]:
            raise ConfigError(
                f"{name} is one text and takes --characters and --seed, not {', '.join(others)}"
            )
        length = CHARACTERS if characters is None else whole_number(characters, "--characters")
        return _make_synthetic(SYNTHETIC[name], out, length, seed, overwrite=overwrite)
    if characters is not None:
        raise ConfigError(f"{name} is made of instances: give --count in place of --characters")
    task = task_with(name, parameters)
    count = task.default_count if count is None else _checked_count(count, "--count")
    _refuse_test(parameters, out, test, test_count)
    _refuse_existing(out, overwrite=overwrite)
    if test is None:
        return _make_task(task, out, count, seed)
    refuse_packed(Path(test))
    refuse_existing(Path(test), overwrite=overwrite, option="--test")
    lines, as_drawn = _test_lines(task, count, seed, str(out), str(test), test_count, on_note)
    made = _make_task(task, out, count, seed)
    _write(test, in_blocks(lines))
    made = replace(made, test_path=str(test), test_lines=len(lines))
    best = task.for_test().best
    if as_drawn:
        made = replace(
            made,
            test_best_nats_per_character=best.nats_per_character,
            test_best_nats_per_line=best.nats_per_line,
        )
    if as_drawn or best.nats_per_answer == 0:
        made = replace(made, test_best_nats_per_answer=best.nats_per_answer)
    return made


def _make_synthetic(
    corpus: SyntheticCorpus, out: str | Path, characters: int, seed: int, *, overwrite: bool
) -> MadeCorpus:
    _refuse_existing(out, overwrite=overwrite)
    _write(out, corpus.text(characters, seed).chunks())
    return MadeCorpus(corpus.name, str(out), characters, seed, corpus.best_nats_per_character)


def _make_task(task: Task, out: str | Path, count: int, seed: int) -> MadeCorpus:
    best = task.best
    return MadeCorpus(
        task.name,
        str(out),
        _write(out, in_blocks(task.lines(count, seed))),
        seed,
        best.nats_per_character,
        lines=count,
        best_nats_per_line=best.nats_per_line,
        best_nats_per_answer=best.nats_per_answer,
        mark=task.mark,
    )


def task_with(name: str, parameters: dict[str, Any]) -> Task:
    """
    A task with parameters by name.

    Raises:
        ConfigError: it has no such parameter, or a value is invalid.
    """
    known = names_of(TASKS[name])
    if unknown := [flag(each) for each in parameters if each not in known]:
        listed = ", ".join(flag(each.name) for each in TASKS[name].parameters()) or "none"
        raise ConfigError(f"{name} has no parameter {', '.join(unknown)}; its parameters: {listed}")
    return TASKS[name](**parameters)


def _checked_count(value: Any, name: str) -> int:
    """A number of instances, if it is a whole number in range."""
    number = whole_number(value, name)
    if number > LARGEST_COUNT:
        raise ConfigError(f"{name} is {shown(number)}, but has to be at most {LARGEST_COUNT}")
    return number


def _refuse_test(
    parameters: dict[str, Any], out: str | Path, test: str | Path | None, test_count: int | None
) -> None:
    """Check that flags of the test file come with one, and that it is another file."""
    if test is None:
        given = [each for each in parameters if each.startswith(TEST)]
        given += [] if test_count is None else ["test_count"]
        if given:
            raise ConfigError(f"{', '.join(map(flag, given))} goes with --test, which is not given")
    elif str(test) == STDOUT:
        raise ConfigError("--test has to be a file; only --out may be -, which is stdout")
    elif Path(test).resolve() == Path(out).resolve():
        raise ConfigError("--test and --out name the same file; give --test another")


def _test_lines(
    task: Task,
    count: int,
    seed: int,
    out: str,
    test: str,
    test_count: int | None,
    on_note: Callable[[str], None],
) -> HeldOut:
    """
    The lines of the test file.

    Raises:
        CorpusError: there are fewer than were asked for, or none.
    """
    wanted = max(1, count // TEST_SHARE) if test_count is None else _checked_count(test_count, "--test-count")
    drawn = task.for_test().instances(Random(f"{seed} test"))
    found_lines = held_out(drawn, lambda: task.lines(count, seed), wanted)
    lines = found_lines.lines
    if len(lines) < wanted:
        found = f"only {len(lines)} distinct instances" if lines else "no instances"
        problem = f"{found} of {task.name} turned up that are not among the {count} of {out}"
        if test_count is not None or not lines:
            own = [flag(each.name) for each in task.parameters() if each.name.startswith(TEST)]
            other = f", or the test file its own ({', '.join(own)})" if own else ""
            raise CorpusError(
                f"{problem}, not {wanted}: give a smaller --count or --test-count, other parameters{other}"
            )
        on_note(f"{test} has {len(lines)} lines: {problem}")
    return found_lines


def _refuse_existing(out: str | Path, *, overwrite: bool) -> None:
    """Check that a corpus may be written there: to stdout always."""
    if str(out) != STDOUT:
        refuse_packed(Path(out))
        refuse_existing(Path(out), overwrite=overwrite)


def _write(path: str | Path, chunks: Iterable[str]) -> int:
    """Write a text, to a file whole or not at all; returns its length in characters."""
    if str(path) == STDOUT:
        length = sum(map(sys.stdout.write, chunks))
        sys.stdout.flush()
        return length
    with (
        replacing(behind_links(Path(path))) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        return sum(map(file.write, chunks))
