"""
Which tokens may come next, and how likely they are: every filter a pure function on log-probabilities.

With p the model's probabilities and l = log p, `apply_filters` applies, in this order:

    0. without             the unknown token is never generated
    1. top_k               keep the k likeliest
    2. top_p               of these, keep the fewest that have a share P of their probability together
    3. min_p               of these, keep those with p >= M max p
    4. repetition_penalty  l becomes θ l for tokens among the last 256, so p becomes p^θ
    5. temperature         l becomes l / T; T = 0 leaves the likeliest alone

The first three drop tokens and the last two reweigh those that are left. Temperature comes last, so that
what a filter drops does not depend on it, and so that greedy choice is the limit of a low temperature.
Penalty and temperature together are CTRL's l / (T I), with I = 1 / θ since l is negative.

Arrays are (V,) or (B, V), natural logarithms; a dropped token's is -inf. Results are not normalised again:
the differences between log-probabilities are what counts. One token always survives; where tokens are
equally likely and not all may stay, the lower ids do.
"""

import numpy as np
import numpy.typing as npt

from lmgen.errors import NumericalError
from lmgen.generation.config import SamplingConfig
from lmgen.models.base import FloatArray, IdArray

RECENT_TOKENS = 256
"""How far back the repetition penalty looks, prompt included; so its memory does not grow with the text."""

NO_TOKEN = -1
"""Stands in a row of recent tokens for those that are not there yet."""

FIRST_CANDIDATES = 64
"""How many of the likeliest tokens `top_p` sorts at first, and by how many times more it then tries again."""
MORE_CANDIDATES = 8

LogWeights = npt.NDArray[np.float64]


def apply_filters(
    log_probabilities: FloatArray, config: SamplingConfig, recent: IdArray | None, unknown: int | None
) -> LogWeights:
    """
    Apply all filters that `config` asks for, in the order documented above.

    Args:
        log_probabilities: the model's, (B, V).
        config: None, or a repetition penalty of 1, leaves a filter out.
        recent: the last tokens of each stream for the repetition penalty, (B, W), filled up with `NO_TOKEN`;
            None if there is no penalty.
        unknown: the id that must not be generated, or None.

    Raises:
        NumericalError: a probability is not a number, or no token but `unknown` has any.
    """
    weights = without(log_probabilities.astype(np.float64), unknown)
    if not np.isfinite(weights.max(axis=-1)).all():
        raise NumericalError(
            "the model gives no known token a probability: it may be damaged, train it again"
        )
    if config.top_k is not None:
        weights = top_k(weights, config.top_k)
    if config.top_p is not None:
        weights = top_p(weights, config.top_p)
    if config.min_p is not None:
        weights = min_p(weights, config.min_p)
    if config.repetition_penalty is not None and recent is not None:
        weights = repetition_penalty(weights, recent, config.repetition_penalty)
    return temperature(weights, config.temperature)


def without(log_probabilities: LogWeights, token: int | None) -> LogWeights:
    """Drop one token, if there is one to drop."""
    if token is None:
        return log_probabilities
    kept = log_probabilities.copy()
    kept[..., token] = -np.inf
    return kept


def top_k(log_probabilities: LogWeights, k: int) -> LogWeights:
    """
    Keep the k likeliest tokens (Fan, Lewis and Dauphin 2018, section 5.1).

    Selects instead of sorting: the time is linear in V.
    """
    if k >= log_probabilities.shape[-1]:
        return log_probabilities
    least = np.partition(log_probabilities, -k, axis=-1)[..., -k, None]
    return np.where(_largest(log_probabilities, least, k), log_probabilities, -np.inf)


def top_p(log_probabilities: LogWeights, p: float) -> LogWeights:
    """
    Keep the nucleus: the smallest set of tokens with Σ p(v) >= P (Holtzman et al. 2020, equation 2).

    The sum is relative to what earlier filters left. Only the likeliest tokens are sorted, more of them
    until they suffice; the result is that of sorting all.
    """
    if p >= 1:
        return log_probabilities
    probabilities = np.exp(log_probabilities - log_probabilities.max(axis=-1, keepdims=True))
    wanted = p * probabilities.sum(axis=-1, keepdims=True)
    size = FIRST_CANDIDATES
    likeliest = _descending(probabilities, size)
    while size < probabilities.shape[-1] and (likeliest.sum(axis=-1, keepdims=True) < wanted).any():
        size *= MORE_CANDIDATES
        likeliest = _descending(probabilities, size)
    too_few = (likeliest.cumsum(axis=-1) < wanted).sum(axis=-1, keepdims=True)
    last = np.minimum(too_few, likeliest.shape[-1] - 1)
    least = np.take_along_axis(likeliest, last, axis=-1)
    return np.where(_largest(probabilities, least, last + 1), log_probabilities, -np.inf)


def min_p(log_probabilities: LogWeights, p: float) -> LogWeights:
    """Keep tokens with p(v) >= M max p (Nguyen et al. 2024, section 3)."""
    if p <= 0:
        return log_probabilities
    least = log_probabilities.max(axis=-1, keepdims=True) + np.log(p)
    return np.where(log_probabilities >= least, log_probabilities, -np.inf)


def repetition_penalty(log_probabilities: LogWeights, recent: IdArray, penalty: float) -> LogWeights:
    """
    Raise the probability of recent tokens to the power θ: l becomes θ l (Keskar et al. 2019, section 4.1).

    CTRL divides positive scores by θ; log-probabilities are negative, so they are multiplied.

    Args:
        log_probabilities: (V,) or (B, V).
        recent: the tokens to penalise, each once however often it is listed, (W,) or (B, W); `NO_TOKEN` is
            no token.
        penalty: θ; above 1 they become less likely.
    """
    *streams, V = log_probabilities.shape
    seen = np.zeros((*streams, V + 1), bool)  # the last column is NO_TOKEN's
    np.put_along_axis(seen, recent, True, axis=-1)
    return np.where(seen[..., :V], log_probabilities * penalty, log_probabilities)


def temperature(log_probabilities: LogWeights, degree: float) -> LogWeights:
    """
    Divide log-probabilities by T, so that p becomes p^(1/T); at T = 0 the likeliest token is left alone.

    The largest becomes 0 first: then no temperature, however low or high, overflows or gives a NaN.
    """
    if degree > 0:
        with np.errstate(over="ignore"):  # -inf is right for what is out of all reach
            scaled: LogWeights = (log_probabilities - log_probabilities.max(axis=-1, keepdims=True)) / degree
        return scaled
    greedy = np.full(log_probabilities.shape, -np.inf)
    np.put_along_axis(greedy, log_probabilities.argmax(axis=-1, keepdims=True), 0.0, axis=-1)
    return greedy


def _descending(values: LogWeights, size: int) -> LogWeights:
    """The `size` largest values of each row, largest first; all of them if there are no more."""
    if size < values.shape[-1]:
        values = np.partition(values, -size, axis=-1)[..., -size:]
    return np.sort(values, axis=-1)[..., ::-1]


def _largest(values: LogWeights, least: LogWeights, count: int | IdArray) -> npt.NDArray[np.bool_]:
    """Where the `count` largest values of each row are, `least` being the smallest of them."""
    kept: npt.NDArray[np.bool_] = values >= least
    if (kept.sum(axis=-1, keepdims=True) > count).any():  # seldom: several are equal to the smallest
        equal = values == least
        room = count - (kept ^ equal).sum(axis=-1, keepdims=True)
        kept ^= equal & (equal.cumsum(axis=-1) > room)
    return kept
