"""Runs that learn answers: what they learn from, what they report, how they are resumed and fine-tuned."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lmgen
from lmgen.data.answers import Answers
from lmgen.data.batches import Batch
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import read_tokens
from lmgen.data.unit_batches import UnitBatches
from lmgen.errors import ConfigError, CorpusError
from lmgen.evaluation.mixing import fitted_weights
from lmgen.evaluation.scoring import score_ids
from lmgen.models.mixture import fit_weights
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.runs import run
from lmgen.training.config import TrainingConfig
from lmgen.training.loop import Trainer
from lmgen.training.network import Network
from tests.runs.test_run import metrics, resumed_with_evaluation_tokens, stop_after, without_times

pytestmark = pytest.mark.slow

TINY: dict[str, Any] = {
    "unit": "line",
    "answers_after": "=",
    "hidden_size": 12,
    "layers": 1,
    "batch_size": 8,
    "window_length": 8,
    "steps": 12,
    "baseline_order": 3,
}


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    draw = random.Random(0)
    pairs = [(draw.randrange(50), draw.randrange(50)) for _ in range(400)]
    file = tmp_path / "sums.txt"
    file.write_text("".join(f"{a}+{b}={a + b}\n" for a, b in pairs))
    return file


def batches() -> UnitBatches:
    ids = np.tile([1, 2, 8, 3, 9, 4, 8, 5, 6, 9], 20)
    return UnitBatches(
        ids=ids, unit_end=9, start_token=9, streams=4, length=6, carried=True, answers=Answers(8, 9)
    )


def trainer() -> Trainer:
    shape = NetworkConfig(hidden_size=8, embedding_size=4)
    torch.manual_seed(0)
    network = Network(shape, 10, initial_parameters(shape, 10, None, 0)).double()
    return Trainer(network, batches(), None, TrainingConfig(steps=5, learning_rate=0.01))


def test_the_loss_of_a_batch_is_the_mean_over_its_answers() -> None:
    made, batch = trainer(), next(batches().epoch(0))
    assert batch.weights is not None
    network = made.state.network
    with torch.no_grad():
        state = network.initial_state(batch.inputs.shape[1])
        log_probabilities, _ = network(torch.from_numpy(batch.inputs), state)
    chosen = np.take_along_axis(log_probabilities.numpy(), batch.targets[..., None], axis=-1)[..., 0]

    assert made.learner.learn(batch, 0.01) == pytest.approx(-chosen[batch.weights == 1].mean())


def test_what_the_tokens_of_a_question_would_be_predicted_as_does_not_matter() -> None:
    """Their gradient is zero: with other targets in their place an update gives the same weights."""
    after = []
    for other in (False, True):
        made = trainer()
        for batch in batches().epoch(0):
            targets = batch.targets.copy()
            assert batch.weights is not None
            if other:
                targets[batch.weights == 0] = (targets[batch.weights == 0] + 3) % 10
            made.learner.learn(Batch(batch.inputs, targets, batch.weights, batch.begins), 0.01)
        after.append(made.state.network.arrays())

    assert all(np.array_equal(after[0][name], after[1][name]) for name in after[0])


def test_losses_of_a_run_are_those_of_its_answers(sums: Path, tmp_path: Path) -> None:
    model = lmgen.train(str(sums), out=tmp_path / "run", **TINY)
    folder = RunFolder(tmp_path / "run")
    ids = read_tokens(folder.valid_tokens, model.tokenizer.vocabulary_size)
    answers = Answers.of(model.tokenizer)
    assert answers is not None
    scored = answers.among(ids)
    nats = np.concatenate([block.nats for block in score_ids(model.model, ids)])[scored]

    best = min(row["valid_nats_per_token"] for row in metrics(folder.folder))
    assert best == pytest.approx(nats.mean(), rel=1e-4)
    assert next(model.perplexity()).nats_per_token == pytest.approx(nats.mean(), rel=1e-5)
    baseline = model.baseline()
    of_baseline = np.concatenate([block.nats for block in score_ids(baseline, ids)])[scored]
    [_, score] = model.perplexity()
    assert score.nats_per_token == pytest.approx(of_baseline.mean(), rel=1e-5)
    lines = "".join(folder.valid_text.read_text().splitlines(keepends=True))
    assert score.characters == sum(len(line.partition("=")[2]) for line in lines.splitlines(keepends=True))


def test_a_mixture_is_weighted_on_answers(sums: Path, tmp_path: Path) -> None:
    model = lmgen.train(str(sums), out=tmp_path / "run", **TINY)
    folder = RunFolder(tmp_path / "run")
    ids = read_tokens(folder.valid_tokens, model.tokenizer.vocabulary_size)
    answers = Answers.of(model.tokenizer)
    assert answers is not None
    models = [model.model, model.baseline()]
    each = -np.stack([np.concatenate([b.nats for b in score_ids(one, ids)]) for one in models], axis=-1)

    fitted = fitted_weights(folder, models, [folder.model, folder.ngram], answers)
    assert fitted.whole == fit_weights(each[answers.among(ids)])
    assert model.mixing_weights() == fitted
    mixture = list(model.perplexity(str(sums), mix=True))[-1]
    assert mixture.tokens < len(sums.read_text())


def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(sums: Path, tmp_path: Path) -> None:
    from lmgen.runs.config_file import configured

    config = configured({**TINY, "corpus": [str(sums)]}, "the test")
    list(run.train(config, tmp_path / "whole"))
    list(run.train(config, tmp_path / "cut", should_stop=stop_after(5)))
    list(run.resume(tmp_path / "cut"))

    whole, cut = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")
    assert cut.model.read_bytes() == whole.model.read_bytes()
    assert without_times(metrics(cut.folder)) == without_times(metrics(whole.folder))
    assert 'answers_after = "="' in cut.config.read_text()


def test_units_without_an_answer_are_counted(sums: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    sums.write_text(sums.read_text() + "no answer here\n" * 7)
    lmgen.fit_ngram(
        str(sums),
        order=2,
        out=tmp_path / "n.safetensors",
        unit="line",
        answers_after="=",
        on_note=notes.append,
    )
    fitted = lmgen.load(tmp_path / "n.safetensors")

    assert fitted.tokenizer.reading.answers_after == "="
    with pytest.raises(CorpusError, match=r"none of the 407 lines of the train text has the mark '%'"):
        lmgen.fit_ngram(str(sums), order=2, out=tmp_path / "m.safetensors", unit="line", answers_after="%")
    assert not (tmp_path / "m.safetensors").exists()


def test_evaluations_that_would_reach_no_answer_are_refused_before_the_run_is_put_in_place(
    sums: Path, tmp_path: Path
) -> None:
    held_out = tmp_path / "valid.txt"
    held_out.write_text("no answer here\n" * 30 + "1+2=3\n")
    settings = {**TINY, "valid": str(held_out)}
    with pytest.raises(
        CorpusError, match=r"first 100 tokens of the validation text have no answer after '='"
    ):
        lmgen.train(str(sums), out=tmp_path / "run", evaluation_tokens=100, **settings)

    assert not (tmp_path / "run").exists()
    lmgen.train(str(sums), out=tmp_path / "run", **settings)
    with pytest.raises(CorpusError, match=r"so that evaluations score nothing; train anew with more --eval"):
        resumed_with_evaluation_tokens(100, tmp_path / "run", steps=TINY["steps"] + 2)


def test_fine_tuning_keeps_the_mark(sums: Path, tmp_path: Path) -> None:
    lmgen.train(str(sums), out=tmp_path / "run", **TINY)
    lmgen.train(str(sums), from_model=tmp_path / "run", out=tmp_path / "more", steps=2)

    assert 'answers_after = "="' in RunFolder(tmp_path / "more").config.read_text()
    assert lmgen.load(tmp_path / "more").tokenizer.answer_mark is not None
    with pytest.raises(ConfigError, match=r"answers_after is '->', but .* has '='"):
        lmgen.train(str(sums), from_model=tmp_path / "run", out=tmp_path / "other", answers_after="->")
    plain = {**TINY, "answers_after": None}
    lmgen.train(str(sums), out=tmp_path / "plain", **plain)
    with pytest.raises(ConfigError, match="answers_after is '='"):
        lmgen.train(str(sums), from_model=tmp_path / "plain", out=tmp_path / "other", answers_after="=")
