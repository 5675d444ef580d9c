"""
A network that goes on learning while it is used: dynamic evaluation (Krause, Kahembwe, Murray, Renals 2018).

After every k tokens of a text it takes a gradient step on them, so that each is predicted before anything is
learned from it:

    m  ← d m + (1 - d) g²                                     g the gradient of the mean loss of k tokens
    θ  ← θ - η g / (√(m / (1 - d^t)) + ε)                     t counts the steps, this one too
    θ  ← θ + λ (θ_0 - θ)                                      θ_0 the trained weights

A plain step is θ ← θ - η g in place of the first two. m begins from 0; without its division by 1 - d^t, as in
Adam, the first steps would be many times too large.

A state holds the weights as they are at its place in the text. It is never changed in place: a step makes new
weights, which costs little beside the products.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from lmgen.arrays import FloatArray, IdArray, Tensors
from lmgen.errors import ModelError
from lmgen.models.adapting import AdaptingConfig
from lmgen.models.network.layer import NetworkState
from lmgen.models.network.model import RecurrentModel, with_parameters
from lmgen.training.network import Network, TorchLanguageModel, detached
from lmgen.training.process import keep_freed_memory

AVERAGING = 0.999
"""d, the decay of the mean squares of gradients."""

SMALLEST = 1e-8
"""ε, added to the root of the mean squares."""

LARGEST_NORM = 1.0
"""Gradients of a larger norm are scaled down to it."""


LARGEST_WEIGHT = 1e3
"""No trained weight comes near it; where one does all the same, twice the largest."""


class Learned(NamedTuple):
    """What has been learned up to a place in a text."""

    weights: tuple[Tensor, ...]
    squares: tuple[Tensor, ...]
    """Mean squares m of the gradients; none if steps are plain."""
    steps: int = 0


class AdaptingState(NamedTuple):
    """The state of an adapting network: B streams that share the weights."""

    learned: Learned
    begun: Any
    """What the layers remembered at the last step, and what the output read next."""
    now: Any
    """The same after the last token."""
    waiting: IdArray
    """Tokens since the last step, (n, B), n < k."""


class AdaptingNetwork:
    """A `LanguageModel` that learns from what it reads."""

    kind = "adapting"
    reads_in_order = True
    resets_at = None

    def __init__(
        self,
        model: RecurrentModel,
        config: AdaptingConfig,
        device: str = "cpu",
        on_note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """
        Args:
            model: the trained network, which stays as it is.
            config: how fast it learns.
            device: where it computes.
            on_note: told the first time that a step went wrong.
        """
        keep_freed_memory()  # each step makes gradients anew
        self.model = model
        self.config = config
        network = Network(model.config, model.vocabulary_size, model.parameters).to(device).eval()
        network.alone = True
        network.freeze_ngrams()  # a step goes over all numbers of what it trains
        self._parameters = network.trained_parameters()
        self._names = [name for name, each in network.named_parameters() if each.requires_grad]
        self._reader = _Reader(network, model.start_token, model.unit_end)
        weights = tuple(parameter.detach() for parameter in self._parameters)
        squares = () if config.step == "plain" else tuple(map(torch.zeros_like, weights))
        self._trained = Learned(weights, squares)
        self._limit = max(LARGEST_WEIGHT, 2 * max(float(each.abs().max()) for each in weights))
        self._on_note = on_note
        self._has_noted = False

    @property
    def name(self) -> str:
        """`lstm+adapt`."""
        return f"{self.model.name}+adapt"

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.model.vocabulary_size

    def start(self, streams: int) -> AdaptingState:
        """The state after the start token, with the trained weights."""
        self._take(self._trained)
        now = self._reader.start(streams)
        return AdaptingState(self._trained, now, now, np.zeros((0, streams), np.int64))

    def restart(self, state: AdaptingState) -> AdaptingState:
        """The state before the first token of other texts; what is still waiting is learned from now."""
        learned = state.learned
        if len(state.waiting):
            self._take(learned)
            learned = self._learned(learned, state.begun, state.waiting, each=False, owned=False)[2]
        self._take(learned)
        streams = state.waiting.shape[1]
        now = self._reader.start(streams)
        return AdaptingState(learned, now, now, np.zeros((0, streams), np.int64))

    def predict(self, state: AdaptingState) -> FloatArray:
        """Log-probabilities of the next token, (B, V)."""
        self._take(state.learned)
        return self._reader.predict(state.now)

    def advance(self, state: AdaptingState, ids: IdArray) -> AdaptingState:
        """The state after reading `ids`, (T, B), and learning from them."""
        return self.score(state, ids)[1]

    def score(self, state: AdaptingState, ids: IdArray) -> tuple[FloatArray, AdaptingState]:
        """Log-probability of each of `ids`, (T, B), and the state after them, which has learned from them."""
        return self._read(state, ids, each=False)

    def predict_each(self, state: AdaptingState, ids: IdArray) -> tuple[FloatArray, AdaptingState]:
        """Log-probabilities of all tokens before each of `ids`, (T, B, V), and the state as of `score`."""
        return self._read(state, ids, each=True)

    def follow(self, state: AdaptingState, ids: IdArray) -> AdaptingState:
        """The state after tokens, (T, B), that are context only: nothing is learned from them."""
        self._take(state.learned)
        now = self._reader.advance(state.now, ids)
        return AdaptingState(state.learned, now, now, state.waiting[:0])

    def select(self, state: AdaptingState, streams: Sequence[int]) -> AdaptingState:
        """The state of the listed streams, which go on from the same weights."""
        chosen = list(streams)
        begun, now = (self._reader.select(each, chosen) for each in (state.begun, state.now))
        return AdaptingState(state.learned, begun, now, state.waiting[:, chosen])

    def adapted(self, state: AdaptingState) -> RecurrentModel:
        """The network with all that was learned; what is still waiting is learned from now."""
        weights = self.restart(state).learned.weights
        arrays = [each.cpu().numpy() for each in weights]
        return with_parameters(self.model, dict(zip(self._names, arrays, strict=True)))

    @property
    def format_version(self) -> int:
        """As `to_tensors`."""
        raise self._not_saved()

    def describe(self) -> dict[str, Any]:
        """What the network as trained says of itself, under its own name."""
        return {**self.model.describe(), "name": self.name}

    def to_tensors(self) -> tuple[dict[str, Any], Tensors]:
        """
        Not possible: each state has weights of its own, which `adapted` gives as a network.

        Raises:
            ModelError: always.
        """
        raise self._not_saved()

    def as_network(self) -> RecurrentModel:
        """The network as trained."""
        return self.model

    def as_ngrams(self) -> None:
        """None: it has no tables of n-grams."""

    def _not_saved(self) -> ModelError:
        return ModelError(
            f"{self.name} has no file: --save-adapted writes the network with what it has learned"
        )

    def _read(self, state: AdaptingState, ids: IdArray, *, each: bool) -> tuple[FloatArray, AdaptingState]:
        """Read tokens, (T, B): what `score` or `predict_each` says of them, and the state after."""
        shape = (0, ids.shape[1], self.vocabulary_size) if each else (0, ids.shape[1])
        found = [np.zeros(shape, np.float32)]
        given = state.learned
        while len(ids):
            room = self.config.every - len(state.waiting)
            owned = state.learned is not given and state.learned is not self._trained
            said, state = self._part(state, ids[:room], each=each, owned=owned)
            found.append(said)
            ids = ids[room:]
        return np.concatenate(found), state

    def _part(
        self, state: AdaptingState, ids: IdArray, *, each: bool, owned: bool
    ) -> tuple[FloatArray, AdaptingState]:
        """Read tokens up to the next step at most, and take it if it is due; `owned` as in `_stepped`."""
        self._take(state.learned)
        waiting = np.concatenate([state.waiting, ids])
        due = len(waiting) == self.config.every
        if not (due and len(ids) == len(waiting)):
            said, now = (self._reader.predict_each if each else self._reader.score)(state.now, ids)
            state = state._replace(now=now, waiting=waiting)
        if due:
            of_all, now, learned = self._learned(state.learned, state.begun, waiting, each=each, owned=owned)
            state = AdaptingState(learned, now, now, waiting[:0])
            if len(ids) == len(waiting):
                said = of_all
        return said, state

    def _learned(
        self, learned: Learned, begun: Any, ids: IdArray, *, each: bool, owned: bool
    ) -> tuple[FloatArray, Any, Learned]:
        """What is said of k tokens, (k, B), the state after them, and what was learned from them."""
        said, chosen, (layers, unread) = self._reader.differentiable(begun, ids, each=each)
        # A cluster of rare tokens has no part in the loss of others, and so no gradient.
        gradients = torch.autograd.grad(-chosen.mean(), self._parameters, allow_unused=True)
        after = (detached(layers), unread.detach())
        stepped = self._stepped(learned, gradients, owned=owned)
        if not self._is_sound(stepped):
            stepped = self._rolled_back()
            after = self._reader.start(ids.shape[1])
            after = self._reader.advance(after, ids)
        return said.detach().cpu().numpy(), after, stepped

    def _is_sound(self, learned: Learned) -> bool:
        """Whether all weights are finite, and none is too large."""
        if float(_squared_norm(learned.weights)) <= self._limit**2:  # the sum is above each of its parts
            return True
        ends = (end for weights in learned.weights for end in torch.aminmax(weights))
        return all(bool(abs(end) <= self._limit) for end in ends)  # NaN is not

    def _rolled_back(self) -> Learned:
        """What is known without having learned anything."""
        if not self._has_noted:
            self._has_noted = True
            self._on_note(
                f"{self.name}: steps of rate {self.config.size:g} led to weights that are too large or not "
                "finite, so it went back to the trained ones; give a smaller --adapt-rate"
            )
        self._take(self._trained)
        return self._trained

    def _stepped(self, learned: Learned, gradients: Sequence[Tensor | None], *, owned: bool) -> Learned:
        """
        Weights after a step: one of Adam without momentum, or of gradient descent.

        Args:
            learned: before the step.
            gradients: of the mean loss; None: these weights have no part in it, and stay as they are.
            owned: whether nobody else has what was learned before, so that its memory is used again; else it
                stays as it is.
        """
        config, steps = self.config, learned.steps + 1
        weights, squares = ([*each] if owned else [*map(torch.clone, each)] for each in learned[:2])
        changing = [index for index, each in enumerate(gradients) if each is not None]
        found = [each for each in gradients if each is not None]
        moved = [weights[index] for index in changing]
        norm = _squared_norm(found).sqrt()
        scale = (norm / LARGEST_NORM).clamp(min=1.0)
        shared: dict[str, Any] = {"fused": True, "grad_scale": scale, "lr": config.size}
        shared |= {"weight_decay": 0.0, "maximize": False}
        with torch.no_grad():
            if config.step == "plain":
                sgd(
                    moved,
                    found,
                    [None for _ in moved],
                    momentum=0.0,
                    dampening=0.0,
                    nesterov=False,
                    **shared,
                )
            else:
                adam(
                    moved,
                    found,
                    # With a decay of 0 the mean of the gradients is the gradient.
                    [*found],
                    [squares[index] for index in changing],
                    [],
                    [torch.full((), float(learned.steps), device=norm.device) for _ in moved],
                    amsgrad=False,
                    beta1=0.0,
                    beta2=AVERAGING,
                    eps=SMALLEST,
                    **shared,
                )
            if config.decay:
                torch._foreach_lerp_(weights, self._trained.weights, config.decay)
        return Learned(tuple(weights), tuple(squares), steps)

    def _take(self, learned: Learned) -> None:
        """Let the network compute with these weights."""
        for parameter, weights in zip(self._parameters, learned.weights, strict=True):
            parameter.data = weights


def _squared_norm(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of the squares of all their numbers."""
    return torch.stack([torch.dot(each.flatten(), each.flatten()) for each in tensors]).sum()


