"""
Numbers of fewer bits where a GPU is faster with them: `--precision tf32`, `bfloat16` and `float16`.

Weights, moments, sums and the state carried from batch to batch stay float32. With `tf32` the products of
matrices round what they read to 10 bits after the point. With the other two autocast computes products and
cells in 16 bits (Micikevicius et al. 2018); the layers that cuDNN computes, LSTM, GRU and vanilla ones, are
in float16 with both, for that is what torch's autocast gives them.

Gradients in float16 may be too small for its exponent. So the loss is scaled up before the backward pass, and
gradients are scaled down again; the scale halves when one is too large, and there is no update.

A run of fewer bits that goes on on a CPU goes on in float32.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite

import torch
from torch import Tensor

SHORT = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""Formats of 16 bits, by their names."""

SMALLEST_SCALE = 1.0
"""Where the scale has fallen below this, gradients are not finite for another reason."""


class Precision:
    """The number format of training on a device."""

    def __init__(self, name: str, device: torch.device) -> None:
        """
        Args:
            name: as `--precision` has it.
            device: where the network trains; on a CPU the formats of GPUs are float32.
        """
        is_gpu = device.type == "cuda"
        self._device = device
        self._short = SHORT.get(name) if is_gpu else None
        self._tf32 = name == "tf32"
        self.scaler = loss_scaler(device, enabled=self._short is not None)

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """What is computed inside, the loss among it, is computed in this format."""
        with (
            rounding_to_tf32(self._tf32, self._device),
            torch.autocast(self._device.type, self._short, enabled=self._short is not None),
        ):
            yield

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss to those of the parameters, scaled; `unscale` takes that back."""
        with rounding_to_tf32(self._tf32, self._device):
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Give the gradients of an optimiser's parameters their true size."""
        self.scaler.unscale_(optimizer)

    def settle(self, gradient_norm: float) -> bool:
        """
        Move the scale on, after `unscale`.

        Returns:
            Whether there is to be an update: not where the scale was too large for these gradients.
        """
        if not self.scaler.is_enabled():
            return True
        self.scaler.update()
        return isfinite(gradient_norm) or self.scaler.get_scale() < SMALLEST_SCALE

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: nothing without a scale."""
        if not self.scaler.is_enabled():
            return {}
        state = self.scaler.state_dict()
        return {
            "scale": torch.tensor(state["scale"], dtype=torch.float64),
            "updates": torch.tensor(state["_growth_tracker"]),
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on with the scale of a checkpoint; where it has none, or none is needed, as at the beginning."""
        if tensors and self.scaler.is_enabled():
            kept = {"scale": float(tensors["scale"]), "_growth_tracker": int(tensors["updates"])}
            self.scaler.load_state_dict({**self.scaler.state_dict(), **kept})


def loss_scaler(device: torch.device, *, enabled: bool) -> torch.amp.GradScaler:
    """
    What scales the losses of a device.

    A process that trains with others may have no part of the first batch, and so no loss of its own to scale.
    Its gradients, which come from the others, are scaled all the same; so it has a scale from the start.
    """
    scaler = torch.amp.GradScaler(device.type, enabled=enabled)
    scaler.scale(torch.zeros((), device=device))
    return scaler


@contextmanager
def rounding_to_tf32(wanted: bool, device: torch.device) -> Iterator[None]:
    """In the block, let a GPU's products round float32 to tf32, or not."""
    if device.type != "cuda":
        yield
        return
    products, cells = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, cells.allow_tf32
    products.allow_tf32 = cells.allow_tf32 = wanted
    try:
        yield
    finally:
        products.allow_tf32, cells.allow_tf32 = before
