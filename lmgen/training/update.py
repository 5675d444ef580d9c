"""
One update: forward, loss, backward, clip, step, average.

Where several processes train (distributed.py), each goes forward and backward with its own streams. Before
clipping their gradients and losses are added up; the rest is the same in all.
"""

from dataclasses import dataclass
from math import inf

import numpy as np
import torch
from torch import Tensor

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
        loss = self.group.combine(network.trained_parameters(), own, sparse=network.sparse_gradients)
        norm = clip_gradients(network.parameters(), config.clip or inf, config.clip_value)
        nats = loss.item()
        self._check(nats, norm.item())
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate * group.get(SHARE, 1.0)
        state.optimizer.step()
        state.update_average()
        if self.carried:
            state.carried = detached(after)
        return nats

    def read(self, batch: Batch) -> None:
        """Only move the carried state on, over a batch with no scored position."""
        if self.carried:
            self.state.carried = self._read(self.group.part(batch).batch)

    def _backward(self, part: Part) -> tuple[Tensor, NetworkState]:
        """Give the parameters the gradients of a part of a batch; its loss, and the state after it."""
        batch, config, network = part.batch, self.config, self.state.network
        if not part.share:
            self.state.optimizer.zero_grad()
            return next(network.parameters()).new_zeros(()), self._read(batch)
        hidden, after = self._forward(batch)
        targets = torch.from_numpy(batch.targets).to(hidden.device)
        weights = None if batch.weights is None else torch.from_numpy(batch.weights).to(hidden)
        dropped = network.drop_output(hidden)
        loss = self.objective(network, dropped, targets, weights)
        if part.share != 1:
            loss = part.share * loss
        alpha, beta = config.activation_penalty * part.share, config.slowness_penalty * part.later_share
        penalty = activation_penalty(dropped, hidden, alpha, beta, weights)
        self.state.optimizer.zero_grad()
        (loss + penalty).backward()  # type: ignore[no-untyped-call]
        return loss, after

    def _read(self, batch: Batch) -> NetworkState:
        """The hidden state after a batch, which may have no streams."""
        if not batch.inputs.size:
            return self.state.network.initial_state(0)
        with torch.no_grad():
            return self._forward(batch)[1]

    def _forward(self, batch: Batch) -> tuple[Tensor, NetworkState]:
        """What the output layer reads at each step, (T, B, H), and the hidden state after the last."""
        network, weights = self.state.network, batch.weights
        network.train()
        inputs = torch.from_numpy(batch.inputs).to(self.state.device)
        begins = batch.begins
        if begins is None:
            begins = np.full(inputs.shape[1], not self.carried)
        counted = None if weights is None else torch.from_numpy(weights > 0).to(self.state.device)
        return network.read(inputs, self.state.starting_state(begins), counted)

    def _check(self, nats: float, norm: float) -> None:
        """Note the gradient's norm, unless it or the loss shows that training has failed."""
        position = self.state.position
        check_update(nats, norm, position.gradient_norms, f"after {position.step:,} updates")
        position.gradient_norm = norm
        position.gradient_norms = [*position.gradient_norms, norm][-MEDIAN_NORMS:]
