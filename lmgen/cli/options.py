"""Shared by commands: the MODEL argument, flags for output and for reading texts, opening a model."""

from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lmgen.cli import completion, report
from lmgen.cli.flags import option
from lmgen.cli.output import visible
from lmgen.cli.threads import use_one_thread
from lmgen.errors import ConfigError, ModelError
from lmgen.settings import Panel

if TYPE_CHECKING:
    from lmgen.label_model import LabelModel
    from lmgen.text_model import TextModel

_MODEL = typer.Argument(
    metavar="MODEL",
    help="A run folder or a model file (default: the newest run under checkpoints/).",
    show_default=False,
    autocompletion=completion.models,
)

ModelArgument = Annotated[Path | None, _MODEL]
ModelOrTextArgument = Annotated[str | None, _MODEL]
"""MODEL where texts may follow: without any, a single name may be that of a text (`model_and_texts`)."""


def _be_quiet(quiet: bool) -> bool:
    report.QUIET = quiet
    return quiet


QuietOption = Annotated[
    bool, option("--quiet", "-q", help="No progress and no notes on stderr.", callback=_be_quiet)
]
CacheOption = Annotated[
    bool,
    option(
        "--cache",
        help="Add a cache: what followed similar states becomes likelier.",
    ),
]
_DEVICE = "Where the network computes; cuda is a GPU."
DeviceOption = Annotated[Literal["cpu", "cuda"], option(help=_DEVICE)]
RareDeviceOption = Annotated[Literal["cpu", "cuda"], option(help=_DEVICE, panel=Panel.MACHINE)]
"""For a command with a long page, which alone has it."""
JsonOption = Annotated[bool, option("--json", help="Print JSON on stdout.")]
FieldOption = Annotated[
    str | None,
    option(
        help="The field that holds the text in CSV, TSV, JSON and JSON Lines; stdin is JSON Lines if it is "
        "given.",
        by_default="text",
        panel=Panel.TEXT,
        metavar="NAME",
    ),
]
EncodingOption = Annotated[
    str | None,
    option(
        help="The character encoding of the texts.",
        by_default="that of the model's training text",
        panel=Panel.TEXT,
        metavar="NAME",
    ),
]


def file_to_write(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    """Refuse `-` as the name of a file that a flag says to write."""
    from lmgen.files import refuse_stdout
    from lmgen.settings import flag

    with report.reported_errors():
        if path is not None:
            refuse_stdout(path, flag(parameter.name or "out"))
    return path


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
        _note_newest(opened.path)
    return opened


def open_labels(path: Path | None) -> "LabelModel":
    """
    Open the MODEL argument of a command for models that label texts; for the newest one, print its name.

    Raises:
        ModelError: there is no model, it cannot be read, or it is a language model.
    """
    from lmgen.label_model import LabelModel

    opened = LabelModel.load(path)
    if path is None:
        _note_newest(opened.path)
    return opened


def open_any(path: Path | None, *, threads: bool = False) -> "TextModel | LabelModel":
    """
    Open the MODEL argument of a command for language models and those that label texts.

    Args:
        path: MODEL; None: the newest run or model file.
        threads: as in `open_model`.

    Raises:
        ModelError: there is no model, or it cannot be read.
    """
    from lmgen.data.run_folder import find_model
    from lmgen.models.model_file import has_labels

    return open_labels(path) if has_labels(find_model(path)) else open_model(path, threads=threads)


def _note_newest(path: Path) -> None:
    """Say on stderr which model is used where none was given."""
    from lmgen.data.run_folder import named_by

    newest = named_by(path)
    report.note(f"using the newest {'model' if newest == path else 'run'}, {newest}")


def is_model(argument: str) -> bool:
    """Whether an argument is a model file or a run folder, even one without a model yet."""
    from lmgen.data.run_folder import RunFolder, is_model_file

    run = RunFolder(Path(argument))
    return is_model_file(run.folder) or exists(run.model) or exists(run.prepared)


def model_and_texts(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """
    Tell MODEL from TEXT: MODEL is the first argument if it is a run folder or a model file.

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
