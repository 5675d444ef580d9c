"""
Numbers, paths and choices on the command line, read without typer's validation.

From 0.29 on, typer validates with pydantic, which takes as long to import as numpy. Here is what nearly every
value needs; whatever is out of the ordinary, wrong values and their messages among them, is left to typer. It
rests on what typer does not document, so where a release of typer has none of that, typer does all of it.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.core import TyperArgument, TyperOption


def convert_plain_values() -> None:
    """Have the values of all arguments and options converted by `plain` where it can."""
    for kind in (TyperArgument, TyperOption):
        _convert_plain_values(kind)


def plain(annotation: Any, value: Any, minimum: float | None = None, maximum: float | None = None) -> Any:
    """
    A value from the command line as what its annotation says: str, int, float, Path, a choice, or a list.

    Raises:
        ValueError: it is something else, out of range or no choice.
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
    """How typer converts a value; `validation` gives its own way, for what `plain` does not take."""

    def __init__(self, validation: Callable[[], Any]) -> None:
        self._validation = validation

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value for the command's function."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        try:
            return plain(param.type_descriptor.annotation, value, param.min, param.max)
        except (ValueError, AttributeError):  # not plain, or a typer that says otherwise what a parameter is
            return self._validation().coerce(value, param=param, ctx=ctx)
