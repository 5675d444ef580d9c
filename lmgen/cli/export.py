"""`lmgen export`: a model in the format of other programs."""

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lmgen.cli.options import JsonOption, ModelArgument, QuietOption, open_model
from lmgen.cli.report import reported_errors
from lmgen.errors import ModelError

if TYPE_CHECKING:
    from lmgen.models.ngram import NgramModel
    from lmgen.text_model import TextModel


def export(
    out: Annotated[
        Path, typer.Option(help="The file to write; compressed if it ends in .gz.", show_default=False)
    ],
    model: ModelArgument = None,
    to: Annotated[Literal["arpa"], typer.Option(help="The format: ARPA, of n-gram models.")] = "arpa",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file in --out.")] = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
    json: JsonOption = False,
) -> None:
    """
    Write an n-gram model as an ARPA file, which KenLM, SRILM and IRSTLM read.

    lmgen export book-6.safetensors --to arpa --out book-6.arpa.gz
    """
    with reported_errors():
        from lmgen.models.arpa import write_arpa

        if out.exists() and not overwrite:
            raise ModelError(f"there is a file {out} already; replace it (--overwrite) or give another --out")
        opened = open_model(model)
        ngrams = write_arpa(out, _ngram_model(opened), opened.tokenizer)
        if json:
            exported = {"model": str(opened.path), "to": to, "out": str(out), "ngrams": list(ngrams)}
            sys.stdout.write(json_format.dumps(exported) + "\n")
        else:
            sys.stdout.write(f"{out}: {len(ngrams)}-gram, {sum(ngrams):,} n-grams\n")


def _ngram_model(opened: "TextModel") -> "NgramModel":
    """The model, if it has n-grams; else the error names the one that the run has beside it."""
    from lmgen.models.ngram import NgramModel

    if isinstance(opened.model, NgramModel):
        return opened.model
    beside = opened.run.ngram if opened.run else None
    advice = f"its n-gram baseline is {beside}" if beside and beside.exists() else "`lmgen ngram` makes one"
    raise ModelError(
        f"{opened.path} is a recurrent network, but an ARPA file holds an n-gram model; {advice}"
    )
