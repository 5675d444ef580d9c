"""
Model files of every format ever released still load, and predict what they predicted when they were written.

Those called network-1-... are small networks of every cell, tokenizer and output; files/make.py made them.
"""

from pathlib import Path

import numpy as np
import pytest

from lmgen.models.model_file import FORMAT_VERSION, load_model, load_tensors
from lmgen.models.network.cells import CELLS
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
        ("network-1-lstm-1997", 1, 57.397358, " ", 0.117197),
        ("network-1-lstm-peephole-full", 1, 52.746758, " ", 0.136514),
        ("network-1-lstm-coupled", 1, 55.481039, "t", 0.102384),
        ("network-1-lstm-coupled-rmsnorm", 1, 54.304592, "t", 0.099795),
        ("network-1-gru-reset-before", 1, 49.678355, " ", 0.153021),
        ("network-1-dsgu", 1, 53.257233, " ", 0.175449),
        ("network-1-rnn-leaky-relu", 1, 48.774317, " ", 0.103222),
        ("network-1-rnn-elu", 1, 50.454541, " ", 0.096804),
        ("network-1-rnn-softplus", 1, 50.151637, " ", 0.137046),
        ("ngram-1-word", 1, 10.107416, "quick", 0.331142),
        ("mixture-3", 3, 18.757656, "l", 0.165968),
        ("network-2-float16", 2, 25.831103, "</s>", 0.251071),
        ("network-2-int8", 2, 25.905219, "</s>", 0.251297),
        ("network-3-dense", 3, 46.698459, "a", 0.116729),
        ("network-4-line", 4, 52.727548, " ", 0.093912),
        ("network-4-convolution", 4, 52.266466, " ", 0.136500),
        ("network-4-window", 4, 49.540079, " ", 0.143241),
        ("network-4-dense", 4, 50.093007, "t", 0.114133),
        ("network-4-attention", 4, 52.507296, "a", 0.099280),
        ("ngram-4-sentencepiece", 4, 13.837502, "q", 0.306362),
        ("network-5-ngrams", 5, 45.438810, " ", 0.121661),
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


def test_there_is_a_file_of_every_cell_and_kind_of_layer() -> None:
    models = [load_model(path).model.as_network() for path in FILES.glob("network-*.safetensors")]
    networks = [model for model in models if model is not None]

    assert {network.config.cell for network in networks} == set(CELLS)
    kinds = {layer.kind for network in networks for layer in network.layers}
    assert kinds >= {"n-gram embedding", "convolution", "attention", "dense", "softmax", "adaptive softmax"}


def test_there_is_a_file_of_every_format() -> None:
    versions = {load_tensors(path)[0]["format_version"] for path in FILES.glob("*.safetensors")}

    assert versions == set(range(1, FORMAT_VERSION + 1))
