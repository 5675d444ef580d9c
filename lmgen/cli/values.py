"""
Convert numbers, paths and choices on the command line without typer's validation.

From 0.29 on, typer validates with pydantic, which takes as long to import as numpy. This module converts
almost all values itself, and leaves unusual and invalid ones, with their error messages, to typer. It relies
on undocumented internals of typer; in releases of typer that lack these, typer converts everything.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from typer.core import TyperArgument, TyperOption

NUMBERS: dict[type, str] = {int: "a whole number", float: "a number"}
"""What a value of each type is called in errors."""


def convert_plain_values() -> None:
    """Patch typer to convert the values of arguments and options with `plain` where possible."""
    for kind in (TyperArgument, TyperOption):
        _convert_plain_values(kind)


def plain(annotation: Any, value: Any, minimum: float | None = None, maximum: float | None = None) -> Any:
    """
    Convert a value from the command line to its annotation: str, int, float, Path, a choice, or a list.

    Raises:
        ValueError: the value is invalid, or the annotation is not supported.
    """
    if get_origin(annotation) is list:
        [kind] = get_args(annotation)
        return [plain(kind, each, minimum, maximum) for each in value]
    if annotation is str or annotation is Path:
        return annotation(value)
    if annotation is int or annotation is float:
        number = annotation(value)
        if (minimum is None or number >= minimum) and (maximum is None or number <= maximum):
            return number
    if get_origin(annotation) is Literal and value in get_args(annotation):
        return value
    raise ValueError(value)


def _convert_plain_values(kind: Any) -> None:
    if hasattr(kind, "get_runtime_param"):
        validation = kind.get_runtime_param
        kind.get_runtime_param = lambda param: _Conversion(partial(validation, param))


class _Conversion:
    """Replaces typer's conversion of a value; `validation` creates the original one as a fallback."""

    def __init__(self, validation: Callable[[], Any]) -> None:
        self._validation = validation

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Convert a value for the command's function."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        try:
            return plain(param.type_descriptor.annotation, value, param.min, param.max)
        except (ValueError, AttributeError):  # unsupported, or a version of typer with other internals
            _refuse_number(value, param, ctx)
            return self._validation().coerce(value, param=param, ctx=ctx)


def _refuse_number(value: Any, param: Any, ctx: Any) -> None:
    """Raise BadParameter in plain words for a number that is none, or out of its range."""
    descriptor = getattr(param, "type_descriptor", None)
    kind = getattr(descriptor, "annotation", None)
    has_parser = getattr(getattr(descriptor, "parameter_info", None), "parser", None)  # which takes words too
    if kind not in NUMBERS or has_parser or not isinstance(value, str):
        return
    try:
        number = float(value)
        wrong = kind is int and not number.is_integer()
    except ValueError:
        wrong = True
    if wrong:
        raise typer.BadParameter(f"{value!r} is not {NUMBERS[kind]}", ctx=ctx, param=param)
    if param.min is not None and number < param.min:
        raise typer.BadParameter(f"{value} has to be at least {param.min}", ctx=ctx, param=param)
    if param.max is not None and number > param.max:
        raise typer.BadParameter(f"{value} has to be at most {param.max}", ctx=ctx, param=param)
