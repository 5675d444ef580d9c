"""
With which steps a run's network adapts, how sharp its cache is, and from which gate a mixture begins.

All are found on the beginning of the run's validation text, once, and kept in `adapting.json` until one of
the models changes. Where that text itself is scored nothing is found on it.
"""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from lmgen.arrays import IdArray
from lmgen.data.run_folder import RunFolder
from lmgen.data.verified import read_kept_tokens
from lmgen.errors import ConfigError, NumericalError, WriteError
from lmgen.evaluation.scoring import mean_nats
from lmgen.files import write_text
from lmgen.models.adapting import AdaptingConfig, CacheConfig
from lmgen.models.base import LearningModel
from lmgen.models.cache import NetworkAndCache, cached_probabilities
from lmgen.models.gated import GatedMixture
from lmgen.models.gates import Gate
from lmgen.models.mixture import fit_weights, mix
from lmgen.models.network.model import RecurrentModel

RATE_TOKENS = 20_000
"""Tokens that each rate and each sharpness is tried on."""

MIXED_TOKENS = 50_000
"""Tokens that a gate learns from."""

FEWEST_TOKENS = 2_000
"""With fewer tokens of validation text nothing is found."""

FACTOR = 2.0
"""Between one rate, or sharpness, that is tried and the next."""

MOST_TRIES = 8

SMALLEST = 1e-300
"""Stands for a probability of 0, which has no logarithm."""

LARGEST_SHARE = 0.99
"""Of a cache: what it does not hold keeps a probability."""


@dataclass(frozen=True, slots=True)
class LearnedToAdapt:
    """How models begin to adapt."""

    config: AdaptingConfig | None
    """None: no network learns."""
    gate: Gate | None
    """Of a mixture; None: all experts are trusted alike, or there is no mixture."""
    cache: CacheConfig | None = None
    """None: no network has a cache."""


def learned_to_adapt(
    run: RunFolder,
    begun: LearnedToAdapt,
    *,
    given: Collection[str],
    name: str,
    network: RecurrentModel,
    adapted: Callable[[AdaptingConfig], LearningModel],
    mixture: Callable[[LearnedToAdapt], GatedMixture],
    is_saved: bool,
    on_note: Callable[[str], None],
) -> LearnedToAdapt:
    """
    Find rate, cache and gate on a run's validation text; or read what was found before.

    Args:
        run: the run.
        begun: the settings to begin with, and a gate that knows nothing of networks; None: no mixture.
        given: settings that stay as they are: `adapt_rate`, `cache_sharpness`, `cache_share`.
        name: of the mixture.
        network: the trained network.
        adapted: gives it adapting with some settings.
        mixture: gives the mixture that begins with some settings and gate.
        is_saved: whether the network is that of the run's file; nothing is kept for any other.
        on_note: told before this takes a while.
    """
    if not run.valid_tokens.exists():
        return begun
    kept = _Kept.of(run) if is_saved else _Kept(None, [], {})
    ids = read_kept_tokens(run, run.valid_tokens, network.vocabulary_size)[:MIXED_TOKENS]
    if len(ids) < FEWEST_TOKENS:
        return begun

    def noted() -> None:
        if not kept.changed:
            where = f", which is kept in {run.adapting}" if is_saved else ""
            on_note(f"learning on {run.valid_text} how to adapt{where}")

    config, cache = begun.config, begun.cache
    if config is not None and "adapt_rate" not in given:
        settings = replace(config, rate=None)
        rate = kept.rate(settings)
        if rate is None:
            noted()
            rate = best_rate(adapted, config, ids[:RATE_TOKENS])
            kept.put(_key(settings), {"rate": rate})
        config = replace(config, rate=rate)
    if cache is not None and not {"cache_sharpness", "cache_share"} <= set(given):
        of_cache = {name: value for name, value in _cache_settings(cache).items() if name in given}
        key = json.dumps({"cache_size": cache.size, **of_cache}, sort_keys=True)
        known = kept.cache(key, cache)
        if known is None:
            noted()
            known = best_cache(network, cache, ids[:RATE_TOKENS], given)
            kept.put(key, _cache_settings(known))
        cache = known
    begun = LearnedToAdapt(config, begun.gate, cache)
    if begun.gate is not None:
        key = _gate_key(begun, name)
        gate = kept.gate(key, begun.gate)
        if gate is None:
            noted()
            gate = gate_after(mixture(begun), ids)
            kept.put(key, {"gate": gate.to_json()})
        begun = replace(begun, gate=gate)
    kept.save()
    return begun


def described_adapting(run: RunFolder) -> list[dict[str, Any]]:
    """
    What a run keeps of what was found, as JSON values: settings by the names of their flags, and gates.

    A gate is described by its number of `gate_experts` and of `gate_steps` that it has learned from.
    """
    described = []
    for key, found in _Kept.of(run).items():
        settings = {
            name if name.startswith("cache_") else f"adapt_{name}": value
            for name, value in key.items()
            if name != "of"
        }
        match found:
            case {"rate": float(rate)}:
                described.append({"of": "network", **settings, "adapt_rate": rate})
            case {"cache_size": int(), "cache_sharpness": float(), "cache_share": float()}:
                described.append({"of": "cache", **found})
            case {"gate": {"weights": {"bias": list(bias)}, "steps": int(steps)}}:
                of = {"of": key.get("of", "mixture+adapt"), **settings}
                described.append({**of, "gate_experts": len(bias), "gate_steps": steps})
    return described


