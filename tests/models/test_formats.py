"""
Model files of every format ever released still load, and predict what they predicted when they were written.

Those called network-1-... are small networks of every cell, tokenizer and output; files/make.py made them.
"""

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
        ("network-1-lstm", 1, 51.880155, " ", 0.121060),
        ("network-1-gru", 1, 49.819467, " ", 0.144864),
        ("network-1-rnn", 1, 65.551992, "e", 0.120253),
        ("network-1-rnn-relu", 1, 59.748570, "\n", 0.010411),
        ("network-1-rnn-sigmoid", 1, 19.834495, "</s>", 0.133376),
        ("network-1-lstm-peephole", 1, 18.439113, "the", 0.167394),
        ("network-1-lstm-layernorm", 1, 21.202595, "</s>", 0.158026),
        ("network-1-unigram", 1, 53.256550, " ", 0.118483),
        ("ngram-1-word", 1, 10.107416, "quick", 0.331142),
        ("mixture-3", 3, 18.757656, "l", 0.165968),
        ("network-2-float16", 2, 25.831103, "</s>", 0.251071),
        ("network-2-int8", 2, 25.905219, "</s>", 0.251297),
        ("network-3-dense", 3, 46.698459, "a", 0.116729),
        ("network-4-line", 4, 52.727548, " ", 0.093912),
        ("ngram-4-sentencepiece", 4, 13.837502, "q", 0.306362),
    ],
)
def test_a_file_of_an_older_version_gives_the_probabilities_it_gave(
    name: str, version: int, nats: float, likeliest: str, probability: float
) -> None:
    path = FILES / f"{name}.safetensors"
    loaded = TextModel.load(path)
    model, ids = loaded.model, loaded.tokenizer.encode("the ")
    predicted = model.predict(model.advance(model.start(1), ids[:, None]))[0]
    best = int(predicted.argmax())

    assert load_tensors(path)[0]["format_version"] == version
    np.testing.assert_allclose(loaded.score(TEXT).nats, nats, rtol=1e-6)
    assert loaded.tokenizer.piece(best) == likeliest
    np.testing.assert_allclose(np.exp(predicted[best]), probability, atol=1e-6)


def test_there_is_a_file_of_every_format() -> None:
    versions = {load_tensors(path)[0]["format_version"] for path in FILES.glob("*.safetensors")}

    assert versions == set(range(1, FORMAT_VERSION + 1))
