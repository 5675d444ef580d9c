"""Where a run's files are (a run folder is `checkpoints/NAME/`), and which run is the newest."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from lmgen.errors import ModelError

CHECKPOINTS = Path("checkpoints")
"""Where runs are saved and looked for when nothing else is said."""

MODEL_SUFFIX = ".safetensors"

RUNS_NAMED = 5
"""So many runs are named to somebody who asked for one that is not there."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one training run."""

    folder: Path

    @property
    def model(self) -> Path:
        """The best model so far: one file that needs no other."""
        return self.folder / "model.safetensors"

    @property
    def ngram(self) -> Path:
        """The n-gram baseline, fitted on the same tokens."""
        return self.folder / "ngram.safetensors"

    @property
    def mixture(self) -> Path:
        """The weights with which the two are mixed."""
        return self.folder / "mixture.json"

    @property
    def config(self) -> Path:
        """Every setting of the run."""
        return self.folder / "config.toml"

    @property
    def metrics(self) -> Path:
        """A line for each evaluation."""
        return self.folder / "metrics.jsonl"

    @property
    def last(self) -> Path:
        """All that a resumed run needs."""
        return self.folder / "last" / "training.safetensors"

    @property
    def previous(self) -> Path:
        """The same, as it was one checkpoint before: what is left if the last one is damaged."""
        return self.folder / "last" / "previous.safetensors"

    @property
    def unfinished(self) -> Path:
        """The next one, while it is written and read back."""
        return self.folder / "last" / "new.safetensors"

    @property
    def lock(self) -> Path:
        """Locked by the process that trains here (runs/lock.py)."""
        return self.folder / ".lock"

    @property
    def new(self) -> "RunFolder":
        """Where a run is prepared that is to be in this folder (runs/new_run.py)."""
        return RunFolder(self.folder / ".new")

    @property
    def data(self) -> Path:
        """The corpus as it was prepared."""
        return self.folder / "data"

    @property
    def prepared(self) -> Path:
        """The tokenizer by which the token files were made, and how much of what there is."""
        return self.data / "prepared.json"

    @property
    def train_tokens(self) -> Path:
        """Token ids of the training text."""
        return self.data / "train.npy"

    @property
    def valid_tokens(self) -> Path:
        """Token ids of the validation text."""
        return self.data / "valid.npy"

    @property
    def valid_text(self) -> Path:
        """The validation text itself."""
        return self.data / "valid.txt"

    @property
    def test_text(self) -> Path:
        """The test text, where one was held out."""
        return self.data / "test.txt"

    @property
    def held_out_text(self) -> Path | None:
        """The text to evaluate on if no other is named: the test text, else the validation text."""
        return next((text for text in (self.test_text, self.valid_text) if text.exists()), None)

    def files_of(self, part: str) -> tuple[Path, Path | None]:
        """
        Where the ids and the text of `train`, `valid` or `test` are; the training text itself is not kept.
        """
        ids = self.data / f"{part}.npy"
        return ids, None if part == "train" else ids.with_suffix(".txt")


def run_of(model: Path) -> RunFolder | None:
    """The run folder that a model file is the model of; None for a model file on its own."""
    folder = RunFolder(model.parent)
    return folder if folder.config.exists() and model == folder.model else None


def find_model(path: Path | None, checkpoints: Path = CHECKPOINTS) -> Path:
    """
    The model file that is meant by a run folder, by a file, or by nothing (the newest run).

    Raises:
        ModelError: there is none; the message says what to do.
    """
    if path is None:
        return newest_run(checkpoints).model
    try:
        return _model_at(path, checkpoints)
    except OSError as error:  # a text where its model is expected is too long for a name
        advice = suggested_run(path, checkpoints)
        raise ModelError(f"cannot read {path}: {error.strerror}; {advice}") from error


def suggested_run(path: Path, checkpoints: Path = CHECKPOINTS) -> str:
    """What to say to somebody who asked for a model where there is none: which runs there are."""
    runs = {folder.name: str(folder) for folder in _runs(checkpoints)}
    near = get_close_matches(path.name, runs, n=1)
    if near:
        return f"did you mean {runs[near[0]]}?"
    if not runs:
        return "`lmgen train` makes one"
    more = f" and {len(runs) - RUNS_NAMED} more" if len(runs) > RUNS_NAMED else ""
    return f"runs here: {', '.join(list(runs.values())[:RUNS_NAMED])}{more}"


def newest_run(checkpoints: Path = CHECKPOINTS) -> RunFolder:
    """
    The run whose model was written last.

    Raises:
        ModelError: there is no run yet.
    """
    runs = _runs(checkpoints)
    if not runs:
        raise ModelError(f"there is no model under {checkpoints}/ yet; `lmgen train` makes one")
    return RunFolder(runs[0])


def newest_begun(checkpoints: Path = CHECKPOINTS) -> RunFolder:
    """
    The run that was begun or resumed last, whether it has a model yet or not.

    Raises:
        ModelError: there is no run yet.
    """
    configs = [
        run.config for folder in checkpoints.glob("*") for run in (RunFolder(folder), RunFolder(folder).new)
    ]
    begun = [config for config in configs if config.exists()]
    if not begun:
        raise ModelError(f"there is no run under {checkpoints}/ yet; `lmgen train` begins one")
    newest = max(begun, key=lambda config: config.stat().st_mtime_ns)
    return RunFolder(checkpoints / newest.relative_to(checkpoints).parts[0])


def _model_at(path: Path, checkpoints: Path) -> Path:
    if path.is_dir():
        model = RunFolder(path).model
        if not model.exists():
            raise ModelError(
                f"{path} has no {model.name}; is it a run folder, and has its training begun? "
                + suggested_run(path, checkpoints)
            )
        return model
    if not path.exists():
        raise ModelError(f"there is no model {path}; {suggested_run(path, checkpoints)}")
    if path.suffix != MODEL_SUFFIX and not _begins_like_a_model(path):
        raise ModelError(f"{path} is not a model; `lmgen train {path}` makes one of a text")
    return path


def _begins_like_a_model(path: Path) -> bool:
    """A .safetensors file begins with the length of its header, 8 bytes, and the header, JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _runs(checkpoints: Path) -> list[Path]:
    """The folders of runs that have a model, the newest first."""
    models = sorted((file.stat().st_mtime_ns, file) for file in checkpoints.glob("*/model.safetensors"))
    return [model.parent for _, model in reversed(models)]
