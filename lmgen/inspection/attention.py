"""
The chain rule through one step of attention, in double precision; attention.py of models/ has the equations.

backward.py follows the elementwise equations of other layers; the softmax over K states is none. For the
gradients dy of the output and dh'_1 .. dh'_K of the states remembered after the step, the oldest first, where
y = tanh(p) and z_k is the tanh in the score e_k:

    dp = dy (1 - y²)                dc = W_cᵀ dp
    de_k = a_k (dc · h_k - Σ_j a_j dc · h_j)
    ds_k = de_k v (1 - z_k²)
    dh_k = a_k dc + W_kᵀ ds_k + dh'_(k-1)
    dh   = W_hᵀ dp + W_qᵀ Σ_k ds_k + dh'_K
"""

from collections.abc import Mapping, Sequence

import numpy as np

from lmgen.arrays import Float64Array
from lmgen.inspection.backward import State
from lmgen.models.network.attention import NEVER, Attention
from lmgen.models.network.functions import softmax


class AttentionStep:
    """One step of attention, forward and backward."""

    def __init__(self, layer: Attention, arrays: Mapping[str, Float64Array]) -> None:
        """Args: layer, and arrays, its parameters by their names without the prefix."""
        self.layer = layer
        self.arrays = arrays

    def forward(self, values: Float64Array, before: State) -> "AttentionTaken":
        """The output and the state after a step from the input, (B, m), and the state before."""
        return AttentionTaken(self, values, before)


class AttentionTaken:
    """A step that attention has taken, with what the way back needs."""

    def __init__(self, step: AttentionStep, values: Float64Array, before: State) -> None:
        self._arrays = arrays = step.arrays
        memory, self._marks = before
        self._states = memory.reshape(len(values), step.layer.reach, -1)  # (B, K, m)
        query, keys = values @ arrays["weight_query"].T, self._states @ arrays["weight_key"].T
        self._compared = np.tanh(query[:, None] + keys)
        scores = self._compared @ arrays["score"] + NEVER * (1 - self._marks)
        self._shares: Float64Array = softmax(scores.T).T * self._marks  # (B, K)
        self.output: Float64Array
        self.output, self.after = step.layer.step(arrays, values, before)

    def backward(
        self, output: Float64Array, after: Sequence[Float64Array]
    ) -> tuple[State, Float64Array, State]:
        """
        Take gradients back through the step.

        Args:
            output: the gradient with respect to the output.
            after: that with respect to each part of the state after, by way of the steps that follow.

        Returns:
            The gradients with respect to the state after; to the input; to the state before.
        """
        arrays, shares = self._arrays, self._shares
        later = after[0].reshape(self._states.shape)
        summed = output * (1 - self.output**2)
        context = summed @ arrays["weight_context"]
        of_shares = np.einsum("bm,bkm->bk", context, self._states)
        of_scores = shares * (of_shares - (shares * of_shares).sum(axis=1, keepdims=True))
        compared = of_scores[..., None] * arrays["score"] * (1 - self._compared**2)
        states = shares[..., None] * context[:, None] + compared @ arrays["weight_key"]
        states[:, 1:] += later[:, :-1]
        values: Float64Array = summed @ arrays["weight_hidden"] + later[:, -1]
        values += compared.sum(axis=1) @ arrays["weight_query"]
        return tuple(after), values, (states.reshape(len(states), -1), np.zeros_like(self._marks))
