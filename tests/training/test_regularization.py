"""What keeps a network from learning by heart does what its paper says, and nothing where it is off."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lmgen.data.windows import Windows
from lmgen.models.config import NetworkConfig
from lmgen.models.initialization import initial_parameters
from lmgen.training.config import TrainingConfig
from lmgen.training.loop import Trainer
from lmgen.training.network import Network, detached
from lmgen.training.regularization import locked_dropout

V = 7
IDS = np.random.default_rng(0).integers(0, V, 400).astype(np.uint8)


def network(**settings: Any) -> Network:
    config = NetworkConfig(**{"hidden_size": 8, "embedding_size": 4, "layers": 2, **settings})
    return Network(config, initial_parameters(config, V, None, 0))


def trainer(made: Network, **settings: Any) -> Trainer:
    config = TrainingConfig(**{"batch_size": 4, "window_length": 8, "steps": 5, **settings})
    windows = Windows(ids=IDS, start_token=0, streams=4, length=8, carried=config.state == "carry")
    return Trainer(made, windows, IDS[:50], config)


class TestNothingIsOn:
    """The default, and `--dropout` alone, train as a plain loop over torch's own layers does."""

    @pytest.mark.parametrize("dropout", [0.0, 0.3])
    def test_five_steps_give_the_weights_of_a_plain_loop(self, dropout: float) -> None:
        torch.manual_seed(1)
        ours = network(dropout=dropout)
        for _ in trainer(ours, optimizer="sgd", learning_rate=1.0, schedule="constant", warmup=0.0).run():
            pass
        torch.manual_seed(1)
        plain = network(dropout=dropout)
        train_plainly(plain, dropout)

        for name, parameter in plain.named_parameters():
            assert torch.equal(parameter, ours.get_parameter(name)), name

    def test_no_random_numbers_are_drawn(self) -> None:
        training = trainer(network())
        before = torch.get_rng_state()
        list(training.run())

        assert torch.equal(before, torch.get_rng_state())


def train_plainly(plain: Network, dropout: float) -> None:
    """Five steps of truncated backpropagation, written out."""
    optimizer = torch.optim.SGD(plain.parameters(), lr=1.0)
    windows = Windows(ids=IDS, start_token=0, streams=4, length=8, carried=True)
    state = plain.initial_state(4)
    for _, window in zip(range(5), windows.epoch(0), strict=False):
        values, after = functional.embedding(torch.from_numpy(window.inputs), plain.embedding), []
        for layer, (h, c) in zip(plain.layers, state, strict=True):
            *matrices, bias = layer.parameters()
            weights = [*matrices, bias, torch.zeros_like(bias)]
            values, h, c = torch.lstm(values, [h[None], c[None]], weights, True, 1, 0.0, False, False, False)
            after.append((h[0], c[0]))
            values = functional.dropout(values, dropout)
        state = detached(tuple(after))
        weight, bias = plain.output.parameters()
        scores = values @ weight.T + bias
        loss = functional.cross_entropy(scores.flatten(0, 1), torch.from_numpy(window.targets).flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()


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


class TestWhereDropoutActs:
    """Rates of (almost) one leave (almost) only zeros of what they act on."""

    ALL = 1 - 1e-12

    @pytest.mark.parametrize("variational", [False, True])
    def test_input_dropout_hides_the_tokens(self, variational: bool) -> None:
        made = network(dropout_input=self.ALL, variational=variational)

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
        scores, _ = made(torch.tensor([[1], [2]]), made.initial_state(1))

        assert torch.equal(scores, made.get_parameter("output.bias").expand(2, 1, V))

    def test_rates_of_their_own_go_before_the_common_one(self) -> None:
        config = NetworkConfig(dropout=0.1, dropout_hidden=0.0, dropout_output=0.4)

        assert (config.dropout_between, config.dropout_before_output) == (0.0, 0.4)
        assert NetworkConfig(dropout=0.1).dropout_between == 0.1

    def test_evaluation_drops_nothing(self) -> None:
        made = network(dropout=0.5, dropout_input=0.5, variational=True).eval()

        assert torch.equal(read(made, [1, 2, 3]), read(network().eval(), [1, 2, 3]))


def read(made: Network, tokens: list[int]) -> Tensor:
    """The top layer's hidden states after those tokens."""
    hidden, _ = made.read(torch.tensor(tokens)[:, None], made.initial_state(1))
    return hidden
