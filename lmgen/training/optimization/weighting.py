"""Means over the scored positions of a batch (data/batches.py), weighted; those of weight 0 are left out."""

from torch import Tensor


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Σ w x / Σ w, or the plain mean where weights are None; 0 where all weights are 0."""
    if weights is None:
        return values.mean()
    total = weights.sum()
    return (values * weights).sum() / total if total else values.new_zeros(())


def scored_positions(
    hidden: Tensor, targets: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """
    The N positions of a batch that are scored, one after another.

    Args:
        hidden: (T, B, H).
        targets: (T, B).
        weights: (T, B); None: every position counts 1.

    Returns:
        The same with shapes (N, H), (N,) and (N,).
    """
    hidden, targets = hidden.flatten(0, 1), targets.flatten()
    if weights is None:
        return hidden, targets, None
    weights = weights.flatten()
    places = weights.nonzero().flatten()
    return hidden[places], targets[places], weights[places]
