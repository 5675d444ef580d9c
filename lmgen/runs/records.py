"""What a run writes down, and when: lines of metrics, the best model, checkpoints; and its summary."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from lmgen.data.preparation import Prepared
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ModelError, WriteError
from lmgen.evaluation.perplexity import exp_or_infinity
from lmgen.files import append_text, checksum, write_text
from lmgen.models.model_file import load_model, save_model
from lmgen.models.network.model import RecurrentModel
from lmgen.runs.events import Finished, Saved, Unsaved
from lmgen.runs.lock import Lock
from lmgen.training.checkpoints import save_checkpoint
from lmgen.training.events import Evaluated, RolledBack, Stepped
from lmgen.training.loop import Trainer

CHECKPOINT_SHARE = 0.02
"""The most that checkpoints may take of the time, unless the user has said how often they are made."""


class Keeper:
    """
    Keeps what comes out of a run in its folder: lines of metrics, the best model, checkpoints.

    Always in this order, so that all that a checkpoint tells of is in its place. What cannot be written (the
    disk is full, say) is kept in memory and tried again when the next checkpoint is due; training goes on.
    Only the last attempt, at the end, has to succeed.
    """

    def __init__(
        self,
        lock: Lock,
        trainer: Trainer,
        prepared: Prepared,
        checkpoint_minutes: float | None,
        files: Mapping[str, int],
    ) -> None:
        """
        Args:
            lock: of the run folder.
            trainer: whose results are kept.
            prepared: what it trains on.
            checkpoint_minutes: how often; None: every minute, or so rarely that it costs little.
            files: checksums of the files that are there already.
        """
        self._lock, self._run = lock, lock.run
        self._trainer = trainer
        self._prepared = prepared
        self._minutes = checkpoint_minutes
        self._files = dict(files)
        self._lines: list[str] = []
        self._cut_at: int | None = None
        self._model: tuple[RecurrentModel, dict[str, Any]] | None = None
        self._due = monotonic() + self._wait(0.0)
        if trainer.improved and not self._run.model.exists():  # the best one is lost, and this the next best
            self._take_model()

    def after(self, event: Stepped | Evaluated | RolledBack) -> Iterator[Saved | Unsaved]:
        """
        Take in what has happened, and write what is due; or say why that cannot be done now.

        Raises:
            ModelError: the run folder is gone.
        """
        if isinstance(event, Evaluated):
            self._lines.append(json.dumps(event.to_json()) + "\n")
            if self._trainer.improved:
                self._take_model()
        elif isinstance(event, RolledBack):
            self._lines = [line for line in self._lines if _step(line) <= event.step]
            self._cut_at = event.step
        due = monotonic() >= self._due
        if due or not isinstance(event, Stepped):
            yield from self._attempt(checkpoint=due)

    def _take_model(self) -> None:
        """Take in the model as it is. It says nothing of times or dates: the same seed, the same bytes."""
        trainer, tokenizer = self._trainer, self._prepared.tokenizer
        model = RecurrentModel(
            trainer.network.config, tokenizer.vocabulary_size, tokenizer.start, trainer.result.arrays()
        )
        values = trainer.position.validation_nats
        self._model = (
            model,
            {
                "corpus": self._prepared.corpus,
                "train_tokens": self._prepared.train.tokens,
                "steps": trainer.position.step,
                "epochs": trainer.epochs,
                "valid_nats_per_token": values[-1] if values else None,
            },
        )

    def _attempt(self, *, checkpoint: bool) -> Iterator[Saved | Unsaved]:
        """Write what can be written now."""
        begun, failure = monotonic(), None
        try:
            yield from self._write()
            if checkpoint:
                save_checkpoint(self._run, self._trainer, self._files)
        except WriteError as error:
            failure = str(error)
        now = monotonic()
        if checkpoint:
            self._due = now + self._wait(now - begun)
        if failure is not None:
            yield Unsaved(failure, max(0.0, self._due - now))

    def finish(self) -> Iterator[Saved]:
        """
        Write all that there is to be kept.

        Raises:
            WriteError: it cannot be written; the message says what is left.
            ModelError: the run folder is gone.
        """
        if not self._run.model.exists() and self._model is None:
            self._take_model()
        try:
            yield from self._write()
            save_checkpoint(self._run, self._trainer, self._files)
        except WriteError as error:
            raise WriteError(
                f"{error}, then `lmgen train --resume --out {self._run.folder}` goes on from the last "
                "checkpoint"
            ) from error

    def _write(self) -> Iterator[Saved]:
        """All that has been taken in; what fails, and what comes after it, is kept."""
        self._lock.check()
        if self._cut_at is not None:
            cut_metrics(self._run.metrics, self._cut_at)
            self._cut_at = None
        if self._lines:
            append_text(self._run.metrics, "".join(self._lines))
            self._lines = []
        if self._model is not None:
            model, training = self._model
            save_model(self._run.model, model, self._prepared.tokenizer, training)
            self._files[self._run.model.name] = checksum(self._run.model)
            self._model = None
            yield Saved(self._run.model)

    def _wait(self, seconds: float) -> float:
        """Seconds until the next checkpoint, after one that has taken so many."""
        if self._minutes is not None:
            return 60 * self._minutes
        return max(60.0, seconds / CHECKPOINT_SHARE)


def summarized(trainer: Trainer, run: RunFolder, prepared: Prepared, stopped_by: str) -> Finished:
    """What came out of a run that is over."""
    position = trainer.position
    nats = trainer.best_nats
    return Finished(
        run=str(run.folder),
        parameters=trainer.network.parameter_count,
        steps=position.step,
        epochs=trainer.epochs,
        seconds=position.seconds,
        tokens_per_second=position.tokens / max(position.seconds, 1e-9),
        train_nats_per_token=_last_train_nats(run.metrics),
        valid_nats_per_token=nats,
        valid_perplexity=exp_or_infinity(nats),
        valid_bits_per_character=prepared.valid.bits_per_character(nats),
        baseline=_baseline_summary(run),
        rollbacks=position.rollbacks,
        stopped_by=stopped_by,
    )


def _baseline_summary(run: RunFolder) -> dict[str, float] | None:
    if not run.ngram.exists():
        return None
    saved = load_model(run.ngram)
    nats = saved.training.get("valid_nats_per_token")
    if not isinstance(nats, float):
        return None
    ngrams = saved.model.as_ngrams()
    return {"order": ngrams.order if ngrams else 0, "valid_perplexity": exp_or_infinity(nats)}


def _last_train_nats(metrics: Path) -> float | None:
    written = _evaluations(metrics)
    nats = written[-1][1].get("train_nats_per_token") if written else None
    return nats if isinstance(nats, float) else None


def _evaluations(metrics: Path) -> list[tuple[str, dict[str, Any]]]:
    """Each line of `metrics.jsonl` and what it says; lines that are damaged are left out."""
    found: list[tuple[str, dict[str, Any]]] = []
    if not metrics.exists():  # somebody has deleted it
        return found
    for line in metrics.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and type(record.get("step")) is int:
            found.append((line, record))
    return found


def is_damaged(file: Path, files: Mapping[str, int]) -> bool:
    """Whether a file is there but is not what it was when a checkpoint noted its checksum."""
    return file.exists() and files.get(file.name) not in (None, checksum(file))


def model_is_lost(run: RunFolder, step: int, files: Mapping[str, int]) -> bool:
    """
    Whether the best model of a run is missing or damaged.

    Args:
        run: whose model is looked at.
        step: of the last evaluation before the run goes on. A model newer than that is whole if it can be
            read; training comes to where it was saved, and saves it again.
        files: checksums that the checkpoint noted.
    """
    try:
        saved_at = load_model(run.model).training["steps"]
    except (ModelError, LookupError):
        return True
    return bool(saved_at <= step) and is_damaged(run.model, files)


def cut_metrics(path: Path, step: int) -> None:
    """Drop the lines of evaluations after a step: they will be made again."""
    if path.exists():
        kept = [line for line, evaluation in _evaluations(path) if evaluation["step"] <= step]
        write_text(path, "".join(line + "\n" for line in kept))


def _step(line: str) -> int:
    """The step of a line of metrics."""
    return int(json.loads(line)["step"])
