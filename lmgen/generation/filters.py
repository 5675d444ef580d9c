"""
Sampling filters: which tokens may come next, and with what weights.

With p the model's probabilities and l = log p, `candidates` applies these steps in order:

    0. without             drop the unknown token
    1. top_k               keep the k most likely tokens
    2. top_p               of these, keep the most likely, as few as have a share P of the total
    3. min_p               of these, keep those with p >= M max p
    4. repetition_penalty  replace l by θ l, so p by p^θ, for tokens among the last 256
    5. temperature         replace l by l / T; T = 0 keeps only the most likely token

Steps 0 to 3 drop tokens; steps 4 and 5 change the weights of the rest. Temperature is last so that the
filters do not depend on it, and greedy decoding is the limit of a low temperature. Penalty and temperature
together are CTRL's l / (T I), with I = 1 / θ because l is negative.

Arrays start as (B, V) natural log-probabilities. They are not renormalised: only differences between the
log-weights of a row matter. At least one token is always kept; of equally likely tokens, those with lower ids
are kept.

With a large vocabulary, a filter drops most tokens, and the rest are gathered into arrays (B, K) beside their
ids. So drawing a token takes a few passes over V and never sorts it.
"""

from dataclasses import dataclass
from math import isfinite, log

import numpy as np
import numpy.typing as npt

from lmgen.arrays import FloatArray, IdArray, in_short
from lmgen.errors import NumericalError
from lmgen.generation.config import SamplingConfig

RECENT_TOKENS = 256
"""How many tokens back the repetition penalty looks, into the prompt too; fixed, to bound memory."""

NO_TOKEN = -1
"""Padding of a row of recent tokens while there are fewer than RECENT_TOKENS."""

FIRST_NUCLEUS = 64
"""How many of the most likely tokens `top_p` sorts at first."""

NUCLEUS_GROWTH = 8
"""Factor by which `top_p` raises the number of sorted tokens while they have too little probability."""

GROUP_SIZE = 16
"""`top_k` on a large vocabulary first takes the most likely token of each group of this many."""

MASKED_COLUMNS = 256
"""Up to this many columns, dropped tokens are masked by -inf, which is faster than gathering the rest."""

NOTHING_TO_DRAW = "the model gives no known token a probability: it may be damaged, train it again"

LOWEST_TEMPERATURE = 1e-100
"""Lower ones, other than 0, are raised to it. It already leaves only the most likely token and its equals."""


@dataclass(slots=True)
class Candidates:
    """The tokens that may come next in each of B streams, and their weights."""

    log_weights: FloatArray
    """(B, K); -inf for a dropped token, and as padding of a row with fewer candidates than others."""

    maximum: FloatArray
    """The largest log-weight of each row, (B, 1)."""

    ids: IdArray | None = None
    """The token of each column, (B, K), in ascending order; None if the columns are the ids 0 .. V - 1."""

    __repr__ = in_short

    def tokens(self, columns: IdArray) -> IdArray:
        """The id of the token in one given column of each row; both (B,)."""
        return columns if self.ids is None else self.ids[np.arange(len(columns)), columns]

    def where(self, kept: npt.NDArray[np.bool_]) -> "Candidates":
        """The candidates for which the mask `kept`, (B, K), is true."""
        B, K = kept.shape
        if K <= MASKED_COLUMNS:
            return Candidates(np.where(kept, self.log_weights, -np.inf), self.maximum, self.ids)
        cells = np.flatnonzero(kept)  # many times faster than `nonzero`
        row_begins = np.arange(B + 1) * K
        row_cells = cells.searchsorted(row_begins)  # where in `cells` each row begins
        counts = np.diff(row_cells)
        rows = np.repeat(np.arange(B), counts)
        columns = np.arange(len(cells)) - row_cells[rows]
        log_weights = np.full((B, counts.max()), -np.inf, self.log_weights.dtype)
        log_weights[rows, columns] = self.log_weights.ravel()[cells]
        ids = np.zeros(log_weights.shape, np.intp)
        ids[rows, columns] = cells - row_begins[rows] if self.ids is None else self.ids.ravel()[cells]
        return Candidates(log_weights, self.maximum, ids)


def candidates(
    log_probabilities: FloatArray, config: SamplingConfig, recent: IdArray | None, unknown: int | None
) -> Candidates:
    """
    Apply all filters that `config` asks for, in the order given at the top of this file.

    Args:
        log_probabilities: of the next token under the model, (B, V).
        config: the settings of the filters; those that are None are skipped.
        recent: the last tokens of each stream, (B, W), padded with `NO_TOKEN`, for the repetition penalty;
            None if there is no penalty.
        unknown: the id of the unknown token, which is never drawn; None if there is none.

    Returns:
        The candidates in float64, shifted so that the largest log-weight of each row is 0.

    Raises:
        NumericalError: a probability is NaN, or no token except `unknown` has a positive one.
    """
    known = without(log_probabilities, unknown)
    kept = Candidates(known, known.max(axis=-1, keepdims=True))
    if not isfinite(kept.maximum.sum()):
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
    """Set the log-probability of one token to -inf; if `token` is None, return the array unchanged."""
    if token is None:
        return log_probabilities
    kept = log_probabilities.copy()
    kept[..., token] = -np.inf
    return kept


