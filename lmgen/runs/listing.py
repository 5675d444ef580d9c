"""The runs and model files of a folder, and how two runs differ. Reads headers only, no weights."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import isfinite, prod
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, get_args

from lmgen.data.run_folder import CHECKPOINTS, MODEL_SUFFIX, RunFolder
from lmgen.errors import ConfigError, LmgenError, ModelError
from lmgen.models.model_file import read_header
from lmgen.models.network.compression import SCALE
from lmgen.runs.config import RunConfig
from lmgen.runs.config_file import read_run_config
from lmgen.runs.lock import is_locked
from lmgen.settings import shown
from lmgen.text.corpora import short_name
from lmgen.training.budget import Budget
from lmgen.training.position import Position

State = Literal["training", "stopped", "finished"]
"""Of a run: a process trains it now; `--resume` goes on with it; its budget is spent."""

Sort = Literal["age", "name", "corpus", "parameters", "steps", "loss"]
"""What runs may be sorted by: the newest, the first by name, the smallest or the best comes first."""


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
    state: State | None
    """None for a model file, and for a run without its settings."""
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


def list_runs(folder: Path = CHECKPOINTS, sort: Sort = "age") -> list[RunListing]:
    """
    All runs and model files in a folder, sorted; those that lack what they are sorted by come last.

    Raises:
        ConfigError: they cannot be sorted by that.
        ModelError: there is no such folder.
    """
    if sort not in get_args(Sort):
        raise ConfigError(f"--sort is {shown(sort)}, but has to be one of {', '.join(get_args(Sort))}")
    if not folder.is_dir():
        raise ModelError(f"there is no folder {folder}; `lmgen train` makes runs in {CHECKPOINTS}/")
    if RunFolder(folder).config.exists():
        return [_listed(folder)]
    found = [_listed(path) for path in folder.iterdir() if _is_run(path)]
    key = {"age": "age_seconds", "loss": "valid_nats_per_token"}.get(sort, sort)
    found.sort(key=lambda listing: (listing.age_seconds, listing.name))
    known = [listing for listing in found if getattr(listing, key) is not None]
    unknown = [listing for listing in found if getattr(listing, key) is None]
    return [*sorted(known, key=attrgetter(key)), *unknown]


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
    return (path.suffix == MODEL_SUFFIX and path.is_file()) or run.config.exists() or run.model.exists()


def _listed(path: Path) -> RunListing:
    """What is known of a run folder or model file; a damaged one has a name and an age."""
    run = RunFolder(path)
    file = run.model if path.is_dir() else path
    header: dict[str, Any] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    with suppress(LmgenError):
        header, shapes = read_header(file)
    config = None
    with suppress(LmgenError):
        config = read_run_config(run.config)
    training, asked = _mapping(header.get("training")), _asked_for(config) if config else {}
    written = file if file.exists() else run.config
    return RunListing(
        name=path.name.removesuffix(MODEL_SUFFIX),
        path=str(path),
        corpus=_word(training.get("corpus")) or _word(training.get("arpa")) or asked.get("corpus"),
        tokenizer=_word(_mapping(header.get("tokenizer")).get("tokenizer")) or asked.get("tokenizer"),
        model=_model_name(header) or asked.get("model"),
        parameters=_size(header, shapes),
        steps=_number(training.get("steps")),
        epochs=_number(training.get("epochs")),
        valid_nats_per_token=_number(training.get("valid_nats_per_token")),
        state=_state(run, config) if config else None,
        age_seconds=max(0.0, time.time() - written.stat().st_mtime),
    )


def _asked_for(config: RunConfig) -> dict[str, str]:
    """What a run without a model is to become."""
    network = config.network
    return {
        "corpus": " ".join(map(short_name, config.corpus)),
        "tokenizer": config.tokenizer.tokenizer,
        "model": ("labels: " if config.labelling.labels else "")
        + ("bidirectional " if config.labelling.bidirectional else "")
        + f"{network.cell} {network.layers}x{network.hidden_size}",
    }


def _mapping(value: object) -> dict[str, Any]:
    """A part of a header if it is one; nobody has checked."""
    return value if isinstance(value, dict) else {}


def _word(value: object) -> str | None:
    """A value of a header if it is text."""
    return value if isinstance(value, str) else None


def _number(value: object) -> Any:
    """A value of a header if it is a number that can be compared."""
    return value if isinstance(value, int | float) and isfinite(value) else None


def _state(run: RunFolder, config: RunConfig) -> State:
    if is_locked(run):
        return "training"
    return "finished" if _is_finished(run, config) else "stopped"


def _is_finished(run: RunFolder, config: RunConfig) -> bool:
    """Whether a run goes no further by its last evaluation, which is made when training ends."""
    try:
        lines = [json.loads(line) for line in run.metrics.read_text("utf-8").splitlines()]
        last, nats = lines[-1], [line["valid_nats_per_token"] for line in lines]
        position = Position(
            step=last["step"],
            seconds=last["seconds"],
            rollbacks=last.get("rollbacks", 0),
            validation_nats=[each for each in nats if each is not None],
            early=sum(line.get("early") is True for line in lines),
        )
        return Budget.of(config.training).stopped_by(position, last["epoch"]) is not None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _model_name(header: dict[str, Any]) -> str | None:
    config = _mapping(header.get("config"))
    match header.get("kind"):
        case "recurrent" | "labels" as kind:
            network = _mapping(config.get("network"))
            label = "labels: " if kind == "labels" else ""
            if network.get("layers") == 0:
                convolution = network.get("convolution")
                return label + (f"convolution {convolution}" if convolution else "dense")
            if config.get("bidirectional") is True:
                label += "bidirectional "
            return f"{label}{network.get('cell')} {network.get('layers', 1)}x{network.get('hidden_size')}"
        case "ngram":
            return f"ngram-{config.get('order')}"
        case kind:
            return _word(kind)


def _size(header: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> int | None:
    """The number of weights, or of n-grams."""
    if not header:
        return None
    if header.get("kind") == "ngram":
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
    for name in ("state", "model", "parameters", "steps", "epochs", "valid_nats_per_token"):
        yield name, getattr(listing, name)
