"""What keeps a network from learning by heart does what its paper says, and nothing where it is off."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lmgen.data.windows import Windows
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.training.config import TrainingConfig
from lmgen.training.loop import Trainer
from lmgen.training.network import Network, detached
from lmgen.training.optimization.regularization import (
    activation_penalty,
    dropout,
    embedding_dropout,
    locked_dropout,
    ngram_dropout,
    weight_drop,
)
from lmgen.training.validation import TextValidation

V = 7
IDS = np.random.default_rng(0).integers(0, V, 400).astype(np.uint8)

ALL = 1 - 1e-12
"""A rate that drops everything, as far as one can see."""


def network(**settings: Any) -> Network:
    config = NetworkConfig(**{"hidden_size": 8, "embedding_size": 4, "layers": 2, **settings})
    return Network(config, V, initial_parameters(config, V, None, 0))


def trainer(made: Network, **settings: Any) -> Trainer:
    config = TrainingConfig(**{"batch_size": 4, "window_length": 8, "steps": 5, **settings})
    windows = Windows(ids=IDS, start_token=0, streams=4, length=8, carried=config.state == "carry")
    return Trainer(made, windows, TextValidation(ids=IDS[:50], limit=500_000, start_token=0), config)


class TestNothingIsOn:
    """The default, and `--dropout` alone, train as a plain loop over torch's own layers does."""

    @pytest.mark.parametrize("rate", [0.0, 0.3])
    def test_five_steps_give_the_weights_of_a_plain_loop(self, rate: float) -> None:
        torch.manual_seed(1)
        ours = network(dropout=rate)
        for _ in trainer(ours, optimizer="sgd", learning_rate=1.0, schedule="constant", warmup=0.0).run():
            pass
        torch.manual_seed(1)
        plain = network(dropout=rate)
        train_plainly(plain, rate)

        for name, parameter in plain.named_parameters():
            assert torch.equal(parameter, ours.get_parameter(name)), name

    def test_no_random_numbers_are_drawn(self) -> None:
        training = trainer(network())
        before = torch.get_rng_state()
        list(training.run())

        assert torch.equal(before, torch.get_rng_state())


class TestDropout:
    @pytest.mark.parametrize("rate", [0.001, 0.2, 0.5, 0.97])
    def test_the_share_is_the_rate_and_the_expected_value_stays(self, rate: float) -> None:
        torch.manual_seed(0)
        dropped = dropout(torch.full((100, 100, 101), 3.0), rate)
        share = (dropped == 0).float().mean().item()

        assert share == pytest.approx(rate, abs=5 * (rate * (1 - rate) / dropped.numel()) ** 0.5)
        assert dropped.max().item() == pytest.approx(3 / (1 - rate))
        assert dropped.double().mean().item() == pytest.approx(3, rel=5 * (rate / (1 - rate)) ** 0.5 / 1000)

    def test_neighbours_and_draws_know_nothing_of_each_other(self) -> None:
        torch.manual_seed(0)
        one, other = (dropout(torch.ones(1000, 1000), 0.5).flatten() - 1 for _ in range(2))
        for first, second in (
            (one[:-1], one[1:]),
            (one[:-4], one[4:]),
            (one[:-1000], one[1000:]),
            (one, other),
        ):
            assert abs((first * second).mean().item()) < 0.005

    def test_torch_s_seed_decides(self) -> None:
        values = torch.ones(5, 7, 3, dtype=torch.float64)
        draws = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            draws.append(dropout(values, 0.4))

        assert draws[0].dtype == torch.float64
        assert torch.equal(draws[0], draws[1])
        assert not torch.equal(draws[0], draws[2])

    def test_the_gradient_is_dropped_with_its_value(self) -> None:
        values = torch.ones(50, 20, requires_grad=True)
        dropped = dropout(values, 0.3)
        dropped.sum().backward()  # type: ignore[no-untyped-call]

        assert torch.equal(values.grad, dropped.detach())  # type: ignore[arg-type]

    def test_a_rate_of_nothing_changes_nothing_and_one_of_almost_all_leaves_nothing(self) -> None:
        values = torch.randn(30, 4)

        assert dropout(values, 0.0) is values
        assert not dropout(values, ALL).any()


