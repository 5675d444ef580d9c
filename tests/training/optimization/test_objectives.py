"""What is minimised: the loss, or an estimate that is right on average and exact in the limit."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lmgen.data.token_file import token_counts
from lmgen.errors import ConfigError
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.runs.config import RunConfig
from lmgen.training.config import TrainingConfig
from lmgen.training.network import Network
from lmgen.training.optimization.objectives import (
    SampledSoftmax,
    full,
    inclusion_probabilities,
    objective_for,
)

V, H = 30, 8
IDS = np.random.default_rng(0).zipf(1.5, 5000).clip(max=V) - 1


def network(**settings: Any) -> Network:
    config = NetworkConfig(**{"hidden_size": H, "embedding_size": H, **settings})
    made = Network(config, V, initial_parameters(config, V, None, 0)).double()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in made.get_submodule("output").parameters():
            parameter.normal_(std=0.3)
    return made


def window(steps: int = 5, streams: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """What the output layer reads, (T, B, H), and targets, (T, B)."""
    torch.manual_seed(1)
    return torch.randn(steps, streams, H, dtype=torch.float64), torch.randint(0, V, (steps, streams))


def sampled(samples: int) -> SampledSoftmax:
    return SampledSoftmax(inclusion_probabilities(token_counts(IDS, V) + 1, samples))


@pytest.mark.parametrize("settings", [{}, {"tied": True}, {"output": "adaptive", "cutoffs": "4,12"}])
def test_the_full_objective_is_the_cross_entropy_over_all_tokens(settings: dict[str, Any]) -> None:
    made, (hidden, targets) = network(**settings), window()
    expected = torch.nn.functional.nll_loss(made.predict(hidden).flatten(0, 1), targets.flatten())

    torch.testing.assert_close(full(made, hidden, targets), expected)


@pytest.mark.parametrize("settings", [{}, {"tied": True}, {"tied": True, "embedding_size": 3}])
@pytest.mark.parametrize("samples", [V, V + 1, 1000])
def test_a_sample_of_all_tokens_gives_the_full_objective(settings: dict[str, Any], samples: int) -> None:
    """The loss and every gradient."""
    made, (hidden, targets) = network(**settings), window()
    hidden.requires_grad_()
    gradients = []
    for objective in (full, sampled(samples)):
        made.zero_grad()
        hidden.grad = None
        loss = objective(made, hidden, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        learned = [p.grad for n, p in made.named_parameters() if p.grad is not None]
        gradients.append([loss.detach(), hidden.grad, *learned])

    assert len(gradients[0]) == len(gradients[1])
    for expected, found in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected)


WEIGHTED: list[tuple[dict[str, Any], int | None]] = [
    ({}, None),
    ({"tied": True, "embedding_size": 3}, None),
    ({"output": "adaptive", "cutoffs": "4,12"}, None),
    ({}, 9),
    ({"tied": True, "embedding_size": 3}, 9),
]
"""Networks, and sampled tokens (None: the full objective)."""


def loss_and_gradients(
    settings: dict[str, Any], samples: int | None, places: torch.Tensor | None, weights: torch.Tensor | None
) -> list[torch.Tensor]:
    """Of a window, or of some of its positions as a window of one step; with the same sample each time."""
    made, (hidden, targets) = network(**settings), window()
    if places is not None:
        hidden, targets = hidden.flatten(0, 1)[places][None], targets.flatten()[places][None]
    hidden.requires_grad_()
    torch.manual_seed(6)
    loss = (full if samples is None else sampled(samples))(made, hidden, targets, weights)
    loss.backward()  # type: ignore[no-untyped-call]
    assert hidden.grad is not None
    of_hidden = hidden.grad.flatten(0, 1)
    return [loss.detach(), of_hidden, *(p.grad for p in made.parameters() if p.grad is not None)]


@pytest.mark.parametrize(("settings", "samples"), WEIGHTED)
def test_weights_of_one_are_no_weights(settings: dict[str, Any], samples: int | None) -> None:
    expected = loss_and_gradients(settings, samples, None, None)
    found = loss_and_gradients(settings, samples, None, torch.ones(5, 4, dtype=torch.float64))

    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("settings", "samples"), WEIGHTED)
def test_positions_of_weight_zero_are_as_if_they_were_not_there(
    settings: dict[str, Any], samples: int | None
) -> None:
    """The loss is the mean over the others, and no gradient reaches what is not scored."""
    places = torch.tensor([0, 3, 4, 11, 17, 19])
    weights = torch.zeros(20, dtype=torch.float64)
    weights[places] = 1.0
    loss, hidden, *rest = loss_and_gradients(settings, samples, None, weights.view(5, 4))
    expected, of_places, *expected_rest = loss_and_gradients(settings, samples, places, None)

    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0.0)
    torch.testing.assert_close(hidden[places], of_places, rtol=1e-12, atol=1e-15)
    assert not hidden[weights == 0].any()
    for found, wanted in zip(rest, expected_rest, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-14)


def test_a_position_counts_by_its_weight() -> None:
    made, (hidden, targets) = network(), window(1, 2)
    single = [full(made, hidden[:, [b]], targets[:, [b]]) for b in (0, 1)]
    weights = torch.tensor([[0.5, 1.5]], dtype=torch.float64)

    torch.testing.assert_close(full(made, hidden, targets, weights), (single[0] + 3 * single[1]) / 4)


def test_the_estimated_sum_is_right_on_average() -> None:
    """exp(loss) is the sum over the tokens divided by the target's part; the sum of a sample is unbiased."""
    made, (hidden, targets) = network(), window(1, 1)
    true = full(made, hidden, targets).exp().item()
    objective = sampled(12)
    torch.manual_seed(2)
    with torch.no_grad():
        estimates = [objective(made, hidden, targets).exp().item() for _ in range(4000)]
    error = np.std(estimates) / np.sqrt(len(estimates))

    assert abs(np.mean(estimates) - true) < 4 * error < 0.05 * true


