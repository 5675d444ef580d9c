"""
The same models learning from a text while they read it, for `perplexity --adapt` and `--cache`.

    lstm+cache          the network with a cache of the text (models/cache.py)
    lstm+adapt          the network, a gradient step after every k tokens (training/adapting.py)
    ngram-N+adapt       counts of the training text and of all that was read (models/ngram/growing/)
    mixture+adapt       the experts of both and the network as trained, mixed by a gate (models/gated.py)
    mixture+cache       the network, its cache and the n-gram model, mixed by a gate
    ...+adapt+cache     the cache is one more expert of the gate

Gradients need torch, so the module that has them is opened by its name, when a network adapts and only then.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from lmgen.arrays import FloatArray, IdArray
from lmgen.data.run_folder import RunFolder
from lmgen.data.verified import read_kept_tokens
from lmgen.errors import ModelError
from lmgen.evaluation.learning_to_adapt import LearnedToAdapt, learned_to_adapt
from lmgen.models.adapting import Adapting, AdaptingConfig
from lmgen.models.base import LanguageModel, LearningModel, PredictsEach, State, predict_each
from lmgen.models.cache import CachedNetwork, NetworkAndCache
from lmgen.models.gated import GatedMixture, in_pieces
from lmgen.models.gates import Gate, LinearGate, LogarithmicGate
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.growing.contexts import Contexts, WordRule
from lmgen.models.ngram.growing.model import GrowingCounts
from lmgen.models.ngram.model import NgramModel
from lmgen.models.opinions import Member, OneExpert, OneLearner, Opinions
from lmgen.tokenizers.base import Tokenizer

MOST_COMPARED = 512
"""
Tokens in the largest vocabulary whose models are mixed in the logarithms, which takes the opinions on all of
them: characters, bytes. It predicts them better than a linear mixture: benchmarks/results/adapting.md.
"""

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
        is_saved: bool = True,
        on_note: Callable[[str], None],
    ) -> None:
        """
        Args:
            model: the model in question.
            baseline: the n-gram model beside it; None if there is none.
            tokenizer: the model's.
            run: whose training text the counts begin from, if the baseline does not keep its own.
            adapting: how they learn and what they have a cache of.
            mix: whether to mix them, too.
            is_saved: whether the model is that of the run's file; nothing is kept there for any other.
            in_step: whether all of them score the same texts in the same pieces, and do nothing else.
            on_note: called with what a reader of the scores should know.
        """
        self._model, self._tokenizer, self._run, self._adapting = model, tokenizer, run, adapting
        self._network = model.as_network()
        training = _training_tokens(baseline, run)
        self._baseline = baseline.name if baseline is not None and training is not None else ""
        self._mix = mix
        self._in_step = in_step
        self._is_saved = is_saved
        self._on_note = on_note
        self._counts: GrowingCounts | None = None
        self._gate: LinearGate | None = None
        if baseline is not None and training is not None and adapting.config is not None:
            if len(training) > MOST_COUNTED:
                on_note(
                    f"the counts of {self._baseline} do not grow: that takes too much memory for more than "
                    f"{MOST_COUNTED:,} training tokens"
                )
            else:
                self._counts, self._gate = growing_counts(baseline.order, tokenizer, training)
        self._fixed = baseline if mix and adapting.cache is not None and self._counts is None else None
        self._made: dict[bool, tuple[list[LanguageModel], _Members]] = {}
        self._last: _Members | None = None

    def __bool__(self) -> bool:
        """Whether there are any; with a cache there has to be a network that has it."""
        caches = self._adapting.cache is not None
        return self._network is not None or (self._counts is not None and not caches)

    def for_text(self, *, validation: bool) -> list[LanguageModel]:
        """
        The models for a text.

        Args:
            validation: whether it is the run's validation text; then nothing was learned from that before.
        """
        if validation not in self._made:
            begun = self._learned(validation=validation)
            members = self._members(begun, self._on_note)
            self._made[validation] = self._models(begun, members), members
        models, self._last = self._made[validation]
        return models

    def adapted_network(self) -> RecurrentModel:
        """
        The network with what it learned from the last text.

        Raises:
            ModelError: it read nothing, or it does not adapt.
        """
        learning = None if self._last is None else self._last.learning
        network = None if learning is None else learning.adapted()
        if network is None:
            raise ModelError("there is no adapted network to save: it has read nothing that it learns from")
        return network  # type: ignore[no-any-return]

    def _learned(self, *, validation: bool) -> LearnedToAdapt:
        """With which settings, and from which gate, models begin."""
        network, adapting = self._network, self._adapting
        begun = LearnedToAdapt(adapting.config, self._first_gate(), adapting.cache)
        if validation or self._run is None or network is None:
            return begun
        return learned_to_adapt(
            self._run,
            begun,
            given=adapting.given,
            name=self._mixture_name,
            network=network,
            adapted=lambda config: adapting_network(network, config, adapting.device),
            mixture=lambda begun: self._mixture(begun, self._mixed(self._members(begun, lambda _: None))),
            is_saved=self._is_saved,
            on_note=self._on_note,
        )

    def _first_gate(self) -> Gate | None:
        """The gate of the mixture before it has learned of networks; None: there is nothing to begin from."""
        if not self._mixes:
            return None
        experts = self._experts_of_networks
        counts = self._counts if self._mix else None
        if self._compares_all:
            signals = 0 if counts is None else counts.signals
            experts += counts.experts if counts is not None else self._fixed is not None
            return LogarithmicGate.over(signals + experts, experts, self._tokenizer.vocabulary_size)
        if self._mix and self._gate is not None:
            return self._gate.with_experts(experts, NEW_EXPERTS_BIAS) if experts else self._gate
        if self._adapting.cache is None:
            return None
        experts += self._fixed is not None
        return LinearGate.new(experts, experts)

    @property
    def _compares_all(self) -> bool:
        """Whether a mixture compares all tokens of the vocabulary."""
        return self._network is not None and self._tokenizer.vocabulary_size <= MOST_COMPARED

    @property
    def _experts_of_networks(self) -> int:
        """How many there are in the mixture: as trained, its cache, and adapting."""
        adapting = self._adapting
        if self._network is None:
            return 0
        return 1 + (adapting.cache is not None) + (adapting.config is not None)

    @property
    def _mixes(self) -> bool:
        """Whether there is a mixture; one of networks alone joins an adapting one and a cache."""
        adapting = self._adapting
        return self._mix or (adapting.cache is not None and adapting.config is not None)

    @property
    def _mixture_name(self) -> str:
        network = self._network
        return self._adapting.named("mixture" if self._mix or network is None else network.name)

    def _models(self, begun: LearnedToAdapt, members: "_Members") -> list[LanguageModel]:
        if self._in_step:
            of_all = self._mixes and self._compares_all
            readers = _Members(*(each and _Shared(each, of_all=of_all).reader for each in members))
        else:
            readers = _Members(*(each and partial(_itself, each) for each in members))
        found: list[LanguageModel] = []
        if readers.cached is not None:
            found.append(CachedNetwork(readers.cached()))
        if readers.learning is not None:
            found.append(readers.learning())
        if readers.counts is not None:
            name = f"{self._baseline}+adapt"
            counts = [readers.counts()]
            found.append(GatedMixture(counts, self._tokenizer.vocabulary_size, name, self._gate))
        if self._mixes:
            mixed = _Members(*(each and each() for each in self._mixed(readers)))
            found.append(self._mixture(begun, mixed))
        return [_Across(each) for each in found] if self._adapting.across else found

    def _members(self, begun: LearnedToAdapt, on_note: Callable[[str], None]) -> "_Members":
        """What models are made of."""
        learning: Any = None
        cached: Any = None
        if self._network is not None and begun.config is not None:
            learning = _Recording(
                adapting_network(self._network, begun.config, self._adapting.device, on_note)
            )
        if self._network is not None and begun.cache is not None:
            cached = NetworkAndCache(self._network, begun.cache)
        return _Members(cached, learning, self._counts)

    def _mixed(self, members: "_Members") -> "_Members":
        """Those that the mixture is made of: n-gram counts are mixed only if that is asked for."""
        return members if self._mix else members._replace(counts=None)

    def _mixture(self, begun: LearnedToAdapt, parts: "_Members") -> GatedMixture:
        members: list[Member] = []
        if parts.cached is not None:
            members.append(parts.cached)
        elif self._network is not None:
            members.append(OneExpert(self._model))
        if parts.learning is not None:
            members.append(OneLearner(parts.learning))
        if parts.counts is not None:
            members.append(parts.counts)
        elif self._fixed is not None:
            members.append(OneExpert(self._fixed))
        return GatedMixture(members, self._tokenizer.vocabulary_size, self._mixture_name, begun.gate)


class _Members(NamedTuple):
    """What models that adapt are made of; None for what there is not."""

    cached: Any
    """A NetworkAndCache."""
    learning: Any
    """A _Recording of an adapting network."""
    counts: Any
    """Counts that grow."""


def _itself(model: Any) -> Any:
    return model


def _training_tokens(baseline: NgramModel | None, run: RunFolder | None) -> IdArray | None:
    """What an n-gram model was fitted on, (N,); None where that is not known."""
    if baseline is None or baseline.training is not None or run is None:
        return None if baseline is None else baseline.training
    return read_kept_tokens(run, run.train_tokens, baseline.vocabulary_size)


def adapting_network(
    network: RecurrentModel,
    config: AdaptingConfig,
    device: str = "cpu",
    on_note: Callable[[str], None] = lambda _: None,
) -> LearningModel:
    """A network that learns from what it reads; `on_note` is told if a step went wrong. Imports torch."""
    adapting = import_module("lmgen.training.adapting")
    model: LearningModel = adapting.AdaptingNetwork(network, config, device, on_note)
    return model


def growing_counts(order: int, tokenizer: Tokenizer, training: IdArray) -> tuple[GrowingCounts, LinearGate]:
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
    gate = state.streams[0].gate
    assert isinstance(gate, LinearGate)
    return empty.begun_after(state.members[0]), gate


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


class _Place:
    """A place in a text: the model's state there, until a reader goes on; then what that reader found."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.next: tuple[object, Any, _Place] | None = None
        """What was asked, what was found, and the place after it."""


