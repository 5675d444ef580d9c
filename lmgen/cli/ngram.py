"""`lmgen ngram`: fit an n-gram model alone."""

import json as json_format
import sys
from math import exp
from pathlib import Path
from typing import Annotated, Any

import typer

from lmgen.cli.options import JsonOption, QuietOption, given, settings_as_options
from lmgen.cli.report import note, reported_errors
from lmgen.data.config import HeldOutConfig
from lmgen.tokenizers.config import TokenizerConfig


@settings_as_options(HeldOutConfig, TokenizerConfig)
def ngram(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CORPUS]...", help="As for `lmgen train`; none: python-docs.", show_default=False
        ),
    ] = None,
    order: Annotated[int, typer.Option(help="Tokens of an n-gram.", min=1)] = 5,
    out: Annotated[Path, typer.Option(help="The model file.")] = Path("ngram.safetensors"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file in --out.")] = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
    json: JsonOption = False,
    **settings: Any,
) -> None:
    """
    Fit an n-gram model: interpolated modified Kneser-Ney. It is a MODEL like any other.

    lmgen ngram book.txt --order 6 --out book-6.safetensors
    """
    with reported_errors():
        from lmgen.training.ngram import fit_ngram

        fitted = fit_ngram(corpus or [], order, out, overwrite=overwrite, tell=note, **given(settings))
        for line in fitted.notes:
            note(line)
        if json:
            sys.stdout.write(json_format.dumps(fitted.to_json()) + "\n")
        else:
            sys.stdout.write(
                f"{out}: {fitted.order}-gram, {sum(fitted.ngrams):,} n-grams; validation perplexity "
                f"{exp(fitted.valid_nats_per_token):.4g}\n"
            )
