"""Shared by commands: the MODEL argument, `--quiet` and `--json`, opening a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmgen.cli import completion, report
from lmgen.cli.flags import option
from lmgen.cli.threads import use_one_thread
from lmgen.errors import ModelError

if TYPE_CHECKING:
    from lmgen.text_model import TextModel

ModelArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="MODEL",
        help="A run folder or a model file (default: the newest run under checkpoints/).",
        show_default=False,
        autocompletion=completion.models,
    ),
]


def _be_quiet(quiet: bool) -> bool:
    report.QUIET = quiet
    return quiet


QuietOption = Annotated[
    bool, option("--quiet", "-q", help="No progress and no notes on stderr.", callback=_be_quiet)
]
JsonOption = Annotated[bool, option("--json", help="Print JSON on stdout.")]


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


def exists(path: Path) -> bool:
    """Whether a file or folder exists; False for a name that is too long for the system."""
    try:
        return path.exists()
    except OSError:  # the name is too long, such as a text in place of a path
        return False


def _may_be_text(path: Path) -> bool:
    """Whether a path that does not exist looks like a text: it contains spaces, or no folder."""
    return not exists(path) and (len(str(path).split()) > 1 or path.name == str(path))
