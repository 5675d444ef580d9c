"""
One update: forward, loss, backward, clip, step, average.

Where several processes train (distributed.py), each goes forward and backward with its own streams. Before
clipping their gradients and losses are added up; the rest is the same in all.
"""

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lmgen.arrays import BoolArray
from lmgen.data.batches import Batch
from lmgen.models.network.layer import NetworkState
from lmgen.training.config import TrainingConfig
from lmgen.training.distributed import ALONE, Group, Part
from lmgen.training.network import detached
from lmgen.training.optimization.clipping import clip_gradients
from lmgen.training.optimization.objectives import Objective
from lmgen.training.optimization.optimizers import SHARE
from lmgen.training.optimization.regularization import activation_penalty
from lmgen.training.recovery import MEDIAN_NORMS, check_update
from lmgen.training.state import TrainingState


@dataclass(frozen=True, slots=True)
class Learner:
    """Changes a training state by one batch at a time."""

    state: TrainingState
    objective: Objective
    config: TrainingConfig
    carried: bool
    """Whether streams continue from batch to batch, unless a batch says otherwise."""
    group: Group = ALONE
    """The processes that train together."""

    def learn(self, batch: Batch, learning_rate: float) -> float:
        """
        Update the weights by a batch with at least one scored position.

        Returns:
            Its mean loss in nats per scored token, without penalties.

        Raises:
            NumericalError: as `check_update`; the weights have not been changed.
        """
        state, config, network = self.state, self.config, self.state.network
        own, after = self._backward(self.group.part(batch))
        parameters = network.trained_parameters()
        loss = self.group.combine(parameters, own, sparse=bool(network.sparse_gradients))
        state.precision.unscale(state.optimizer)
        norm = clip_gradients(parameters, config.clip or inf, config.clip_value)
        # Both at once, for here a GPU is waited for.
        nats, length = torch.stack([loss.double(), norm.double()]).tolist()
        if self._is_sound(nats, length):
            for group in state.optimizer.param_groups:
                group["lr"] = learning_rate * group.get(SHARE, 1.0)
            state.optimizer.step()
            state.update_average()
        if self.carried:
            state.carried = detached(after, self._dtype)
        return float(nats)

    def read(self, batch: Batch) -> None:
        """Only move the carried state on, over a batch with no scored position."""
        if self.carried:
            self.state.carried = detached(self._read(self.group.part(batch).batch), self._dtype)

    def _backward(self, part: Part) -> tuple[Tensor, NetworkState]:
        """Give the parameters the gradients of a part of a batch; its loss, and the state after it."""
        batch, config, network = part.batch, self.config, self.state.network
        if not part.share:
            network.zero_grad()
            return next(network.parameters()).new_zeros(()), self._read(batch)
        targets = self._on_device(batch.targets)
        weights = None if batch.weights is None else self._on_device(batch.weights).to(self._dtype)
        with self.state.precision.autocast():
            hidden, after = self._forward(batch, batch.text)
            dropped = network.drop_output(hidden)
            loss = self.objective(network, dropped, targets, weights)
            if part.share != 1:
                loss = part.share * loss
            alpha, beta = config.activation_penalty * part.share, config.slowness_penalty * part.later_share
            penalty = activation_penalty(dropped, hidden, alpha, beta, weights)
        network.zero_grad()
        self.state.precision.backward(loss + penalty)
        return loss, after

    def _read(self, batch: Batch) -> NetworkState:
        """The hidden state after a batch, which may have no streams; no statistics are taken of it."""
        if not batch.inputs.size:
            return self.state.network.initial_state(0)
        with torch.no_grad(), self.state.precision.autocast():
            return self._forward(batch, np.zeros(batch.inputs.shape, np.bool_))[1]

    def _forward(self, batch: Batch, counted: BoolArray | None) -> tuple[Tensor, NetworkState]:
        """
        What the output layer reads at each step, (T, B, H), and the hidden state after the last.

        Args:
            batch: what is read.
            counted: the positions that batch normalisation takes its statistics from, (T, B); None: all.
        """
        network = self.state.network
        if not network.training:
            network.train()
        inputs = self._on_device(batch.inputs)
        begins = batch.begins
        if begins is None:
            begins = np.full(inputs.shape[1], not self.carried)
        among = None if counted is None else self._on_device(counted)
        return network.read(inputs, self.state.starting_state(begins), among)

    def _on_device(self, array: npt.NDArray[Any]) -> Tensor:
        """An array where the network is. A GPU copies it from pinned memory while Python goes on."""
        tensor, device = torch.from_numpy(array), self.state.device
        return (
            tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
        )

    @property
    def _dtype(self) -> torch.dtype:
        """Of the parameters."""
        return next(self.state.network.parameters()).dtype

    def _is_sound(self, nats: float, norm: float) -> bool:
        """
        Whether the weights may change by gradients of this norm, which is noted.

        Raises:
            NumericalError: loss or gradient shows that training has failed.
        """
        position, place = self.state.position, f"after {self.state.position.step:,} updates"
        if not self.state.precision.settle(norm):
            check_update(nats, 0.0, [], place)
            return False
        check_update(nats, norm, position.gradient_norms, place)
        position.gradient_norm = norm
        position.gradient_norms = [*position.gradient_norms, norm][-MEDIAN_NORMS:]
        return True
