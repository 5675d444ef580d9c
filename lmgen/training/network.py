"""
The stacked recurrent network as a torch module: the same parameters and function as models/network/model.py.

How a layer is computed is in layers.py, what is dropped in training in regularization.py.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lmgen.models.base import FloatArray, IdArray
from lmgen.models.network import outputs
from lmgen.models.network.cells import LayerStates, cell_named
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.model import Float32Array
from lmgen.training.layers import run_recurrent
from lmgen.training.optimization.regularization import dropout, embedding_dropout, locked_dropout, weight_drop


class Network(nn.Module):
    """
    Embedding, recurrent layers and output: (ids, state) -> (log-probabilities, state).

    Dropout acts on what each layer reads and on what the output reads, at a rate of its own for the first
    layer, the others and the output (Zaremba, Sutskever and Vinyals 2014): never on the recurrent connection.
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
        """What the output reads, `outputs.top` of each step, (T, B, H), and the state after the last."""
        values, rate = self._embed(ids), self.config.dropout_input
        after = []
        for number, (layer, before) in enumerate(zip(self.layers, state, strict=True)):
            hidden, last = run_recurrent(
                self.cell, self._layer_parameters(layer), self._drop(values, rate), before
            )
            values = hidden + values if self.config.adds_input(number) else hidden
            rate = self.config.dropout_between
            after.append(last)
        return values, tuple(after)

    def drop_output(self, hidden: Tensor) -> Tensor:
        """What `read` gave, (T, B, H), as the output reads it in training: with dropout."""
        return self._drop(hidden, self.config.dropout_before_output)

    def predict(self, hidden: Tensor) -> Tensor:
        """Log-probabilities, (..., V), from what the output reads, (..., H)."""
        parameters = self.output_parameters()
        return outputs.log_probabilities(hidden, parameters, self.clusters)  # type: ignore[no-any-return]

    def predict_only(self, ids: Tensor, hidden: Tensor) -> Tensor:
        """Log-probability of each of `ids`, (N,), from what the output reads before them, (N, H)."""
        parameters = self.output_parameters()
        return outputs.log_probabilities_of(ids, hidden, parameters, self.clusters)  # type: ignore[no-any-return]

    def output_rows(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Of a softmax output the weights, (N, E), and biases, (N,), that score the tokens `ids`."""
        parameters = self.output_parameters()
        weight = parameters.get("output.weight", self.embedding)
        return self._rows(ids, weight), parameters["output.bias"][ids]

    def projected(self, hidden: Tensor) -> Tensor:
        """What these weights are multiplied with, (..., E): hidden states, (..., H), of the same length."""
        return outputs.projected(hidden, self.output_parameters())  # type: ignore[no-any-return]

    def output_parameters(self) -> dict[str, Tensor]:
        """What the output layer computes with, by the names of `parameter_shapes`."""
        named = {f"output.{name}": parameter for name, parameter in self.output.named_parameters()}
        return {"embedding": self.embedding, **named}

    def initial_state(self, streams: int) -> LayerStates:
        """All zeros, for B streams."""
        zeros = [self.embedding.new_zeros(streams, size) for size in self.config.layer_sizes]
        return tuple(tuple(each for _ in self.cell.states) for each in zeros)

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

    def _embed(self, ids: Tensor) -> Tensor:
        """The tokens' vectors, (T, B, E)."""
        vectors = self._rows(ids, self.embedding)
        if not self.training:
            return vectors
        return embedding_dropout(vectors, ids, len(self.embedding), self.config.dropout_embedding)

    def _rows(self, ids: Tensor, matrix: Tensor) -> Tensor:
        return functional.embedding(ids, matrix, sparse=self.sparse_gradients)

    def _drop(self, values: Tensor, rate: float) -> Tensor:
        """Values, (T, B, H), with dropout of the kind that is set; in evaluation as they are."""
        if not self.training:
            return values
        return locked_dropout(values, rate) if self.config.variational else dropout(values, rate)

    def _layer_parameters(self, layer: nn.Module) -> dict[str, Tensor]:
        """A layer's arrays by name, the recurrent weights as this window sees them."""
        parameters: dict[str, Tensor] = dict(layer.named_parameters())
        if self.training:
            for name in self.cell.recurrent:
                parameters[name] = weight_drop(parameters[name], self.config.weight_drop)
        return parameters


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
            return self.network.predict(self._top(state)).cpu().numpy()

    def advance(self, state: LayerStates, ids: IdArray) -> LayerStates:
        """The state after reading `ids`, (T, B)."""
        return self._read(ids, state)[1]

    def score(self, state: LayerStates, ids: IdArray) -> tuple[FloatArray, LayerStates]:
        """Log-probability of each of `ids`, (T, B), and the state after them."""
        hidden, after = self._read(ids, state)
        with torch.inference_mode():
            before = torch.cat([self._top(state)[None], hidden[:-1]])
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

    def _top(self, state: LayerStates) -> Tensor:
        return outputs.top(state, self.network.config)  # type: ignore[no-any-return]

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
