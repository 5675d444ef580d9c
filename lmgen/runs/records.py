"""What a run writes into its folder, and when: metrics, samples, best model, checkpoints; its summary."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from lmgen.data.prepared import Prepared
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ModelError, NumericalError, WriteError
from lmgen.evaluation.results import exp_or_infinity
from lmgen.files import append_text, checksum, write_text
from lmgen.models.model_file import has_labels, load_labels, load_model, save_model
from lmgen.models.network.labels import LabelNetwork
from lmgen.models.network.model import RecurrentModel
from lmgen.runs.events import Finished, Saved, Unsaved
from lmgen.runs.lock import Lock
from lmgen.runs.samples import is_quarter, sample_line
from lmgen.training.events import Evaluated, RolledBack, Stepped

if TYPE_CHECKING:
    from lmgen.training.loop import Trainer
    from lmgen.training.state import TrainingState

CHECKPOINT_SHARE = 0.02
"""The largest share of the time that checkpoints take, unless the user has said how often to make them."""


class Keeper:
    """
    Writes the results of a run into its folder: lines of metrics, samples, the best model, checkpoints.

    Without validation text, the last model is written in place of the best one: at each place of an
    evaluation, with each checkpoint and at the end.

    They are written in this order, so that whatever a checkpoint refers to is there already. What cannot be
    written (the disk is full, say) is kept in memory and tried again when the next checkpoint is due, while
    training goes on. Only the last attempt, at the end, has to succeed.
    """

    def __init__(
        self,
        lock: Lock,
        trainer: "Trainer",
        prepared: Prepared,
        checkpoint_minutes: float | None,
        files: Mapping[str, int],
    ) -> None:
        """
        Args:
            lock: of the run folder.
            trainer: whose results are written.
            prepared: what it trains on.
            checkpoint_minutes: the time between checkpoints; None: a minute, or more where they are slow.
            files: checksums of the files that are there already.
        """
        self._lock, self._run = lock, lock.run
        self._trainer = trainer
        self._prepared = prepared
        self._minutes = checkpoint_minutes
        self._files = dict(files)
        self._lines: list[str] = []
        self._samples: list[str] = []
        self._spent = trainer.progress.spent
        self._cut_at: int | None = None
        self._model: tuple[RecurrentModel | LabelNetwork, dict[str, Any]] | None = None
        self._due = monotonic() + self._wait(0.0)
        self._keeps_last = prepared.valid is None
        """Whether there is no best model for want of validation text, so that the last one is kept."""
        self._taken_step: int | None = None
        """The step of the model that was taken last; None if there is none, or training was rolled back."""
        worth_keeping = trainer.progress.step > 0 if self._keeps_last else trainer.progress.improved
        if worth_keeping and not self._run.model.exists():  # it is lost
            self._take_model()

    def after(self, event: Stepped | Evaluated | RolledBack) -> Iterator[Saved | Unsaved]:
        """
        Note what has happened and write what is due; `Unsaved` says why that is not possible now.

        Raises:
            ModelError: the run folder is gone.
        """
        if isinstance(event, Stepped):
            self._sample_at_quarters(event)
        elif isinstance(event, Evaluated):
            self._lines.append(json.dumps(event.to_json()) + "\n")
            if self._keeps_last or self._trainer.progress.improved:
                self._take_model()
        elif isinstance(event, RolledBack):
            self._lines = [line for line in self._lines if _step(line) <= event.step]
            self._samples = [line for line in self._samples if _step(line) <= event.step]
            self._cut_at = event.step
            self._spent = self._trainer.progress.spent
            self._taken_step = None
        due = self.is_due()
        if self._trainer.group.size > 1:  # all have to do it together
            due = isinstance(event, Stepped) and self._trainer.agreed.save
        if due and self._keeps_last:
            self._take_last_model()
        if due or not isinstance(event, Stepped):
            yield from self._attempt(checkpoint=due)

    def is_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return monotonic() >= self._due

    def _sample_at_quarters(self, stepped: Stepped) -> None:
        """Let the network write a text if an update ended a quarter of the budget; labels are no text."""
        before, self._spent = self._spent, stepped.progress
        if is_quarter(before, stepped.progress) and self._prepared.labels is None:
            with suppress(ModelError, NumericalError):  # a network of NaNs, which the trainer will find, too
                network = cast(RecurrentModel, _in_use(self._trainer, self._prepared))
                self._samples.append(sample_line(network, self._prepared.tokenizer, stepped))

    def _take_model(self) -> None:
        """Copy the model as it is now. It holds no times or dates: the same seed gives the same bytes."""
        progress, normalization = self._trainer.progress, self._trainer.state.network.config.normalization
        others: dict[str, Any] = {"normalization": "batch"} if normalization == "batch" else {}
        if self._trainer.group.size > 1:
            others["processes"] = self._trainer.group.size
        self._model = (
            _in_use(self._trainer, self._prepared),
            {
                "corpus": self._prepared.corpus,
                "train_tokens": self._prepared.train.tokens,
                "steps": progress.step,
                "epochs": progress.epochs,
                "valid_nats_per_token": progress.last_nats,
                **others,
            },
        )
        self._taken_step = progress.step

    def _take_last_model(self) -> None:
        """Copy the model as it is now, unless that was done at this step already."""
        if self._taken_step != self._trainer.progress.step:
            self._take_model()

    def _attempt(self, *, checkpoint: bool) -> Iterator[Saved | Unsaved]:
        """Write what is waiting, and a checkpoint if asked; a failure becomes an event."""
        begun, failure = monotonic(), None
        try:
            try:
                yield from self._write()
            except WriteError:
                if checkpoint:
                    _pass_checkpoint(self._trainer.state)
                raise
            if checkpoint:
                save_checkpoint(self._run, self._trainer.state, self._files)
        except WriteError as error:
            failure = str(error)
        now = monotonic()
        if checkpoint:
            self._due = now + self._wait(now - begun)
        if failure is not None:
            yield Unsaved(failure, max(0.0, self._due - now))

    def finish(self) -> Iterator[Saved]:
        """
        Write everything at the end of a run.

        Raises:
            WriteError: it cannot be written; the message says how to go on.
            ModelError: the run folder is gone.
        """
        if self._keeps_last or (not self._run.model.exists() and self._model is None):
            self._take_last_model()
        try:
            yield from self._write()
            save_checkpoint(self._run, self._trainer.state, self._files)
        except WriteError as error:
            raise WriteError(
                f"{error}, then `lmgen train --resume --out {self._run.folder}` goes on from the last "
                "checkpoint"
            ) from error

    def _write(self) -> Iterator[Saved]:
        """Write metrics and model that are waiting; what fails, and what comes after it, goes on waiting."""
        self._lock.check()
        if self._cut_at is not None:
            for path in (self._run.metrics, self._run.samples):
                cut_lines(path, self._cut_at)
            self._cut_at = None
        if self._lines:
            append_text(self._run.metrics, "".join(self._lines))
            self._lines = []
        if self._samples:
            append_text(self._run.samples, "".join(self._samples))
            self._samples = []
        if self._model is not None:
            model, training = self._model
            save_model(self._run.model, model, self._prepared.tokenizer, training)
            self._files[self._run.model.name] = checksum(self._run.model)
            self._model = None
            yield Saved(self._run.model)

    def _wait(self, seconds: float) -> float:
        """Seconds until the next checkpoint, after one that took `seconds`."""
        if self._minutes is not None:
            return 60 * self._minutes
        return max(60.0, seconds / CHECKPOINT_SHARE)


def _in_use(trainer: "Trainer", prepared: Prepared) -> RecurrentModel | LabelNetwork:
    """A copy of the network that is trained, for use without torch."""
    network, tokenizer = trainer.state.result, prepared.tokenizer
    V = tokenizer.vocabulary_size
    if network.labelling is None or prepared.labels is None:
        return RecurrentModel(network.config.in_use, V, tokenizer.start, network.arrays(), tokenizer.end)
    return LabelNetwork(network.config.in_use, V, network.labelling, prepared.labels.names, network.arrays())


def save_checkpoint(run: RunFolder, state: "TrainingState", files: Mapping[str, int]) -> None:
    """
    Write a checkpoint; the one before it is kept as well.

    Args:
        run: the run folder.
        state: between two updates.
        files: checksums of the run's other files.

    Raises:
        WriteError: it cannot be written.
    """
    from lmgen.training.checkpoints import save_checkpoint

    save_checkpoint(run, state, files)


def note_file(run: RunFolder, file: Path) -> None:
    """
    Note the checksum of a file that was written after the last checkpoint, in that checkpoint.

    Raises:
        ModelError, WriteError: as `training.checkpoints.note_file`.
    """
    from lmgen.training.checkpoints import note_file

    note_file(run, file)


def _pass_checkpoint(state: "TrainingState") -> None:
    """Write no checkpoint, but give and take what processes that train together send each other for one."""
    from lmgen.training.checkpoints import gather_checkpoint

    gather_checkpoint(state)


def summarized(trainer: "Trainer", run: RunFolder, prepared: Prepared, stopped_by: str) -> Finished:
    """The summary of a run that is over."""
    progress = trainer.progress
    nats = progress.best_nats
    return Finished(
        run=str(run.folder),
        parameters=trainer.state.network.parameter_count,
        steps=progress.step,
        epochs=progress.epochs,
        seconds=progress.seconds,
        tokens_per_second=progress.tokens / max(progress.seconds, 1e-9),
        train_nats_per_token=_last_train_nats(run.metrics),
        valid_nats_per_token=nats,
        valid_perplexity=None if nats is None or prepared.labels is not None else exp_or_infinity(nats),
        valid_bits_per_character=_bits_per_character(prepared, nats),
        baseline=_baseline_summary(run, prepared),
        rollbacks=progress.rollbacks,
        stopped_by=stopped_by,
        train_objective=trainer.config.objective,
        valid_accuracy=None if prepared.labels is None else _best_accuracy(run.metrics),
    )


def _bits_per_character(prepared: Prepared, nats: float | None) -> float | None:
    """Bits per character of the validation text; None without one, with unknown tokens, or for labels."""
    if nats is None or prepared.scored is None or prepared.labels is not None:
        return None
    return prepared.scored.bits_per_character(nats)


def _baseline_summary(run: RunFolder, prepared: Prepared) -> dict[str, float | None] | None:
    if not run.ngram.exists():
        return None
    saved = load_model(run.ngram)
    nats = saved.training.get("valid_nats_per_token")
    perplexity = exp_or_infinity(nats) if isinstance(nats, float) else None
    if perplexity is None and prepared.valid:  # somebody has changed the file
        return None
    ngrams = saved.model.as_ngrams()
    return {"order": ngrams.order if ngrams else 0, "valid_perplexity": perplexity}


def _last_train_nats(metrics: Path) -> float | None:
    written = records_in(metrics)
    nats = written[-1][1].get("train_nats_per_token") if written else None
    return nats if isinstance(nats, float) and isfinite(nats) else None


def _best_accuracy(metrics: Path) -> float | None:
    """The accuracy of the evaluation with the lowest validation loss."""
    scored = [
        (line["valid_nats_per_token"], line["valid_accuracy"])
        for _, line in records_in(metrics)
        if isinstance(line.get("valid_nats_per_token"), float)
        and isinstance(line.get("valid_accuracy"), float)
    ]
    return min(scored, default=(0.0, None))[1]


def records_in(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Each line of `metrics.jsonl` or `samples.jsonl` and the object in it; damaged lines are left out."""
    found: list[tuple[str, dict[str, Any]]] = []
    if not path.exists():  # somebody has deleted it
        return found
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and type(record.get("step")) is int:
            found.append((line, record))
    return found


