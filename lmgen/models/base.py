"""
The protocol that evaluation, generation and everything to their right are written against.

A state stands between two tokens. It is all that a model remembers of the tokens before, for each of B
streams; only the model that made it knows what is inside.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from lmgen.arrays import Float64Array, FloatArray, IdArray, Tensors

if TYPE_CHECKING:
    from lmgen.models.network.model import RecurrentModel
    from lmgen.models.ngram.model import NgramModel

State = Any
"""Opaque to everyone but its model. A state is never changed in place, so it can be kept and used again."""


ROUNDING = 0.01
"""
The largest log-probability above 0 that is taken for a rounding error instead of a damaged model.

Rounding to float32 adds far less. An ARPA file that gives each log10 with three decimals may be wrong by
0.00115 in each number, and a log-probability adds up one number for each order: below 0.01 up to order 8.
"""


class LanguageModel(Protocol):
    """P(next token | all tokens before), for B streams side by side. All logarithms are natural."""

    @property
    def kind(self) -> str:
        """What sort of model it is, the `kind` in its file's header: `recurrent`, `ngram`, `mixture`."""

    @property
    def name(self) -> str:
        """A word or two for tables and messages: `lstm`, `ngram-5`."""

    @property
    def vocabulary_size(self) -> int:
        """V: ids are 0 .. V - 1."""

    @property
    def reads_in_order(self) -> bool:
        """
        Whether a text has to be read as one stream, from its first token to its last.

        True for a model that adapts while it reads, a `LearningModel`: it needs the whole text before a
        token, not only the last few hundred tokens. A text is otherwise read faster in parallel pieces.
        """

    @property
    def resets_at(self) -> int | None:
        """
        The token that ends a text, if reading on over it is slow; None: there is none, or it is not.

        A network starts anew there, in one of B streams while the others go on. Whole texts are then read
        faster side by side.
        """

    @property
    def format_version(self) -> int:
        """The oldest version of the file format that can hold it (model_file.py)."""

    def start(self, streams: int) -> State:
        """The state before the first token of a text, for B = `streams` streams."""

    def predict(self, state: State) -> FloatArray:
        """Log-probabilities of the next token, (B, V): each row sums to 1 when exponentiated."""

    def advance(self, state: State, ids: IdArray) -> State:
        """The state after reading T more tokens a stream; `ids` is (T, B)."""

    def score(self, state: State, ids: IdArray) -> tuple[FloatArray, State]:
        """
        Log-probability of each of the tokens `ids`, (T, B), given all before it; and the state after them.

        The same as T times `predict`, pick, `advance`, and faster. Memory may grow with T * B * V: callers
        choose T.
        """

    def select(self, state: State, streams: Sequence[int]) -> State:
        """The state of the listed streams, in that order; one may be listed twice, or left out."""

    def describe(self) -> dict[str, Any]:
        """
        What the model is, as JSON values: `name`, `vocabulary_size`, `parameters`, and what its kind adds.

        `parameters` counts the numbers that were estimated: a network's weights, an n-gram model's n-grams.
        """

    def to_tensors(self) -> tuple[dict[str, Any], Tensors]:
        """
        What a model file keeps: the configuration, as JSON values, and the arrays.

        The `from_tensors` of the same kind (model_file.py lists them) makes the model of it again. Arrays of
        two dimensions are weights, which a file may store in fewer bytes.
        """

    def as_network(self) -> "RecurrentModel | None":
        """The network that training can go on from; None for a model that is none."""

    def as_ngrams(self) -> "NgramModel | None":
        """The model as tables of n-grams, which an ARPA file can hold; None for a model that has none."""


class SharedModel(LanguageModel, Protocol):
    """A model whose streams may come and go while it is in use, as any of a file may."""

    def join(self, states: Sequence[State]) -> State:
        """
        The state of the streams of several states, one after another.

        Each stream goes on as it would have alone. One of `start(1)` is rounded differently by networks: take
        it from `start(2)` by `select`.
        """


class LearningModel(LanguageModel, Protocol):
    """A model that goes on learning from what it reads; its states hold what was learned."""

    def restart(self, state: State) -> State:
        """The state of the same streams before the first token of other texts, with all that was learned."""

    def follow(self, state: State, ids: IdArray) -> State:
        """The state after tokens, (T, B), that are context only: nothing is learned from them."""


@runtime_checkable
class PredictsEach(Protocol):
    """A model that can predict at many places of a text at once."""

    def predict_each(self, state: State, ids: IdArray) -> tuple[FloatArray, State]:
        """As the function of that name."""


def predict_each(model: LanguageModel, state: State, ids: IdArray) -> tuple[FloatArray, State]:
    """
    Log-probabilities of all tokens that may come before each of `ids`, (T, B), as (T, B, V); the state after.

    The same as T times `predict`, `advance`; faster if the model is one that `PredictsEach`.
    """
    if isinstance(model, PredictsEach):
        return model.predict_each(state, ids)
    found = [np.zeros((0, ids.shape[1], model.vocabulary_size), np.float32)]
    for row in ids:
        found.append(model.predict(state)[None])
        state = model.advance(state, row[None])
    return np.concatenate(found), state


@runtime_checkable
class LooksUp(Protocol):
    """A model whose `score` looks up the log-probabilities that it returns, and computes no others."""

    score_width: int
    """As the function of that name."""


def score_width(model: LanguageModel) -> int:
    """How many numbers `score` holds at once for each token: V, unless the model is one that `LooksUp`."""
    return model.score_width if isinstance(model, LooksUp) else model.vocabulary_size


@runtime_checkable
class SharedByThreads(Protocol):
    """A model that may be used by several threads at once, as those in use on a CPU may."""

    in_threads: bool


def in_threads(model: LanguageModel) -> bool:
    """Whether several threads may use a model at once: only if it says so."""
    return isinstance(model, SharedByThreads) and model.in_threads


def nats_of(log_probabilities: FloatArray) -> Float64Array:
    """
    Negative log-probabilities, in double precision.

    A log-probability slightly above 0 is a rounding error and counts as 0. One further above 0, or NaN, gives
    NaN.
    """
    nats = np.maximum(0.0 - log_probabilities.astype(np.float64), 0.0)
    nats[log_probabilities > ROUNDING] = np.nan
    return nats
