"""
A mixture whose weights depend on the context and learn online.

    P(v | context) = Σ_k w_k(s) p_k(v | context)          w(s) = softmax(B tanh(A s + a) + C s + b)

The p_k are the opinions of the members' experts. The signals s tell how far to trust each: how often its
context was seen, and how well it predicted the last few tokens. After every STRIDE tokens of a stream the
gate takes a step of Adam (Kingma and Ba 2015) on their log-likelihood, so a token is predicted before
anything is learned from it. Weights that are a function
of what is seen are as old as "mixtures of experts" (Jacobs, Jordan, Nowlan and Hinton 1991); that a gate
learns from every symbol is what strong compressors do (Mattern 2012; Knoll and de Freitas 2012).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from lmgen.arrays import Float64Array, IdArray, Tensors
from lmgen.errors import ModelError
from lmgen.models.opinions import Member, Opinions

STRIDE = 32
"""Tokens of a stream between two steps."""

LATELY = 0.5
"""Decay of the moving average of how well each expert predicted; with it a mean of about two tokens."""

UNITS = 32
RATE = 2e-3
DECAYS = 0.9, 0.999
SMALLEST = 1e-8

Weights = Mapping[str, Float64Array]
"""Arrays by name: `hidden` (F, U), `hidden_bias` (U,), `output` (U, K), `direct` (F, K), `bias` (K,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """The weights of a gate at one moment, with what Adam remembers; never changed in place."""

    weights: dict[str, Float64Array]
    first: dict[str, Float64Array]
    second: dict[str, Float64Array]
    steps: int = 0

    def with_experts(self, more: int, bias: float) -> "Gate":
        """
        The same for a mixture with more experts, which come before those that it has.

        Args:
            more: how many; the gate gets a signal of how well each predicted lately, too.
            bias: of theirs, beside those of the others as they are.
        """
        lately = len(self.weights["direct"]) - len(self.weights["bias"])  # where those signals begin

        def widened(arrays: Weights, bias: float) -> dict[str, Float64Array]:
            rows = {
                name: np.insert(arrays[name], [lately] * more, 0.0, axis=0) for name in ("hidden", "direct")
            }
            return {
                "hidden": rows["hidden"],
                "hidden_bias": arrays["hidden_bias"],
                "output": np.insert(arrays["output"], [0] * more, 0.0, axis=1),
                "direct": np.insert(rows["direct"], [0] * more, 0.0, axis=1),
                "bias": np.insert(arrays["bias"], [0] * more, bias),
            }

        return replace(
            self,
            weights=widened(self.weights, bias),
            first=widened(self.first, 0.0),
            second=widened(self.second, 0.0),
        )

    @classmethod
    def new(cls, signals: int, experts: int, seed: int = 0) -> "Gate":
        """A gate that trusts all experts alike."""
        random = np.random.default_rng(seed)
        weights = {
            "hidden": random.normal(size=(signals, UNITS)) / np.sqrt(max(signals, 1)),
            "hidden_bias": np.zeros(UNITS),
            "output": np.zeros((UNITS, experts)),
            "direct": np.zeros((signals, experts)),
            "bias": np.zeros(experts),
        }
        nothing = {name: np.zeros_like(each) for name, each in weights.items()}
        return cls(weights, nothing, dict(nothing))

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        parts = {"weights": self.weights, "first": self.first, "second": self.second}
        arrays = {part: {name: each.tolist() for name, each in own.items()} for part, own in parts.items()}
        return {**arrays, "steps": self.steps}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], like: "Gate") -> "Gate":
        """
        What `to_json` gave.

        Raises:
            ValueError: it is something else, or of other shapes than the gate `like`.
        """
        try:
            weights, first, second = (
                {name: np.array(values[part][name], np.float64) for name in like.weights}
                for part in ("weights", "first", "second")
            )
            gate = cls(weights, first, second, int(values["steps"]))
        except (KeyError, TypeError) as error:
            raise ValueError("these are not the values of a gate") from error
        for part in (gate.weights, gate.first, gate.second):
            for name, each in like.weights.items():
                if part[name].shape != each.shape or not np.isfinite(part[name]).all():
                    raise ValueError(f"{name} of a gate has another shape, or is not finite")
        return gate

    def shares(self, signals: Float64Array) -> Float64Array:
        """The weight of each expert: (..., F) -> (..., K)."""
        return self._forward(signals)[1]

    def learned(self, signals: Float64Array, probabilities: Float64Array) -> "Gate":
        """The gate after a step on N tokens. Args are those of `gradients`."""
        return self._stepped(self.gradients(signals, probabilities))

    def gradients(self, signals: Float64Array, probabilities: Float64Array) -> Weights:
        """
        Gradients of the mean negative log-probability of N tokens.

        Args:
            signals: (N, F).
            probabilities: of each token under each expert, (N, K).
        """
        hidden, shares = self._forward(signals)
        joint = shares * probabilities
        errors = (shares - joint / joint.sum(axis=-1, keepdims=True)) / len(signals)
        back = (errors @ self.weights["output"].T) * (1 - hidden * hidden)
        return {
            "hidden": signals.T @ back,
            "hidden_bias": back.sum(axis=0),
            "output": hidden.T @ errors,
            "direct": signals.T @ errors,
            "bias": errors.sum(axis=0),
        }

    def _forward(self, signals: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Hidden units and shares."""
        weights = self.weights
        hidden = np.tanh(signals @ weights["hidden"] + weights["hidden_bias"])
        scores = hidden @ weights["output"] + signals @ weights["direct"] + weights["bias"]
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return hidden, shares / shares.sum(axis=-1, keepdims=True)

    def _stepped(self, gradients: Weights) -> "Gate":
        steps = self.steps + 1
        weights, first, second = {}, {}, {}
        for name, gradient in gradients.items():
            first[name] = DECAYS[0] * self.first[name] + (1 - DECAYS[0]) * gradient
            second[name] = DECAYS[1] * self.second[name] + (1 - DECAYS[1]) * gradient**2
            mean = first[name] / (1 - DECAYS[0] ** steps)
            scale = np.sqrt(second[name] / (1 - DECAYS[1] ** steps)) + SMALLEST
            weights[name] = self.weights[name] - RATE * mean / scale
        return replace(self, weights=weights, first=first, second=second, steps=steps)


class _StreamState(NamedTuple):
    """What the gate knows of one stream."""

    gate: Gate
    waiting: Opinions
    """Opinions on the tokens since the gate's last step, fewer than STRIDE, (n, K) and (n, F + K)."""
    lately: Float64Array
    """How well each expert predicted the last few tokens, (K,): signals beside the members' F."""


class GatedState(NamedTuple):
    """The state of a gated mixture."""

    members: tuple[Any, ...]
    streams: tuple[_StreamState, ...]


class GatedMixture:
    """Members that are mixed by a gate; itself a `LanguageModel`, which learns from what it reads."""

    kind = "gated"
    reads_in_order = True
    resets_at = None

    def __init__(
        self, members: Sequence[Member], vocabulary_size: int, name: str, gate: Gate | None = None
    ) -> None:
        """
        Args:
            members: at least one, over the same ids.
            vocabulary_size: V.
            name: for tables and messages.
            gate: where it begins; None: all experts are trusted alike.
        """
        self.members = tuple(members)
        self.vocabulary_size = vocabulary_size
        self.name = name
        experts, signals = sum(m.experts for m in members), sum(m.signals for m in members)
        self.gate = gate or Gate.new(signals + experts, experts)
        nothing = Opinions(np.zeros((0, experts)), np.zeros((0, signals + experts)))
        self._begun = _StreamState(self.gate, nothing, np.zeros(experts))

    def start(self, streams: int) -> GatedState:
        """The state before the first token, for B streams."""
        members = tuple(member.start(streams) for member in self.members)
        return GatedState(members, (self._begun,) * streams)

    def restart(self, state: GatedState) -> GatedState:
        """The state before the first token of other texts, with all that was learned."""
        count = len(state.streams)
        each = zip(self.members, state.members, strict=True)
        members = tuple(member.restart(own, count) for member, own in each)
        fresh = np.zeros_like(self._begun.lately)
        return GatedState(members, tuple(stream._replace(lately=fresh) for stream in state.streams))

    def predict(self, state: GatedState) -> Float64Array:
        """Log-probabilities of the next token, (B, V)."""
        each = [member.opinions(own) for member, own in zip(self.members, state.members, strict=True)]
        experts, signals = (np.concatenate(parts, axis=-1) for parts in zip(*each, strict=True))
        shares = np.stack(
            [
                stream.gate.shares(np.concatenate([own, stream.lately]))
                for stream, own in zip(state.streams, signals, strict=True)
            ]
        )
        mixed: Float64Array = np.log(np.einsum("bvk,bk->bv", experts, shares))
        return mixed

    def score(self, state: GatedState, ids: IdArray) -> tuple[Float64Array, GatedState]:
        """Log-probability of each of `ids`, (T, B), and the state after them, which has learned from them."""
        scored = [member.score(own, ids) for member, own in zip(self.members, state.members, strict=True)]
        experts, signals = (
            np.concatenate(parts, axis=-1) for parts in zip(*(each for each, _ in scored), strict=True)
        )
        columns = [
            _learned(stream, Opinions(experts[:, place], signals[:, place]))
            for place, stream in enumerate(state.streams)
        ]
        found = np.stack([probabilities for probabilities, _ in columns], axis=1)
        after = GatedState(tuple(each for _, each in scored), tuple(stream for _, stream in columns))
        return np.log(found), after

    def advance(self, state: GatedState, ids: IdArray) -> GatedState:
        """The state after reading `ids`, (T, B), and learning from them."""
        return self.score(state, ids)[1]

    def follow(self, state: GatedState, ids: IdArray) -> GatedState:
        """The state after tokens, (T, B), that are context only: nothing is learned from them."""
        each = zip(self.members, state.members, strict=True)
        return state._replace(members=tuple(member.follow(own, ids) for member, own in each))

    @property
    def format_version(self) -> int:
        """As `to_tensors`."""
        raise self._not_saved()

    def describe(self) -> dict[str, Any]:
        """Its name, and the weights of its gate as `parameters`."""
        return {
            "name": self.name,
            "vocabulary_size": self.vocabulary_size,
            "parameters": sum(array.size for array in self.gate.weights.values()),
        }

    def to_tensors(self) -> tuple[dict[str, Any], Tensors]:
        """
        Not possible: it is made anew from its members.

        Raises:
            ModelError: always.
        """
        raise self._not_saved()

    def as_network(self) -> None:
        """None: it is no network, even where a member is."""

    def as_ngrams(self) -> None:
        """None: it has no tables of n-grams."""

    def _not_saved(self) -> ModelError:
        return ModelError(f"{self.name} has no file: it is made of other models, which are saved")

    def select(self, state: GatedState, streams: Sequence[int]) -> GatedState:
        """The state of the listed streams."""
        each = zip(self.members, state.members, strict=True)
        members = tuple(member.select(own, streams) for member, own in each)
        return GatedState(members, tuple(state.streams[stream] for stream in streams))


def _learned(stream: _StreamState, opinions: Opinions) -> tuple[Float64Array, _StreamState]:
    """The mixed probabilities of T tokens that one stream reads, (T,), and what the gate knows after them."""
    gate, waiting, lately = stream
    found = []
    while len(opinions.signals):
        room = STRIDE - len(waiting.signals)
        now, opinions = (
            Opinions(*(part[cut] for part in opinions)) for cut in (slice(room), slice(room, None))
        )
        each = lately_right(now.probabilities, lately)
        lately = each[-1]
        now = now._replace(signals=np.concatenate([now.signals, each[:-1]], axis=-1))
        found.append((gate.shares(now.signals) * now.probabilities).sum(axis=-1))
        waiting = Opinions(*map(np.concatenate, zip(waiting, now, strict=True)))
        if len(waiting.signals) == STRIDE:
            gate = gate.learned(waiting.signals, waiting.probabilities)
            waiting = Opinions(*(part[:0] for part in waiting))
    return np.concatenate(found) if found else np.zeros(0), _StreamState(gate, waiting, lately)


def lately_right(probabilities: Float64Array, before: Float64Array) -> Float64Array:
    """
    How well each expert predicted the last few tokens: the moving average of log p less the experts' mean.

    Args:
        probabilities: of T tokens under K experts, (T, K).
        before: what it was before them, (K,).

    Returns:
        Before each token and after the last, (T + 1, K).
    """
    nats = np.log(np.maximum(probabilities, SMALLEST))
    found = np.concatenate([before[None], (1 - LATELY) * (nats - nats.mean(axis=-1, keepdims=True))])
    for place in range(1, len(found)):
        found[place] += LATELY * found[place - 1]
    return found
