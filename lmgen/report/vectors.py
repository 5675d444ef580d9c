"""The vectors of tokens as points of the plane, near each other where they are alike."""

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from lmgen.arrays import Float32Array, Int64Array
from lmgen.models.base import LanguageModel
from lmgen.tokenizers.base import Tokenizer
from lmgen.vectors.lookup import Lookup
from lmgen.vectors.picture import FEWEST, spreads, word_picture

MOST = 90
"""Tokens in a picture; more have no room for their names."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Tokens as points of the plane."""

    method: str
    """`PCA` or `t-SNE`."""
    by_frequency: bool
    """Whether they are the most frequent ones, and not the first ones of the vocabulary."""
    axes: tuple[str, str]
    names: list[str]
    xs: list[float]
    ys: list[float]


def planes_of(model: LanguageModel, tokenizer: Tokenizer, counts: Int64Array | None) -> list[Plane]:
    """
    The vectors of the most frequent tokens by PCA, and by t-SNE where scikit-learn is installed.

    Args:
        model: whose embedding is drawn.
        tokenizer: spells the tokens.
        counts: of each id in the training text, (V,); None: the first ids are taken.

    Returns:
        None at all if the model has no embedding, too few tokens, or vectors that fill no plane.
    """
    network = model.as_network()
    if network is None or "embedding" not in network.parameters:
        return []
    order = np.arange(tokenizer.vocabulary_size) if counts is None else np.argsort(-counts, kind="stable")
    names: dict[str, int] = {}
    for token in order.tolist():
        if len(names) == MOST or (counts is not None and not counts[token]):
            break
        if token not in tokenizer.special_ids:
            names.setdefault(tokenizer.escaped_piece(token), token)
    if len(names) < FEWEST:
        return []
    lookup = Lookup(names, network.parameters["embedding"][list(names.values())])
    if not spreads(lookup.unit):
        return []
    by_frequency = counts is not None
    planes = [_pca(lookup, by_frequency=by_frequency)]
    if find_spec("sklearn"):
        chart = word_picture(lookup, lookup.words, "tsne", 0)
        [points] = chart.series
        axes = ("first dimension", "second dimension")
        planes.append(
            Plane("t-SNE", by_frequency, axes, list(points.names), list(points.xs), list(points.ys))
        )
    return planes


def _pca(lookup: Lookup, *, by_frequency: bool) -> Plane:
    """The two directions in which unit vectors vary most, by a singular value decomposition."""
    centred: Float32Array = lookup.unit - lookup.unit.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    shares = sizes**2 / max(float((sizes**2).sum()), 1e-12)
    places = left[:, :2] * sizes[:2]
    signs = np.where(places[np.abs(places).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    xs, ys = (places * signs).T.tolist()
    axes = (
        f"first principal component ({shares[0]:.0%} of the variance)",
        f"second principal component ({shares[1]:.0%})",
    )
    return Plane("PCA", by_frequency, axes, lookup.words, xs, ys)