def best_rate(
    network: Callable[[AdaptingConfig], LearningModel], config: AdaptingConfig, ids: IdArray
) -> float:
    """The rate with which a network predicts a text best, of those FACTOR apart around that of `config`."""

    def nats(rate: float) -> float:
        try:
            return mean_nats(network(replace(config, rate=rate)), ids)[0]
        except NumericalError:
            return np.inf

    return _best(config.size, nats)


def best_cache(
    network: RecurrentModel, config: CacheConfig, ids: IdArray, given: Collection[str] = ()
) -> CacheConfig:
    """
    The cache with which a network predicts a text best.

    Args:
        network: the network.
        config: where to begin; its size stays.
        ids: the text, (N,).
        given: `cache_sharpness` and `cache_share` if they are to stay, too.
    """
    ids = np.asarray(ids)
    column = ids[:, None]
    before, _ = network.read_before(network.start(1), column)
    of_network = network.chosen(before, column)[:, 0].astype(np.float64)
    hidden = np.ascontiguousarray(before[:, 0])
    nothing = NetworkAndCache(network, config).start(1).streams[0]
    shares: dict[float, float] = {}

    def nats(sharpness: float) -> float:
        found = cached_probabilities(nothing, hidden, ids, replace(config, sharpness=sharpness))
        of_cache = np.where(np.isnan(found), of_network, np.log(np.maximum(found, SMALLEST)))
        each = np.stack([of_network, of_cache], axis=-1)
        share = config.share if "cache_share" in given else min(fit_weights(each)[1], LARGEST_SHARE)
        shares[sharpness] = share
        return -float(mix(each, (1 - share, share)).mean())

    if "cache_sharpness" in given:
        nats(config.sharpness)
        best = config.sharpness
    else:
        best = _best(config.sharpness, nats)
    return replace(config, sharpness=best, share=shares[best])


def _best(first: float, nats: Callable[[float], float]) -> float:
    """The value with the fewest nats, of those FACTOR apart around the first."""
    tried = {first: nats(first)}
    best = first
    for factor in (FACTOR, 1 / FACTOR):
        while len(tried) < MOST_TRIES:
            value = best * factor
            if value in tried:
                break
            tried[value] = nats(value)
            if tried[value] >= tried[best]:
                break
            best = value
    return best


def gate_after(mixture: GatedMixture, ids: IdArray) -> Gate:
    """The gate of a mixture after it has read a text, (N,)."""
    return mixture.advance(mixture.start(1), np.asarray(ids)[:, None]).streams[0].gate


class _Kept:
    """What was found before, in a file; None: it is kept nowhere."""

    def __init__(self, file: Path | None, models: list[str], found: dict[str, Any]) -> None:
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

    def items(self) -> Iterator[tuple[dict[str, Any], Any]]:
        """All that was found, after the settings it was found with."""
        for key, found in self._found.items():
            with suppress(ValueError, RecursionError):
                if isinstance(settings := json.loads(key), dict):
                    yield settings, found

    def rate(self, settings: AdaptingConfig) -> float | None:
        """The best rate with some settings."""
        match self._found.get(_key(settings)):
            case {"rate": float(rate)} if 0 < rate < inf:
                return rate
            case _:
                return None

    def cache(self, key: str, like: CacheConfig) -> CacheConfig | None:
        """The best cache of the size of another."""
        match self._found.get(key):
            case {"cache_size": like.size, "cache_sharpness": float(sharpness), "cache_share": float(share)}:
                with suppress(ConfigError):
                    return replace(like, sharpness=sharpness, share=share)
        return None

    def gate(self, key: str, like: Gate) -> Gate | None:
        """The gate of a mixture, if it has the shape of another."""
        match self._found.get(key):
            case {"gate": dict(values)}:
                with suppress(ValueError):
                    return like.restored(values)
        return None

    def put(self, key: str, values: dict[str, Any]) -> None:
        """Keep what was found."""
        self._found[key] = values
        self.changed = True

    def save(self) -> None:
        """Write it, if anything is new."""
        if self.changed and self._file is not None:
            with suppress(WriteError):  # in a read-only folder it is found anew each time
                write_text(self._file, json.dumps({"models": self._models, "found": self._found}) + "\n")


def _key(settings: AdaptingConfig) -> str:
    return json.dumps(asdict(settings), sort_keys=True)


def _cache_settings(cache: CacheConfig) -> dict[str, Any]:
    """Its settings by the names of their flags."""
    return {f"cache_{name}": value for name, value in asdict(cache).items()}


def _gate_key(begun: LearnedToAdapt, name: str) -> str:
    """What tells a mixture's gate from that of another; without a cache as it always was."""
    if begun.cache is None and begun.config is not None:
        return _key(begun.config)
    settings = {} if begun.config is None else asdict(begun.config)
    cache = {} if begun.cache is None else _cache_settings(begun.cache)
    return json.dumps({"of": name, **settings, **cache}, sort_keys=True)
