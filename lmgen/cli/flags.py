"""
Flags: a flag is written once, as an `option(...)` of a command or as a `setting(...)` of a configuration.

Either says whether it is one of daily use, which `--help` shows; the others have a panel, which `--help-all`
shows. `with_flags` adds what all commands have.
"""

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import MISSING, fields
from functools import wraps
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import typer
from typer.models import OptionInfo

from lmgen.cli import report
from lmgen.cli.pages import print_page
from lmgen.errors import ConfigError
from lmgen.settings import NONE, Panel, explanation, flag, kind, takes_none

Command = TypeVar("Command", bound=Callable[..., None])

_OPPOSITE = "opposite_of_"
_HELP_ALL = "help_all"

LONGEST_CHOICES = 20
"""Characters of `a|b|c` beside a flag; more choices are listed in its help text."""

METAVARS = {int: "N", float: "X", str: "TEXT", Path: "FILE"}
"""What stands for a value of each type on help pages."""

_ABSENT = object()
"""Marker for a flag given as `none`, until `given` converts it to None; None marks a flag not given."""


def option(
    *flags: str,
    help: str,  # noqa: A002 - reads like a field
    by_default: str = "",
    panel: Panel | None = None,
    **others: Any,
) -> Any:
    """
    A flag of a command.

    Args:
        flags: its spellings, the long one first; none: that of the parameter.
        help: one or more sentences.
        by_default: what happens without it, if that is neither nothing nor the parameter's default.
        panel: its panel on the long help page; None: it is one of daily use, and on the short page.
        others: arguments of `typer.Option`.
    """
    return typer.Option(
        *flags, help=_with_default(help, by_default), show_default=False, rich_help_panel=panel, **others
    )


def settings_as_options(
    *configs: type, helps: Mapping[str, str] | None = None
) -> Callable[[Command], Command]:
    """
    Replace the `**settings` of a command by a flag for each setting of the configurations.

    Where several configurations have a setting of one name, it gets one flag. A configuration may have a
    PREFIX for all of its flags.

    `--batch-size 8` arrives as `settings["batch_size"] == 8`, and a flag that is not given as None; `given`
    removes the latter. Flags of optional numbers accept `none`. The help page shows the configuration's
    default.

    Args:
        configs: the configurations.
        helps: help texts by setting, where the command means something else than the configuration says.
    """

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        named: dict[str, tuple[type, Any]] = {}
        for config in configs:
            for field in fields(config):
                named.setdefault(getattr(config, "PREFIX", "") + field.name, (config, field))
        flags = [_flag(name, config, field, helps or {}) for name, (config, field) in named.items()]
        command.__signature__ = signature.replace(parameters=[*own, *flags])  # type: ignore[attr-defined]
        return command

    return decorate


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """Select the settings whose flags were given, and convert `none` to None."""
    return {
        name: None if value is _ABSENT else value for name, value in settings.items() if value is not None
    }


def with_flags(command: Command) -> Command:
    """
    Complete the flags of a command: defaults and values on its help page, opposites, `--help-all`.

    With the opposite of each flag that takes no value, `--no-tied` for `--tied`, the command line can
    override any preset or file. Help pages do not list the opposites.
    """
    signature = inspect.signature(command)
    own = [_described(parameter) for parameter in signature.parameters.values()]
    flags = {parameter.name: flag for parameter in own if (flag := _switch(parameter))}
    added = {_OPPOSITE + name: typer.Option(opposite(flag), hidden=True) for name, flag in flags.items()}
    more = [_keyword(name, Annotated[bool, added[name]]) for name in added]

    @wraps(command)
    def with_switches(**values: Any) -> None:
        del values[_HELP_ALL]
        with report.reported_errors():
            for name, flag in flags.items():
                if values.pop(_OPPOSITE + name):
                    if values[name]:
                        raise ConfigError(
                            f"{flag} and {opposite(flag)} contradict each other; give one of them"
                        )
                    values[name] = False
        command(**values)

    help_all = option("--help-all", help="Show all flags and exit.", callback=_show_all, is_eager=True)
    parameters = [*own, *more, _keyword(_HELP_ALL, Annotated[bool, help_all])]
    with_switches.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return cast(Command, with_switches)


