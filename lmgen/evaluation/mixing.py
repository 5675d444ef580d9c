"""
The weights with which a run's network and its n-gram baseline are mixed.

They are fitted by EM (models/mixture.py) on the run's validation text, and kept in `mixture.json` until one
of the models changes. Where the validation text itself is to be scored, weights fitted on all of it would
have seen what they are judged by: then each half is scored with the weights fitted on the other half.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import inf
from pathlib import Path

import numpy as np

from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import read_tokens
from lmgen.errors import CorpusError, WriteError
from lmgen.evaluation.scoring import score_ids
from lmgen.files import write_text
from lmgen.models.base import Float64Array, LanguageModel
from lmgen.models.mixture import fit_weights, mix

Weights = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FittedWeights:
    """What EM found on a run's validation text, one weight a model."""

    whole: Weights
    first_half: Weights
    second_half: Weights
    half: int
    """Where the second half begins, in tokens."""
    models: tuple[str, ...]
    """The sha256 of each model's file; other models need other weights."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """How some of several models are mixed while a text is scored by all of them."""

    members: tuple[int, ...]
    """Which of the models, by their places."""
    spans: tuple[tuple[float, Weights], ...]
    """In turn, a token's place in the text and the weights of its members up to there."""

    @classmethod
    def of(cls, members: tuple[int, ...], fitted: FittedWeights, *, validation: bool) -> "Mixture":
        """For any text, or for the very validation text that the weights were fitted on."""
        if validation:
            return cls(members, ((fitted.half, fitted.second_half), (inf, fitted.first_half)))
        return cls(members, ((inf, fitted.whole),))

    def nats(self, begin: int, nats: Sequence[Float64Array]) -> Float64Array:
        """
        Mix what models say of consecutive tokens.

        Args:
            begin: the first one's place in the text.
            nats: of every model the negative log-probabilities, (N,).

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


def fitted_weights(run: RunFolder, models: Sequence[LanguageModel], files: Sequence[Path]) -> FittedWeights:
    """
    The weights of a run's mixture: those kept in the run folder, or fitted anew and kept there if possible.

    Args:
        run: whose validation text they are fitted on.
        models: to be mixed.
        files: where each of them is saved.

    Raises:
        CorpusError: the validation tokens are missing, damaged or too few.
        NumericalError: as `score_ids`.
    """
    digests = tuple(sha256(file.read_bytes()).hexdigest() for file in files)
    kept = _kept(run.mixture, len(models))
    if kept is not None and kept.models == digests:
        return kept
    ids = read_tokens(run.valid_tokens, models[0].vocabulary_size)
    if len(ids) < 2:
        raise CorpusError(f"{run.valid_tokens} has too few tokens to fit the weights of a mixture on")
    scores = [np.concatenate([block.nats for block in score_ids(model, ids)]) for model in models]
    each = -np.stack(scores, axis=-1)
    half = len(ids) // 2
    fitted = FittedWeights(
        whole=fit_weights(each),
        first_half=fit_weights(each[:half]),
        second_half=fit_weights(each[half:]),
        half=half,
        models=digests,
    )
    with suppress(WriteError):  # in a folder that is not ours to write in they are fitted anew each time
        write_text(run.mixture, json.dumps(asdict(fitted)) + "\n")
    return fitted


def _kept(path: Path, models: int) -> FittedWeights | None:
    """The weights of so many models in a file; None where none make sense: they can be fitted again."""
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
    """Whether numbers are not negative and sum to 1."""
    numbers = [value for value in values if isinstance(value, float) and value >= 0]
    return len(numbers) == len(values) and abs(sum(numbers) - 1) < 1e-6
