"""
The loss that training minimises: the cross-entropy of the targets, or an estimate of it that costs less.

`full` is the cross-entropy over all V tokens, in nats per token; also for an adaptive output.

`sampled` is an estimate: it compares each target with only K tokens of the vocabulary, drawn anew for every
batch and shared by its targets (importance sampling: Bengio and Senécal 2003; Jean, Cho, Memisevic and Bengio
2015, section 3). With scores s, and a sample S that contains token v with probability π_v,

    loss = log(exp s_target + Σ_{v in S, v ≠ target} exp(s_v) / π_v) - s_target

The sum is an unbiased estimate of the softmax's normaliser (Horvitz and Thompson 1952). π is proportional to
a token's frequency in the training text, but at most 1: frequent tokens are always in the sample, and for
K = V the loss is the full one. Only training samples: validation always uses all V tokens.

The loss of a batch is the mean over its scored positions, by their weights if it has any (data/batches.py).
Positions of weight 0 are left out before the output layer, so that they cost nothing there.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lmgen.arrays import Float64Array
from lmgen.data.token_file import Tokens, token_counts
from lmgen.training.config import TrainingConfig
from lmgen.training.network import Network
from lmgen.training.optimization.weighting import scored_positions, weighted_mean

Objective = Callable[[Network, Tensor, Tensor, Tensor | None], Tensor]
"""
The mean loss of a batch in nats per scored token.

Arguments: the network; what its output layer reads, (T, B, H); the targets, (T, B); their weights, (T, B),
not all of them 0, or None where every position counts 1.
"""


def objective_for(config: TrainingConfig, vocabulary_size: int, training_ids: Tokens) -> Objective:
    """
    The objective that the settings name.

    Args:
        config: `objective` and `samples`.
        vocabulary_size: V.
        training_ids: the training text, (N,).
    """
    if config.objective == "full":
        return full
    counts = token_counts(training_ids, vocabulary_size)
    return SampledSoftmax(inclusion_probabilities(counts + 1, config.samples))  # + 1: no token is left out


def full(network: Network, hidden: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """The cross-entropy over all tokens; an `Objective`."""
    hidden, targets, weights = scored_positions(hidden, targets, weights)
    return -weighted_mean(network.predict_only(targets, hidden), weights)


class SampledSoftmax:
    """
    The cross-entropy over the target and K sampled tokens; an `Objective`.

    A sample takes a single random number u. Lay the tokens on a line in the order of their ids, token v with
    length π_v: the sample is the tokens at u, u + 1, ..., u + K - 1 (systematic sampling: Madow 1949). So it
    has exactly K different tokens, and token v with probability π_v.
    """

    def __init__(self, inclusion: Float64Array) -> None:
        """Args: inclusion, π of each token, (V,), at most 1 and K in sum."""
        self._size = round(inclusion.sum())
        self._ends = torch.from_numpy(inclusion.cumsum())
        self._corrections = torch.from_numpy(-np.log(inclusion))

    def __call__(
        self, network: Network, hidden: Tensor, targets: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """The mean loss of a batch."""
        hidden, correct, counted = scored_positions(hidden, targets, weights)
        read = network.projected(hidden)  # (N, E)
        sample = self.draw()
        corrections = self._corrections[sample].to(read)
        sample = sample.to(correct.device)
        rows, biases = network.output_rows(sample)
        others = torch.addmm(biases + corrections, read, rows.T)  # (N, K)
        others[_hits(correct, sample)] = -torch.inf
        rows, biases = network.output_rows(correct)
        of_targets = (read * rows).sum(1) + biases  # (N,)
        return weighted_mean(torch.logaddexp(others.logsumexp(1), of_targets) - of_targets, counted)

    def draw(self) -> Tensor:
        """A sample: K ids, ascending."""
        points = torch.arange(self._size, dtype=torch.float64) + torch.rand(())
        return torch.searchsorted(self._ends, points, right=True).clamp_max(len(self._ends) - 1)


def inclusion_probabilities(weights: npt.NDArray[Any], samples: int) -> Float64Array:
    """
    The probability that a token is in a sample: in proportion to its weight, but not above 1.

    Args:
        weights: of each token, above 0, (V,).
        samples: K, what the probabilities sum to; for V or more all are 1.
    """
    inclusion = np.ones(len(weights))
    rest = np.arange(len(weights))  # tokens with a probability below 1
    while (left := samples - (len(weights) - len(rest))) < len(rest):
        inclusion[rest] = weights[rest] * (left / weights[rest].sum())
        above = inclusion[rest] >= 1
        if not above.any():
            break
        inclusion[rest[above]] = 1.0
        rest = rest[~above]
    return inclusion


def _hits(targets: Tensor, sample: Tensor) -> tuple[Tensor, Tensor]:
    """Which of N targets are in the sample, and where in it: two index arrays of the same length."""
    places = torch.searchsorted(sample, targets).clamp_max(len(sample) - 1)
    [hits] = torch.where(sample[places] == targets)
    return hits, places[hits]
