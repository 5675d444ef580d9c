"""A run's mixture: whose weights mix what, and where they are kept."""

import json
from math import inf
from pathlib import Path

import numpy as np
import pytest

from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import write_tokens
from lmgen.evaluation.mixing import FittedWeights, Mixture, fitted_weights
from lmgen.evaluation.perplexity import compare_models
from lmgen.evaluation.scoring import score_ids
from lmgen.models.mixture import MixtureModel, fit_weights, mix
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.fakes import BigramModel, random_bigram_model

V = 5
TOKENIZER = CharacterTokenizer("\nabc")
MODELS: list[BigramModel] = [random_bigram_model(V, 1), random_bigram_model(V, 2)]
FITTED = FittedWeights((0.5, 0.5), (0.2, 0.8), (0.9, 0.1), 3, ("a", "b"))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path)
    ids = np.random.default_rng(0).integers(1, V, 400)
    write_tokens(run.valid_tokens, [ids], V)
    run.model.write_bytes(b"one")
    run.ngram.write_bytes(b"two")
    return run


def weights(run: RunFolder) -> FittedWeights:
    return fitted_weights(run, MODELS, [run.model, run.ngram])


def test_the_validation_text_is_mixed_by_what_the_other_half_says() -> None:
    """Tokens before the half by the weights of the second half, the others by those of the first."""
    nats = [np.full(4, 1.0), np.full(4, 3.0)]
    crossed = Mixture.of((0, 1), FITTED, validation=True)
    first, second = (-mix(np.array([[-1.0, -3.0]]), part)[0] for part in ((0.9, 0.1), (0.2, 0.8)))

    assert crossed.nats(0, nats).tolist() == pytest.approx([first, first, first, second])
    assert crossed.nats(2, nats).tolist() == pytest.approx([first, second, second, second])
    assert crossed.nats(9, nats).tolist() == pytest.approx([second] * 4)


def test_another_text_is_mixed_by_what_the_whole_says() -> None:
    assert Mixture.of((0, 1), FITTED, validation=False).spans == ((inf, (0.5, 0.5)),)


def test_the_mixture_scores_what_the_mixture_model_scores() -> None:
    text = "abc\ncab\n" * 20
    mixture = Mixture((0, 1), ((inf, (0.3, 0.7)),))
    *_, mixed = compare_models(MODELS, TOKENIZER, [text], "text", mixture=mixture)
    model = MixtureModel(MODELS, (0.3, 0.7))

    assert mixed.model == "mixture"
    exact = sum(block.nats.sum() for block in score_ids(model, TOKENIZER.encode(text)))
    assert mixed.nats == pytest.approx(exact)


def test_weights_are_those_of_em_on_the_validation_text(run: RunFolder) -> None:
    fitted = weights(run)
    ids = np.load(run.valid_tokens)
    each = -np.stack([np.concatenate([b.nats for b in score_ids(model, ids)]) for model in MODELS], axis=1)

    assert fitted.whole == fit_weights(each)
    assert fitted.first_half == fit_weights(each[:200])
    assert fitted.second_half == fit_weights(each[200:])


def test_weights_are_kept_until_a_model_changes(run: RunFolder) -> None:
    fitted = weights(run)
    kept = {**json.loads(run.mixture.read_text()), "whole": [0.25, 0.75]}
    run.mixture.write_text(json.dumps(kept))
    assert weights(run).whole == (0.25, 0.75)

    run.model.write_bytes(b"another")
    assert weights(run).whole == fitted.whole


@pytest.mark.parametrize("junk", ["", "[]", '{"whole": 3}', None])
def test_a_damaged_file_is_made_anew(junk: str | None, run: RunFolder) -> None:
    fitted = weights(run)
    broken = json.dumps({**json.loads(run.mixture.read_text()), "whole": [2.0, -1.0]})
    run.mixture.write_text(broken if junk is None else junk)

    assert weights(run) == fitted


def test_a_run_folder_that_cannot_be_written_to_can_be_mixed(run: RunFolder) -> None:
    fitted = weights(run)
    run.mixture.unlink()
    run.mixture.mkdir()

    assert weights(run) == fitted