class _Reader(TorchLanguageModel):
    """Reads with the weights that the network has at the moment."""

    def differentiable(self, state: Any, ids: IdArray, *, each: bool) -> tuple[Tensor, Tensor, Any]:
        """
        What is said before tokens, as functions of the weights.

        Args:
            state: before the first.
            ids: the tokens, (T, B).
            each: whether that is of all tokens that may come, or of those that come.

        Returns:
            Log-probabilities, (T, B, V) or (T, B); those of the tokens that come, (T, B); the state after.
        """
        before, after = self._read(ids, state)
        targets = self._tensor(ids)
        if each:
            said = self.network.predict(before)
            return said, said.gather(-1, targets[..., None])[..., 0], after
        chosen = self.network.predict_only(targets.flatten(), before.flatten(0, 1)).view(ids.shape)
        return chosen, chosen, after

    def start(self, streams: int) -> Any:
        """The state after the start token; no function of the weights."""
        with torch.no_grad():
            return super().start(streams)

    def score(self, state: Any, ids: IdArray) -> tuple[FloatArray, Any]:
        """Log-probability of each of `ids`, (T, B), and the state after them."""
        return self._said(state, ids, each=False)

    def predict_each(self, state: Any, ids: IdArray) -> tuple[FloatArray, Any]:
        """Log-probabilities of all tokens before each of `ids`, (T, B, V), and the state after them."""
        return self._said(state, ids, each=True)

    def _said(self, state: Any, ids: IdArray, *, each: bool) -> tuple[FloatArray, Any]:
        with torch.no_grad():
            said, _, after = self.differentiable(state, ids, each=each)
        return said.cpu().numpy(), after

    def advance(self, state: Any, ids: IdArray) -> Any:
        """The state after reading `ids`, (T, B)."""
        with torch.no_grad():
            return super().advance(state, ids)

    def _read_on(self, ids: IdArray, state: NetworkState) -> tuple[Tensor, NetworkState]:
        return self.network.read(self._tensor(ids), state)
