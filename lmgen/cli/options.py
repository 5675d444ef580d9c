"""What commands share: the MODEL argument, flags made of settings, opening what they name."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast, get_args

import typer
from typer.models import OptionInfo

from lmgen.cli import completion, report
from lmgen.cli.threads import use_one_thread
from lmgen.errors import ConfigError, ModelError
from lmgen.settings import NONE, explanation, kind, takes_none

if TYPE_CHECKING:
    from lmgen.text_model import TextModel

Command = TypeVar("Command", bound=Callable[..., None])

_OPPOSITE = "opposite_of_"

_ABSENT = object()
"""What a flag's `none` is until `given` makes None of it, which stands for a flag that is not given."""

ModelArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="MODEL",
        help="A run folder or a model file; the newest run under checkpoints/ if left out.",
        show_default=False,
        autocompletion=completion.models,
    ),
]


def _be_quiet(quiet: bool) -> bool:
    report.QUIET = quiet
    return quiet


QuietOption = Annotated[
    bool, typer.Option("--quiet", help="No progress and no notes on stderr.", callback=_be_quiet)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def open_model(path: Path | None, *, threads: bool = True, for_texts: str | None = None) -> "TextModel":
    """
    Open the model that a command's MODEL means; the newest run is named on stderr.

    Args:
        path: MODEL.
        threads: whether the command multiplies matrices large enough to be worth the start of threads.
        for_texts: how the command is given a text, for somebody who seems to have given one as MODEL.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    if not threads:
        use_one_thread()
    from lmgen.text_model import TextModel

    try:
        opened = TextModel.load(path)
    except ModelError as error:
        if for_texts and path is not None and _may_be_text(path):
            raise ModelError(f"{error} ({for_texts})") from error
        raise
    if path is None:
        report.note(f"using the newest run, {opened.path.parent}")
    return opened


def is_model(argument: str) -> bool:
    """Whether it is a run folder (its training may not have got as far as a model) or a .safetensors file."""
    from lmgen.data.run_folder import MODEL_SUFFIX, RunFolder

    run = RunFolder(Path(argument))
    return argument.endswith(MODEL_SUFFIX) or exists(run.model) or exists(run.prepared)


def exists(path: Path) -> bool:
    """Whether there is such a file or folder, of whatever length the name."""
    try:
        return path.exists()
    except OSError:  # a name that is too long, such as a text where the name of one is expected
        return False


def _may_be_text(path: Path) -> bool:
    """Whether nothing is there, and it does not look like a path: it has blanks, or names no folder."""
    return not exists(path) and (len(str(path).split()) > 1 or path.name == str(path))


def settings_as_options(*configs: type) -> Callable[[Command], Command]:
    """
    Give a command a flag for each setting of the configurations, in place of its `**settings`.

    A flag that is not given arrives as None, so that the command knows which were (`given`): `--batch-size 8`
    is `settings["batch_size"] == 8`. A number that may be absent takes `none`. The help page shows the
    configuration's own default.
    """

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        flags = [_flag(config, field) for config in configs for field in fields(config)]
        command.__signature__ = signature.replace(parameters=[*own, *flags])  # type: ignore[attr-defined]
        return command

    return decorate


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """Only the settings whose flags were given; `none` is None from here on."""
    return {
        name: None if value is _ABSENT else value for name, value in settings.items() if value is not None
    }


def with_opposites(command: Command) -> Command:
    """
    Give each flag of a command that takes no value its opposite: `--no-tied` for `--tied`.

    So the command line wins over a preset or a file whatever they say. Help pages do not list the opposites.
    """
    signature = inspect.signature(command)
    flags = {
        parameter.name: flag for parameter in signature.parameters.values() if (flag := _switch(parameter))
    }
    opposites = [
        inspect.Parameter(
            _OPPOSITE + name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[bool, typer.Option(opposite(flag), hidden=True)],
        )
        for name, flag in flags.items()
    ]

    @wraps(command)
    def with_switches(**values: Any) -> None:
        with report.reported_errors():
            for name, flag in flags.items():
                if values.pop(_OPPOSITE + name):
                    if values[name]:
                        raise ConfigError(
                            f"{flag} and {opposite(flag)} contradict each other; give one of them"
                        )
                    values[name] = False
        command(**values)

    parameters = [*signature.parameters.values(), *opposites]
    with_switches.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return cast(Command, with_switches)


def opposite(flag: str) -> str:
    """`--tied` -> `--no-tied`, and the other way round."""
    return flag.replace("--no-", "--") if flag.startswith("--no-") else flag.replace("--", "--no-", 1)


def _switch(parameter: inspect.Parameter) -> str | None:
    """The flag that switches a parameter on, if it takes no value and no opposite has been given to it."""
    annotation, *metadata = get_args(parameter.annotation) or (parameter.annotation,)
    option = next((each for each in metadata if isinstance(each, OptionInfo)), None)
    if option is None or annotation not in (bool, bool | None):
        return None
    names = [option.default, *(option.param_decls or ())]  # typer takes the first name for a default
    flags = [name for name in names if isinstance(name, str) and name.startswith("--")]
    return flags[0] if len(flags) == 1 and "/" not in flags[0] else None


def _flag(config: type, field: Any) -> inspect.Parameter:
    """The flag of one setting, as a parameter that typer understands."""
    known = explanation(field)
    plain: Any = kind(config, field.name)[0]
    words = {word: word for word in known.words} | ({NONE: _ABSENT} if takes_none(config, field.name) else {})
    if known.choices:
        plain = Literal[tuple(known.choices)]
    flag = "--" + field.name.replace("_", "-")
    option = typer.Option(
        flag,
        **_number_or_word(plain, words, shown=[*known.words, *([NONE] if field.default is not None else [])]),
        help=known.help[0].upper() + known.help[1:] + _shown(field.default) + ".",
        show_default=False,
        rich_help_panel=config.__doc__.splitlines()[0].rstrip(".") if config.__doc__ else None,
    )
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[plain | None, option]
    )


def _number_or_word(plain: type, words: dict[str, Any], shown: list[str]) -> dict[str, Any]:
    """
    How typer reads a number in whose place some words may stand.

    Args:
        plain: int or float.
        words: the words, and what they mean.
        shown: those that the help page shows.
    """
    if not words:
        return {}
    kind = "a whole number" if plain is int else "a number"

    def number_or_word(text: str) -> Any:
        try:
            return words[text] if text in words else plain(text)
        except ValueError as error:
            raise typer.BadParameter(f"{text!r} is neither {kind} nor {' or '.join(words)}") from error

    return {"parser": number_or_word, "metavar": f"<{'|'.join([plain.__name__, *shown])}>"}


def _shown(default: object) -> str:
    """A default as the help page shows it; nothing where the explanation says what happens without one."""
    if default is None or default is MISSING or default is False:
        return ""
    return f" ({default})"
