"""`lmgen info`: what a model is."""

import json as json_format
from collections.abc import Iterator
from typing import Any

from lmgen.cli.options import JsonOption, ModelArgument, QuietOption, open_model
from lmgen.cli.output import print_result
from lmgen.cli.report import reported_errors


def info(model: ModelArgument = None, json: JsonOption = False, quiet: QuietOption = False) -> None:  # noqa: ARG001
    """
    Show what a model is: tokenizer, sizes, trainable parameters layer by layer, training.
    """
    with reported_errors():
        opened = open_model(model, threads=False)
        described = opened.describe()
        lines = [json_format.dumps(described)] if json else list(_lines(described))
        print_result("\n".join(lines) + "\n")


def _lines(described: dict[str, Any]) -> Iterator[str]:
    yield f"model      {described['model']} ({described['bytes']:,} bytes)"
    yield f"tokenizer  {described['tokenizer']}, vocabulary V = {described['vocabulary_size']:,}"
    if "network" in described:
        yield from _network_lines(described)
    if "ngrams" in described:
        yield f"n-grams    {described['name']}"
        yield from (f"  order {n}  {count:>12,}" for n, count in enumerate(described["ngrams"], start=1))
    for member in described.get("models", []):
        yield f"mixture    {member['weight']:.4f} {member['name']}, {member['parameters']:,} parameters"
    training = described["training"]
    if training:
        yield "training   " + ", ".join(f"{name} {_short(value)}" for name, value in training.items())


def _network_lines(described: dict[str, Any]) -> Iterator[str]:
    network = described["network"]
    sizes = f"embedding E = {_embedding_width(described)}, hidden H = {network['hidden_size']}"
    yield f"network    {network['cell']}, {network['layers']} layer(s), {sizes}"
    yield f"weights    {described['weights']}"
    yield ""
    row = "{:<28} {:<14} {:>14} {:>14}".format
    yield row("trainable array", "formula", "shape", "parameters")
    for layer in described["layers"]:
        shape = " x ".join(map(str, layer["shape"]))
        yield row(layer["name"], layer["formula"], shape, f"{layer['parameters']:,}")
    yield row("all", "", "", f"{described['parameters']:,}")
    yield ""


def _embedding_width(described: dict[str, Any]) -> int:
    return int(described["layers"][0]["shape"][1])


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
