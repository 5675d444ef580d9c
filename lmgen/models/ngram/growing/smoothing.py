"""
Kneser-Ney probabilities from counts that grow.

    P(w | h) = (c(h w) - D(c(h w)) + Σ_v D(c(h v)) P(w | h')) / Σ_v c(h v)        P(w | h') if h was never seen

Discounts D(1), D(2), D(3+) are those of Chen and Goodman 1998, equation 26, from how many n-grams of the
table occur once to four times at that moment.
"""

import numpy as np

from lmgen.arrays import Float64Array, FloatArray
from lmgen.models.ngram.growing.counts import REACHED, Seen
from lmgen.models.ngram.kneser_ney import FALLBACK_DISCOUNTS


def interpolated(seen: Seen, lower: FloatArray) -> Float64Array:
    """Probabilities from counts and from the probabilities of the same tokens after shorter contexts."""
    discounts = _discounts(seen)
    kinds = np.minimum(seen.follower, REACHED)
    taken = sum(np.where(kinds == k, discounts[k - 1], 0.0) for k in range(1, REACHED + 1))
    exactly = [*(seen.reached[:-1] - seen.reached[1:]), seen.reached[-1]]  # with a count of 1, 2, 3 or more
    freed = sum(discount * number for discount, number in zip(discounts, exactly, strict=True))
    higher = (seen.follower - taken + freed * lower) / np.maximum(seen.total, 1)
    return np.where(seen.total > 0, higher, lower)


def _discounts(seen: Seen) -> Float64Array:
    """D(1), D(2), D(3+), (REACHED, ...); the usual fallback where counts give no valid ones."""
    ones, twos, threes, fours = (seen.table[:-1] - seen.table[1:]).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = ones / (ones + 2 * twos)
        found = np.stack(
            [1 - 2 * share * twos / ones, 2 - 3 * share * threes / twos, 3 - 4 * share * fours / threes]
        )
    limits = np.arange(1, REACHED + 1).reshape(-1, *[1] * (found.ndim - 1))
    valid = ((found > 0) & (found <= limits)).all(axis=0)
    fallback = np.reshape(FALLBACK_DISCOUNTS, limits.shape)
    return np.where(valid, found, fallback)
