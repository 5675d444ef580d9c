"""`lmgen export`: write a model as an ARPA file, or with compressed weights."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from lmgen.cli.flags import option
from lmgen.cli.options import JsonOption, ModelArgument, QuietOption, file_name, open_any
from lmgen.cli.output import counted, print_result, visible
from lmgen.cli.report import note, reported_errors
from lmgen.files import refuse_existing

if TYPE_CHECKING:
    from lmgen.evaluation.exporting import ExportedLabels, ExportedNgrams, ExportedWeights


def export(
    out: Annotated[
        Path,
        option("--out", "-o", help="The file to write; an ARPA file is compressed if it ends in .gz."),
    ],
    model: ModelArgument = None,
    to: Annotated[
        Literal["arpa", "float16", "int8"] | None,
        option(
            help="ARPA, of n-gram models; or the type of a network's weights: 2 bytes each, or 1.",
            by_default="arpa for an n-gram model and a file called .arpa or .arpa.gz, else int8",
        ),
    ] = None,
    text: Annotated[
        str | None,
        option(
            help="The text to try compressed weights on, its first 500,000 characters.",
            by_default="the run's own held-out text",
            metavar="FILE",
        ),
    ] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace the file in --out.")] = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
    json: JsonOption = False,
) -> None:
    """
    Write an n-gram model as an ARPA file, which KenLM, SRILM and IRSTLM read; or a network in a smaller file.

    A network that labels texts is scored on a labelled text.

    lmgen export book-6.safetensors --out book-6.arpa.gz

    lmgen export checkpoints/book --to int8 --out book-int8.safetensors
    """
    with reported_errors():
        from lmgen.evaluation.exporting import ExportedLabels, ExportedNgrams

        refuse_existing(out, overwrite=overwrite)
        opened = open_any(model, threads=True)
        exported = opened.export(
            out,
            to=to,
            text=text and file_name(text),
            overwrite=overwrite,
            on_note=note,
        )
        result = exported.to_json()
        if not isinstance(exported, ExportedNgrams) and exported.scores is None:
            labelled = "labelled " if isinstance(exported, ExportedLabels) else ""
            note(f"to see what the smaller weights cost, name a {labelled}text: --text FILE")
        lines = [json_format.dumps(result)] if json else _lines(exported, opened.weights)
        print_result("\n".join(lines) + "\n")


def _lines(exported: "ExportedNgrams | ExportedLabels | ExportedWeights", weights: str) -> list[str]:
    """Describe the exported file; `weights` is the storage type of the original."""
    from lmgen.evaluation.exporting import ExportedLabels, ExportedNgrams

    out = exported.out
    if isinstance(exported, ExportedNgrams):
        return [f"{out}: {len(exported.ngrams)}-gram, {counted(sum(exported.ngrams), 'n-gram')}"]
    sizes = f"{exported.bytes_before:,} -> {exported.bytes_after:,} (a ratio of {exported.ratio:.2f})"
    lines = [f"{out}: weights {weights} -> {exported.to}", f"bytes               {sizes}"]
    if not exported.scores:
        return lines
    change = _right_line(exported) if isinstance(exported, ExportedLabels) else _change_line(exported)
    return [*lines, change]


def _right_line(exported: "ExportedLabels") -> str:
    """Report the change in the share of right labels."""
    assert exported.scores is not None
    before, after = exported.scores
    labels = counted(before.instances, "label")
    return f"{'labels right':<20}{before.accuracy:.2%} -> {after.accuracy:.2%}, of {labels}"


def _change_line(exported: "ExportedWeights") -> str:
    """Report the change in bits per character, or in nats per token if the text has unknown tokens."""
    from lmgen.evaluation.exporting import SCORED_CHARACTERS

    assert exported.scores is not None
    scored = exported.scores[0]
    figure = "bits_per_character" if exported.change("bits_per_character") else "nats_per_token"
    before, after, difference = exported.change(figure) or (0.0, 0.0, 0.0)
    which = "first " if scored.characters == SCORED_CHARACTERS else ""
    return (
        f"{figure.replace('_', ' '):<20}{before:.5f} -> {after:.5f} ({difference:+.5f}), "
        f"on the {which}{counted(scored.characters, 'character')} of {visible(scored.text)}"
    )
