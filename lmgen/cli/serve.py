"""`lmgen serve`: an HTTP server for models, with OpenAI's API for completions and a page to play with."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lmgen.cli import completion, report
from lmgen.cli.flags import given, option, settings_as_options
from lmgen.cli.options import QuietOption, open_model
from lmgen.serving.config import ServingConfig


@settings_as_options(ServingConfig)
def serve(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL",
            help="Run folders or model files (default: the newest run under checkpoints/).",
            show_default=False,
            autocompletion=completion.models,
        ),
    ] = None,
    mix: Annotated[bool, option("--mix", help="Mix each model with the n-gram baseline of its run.")] = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
    **settings: Any,
) -> None:
    """
    Serve models over HTTP, to programs and to a page in the browser.

    The page is at /; programs ask as they ask OpenAI: /v1/models and /v1/completions. /tokenize, /detokenize
    and /tokenizer_info tell of a model's tokens. Clients ask for a model by the name of its folder or file.

    Ctrl-C and SIGTERM let requests under way finish.

    lmgen serve checkpoints/demo --port 8000
    """
    with report.reported_errors():
        from lmgen.data.run_folder import named_by
        from lmgen.serving import serve as run

        opened = [open_model(each) for each in models] if models else [open_model(None)]
        names = ", ".join(str(named_by(each.path)) for each in opened)
        run(
            *opened,
            mix=mix,
            on_ready=lambda url: report.note(f"serving {names} at {url} (Ctrl-C ends it)"),
            on_bug=report.report_unexpected,
            **given(settings),
        )
