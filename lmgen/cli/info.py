"""`lmgen info`: describe a model and count its parameters."""

import json as json_format
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

from lmgen.cli.flags import option
from lmgen.cli.options import JsonOption, ModelArgument, QuietOption, open_any
from lmgen.cli.output import json_line, print_result, visible
from lmgen.cli.report import reported_errors
from lmgen.cli.tables import Column, table
from lmgen.errors import ConfigError

PARAMETER_COLUMNS = (
    Column("trainable parameters"),
    Column("in letters"),
    Column("in numbers"),
    Column("count", is_number=True),
)

CellsOption = Annotated[
    bool, option("--cells", help="Show every recurrent cell instead: its equations and parameters.")
]


def info(
    model: ModelArgument = None,
    cells: CellsOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """
    Show what a model is: tokenizer, sizes, trainable parameters layer by layer, training.
    """
    with reported_errors():
        if cells:
            if model is not None:
                raise ConfigError(f"--cells is about all cells there are: leave {model} out")
            print_result("".join(_cells(as_json=json)))
            return
        described = open_any(model).describe()
        lines = [json_format.dumps(described)] if json else list(_lines(described))
        print_result("\n".join(lines) + "\n")


def _cells(*, as_json: bool) -> Iterator[str]:
    """Every cell, as JSON Lines or as paragraphs."""
    from lmgen.models.network.recurrent import described_cells

    if as_json:
        yield from (json_line(asdict(cell)) for cell in described_cells())
        return
    yield "x = W v + b is computed from the input v, of size n; h, of size m, is the output.\n"
    for cell in described_cells():
        yield f"\n{cell.name}: {cell.summary}\n"
        yield from (f"    {line}\n" for line in cell.equations)
        yield f"    {cell.parameters} parameters\n    {cell.source}\n"


def _lines(described: dict[str, Any]) -> Iterator[str]:
    yield f"model      {described['model']} ({described['bytes']:,} bytes)"
    yield f"tokenizer  {described['tokenizer']}, vocabulary V = {described['vocabulary_size']:,}"
    if reading := list(_reading(described["reading"])):
        yield f"reading    {', '.join(reading)}"
    if "network" in described:
        yield from _network_lines(described)
    if "ngrams" in described:
        yield f"n-grams    {described['name']}"
        yield from (f"  order {n}  {count:>12,}" for n, count in enumerate(described["ngrams"], start=1))
    for member in described.get("models", []):
        yield f"mixture    {member['weight']:.4f} {member['name']}, {member['parameters']:,} parameters"
    training = {name: value for name, value in described["training"].items() if value is not None}
    if training:
        yield "training   " + ", ".join(f"{name} {_short(value)}" for name, value in training.items())
    for found in described.get("adapting", []):
        settings = ", ".join(f"{name} {_short(value)}" for name, value in found.items() if name != "of")
        yield f"adapting   {found['of']}: {settings}"


def _reading(reading: dict[str, str]) -> Iterator[str]:
    """In words, how texts are read; nothing for documents as they are."""
    if reading["unit"] != "document":
        yield f"each {reading['unit']} is a text of its own"
    if "answers_after" in reading:
        yield f"only what follows {reading['answers_after']!r} in it is scored"
    if reading["encoding"] != "utf-8":
        yield f"files are {reading['encoding']}"
    if reading["newlines"] != "keep":
        yield r"line ends are read as \n"
    if reading["normalize"] != "none":
        yield f"in normal form {reading['normalize'].upper()}"


def _network_lines(described: dict[str, Any]) -> Iterator[str]:
    network = described["network"]
    parts = [f"{network['ngram_embedding']}-gram embedding"] if "ngram_embedding" in network else []
    if "convolution" in network:
        parts.append(f"convolution {network['convolution']}")
    both = "bidirectional " if described.get("bidirectional") else ""
    if network["layers"]:
        parts.append(
            f"{both}{network['cell']}, {network['layers']} layer(s), hidden H = {network['hidden_size']}"
        )
    if network["normalization"] != "none":
        parts.append(f"{network['normalization']} normalisation")
    if "attention" in network:
        parts.append(f"attention over {network['attention']} states")
    if not network["layers"] and network["dense_layers"]:
        parts.append(f"{network['dense_layers']} dense layer(s)")
    if described.get("pool"):
        parts.append(f"{described['pool']} pooling")
    yield f"network    {', '.join(parts)}"
    if labels := described.get("labels"):
        yield f"labels     {len(labels):,}, one a {described['label_of']}: {', '.join(map(visible, labels))}"
    yield f"weights    {described['weights']}"
    yield ""
    yield from (line.rstrip("\n") for line in table(PARAMETER_COLUMNS, _parameter_rows(described)))
    yield ""


def _parameter_rows(described: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each layer with its sizes n and m, followed by a row for each trainable array."""
    arrays = described["layers"]
    for layer in described["subtotals"]:
        sizes = f"n = {layer['inputs']:,}, m = {layer['outputs']:,}"
        name = layer["name"] if layer["name"] == layer["kind"] else f"{layer['name']} ({layer['kind']})"
        yield name, layer["formula"], sizes, f"{layer['parameters']:,}"
        for array in arrays:
            if array["layer"] == layer["name"]:
                yield "  " + array["name"], array["formula"], array["numbers"], f"{array['parameters']:,}"
    yield "all", "", "", f"{described['parameters']:,}"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
