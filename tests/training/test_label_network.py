"""Networks that label texts, in torch: the results of numpy and of torch's own layers, right gradients."""

from typing import Any

import numpy as np
import pytest
import torch

from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.labelling import Labelling
from lmgen.training.network import Network
from tests.models.network.test_labels import END, SHAPES, V, network, texts


def torch_network(shape: dict[str, Any], labelling: dict[str, Any]) -> Network:
    model = network(shape, labelling)
    return Network(model.config, V, model.parameters, model.labelling)


def padded(several: list[np.ndarray], padding: int = 0) -> torch.Tensor:
    ids = np.full((max(map(len, several)), len(several)), padding)
    for stream, text in enumerate(several):
        ids[: len(text), stream] = text
    return torch.from_numpy(ids)


@pytest.mark.parametrize(("shape", "labelling"), SHAPES)
def test_torch_and_numpy_agree(shape: dict[str, Any], labelling: dict[str, Any]) -> None:
    several = texts(6, 2, 9, 0)
    trained = torch_network(shape, labelling).eval()

    with torch.no_grad():
        scores, _ = trained(padded(several), trained.initial_state(len(several)))

    expected = network(shape, labelling).log_probabilities(several)
    for stream, wanted in enumerate(expected):
        np.testing.assert_allclose(scores[: len(wanted), stream].numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_two_bidirectional_layers_are_those_of_torch(cell: str) -> None:
    config = NetworkConfig(cell=cell, layers=2, hidden_size=5, embedding_size=4)
    labelling = Labelling(labels=3, unit_end=END, bidirectional=True)
    ours = Network(config, V, initial_parameters(config, V, None, 0, labelling=labelling), labelling).double()
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell]
    theirs = kind(4, 5, num_layers=2, bidirectional=True).double()
    ours_by_name = dict(ours.named_parameters())
    with torch.no_grad():
        for layer in range(2):
            for direction, suffix in (("forwards", ""), ("backwards", "_reverse")):
                prefix, name = f"layers.{layer}.{direction}.", f"l{layer}{suffix}"
                getattr(theirs, f"weight_ih_{name}").copy_(ours_by_name[prefix + "weight_input"])
                getattr(theirs, f"weight_hh_{name}").copy_(ours_by_name[prefix + "weight_recurrent"])
                getattr(theirs, f"bias_ih_{name}").copy_(ours_by_name[prefix + "bias"])
                getattr(theirs, f"bias_hh_{name}").zero_()
                if cell == "gru":
                    bias = getattr(theirs, f"bias_hh_{name}")
                    bias[-5:].copy_(ours_by_name[prefix + "bias_recurrent"])
    several = texts(6, 2, 4)
    ids = padded(several)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        ours_by_name["embedding"][ids].detach(),
        torch.tensor([len(text) for text in several]),
        enforce_sorted=False,
    )

    found, _ = ours.read(ids, ours.initial_state(3))
    wanted, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs(packed)[0])

    inside = torch.tensor([[step < len(text) for text in several] for step in range(len(ids))])
    torch.testing.assert_close(found[inside], wanted[inside])
    found[inside].square().sum().backward()  # type: ignore[no-untyped-call]
    wanted[inside].square().sum().backward()  # type: ignore[no-untyped-call]
    for name, gradient in (
        ("forwards.weight_input", theirs.weight_ih_l0.grad),
        ("backwards.weight_recurrent", theirs.weight_hh_l0_reverse.grad),
    ):
        torch.testing.assert_close(ours_by_name[f"layers.0.{name}"].grad, gradient)


@pytest.mark.parametrize(("shape", "labelling"), SHAPES)
def test_gradients_are_right_and_padding_has_none(shape: dict[str, Any], labelling: dict[str, Any]) -> None:
    trained = torch_network(shape, labelling).double()
    several = texts(3, 1)
    names = [name for name, _ in trained.named_parameters()]
    inside = torch.tensor([[step < len(text) for text in several] for step in range(4)])

    def losses(*parameters: torch.Tensor, padding: int = 0) -> torch.Tensor:
        scores, _ = torch.func.functional_call(
            trained,
            dict(zip(names, parameters, strict=True)),
            (padded(several, padding), trained.initial_state(2)),
        )
        scored: torch.Tensor = scores[inside]
        return scored

    values = [parameter.detach().clone().requires_grad_() for parameter in trained.parameters()]
    torch.testing.assert_close(losses(*values), losses(*values, padding=5))
    assert torch.autograd.gradcheck(losses, values)


def test_dropout_of_recurrent_weights_acts_on_both_directions() -> None:
    trained = torch_network({"weight_drop": 0.5}, {"bidirectional": True, "pool": "max"})
    ids, state = padded(texts(5)), trained.initial_state(1)
    torch.manual_seed(0)

    assert not torch.equal(trained(ids, state)[0], trained(ids, state)[0])
    trained.eval()
    assert torch.equal(trained(ids, state)[0], trained(ids, state)[0])