def is_damaged(file: Path, files: Mapping[str, int]) -> bool:
    """Whether a file is there but its checksum is not the one that a checkpoint noted."""
    return file.exists() and files.get(file.name) not in (None, checksum(file))


def model_is_lost(run: RunFolder, step: int, files: Mapping[str, int]) -> bool:
    """
    Whether the model of a run is missing or damaged.

    Args:
        run: the run folder.
        step: the last at which a model may have been saved before the run goes on: that of the last
            evaluation, or without validation text that of the checkpoint. A model newer than that counts as
            whole if it can be read: training will get to the step where it was saved and save it again.
        files: checksums that the checkpoint noted.
    """
    try:
        load = load_labels if has_labels(run.model) else load_model
        saved_at = load(run.model).training.get("steps")
    except ModelError:
        return True
    if type(saved_at) is not int:  # somebody has changed the summary
        return True
    return saved_at <= step and is_damaged(run.model, files)


def cut_lines(path: Path, step: int) -> None:
    """Drop the lines of what happened after a step, evaluations or samples, which will be made again."""
    if path.exists():
        kept = [line for line, record in records_in(path) if record["step"] <= step]
        write_text(path, "".join(line + "\n" for line in kept))


def _step(line: str) -> int:
    """The step of a line of metrics."""
    return int(json.loads(line)["step"])
