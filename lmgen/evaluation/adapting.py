"""
The same models learning from a text while they read it, for `perplexity --adapt`.

    lstm+adapt        the network, a gradient step after every k tokens (training/adapting.py)
    ngram-N+adapt     counts of the training text and of all that was read (models/ngram/growing/)
    mixture+adapt     the experts of both and the network as trained, mixed by a gate (models/gated.py)

Gradients need torch, so the module that has them is opened by its name, when a network adapts and only then.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from lmgen.arrays import FloatArray, IdArray
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import read_tokens
from lmgen.evaluation.learning_to_adapt import LearnedToAdapt, learned_to_adapt
from lmgen.models.adapting import MIXTURE_NAME, Adapting, AdaptingConfig
from lmgen.models.base import LanguageModel, LearningModel, State
from lmgen.models.gated import Gate, GatedMixture
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.growing.contexts import Contexts, WordRule
from lmgen.models.ngram.growing.model import GrowingCounts
from lmgen.models.ngram.model import NgramModel
from lmgen.models.opinions import Member, OneExpert, OneLearner
from lmgen.tokenizers.base import Tokenizer

GATE_TOKENS = 100_000
"""Tokens at the end of the training text that the gate learns from; half the text at most."""


MOST_COUNTED = 20_000_000
"""Training tokens whose counts can grow: each takes about 200 bytes."""

NEW_EXPERTS_BIAS = 0.0
"""What networks that join a gate of counts alone begin with: it says nothing for them nor against them."""


class AdaptingModels:
    """The models that learn from the texts they are given, each named after the one that it begins from."""

    def __init__(
        self,
        model: LanguageModel,
        baseline: NgramModel | None,
        tokenizer: Tokenizer,
        run: RunFolder | None,
        adapting: Adapting,
        *,
        mix: bool,
        in_step: bool,
        on_note: Callable[[str], None],
    ) -> None:
        """
        Args:
            model: the model in question.
            baseline: the n-gram model beside it; None if there is none.
            tokenizer: the model's.
            run: whose training text the counts begin from, if the baseline does not keep its own.
            adapting: how they learn.
            mix: whether to mix them, too.
            in_step: whether all of them read the same tokens at a time.
            on_note: called with what a reader of the scores should know.
        """
        self._model, self._tokenizer, self._run, self._adapting = model, tokenizer, run, adapting
        self._network = model.as_network()
        training = _training_tokens(baseline, run)
        self._baseline = baseline.name if baseline is not None and training is not None else ""
        self._mix = mix
        self._in_step = in_step and not adapting.across
        self._on_note = on_note
        self._counts: GrowingCounts | None = None
        self._gate: Gate | None = None
        if baseline is not None and training is not None:
            if len(training) > MOST_COUNTED:
                on_note(
                    f"the counts of {self._baseline} do not grow: that takes too much memory for more than "
                    f"{MOST_COUNTED:,} training tokens"
                )
            else:
                self._counts, self._gate = growing_counts(baseline.order, tokenizer, training)
        self._made: dict[bool, list[LanguageModel]] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self._network is not None or self._counts is not None

    def for_text(self, *, validation: bool) -> list[LanguageModel]:
        """
        The models for a text.

        Args:
            validation: whether it is the run's validation text; then nothing was learned from that before.
        """
        if validation not in self._made:
            self._made[validation] = self._models(self._learned(validation=validation))
        return self._made[validation]

    def _learned(self, *, validation: bool) -> LearnedToAdapt:
        """With which settings, and from which gate, models begin."""
        network = self._network
        config, gate = self._adapting.config, None
        if self._gate is not None and self._mix:
            gate = self._gate.with_experts(2, NEW_EXPERTS_BIAS) if network is not None else self._gate
        begun = LearnedToAdapt(config, gate)
        if validation or self._run is None or network is None:
            return begun
        return learned_to_adapt(
            self._run,
            begun,
            choose_rate=not self._adapting.rate_is_given,
            network=lambda config: adapting_network(network, config),
            mixture=lambda learning, gate: self._mixture(learning, self._counts, gate),
            on_note=self._on_note,
        )

    def _models(self, begun: LearnedToAdapt) -> list[LanguageModel]:
        found: list[LanguageModel] = []
        shared: list[Any] = [None, None]  # by the mixture, if all read in step
        if self._network is not None:
            learning = adapting_network(self._network, begun.config, self._on_note)
            if self._in_step:
                learning = shared[0] = _Remembering(learning)
            elif self._mix:
                shared[0] = adapting_network(self._network, begun.config)
            found.append(learning)
        if self._counts is not None:
            counts: Any = _Remembering(self._counts) if self._in_step else self._counts
            shared[1] = counts
            name = f"{self._baseline}+adapt"
            found.append(GatedMixture([counts], self._tokenizer.vocabulary_size, name, self._gate))
        if self._mix:
            found.append(self._mixture(shared[0], shared[1], begun.gate))
        return [_Across(each) for each in found] if self._adapting.across else found  # type: ignore[arg-type]

    def _mixture(
        self, learning: LearningModel | None, counts: GrowingCounts | None, gate: Gate | None
    ) -> GatedMixture:
        members: list[Member] = []
        if learning is not None:
            members += [OneExpert(self._model), OneLearner(learning)]
        if counts is not None:
            members.append(counts)
        return GatedMixture(members, self._tokenizer.vocabulary_size, MIXTURE_NAME, gate)


def _training_tokens(baseline: NgramModel | None, run: RunFolder | None) -> IdArray | None:
    """What an n-gram model was fitted on, (N,); None where that is not known."""
    if baseline is None or baseline.training is not None or run is None:
        return None if baseline is None else baseline.training
    return read_tokens(run.train_tokens, baseline.vocabulary_size)


def adapting_network(
    network: RecurrentModel, config: AdaptingConfig, on_note: Callable[[str], None] = lambda _: None
) -> LearningModel:
    """A network that learns from what it reads; `on_note` is told if a step went wrong. Imports torch."""
    adapting = import_module("lmgen.training.adapting")
    model: LearningModel = adapting.AdaptingNetwork(network, config, on_note=on_note)
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


class _Across:
    """A model for one reader of texts, one after the other, that keeps what it learned from text to text."""

    def __init__(self, model: LearningModel) -> None:
        self._model = model
        self._last: State = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def start(self, streams: int) -> State:
        """The state before the next text."""
        self._last = self._model.start(streams) if self._last is None else self._model.restart(self._last)
        return self._last

    def score(self, state: State, ids: IdArray) -> tuple[FloatArray, State]:
        """The model's."""
        scored, self._last = self._model.score(state, ids)
        return scored, self._last

    def advance(self, state: State, ids: IdArray) -> State:
        """The model's."""
        self._last = self._model.advance(state, ids)
        return self._last
