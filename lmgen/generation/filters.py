"""
The controls of sampling: which tokens may come next, and with what probability.

With p the model's probabilities and l = log p, `candidates` applies, in this order:

    0. without             the unknown token is never generated
    1. top_k               keep the k likeliest
    2. top_p               of these, keep the fewest whose probabilities sum to a share P of the total
    3. min_p               of these, keep those with p >= M max p
    4. repetition_penalty  l becomes θ l for tokens among the last 256, so p becomes p^θ
    5. temperature         l becomes l / T; T = 0 keeps only the likeliest

The first four drop tokens and the last two reweight the rest. Temperature comes last, so that what a filter
drops does not depend on it, and so that greedy decoding is the limit of a low temperature.
Penalty and temperature together are CTRL's l / (T I), with I = 1 / θ since l is negative.

Arrays are (B, V), natural logarithms. Results are not normalised again: only differences between log-weights
matter. One token always survives; of equally likely tokens that cannot all be kept, those of lower ids are.

Filters that drop most of a large vocabulary leave a small array, (B, K), with the tokens' ids beside it. So a
token costs a few passes over V and no sort of it.
"""

from dataclasses import dataclass
from math import isfinite, log

import numpy as np
import numpy.typing as npt

from lmgen.errors import NumericalError
from lmgen.generation.config import SamplingConfig
from lmgen.models.base import FloatArray, IdArray

RECENT_TOKENS = 256
"""Tokens that the repetition penalty looks back, prompt included; a bound keeps memory constant."""

NO_TOKEN = -1
"""Padding of a row of recent tokens."""

FIRST_NUCLEUS = 64
"""Number of the likeliest tokens that `top_p` sorts first."""

NUCLEUS_GROWTH = 8
"""Factor by which `top_p` sorts more tokens if these do not suffice."""

GROUP = 16
"""Size of the groups of tokens whose maxima bound the k-th likeliest token of a large vocabulary."""

FEW = 256
"""Up to this many columns, dropped tokens stay in the array as -inf instead of being removed."""

NOTHING_TO_DRAW = "the model gives no known token a probability: it may be damaged, train it again"

COLDEST = 1e-100
"""The lowest temperature above 0: here tokens are equally likely, or their probability is 0."""


@dataclass(slots=True)
class Candidates:
    """The tokens that may come next in each of B streams."""

    log_weights: FloatArray
    """(B, K); -inf for a token that is dropped, and where a stream has fewer candidates than others."""

    most: FloatArray
    """The largest log-weight of each stream, (B, 1)."""

    ids: IdArray | None = None
    """Ids of the tokens, ascending, (B, K); None if they are 0 .. V - 1."""

    def tokens(self, columns: IdArray) -> IdArray:
        """The token in one column of each row, (B,)."""
        return columns if self.ids is None else self.ids[np.arange(len(columns)), columns]

    def where(self, marked: npt.NDArray[np.bool_]) -> "Candidates":
        """The marked candidates, (B, K); the others are dropped."""
        B, K = marked.shape
        if K <= FEW:
            return Candidates(np.where(marked, self.log_weights, -np.inf), self.most, self.ids)
        cells = np.flatnonzero(marked)  # many times faster than `nonzero`
        begins = np.arange(B + 1) * K
        places = cells.searchsorted(begins)
        counts = np.diff(places)
        rows = np.repeat(np.arange(B), counts)
        columns = np.arange(len(cells)) - places[rows]
        log_weights = np.full((B, counts.max()), -np.inf, self.log_weights.dtype)
        log_weights[rows, columns] = self.log_weights.ravel()[cells]
        ids = np.zeros(log_weights.shape, np.intp)
        ids[rows, columns] = cells - begins[rows] if self.ids is None else self.ids.ravel()[cells]
        return Candidates(log_weights, self.most, ids)


def candidates(
    log_probabilities: FloatArray, config: SamplingConfig, recent: IdArray | None, unknown: int | None
) -> Candidates:
    """
    Apply all filters that `config` asks for, in the order documented above.

    Args:
        log_probabilities: the model's, (B, V).
        config: a filter of None is not applied.
        recent: the last tokens of each stream for the repetition penalty, (B, W), padded with `NO_TOKEN`;
            None if there is no penalty.
        unknown: the id that must not be generated, or None.

    Returns:
        The candidates, the largest log-weight of each row being 0; in double precision.

    Raises:
        NumericalError: a probability is NaN, or that of every token but `unknown` is 0.
    """
    known = without(log_probabilities, unknown)
    kept = Candidates(known, known.max(axis=-1, keepdims=True))
    if not isfinite(kept.most.sum()):
        raise NumericalError(NOTHING_TO_DRAW)
    if config.top_k is not None:
        kept = top_k(kept, config.top_k)
    if config.top_p is not None:
        kept = top_p(kept, config.top_p)
    if config.min_p is not None:
        kept = min_p(kept, config.min_p)
    if config.repetition_penalty is not None and recent is not None:
        kept = repetition_penalty(kept, recent, config.repetition_penalty)
    return temperature(kept, config.temperature)


def without(log_probabilities: FloatArray, token: int | None) -> FloatArray:
    """Drop one token, if there is one to drop."""
    if token is None:
        return log_probabilities
    kept = log_probabilities.copy()
    kept[..., token] = -np.inf
    return kept