def train_plainly(plain: Network, rate: float) -> None:
    """Five steps of truncated backpropagation, written out."""
    optimizer = torch.optim.SGD(plain.parameters(), lr=1.0)
    windows = Windows(ids=IDS, start_token=0, streams=4, length=8, carried=True)
    state = plain.initial_state(4)[:-1]  # without that of the embedding
    for _, window in zip(range(5), windows.epoch(0), strict=False):
        values, after = (
            functional.embedding(torch.from_numpy(window.inputs), plain.get_parameter("embedding")),
            [],
        )
        for layer, (h, c) in zip(plain.get_submodule("layers").children(), state, strict=True):
            *matrices, bias = layer.parameters()
            weights = [*matrices, bias, torch.zeros_like(bias)]
            values, h, c = torch.lstm(values, [h[None], c[None]], weights, True, 1, 0.0, False, False, False)
            after.append((h[0], c[0]))
            values = dropout(values, rate)
        state = detached(tuple(after))
        weight, bias = plain.get_submodule("output").parameters()
        scores = values @ weight.T + bias
        loss = functional.cross_entropy(scores.flatten(0, 1), torch.from_numpy(window.targets).flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()


class TestNgramDropout:
    def test_a_vector_is_dropped_as_a_whole_and_others_make_up_for_it(self) -> None:
        torch.manual_seed(0)
        dropped = ngram_dropout(torch.ones(50, 8, 4, 3), 0.25)

        assert torch.equal(dropped, dropped[..., :1].expand_as(dropped))
        assert dropped.max().item() == pytest.approx(1 / 0.75)
        assert dropped.mean().item() == pytest.approx(1, abs=0.1)

    def test_without_its_ngrams_a_network_reads_tokens_alone(self) -> None:
        made = network(ngram_embedding=3, ngram_rows=9, dropout_ngrams=ALL)
        plain = network()
        for name, parameter in plain.named_parameters():
            made.get_parameter(name).data = parameter.data
        torch.nn.init.normal_(made.get_parameter("ngram_embedding"))
        ids = torch.arange(8).view(4, 2) % V
        dropped, expected = (each.read(ids, each.initial_state(2))[0] for each in (made, plain))
        whole = made.eval().read(ids, made.initial_state(2))[0]

        assert torch.equal(dropped, expected)
        assert not torch.allclose(whole, expected)


class TestVariationalDropout:
    def test_a_mask_is_one_for_all_steps_and_another_for_each_stream(self) -> None:
        torch.manual_seed(0)
        dropped = locked_dropout(torch.ones(9, 5, 64), 0.5)

        assert all(torch.equal(step, dropped[0]) for step in dropped)
        streams = {tuple(stream.tolist()) for stream in dropped[0]}
        assert len(streams) == 5

    def test_what_is_kept_makes_up_for_what_is_dropped(self) -> None:
        torch.manual_seed(0)
        dropped = locked_dropout(torch.full((2, 100, 1000), 3.0), 0.4)

        assert sorted(set(dropped.flatten().tolist())) == pytest.approx([0, 3 / 0.6])
        assert dropped.mean().item() == pytest.approx(3, abs=0.05)
        assert (dropped == 0).float().mean().item() == pytest.approx(0.4, abs=0.01)

    def test_each_window_draws_its_own(self) -> None:
        values = torch.ones(2, 3, 50)

        assert not torch.equal(locked_dropout(values, 0.5), locked_dropout(values, 0.5))


class TestEmbeddingDropout:
    def test_a_token_is_dropped_wherever_it_stands_or_nowhere(self) -> None:
        torch.manual_seed(0)
        ids = torch.randint(0, 50, (40, 30))
        dropped = embedding_dropout(torch.ones(40, 30, 6), ids, 50, 0.3)

        kept = {token: set(dropped[ids == token].flatten().tolist()) for token in range(50)}
        assert all(len(values) == 1 for values in kept.values())
        assert {0.0} in kept.values()
        assert max(max(values) for values in kept.values()) == pytest.approx(1 / 0.7)

    def test_the_share_is_of_the_vocabulary_and_the_expected_value_stays(self) -> None:
        torch.manual_seed(0)
        dropped = embedding_dropout(torch.ones(20_000, 1, 1), torch.arange(20_000)[:, None], 20_000, 0.3)

        assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
        assert dropped.mean().item() == pytest.approx(1, abs=0.02)

    def test_the_network_does_not_see_dropped_tokens(self) -> None:
        made = network(dropout_embedding=ALL)

        assert torch.equal(read(made, [1, 2, 3]), read(made, [4, 5, 6]))

    def test_the_output_still_uses_every_row_of_a_tied_embedding(self) -> None:
        made = network(dropout_embedding=ALL, tied=True, embedding_size=8)
        hidden = torch.randn(1, 1, 8)

        scores = hidden @ made.get_parameter("embedding").T
        torch.testing.assert_close(made.predict(hidden), scores.log_softmax(-1))


class TestWeightDrop:
    def test_single_weights_are_dropped_and_the_expected_value_stays(self) -> None:
        torch.manual_seed(0)
        dropped = weight_drop(torch.full((1000, 250), 2.0), 0.5)

        assert sorted(set(dropped.flatten().tolist())) == [0, 4]
        assert (dropped == 0).float().mean().item() == pytest.approx(0.5, abs=0.01)

    def test_recurrent_weights_alone_are_dropped(self) -> None:
        """Without them each step depends on its own token only, which the input weights still tell apart."""
        hidden = read(network(cell="rnn", weight_drop=ALL), [1, 2, 1, 2])

        torch.testing.assert_close(hidden[:2], hidden[2:])
        assert not torch.equal(hidden[0], hidden[1])

    def test_a_window_drops_the_same_weights_at_each_step(self) -> None:
        """Two windows differ, and the one read step by step with weights dropped once is the window."""
        made = network(layers=1, weight_drop=0.5)
        torch.manual_seed(0)
        window = read(made, [1, 2, 3])
        assert not torch.equal(window, read(made, [1, 2, 3]))

        torch.manual_seed(0)
        weights = made.get_parameter("layers.0.weight_recurrent")
        with torch.no_grad():
            weights.copy_(weight_drop(weights, 0.5))
        torch.testing.assert_close(window, read(made.eval(), [1, 2, 3]))

    def test_the_weights_themselves_stay_and_learn(self) -> None:
        made = network(weight_drop=0.5)
        weights = made.get_parameter("layers.0.weight_recurrent")
        before = weights.detach().clone()
        read(made, [1, 2, 3]).sum().backward()  # type: ignore[no-untyped-call]

        assert torch.equal(weights, before)
        assert weights.grad is not None
        assert weights.grad.any()


class TestActivationPenalty:
    HIDDEN = torch.tensor([[[1.0, 2.0]], [[3.0, 0.0]], [[3.0, -1.0]]])  # (3, 1, 2)
    DROPPED = torch.tensor([[[2.0, 0.0]], [[6.0, 0.0]], [[6.0, 0.0]]])

    def test_large_values_cost_the_mean_of_their_squares(self) -> None:
        penalty = activation_penalty(self.DROPPED, self.HIDDEN, alpha=2.0, beta=0.0)

        assert float(penalty) == pytest.approx(2.0 * (4 + 36 + 36) / 6)

    def test_change_costs_the_mean_of_its_squares(self) -> None:
        penalty = activation_penalty(self.DROPPED, self.HIDDEN, alpha=0.0, beta=0.5)

        assert float(penalty) == pytest.approx(0.5 * (2**2 + 2**2 + 0**2 + 1**2) / 4)

    def test_both_add_up_and_none_is_nothing(self) -> None:
        both = activation_penalty(self.DROPPED, self.HIDDEN, 2.0, 0.5)

        assert float(both) == pytest.approx(2.0 * 76 / 6 + 0.5 * 9 / 4)
        assert activation_penalty(self.DROPPED, self.HIDDEN, 0.0, 0.0) == 0

    def test_a_window_of_one_step_has_no_change(self) -> None:
        assert activation_penalty(self.DROPPED[:1], self.HIDDEN[:1], 0.0, 1.0) == 0

    def test_steps_that_are_not_scored_cost_nothing(self) -> None:
        """Padding after the first two steps; a change counts with its later step."""
        weights = torch.tensor([[1.0], [1.0], [0.0]])
        both = activation_penalty(self.DROPPED, self.HIDDEN, 2.0, 0.5, weights)

        assert float(both) == pytest.approx(
            float(activation_penalty(self.DROPPED[:2], self.HIDDEN[:2], 2.0, 0.5))
        )
        ones = activation_penalty(self.DROPPED, self.HIDDEN, 2.0, 0.5, torch.ones(3, 1))
        assert float(ones) == pytest.approx(float(activation_penalty(self.DROPPED, self.HIDDEN, 2.0, 0.5)))

    def test_a_change_to_nothing_scored_is_no_change(self) -> None:
        weights = torch.tensor([[1.0], [0.0], [0.0]])

        assert float(activation_penalty(self.DROPPED, self.HIDDEN, 0.0, 0.5, weights)) == 0

    @pytest.mark.parametrize("name", ["activation_penalty", "slowness_penalty"])
    def test_the_update_follows_the_penalty_but_the_reported_loss_does_not(self, name: str) -> None:
        settings: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 1.0, "steps": 1}
        off, on = trainer(network(), **settings), trainer(network(), **{name: 3.0}, **settings)
        for training in (off, on):
            next(training.run())

        assert on.state.position.nats == off.state.position.nats
        assert on.state.position.gradient_norm != off.state.position.gradient_norm


