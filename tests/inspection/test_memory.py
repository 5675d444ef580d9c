"""The loss as a function of the context: exact for models whose memory is known."""

from math import log
from pathlib import Path

import numpy as np
import pytest

import lmgen
from lmgen.errors import ConfigError, CorpusError
from lmgen.text_model import TextModel
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.cli.tiny_model import chain, save_bigram_model


def test_a_bigram_network_uses_one_token(tmp_path: Path) -> None:
    letters = CharacterTokenizer("\nab")
    model = lmgen.load(save_bigram_model(tmp_path / "tiny.safetensors", letters, chain(letters, "ab\n")))

    text = "ab\n" * 30
    found = model.memory(text, contexts=[4, 0, 1, 2])

    assert [each.context for each in found] == [0, 1, 2, 4]
    assert {each.tokens for each in found} == {86}  # all after the first four
    assert [each.nats_per_token for each in found[1:]] == pytest.approx([0, 0, 0], abs=1e-6)
    # After the start, a line end, an a is certain, and others cost 30 nats.
    assert found[0].nats_per_token == pytest.approx(30 * (1 - text[4:].count("a") / 86), rel=1e-5)
    assert found[1].perplexity == pytest.approx(1)


def test_an_ngram_model_uses_as_many_tokens_as_its_order_allows(tmp_path: Path) -> None:
    text = "".join(np.random.default_rng(0).choice(list("abc\n"), 3000))
    model = lmgen.fit_ngram(text, order=3, out=tmp_path / "ngram.safetensors")

    losses = {each.context: each.nats_per_token for each in model.memory(text, contexts=[0, 1, 2, 3, 8])}

    assert losses[0] > losses[1] > losses[2]
    assert losses[2] == losses[3] == losses[8]


def test_the_loss_with_a_context_is_that_of_a_text_which_begins_there() -> None:
    text = "".join(np.random.default_rng(1).choice(list("abc\n"), 70))
    model = TextModel.untrained(text, cell="gru", hidden_size=5)

    [found] = model.memory(text, contexts=[60], positions=10)

    expected = [
        model.score(text[at - 60 : at + 1], by="token")[-1].surprisal_bits * log(2) for at in range(60, 70)
    ]
    assert found.nats_per_token == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_short_text_and_wrong_numbers_are_refused() -> None:
    model = TextModel.untrained("ab\n", cell="rnn", hidden_size=2)

    with pytest.raises(
        CorpusError, match="too few tokens for 256 of context: the text has 6; give one of at least 257"
    ):
        model.memory("ab\nab\n")
    with pytest.raises(ConfigError, match="contexts are -1, 2 and positions 512"):
        model.memory("ab\nab\n", contexts=[2, -1])
    with pytest.raises(ConfigError, match="contexts are none"):
        model.memory("ab\nab\n", contexts=[])
