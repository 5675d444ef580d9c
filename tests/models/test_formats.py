"""Every format ever released is read, and says what it said: the files are as lmgen wrote them then."""

from pathlib import Path

import numpy as np
import pytest

from lmgen.models.model_file import FORMAT_VERSION, load_tensors
from lmgen.text_model import TextModel

FILES = Path(__file__).parents[1] / "files"

TEXT = "the cat sat on a mat\n"


@pytest.mark.parametrize(
    ("name", "version", "nats", "likeliest", "probability"),
    [
        ("network-1", 1, 55.944685, " ", 0.339516),
        ("ngram-1", 1, 10.832406, "cat", 0.652778),
        ("mixture-1", 1, 18.757656, "l", 0.165968),
        ("network-2-float16", 2, 25.831103, "</s>", 0.251071),
        ("network-2-int8", 2, 25.905219, "</s>", 0.251297),
    ],
)
def test_a_file_of_an_older_format_gives_the_probabilities_it_gave(
    name: str, version: int, nats: float, likeliest: str, probability: float
) -> None:
    path = FILES / f"{name}.safetensors"
    model = TextModel.load(path)
    [best] = model.next("the ", top=1)

    assert load_tensors(path)[0]["format_version"] == version
    np.testing.assert_allclose(model.score(TEXT).nats, nats, rtol=1e-6)
    assert best.token == likeliest
    np.testing.assert_allclose(best.probability, probability, atol=1e-6)


def test_there_is_a_file_of_every_format() -> None:
    versions = {load_tensors(path)[0]["format_version"] for path in FILES.glob("*.safetensors")}

    assert versions == set(range(1, FORMAT_VERSION + 1))
