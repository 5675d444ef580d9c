"""
The network as a torch module: the same layers and parameters as models/network/, with gradients and dropout.

How a layer is computed is in layers/, what is dropped in training in optimization/regularization.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from lmgen.arrays import Float32Array, FloatArray, IdArray, Tensors
from lmgen.models.network.bidirectional import Bidirectional, backward_order
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.labelling import Labelling
from lmgen.models.network.layer import Layer, LayerState, NetworkState, arrays_of
from lmgen.models.network.layers import network_layers
from lmgen.models.network.model import RecurrentModel
from lmgen.models.network.ngram_embedding import NgramEmbedding
from lmgen.models.network.normalization import LayerNormalization
from lmgen.models.network.output import Softmax
from lmgen.models.network.recurrent import Recurrent
from lmgen.training.batch_normalization import BatchNormalization
from lmgen.training.layers import run_window
from lmgen.training.optimization.regularization import (
    dropout,
    embedding_dropout,
    locked_dropout,
    ngram_dropout,
    weight_drop,
)


class Network(nn.Module):
    """
    Embedding, hidden layers and output: (ids, state) -> (log-probabilities, state).

    Dropout acts on what each hidden layer reads and on what the output reads, at a rate of its own for the
    first layer, the others and the output (Zaremba, Sutskever and Vinyals 2014): never on the recurrent
    connection, and after layer normalisation instead of before it.
    """

    def __init__(
        self,
        config: NetworkConfig,
        vocabulary_size: int,
        parameters: Mapping[str, Float32Array],
        labelling: Labelling | None = None,
    ) -> None:
        """
        Start from numpy arrays.

        Args:
            config: the shape of the network, and what is dropped.
            vocabulary_size: V.
            parameters: by the names of `Layers.parameters`, which `named_parameters` gives them too.
            labelling: of a network that reads whole texts and predicts labels; None: it predicts tokens.
        """
        super().__init__()
        self.config = config
        self.vocabulary_size = vocabulary_size
        self.labelling = labelling
        self.sparse_gradients: frozenset[str] = frozenset()
        """The matrices whose gradients hold the rows that were looked up, and no others."""
        self.alone = False
        """Whether a window of one stream is computed in a way of its own, which is faster."""
        self.structure = network_layers(config, vocabulary_size, labelling)
        for parameter in self.structure.parameters:
            _register(self, parameter.name, parameters[parameter.name])
        batch = config.normalization == "batch"
        self.batch_normalization = nn.ModuleList(
            BatchNormalization(len(parameters[f"{layer.prefix}bias"])) for layer in self._recurrent if batch
        )

    def forward(self, ids: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:
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

    def read(
        self, ids: Tensor, state: NetworkState, counted: Tensor | None = None
    ) -> tuple[Tensor, NetworkState]:
        """
        What the output reads at each step, (T, B, n), and the state after the last.

        Args:
            ids: (T, B).
            state: as for `forward`.
            counted: the positions that batch normalisation takes its statistics from, (T, B); None: all.
        """
        named = self._named
        values, embedded = self._embed(ids, named, state[-1])
        rate = self.config.dropout_input
        order = None if self.labelling is None else backward_order(ids, self.labelling.unit_end)
        after = []
        for layer, before in zip(self.structure.hidden, state[:-1], strict=True):
            read = values if isinstance(layer, LayerNormalization) else self._drop(values, rate)
            arrays = self._dropped(layer, self._normalised(layer, arrays_of(layer, named), read, counted))
            values, last = run_window(layer, arrays, read, before, values, order, self.alone)
            rate = self.config.dropout_between
            after.append(last)
        return values, (*after, embedded)

    def drop_output(self, hidden: Tensor) -> Tensor:
        """What `read` gave, (T, B, n), as the output reads it in training: with dropout."""
        return self._drop(hidden, self.config.dropout_before_output)

    def predict(self, hidden: Tensor) -> Tensor:
        """Log-probabilities, (..., V), from what the output reads, (..., n)."""
        return self.structure.output.log_probabilities(self._output_arrays(), hidden)  # type: ignore[no-any-return]

    def predict_only(self, ids: Tensor, hidden: Tensor) -> Tensor:
        """Log-probability of each of `ids`, (N,), from what the output reads before them, (N, n)."""
        return self.structure.output.log_probabilities_of(self._output_arrays(), hidden, ids)  # type: ignore[no-any-return]

    def output_rows(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Of a softmax output the weights, (N, E), and biases, (N,), that score the tokens `ids`."""
        output = self.structure.output
        weight = dict(output.borrowed).get("weight", f"{output.prefix}weight")
        return self._rows(ids, weight), self._named[f"{output.prefix}bias"][ids]

    def projected(self, hidden: Tensor) -> Tensor:
        """Hidden states, (..., n), as a softmax output multiplies them with its weights, (..., E)."""
        output = self.structure.output
        assert isinstance(output, Softmax), "only a softmax over all tokens is sampled from"
        return output.projected(self._output_arrays(), hidden)  # type: ignore[no-any-return]

    def initial_state(self, streams: int) -> NetworkState:
        """All zeros, for B streams."""
        like = next(self.parameters())
        return tuple(
            tuple(like.new_zeros(streams, size) for size in layer.state_sizes)
            for layer in self.structure.in_state
        )

    def row_parameters(self, optimizer: str) -> dict[str, nn.Parameter]:
        """
        The parameters by name, frozen ones left out, of which an optimiser updates only the rows in use.

        They are those of embedding and output with adamw-adagrad, and the n-gram vectors with adamw.
        """
        layers = (self.structure.embedding, self.structure.output) if optimizer == "adamw-adagrad" else ()
        names = [parameter.name for layer in layers for parameter in layer.parameters]
        return self._trained(["ngram_embedding"] if optimizer == "adamw" else names)

    def output_parameters(self) -> list[nn.Parameter]:
        """The trained ones of the output layer; none where it shares the embedding's."""
        output = self.structure.output
        names = [] if output.borrowed else [parameter.name for parameter in output.parameters]
        return list(self._trained(names).values())

    def trained_parameters(self) -> list[nn.Parameter]:
        """All that training changes."""
        return list(self._trained(self._named).values())

    def freeze_embedding(self) -> None:
        """
        Keep the tokens' vectors as they are: without gradient, weight decay or moments.

        So is a tied output. The vectors of n-grams are added to them, and trained.
        """
        if self.structure.embedding.parameters:
            self.get_parameter("embedding").requires_grad_(False)

    def freeze_ngrams(self) -> None:
        """Keep the vectors of n-grams as they are, if there are any."""
        for table in self._trained(["ngram_embedding"]).values():
            table.requires_grad_(False)

    @property
    def outputs(self) -> int:
        """How many tokens or labels it tells apart: V or L."""
        return self.structure.output.outputs

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    @property
    def parameter_count(self) -> int:
        """How many numbers the weights of the saved model have, frozen ones among them."""
        return sum(parameter.count for parameter in self.structure.parameters)

    def arrays(self) -> dict[str, Float32Array]:
        """
        The parameters as numpy arrays, float32, by the names of `Layers.parameters`.

        Batch normalisation is folded into the weights.
        """
        named: dict[str, Tensor] = dict(self._named)
        for layer, module in zip(self._recurrent, self.batch_normalization, strict=False):
            folded = cast(BatchNormalization, module).folded(arrays_of(layer, named))
            named |= {layer.prefix + name: array for name, array in folded.items()}
        return {
            parameter.name: named[parameter.name].detach().cpu().float().numpy().copy()
            for parameter in self.structure.parameters
        }

    @property
    def _recurrent(self) -> list[Recurrent]:
        """The recurrent layers."""
        return [layer for layer in self.structure.hidden if isinstance(layer, Recurrent)]

    @cached_property
    def _named(self) -> dict[str, nn.Parameter]:
        """The parameters by name, which are the same objects as long as the network is there."""
        return dict(self.named_parameters())

    def _trained(self, names: Iterable[str]) -> dict[str, nn.Parameter]:
        """Select parameters by name, leaving out names that the network lacks and frozen parameters."""
        found = {name: self._named[name] for name in names if name in self._named}
        return {name: parameter for name, parameter in found.items() if parameter.requires_grad}

    def _embed(
        self, ids: Tensor, named: Mapping[str, Tensor], state: LayerState
    ) -> tuple[Tensor, LayerState]:
        """The tokens' vectors, (T, B, E), and the state of the embedding after the last."""
        embedding = self.structure.embedding
        if embedding.parameters:
            vectors = self._rows(ids, "embedding")
        else:
            vectors = embedding.window({}, ids, ())[0].to(next(iter(named.values())).dtype)
        if self.training:
            vectors = embedding_dropout(vectors, ids, self.vocabulary_size, self.config.dropout_embedding)
        if isinstance(embedding, NgramEmbedding):
            ngrams, state = embedding.ngrams(ids, state)
            of_ngrams = self._rows(ngrams, "ngram_embedding")
            if self.training:
                of_ngrams = ngram_dropout(of_ngrams, self.config.dropout_ngrams)
            vectors = vectors + of_ngrams.sum(-2)
        return vectors, state

    def _rows(self, ids: Tensor, name: str) -> Tensor:
        """Some rows of a matrix."""
        return functional.embedding(ids, self._named[name], sparse=name in self.sparse_gradients)

    def _drop(self, values: Tensor, rate: float) -> Tensor:
        """Values, (T, B, n), with dropout of the kind that is set; in evaluation as they are."""
        if not self.training:
            return values
        return locked_dropout(values, rate) if self.config.variational else dropout(values, rate)

    def _normalised(
        self, layer: Layer, arrays: Mapping[str, Tensor], values: Tensor, counted: Tensor | None
    ) -> Mapping[str, Tensor]:
        """A layer's arrays, batch-normalised by what it reads, (T, B, n), if it is to be."""
        if not (self.batch_normalization and isinstance(layer, Recurrent)):
            return arrays
        normalised: Mapping[str, Tensor] = self.batch_normalization[layer.number](arrays, values, counted)
        return normalised

    def _dropped(self, layer: Layer, arrays: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """A layer's arrays, the recurrent matrices as this window sees them."""
        if not (self.training and isinstance(layer, Recurrent | Bidirectional)):
            return arrays
        dropped = {name: weight_drop(arrays[name], self.config.weight_drop) for name in layer.recurrent}
        return {**arrays, **dropped}

    def _output_arrays(self) -> dict[str, Tensor]:
        """What the output layer computes with."""
        return arrays_of(self.structure.output, self._named)


def detached(state: NetworkState, dtype: torch.dtype | None = None) -> NetworkState:
    """The same state, in a type of number if one is named, cut off from the steps that led to it."""
    return tuple(tuple(part.detach().to(dtype or part.dtype) for part in layer) for layer in state)


class TorchLanguageModel:
    """
    A Network as a `LanguageModel` (models/base.py), on whatever device it is.

    It shares the network's weights, so that validation during training scores with the same code as
    `lmgen perplexity`. Dropout is off for each call and the mode restored after.

    A state is what the hidden layers remember, and what the output reads next, (B, n).
    """

    kind = "recurrent"
    reads_in_order = False

    def __init__(self, network: Network, start_token: int, unit_end: int | None = None) -> None:
        """
        Args:
            network: shared and not copied.
            start_token: the id that a text is taken to follow.
            unit_end: the id that ends a text, after which the next begins from `start`; None: it never ends.
        """
        self.network = network
        self.start_token = start_token
        self.unit_end = unit_end

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.network.vocabulary_size

    @property
    def name(self) -> str:
        """The cell's name; without recurrent layers `convolution` or `dense`."""
        return self.network.config.name

    @property
    def resets_at(self) -> int | None:
        """The token that ends a text."""
        return self.unit_end

    def start(self, streams: int) -> Any:
        """The state after the start token."""
        ids = np.full((1, streams), self.start_token)
        hidden, after = self._read_on(ids, self.network.initial_state(streams))
        return after, hidden[-1]

    def predict(self, state: Any) -> FloatArray:
        """Log-probabilities of the next token, (B, V)."""
        with torch.inference_mode():
            return self.network.predict(state[1]).cpu().numpy()

    def advance(self, state: Any, ids: IdArray) -> Any:
        """The state after reading `ids`, (T, B)."""
        if not len(ids):
            return state
        _, after = self._read(ids, state)
        return after

    def score(self, state: Any, ids: IdArray) -> tuple[FloatArray, Any]:
        """Log-probability of each of `ids`, (T, B), and the state after them."""
        before, after = self._read(ids, state)
        with torch.inference_mode():
            chosen = self.network.predict_only(self._tensor(ids).flatten(), before.flatten(0, 1))
        return chosen.view(ids.shape).cpu().numpy(), after

    def select(self, state: Any, streams: Sequence[int]) -> Any:
        """The state of the listed streams."""
        layers, unread = state
        chosen = list(streams)
        return tuple(tuple(part[chosen] for part in layer) for layer in layers), unread[chosen]

    @property
    def format_version(self) -> int:
        """That of the network in use."""
        return self.as_network().format_version

    def describe(self) -> dict[str, Any]:
        """What the network in use says of itself."""
        return self.as_network().describe()

    def to_tensors(self) -> tuple[dict[str, Any], Tensors]:
        """What a model file keeps: that of the network in use."""
        return self.as_network().to_tensors()

    def as_network(self) -> RecurrentModel:
        """The same network in use, without torch: a copy of the weights as they are now."""
        config, arrays = self.network.config.in_use, self.network.arrays()
        return RecurrentModel(config, self.vocabulary_size, self.start_token, arrays, self.unit_end)

    def as_ngrams(self) -> None:
        """None: it has no tables of n-grams."""

    def _read(self, ids: IdArray, state: Any) -> tuple[Tensor, Any]:
        """
        What the output reads before each of `ids`, (T, B, n), and the state after them.

        Where a stream's unit ends, all streams stop, and that one goes on from the start.
        """
        before = []
        ends = np.zeros(ids.shape, np.bool_) if self.unit_end is None else ids == self.unit_end
        begun = 0
        for end in sorted({*(1 + np.flatnonzero(ends.any(axis=1))).tolist(), len(ids)} - {0}):
            layers, unread = state
            hidden, layers = self._read_on(ids[begun:end], layers)
            before += [unread[None], hidden[:-1]]
            state = self._begun_anew((layers, hidden[-1]), ends[end - 1])
            begun = end
        return torch.cat(before), state

    def _begun_anew(self, state: Any, ended: npt.NDArray[np.bool_]) -> Any:
        """The state with the streams that have `ended`, (B,), put back to the start."""
        if not ended.any():
            return state
        (layers, unread), (begun, begun_unread) = state, self.start(1)
        mask = torch.from_numpy(ended).to(unread.device)[:, None]
        return tuple(
            tuple(torch.where(mask, new, old) for new, old in zip(*parts, strict=True))
            for parts in zip(begun, layers, strict=True)
        ), torch.where(mask, begun_unread, unread)

    def _read_on(self, ids: IdArray, state: NetworkState) -> tuple[Tensor, NetworkState]:
        """What the output reads after each of `ids`, (T, B, n), and what the layers remember."""
        was_training = self.network.training
        self.network.eval()
        try:
            with torch.inference_mode():
                return self.network.read(self._tensor(ids), state)
        finally:
            self.network.train(was_training)

    def _tensor(self, ids: IdArray) -> Tensor:
        return torch.from_numpy(ids.astype(np.int64)).to(self.network.device)


def _register(module: nn.Module, name: str, array: Float32Array) -> None:
    """Give a module a parameter; a dot in its name is a module inside."""
    *path, last = name.split(".")
    for part in path:
        if part not in dict(module.named_children()):
            module.add_module(part, nn.Module())
        module = module.get_submodule(part)
    module.register_parameter(last, nn.Parameter(torch.from_numpy(array.copy())))
