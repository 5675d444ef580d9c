"""
The same models learning from a text while they read it, for `perplexity --adapt`.

    lstm+adapt        the network, a gradient step after every k tokens (training/adapting.py)
    ngram-N+adapt     counts of the training text and of all that was read (models/ngram/growing/)
    mixture+adapt     the experts of both and the network as trained, mixed by a gate (models/gated.py)

Gradients need torch, so the module that has them is opened by its name, when a network adapts and only then.
"""

from importlib import import_module
from typing import Any

import numpy as np

from lmgen.arrays import FloatArray, IdArray
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import read_tokens
from lmgen.models.adapting import MIXTURE_NAME, AdaptingConfig
from lmgen.models.base import LanguageModel, State
from lmgen.models.gated import Gate, GatedMixture
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.growing.contexts import Contexts, WordRule
from lmgen.models.ngram.growing.model import GrowingCounts
from lmgen.models.ngram.model import NgramModel
from lmgen.models.opinions import Member, OneExpert
from lmgen.tokenizers.base import Tokenizer

GATE_TOKENS = 100_000
"""Tokens at the end of the training text that the gate learns from; half the text at most."""


def adapting_network(network: RecurrentModel, config: AdaptingConfig) -> LanguageModel:
    """A network that learns from what it reads. Imports torch."""
    adapting = import_module("lmgen.training.adapting")
    model: LanguageModel = adapting.AdaptingNetwork(network, config)
    return model


def growing_counts(order: int, tokenizer: Tokenizer, training: IdArray) -> tuple[GrowingCounts, Gate]:
    """
    Counts that begin from those of a training text, (N,), and a gate over their experts.

    The gate has learned from the last GATE_TOKENS of the text, while they were counted.
    """
    contexts = Contexts(order, tokenizer.sentence_end, word_rule(tokenizer))
    empty = GrowingCounts(contexts, tokenizer.vocabulary_size)
    learning = GatedMixture([empty], tokenizer.vocabulary_size, "counts")
    first = max(len(training) - GATE_TOKENS, len(training) // 2)
    state = learning.start(1)
    state = state._replace(members=(empty.advance(state.members[0], training[:first, None]),))
    state = learning.advance(state, training[first:, None])
    return empty.begun_after(state.members[0]), state.streams[0].gate


def adapting_models(
    model: LanguageModel,
    baseline: NgramModel | None,
    tokenizer: Tokenizer,
    run: RunFolder | None,
    config: AdaptingConfig,
    *,
    mix: bool,
) -> list[LanguageModel]:
    """
    The models that learn from the text, each named after the one that it begins from.

    Args:
        model: the model in question.
        baseline: the n-gram model beside it; None if there is none.
        tokenizer: the model's.
        run: whose training text the counts begin from.
        config: how a network learns.
        mix: whether to mix them, too.
    """
    found: list[LanguageModel] = []
    members: list[Member] = []
    network = model.as_network()
    if network is not None:
        adapting = _Remembering(adapting_network(network, config))
        found.append(adapting)
        members += [OneExpert(model), OneExpert(adapting)]
    if baseline is not None and run is not None:
        training = read_tokens(run.train_tokens, tokenizer.vocabulary_size)
        counts, gate = growing_counts(baseline.order, tokenizer, training)
        shared: Any = _Remembering(counts)
        found.append(GatedMixture([shared], tokenizer.vocabulary_size, f"{baseline.name}+adapt", gate))
        members.append(shared)
    if mix:
        found.append(GatedMixture(members, tokenizer.vocabulary_size, MIXTURE_NAME))
    return found


def word_rule(tokenizer: Tokenizer) -> WordRule | None:
    """How a tokenizer's tokens make up words; None where each is a word already."""
    if tokenizer.tokens_are_words:
        return None
    values = np.zeros(tokenizer.vocabulary_size, np.uint64)
    resets = np.ones(tokenizer.vocabulary_size, np.bool_)
    for token in range(tokenizer.vocabulary_size):
        if token in tokenizer.special_ids:
            continue
        piece = tokenizer.piece(token)
        letters = piece.strip().casefold()
        if all(each.isalnum() or each in "'’" for each in letters) and letters:
            values[token] = np.uint64(int.from_bytes(letters.encode("utf-8", "surrogateescape")[-7:], "big"))
            resets[token] = piece[0].isspace()
    return WordRule(values, resets)


class _Remembering:
    """A model that two readers of one text share, in step: what one of them asked, the other gets at once."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._asked: dict[str, tuple[Any, ...]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def start(self, streams: int) -> State:
        """The model's, the same object for all."""
        return self._once("start", (streams,), lambda: self._model.start(streams))

    def score(self, state: State, ids: IdArray) -> tuple[FloatArray, State]:
        """The model's."""
        found: tuple[FloatArray, State] = self._once(
            "score", (id(state), ids.shape, ids.tobytes()), lambda: self._model.score(state, ids), state
        )
        return found

    def advance(self, state: State, ids: IdArray) -> State:
        """The model's."""
        return self.score(state, ids)[1]

    def _once(self, what: str, asked: tuple[Any, ...], answer: Any, kept: object = None) -> Any:
        """The last answer, if the same is asked; `kept` stays alive, so that its id is no other's."""
        if what not in self._asked or self._asked[what][0] != asked:
            self._asked[what] = asked, answer(), kept
        return self._asked[what][1]
