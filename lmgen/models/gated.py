"""
A mixture whose weights depend on the context and learn online.

The experts of several members (opinions.py) are mixed by a gate (gates.py). After every STRIDE tokens of a
stream the gate takes a step on their log-likelihood, so a token is predicted before anything is learned from
it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from lmgen.arrays import Float64Array, IdArray, Tensors
from lmgen.errors import ModelError
from lmgen.models.gates import Gate, Heard, LinearGate
from lmgen.models.opinions import Member

AT_ONCE = 256
"""The most tokens of a stream that the opinions on all tokens are kept of."""

STRIDE = 32
"""Tokens of a stream between two steps."""

LATELY = 0.5
"""Decay of the moving average of how well each expert predicted; with it a mean of about two tokens."""

SMALLEST = 1e-8


class _StreamState(NamedTuple):
    """What the gate knows of one stream."""

    gate: Gate
    waiting: Heard
    """The tokens since the gate's last step, fewer than STRIDE; signals (n, F + K)."""
    lately: Float64Array
    """How well each expert predicted the last few tokens, (K,): signals beside the members' F."""
    last: int
    """The last token; 0 before the first."""


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
        self,
        members: Sequence[Member],
        vocabulary_size: int,
        name: str,
        gate: Gate | None = None,
    ) -> None:
        """
        Args:
            members: at least one, over the same ids.
            vocabulary_size: V.
            name: for tables and messages.
            gate: where it begins; None: a linear one that trusts all experts alike.
        """
        self.members = tuple(members)
        self.vocabulary_size = vocabulary_size
        self.name = name
        experts, signals = sum(m.experts for m in members), sum(m.signals for m in members)
        self.gate = gate or LinearGate.new(signals + experts, experts)
        self._of_all = self.gate.needs_all
        shape = (0, vocabulary_size, experts) if self._of_all else (0, experts)
        no_ids = np.zeros(0, np.int64)
        nothing = Heard(np.zeros(shape), np.zeros((0, signals + experts)), no_ids, no_ids)
        self._begun = _StreamState(self.gate, nothing, np.zeros(experts), 0)

    def start(self, streams: int) -> GatedState:
        """The state before the first token, for B streams."""
        members = tuple(member.start(streams) for member in self.members)
        return GatedState(members, (self._begun,) * streams)

    def restart(self, state: GatedState) -> GatedState:
        """The state before the first token of other texts, with all that was learned."""
        count = len(state.streams)
        each = zip(self.members, state.members, strict=True)
        members = tuple(member.restart(own, count) for member, own in each)
        begun = self._begun
        streams = (stream._replace(lately=begun.lately, last=begun.last) for stream in state.streams)
        return GatedState(members, tuple(streams))

    def predict(self, state: GatedState) -> Float64Array:
        """Log-probabilities of the next token, (B, V)."""
        each = [member.opinions(own) for member, own in zip(self.members, state.members, strict=True)]
        experts, signals = (np.concatenate(parts, axis=-1) for parts in zip(*each, strict=True))
        return np.concatenate(
            [
                stream.gate.predict(
                    opinions[None], np.concatenate([own, stream.lately])[None], np.array([stream.last])
                )
                for stream, opinions, own in zip(state.streams, experts, signals, strict=True)
            ]
        )

    def score(self, state: GatedState, ids: IdArray) -> tuple[Float64Array, GatedState]:
        """Log-probability of each of `ids`, (T, B), and the state after them, which has learned from them."""
        if not self._of_all:
            return self._scored(state, ids)
        found = [np.zeros((0, ids.shape[1]))]
        for piece in in_pieces(ids):
            scored, state = self._scored(state, piece)
            found.append(scored)
        return np.concatenate(found), state

    def _scored(self, state: GatedState, ids: IdArray) -> tuple[Float64Array, GatedState]:
        each = zip(self.members, state.members, strict=True)
        scored = [(member.opinions_each if self._of_all else member.score)(own, ids) for member, own in each]
        experts, signals = (
            np.concatenate(parts, axis=-1) for parts in zip(*(each for each, _ in scored), strict=True)
        )
        columns = [
            _learned(stream, experts[:, place], signals[:, place], ids[:, place])
            for place, stream in enumerate(state.streams)
        ]
        found = np.stack([log_probabilities for log_probabilities, _ in columns], axis=1)
        after = GatedState(tuple(each for _, each in scored), tuple(stream for _, stream in columns))
        return found, after

    def advance(self, state: GatedState, ids: IdArray) -> GatedState:
        """The state after reading `ids`, (T, B), and learning from them."""
        return self.score(state, ids)[1]

    def follow(self, state: GatedState, ids: IdArray) -> GatedState:
        """The state after tokens, (T, B), that are context only: nothing is learned from them."""
        each = zip(self.members, state.members, strict=True)
        members = tuple(member.follow(own, ids) for member, own in each)
        if not len(ids):
            return state._replace(members=members)
        streams = zip(state.streams, ids[-1].tolist(), strict=True)
        return GatedState(members, tuple(stream._replace(last=last) for stream, last in streams))

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


def in_pieces(ids: IdArray) -> Iterator[IdArray]:
    """Tokens, (T, B), in pieces that are read one after the other where opinions on all tokens are kept."""
    return (ids[first : first + AT_ONCE] for first in range(0, len(ids), AT_ONCE))


def _learned(
    stream: _StreamState, probabilities: Float64Array, signals: Float64Array, ids: IdArray
) -> tuple[Float64Array, _StreamState]:
    """
    Let one stream read T tokens.

    Args:
        stream: what the gate knows of it.
        probabilities: the members', as `Heard` has them.
        signals: the members', (T, F).
        ids: (T,).

    Returns:
        The log-probability of each, (T,), and what the gate knows after them.
    """
    gate, waiting, lately, last = stream
    before = np.concatenate([[last], ids[:-1]]) if len(ids) else ids
    coming = Heard(probabilities, signals, ids, before)
    found = []
    while len(coming.ids):
        room = STRIDE - len(waiting.ids)
        now, coming = coming.cut(slice(room)), coming.cut(slice(room, None))
        each = lately_right(now.right, lately)
        lately = each[-1]
        now = now._replace(signals=np.concatenate([now.signals, each[:-1]], axis=-1))
        found.append(gate.score(now))
        waiting = waiting.with_more(now)
        if len(waiting.ids) == STRIDE:
            gate = gate.learned(waiting)
            waiting = waiting.cut(slice(0))
    after = _StreamState(gate, waiting, lately, int(ids[-1]) if len(ids) else last)
    return np.concatenate(found) if found else np.zeros(0), after


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
