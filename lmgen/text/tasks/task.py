"""
What a task is: parameters, instances drawn at random, one a line, and the best score that a model can reach.

A task is a frozen dataclass whose fields are its parameters, declared with `setting` as in a configuration.
All randomness comes from `Random.random` and `Random.getrandbits`, which give the same numbers for a seed on
every machine and in every version of Python.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import Field, dataclass, fields, replace
from itertools import islice
from random import Random
from typing import Any, ClassVar, Self, TypeVar

from lmgen.errors import ConfigError
from lmgen.settings import Explanation, Panel, check, explanation, flag, kind, setting, shown
from lmgen.text.best import BestScore
from lmgen.text.sources import Text

SPAN = "N-N"
"""The metavar of a parameter that is a number or a span of numbers: `10`, `1-10`."""

LARGEST = 100_000
"""The largest number in a span, if a parameter does not say another."""

TEST = "test_"
"""`test_length` is what `length` is in a test file."""

BLOCK = 1 << 16
"""Characters of a text that are yielded together."""

_SPAN = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a task, as `lmgen corpus show TASK --parameters` lists it."""

    name: str
    meaning: str
    default: Any
    range: str
    """Which values are valid, in words."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task with its parameters. A subclass is one task: its fields are the parameters."""

    PANEL: ClassVar[Panel] = Panel.TASKS

    name: ClassVar[str]
    description: ClassVar[str]
    source: ClassVar[str]
    """The paper or course that it is from."""

    mark: ClassVar[str | None] = None
    """What stands between question and answer, at its first place in a line; None if there is no answer."""

    is_stream: ClassVar[bool] = False
    """Whether its lines are pieces of one stream, so that a model should not read each afresh."""

    default_count: ClassVar[int] = 50_000
    """How many instances are made if nobody says how many."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if explanation(field).metavar == SPAN:
                object.__setattr__(self, field.name, _span_text(getattr(self, field.name)))
        check(self)
        for field in fields(self):
            value = getattr(self, field.name)
            if explanation(field).metavar == SPAN and value is not None:
                _check_span(field.name, value, explanation(field))

    def instance(self, random: Random) -> str:
        """Draw an instance, which has no line end."""
        raise NotImplementedError

    def instances(self, random: Random) -> Iterator[str]:
        """Draw instances without end. A task that keeps something from one to the next has its own way."""
        while True:
            yield self.instance(random)

    @property
    def best(self) -> BestScore:
        """The best possible score, derived in each task."""
        raise NotImplementedError

    def best_score(self) -> str:
        """The best possible score as shown to the user."""
        return str(self.best)

    def lines(self, count: int | None = None, seed: int = 0) -> Iterator[str]:
        """The first `count` instances drawn with a seed."""
        return islice(self.instances(Random(seed)), self.default_count if count is None else count)

    def text(self, count: int | None = None, seed: int = 0) -> Text:
        """The same as a text, an instance a line."""
        return Text(self.name, lambda: in_blocks(self.lines(count, seed)))

    def for_test(self) -> Self:
        """The task of the test file: where `test_length` is given, it is its `length`."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        changed = {
            name.removeprefix(TEST): value
            for name, value in given.items()
            if name.startswith(TEST) and value is not None
        }
        return replace(self, **changed)

    @classmethod
    def parameters(cls) -> list[Parameter]:
        """The parameters, with their defaults and ranges."""
        return [
            Parameter(field.name, explanation(field).help, field.default, _range(cls, field))
            for field in fields(cls)
        ]


def spans(default: str | None, help: str, least: int = 1, most: int = LARGEST) -> Any:  # noqa: A002 - a field
    """Declare a parameter that is a number or a span of numbers, each equally likely."""
    return setting(default, help, metavar=SPAN, minimum=least, maximum=most)


def span(value: str) -> range:
    """The numbers of a span: `"1-3"` -> `range(1, 4)`, `"7"` -> `range(7, 8)`; empty if it is none."""
    match = _SPAN.fullmatch(value)
    return range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)


def wrong(name: str, problem: str) -> ConfigError:
    """The error for a parameter: named as in Python and, at the shell, as a flag."""
    error = ConfigError(f"{name} {problem}")
    error.at_the_shell = f"{flag(name)} {problem}"
    return error


def below(random: Random, limit: int) -> int:
    """A whole number from 0 up to but not including `limit`, each equally likely."""
    return int(random.random() * limit)


def one_of(random: Random, values: Sequence[V]) -> V:
    """One of some values, each equally likely."""
    return values[int(random.random() * len(values))]


def drawn(random: Random, letters: str, length: int) -> str:
    """A string of letters drawn independently."""
    draw, count = random.random, len(letters)
    return "".join([letters[int(draw() * count)] for _ in range(length)])


def mean(values: Iterable[Any], of: Callable[[Any], float] = float) -> float:
    """The mean of equally likely values, or of a function of them."""
    numbers = [of(value) for value in values]
    return sum(numbers) / len(numbers)


def in_blocks(lines: Iterable[str]) -> Iterator[str]:
    """Lines, each ended by a line end, as a stream of blocks."""
    waiting: list[str] = []
    size = 0
    for line in lines:
        waiting += (line, "\n")
        size += len(line) + 1
        if size >= BLOCK:
            yield "".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield "".join(waiting)


def _span_text(value: Any) -> Any:
    """A span of Python, an int or a range, as it is written at the shell: `range(1, 11)` -> `"1-10"`."""
    if type(value) is int:
        return str(value)
    if isinstance(value, range) and value and value.step == 1:
        return f"{value[0]}-{value[-1]}"
    return value


def _check_span(name: str, value: str, known: Explanation) -> None:
    numbers, given = span(value), shown(value)
    if not numbers:
        advice = "a whole number, or two with the smaller first, such as 1-10"
        raise wrong(name, f"is {given}, but has to be {advice}")
    if known.minimum is not None and numbers[0] < known.minimum:
        raise wrong(name, f"is {given}, but has to be at least {known.minimum}")
    if known.maximum is not None and numbers[-1] > known.maximum:
        raise wrong(name, f"is {given}, but has to be at most {known.maximum}")


def _range(task: type, field: "Field[Any]") -> str:
    """`1 to 50`; `1 to 100,000, or a span such as 1-10`."""
    known = explanation(field)
    if kind(task, field.name)[0] is bool:
        return "on or off"
    numbers = f"{known.minimum:,} to {known.maximum:,}"
    return f"{numbers}, or a span such as 1-10" if known.metavar == SPAN else numbers
