"""
A setting is written once: its default, its range and the line that explains it.

A configuration is a frozen dataclass of `setting(...)` fields. The command line makes its flags of them,
`config.toml` its keys, and `check` its one error that lists every problem.
"""

import dataclasses
import operator
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_type_hints

from lmgen.errors import ConfigError

C = TypeVar("C")

LARGEST_COUNT = 10**12
"""Of tokens, streams or updates: more is a slip, and numpy could not count much further."""

LONGEST_SHOWN = 80
"""Characters of a wrong value that an error message quotes."""
NONE = "none"
"""How files and flags spell None, for which TOML has no word; but `valid = "none"` names a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is known of a setting besides its name, type and default."""

    help: str
    choices: Collection[str] = ()
    words: tuple[str, ...] = ()
    """What may stand in place of a number."""
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    below: float | None = None


def setting(default: Any, help: str, **limits: Any) -> Any:  # noqa: A002 - reads like a field
    """
    A dataclass field that knows its explanation; the limits are those of `Explanation`.

    `steps: int | None = setting(None, "stop after so many steps", minimum=1)`
    """
    return dataclasses.field(default=default, metadata={"setting": Explanation(help=help, **limits)})


def explanation(field: "dataclasses.Field[Any]") -> Explanation:
    """What `setting` noted about a field."""
    return field.metadata["setting"]  # type: ignore[no-any-return]


def kind(config: type, name: str) -> tuple[type, bool]:
    """
    The plain type of a setting and whether it may be absent: `int | None` -> `(int, True)`; the first one
    where there are several.
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
    """Whether `none` stands for None in a setting: it may be absent, and is no text."""
    plain, optional = kind(config, name)
    return optional and plain is not str


def check(config: Any) -> None:
    """
    Check every setting's type and range; meant for a dataclass's `__post_init__`.

    A whole number in the place of a float becomes one.

    Raises:
        ConfigError: lists all settings that are wrong.
    """
    _make_floats(config)
    problems = [
        problem
        for field in dataclasses.fields(config)
        if (problem := _problem(type(config), field, getattr(config, field.name)))
    ]
    if problems:
        raise ConfigError("; ".join(problems))


def from_mapping(config: type[C], values: Mapping[str, Any], where: str) -> C:
    """
    Build a configuration from names and values read from a file, where `none` is None.

    Raises:
        ConfigError: a name is unknown or a value is wrong; `where` says in which file.
    """
    known = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(
            f"{where}: unknown settings {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    try:
        return config(**{name: _without_none(config, name, value) for name, value in values.items()})
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def to_mapping(config: Any, *, complete: bool = False) -> dict[str, Any]:
    """
    The settings by name, as a file keeps them: `from_mapping` makes the same configuration of them.

    Args:
        config: a configuration.
        complete: write `none` for every None, so that nothing depends on defaults that may change; otherwise
            only where the default is something else.
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


def shown(value: object) -> str:
    """A wrong value as an error message quotes it: `repr`, cut off where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python writes out no number of more than 4,300 digits
        return f"too large a {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."


def _make_floats(config: Any) -> None:
    """Replace whole numbers by floats where a setting is one; those beyond all floats are left."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if type(value) is int and kind(type(config), field.name)[0] is float:
            with suppress(OverflowError):
                object.__setattr__(config, field.name, float(value))


def _problem(config: type, field: "dataclasses.Field[Any]", value: object) -> str | None:
    """What is wrong with one setting's value, or None."""
    plain, optional = kind(config, field.name)
    name = field.name
    known = explanation(field)
    if value is None:
        return None if optional else f"{name} is missing"
    if isinstance(value, str) and value in known.words:
        return None
    if type(value) is not plain:
        words = "".join(f" or {word!r}" for word in known.words)
        return f"{name} is {shown(value)}, but has to be of type {plain.__name__}{words}"
    if known.choices and value not in known.choices:
        return f"{name} is {shown(value)}, but has to be one of {', '.join(known.choices)}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _out_of_range(name, value, known)
    return None


def _out_of_range(name: str, value: float, known: Explanation) -> str | None:
    """What is wrong with a number's size, or None; a NaN is never in range."""
    limits = (
        (known.minimum, "at least", operator.ge),
        (known.above, "above", operator.gt),
        (known.maximum, "at most", operator.le),
        (known.below, "below", operator.lt),
    )
    for limit, words, holds in limits:
        if limit is not None and not holds(value, limit):
            return f"{name} is {shown(value)}, but has to be {words} {limit}"
    return None