class TestWhereDropoutActs:
    @pytest.mark.parametrize("variational", [False, True])
    def test_input_dropout_hides_the_tokens(self, variational: bool) -> None:
        made = network(dropout_input=ALL, variational=variational)

        assert torch.equal(read(made, [1, 2, 3]), read(made, [4, 5, 6]))

    @pytest.mark.parametrize("settings", [{"dropout_hidden": ALL}, {"dropout": ALL}])
    @pytest.mark.parametrize("variational", [False, True])
    def test_dropout_between_layers_hides_the_first_from_the_second(
        self, settings: dict[str, Any], variational: bool
    ) -> None:
        made = network(**settings, variational=variational)

        assert torch.equal(read(made, [1, 2, 3]), read(made, [4, 5, 6]))

    @pytest.mark.parametrize("settings", [{"dropout_output": ALL}, {"dropout": ALL}])
    @pytest.mark.parametrize("variational", [False, True])
    def test_dropout_before_the_output_leaves_its_bias(
        self, settings: dict[str, Any], variational: bool
    ) -> None:
        made = network(**settings, variational=variational)
        found, _ = made(torch.tensor([[1], [2]]), made.initial_state(1))

        assert torch.equal(found, made.get_parameter("output.bias").log_softmax(0).expand(2, 1, V))

    def test_rates_of_their_own_go_before_the_common_one(self) -> None:
        config = NetworkConfig(dropout=0.1, dropout_hidden=0.0, dropout_output=0.4)

        assert (config.dropout_between, config.dropout_before_output) == (0.0, 0.4)
        assert NetworkConfig(dropout=0.1).dropout_between == 0.1

    def test_evaluation_drops_nothing(self) -> None:
        made = network(dropout=0.5, dropout_input=0.5, dropout_embedding=0.5, weight_drop=0.5).eval()

        assert torch.equal(read(made, [1, 2, 3]), read(network().eval(), [1, 2, 3]))


def read(made: Network, tokens: list[int]) -> Tensor:
    """The top layer's hidden states after those tokens."""
    hidden, _ = made.read(torch.tensor(tokens)[:, None], made.initial_state(1))
    return hidden


@pytest.mark.parametrize("shape", [(3,), (64, 16, 64), (5, 7, 4001)])
def test_a_mask_is_the_same_however_many_numbers_are_drawn_together(shape: tuple[int, ...]) -> None:
    """Runs are repeatable: a seed gives the mask that the generator would give at once."""
    torch.manual_seed(1)
    dropped = dropout(torch.ones(shape), 0.3)
    torch.manual_seed(1)
    words = np.random.SFC64(int(torch.randint(2**63 - 1, ()))).random_raw(-(-dropped.numel() // 4))
    kept = words.view(np.uint16)[: dropped.numel()] >= round(0.3 * 2**16)

    assert np.array_equal(dropped.numpy().flatten(), kept * np.float32(1 / (1 - 0.3)))
