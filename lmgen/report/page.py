"""
The page of a report: page.html, filled in by jinja2, with its style, its script and its data inside.

Whatever comes from a text, a file name or a model is escaped: by jinja2 in the page, by `as_json` in the data
block. A policy in the page's head lets no script run but the page's own, and nothing be fetched.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from math import isfinite
from typing import Any

from lmgen.evaluation.novelty import Novelty
from lmgen.extras import needed
from lmgen.inspection.pictures import short_names
from lmgen.report.charts import score_rows
from lmgen.report.collected import Collected
from lmgen.report.drawing import DARK, LIGHT, Picture, declared
from lmgen.report.losses import DifferentWord
from lmgen.report.packed import Shown, page_data, shown_tokens

_MARKUP = re.compile("[<>&\u2028\u2029\ud800-\udfff]")

NOTHING = "–"
"""Stands for a figure that there is none of."""


def page(models: Sequence[Collected], pictures: Mapping[str, Picture], notes: Sequence[str]) -> str:
    """
    The page as HTML.

    Args:
        models: what was found of each, in the order of the page.
        pictures: by name.
        notes: what a reader should know.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    jinja2 = needed("jinja2", "report")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"count": _count, "digits": _digits, "percent": _percent}
    environment.finalize = _shown
    style = _file("page.css").replace("LIGHT", declared(LIGHT)).replace("DARK", declared(DARK))
    script = _file("page.js").strip()
    names = short_names([model.name for model in models])
    piece = models[0].subject.piece
    context: dict[str, Any] = {
        "title": f"{', '.join(names)}: lmgen report",
        "heading": " and ".join(names) if len(names) < 4 else f"{len(names)} models",
        "version": version("lmgen"),
        "style": style,
        "script": script,
        "script_hash": f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        "data": as_json(page_data(models, names)),
        "text": {
            "name": piece.text.name,
            "characters": piece.characters,
            "part": "all" if piece.is_whole else "the beginning",
        },
        "runs": [
            _run(model, name, f"-{number}" if number > 1 else "")
            for number, (model, name) in enumerate(zip(models, names, strict=True), 1)
        ],
        "rollbacks": any(model.history and model.history.rollbacks for model in models),
        "scores": _scores(models, names),
        "several_tokenizers": len({json.dumps(model.subject.tokenizer.to_json()) for model in models}) > 1,
        "pictures": pictures,
        "notes": notes,
    }
    rendered: str = environment.from_string(_file("page.html")).render(context)
    return rendered


def as_json(value: object) -> str:
    """
    JSON that can stand inside a `<script>` element: nothing in it ends the element or begins another.

    `"</script>"` -> `"\\u003c/script\\u003e"`. Lone surrogates, which UTF-8 cannot hold, are escaped, too.
    """
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _MARKUP.sub(lambda letter: f"\\u{ord(letter[0]):04x}", written)


def _run(model: Collected, name: str, suffix: str) -> dict[str, Any]:
    """What the page says of one model."""
    described = model.described
    return {
        "name": model.name,
        "short": name,
        "suffix": suffix,
        "tiles": list(_tiles(model)),
        "facts": list(_facts(model)),
        "command": model.command,
        "layers": described.get("subtotals", []),
        "parameters": described.get("parameters"),
        "samples": [] if model.history is None else model.history.samples,
        "words": _words(model, shown_tokens(model.tokens)),
        "cells": _cells(model),
        "copies": None if model.copies is None else _copies(model.copies),
        "missing": _Missing(model.missing),
    }


class _Missing(dict[str, str]):
    """Why parts are not there; an empty text for those that are."""

    def __missing__(self, key: str) -> str:
        return ""


def _tiles(model: Collected) -> Iterator[dict[str, str]]:
    """The figures at the top."""
    own = next(score for score in model.scores if score.model == model.predicted[0].model)
    training = model.subject.model.training
    yield {"name": "perplexity of a token", "value": _digits(own.perplexity, 3)}
    yield {"name": "bits a character", "value": _digits(own.bits_per_character, 3)}
    yield {"name": "parameters", "value": _count(model.described.get("parameters", 0))}
    if isinstance(training.get("steps"), int):
        yield {"name": "updates", "value": _count(training["steps"])}
    if isinstance(training.get("epochs"), float):
        yield {"name": "epochs", "value": _digits(training["epochs"], 2)}
    tokens = training.get("train_tokens")
    if isinstance(tokens, int):
        yield {"name": "training tokens", "value": _count(tokens)}


