"""Shared by commands: the MODEL argument, flags derived from settings, `--no-` forms, opening a model."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import wraps
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast, get_args

import typer
from typer.models import OptionInfo

from lmgen.cli import completion, report
from lmgen.cli.output import visible
from lmgen.cli.threads import use_one_thread
from lmgen.errors import ConfigError, ModelError
from lmgen.settings import NONE, explanation, kind, takes_none

if TYPE_CHECKING:
    from lmgen.text_model import TextModel

Command = TypeVar("Command", bound=Callable[..., None])

_OPPOSITE = "opposite_of_"

_ABSENT = object()
"""Marker for a flag given as `none`, until `given` converts it to None; None marks a flag not given."""

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


def file_name(name: str) -> str | Path:
    """A name as it is given at the shell, where it is never a text itself, even with a line end in it."""
    from lmgen.text.given import is_text

    return Path(name) if is_text(name) else name


def open_model(path: Path | None, *, threads: bool = True, for_texts: str | None = None) -> "TextModel":
    """
    Open the MODEL argument of a command; for the newest one, print its name on stderr.

    Args:
        path: MODEL; None: the newest run or model file.
        threads: whether the command's matrix products are large enough to justify starting threads.
        for_texts: advice on how to pass a text, for the error if MODEL looks like one.

    Raises:
        ModelError: there is no model, or it cannot be read.
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
        from lmgen.data.run_folder import named_by

        newest = named_by(opened.path)
        report.note(f"using the newest {'model' if newest == opened.path else 'run'}, {newest}")
    return opened


def is_model(argument: str) -> bool:
    """Whether an argument is a .safetensors file or a run folder, even one without a model yet."""
    from lmgen.data.run_folder import MODEL_SUFFIX, RunFolder

    run = RunFolder(Path(argument))
    return argument.endswith(MODEL_SUFFIX) or exists(run.model) or exists(run.prepared)


def model_and_texts(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """
    Tell MODEL from TEXT: MODEL is the first argument if it is a run folder or a .safetensors file.

    Raises:
        ModelError: the first argument is neither a model nor a text.
        ConfigError: a model stands where a text is expected.
    """
    if not arguments:
        return None, []
    first, *others = arguments
    model = Path(first) if is_model(first) else None
    texts = arguments if model is None else others
    if model is None and first != "-" and not exists(Path(first)):
        from lmgen.data.run_folder import suggested_run

        advice = suggested_run(Path(first))
        raise ModelError(f"there is no run, model file or text {visible(first)}; {advice}")
    for text in texts:
        if is_model(text):
            raise ConfigError(f"{text} is a model, not a text; give one MODEL, before the texts")
    return model, texts


def models_and_text(arguments: list[str], most: int) -> tuple[list[Path], str | None]:
    """
    Tell one or several MODELs from a TEXT that may follow.

    Args:
        arguments: what was given.
        most: how many models there may be.

    Raises:
        ModelError: the first argument is neither a model nor a text.
        ConfigError: there are more models or texts.
    """
    models = list(takewhile(is_model, arguments))
    _, texts = model_and_texts(arguments[len(models) - 1 :] if models else arguments)
    if len(models) > most or len(texts) > 1:
        what = "one MODEL" if most == 1 else "models"
        raise ConfigError(f"give {what} and at most one TEXT, not {' '.join(map(visible, arguments))}")
    return list(map(Path, models)), texts[0] if texts else None


def exists(path: Path) -> bool:
    """Whether a file or folder exists; False for a name that is too long for the system."""
    try:
        return path.exists()
    except OSError:  # the name is too long, such as a text in place of a path
        return False


def _may_be_text(path: Path) -> bool:
    """Whether a path that does not exist looks like a text: it contains spaces, or no folder."""
    return not exists(path) and (len(str(path).split()) > 1 or path.name == str(path))


def settings_as_options(
    *configs: type, helps: Mapping[str, str] | None = None
) -> Callable[[Command], Command]:
    """
    Replace the `**settings` of a command by a flag for each setting of the configurations.

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
        flags = [_flag(config, field, helps or {}) for config in configs for field in fields(config)]
        command.__signature__ = signature.replace(parameters=[*own, *flags])  # type: ignore[attr-defined]
        return command

    return decorate


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """Select the settings whose flags were given, and convert `none` to None."""
    return {
        name: None if value is _ABSENT else value for name, value in settings.items() if value is not None
    }


def with_opposites(command: Command) -> Command:
    """
    Add the opposite of each boolean flag of a command: `--no-tied` for `--tied`.

    With it, the command line can override any preset or file. Help pages do not list the opposites.
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


def _flag(config: type, field: Any, helps: Mapping[str, str]) -> inspect.Parameter:
    """Build the flag of a setting, as a parameter for typer."""
    known = explanation(field)
    text = helps.get(field.name, known.help)
    plain: Any = kind(config, field.name)[0]
    words = {word: word for word in known.words} | ({NONE: _ABSENT} if takes_none(config, field.name) else {})
    if known.choices:
        plain = Literal[tuple(known.choices)]
    flag = "--" + field.name.replace("_", "-")
    option = typer.Option(
        flag,
        **_number_or_word(plain, words, shown=[*known.words, *([NONE] if field.default is not None else [])]),
        help=text[0].upper() + text[1:] + _shown(field.default) + ".",
        show_default=False,
        rich_help_panel=config.__doc__.splitlines()[0].rstrip(".") if config.__doc__ else None,
    )
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[plain | None, option]
    )


def _number_or_word(plain: type, words: dict[str, Any], shown: list[str]) -> dict[str, Any]:
    """
    Options for typer to parse a number or one of some words.

    Args:
        plain: int or float.
        words: values of the words.
        shown: words that the help page shows.
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
    """Format a default for the help page; empty if the help text explains what happens without a value."""
    if default is None or default is MISSING or default is False:
        return ""
    return f" ({default})"
