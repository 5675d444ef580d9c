"""
The stacked recurrent network as a torch module: the same parameters and function as models/recurrent.py.

Where torch has a fused kernel that computes a cell's equations it runs that; elsewhere it steps through the
equations in models/cells.py and lets autograd differentiate them.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lmgen.models.base import FloatArray, IdArray
from lmgen.models.cells import CellState, cell_named
from lmgen.models.config import NetworkConfig
from lmgen.models.outputs import logits
from lmgen.models.recurrent import Float32Array, LayerStates

Layer = Callable[[Mapping[str, Tensor], Tensor, CellState], tuple[Tensor, CellState]]
"""Parameters, input (T, B, I) and state before -> hidden states (T, B, H) and state after."""


class Network(nn.Module):
    """
    Embedding, recurrent layers with dropout between them, and output: (ids, state) -> (logits, state).

    Dropout acts on what a layer reads, except the first, and on what the output reads (Zaremba, Sutskever
    and Vinyals 2014): never on the recurrent connection.
    """

    def __init__(self, config: NetworkConfig, parameters: Mapping[str, Float32Array]) -> None:
        """Start from numpy arrays by the names of `parameter_shapes`."""
        super().__init__()
        self.config = config
        self.cell = cell_named(config.cell)
        self.embedding = _parameter(parameters["embedding"])
        self.layers = nn.ModuleList(
            _parameters(parameters, f"layers.{layer}.") for layer in range(config.layers)
        )
        self.output = _parameters(parameters, "output.")

    def forward(self, ids: Tensor, state: LayerStates) -> tuple[Tensor, LayerStates]:
        """
        Read a window.

        Args:
            ids: int64, (T, B).
            state: what each layer remembers, as `initial_state` or an earlier call gave it.

        Returns:
            Logits of the token after each, (T, B, V), and the state after the last.
        """
        hidden, after = self.read(ids, state)
        hidden = functional.dropout(hidden, self.config.dropout, self.training)
        return logits(hidden, self._output_parameters()), after

    def read(self, ids: Tensor, state: LayerStates) -> tuple[Tensor, LayerStates]:
        """The top layer's hidden states, (T, B, H), and the state after the last step."""
        values = functional.embedding(ids, self.embedding)
        after = []
        for index, (layer, before) in enumerate(zip(self.layers, state, strict=True)):
            if index > 0:
                values = functional.dropout(values, self.config.dropout, self.training)
            values, last = _run_layer(self.config.cell, dict(layer.named_parameters()), values, before)
            after.append(last)
        return values, tuple(after)

    def predict(self, hidden: Tensor) -> Tensor:
        """Log-probabilities, (..., V), from the top layer's hidden states, (..., H)."""
        return logits(hidden, self._output_parameters()).log_softmax(-1)  # type: ignore[no-any-return]

    def initial_state(self, streams: int) -> LayerStates:
        """All zeros, for B streams."""
        zeros = self.embedding.new_zeros(streams, self.config.hidden_size)
        return (tuple(zeros for _ in self.cell.states),) * self.config.layers

    @property
    def parameter_count(self) -> int:
        """How many numbers training changes."""
        return sum(parameter.numel() for parameter in self.parameters())

    def arrays(self) -> dict[str, Float32Array]:
        """The parameters as numpy arrays, float32, by the names of `parameter_shapes`."""
        return {
            name: parameter.detach().cpu().float().numpy().copy()
            for name, parameter in self.named_parameters()
        }

    def _output_parameters(self) -> dict[str, Tensor]:
        named = {f"output.{name}": parameter for name, parameter in self.output.named_parameters()}
        return {"embedding": self.embedding, **named}


def detached(state: LayerStates) -> LayerStates:
    """The same state, cut off from the steps that led to it: gradients end here."""
    return tuple(tuple(part.detach() for part in layer) for layer in state)