def _facts(model: Collected) -> Iterator[dict[str, str]]:
    """What the model is, in words."""
    described, training = model.described, model.subject.model.training
    yield {"name": "path", "value": model.name}
    if isinstance(training.get("corpus"), str):
        yield {"name": "corpus", "value": training["corpus"]}
    yield {"name": "model", "value": str(model.subject.model.model)}
    tokenizer = f"{described['tokenizer']}, V = {described['vocabulary_size']:,}"
    yield {"name": "tokenizer", "value": tokenizer}
    reading = model.subject.tokenizer.reading
    if reading.unit != "document":
        yield {"name": "unit", "value": f"each {reading.unit} is a text of its own"}
    if reading.answers_after is not None:
        yield {"name": "scored", "value": f"only what follows {reading.answers_after!r}"}


def _scores(models: Sequence[Collected], names: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of the table; the best one is marked."""
    rows: list[dict[str, Any]] = [
        {
            "run": ", ".join(names[run] for run in row.runs),
            "model": row.score.model,
            "nats": row.score.nats_per_token,
            "perplexity": row.score.perplexity,
            "bits": row.score.bits_per_character,
            "words": row.score.word_perplexity,
            "best": False,
        }
        for row in score_rows(models)
    ]
    by = "nats" if any(row["bits"] is None for row in rows) else "bits"
    if len(rows) > 1:
        min(rows, key=lambda row: row[by])["best"] = True
    return rows


def _words(model: Collected, shown: Shown) -> list[dict[str, Any]]:
    """The two tables of words."""
    if len(model.predicted) < 2:
        return []
    one, other = (each.model for each in model.predicted)
    sides = zip((one, other), model.words, strict=True)
    return [
        {
            "caption": f"{better} is better",
            "one": one,
            "other": other,
            "words": [_word(word, shown) for word in words],
        }
        for better, words in sides
        if words
    ]


def _word(word: DifferentWord, shown: Shown) -> dict[str, Any]:
    return {
        "word": word.word,
        "before": " ".join(word.before.split("\n")),
        "after": " ".join(word.after.split("\n")),
        "bits": word.bits,
        "token": shown.place_of(word.token),
    }


def _cells(model: Collected) -> str:
    """What is said above the units."""
    inside = model.inside
    if inside is None:
        return ""
    said = (
        f"Of {inside.looked_at:,} units, these go most closely with something that can be read off the text "
        f"(Pearson's correlation r of {inside.part} with it, over all {len(model.tokens.ids):,} tokens)."
    )
    return said if inside.units else f"None of {inside.looked_at:,} units follows anything that can be read."


def _copies(copies: Novelty) -> dict[str, Any]:
    """What is said of samples, and their longest copied passages."""
    shares = {each.n: each for each in copies.ngrams if each.of == "characters"}
    n = min(shares, key=lambda n: abs(shares[n].share - 0.5))  # where it tells most
    chosen = shares[n]
    held_out = (
        "" if chosen.held_out_share is None else f"; of held-out text {_percent(chosen.held_out_share)}"
    )
    whole = "" if copies.whole is None else f" {copies.whole:,} of them stand whole in the training text."
    return {
        "summary": f"In {copies.samples:,} samples ({copies.characters:,} characters, seed 0) "
        f"{_percent(chosen.share)} of the passages of {n} characters are new{held_out}.{whole}",
        "passages": copies.passages,
    }


def _file(name: str) -> str:
    return files("lmgen.report").joinpath(name).read_text(encoding="utf-8")


def _shown(value: object) -> object:
    """A text without what HTML cannot hold: lone surrogates and control characters."""
    if type(value) is not str:
        return value
    return "".join(
        "\ufffd" if "\ud800" <= letter <= "\udfff" or (letter < " " and letter not in "\n\t") else letter
        for letter in value
    )


def _count(value: float) -> str:
    return f"{value:,}"


def _digits(value: float | None, digits: int) -> str:
    """A figure with so many digits after the point; of a large one none."""
    if value is None or not isfinite(value):
        return NOTHING
    return f"{value:,.{digits if abs(value) < 1000 else 0}f}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 or share == 0 else f"{share:.1%}"
