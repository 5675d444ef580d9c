"""
With which steps a run's network adapts, and from which gate a mixture that adapts begins.

Both are found on the beginning of the run's validation text, once, and kept in `adapting.json` until one of
the models changes. Where that text itself is scored nothing is found on it.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from lmgen.arrays import IdArray
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import read_tokens
from lmgen.errors import NumericalError, WriteError
from lmgen.evaluation.scoring import mean_nats
from lmgen.files import write_text
from lmgen.models.adapting import AdaptingConfig
from lmgen.models.base import LearningModel
from lmgen.models.gated import Gate, GatedMixture

RATE_TOKENS = 20_000
"""Tokens that each rate is tried on."""

MIXED_TOKENS = 50_000
"""Tokens that a gate learns from."""

FEWEST_TOKENS = 2_000
"""With fewer tokens of validation text nothing is found."""

FACTOR = 2.0
"""Between one rate that is tried and the next."""

MOST_TRIES = 8


@dataclass(frozen=True, slots=True)
class LearnedToAdapt:
    """How models begin to adapt."""

    config: AdaptingConfig
    gate: Gate | None
    """Of a mixture; None: all experts are trusted alike, or there is no mixture."""


def learned_to_adapt(
    run: RunFolder,
    begun: LearnedToAdapt,
    *,
    choose_rate: bool,
    network: Callable[[AdaptingConfig], LearningModel],
    mixture: Callable[[LearningModel, Gate], GatedMixture],
    on_note: Callable[[str], None],
) -> LearnedToAdapt:
    """
    Find the rate, and the gate, on a run's validation text; or read what was found before.

    Args:
        run: the run.
        begun: the settings to begin with, and a gate that knows nothing of networks; None: no mixture.
        choose_rate: whether to find the rate, too.
        network: gives the network that adapts with some settings.
        mixture: gives the mixture of all that adapts, from such a network and a gate.
        on_note: told before this takes a while.
    """
    if not run.valid_tokens.exists():
        return begun
    kept = _Kept.of(run)
    config = begun.config
    ids = read_tokens(run.valid_tokens, network(config).vocabulary_size)[:MIXED_TOKENS]
    if len(ids) < FEWEST_TOKENS:
        return begun

    def noted() -> None:
        on_note(f"learning on {run.valid_text} how to adapt, which is kept in {run.adapting}")

    if choose_rate:
        settings = replace(config, rate=0.0)
        rate = kept.rate(settings)
        if rate is None:
            noted()
            rate = best_rate(network, config, ids[:RATE_TOKENS])
            kept.put(settings, rate=rate)
        config = replace(config, rate=rate)
        kept.save()
    if begun.gate is None:
        return LearnedToAdapt(config, None)
    gate = kept.gate(config, begun.gate)
    if gate is None:
        if not kept.changed:
            noted()
        gate = gate_after(mixture(network(config), begun.gate), ids)
        kept.put(config, gate=gate)
    kept.save()
    return LearnedToAdapt(config, gate)


def best_rate(
    network: Callable[[AdaptingConfig], LearningModel], config: AdaptingConfig, ids: IdArray
) -> float:
    """The rate with which a network predicts a text best, of those FACTOR apart around that of `config`."""

    def nats(rate: float) -> float:
        try:
            return mean_nats(network(replace(config, rate=rate)), ids)[0]
        except NumericalError:
            return np.inf

    tried = {config.rate: nats(config.rate)}
    best = config.rate
    for factor in (FACTOR, 1 / FACTOR):
        while len(tried) < MOST_TRIES:
            rate = best * factor
            if rate in tried:
                break
            tried[rate] = nats(rate)
            if tried[rate] >= tried[best]:
                break
            best = rate
    return best


def gate_after(mixture: GatedMixture, ids: IdArray) -> Gate:
    """The gate of a mixture after it has read a text, (N,)."""
    return mixture.advance(mixture.start(1), np.asarray(ids)[:, None]).streams[0].gate


class _Kept:
    """What was found before, in a file."""

    def __init__(self, file: Path, models: list[str], found: dict[str, Any]) -> None:
        self._file, self._models, self._found = file, models, found
        self.changed = False

    @classmethod
    def of(cls, run: RunFolder) -> "_Kept":
        """What a run keeps; nothing if its models changed or the file is damaged: it can be found again."""
        models = [sha256(file.read_bytes()).hexdigest() for file in (run.model, run.ngram) if file.exists()]
        try:
            saved = json.loads(run.adapting.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            saved = None
        match saved:
            case {"models": list(kept), "found": dict(found)} if kept == models:
                return cls(run.adapting, models, found)
            case _:
                return cls(run.adapting, models, {})

    def rate(self, settings: AdaptingConfig) -> float | None:
        """The best rate with some settings."""
        match self._found.get(_key(settings)):
            case {"rate": float(rate)} if 0 < rate < 1:
                return rate
            case _:
                return None

    def gate(self, settings: AdaptingConfig, like: Gate) -> Gate | None:
        """The gate for some settings, if it has the shape of another."""
        match self._found.get(_key(settings)):
            case {"gate": dict(values)}:
                with suppress(ValueError):
                    return Gate.from_json(values, like)
        return None

    def put(self, settings: AdaptingConfig, *, rate: float | None = None, gate: Gate | None = None) -> None:
        """Keep what was found with some settings."""
        self._found[_key(settings)] = {"rate": rate} if gate is None else {"gate": gate.to_json()}
        self.changed = True

    def save(self) -> None:
        """Write it, if anything is new."""
        if self.changed:
            with suppress(WriteError):  # in a read-only folder it is found anew each time
                write_text(self._file, json.dumps({"models": self._models, "found": self._found}) + "\n")


def _key(settings: AdaptingConfig) -> str:
    return json.dumps(asdict(settings), sort_keys=True)
