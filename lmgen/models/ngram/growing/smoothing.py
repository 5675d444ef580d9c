"""
Kneser-Ney probabilities from counts that grow.

    P(w | h) = (c(h w) - D(c(h w)) + Σ_v D(c(h v)) P(w | h')) / Σ_v c(h v)    or P(w | h') if h is new

Discounts D(1), D(2), D(3+) are those of Chen and Goodman 1998, equation 26, from how many n-grams of the
table occur once to four times at that moment.
"""

from typing import NamedTuple

import numpy as np

from lmgen.arrays import Float64Array
from lmgen.models.ngram.growing.counts import REACHED, Seen
from lmgen.models.ngram.kneser_ney import FALLBACK_DISCOUNTS

_KINDS = np.arange(1, REACHED + 1)


class Terms(NamedTuple):
    """P(w | h) = own + left * P(w | h') for each of F contexts."""

    own: Float64Array
    """(F, T), or (F, S, V) as the counts."""
    left: Float64Array
    """(F, T) or (F, 1); (F, S, 1)."""


def smoothed(seen: Seen) -> Terms:
    """What counts give of the probabilities of tokens after their contexts."""
    discounts = _discounts(seen)
    capped = np.minimum(seen.follower, REACHED)
    taken = np.choose(capped, [np.zeros_like(discounts[0]), *discounts])
    exactly = seen.reached.copy()  # with a count of 1, of 2, of 3 or more
    exactly[:-1] -= seen.reached[1:]
    freed = (discounts * exactly).sum(axis=0)
    total = np.maximum(seen.total, 1)
    return Terms((seen.follower - taken) / total, np.where(seen.total > 0, freed / total, 1.0))


def _discounts(seen: Seen) -> Float64Array:
    """D(1), D(2), D(3+), (REACHED, F, T or 1); the usual fallback where counts give no valid ones."""
    once_to_four_times = (seen.everywhere[:-1] - seen.everywhere[1:]).astype(np.float64)
    kinds = _KINDS.reshape(-1, *(1,) * (seen.everywhere.ndim - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = once_to_four_times[1:] / once_to_four_times[:-1]
        share = 1 / (1 + 2 * ratios[0])
        found = kinds - (kinds + 1) * share * ratios
    valid = ((found > 0) & (found <= kinds)).all(axis=0)
    return np.where(valid, found, np.reshape(FALLBACK_DISCOUNTS, kinds.shape))