class _Shared:
    """
    A model that several readers have: each scores the same texts in the same pieces, and it scores them once.

    A reader may be far ahead of the others. What it found is kept until they have come by; of the states,
    which may be large, only the last.
    """

    def __init__(self, model: Any, *, of_all: bool) -> None:
        """
        Args:
            model: a language model, or a member of a mixture.
            of_all: whether a reader asks what it says of all tokens, which tells what it says of those that
                come.
        """
        self.model = model
        self.of_all = of_all
        self._readers = 0
        self._begun: dict[int, tuple[_Place, int]] = {}
        self._last: _Place | None = None

    def reader(self) -> "_Reader":
        """One more reader; all are made before any of them reads."""
        self._readers += 1
        return _Reader(self)

    def start(self, text: int, streams: int) -> _Place:
        """The first place of a text, given its number."""
        place, expected = self._begun.pop(text, (None, self._readers))
        if place is None:
            place = self._at(self.model.start(streams))
        if expected > 1:
            self._begun[text] = place, expected - 1
        return place

    def go_on(
        self, place: _Place, asked: object, answer: Callable[[State], tuple[Any, State]]
    ) -> tuple[Any, _Place]:
        """What the model finds from a place on, and the place after it."""
        if place.next is None or place.next[0] != asked:
            assert place.state is not None, "all readers score the same pieces"
            found, after = answer(place.state)
            place.next = asked, found, self._at(after)
        return place.next[1:]

    def _at(self, state: State) -> _Place:
        if self._last is not None:
            self._last.state = None
        self._last = _Place(state)
        return self._last