def test_more_samples_come_nearer() -> None:
    made, (hidden, targets) = network(), window()
    true = full(made, hidden, targets).item()
    errors = []
    with torch.no_grad():
        for samples in (3, 10, 25):
            objective = sampled(samples)
            torch.manual_seed(3)
            losses = [objective(made, hidden, targets).item() for _ in range(200)]
            errors.append(np.abs(np.array(losses) - true).mean())

    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_a_target_is_never_among_those_it_is_compared_with() -> None:
    """With one other token of a probability of 0 the loss is that of a sure thing, sampled or not."""
    made = network()
    with torch.no_grad():
        for parameter in made.get_submodule("output").parameters():
            parameter.zero_()
        made.get_parameter("output.bias")[:] = -1e9
        made.get_parameter("output.bias")[3] = 0.0
    objective = SampledSoftmax(np.where(np.arange(V) == 3, 1.0, 4 / (V - 1)))
    loss = objective(made, torch.zeros(2, 2, H, dtype=torch.float64), torch.full((2, 2), 3))

    assert loss.item() == 0


@given(
    arrays(np.int64, st.integers(1, 40), elements=st.integers(1, 10**6)),
    st.integers(1, 50),
)
def test_inclusion_probabilities_sum_to_the_size_of_the_sample(weights: np.ndarray, samples: int) -> None:
    inclusion = inclusion_probabilities(weights, samples)

    assert inclusion.sum() == pytest.approx(min(samples, len(weights)))
    assert (inclusion > 0).all()
    assert (inclusion <= 1).all()
    order = np.argsort(weights)
    assert (np.diff(inclusion[order]) >= -1e-12).all()
    uncertain = inclusion < 1
    ratios = inclusion[uncertain] / weights[uncertain]
    np.testing.assert_allclose(ratios, ratios[:1].repeat(len(ratios)))


@given(
    arrays(np.int64, st.integers(2, 40), elements=st.integers(1, 10**6)),
    st.integers(1, 40),
    st.integers(0, 2**32),
)
def test_a_sample_has_so_many_different_tokens_in_order(weights: np.ndarray, samples: int, seed: int) -> None:
    torch.manual_seed(seed)
    drawn = SampledSoftmax(inclusion_probabilities(weights, samples)).draw().tolist()

    assert len(drawn) == min(samples, len(weights))
    assert drawn == sorted(set(drawn))
    assert 0 <= drawn[0] <= drawn[-1] < len(weights)


def test_tokens_are_drawn_as_often_as_they_should_be() -> None:
    inclusion = inclusion_probabilities(token_counts(IDS, V) + 1, 9)
    objective = SampledSoftmax(inclusion)
    torch.manual_seed(4)
    drawn = np.bincount(np.concatenate([objective.draw() for _ in range(4000)]), minlength=V) / 4000

    np.testing.assert_allclose(drawn, inclusion, atol=0.03)
    assert (drawn[inclusion == 1] == 1).all()


def test_the_same_seed_draws_the_same_samples() -> None:
    objective, draws = sampled(6), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append([objective.draw().tolist() for _ in range(20)])

    assert draws[0] == draws[1] != draws[2]


def test_tokens_that_never_occurred_are_sampled_too() -> None:
    objective = objective_for(TrainingConfig(objective="sampled", samples=2), V, np.array([1] * 50))
    torch.manual_seed(5)

    assert isinstance(objective, SampledSoftmax)
    assert len({token for _ in range(500) for token in objective.draw().tolist()}) == V


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output": "adaptive", "tokenizer": "bpe"}, "take --tokenizer word, or leave --output adaptive out"),
        (
            {"output": "adaptive", "tokenizer": "word", "objective": "sampled"},
            "objective sampled is for the output softmax",
        ),
        ({"objective": "nce"}, "objective is 'nce', but has to be one of full, sampled"),
        ({"samples": 0}, "samples is 0, but has to be at least 1"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RunConfig.from_settings(settings, "the test")
