"""`lmgen ngram`: fit an n-gram model, or read one from an ARPA file."""

import json as json_format
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmgen.cli import completion
from lmgen.cli.downloads import downloads_shown
from lmgen.cli.flags import given, option, settings_as_options
from lmgen.cli.options import JsonOption, QuietOption
from lmgen.cli.output import print_result
from lmgen.cli.progress import reading_shown
from lmgen.cli.report import note, reported_errors
from lmgen.data.config import HeldOutConfig
from lmgen.errors import ConfigError
from lmgen.interrupts import ending_signals, handled
from lmgen.settings import Panel
from lmgen.text.config import ReadingConfig
from lmgen.tokenizers.config import TokenizerConfig

if TYPE_CHECKING:
    from lmgen.runs.ngram import FittedNgram

ORDER = 5
"""Default of --order."""


VALID_HELP = (
    "Validation text, which the model is not fitted on: a file, or the fraction cut from the corpus's end, 0 "
    "for none (default: the corpus's own split, else none)."
)


@settings_as_options(ReadingConfig, HeldOutConfig, TokenizerConfig, helps={"valid": VALID_HELP})
def ngram(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS",
            help="Files, folders, - for stdin, or names from `lmgen corpus list` (default: python-docs).",
            show_default=False,
            autocompletion=completion.corpora_and_files,
        ),
    ] = None,
    order: Annotated[int | None, option(help="Tokens of an n-gram.", by_default=str(ORDER), min=1)] = None,
    prune: Annotated[
        str | None,
        option(
            help="Leave out n-grams that occur at most N times, one N for each of order 1, 2, ..., as lmplz "
            "--prune does; the first is 0, the last applies to all higher orders too.",
            panel=Panel.NGRAMS,
            metavar="N,N,...",
        ),
    ] = None,
    limit_vocab_file: Annotated[
        Path | None,
        option(
            help="Leave out n-grams with words that this file does not list, separated by white space, as "
            "lmplz --limit_vocab_file does; it is read as the text is (--encoding); with --tokenizer word.",
            panel=Panel.NGRAMS,
        ),
    ] = None,
    memory: Annotated[
        str | None,
        option(
            help="Memory that the command may have, such as 2G, 500M or 80%; n-grams that need more are "
            "counted on disk, beside --out, and a text is split into tokens by at most one process for each "
            "500 MB.",
            by_default="half of what is free",
            panel=Panel.NGRAMS,
            metavar="SIZE",
        ),
    ] = None,
    keep_tokens: Annotated[
        bool,
        option(
            "--keep-tokens",
            help="Keep the training tokens in the file, so that counts can grow: for `perplexity --adapt`.",
            panel=Panel.NGRAMS,
        ),
    ] = False,
    arpa: Annotated[
        Path | None,
        option(
            help="Fit nothing: read the model from an ARPA file (of KenLM, SRILM, IRSTLM or lmgen; .gz too)."
        ),
    ] = None,
    blank: Annotated[
        str | None,
        option(
            help="With --arpa, the file is a character model whose blank is this word, such as '|'.",
            by_default="found where it is clear",
            panel=Panel.NGRAMS,
            metavar="SPELLING",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        option("--out", "-o", help="The model file.", by_default="checkpoints/CORPUS-ngram.safetensors"),
    ] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace the file in --out.")] = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
    json: JsonOption = False,
    **settings: Any,
) -> None:
    """
    Fit an n-gram model: interpolated modified Kneser-Ney. It is a MODEL like any other.

    It is fitted on the whole corpus, unless --valid or --test holds text out or the corpus has a split.

    lmgen ngram book.txt --order 6 --out book-6.safetensors
    """
    with reported_errors(), downloads_shown(), reading_shown(), handled(ending_signals()):
        from lmgen.runs.ngram import convert_arpa, fit_ngram

        if arpa:
            fitting: dict[str, Any] = {"corpus": corpus, "order": order, "prune": prune, "memory": memory}
            fitting |= {"keep_tokens": keep_tokens or None, "limit_vocab_file": limit_vocab_file}
            _refuse_with_arpa({**settings, **fitting})
            fitted = convert_arpa(
                arpa, out, tokenizer=settings["tokenizer"], blank=blank, overwrite=overwrite
            )
        elif blank is not None:
            raise ConfigError("--blank says how the file of --arpa spells a blank; leave it out")
        else:
            fitted = fit_ngram(
                corpus or [],
                ORDER if order is None else order,
                out,
                prune=_thresholds(prune),
                limit_vocab_file=limit_vocab_file,
                memory=memory,
                keep_tokens=keep_tokens,
                overwrite=overwrite,
                on_note=note,
                **given(settings),
            )
        for line in fitted.notes:
            note(line)
        if json:
            print_result(json_format.dumps(fitted.to_json()) + "\n")
        else:
            print_result(_line(fitted) + "\n")


def _refuse_with_arpa(settings: dict[str, Any]) -> None:
    """Raise ConfigError for flags that do not apply to an ARPA file: all except --tokenizer."""
    wrong = [
        "CORPUS" if name == "corpus" else "--" + name.replace("_", "-")
        for name in given(settings)
        if name != "tokenizer"
    ]
    if wrong:
        raise ConfigError(f"--arpa reads a model as it is; leave out {', '.join(sorted(wrong))}")


def _thresholds(prune: str | None) -> list[int]:
    """Parse `"0,0,1"` to `[0, 0, 1]`; spaces are also separators, as for lmplz."""
    try:
        return [int(threshold) for threshold in (prune or "").replace(",", " ").split()]
    except ValueError as error:
        raise ConfigError(
            f"--prune is {prune!r}, but has to be numbers with commas, such as 0,0,1"
        ) from error


def _line(fitted: "FittedNgram") -> str:
    line = f"{fitted.model}: {fitted.order}-gram, {sum(fitted.ngrams):,} n-grams"
    if fitted.train_tokens is None:
        return line
    line += f" of {fitted.train_tokens:,} tokens"
    if fitted.valid_nats_per_token is None:
        return f"{line}; not validated (--valid holds text out)"
    return f"{line}; validation perplexity {exp(fitted.valid_nats_per_token):.4g}"
