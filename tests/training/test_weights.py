"""Batches with weights: what is not scored is read, but nothing is learned from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmgen.arrays import IdArray
from lmgen.data.batches import Batch, Batches
from lmgen.data.run_folder import RunFolder
from lmgen.errors import CorpusError
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.training.checkpoints import load_checkpoint, save_checkpoint
from lmgen.training.config import TrainingConfig
from lmgen.training.events import Evaluated, Stepped
from lmgen.training.loop import Trainer
from lmgen.training.network import Network
from lmgen.training.validation import TextValidation

V = 7
IDS = np.random.default_rng(0).integers(0, V, 400)


@dataclass
class ListedBatches:
    """The same batches in every epoch."""

    batches: Sequence[Batch]
    carried: bool = False
    streams: int = 3
    start_token: int = 0
    unit_end: None = None
    answers: None = None
    ids: IdArray = field(default_factory=lambda: IDS)

    def count(self, epoch: int) -> int:
        return len(self.batches)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        return iter(self.batches[first:])

    def learning_rate_share(self, batch: Batch) -> float:
        return 1.0


def trainer(batches: Batches, normalization: str = "none", **settings: Any) -> Trainer:
    shape = NetworkConfig(hidden_size=8, embedding_size=4, layers=2, normalization=normalization)
    torch.manual_seed(0)
    network = Network(shape, V, initial_parameters(shape, V, None, 0)).double()
    return Trainer(
        network,
        batches,
        TextValidation(ids=IDS[:50], limit=500_000, start_token=0),
        TrainingConfig(**{"steps": 12, "evaluations": 3, **settings}),
    )


def random_batch(steps: int, seed: int) -> Batch:
    inputs, targets = np.random.default_rng(seed).integers(0, V, (2, steps, 3))
    return Batch(inputs, targets)


def padded(batch: Batch, steps: int, streams: int) -> Batch:
    """The same batch with steps and streams after its own that are not scored."""
    around = ((0, steps), (0, streams))
    weights = np.pad(np.ones(batch.targets.shape, np.float32), around)
    return Batch(
        np.pad(batch.inputs, around, constant_values=1),
        np.pad(batch.targets, around, constant_values=2),
        weights,
        text=weights > 0,
    )


UNSCORED = Batch(random_batch(4, 9).inputs, random_batch(4, 9).targets, np.zeros((4, 3), np.float32))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": "sgd", "learning_rate": 1.0},
        {"optimizer": "adamw-adagrad", "ema": 0.9},
        {"objective": "sampled", "samples": 4},
        {"activation_penalty": 2.0, "slowness_penalty": 1.0},
        {"normalization": "batch"},
    ],
)
def test_padding_that_is_not_scored_changes_no_weight(settings: dict[str, Any]) -> None:
    plain = [random_batch(steps, seed) for seed, steps in enumerate((5, 2, 8, 1, 6))]
    with_padding = [padded(batch, seed % 3, seed % 2) for seed, batch in enumerate(plain)]
    first, second = (trainer(ListedBatches(each), **settings) for each in (plain, with_padding))
    events = []
    for training in (first, second):
        torch.manual_seed(1)
        events.append(list(training.run()))

    theirs = second.state.network.state_dict()
    for name, tensor in first.state.network.state_dict().items():
        torch.testing.assert_close(theirs[name], tensor, rtol=1e-9, atol=1e-12)
    for one, other in zip(*events, strict=True):
        if isinstance(one, Evaluated):
            assert isinstance(other, Evaluated)
            assert other.train_nats_per_token == pytest.approx(one.train_nats_per_token, rel=1e-9)
            assert other.valid_nats_per_token == pytest.approx(one.valid_nats_per_token, rel=1e-9)
    assert first.progress.tokens == second.progress.tokens


def test_batch_normalisation_counts_what_is_not_scored_but_no_padding() -> None:
    """The statistics of a batch are those of its text, wherever in it something is to be predicted."""
    plain = random_batch(6, 0)
    last_alone = np.zeros(plain.targets.shape, np.float32)
    last_alone[-1] = 1.0
    of_text = padded(plain, 2, 1)
    assert of_text.weights is not None
    of_text.weights[:5] = 0.0
    statistics = []
    for batch in (plain, replace(plain, weights=last_alone), of_text):
        training = trainer(ListedBatches([batch]), "batch", steps=1, evaluations=1)
        list(training.run())
        first = training.state.network.batch_normalization[0]
        statistics.append((first.mean, first.variance))

    for found in statistics[1:]:
        torch.testing.assert_close(found, statistics[0], rtol=1e-9, atol=1e-12)


def test_the_mean_training_loss_counts_scored_tokens() -> None:
    """Batches of 6 and of 2 scored tokens weigh as 3 to 1."""
    weights = np.zeros((4, 3), np.float32)
    weights[3, :2] = 1.0
    answers = Batch(UNSCORED.inputs, UNSCORED.targets, weights)
    training = trainer(ListedBatches([random_batch(2, 0), answers]), steps=2, evaluations=1)
    *steps, evaluated = training.run()

    losses = [step.nats_per_token for step in steps if isinstance(step, Stepped)]
    assert isinstance(evaluated, Evaluated)
    assert evaluated.train_nats_per_token == pytest.approx((6 * losses[0] + 2 * losses[1]) / 8)
    assert training.progress.tokens == 8


@pytest.mark.parametrize("carried", [False, True])
def test_a_batch_without_a_scored_position_changes_nothing_but_the_carried_state(carried: bool) -> None:
    training = trainer(ListedBatches([UNSCORED, random_batch(5, 1)], carried=carried), steps=1)
    weights = training.state.network.arrays()
    expected, after = training.state.network.read(
        torch.from_numpy(UNSCORED.inputs), training.state.network.initial_state(3)
    )
    training.learner.read(UNSCORED)

    assert all(np.array_equal(weights[name], each) for name, each in training.state.network.arrays().items())
    [h, _], *_ = training.state.carried
    assert torch.equal(h, after[0][0] if carried else torch.zeros_like(h))
    assert not h.requires_grad
    assert expected.isfinite().all()


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_batches_without_a_scored_position_are_no_updates(normalization: str) -> None:
    plain = [random_batch(5, seed) for seed in range(4)]
    mixed = [UNSCORED, plain[0], plain[1], UNSCORED, UNSCORED, plain[2], plain[3], UNSCORED]
    first, second = (trainer(ListedBatches(each), normalization) for each in (plain, mixed))
    kinds = [[type(event) for event in training.run()] for training in (first, second)]

    assert kinds[0] == kinds[1]
    ours, theirs = first.state.network.arrays(), second.state.network.arrays()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_a_checkpoint_after_an_unscored_batch_keeps_the_last_good_state(tmp_path: Path) -> None:
    """That state is of as many updates, but of an earlier batch: a rollback reads the batch again."""
    mixed = ListedBatches([*(random_batch(5, seed) for seed in range(4)), UNSCORED], carried=True)
    training = trainer(mixed)
    assert any(isinstance(event, Evaluated) for event in training.run())  # ends where an evaluation is
    training.learner.read(UNSCORED)
    training.state.position.window += 1
    run = RunFolder(tmp_path)
    run.last.parent.mkdir()
    save_checkpoint(run, training.state, {})
    resumed = trainer(mixed)
    load_checkpoint(run, resumed.state, print)

    good, expected = resumed.state.good, training.state.good
    assert good.position == expected.position
    assert all(torch.equal(good.tensors[name], each) for name, each in expected.tensors.items())


def test_a_text_of_which_nothing_is_scored_is_refused() -> None:
    with pytest.raises(CorpusError, match="no position of the training text is scored"):
        list(trainer(ListedBatches([UNSCORED])).run())
