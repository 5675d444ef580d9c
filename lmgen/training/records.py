"""What a run writes down beside its checkpoint: the best model, the line of each evaluation, the summary."""

import json
from pathlib import Path
from typing import Any

from lmgen.data.preparation import Prepared
from lmgen.data.run_folder import RunFolder
from lmgen.evaluation.perplexity import exp_or_infinity
from lmgen.files import write_text
from lmgen.models.model_file import load_model, save_model
from lmgen.models.recurrent import RecurrentModel
from lmgen.training.events import Evaluated, Finished
from lmgen.training.loop import Trainer


def save_network(run: RunFolder, trainer: Trainer, prepared: Prepared) -> None:
    """Write the model file. It says nothing of times or dates: the same seed gives the same bytes."""
    tokenizer = prepared.tokenizer
    model = RecurrentModel(
        trainer.network.config, tokenizer.vocabulary_size, tokenizer.start, trainer.result.arrays()
    )
    values = trainer.position.validation_nats
    training = {
        "corpus": prepared.corpus,
        "train_tokens": prepared.train.tokens,
        "steps": trainer.position.step,
        "epochs": trainer.epochs,
        "valid_nats_per_token": values[-1] if values else None,
    }
    save_model(run.model, model, tokenizer, training)


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
    return {"order": getattr(saved.model, "order", 0), "valid_perplexity": exp_or_infinity(nats)}


def _last_train_nats(metrics: Path) -> float | None:
    written = _evaluations(metrics)
    nats = written[-1][1].get("train_nats_per_token") if written else None
    return nats if isinstance(nats, float) else None


def _evaluations(metrics: Path) -> list[tuple[str, dict[str, Any]]]:
    """Each line of `metrics.jsonl` and what it says; lines that are damaged are left out."""
    found = []
    for line in metrics.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and type(record.get("step")) is int:
            found.append((line, record))
    return found


def append_metrics(path: Path, evaluated: Evaluated) -> None:
    """Add the line of an evaluation to `metrics.jsonl`."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(evaluated.to_json()) + "\n")


def cut_metrics(path: Path, step: int) -> None:
    """Drop the lines after the step that a resumed run goes on from: they will be written again."""
    if path.exists():
        kept = [line for line, evaluation in _evaluations(path) if evaluation["step"] <= step]
        write_text(path, "".join(line + "\n" for line in kept))