def top_k(kept: Candidates, k: int) -> Candidates:
    """
    Keep the k most likely tokens (Fan, Lewis and Dauphin 2018, section 5.1).

    Selects instead of sorting. If V is many times k, it first takes the most likely token of each group of 16
    and drops all tokens less likely than the k-th of these: at least k tokens remain.
    """
    if k >= kept.log_weights.shape[-1]:
        return kept
    if 2 * GROUP_SIZE * k <= kept.log_weights.shape[-1]:
        maxima = _group_maxima(kept.log_weights)
        kept = kept.where(kept.log_weights >= _kth_largest(maxima, k))
    return _keep(kept, k, _kth_largest(kept.log_weights, k))


def top_p(kept: Candidates, p: float) -> Candidates:
    """
    Keep the nucleus: the smallest set of tokens with Σ p(v) >= P (Holtzman et al. 2020, equation 2).

    P is relative to the total probability that earlier filters left. Only the most likely tokens are sorted:
    a few at first, then more until their probability suffices. The result is the same as with a full sort.
    """
    if p >= 1:
        return kept
    log_weights, maximum = kept.log_weights, kept.maximum
    wanted = p * np.exp(log_weights - maximum).sum(axis=-1, keepdims=True)
    size = FIRST_NUCLEUS
    while True:
        largest = _descending(log_weights, size)
        sums = np.exp(largest - maximum).cumsum(axis=-1, dtype=np.float64)
        if size >= log_weights.shape[-1] or (sums[:, -1:] >= wanted).all():
            break
        size *= NUCLEUS_GROWTH
    too_few = (sums < wanted).sum(axis=-1)
    last = np.minimum(too_few, sums.shape[-1] - 1)
    least = largest[np.arange(len(last)), last]
    return _keep(kept, last[:, None] + 1, least[:, None])


def min_p(kept: Candidates, p: float) -> Candidates:
    """Keep tokens with p(v) >= M max p (Nguyen et al. 2024, section 3)."""
    if p <= 0:
        return kept
    return kept.where(kept.log_weights >= kept.maximum + log(p))


def repetition_penalty(kept: Candidates, recent: IdArray, penalty: float) -> Candidates:
    """
    Raise the probability of recent tokens to the power θ: l becomes θ l (Keskar et al. 2019, section 4.1).

    CTRL divides scores by θ, which makes positive ones smaller; log-probabilities are negative, so they are
    multiplied by it.

    Args:
        kept: the candidates.
        recent: the tokens to penalise, (B, W), padded with `NO_TOKEN`; repeated ones are penalised once.
        penalty: θ; above 1 makes recent tokens less likely.
    """
    B, K = kept.log_weights.shape
    V = K if kept.ids is None else 1 + max(int(kept.ids.max()), int(recent.max()))
    seen = np.zeros((B, V + 1), bool)  # NO_TOKEN, which is -1, marks the last column
    np.put_along_axis(seen, recent, True, axis=-1)
    seen = seen[:, :V] if kept.ids is None else np.take_along_axis(seen, kept.ids, axis=-1)
    log_weights = kept.log_weights.copy()
    log_weights.reshape(-1)[np.flatnonzero(seen)] *= penalty
    return Candidates(log_weights, log_weights.max(axis=-1, keepdims=True), kept.ids)


def temperature(kept: Candidates, value: float) -> Candidates:
    """
    Divide log-weights by T = `value`, so that p becomes p^(1/T); T = 0 keeps only the most likely token.

    Each row is first shifted so that its maximum is 0, so that no temperature causes an overflow or a NaN.
    """
    zeros = np.zeros((len(kept.maximum), 1))
    if value == 0:
        columns = kept.log_weights.argmax(axis=-1)
        return Candidates(zeros, zeros, kept.tokens(columns)[:, None])
    shifted = kept.log_weights.astype(np.float64)
    shifted -= kept.maximum
    if value != 1:
        shifted /= max(value, LOWEST_TEMPERATURE)
    return Candidates(shifted, zeros, kept.ids)


def _group_maxima(log_weights: FloatArray) -> FloatArray:
    """The maxima of K // 16 groups of 16 columns, (B, K // 16); the last K % 16 columns are ignored."""
    B, K = log_weights.shape
    groups = K // GROUP_SIZE
    maxima: FloatArray = log_weights[:, : groups * GROUP_SIZE].reshape(B, GROUP_SIZE, groups).max(axis=1)
    return maxima


def _kth_largest(values: FloatArray, k: int) -> FloatArray:
    """The k-th largest value of each row, (B, 1)."""
    return np.partition(values, -k, axis=-1)[:, -k, None]


def _descending(values: FloatArray, size: int) -> FloatArray:
    """The largest values of each row in descending order: at least `size` of them, or all."""
    if 2 * size < values.shape[-1]:
        values = np.partition(values, -size, axis=-1)[:, -size:]
    return np.sort(values, axis=-1)[:, ::-1]


def _keep(kept: Candidates, count: int | IdArray, least: FloatArray) -> Candidates:
    """Keep the `count` largest log-weights of each row; `least`, (B, 1), is the smallest of these."""
    kept = kept.where(kept.log_weights >= least)
    enough = kept.log_weights >= least
    if (enough.sum(axis=-1, keepdims=True) > count).any():  # rare: several tokens tie with the last
        equal = kept.log_weights == least
        room = count - (enough ^ equal).sum(axis=-1, keepdims=True)
        kept = kept.where(enough ^ (equal & (equal.cumsum(axis=-1) > room)))
    return kept
