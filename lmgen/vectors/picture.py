"""Words as points of the plane, near each other where their vectors are: by t-SNE or PCA, of scikit-learn."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from lmgen.arrays import Float32Array
from lmgen.errors import ConfigError
from lmgen.extras import needed
from lmgen.inspection.chart import Axis, Chart, Series
from lmgen.vectors.lookup import Lookup

Projection = Literal["tsne", "pca"]
PROJECTIONS: tuple[str, ...] = get_args(Projection)

FEWEST = 3
"""Words that a picture needs."""

PERPLEXITY = 30.0
"""
How many neighbours of a word t-SNE tries to keep, about; of few words a third.

That of van der Maaten and Hinton 2008 is 5 to 50.
"""


def word_picture(vectors: Lookup, words: Sequence[str], projection: Projection, seed: int) -> Chart:
    """
    A point for each word, with its name where there is room.

    Only directions count: vectors are divided by their lengths first, so that distances go by cosines.

    Args:
        vectors: of these words and others.
        words: the first ones are named first.
        projection: `tsne` keeps neighbours together; `pca` shows the two directions of largest variance.
        seed: of t-SNE.

    Raises:
        ConfigError: there are too few words, or their vectors do not spread over a plane.
        MissingExtraError: scikit-learn is not installed.
        ModelError: a word has no vector.
    """
    rows = list(dict.fromkeys(vectors.row(word) for word in words))
    if len(rows) < FEWEST:
        raise ConfigError(f"a picture needs {FEWEST} different words or more; give more (--words or --top)")
    unit = vectors.unit[rows]
    if not spreads(unit):
        raise ConfigError(
            f"the vectors of these words of {vectors.name} have one number each, or the same direction, and "
            "fill no plane: draw others"
        )
    places, axes = _tsne(unit, seed) if projection == "tsne" else _pca(unit)
    names = [vectors.words[row] for row in rows]
    return Chart(
        title=f"{len(rows)} words of {vectors.name}",
        x=Axis(label=axes[0]),
        y=Axis(label=axes[1]),
        series=[Series("", places[:, 0].tolist(), places[:, 1].tolist(), names)],
        as_points=True,
    )


def spreads(unit: Float32Array) -> bool:
    """Whether unit vectors, (N, E), have two numbers or more and are not all the same."""
    return unit.shape[1] > 1 and bool((unit != unit[0]).any())


def _tsne(unit: Float32Array, seed: int) -> tuple[Any, tuple[str, str]]:
    """Places in the plane, (N, 2), and the names of its axes."""
    manifold = needed("sklearn.manifold", "vectors")
    perplexity = min(PERPLEXITY, (len(unit) - 1) / 3)
    places = manifold.TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(unit)
    return places, ("t-SNE, first dimension", "t-SNE, second dimension")


def _pca(unit: Float32Array) -> tuple[Any, tuple[str, str]]:
    """Places in the plane, (N, 2), and the names of its axes."""
    analysis = needed("sklearn.decomposition", "vectors").PCA(2, svd_solver="full")
    places = analysis.fit_transform(unit)
    first, second = analysis.explained_variance_ratio_
    return places, (
        f"first principal component ({first:.0%} of the variance)",
        f"second principal component ({second:.0%})",
    )