def _keyword(name: str, annotation: Any) -> inspect.Parameter:
    """A flag that is off unless it is given."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)


def _described(parameter: inspect.Parameter) -> inspect.Parameter:
    """A parameter whose option says on help pages what values it takes and what its default is."""
    annotation, *metadata = get_args(parameter.annotation) or (parameter.annotation,)
    info = next((copy(each) for each in metadata if isinstance(each, OptionInfo)), None)
    if info is None:
        return parameter
    plain = next((part for part in _parts(annotation) if part is not type(None)), annotation)
    help_text = info.help or ""
    if info.metavar is None:
        choices = get_args(plain) if get_origin(plain) is Literal else ()
        listed = "|".join(choices)
        info.metavar = (
            (listed if len(listed) <= LONGEST_CHOICES else "NAME") if choices else METAVARS.get(plain)
        )
        if len(listed) > LONGEST_CHOICES:
            help_text = _with_choices(help_text, choices)
    info.help = _with_default(help_text, _shown(parameter.default))
    return parameter.replace(annotation=Annotated[annotation, info])


def _parts(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, and that of the values of a list."""
    if get_origin(annotation) in (UnionType, Union):
        return tuple(part for each in get_args(annotation) for part in _parts(each))
    return get_args(annotation) if get_origin(annotation) is list else (annotation,)


def _show_all(ctx: typer.Context, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        print_page(cast(Any, ctx.command), ctx, everything=True)
        raise typer.Exit


def opposite(flag: str) -> str:
    """Opposite of a flag: `--tied` -> `--no-tied`, `--no-echo` -> `--echo`."""
    return flag.replace("--no-", "--") if flag.startswith("--no-") else flag.replace("--", "--no-", 1)


def _switch(parameter: inspect.Parameter) -> str | None:
    """The flag of a boolean parameter that has no opposite yet; None for any other parameter."""
    annotation, *metadata = get_args(parameter.annotation) or (parameter.annotation,)
    option = next((each for each in metadata if isinstance(each, OptionInfo)), None)
    if option is None or annotation not in (bool, bool | None):
        return None
    names = [option.default, *(option.param_decls or ())]  # typer stores the first name as the default
    flags = [name for name in names if isinstance(name, str) and name.startswith("--")]
    return flags[0] if len(flags) == 1 and "/" not in flags[0] else None


def _flag(name: str, config: Any, field: Any, helps: Mapping[str, str]) -> inspect.Parameter:
    """Build the flag of a setting, as a parameter for typer."""
    known = explanation(field)
    plain: Any = kind(config, field.name)[0]
    words = {word: word for word in known.words} | ({NONE: _ABSENT} if takes_none(config, field.name) else {})
    shown_words = [word for word in words if word != NONE or field.default is not None]
    if known.choices:
        plain = Literal[tuple(known.choices)]
    info = option(
        flag(name),
        *([f"-{known.short}"] if known.short else []),
        help=helps.get(name, known.help),
        by_default=known.by_default or _shown(field.default),
        panel=None if known.daily else known.panel or config.PANEL,
        metavar="|".join([known.metavar or METAVARS[plain], *shown_words]) if plain in METAVARS else None,
        **_number_or_word(plain, words),
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[plain | None, info]
    )


def _number_or_word(plain: type, words: dict[str, Any]) -> dict[str, Any]:
    """
    Options for typer to parse a number or one of some words.

    Args:
        plain: int or float.
        words: values of the words.
    """
    if not words:
        return {}
    kind = "a whole number" if plain is int else "a number"

    def number_or_word(text: str) -> Any:
        try:
            return words[text] if text in words else plain(text)
        except ValueError as error:
            raise typer.BadParameter(f"{text!r} is neither {kind} nor {' or '.join(words)}") from error

    return {"parser": number_or_word}


def _shown(default: object) -> str:
    """Format a default for help pages; empty if there is none to show."""
    if default is None or default is MISSING or default is inspect.Parameter.empty or default is False:
        return ""
    return f"{default:g}" if isinstance(default, float) else f"{default}"


def _with_default(text: str, default: str) -> str:
    """Add a default to a help text that does not say it yet: `Length (default: 3).`"""
    return f"{text.removesuffix('.')} (default: {default})." if default and "(default" not in text else text


def _with_choices(text: str, choices: tuple[str, ...]) -> str:
    """Add the choices to a help text, before its default."""
    said, default, rest = text.partition(" (default: ")
    return f"{said.removesuffix('.')}. One of {', '.join(choices)}{default}{rest or '.'}"
