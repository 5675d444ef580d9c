"""Calls from Python: a misspelt argument is an error like any other, and errors say names as Python does."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from lmgen.errors import LmgenError
from lmgen.settings import refuse_unknown

P = ParamSpec("P")
R = TypeVar("R")

_FLAG = re.compile(r"(?<![\w-])--(no-)?([a-z]+(?:-[a-z]+)*)(?![\w-])")
_QUOTED = re.compile(r"(`[^`]*`|'[^']*'|\"[^\"]*\")")

_IN_PYTHON = {"from": "from_model", "resume": "lmgen.resume", "overwrite": "overwrite=True"}
"""What a flag is in Python where that is not its own name."""


def python_call(function: Callable[P, R]) -> Callable[P, R]:
    """
    A function whose errors are in Python's words; one for an argument that it does not have is a ConfigError.
    """
    code = function.__code__
    takes_any = code.co_flags & 0x08  # has **settings, which are checked where they are used
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

    @wraps(function)
    def call(*given: P.args, **named: P.kwargs) -> R:
        with in_python_words():
            if not takes_any:
                refuse_unknown(named, names, f"{function.__name__}()", f"known are {', '.join(names[1:])}")
            return function(*given, **named)

    return call


@contextmanager
def in_python_words() -> Iterator[None]:
    """Within the block, errors say `batch_size` for `--batch-size`; what a command prints stays as it is."""
    try:
        yield
    except LmgenError as error:
        error.at_the_shell = error.at_the_shell or str(error)
        error.args = (python_words(str(error)), *error.args[1:])
        raise


def python_words(message: str) -> str:
    """
    A message that names arguments as they are written in Python; what is quoted stays as it is.

    `"give --batch-size or leave --no-baseline out"` -> `"give batch_size or leave baseline=False out"`
    """
    parts = _QUOTED.split(message)
    parts[::2] = [_FLAG.sub(_in_python, part) for part in parts[::2]]
    return "".join(parts)


def _in_python(flag: re.Match[str]) -> str:
    name = flag[2].replace("-", "_")
    return f"{name}=False" if flag[1] else _IN_PYTHON.get(name, name)
