"""
Settings: each one defines its default, range and help text in a single place.

A configuration is a frozen dataclass of `setting(...)` fields. Command-line flags and the keys of
`config.toml` are derived from these fields, and `check` reports all invalid values in one error.
"""

import dataclasses
import operator
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_type_hints

from lmgen.errors import ConfigError

C = TypeVar("C")

LARGEST_COUNT = 10**12
"""Maximum for counts of tokens, streams or updates: a larger value is a typing error and may overflow."""

LONGEST_SHOWN = 80
"""Maximum length of a wrong value in an error message, in characters."""

LONGEST_NAME = 255
"""Characters that the name of a file may have on most systems."""

MOST_NAMED = 5
"""The most unknown names that an error lists."""

ELSEWHERE = {
    "lr": ["learning_rate"],
    "bptt": ["window_length"],
    "seq_len": ["window_length"],
    "seq_length": ["window_length"],
    "rnn_size": ["hidden_size"],
    "max_tokens": ["length"],
    "max_new_tokens": ["length"],
    "temp": ["temperature"],
    "n": ["order", "num"],
    "from": ["from_model"],
}
"""What settings are called elsewhere, `from` by `lmgen train`, that have quite another name here."""

NONE = "none"
"""Spelling of None in files and flags, because TOML has no null; for a text, "none" is an ordinary value."""


class Panel(StrEnum):
    """The panels of a long help page, in the order of the page."""

    TEXT = "Text and tokens"
    NGRAMS = "N-gram model"
    NETWORK = "Network"
    BUDGET = "Budget and evaluation"
    OPTIMISATION = "Optimisation"
    REGULARISATION = "Regularisation"
    SCORES = "Scores and baseline"
    RUN = "Start of a run"
    TASKS = "Parameters of tasks"
    MACHINE = "Output and machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Help text and valid values of a setting."""

    help: str
    by_default: str = ""
    """What happens without a value, for the help page, where the default does not say it itself."""
    daily: bool = False
    """Whether most people use it, so that the short help page shows it."""
    panel: Panel | None = None
    """Its panel on the long help page, if it is another than its configuration's `PANEL`."""
    short: str = ""
    """The letter of its short flag."""
    metavar: str = ""
    """What stands for the value on help pages, such as FILE."""
    choices: Collection[str] = ()
    words: tuple[str, ...] = ()
    """Words accepted in place of a number."""
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    below: float | None = None


def setting(default: Any, help: str, **limits: Any) -> Any:  # noqa: A002 - reads like a field
    """
    Declare a setting as a dataclass field; `limits` are the other fields of `Explanation`.

    `steps: int | None = setting(None, "stop after this number of steps", minimum=1)`
    """
    return dataclasses.field(default=default, metadata={"setting": Explanation(help=help, **limits)})


def explanation(field: "dataclasses.Field[Any]") -> Explanation:
    """The `Explanation` of a field declared with `setting`."""
    return field.metadata["setting"]  # type: ignore[no-any-return]


def kind(config: type, name: str) -> tuple[type, bool]:
    """
    Split a setting's type into a plain type and whether None is allowed: `int | None` -> `(int, True)`.

    Of several types in a union, the first is returned.
    """
    hint = _types(config)[name]
    if isinstance(hint, UnionType):
        plain = [part for part in get_args(hint) if part is not type(None)]
        return plain[0], True
    return hint, False


@cache
def _types(config: type) -> dict[str, Any]:
    """The types of all settings. Python evaluates every annotation anew each time it is asked for them."""
    return get_type_hints(config)


def takes_none(config: type, name: str) -> bool:
    """Whether the word `none` means None for a setting: if None is allowed and it is not a text."""
    plain, optional = kind(config, name)
    return optional and plain is not str


def check(config: Any, prefix: str = "") -> None:
    """
    Validate the type and range of every setting; call it in a dataclass's `__post_init__`.

    An int given for a float setting is converted, and so are NumPy's numbers.

    Args:
        config: an instance.
        prefix: what the names that users give have before those of the fields, as `cache_share` has.

    Raises:
        ConfigError: lists all invalid settings.
    """
    _convert_numbers(config)
    problems = {
        prefix + field.name: problem
        for field in dataclasses.fields(config)
        if (problem := _problem(type(config), field, getattr(config, field.name)))
    }
    if problems:
        error = ConfigError("; ".join(f"{name} {problem}" for name, problem in problems.items()))
        error.at_the_shell = "; ".join(f"{flag(name)} {problem}" for name, problem in problems.items())
        raise error


def from_mapping(config: type[C], values: Mapping[str, Any], where: str) -> C:
    """
    Build a configuration from the names and values of a file, with `none` for None.

    Raises:
        ConfigError: a name is unknown or a value is invalid; the message starts with `where`.
    """
    known = names_of(config)
    refuse_unknown(values, known, where, f"known are {', '.join(sorted(known))}")
    try:
        return config(**{name: _without_none(config, name, value) for name, value in values.items()})
    except ConfigError as error:
        wrong = ConfigError(f"{where}: {error}")
        wrong.at_the_shell = error.at_the_shell or str(error)  # files are named by those who read them
        raise wrong from error


def flag(name: str) -> str:
    """A setting as it is typed at the shell: `hidden_size` -> `--hidden-size`."""
    return "--" + name.replace("_", "-")


