"""Tiny runs to report on, trained once a worker."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import lmgen
from lmgen.text_model import TextModel

TINY: Mapping[str, Any] = {
    "hidden_size": 12,
    "embedding_size": 8,
    "window_length": 16,
    "batch_size": 4,
    "baseline_order": 3,
    "evaluations": 4,
    "threads": 1,
    "steps": 40,
    "seed": 1,
}


def text(seed: int = 0) -> str:
    """Lines of words in random order, with quotes, brackets and capitals."""
    random = np.random.default_rng(seed)
    words = random.choice(["one", "Two", '"three four"', "(five)", "six.", "<b>"], 1600)
    return "\n".join(" ".join(line) for line in words.reshape(-1, 8)) + "\n"


@cache
def _folder() -> "TemporaryDirectory[str]":
    return TemporaryDirectory(prefix="lmgen-runs-")


@cache
def run(**settings: Any) -> Path:
    """The folder of a run with these settings; tests only read it."""
    name = "-".join(f"{value}" for value in settings.values()) or "lstm"
    path = Path(_folder().name) / name
    corpus = text().replace("\n", "\n\n") if settings.get("unit") == "record" else text()
    lmgen.train(corpus, out=path, **{**TINY, **settings})
    return path


def model(**settings: Any) -> TextModel:
    """The model of such a run."""
    return lmgen.load(run(**settings))
