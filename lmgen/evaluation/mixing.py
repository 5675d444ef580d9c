"""
The weights with which a run's network and its n-gram baseline are mixed.

They are fitted by EM (models/mixture.py) on the run's validation text, and kept in `mixture.json` until one
of the models changes. Weights fitted on all of the validation text would be evaluated on their own training
data if that text itself is scored. So then each half is scored with the weights fitted on the other half.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import inf
from pathlib import Path

import numpy as np

from lmgen.arrays import Float64Array
from lmgen.data.answers import Answers
from lmgen.data.run_folder import RunFolder, run_of
from lmgen.data.token_file import blocks_of
from lmgen.data.verified import open_kept_tokens
from lmgen.errors import CorpusError, ModelError, WriteError
from lmgen.evaluation.scoring import score_ids
from lmgen.files import write_text
from lmgen.models.base import LanguageModel
from lmgen.models.mixture import fit_weights, mix

Weights = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FittedWeights:
    """The weights that EM found on a run's validation text, one for each model."""

    whole: Weights
    first_half: Weights
    second_half: Weights
    half: int
    """Where the second half begins, in tokens."""
    models: tuple[str, ...]
    """The sha256 of each model's file, since the weights are for these alone; none if not all have a file."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """How to mix the scores of some of several models, while all of them score the same text."""

    members: tuple[int, ...]
    """The places of the mixed models among all models."""
    spans: tuple[tuple[float, Weights], ...]
    """(end, weights) of each span of the text, in order: `weights` hold for tokens before the place `end`."""

    @classmethod
    def of(cls, members: tuple[int, ...], fitted: FittedWeights, *, validation: bool) -> "Mixture":
        """The mixture for a text; `validation` if it is the very text that the weights were fitted on."""
        if validation:
            return cls(members, ((fitted.half, fitted.second_half), (inf, fitted.first_half)))
        return cls(members, ((inf, fitted.whole),))

    def nats(self, begin: int, nats: Sequence[Float64Array]) -> Float64Array:
        """
        Mix the scores of consecutive tokens.

        Args:
            begin: the first token's place in the text.
            nats: the negative log-probabilities under every model, (N,) each.

        Returns:
            The negative log-probabilities under the mixture, (N,).
        """
        each = -np.stack([nats[member] for member in self.members], axis=-1)
        mixed = np.empty(len(each))
        first = 0
        for end, weights in self.spans:
            last = int(min(max(end - begin, first), len(each)))
            mixed[first:last] = -mix(each[first:last], weights)
            first = last
        return mixed


def weights_of(
    path: Path,
    model: LanguageModel,
    baseline: LanguageModel,
    answers: Answers | None,
    *,
    is_saved: bool = True,
) -> FittedWeights:
    """
    The weights that mix a model with its run's own baseline.

    Args:
        path: the model's file, in its run folder.
        model: the model.
        baseline: what `baseline_of` gives for it.
        answers: as in `fitted_weights`.
        is_saved: whether the file holds this model; nothing is kept for any other.

    Raises:
        ModelError: the model is not in a run folder.
        CorpusError, NumericalError: as `fitted_weights`.
    """
    run = run_of(path)
    if run is None:
        raise ModelError(f"nothing to fit a mixture on: {path} is not in a run folder; name the folder")
    files = [run.model, run.ngram] if is_saved else None
    return fitted_weights(run, [model, baseline], files, answers)


def fitted_weights(
    run: RunFolder,
    models: Sequence[LanguageModel],
    files: Sequence[Path] | None,
    answers: Answers | None = None,
) -> FittedWeights:
    """
    The weights of a run's mixture: those kept in the run folder, or fitted anew and kept there if possible.

    Args:
        run: the run whose validation text they are fitted on.
        models: the models to mix.
        files: the file of each model; None: not all have one, so that nothing is kept.
        answers: how the answers are found that alone are scored; None: all tokens are.

    Raises:
        CorpusError: the run has no validation text, or its tokens are missing, damaged or too few.
        NumericalError: as `score_ids`.
    """
    digests = tuple(sha256(file.read_bytes()).hexdigest() for file in files or ())
    kept = None if files is None else _kept(run.mixture, len(models))
    if kept is not None and kept.models == digests:
        return kept
    if not (run.valid_tokens.exists() or run.valid_text.exists()):
        raise CorpusError(
            f"nothing to fit a mixture on: {run.folder} has no validation text; train with --valid, such as "
            "--valid 0.1"
        )
    ids = open_kept_tokens(run, run.valid_tokens, models[0].vocabulary_size)
    if len(ids) < 2:
        raise CorpusError(f"{run.valid_tokens} has too few tokens to fit the weights of a mixture on")
    scores = [np.concatenate([block.nats for block in score_ids(model, blocks_of(ids))]) for model in models]
    each = -np.stack(scores, axis=-1)
    half = len(ids) // 2
    halves = [each[:half], each[half:]]
    if answers is not None:
        scored = answers.among(ids)
        halves = [each[:half][scored[:half]], each[half:][scored[half:]]]
        each = each[scored]
    if not all(map(len, halves)):
        raise CorpusError(f"{run.valid_tokens} has too few answers to fit the weights of a mixture on")
    fitted = FittedWeights(
        whole=fit_weights(each),
        first_half=fit_weights(halves[0]),
        second_half=fit_weights(halves[1]),
        half=half,
        models=digests,
    )
    if files is not None:
        with suppress(WriteError):  # in a read-only folder they are fitted anew each time
            write_text(run.mixture, json.dumps(asdict(fitted)) + "\n")
    return fitted


def _kept(path: Path, models: int) -> FittedWeights | None:
    """The weights for this many models in a file; None if they are damaged, for they can be fitted again."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    match saved:
        case {
            "whole": list(whole),
            "first_half": list(first),
            "second_half": list(second),
            "half": int(half),
            "models": list(digests),
        } if all(len(each) == models and _are_weights(each) for each in (whole, first, second)):
            return FittedWeights(tuple(whole), tuple(first), tuple(second), half, tuple(digests))
        case _:
            return None


def _are_weights(values: list[object]) -> bool:
    """Whether values are numbers, not negative, of sum 1."""
    numbers = [value for value in values if isinstance(value, float) and value >= 0]
    return len(numbers) == len(values) and abs(sum(numbers) - 1) < 1e-6