def top_k(kept: Candidates, k: int) -> Candidates:
    """
    Keep the k likeliest tokens (Fan, Lewis and Dauphin 2018, section 5.1).

    Selects instead of sorting. If V is many times k, tokens less likely than the k-th largest of V / 16 group
    maxima are dropped first: at least k tokens are as likely as that.
    """
    if k >= kept.log_weights.shape[-1]:
        return kept
    if 2 * GROUP * k <= kept.log_weights.shape[-1]:
        groups = _likeliest_of_groups(kept.log_weights)
        kept = kept.where(kept.log_weights >= _largest(groups, k))
    return _keep(kept, k, _largest(kept.log_weights, k))


def top_p(kept: Candidates, p: float) -> Candidates:
    """
    Keep the nucleus: the smallest set of tokens with Σ p(v) >= P (Holtzman et al. 2020, equation 2).

    The sum is relative to what earlier filters left. Only the likeliest tokens are sorted, and more of them
    until they suffice; the result is the same as of sorting all.
    """
    if p >= 1:
        return kept
    log_weights, most = kept.log_weights, kept.most
    wanted = p * np.exp(log_weights - most).sum(axis=-1, keepdims=True)
    size = FIRST_NUCLEUS
    while True:
        likeliest = _descending(log_weights, size)
        shares = np.exp(likeliest - most).cumsum(axis=-1, dtype=np.float64)
        if size >= log_weights.shape[-1] or (shares[:, -1:] >= wanted).all():
            break
        size *= NUCLEUS_GROWTH
    too_few = (shares < wanted).sum(axis=-1)
    last = np.minimum(too_few, shares.shape[-1] - 1)
    least = likeliest[np.arange(len(last)), last]
    return _keep(kept, last[:, None] + 1, least[:, None])


def min_p(kept: Candidates, p: float) -> Candidates:
    """Keep tokens with p(v) >= M max p (Nguyen et al. 2024, section 3)."""
    if p <= 0:
        return kept
    return kept.where(kept.log_weights >= kept.most + log(p))


def repetition_penalty(kept: Candidates, recent: IdArray, penalty: float) -> Candidates:
    """
    Raise the probability of recent tokens to the power θ: l becomes θ l (Keskar et al. 2019, section 4.1).

    CTRL divides positive scores by θ; log-probabilities are negative, so they are multiplied.

    Args:
        kept: the candidates.
        recent: the tokens to penalise, (B, W), each only once; `NO_TOKEN` is padding.
        penalty: θ; above 1 they become less likely.
    """
    B, K = kept.log_weights.shape
    V = K if kept.ids is None else 1 + max(int(kept.ids.max()), int(recent.max()))
    seen = np.zeros((B, V + 1), bool)  # the last column is NO_TOKEN's
    np.put_along_axis(seen, recent, True, axis=-1)
    seen = seen[:, :V] if kept.ids is None else np.take_along_axis(seen, kept.ids, axis=-1)
    log_weights = kept.log_weights.copy()
    log_weights.reshape(-1)[np.flatnonzero(seen)] *= penalty
    return Candidates(log_weights, log_weights.max(axis=-1, keepdims=True), kept.ids)


def temperature(kept: Candidates, degree: float) -> Candidates:
    """
    Divide log-probabilities by T, so that p becomes p^(1/T); T = 0 keeps only the likeliest token.

    The largest is subtracted first, so that no temperature overflows or gives a NaN.
    """
    nothing = np.zeros((len(kept.most), 1))
    if degree == 0:
        columns = kept.log_weights.argmax(axis=-1)
        return Candidates(nothing, nothing, kept.tokens(columns)[:, None])
    shifted = kept.log_weights.astype(np.float64)
    shifted -= kept.most
    if degree != 1:
        shifted /= max(degree, COLDEST)
    return Candidates(shifted, nothing, kept.ids)


def _likeliest_of_groups(log_weights: FloatArray) -> FloatArray:
    """The largest value of each of K // 16 groups of 16, the last K % 16 columns left out."""
    B, K = log_weights.shape
    size = K // GROUP
    grouped: FloatArray = log_weights[:, : size * GROUP].reshape(B, GROUP, size).max(axis=1)
    return grouped


def _largest(values: FloatArray, k: int) -> FloatArray:
    """The k-th largest value of each row, (B, 1)."""
    return np.partition(values, -k, axis=-1)[:, -k, None]


def _descending(values: FloatArray, size: int) -> FloatArray:
    """At least the `size` largest values of each row, largest first; all of them if there are no more."""
    if 2 * size < values.shape[-1]:
        values = np.partition(values, -size, axis=-1)[:, -size:]
    return np.sort(values, axis=-1)[:, ::-1]


def _keep(kept: Candidates, count: int | IdArray, least: FloatArray) -> Candidates:
    """Keep the `count` likeliest of each row, `least` being the smallest log-weight of them."""
    kept = kept.where(kept.log_weights >= least)
    enough = kept.log_weights >= least
    if (enough.sum(axis=-1, keepdims=True) > count).any():  # seldom: several are equal to the smallest
        equal = kept.log_weights == least
        room = count - (enough ^ equal).sum(axis=-1, keepdims=True)
        kept = kept.where(enough ^ (equal & (equal.cumsum(axis=-1) > room)))
    return kept
