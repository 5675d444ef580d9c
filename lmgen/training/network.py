"""
The stacked recurrent network as a torch module: the same parameters and function as models/recurrent.py.

How a layer is computed is in layers.py.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lmgen.models.base import FloatArray, IdArray
from lmgen.models.cells import LayerStates, cell_named
from lmgen.models.config import NetworkConfig
from lmgen.models.outputs import log_probabilities, log_probabilities_of
from lmgen.models.recurrent import Float32Array
from lmgen.training.layers import run_layer


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
        self.sparse_gradients = False
        """Whether looking up some rows of a matrix gives it a gradient that holds no others."""
        self.clusters = config.cluster_starts(len(parameters["embedding"]))
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
            Log-probabilities of the token after each, (T, B, V), and the state after the last.
        """
        hidden, after = self.read(ids, state)
        return self.predict(self.drop_output(hidden)), after

    def read(self, ids: Tensor, state: LayerStates) -> tuple[Tensor, LayerStates]:
        """The top layer's hidden states, (T, B, H), and the state after the last step."""
        values = self._rows(ids, self.embedding)
        after = []
        for index, (layer, before) in enumerate(zip(self.layers, state, strict=True)):
            if index > 0:
                values = functional.dropout(values, self.config.dropout, self.training)
            values, last = run_layer(self.config.cell, dict(layer.named_parameters()), values, before)
            after.append(last)
        return values, tuple(after)

    def drop_output(self, hidden: Tensor) -> Tensor:
        """What the output reads in training: the top layer's hidden states, (T, B, H), with dropout."""
        return functional.dropout(hidden, self.config.dropout, self.training)

    def predict(self, hidden: Tensor) -> Tensor:
        """Log-probabilities, (..., V), from the top layer's hidden states, (..., H)."""
        return log_probabilities(hidden, self.output_parameters(), self.clusters)  # type: ignore[no-any-return]

    def predict_only(self, ids: Tensor, hidden: Tensor) -> Tensor:
        """Log-probability of each of `ids`, (N,), from the hidden states before them, (N, H)."""
        return log_probabilities_of(ids, hidden, self.output_parameters(), self.clusters)  # type: ignore[no-any-return]

    def output_rows(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Of a softmax output the weights, (N, H), and biases, (N,), that score the tokens `ids`."""
        parameters = self.output_parameters()
        weight = parameters.get("output.weight", self.embedding)
        return self._rows(ids, weight), parameters["output.bias"][ids]

    def initial_state(self, streams: int) -> LayerStates:
        """All zeros, for B streams."""
        zeros = self.embedding.new_zeros(streams, self.config.hidden_size)
        return (tuple(zeros for _ in self.cell.states),) * self.config.layers

    def token_parameters(self) -> list[nn.Parameter]:
        """Those of the embedding and the output layer."""
        return [self.embedding, *self.output.parameters()]

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

    def _rows(self, ids: Tensor, matrix: Tensor) -> Tensor:
        return functional.embedding(ids, matrix, sparse=self.sparse_gradients)

    def output_parameters(self) -> dict[str, Tensor]:
        """What the output layer computes with, by the names of `parameter_shapes`."""
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
            chosen = self.network.predict_only(self._tensor(ids).flatten(), before.flatten(0, 1))
        return chosen.view(ids.shape).cpu().numpy(), after

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


def _parameter(array: Float32Array) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(array.copy()))


def _parameters(parameters: Mapping[str, Float32Array], prefix: str) -> nn.Module:
    """A module that holds the arrays whose names begin with `prefix`; a dot in a name is a module inside."""
    module = nn.Module()
    for name, array in parameters.items():
        if name.startswith(prefix):
            *path, last = name.removeprefix(prefix).split(".")
            holder = module
            for part in path:
                if part not in dict(holder.named_children()):
                    holder.add_module(part, nn.Module())
                holder = holder.get_submodule(part)
            holder.register_parameter(last, _parameter(array))
    return module
