"""
Dropout of several kinds and penalties on activations, against overfitting. network.py applies the dropout.

Random numbers come from torch's generator, whose state a checkpoint holds, or from generators seeded by it.
A rate of zero draws none, so that training without dropout is the same to the last bit.
"""

import numpy as np
import torch
from torch import Tensor

from lmgen.training.optimization.weighting import weighted_mean

_CHANCES = 1 << 16
"""A rate is rounded to a multiple of 1 / _CHANCES: a mask uses 16 random bits for each number."""

_TOGETHER = 1 << 16
"""How many numbers of a mask are drawn at a time: a multiple of 4 that fits in a core's cache."""


def dropout(values: Tensor, rate: float) -> Tensor:
    """
    Drop single values, each with the probability `rate`; the others are divided by 1 - rate.

    Srivastava et al. 2014, section 10; between layers: Zaremba, Sutskever and Vinyals 2014.
    """
    return values * _mask(values, rate) if rate else values


def locked_dropout(values: Tensor, rate: float) -> Tensor:
    """
    Dropout whose mask is drawn once for all steps of a window: variational dropout.

    Args:
        values: (T, B, H).
        rate: share of each stream's H values that is dropped; the others are divided by 1 - rate, so that
            the expected value stays.

    Gal and Ghahramani 2016, section 4; Merity, Keskar and Socher 2017, section 4.2.
    """
    return values * _mask(values[:1], rate) if rate else values


def embedding_dropout(vectors: Tensor, ids: Tensor, vocabulary_size: int, rate: float) -> Tensor:
    """
    Drop the whole vector of some tokens, wherever they stand in the window.

    Args:
        vectors: the embedding of each of `ids`, (T, B, E).
        ids: (T, B).
        vocabulary_size: V.
        rate: share of the V tokens that is dropped.

    Merity, Keskar and Socher 2017, section 4.3: dropout on the rows of the embedding matrix.
    """
    if not rate:
        return vectors
    return vectors * _mask(vectors.new_empty(vocabulary_size, 1), rate)[ids]  # (T, B, E) * (T, B, 1)


def ngram_dropout(vectors: Tensor, rate: float) -> Tensor:
    """
    Drop the whole vector of some n-grams, others at each step: (T, B, N - 1, E).

    Long n-grams come from few places each, and a network that always has them learns these by heart.
    """
    return vectors * _mask(vectors[..., :1], rate) if rate else vectors


def weight_drop(weights: Tensor, rate: float) -> Tensor:
    """
    Drop single weights of a recurrent matrix, (G*H, H), the same ones at each step of a window.

    DropConnect, Wan et al. 2013; on recurrent weights: Merity, Keskar and Socher 2017, section 2.
    """
    return weights * _mask(weights, rate) if rate else weights


def activation_penalty(
    dropped: Tensor, hidden: Tensor, alpha: float, beta: float, weights: Tensor | None = None
) -> Tensor | float:
    """
    A term of the training loss that penalises hidden states which are large or change fast.

    α mean(d²) + β mean((h_t+1 - h_t)²), the means over all scored steps, streams and units.

    Args:
        dropped: d, what the output layer reads, after dropout, (T, B, H): the hidden states of the last
            recurrent layer, or the values of the last dense layer where there is one.
        hidden: h, the same before dropout.
        alpha: weight of the first, activation regularisation (AR).
        beta: weight of the second, temporal activation regularisation (TAR); 0 for a single step.
        weights: of the positions, (T, B); a change counts with that of its later step. None: all count 1.

    Merity, McCann and Socher 2017; its L2 is the mean of squares, as in the published code of AWD-LSTM.
    """
    penalty: Tensor | float = 0.0
    if alpha:
        penalty = penalty + alpha * _mean_over_positions(dropped.square(), weights)
    if beta and len(hidden) > 1:
        changes = (hidden[1:] - hidden[:-1]).square()
        penalty = penalty + beta * _mean_over_positions(changes, None if weights is None else weights[1:])
    return penalty


def _mean_over_positions(values: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of values, (T, B, H), over units and over positions by their weights, (T, B)."""
    return weighted_mean(values if weights is None else values.mean(-1), weights)


def _mask(like: Tensor, rate: float) -> Tensor:
    """A random mask of the shape of `like`: 0 with probability `rate`, else 1 / (1 - rate)."""
    if like.device.type != "cpu":
        return torch.empty_like(like).bernoulli_(1 - rate) / (1 - rate)
    # torch's generator is slow (up to a tenth of the training time), so it only seeds a faster one.
    generator = np.random.SFC64(int(torch.randint(2**63 - 1, ())))
    scale = like.new_tensor(1 / (1 - rate)).numpy()
    mask = np.empty(like.numel(), scale.dtype)
    for first in range(0, mask.size, _TOGETHER):
        part = mask[first : first + _TOGETHER]
        words = generator.random_raw(-(-part.size // 4))
        part[:] = words.view(np.uint16)[: part.size] >= round(rate * _CHANCES)
        part *= scale
    return torch.from_numpy(mask).view(like.shape)
