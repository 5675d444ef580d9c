"""Paths of the files in a run folder (`checkpoints/NAME/`), and finding models and the newest one."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from lmgen.errors import ModelError
from lmgen.settings import shown_path
from lmgen.text.units import Unit

CHECKPOINTS = Path("checkpoints")
"""Default parent folder of runs, and of the model files of n-gram models."""

MODEL_SUFFIX = ".safetensors"

_HEAD = b"{"
"""What follows the length of the header, of 8 bytes, at the beginning of a .safetensors file."""

RECORDS_SUFFIX = ".jsonl"

TEXT_SUFFIXES = (".txt", RECORDS_SUFFIX)
"""Of held-out texts, and of those that consist of records."""

RUNS_NAMED = 5
"""Maximum number of existing runs that the error for a missing model lists."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of the files of one training run, which need not exist."""

    folder: Path

    @property
    def model(self) -> Path:
        """
        The model with the best validation loss so far, in one self-contained file.

        Without validation text it is the latest model.
        """
        return self.folder / "model.safetensors"

    @property
    def ngram(self) -> Path:
        """The n-gram baseline, fitted on the same training tokens."""
        return self.folder / "ngram.safetensors"

    @property
    def mixture(self) -> Path:
        """The mixture weights of the model and its n-gram baseline."""
        return self.folder / "mixture.json"

    @property
    def adapting(self) -> Path:
        """How the model adapts best, as found on the validation text (evaluation/learning_to_adapt.py)."""
        return self.folder / "adapting.json"

    @property
    def config(self) -> Path:
        """The settings as requested, and all others as derived from them."""
        return self.folder / "config.toml"

    @property
    def metrics(self) -> Path:
        """Metrics as JSON Lines, one line per evaluation."""
        return self.folder / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        """What the model wrote at each quarter of the run, as JSON Lines (runs/samples.py)."""
        return self.folder / "samples.jsonl"

    @property
    def last(self) -> Path:
        """The last checkpoint: the complete training state, from which a run resumes."""
        return self.folder / "last" / "training.safetensors"

    @property
    def previous(self) -> Path:
        """The checkpoint before the last, used if the last one is damaged."""
        return self.folder / "last" / "previous.safetensors"

    @property
    def unfinished(self) -> Path:
        """The next checkpoint, until it has been written and verified."""
        return self.folder / "last" / "new.safetensors"

    @property
    def own(self) -> tuple[Path, ...]:
        """All that a run writes in its folder: its files, then its folders, as they are deleted."""
        files = (self.model, self.ngram, self.mixture, self.adapting, self.config, self.metrics, self.samples)
        return (*files, self.last.parent, self.data, self.tensorboard)

    @property
    def tensorboard(self) -> Path:
        """Folder of event files for TensorBoard, if they were asked for."""
        return self.folder / "tensorboard"

    @property
    def lock(self) -> Path:
        """Lock file, held by the process that trains this run (runs/lock.py)."""
        return self.folder / ".lock"

    @property
    def new(self) -> "RunFolder":
        """Folder in which a new run is prepared before it moves to this one (runs/new_run.py)."""
        return RunFolder(self.folder / ".new")

    @property
    def begun(self) -> Path:
        """How far a preparation has come that takes long (data/unfinished.py)."""
        return self.folder / "begun.json"

    @property
    def data(self) -> Path:
        """Folder of the prepared corpus."""
        return self.folder / "data"

    @property
    def prepared(self) -> Path:
        """The tokenizer of the token files, the sizes of the parts, and checksums."""
        return self.data / "prepared.json"

    @property
    def train_tokens(self) -> Path:
        """Token ids of the training text."""
        return self.data / "train.npy"

    @property
    def vectors(self) -> Path:
        """Word vectors of `--embeddings` for the vocabulary, until the first checkpoint has them."""
        return self.data / "vectors.safetensors"

    @property
    def valid_tokens(self) -> Path:
        """Token ids of the validation text; absent if none was held out."""
        return self.data / "valid.npy"

    @property
    def valid_text(self) -> Path:
        """The validation text, UTF-8; JSON Lines if it consists of records."""
        return self._text("valid")

    @property
    def test_text(self) -> Path:
        """The test text in the same form; absent if none was held out."""
        return self._text("test")

    @property
    def held_out_text(self) -> Path | None:
        """Default text for evaluation: the test text, else the validation text; None if neither exists."""
        return next((text for text in (self.test_text, self.valid_text) if text.exists()), None)

    def files_of(self, part: str, unit: Unit = "document") -> tuple[Path, Path | None]:
        """
        Paths of the token ids and the text of `train`, `valid` or `test`.

        The text path is None for `train`: a run does not keep a copy of its training text.
        """
        ids = self.data / f"{part}.npy"
        return ids, None if part == "train" else ids.with_suffix(TEXT_SUFFIXES[unit == "record"])

    def labels_of(self, part: str) -> Path:
        """Path of the labels of `train`, `valid` or `test`, beside its token ids."""
        return self.data / f"{part}.labels.npy"

    def _text(self, part: str) -> Path:
        """The text of a part, in whichever form it is there."""
        plain, records = (self.data / f"{part}{suffix}" for suffix in TEXT_SUFFIXES)
        return records if records.exists() else plain