def names_of(*configs: type) -> frozenset[str]:
    """The names of the settings of some configurations."""
    return frozenset(field.name for config in configs for field in dataclasses.fields(config))


def refuse_unknown(
    given: Iterable[str], known: Collection[str], where: str, advice: str = "", beside: Iterable[str] = ()
) -> None:
    """
    Refuse names that no setting has.

    Args:
        given: names of settings.
        known: the names that there are.
        where: where they were given, for the message; empty if that is plain.
        advice: what else the message says to do; where all names are like known ones, it need not say it.
        beside: names that are no settings, but may be meant, too.

    Raises:
        ConfigError: some are unknown; of those it says which known ones are spelled alike.
    """
    unknown = sorted(set(given) - set(known))
    if not unknown:
        return
    near = [likeliest(name, [*known, *beside]) for name in unknown]
    advice = f"; {advice}" if advice and not all(near) else ""
    listed = ", ".join(shown(name)[1:-1] for name in unknown[:MOST_NAMED])
    more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
    raise ConfigError(
        f"{where}{': ' if where else ''}unknown settings {listed}{more}{did_you_mean(*near)}{advice}"
    )


def did_you_mean(*near: str | None) -> str:
    """What an error adds to a misspelt name: the names that may be meant, or nothing if there are none."""
    return f" (did you mean {', '.join(filter(None, near))}?)" if any(near) else ""


def likeliest(name: str, known: Collection[str]) -> str | None:
    """The known name that is spelled most like another, or that means what it means elsewhere."""
    for meant in ELSEWHERE.get(name.lower(), ()):
        if meant in known:
            return meant
    from difflib import get_close_matches

    near = get_close_matches(name.lower().replace("-", "_"), known, n=1)
    return near[0] if near else None


def to_mapping(config: Any, *, complete: bool = False) -> dict[str, Any]:
    """
    Convert a configuration to a mapping for a file, from which `from_mapping` rebuilds it.

    Args:
        config: configuration to convert.
        complete: write every None as `none`, so that the file does not depend on defaults that may change;
            otherwise omit None where it is the default.
    """
    values = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value is not None:
            values[field.name] = value
        elif takes_none(type(config), field.name) and (complete or field.default is not None):
            values[field.name] = NONE
    return values


def _without_none(config: type, name: str, value: object) -> object:
    return None if value == NONE and takes_none(config, name) else value


def of_python(value: Any) -> Any:
    """A number or str of NumPy as the same of Python; anything else as it is."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    return value


def whole_number(value: Any, name: str, minimum: int = 1) -> int:
    """
    Check an argument that has to be a whole number.

    Raises:
        ConfigError: it is something else, or too small.
    """
    number = of_python(value)
    if type(number) is not int:
        raise ConfigError(f"{name} is {shown(value)}, but has to be a whole number")
    if number < minimum:
        raise ConfigError(f"{name} is {shown(number)}, but has to be at least {minimum}")
    return number


def shown(value: object) -> str:
    """Format a wrong value for an error message: its `repr`, truncated if long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python does not print integers of more than 4,300 digits
        return f"too large a {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."


def shown_path(name: object) -> str:
    """
    Name a path in an error message, which has one line.

    A text in its place, which is long and has blanks, is cut in the middle.
    """
    path = str(name).replace("\r", "\\r").replace("\n", "\\n")
    is_path = len(path) <= LONGEST_SHOWN or (len(path) <= LONGEST_NAME and not any(map(str.isspace, path)))
    return path if is_path else f"{path[: LONGEST_SHOWN // 2]}...{path[-LONGEST_SHOWN // 2 :]}"


def _convert_numbers(config: Any) -> None:
    """
    Convert numbers of NumPy to those of Python.

    Where the setting is a float, convert ints too, unless they are too large for one.
    """
    for field in dataclasses.fields(config):
        given = getattr(config, field.name)
        value = of_python(given)
        if value is not given:
            object.__setattr__(config, field.name, value)
        if type(value) is int and kind(type(config), field.name)[0] is float:
            with suppress(OverflowError):
                object.__setattr__(config, field.name, float(value))


def _problem(config: type, field: "dataclasses.Field[Any]", value: object) -> str | None:
    """Describe what is wrong with the value of one setting, without its name; None if it is valid."""
    plain, optional = kind(config, field.name)
    known = explanation(field)
    if value is None:
        return None if optional else "is missing"
    if isinstance(value, str) and value in known.words:
        return None
    if type(value) is not plain:
        words = "".join(f" or {word!r}" for word in known.words)
        return f"is {shown(value)}, but has to be of type {plain.__name__}{words}"
    if known.choices and value not in known.choices:
        return f"is {shown(value)}, but has to be one of {', '.join(known.choices)}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _out_of_range(value, known)
    return None


def _out_of_range(value: float, known: Explanation) -> str | None:
    """Describe how a number is out of range, or return None; NaN is always out of range."""
    limits = (
        (known.minimum, "at least", operator.ge),
        (known.above, "above", operator.gt),
        (known.maximum, "at most", operator.le),
        (known.below, "below", operator.lt),
    )
    for limit, words, holds in limits:
        if limit is not None and not holds(value, limit):
            return f"is {shown(value)}, but has to be {words} {limit}"
    return None
