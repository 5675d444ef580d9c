"""The runs and model files of a folder, and how two runs differ. Reads headers only, no weights."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from lmgen.data.run_folder import CHECKPOINTS, MODEL_SUFFIX, RunFolder
from lmgen.errors import ConfigError, LmgenError, ModelError
from lmgen.models.model_file import read_header
from lmgen.models.network.compression import SCALE
from lmgen.runs.config_file import read_run_config


@dataclass(frozen=True, slots=True, kw_only=True)
class RunListing:
    """A run or model file. The fields are those of `lmgen runs --json`; None for what is not known (yet)."""

    name: str
    path: str
    corpus: str | None
    tokenizer: str | None
    model: str | None
    """Such as `lstm 1x256` or `ngram-5`; None for a run that has no model yet."""
    parameters: int | None
    """Weights of a network, n-grams of an n-gram model."""
    steps: int | None
    epochs: float | None
    valid_nats_per_token: float | None
    age_seconds: float
    """Since its model was written, or its settings if it has none."""

    def to_json(self) -> dict[str, Any]:
        """The fields by name, ready for `json.dumps`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting or a result that two runs do not share."""

    name: str
    first: Any
    second: Any


def list_runs(folder: Path = CHECKPOINTS) -> list[RunListing]:
    """
    All runs and model files in a folder, the newest first.

    Raises:
        ModelError: there is no such folder.
    """
    if not folder.is_dir():
        raise ModelError(f"there is no folder {folder}; `lmgen train` makes runs in {CHECKPOINTS}/")
    if RunFolder(folder).config.exists():
        return [_listed(folder)]
    found = [_listed(path) for path in folder.iterdir() if _is_run(path)]
    return sorted(found, key=lambda listing: listing.age_seconds)


def compare_runs(first: Path, second: Path) -> list[Difference]:
    """
    What two runs do not share: settings by the names of the flags, then sizes and results.

    Raises:
        ModelError: one of them is no run.
    """
    one, other = (dict(_described(path)) for path in (first, second))
    names = dict.fromkeys([*one, *other])
    return [
        Difference(name, one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)
    ]


def _is_run(path: Path) -> bool:
    run = RunFolder(path)
    return path.suffix == MODEL_SUFFIX or run.config.exists() or run.model.exists()


def _listed(path: Path) -> RunListing:
    """What is known of a run folder or model file; a damaged one has a name and an age."""
    file = RunFolder(path).model if path.is_dir() else path
    header: dict[str, Any] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    with suppress(LmgenError):
        header, shapes = read_header(file)
    training = header.get("training", {})
    written = file if file.exists() else RunFolder(path).config
    return RunListing(
        name=path.name.removesuffix(MODEL_SUFFIX),
        path=str(path),
        corpus=training.get("corpus") or training.get("arpa") or _corpus_of(path),
        tokenizer=header.get("tokenizer", {}).get("tokenizer"),
        model=_model_name(header),
        parameters=_size(header, shapes),
        steps=training.get("steps"),
        epochs=training.get("epochs"),
        valid_nats_per_token=training.get("valid_nats_per_token"),
        age_seconds=max(0.0, time.time() - written.stat().st_mtime),
    )


def _corpus_of(path: Path) -> str | None:
    """The corpus that a run without a model was asked to learn."""
    with suppress(LmgenError):
        return " ".join(read_run_config(RunFolder(path).config).corpus) or None
    return None


def _model_name(header: dict[str, Any]) -> str | None:
    config = header.get("config", {})
    match header.get("kind"):
        case "recurrent":
            network = config.get("network", {})
            if network.get("layers") == 0:
                convolution = network.get("convolution")
                return f"convolution {convolution}" if convolution else "dense"
            return f"{network.get('cell')} {network.get('layers', 1)}x{network.get('hidden_size')}"
        case "ngram":
            return f"ngram-{config.get('order')}"
        case kind:
            return kind


def _size(header: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> int | None:
    """The number of weights, or of n-grams."""
    if not header:
        return None
    if header["kind"] == "ngram":
        shapes = {name: shape for name, shape in shapes.items() if name.endswith(".log_probs")}
    return sum(prod(shape) for name, shape in shapes.items() if not name.endswith(SCALE))


def _described(path: Path) -> Iterator[tuple[str, Any]]:
    """The settings and results of a run, by name."""
    if not _is_run(path):
        raise ModelError(f"{path} is no run and no model file; `lmgen runs` lists those under {CHECKPOINTS}/")
    with suppress(ConfigError):
        settings = read_run_config(RunFolder(path).config).to_settings()
        yield from settings.items()
    listing = _listed(path)
    for name in ("model", "parameters", "steps", "epochs", "valid_nats_per_token"):
        yield name, getattr(listing, name)