def ngram_file(corpus: str) -> Path:
    """Default path of an n-gram model that is in no run: `checkpoints/CORPUS-ngram.safetensors`."""
    return CHECKPOINTS / f"{corpus}-ngram{MODEL_SUFFIX}"


def run_of(model: Path) -> RunFolder | None:
    """The run folder that a model file belongs to; None for a stand-alone model file."""
    folder = RunFolder(model.parent)
    return folder if folder.config.exists() and model == folder.model else None


def files_with(model: Path) -> tuple[Path, ...]:
    """A model file, with the files and folders of its run if it is in one."""
    run = run_of(model)
    return (model,) if run is None else run.own


def is_model_file(path: Path) -> bool:
    """Whether a name is that of a model file, or a file of another name begins as one does."""
    if path.name.endswith(MODEL_SUFFIX):
        return True
    try:
        if not path.is_file():  # a pipe can be read only once
            return False
        with path.open("rb") as file:
            head = file.read(len(_HEAD) + 8)
        return head[8:] == _HEAD and int.from_bytes(head[:8], "little") < path.stat().st_size
    except OSError:
        return False


def find_model(path: Path | None, checkpoints: Path = CHECKPOINTS) -> Path:
    """
    Find the model file of a run folder; a file stands for itself, and None for the newest model there is.

    Raises:
        ModelError: there is no model; the message suggests what to do.
    """
    if path is None:
        return newest_model(checkpoints)
    try:
        return _model_at(path, checkpoints)
    except OSError as error:  # a text in place of a path can be too long for a file name
        advice = suggested_run(path, checkpoints)
        raise ModelError(f"cannot read {shown_path(path)}: {error.strerror}; {advice}") from error


def suggested_run(path: Path, checkpoints: Path = CHECKPOINTS) -> str:
    """Advice for an error about a missing model: the run with the closest name, or a list of runs."""
    runs = {run.name.removesuffix(MODEL_SUFFIX): str(run) for run in map(named_by, _models(checkpoints))}
    near = get_close_matches(path.name.removesuffix(MODEL_SUFFIX), runs, n=1)
    if near:
        return f"did you mean {runs[near[0]]}?"
    if not runs:
        return "`lmgen train` makes one"
    more = f" and {len(runs) - RUNS_NAMED} more" if len(runs) > RUNS_NAMED else ""
    return f"runs here: {', '.join(list(runs.values())[:RUNS_NAMED])}{more}"


def newest_model(checkpoints: Path = CHECKPOINTS) -> Path:
    """
    Find the model that was written last: that of a run folder, or a model file beside the run folders.

    Raises:
        ModelError: there is no model yet.
    """
    models = _models(checkpoints)
    if not models:
        raise ModelError(f"there is no model under {checkpoints}/ yet; `lmgen train` makes one")
    return models[0]


def named_by(model: Path) -> Path:
    """The shortest path that names a model: its run folder, or the file itself if it is in none."""
    run = RunFolder(model.parent)
    return run.folder if model == run.model else model


def newest_begun(checkpoints: Path = CHECKPOINTS) -> RunFolder:
    """
    Find the run that was started or resumed last, with or without a model.

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
        raise ModelError(f"there is no model {shown_path(path)}; {suggested_run(path, checkpoints)}")
    if path.suffix != MODEL_SUFFIX and not _begins_like_a_model(path):
        raise ModelError(f"{path} is not a model; `lmgen train {path}` makes one of a text")
    return path


def _begins_like_a_model(path: Path) -> bool:
    """Check for the start of a .safetensors file: 8 bytes of header length, then a JSON object."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _models(checkpoints: Path) -> list[Path]:
    """The models of run folders, and the model files beside those, newest first."""
    models = [
        *checkpoints.glob(f"*/{RunFolder(checkpoints).model.name}"),
        *checkpoints.glob(f"*{MODEL_SUFFIX}"),
    ]
    written = sorted((model.stat().st_mtime_ns, model) for model in models if model.is_file())
    return [model for _, model in reversed(written)]
