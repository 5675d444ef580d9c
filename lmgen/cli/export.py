"""`lmgen export`: a model in the format of other programs, or smaller."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmgen.cli.options import JsonOption, ModelArgument, QuietOption, open_model
from lmgen.cli.output import print_result, visible
from lmgen.cli.report import note, reported_errors
from lmgen.errors import ConfigError, ModelError
from lmgen.files import refuse_existing

if TYPE_CHECKING:
    from lmgen.models.ngram.model import NgramModel
    from lmgen.text.sources import Text
    from lmgen.text_model import TextModel

SCORED_CHARACTERS = 500_000
"""How much of a text both models are scored on: as many as training's evaluations are of characters."""


def export(
    out: Annotated[
        Path,
        typer.Option(
            help="The file to write; an ARPA file is compressed if it ends in .gz.", show_default=False
        ),
    ],
    model: ModelArgument = None,
    to: Annotated[
        Literal["arpa", "float16", "int8"],
        typer.Option(help="ARPA, of n-gram models; or the type of a network's weights: 2 bytes each, or 1."),
    ] = "arpa",
    text: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The text to try compressed weights on, its first 500,000 characters (the run's own "
            "held-out text).",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file in --out.")] = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
    json: JsonOption = False,
) -> None:
    """
    Write an n-gram model as an ARPA file, which KenLM, SRILM and IRSTLM read; or a network in a smaller file.

    lmgen export book-6.safetensors --to arpa --out book-6.arpa.gz

    lmgen export checkpoints/book --to int8 --out book-int8.safetensors
    """
    with reported_errors():
        if to == "arpa" and text is not None:
            raise ConfigError("--text goes with --to float16 or int8; leave it out, or give --to")
        refuse_existing(out, overwrite=overwrite)
        opened = open_model(model)
        if to == "arpa":
            result, lines = _export_arpa(opened, out)
        else:
            result, lines = _export_compressed(opened, out, to, text)
        if json:
            lines = [json_format.dumps({"model": str(opened.path), "to": to, "out": str(out), **result})]
        print_result("\n".join(lines) + "\n")


def _export_arpa(opened: "TextModel", out: Path) -> tuple[dict[str, Any], list[str]]:
    """Write an ARPA file; what it holds, as JSON values and in words."""
    from lmgen.models.ngram.arpa import write_arpa

    ngrams = write_arpa(out, _ngram_model(opened), opened.tokenizer)
    return {"ngrams": list(ngrams)}, [f"{out}: {len(ngrams)}-gram, {sum(ngrams):,} n-grams"]


def _ngram_model(opened: "TextModel") -> "NgramModel":
    """The model, if it has n-grams; else the error names the one that the run has beside it."""
    from lmgen.models.ngram.model import NgramModel

    if isinstance(opened.model, NgramModel):
        return opened.model
    beside = opened.run.ngram if opened.run else None
    advice = f"its n-gram baseline is {beside}" if beside and beside.exists() else "`lmgen ngram` makes one"
    raise ModelError(
        f"{opened.path} is a recurrent network, but an ARPA file holds an n-gram model; {advice}"
    )


def _export_compressed(
    opened: "TextModel", out: Path, to: Literal["float16", "int8"], name: str | None
) -> tuple[dict[str, Any], list[str]]:
    """Write the network with smaller weights; what that gains and costs, as JSON values and in words."""
    text = _scored_text(opened, name)
    before = opened.path.stat().st_size
    exported = opened.export(out, to=to, overwrite=True)
    after = exported.path.stat().st_size
    sizes = {"bytes_before": before, "bytes_after": after, "ratio": before / after}
    lines = [
        f"{out}: weights {opened.weights} -> {to}",
        f"bytes               {before:,} -> {after:,} (a ratio of {before / after:.2f})",
    ]
    if text is None:
        note("to see what the smaller weights cost, name a text: --text FILE")
        return sizes, lines
    change = _change(opened, exported, text)
    return {**sizes, **change}, [*lines, _change_line(change)]


def _scored_text(opened: "TextModel", name: str | None) -> "Text | None":
    """The text of that name, or the run's own held-out text; None where there is neither."""
    from lmgen.text.sources import open_text

    if name is None and opened.run is not None:
        held_out = [file for file in (opened.run.test_text, opened.run.valid_text) if file.exists()]
        name = str(held_out[0]) if held_out else None
    if name is None:
        return None
    text = open_text(name, errors=opened.tokenizer.reading_errors, once=True)
    for told in text.notes:
        note(told)
    return text.part(0, SCORED_CHARACTERS)


def _change(opened: "TextModel", exported: "TextModel", text: "Text") -> dict[str, Any]:
    """What the two models make of the beginning of a text."""
    from lmgen.evaluation.perplexity import compare_models

    before, after = compare_models([opened.model, exported.model], opened.tokenizer, text.chunks(), text.name)
    if before.note:
        note(before.note)
    change: dict[str, Any] = {"text": text.name, "tokens": before.tokens, "characters": before.characters}
    for figure in ("nats_per_token", "bits_per_character"):
        one, other = getattr(before, figure), getattr(after, figure)
        change |= {f"{figure}_before": one, f"{figure}_after": other}
        change[f"{figure}_change"] = None if one is None else other - one
    return change


def _change_line(change: dict[str, Any]) -> str:
    """In bits per character, or in nats per token where tokens are unknown to the vocabulary."""
    figure = "nats_per_token" if change["bits_per_character_change"] is None else "bits_per_character"
    before, after, difference = (change[f"{figure}_{what}"] for what in ("before", "after", "change"))
    which = "first " if change["characters"] == SCORED_CHARACTERS else ""
    return (
        f"{figure.replace('_', ' '):<20}{before:.5f} -> {after:.5f} ({difference:+.5f}), "
        f"on the {which}{change['characters']:,} characters of {visible(change['text'])}"
    )