class TorchLanguageModel:
    """
    A Network as a `LanguageModel` (models/base.py), on whatever device it is.

    It shares the network's weights, so that validation during training scores with the same code as
    `lmgen perplexity`. Dropout is off for each call and the mode restored after.
    """

    def __init__(self, network: Network, start_token: int) -> None:
        """Args: network, shared and not copied; start_token, the id that a text is taken to follow."""
        self.network = network
        self.start_token = start_token

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return len(self.network.embedding)

    @property
    def name(self) -> str:
        """The cell's name."""
        return self.network.config.cell

    def start(self, streams: int) -> LayerStates:
        """The state after the start token."""
        blank = self.network.initial_state(streams)
        return self.advance(blank, np.full((1, streams), self.start_token))

    def predict(self, state: LayerStates) -> FloatArray:
        """Log-probabilities of the next token, (B, V)."""
        with torch.inference_mode():
            return self.network.predict(state[-1][0]).cpu().numpy()

    def advance(self, state: LayerStates, ids: IdArray) -> LayerStates:
        """The state after reading `ids`, (T, B)."""
        return self._read(ids, state)[1]

    def score(self, state: LayerStates, ids: IdArray) -> tuple[FloatArray, LayerStates]:
        """Log-probability of each of `ids`, (T, B), and the state after them."""
        hidden, after = self._read(ids, state)
        with torch.inference_mode():
            before = torch.cat([state[-1][0][None], hidden[:-1]])
            chosen = self.network.predict(before).gather(-1, self._tensor(ids)[..., None])
        return chosen[..., 0].cpu().numpy(), after

    def select(self, state: LayerStates, streams: Sequence[int]) -> LayerStates:
        """The state of the listed streams."""
        chosen = list(streams)
        return tuple(tuple(part[chosen] for part in layer) for layer in state)

    def _read(self, ids: IdArray, state: LayerStates) -> tuple[Tensor, LayerStates]:
        was_training = self.network.training
        self.network.eval()
        try:
            with torch.inference_mode():
                return self.network.read(self._tensor(ids), state)
        finally:
            self.network.train(was_training)

    def _tensor(self, ids: IdArray) -> Tensor:
        return torch.from_numpy(ids.astype(np.int64)).to(self.network.embedding.device)


def _run_layer(
    cell: str, parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    """One layer over (T, B, I): its hidden states, (T, B, H), and its last state."""
    if cell in _FUSED:
        return _FUSED[cell](parameters, values, state)
    return _run_equations(cell, parameters, values, state)


def _run_equations(
    cell: str, parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    """A layer of any cell, step by step as its equations stand."""
    step = cell_named(cell).step
    inputs = values @ parameters["weight_input"].T + parameters["bias"]  # (T, B, G*H)
    hidden = []
    for x in inputs:
        state = step(x, state[0] @ parameters["weight_recurrent"].T, state, parameters)
        hidden.append(state[0])
    return torch.stack(hidden), state


# torch's kernels take (input, state, weights, has biases, layers, dropout, training, both ways, batch first).
# They add a second bias to the recurrent product; what a cell has no use for there is zero.


def _fused_lstm(
    parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    recurrent_bias = torch.zeros_like(parameters["bias"])
    initial = [part[None] for part in state]
    hidden, h, c = torch.lstm(
        values, initial, _weights(parameters, recurrent_bias), True, 1, 0.0, False, False, False
    )
    return hidden, (h[0], c[0])


def _fused_gru(
    parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    candidate = parameters["bias_recurrent"]
    recurrent_bias = torch.cat([candidate.new_zeros(2 * len(candidate)), candidate])
    return _fused_single(torch.gru, parameters, recurrent_bias, values, state)


def _fused_rnn(
    parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    return _fused_single(torch.rnn_tanh, parameters, torch.zeros_like(parameters["bias"]), values, state)


def _fused_rnn_relu(
    parameters: Mapping[str, Tensor], values: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    return _fused_single(torch.rnn_relu, parameters, torch.zeros_like(parameters["bias"]), values, state)


def _fused_single(
    kernel: Callable[..., tuple[Tensor, Tensor]],
    parameters: Mapping[str, Tensor],
    recurrent_bias: Tensor,
    values: Tensor,
    state: CellState,
) -> tuple[Tensor, CellState]:
    """A kernel whose state is h alone."""
    hidden, h = kernel(
        values, state[0][None], _weights(parameters, recurrent_bias), True, 1, 0.0, False, False, False
    )
    return hidden, (h[0],)


def _weights(parameters: Mapping[str, Tensor], recurrent_bias: Tensor) -> list[Tensor]:
    return [parameters["weight_input"], parameters["weight_recurrent"], parameters["bias"], recurrent_bias]


_FUSED: dict[str, Layer] = {
    "lstm": _fused_lstm,
    "gru": _fused_gru,
    "rnn": _fused_rnn,
    "rnn-relu": _fused_rnn_relu,
}


def _parameter(array: Float32Array) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(array.copy()))


def _parameters(parameters: Mapping[str, Float32Array], prefix: str) -> nn.Module:
    """A module that holds the arrays whose names begin with `prefix`."""
    module = nn.Module()
    for name, array in parameters.items():
        if name.startswith(prefix):
            module.register_parameter(name.removeprefix(prefix), _parameter(array))
    return module