class _Reader:
    """One of the readers of a model that is shared; its states are places."""

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self._texts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shared.model, name)

    def start(self, streams: int) -> _Place:
        """The model's."""
        self._texts += 1
        return self._shared.start(self._texts, streams)

    def restart(self, place: _Place, *streams: int) -> _Place:
        """The model's."""
        model = self._shared.model
        return self._shared.go_on(place, "restart", lambda state: (None, model.restart(state, *streams)))[1]

    def score(self, place: _Place, ids: IdArray) -> tuple[Any, _Place]:
        """The model's."""
        if not (self._shared.of_all and len(ids)):
            return self._answered("score", place, ids)
        found: list[Any] = []
        for piece in in_pieces(ids):
            if isinstance(self._shared.model, PredictsEach):
                of_all, place = self.predict_each(place, piece)
                found.append(_chosen(of_all, piece))
            else:
                opinions, place = self.opinions_each(place, piece)
                found.append(opinions._replace(probabilities=_chosen(opinions.probabilities, piece)))
        if isinstance(found[0], Opinions):
            return Opinions(*map(np.concatenate, zip(*found, strict=True))), place
        return np.concatenate(found), place

    def predict_each(self, place: _Place, ids: IdArray) -> tuple[FloatArray, _Place]:
        """The language model's."""
        return self._answered("predict_each", place, ids)

    def opinions_each(self, place: _Place, ids: IdArray) -> tuple[Opinions, _Place]:
        """The member's."""
        return self._answered("opinions_each", place, ids)

    def _answered(self, name: str, place: _Place, ids: IdArray) -> tuple[Any, _Place]:
        """What a method of the model finds."""
        asked = name, ids.shape, ids.tobytes()
        return self._shared.go_on(place, asked, lambda state: getattr(self._shared.model, name)(state, ids))

    def advance(self, place: _Place, ids: IdArray) -> _Place:
        """The model's."""
        return self.score(place, ids)[1]


def _chosen(of_all: Any, ids: IdArray) -> Any:
    """What is said of `ids`, (T, B), among what is said of all tokens, an array (T, B, V, ...)."""
    return of_all[np.arange(len(ids))[:, None], np.arange(ids.shape[1]), ids]


class _Recording:
    """A model that keeps its state after what it read last."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._last: State = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def restart(self, state: State) -> State:
        """The model's."""
        self._last = self._model.restart(state)
        return self._last

    def score(self, state: State, ids: IdArray) -> tuple[FloatArray, State]:
        """The model's."""
        scored, self._last = self._model.score(state, ids)
        return scored, self._last

    def predict_each(self, state: State, ids: IdArray) -> tuple[FloatArray, State]:
        """The model's."""
        said, self._last = predict_each(self._model, state, ids)
        return said, self._last

    def advance(self, state: State, ids: IdArray) -> State:
        """The model's."""
        self._last = self._model.advance(state, ids)
        return self._last

    def adapted(self) -> RecurrentModel | None:
        """The adapting network with what it has learned; None: it has read nothing."""
        return None if self._last is None else self._model.adapted(self._last)


class _Across(_Recording):
    """A model for one reader of texts, one after the other, that keeps what it learned from text to text."""

    def start(self, streams: int) -> State:
        """The state before the next text."""
        self._last = self._model.start(streams) if self._last is None else self._model.restart(self._last)
        return self._last
