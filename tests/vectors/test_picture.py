"""Words as points of the plane."""

from pathlib import Path

import numpy as np
import pytest

from lmgen.arrays import Float32Array
from lmgen.errors import ConfigError, ModelError
from lmgen.vectors.table import Vectors

pytest.importorskip("sklearn", reason="the extra `vectors` is not installed")

RANDOM = np.random.default_rng(0)
CENTRES = np.repeat(RANDOM.normal(size=(2, 8)), 10, axis=0)
WORDS = Vectors(
    [f"{group}{number}" for group in "ab" for number in range(10)],
    (CENTRES + 0.1 * RANDOM.normal(size=(20, 8))).astype(np.float32),
)


@pytest.mark.parametrize("projection", ["tsne", "pca"])
def test_words_with_like_vectors_are_near_each_other(projection: str) -> None:
    [points] = WORDS.picture(projection=projection).series  # type: ignore[arg-type]
    places = np.stack([points.xs, points.ys], axis=1)
    means = places[:10].mean(axis=0), places[10:].mean(axis=0)
    within = np.linalg.norm(places[:10] - means[0], axis=1).max()

    assert points.names == WORDS.words
    assert within < np.linalg.norm(means[0] - means[1])


def test_words_are_chosen_by_name_or_number(tmp_path: Path) -> None:
    [named] = WORDS.picture(["b1", "a2", "b1", "A3"], projection="pca").series
    [first] = WORDS.picture(top=5).series
    WORDS.picture(top=5).save(tmp_path / "words.svg")

    assert named.names == ["b1", "a2", "a3"]
    assert first.names == WORDS.words[:5]
    assert WORDS.picture(top=5).svg() == (tmp_path / "words.svg").read_text()


@pytest.mark.parametrize("projection", ["tsne", "pca"])
@pytest.mark.parametrize("matrix", [WORDS.matrix[:, :1], np.ones_like(WORDS.matrix)], ids=["line", "same"])
def test_vectors_that_fill_no_plane_are_refused(matrix: Float32Array, projection: str) -> None:
    with pytest.raises(ConfigError, match="have one number each, or the same direction, and fill no plane"):
        Vectors(WORDS.words, matrix).picture(projection=projection)  # type: ignore[arg-type]


def test_too_few_and_unknown_words_are_refused() -> None:
    with pytest.raises(ConfigError, match="a picture needs 3 different words or more"):
        WORDS.picture(["a1", "a2", "a1"])
    with pytest.raises(ModelError, match="has no vector of 'c1'"):
        WORDS.picture(["a1", "a2", "c1"])
    with pytest.raises(ConfigError, match="projection is 'umap', but has to be tsne or pca"):
        WORDS.picture(projection="umap")  # type: ignore[arg-type]
