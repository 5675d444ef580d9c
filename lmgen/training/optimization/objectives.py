"""
What training minimises: how surprised the network is by each target, or an estimate that costs less.

`full` is the loss itself, in nats per token: the cross-entropy over all V tokens, clusters of an adaptive
output included.

`sampled` compares each target with K tokens of the vocabulary alone, drawn anew for every window and shared
by all its targets (importance sampling: Bengio and Senécal 2003; Jean, Cho, Memisevic and Bengio 2015,
section 3). With s the scores, and S the sample, which has token v with probability π_v,

    loss = log(exp s_target + Σ_{v in S, v ≠ target} exp(s_v) / π_v) - s_target

The sum estimates that of the softmax without bias (Horvitz and Thompson 1952). π is in proportion to how
often a token occurs in the training text, but not above 1: so the frequent tokens are always in the sample,
and with K = V the loss is the full one. Only training is sampled: a model is always scored by all V tokens.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lmgen.tokenizers.base import IdArray
from lmgen.training.config import TrainingConfig
from lmgen.training.network import Network

Objective = Callable[[Network, Tensor, Tensor], Tensor]
"""A network, what its output layer reads, (T, B, H), and the targets, (T, B) -> mean loss in nats a token."""

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

COUNTED_IDS = 1_000_000
"""Ids of the training text that are counted at once."""


def objective_for(config: TrainingConfig, network: Network, training_ids: IdArray) -> Objective:
    """
    The objective that the settings name.

    Args:
        config: `objective` and `samples`.
        network: the one to be trained.
        training_ids: the training text, (N,); a memory map will do.
    """
    if config.objective == "full":
        return full
    counts = token_counts(training_ids, network.vocabulary_size)
    return SampledSoftmax(inclusion_probabilities(counts + 1, config.samples))  # + 1: none is left out


def full(network: Network, hidden: Tensor, targets: Tensor) -> Tensor:
    """The cross-entropy over all tokens."""
    return -network.predict_only(targets.flatten(), hidden.flatten(0, 1)).mean()


class SampledSoftmax:
    """
    The cross-entropy over the target and K sampled tokens.

    A sample is drawn with a single random number u: on a line on which token v takes up a length of π_v, in
    the order of the ids, it has the tokens at u, u + 1, ..., u + K - 1 (systematic sampling: Madow 1949). So
    it has exactly K tokens, none of them twice, and each with probability π_v.
    """

    def __init__(self, inclusion: Float64Array) -> None:
        """Args: inclusion, the π of each token, (V,), that sum to K."""
        self._size = round(inclusion.sum())
        self._ends = torch.from_numpy(inclusion.cumsum())
        self._corrections = torch.from_numpy(-np.log(inclusion))

    def __call__(self, network: Network, hidden: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a window."""
        read, correct = network.projected(hidden).flatten(0, 1), targets.flatten()  # (N, E), (N,)
        sample = self.draw()
        corrections = self._corrections[sample].to(read)
        sample = sample.to(correct.device)
        weights, biases = network.output_rows(sample)
        others = torch.addmm(biases + corrections, read, weights.T)  # (N, K)
        others[_hits(correct, sample)] = -torch.inf
        weights, biases = network.output_rows(correct)
        of_targets = (read * weights).sum(1) + biases  # (N,)
        return (torch.logaddexp(others.logsumexp(1), of_targets) - of_targets).mean()

    def draw(self) -> Tensor:
        """K ids, ascending."""
        points = torch.arange(self._size, dtype=torch.float64) + torch.rand(())
        return torch.searchsorted(self._ends, points, right=True).clamp_max(len(self._ends) - 1)


def token_counts(ids: IdArray, vocabulary_size: int) -> Int64Array:
    """How often each token occurs, (V,)."""
    counts = np.zeros(vocabulary_size, np.int64)
    for first in range(0, len(ids), COUNTED_IDS):
        counts += np.bincount(ids[first : first + COUNTED_IDS], minlength=vocabulary_size)
    return counts


def inclusion_probabilities(weights: npt.NDArray[Any], samples: int) -> Float64Array:
    """
    The probability that a token is in a sample: in proportion to its weight, but not above 1.

    Args:
        weights: of each token, above 0, (V,).
        samples: K, what the probabilities sum to; for V or more all are 1.
    """
    inclusion = np.ones(len(weights))
    rest = np.arange(len(weights))  # the tokens that are not in every sample
    while (left := samples - (len(weights) - len(rest))) < len(rest):
        inclusion[rest] = weights[rest] * (left / weights[rest].sum())
        above = inclusion[rest] >= 1
        if not above.any():
            break
        inclusion[rest[above]] = 1.0
        rest = rest[~above]
    return inclusion


def _hits(targets: Tensor, sample: Tensor) -> tuple[Tensor, Tensor]:
    """Which of N targets are in the sample, and where: two index arrays of the same length."""
    places = torch.searchsorted(sample, targets).clamp_max(len(sample) - 1)
    [hits] = torch.where(sample[places] == targets)
    return hits, places[hits]
